"""A WD14-shaped model run by onnxruntime: one picture in, one probability per tag out.

Pre-processing as sd-scripts' finetune/tag_images_by_wd14_tagger.py does it: transparent becomes
white, padded to a square with white, resized, BGR, float32 from 0 to 255, NHWC.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, MissingError, PackageMissing, ToolError
from ..files import sha256_of
from ..pictures import open_upright
from .scores import FLOOR, Scores
from .vocabulary import Category, Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Tagger:
    """An open model with its vocabulary; `pixels` is the side of its square input."""

    session: Any
    vocabulary: Vocabulary
    model_sha256: str
    pixels: int
    is_simulated: bool
    folder: Path

    def score(self, path: Path, picture_sha256: str) -> Scores:
        """Return the probabilities of one picture. Raises DamagedError for a broken one."""
        import numpy

        pixels = numpy.asarray(_square(open_upright(path), self.pixels), dtype=numpy.float32)
        batch = pixels[None, :, :, ::-1]
        name = self.session.get_inputs()[0].name
        (row,) = self.session.run(None, {name: numpy.ascontiguousarray(batch)})[0]
        return self._scores(row.tolist(), picture_sha256)

    def _scores(self, row: Sequence[float], picture_sha256: str) -> Scores:
        groups: dict[Category, dict[str, float]] = {category: {} for category in Category}
        for tag, probability in zip(self.vocabulary.tags, row, strict=True):
            if probability >= FLOOR or tag.category is Category.RATING:
                groups[tag.category][tag.name] = round(probability, 4)
        return Scores(
            picture_sha256,
            self.model_sha256,
            groups[Category.RATING],
            groups[Category.GENERAL],
            groups[Category.CHARACTER],
        )


def _square(picture: Image.Image, pixels: int) -> Image.Image:
    from PIL import Image

    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.new("RGBA", layer.size, "white")
        picture.alpha_composite(layer)
    picture = picture.convert("RGB")
    side = max(picture.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    # cv2.INTER_AREA, which sd-scripts uses to shrink, averages as Pillow's BOX does
    way = Image.Resampling.BOX if side > pixels else Image.Resampling.LANCZOS
    return square.resize((pixels, pixels), way)


def open_tagger(folder: Path, *, on_cpu: bool = False) -> Tagger:
    """Open `model.onnx` and `selected_tags.csv` in `folder`.

    `on_cpu` leaves the graphics card to a training or a WebUI that may need all of its memory.

    Raises MissingError (no model there; onnxruntime is missing) or DamagedError (tag list; no
    WD14-shaped model).
    """
    model = folder / "model.onnx"
    if not model.is_file():
        raise MissingError(
            "LL250",
            f"{folder} holds no tagger: model.onnx is not there.",
            "Download a WD14 tagger's model.onnx and selected_tags.csv into one folder and name "
            "it under captions.model in the manifest.",
        )
    vocabulary = read_vocabulary(folder / "selected_tags.csv")
    session = _open_session(model, on_cpu)
    pixels = _require_wd14_shape(session, vocabulary, model)
    notes = session.get_modelmeta().custom_metadata_map
    simulated = any("simulated" in text for text in notes.values())
    return Tagger(session, vocabulary, sha256_of(model), pixels, simulated, folder)


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
        raise _no_wd14(model, str(error).splitlines()[0]) from error


def _require_wd14_shape(session: Any, vocabulary: Vocabulary, model: Path) -> int:
    shape = session.get_inputs()[0].shape
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or not isinstance(shape[1], int):
        raise _no_wd14(model, f"its input has the shape {shape}, not [N, 448, 448, 3]")
    outputs = session.get_outputs()[0].shape[-1]
    if outputs != len(vocabulary.tags):
        raise _no_wd14(
            model, f"it has {outputs} outputs, selected_tags.csv {len(vocabulary.tags)} tags"
        )
    return int(shape[1])


def _no_wd14(model: Path, why: str) -> ToolError:
    return DamagedError(
        "LL253",
        f"{model} is not a WD14 tagger: {why}.",
        "Use a model with the WD14 interface, together with its own selected_tags.csv.",
    )
