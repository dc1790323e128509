"""A tagger run by onnxruntime: one picture in, one probability per tag out.

Two formats: model.onnx with selected_tags.csv (WD14: NHWC, 0 to 255, probabilities), and
model_optimized.onnx with tag_mapping.json (NCHW, -1 to 1, logits), as sd-scripts reads both.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DamagedError, MissingError, PackageMissing, ToolError
from ..files import sha256_of
from ..wording import counted
from .pixels import exact_pixels, quick_pixels
from .scores import FLOOR, Scores
from .vocabulary import CSV_NAME, JSON_NAME, Category, Vocabulary, read_vocabulary

EXACT = "-exact"
TAGGER_FILES = (("model.onnx", CSV_NAME), ("model_optimized.onnx", JSON_NAME))
"""The model and the tag list of each format."""


def holds_tagger(folder: Path) -> bool:
    """Tell whether a folder holds what a tagger consists of, in either format."""
    return any(all((folder / name).is_file() for name in names) for names in TAGGER_FILES)


@dataclass(frozen=True)
class Tagger:
    """An open model with its vocabulary; `pixels` is the side of its square input.

    `is_exact` prepares pictures bit for bit as sd-scripts does, at some five times the cost.
    """

    session: Any
    vocabulary: Vocabulary
    model_sha256: str
    pixels: int
    is_simulated: bool
    folder: Path
    has_logits: bool = False
    is_exact: bool = False

    @property
    def mark(self) -> str:
        """What scores of this tagger are marked with."""
        return self.model_sha256 + (EXACT if self.is_exact else "")

    def accepts(self, mark: str) -> bool:
        """Tell whether scores with this mark are as good as new ones: exact ones always are."""
        return mark == self.mark or mark == self.model_sha256 + EXACT

    def score(self, path: Path, picture_sha256: str) -> Scores:
        """Return the probabilities of one picture. Raises DamagedError for a broken one."""
        import numpy

        prepare = exact_pixels if self.is_exact else quick_pixels
        batch = prepare(path, self.pixels)[None]
        if self.has_logits:
            batch = numpy.ascontiguousarray(batch.transpose(0, 3, 1, 2) / 127.5 - 1.0)
        name = self.session.get_inputs()[0].name
        (row,) = self.session.run(None, {name: batch})[0][:1]
        if self.has_logits:
            row = 1 / (1 + numpy.exp(-row.astype(numpy.float64)))
        return self._scores(row.tolist(), picture_sha256)

    def _scores(self, row: Sequence[float], picture_sha256: str) -> Scores:
        groups: dict[Category, dict[str, float]] = {category: {} for category in Category}
        rows = list(zip(self.vocabulary.tags, row, strict=True))
        if self.has_logits:  # as sd-scripts writes them: the surest first
            rows.sort(key=lambda pair: -pair[1])
        for tag, probability in rows:
            if probability >= FLOOR or tag.category is Category.RATING:
                groups[tag.category][tag.name] = round(probability, 4)
        return Scores(
            picture_sha256,
            self.mark,
            groups[Category.RATING],
            groups[Category.GENERAL],
            groups[Category.CHARACTER],
        )


def open_tagger(folder: Path, *, on_cpu: bool = False, is_exact: bool = False) -> Tagger:
    """Open the model and its tag list in `folder`.

    `on_cpu` leaves the graphics card to a training or a WebUI that may need all of its memory.

    Raises MissingError (no model there; onnxruntime is missing) or DamagedError (tag list; no
    tagger's shape).
    """
    found = [(folder / model, folder / tags) for model, tags in TAGGER_FILES]
    models = [pair for pair in found if pair[0].is_file()]
    present = next((pair for pair in models if pair[1].is_file()), models[0] if models else None)
    if present is None:
        raise MissingError(
            "LL250",
            f"{folder} contains no tagger: neither model.onnx nor model_optimized.onnx exists.",
            "Download a tagger's model.onnx and selected_tags.csv (or model_optimized.onnx and "
            "tag_mapping.json) into one folder, and set captions.model in the manifest to it.",
        )
    model, tags = present
    vocabulary = read_vocabulary(tags)
    has_logits = tags.name == JSON_NAME
    session = _open_session(model, on_cpu)
    pixels = _require_shape(session, vocabulary, model, has_logits)
    notes = session.get_modelmeta().custom_metadata_map
    simulated = any("simulated" in text for text in notes.values())
    return Tagger(
        session, vocabulary, sha256_of(model), pixels, simulated, folder, has_logits, is_exact
    )


def _open_session(model: Path, on_cpu: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageMissing(
            "LL252",
            "Tagging needs the package onnxruntime, which is not installed.",
            f'Install it: "{sys.executable}" -m pip install onnxruntime',
        ) from error
    try:
        every = onnxruntime.get_available_providers()
        chosen = ["CPUExecutionProvider"] if on_cpu else every
        return onnxruntime.InferenceSession(str(model), providers=chosen)
    except Exception as error:  # onnxruntime raises its own, unnamed classes
        raise _no_tagger(model, str(error).splitlines()[0]) from error


def _require_shape(session: Any, vocabulary: Vocabulary, model: Path, has_logits: bool) -> int:
    shape = session.get_inputs()[0].shape
    wanted = "[N, 3, 448, 448]" if has_logits else "[N, 448, 448, 3]"
    channels, *sides = (1, 2, 3) if has_logits else (3, 1, 2)
    is_right = len(shape) == 4 and shape[channels] == 3 and shape[sides[0]] == shape[sides[1]]
    if not is_right or not isinstance(shape[sides[0]], int):
        raise _no_tagger(model, f"its input has the shape {shape}, not {wanted}")
    outputs = session.get_outputs()[0].shape[-1]
    if outputs != len(vocabulary.tags):
        name = JSON_NAME if has_logits else CSV_NAME
        raise _no_tagger(
            model,
            f"it has {counted(outputs, 'output')}, {name} {counted(len(vocabulary.tags), 'tag')}",
        )
    return int(shape[sides[0]])


def _no_tagger(model: Path, why: str) -> ToolError:
    return DamagedError(
        "LL253",
        f"{model} is not a tagger that can be used: {why}.",
        "Use a WD14 tagger together with its own tag list.",
    )
