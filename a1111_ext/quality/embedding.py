"""Image embeddings as plug-ins of the group `loraloom.embeddings`, and the one for ONNX files.

A plug-in is called with a path and returns an `Embedding`. Faces are embedded only of a person
whose consent the manifest records.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kohya_ext.project import (
    DamagedError,
    InputError,
    PackageMissing,
    Project,
    RuleError,
)
from kohya_ext.project.files import sha256_of
from kohya_ext.project.json_reader import read_json_object
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.plugins import load_plugin, named_plugins

GROUP = "loraloom.embeddings"
FALLBACK = {"onnx": "a1111_ext.quality.embedding:open_onnx"}
"""Our own plug-in by name, for a clone that was never installed."""

_FACE_PIXELS = 112
"""Face recognition models take this size; general ones take 224 and more."""


class Embedding(Protocol):
    """Turns a picture into a vector; `key` names the model for what is kept."""

    key: str
    is_of_faces: bool

    def embed(self, path: Path) -> list[float]:
        """Return the picture's vector."""


def open_embedding(project: Project, text: str) -> Embedding:
    """Open `PATH`, which is an ONNX file or its folder, or `NAME=PATH` with a plug-in's name.

    Raises InputError (no such plug-in), DamagedError (the model cannot be used), RuleError (a
    face embedding without consent).
    """
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "onnx", text
    opened = _find(name)(Path(path))
    subject = project.manifest.subject
    if opened.is_of_faces and (subject.kind is not SubjectKind.PERSON or subject.consent is None):
        raise RuleError(
            "LL533",
            f"{path} compares faces, and {project.manifest_path} records no consent of a person.",
            "Use a general image embedding such as CLIP or DINOv2, or fill in subject.consent.",
        )
    return opened


def _find(name: str) -> Callable[[Path], Embedding]:
    targets = FALLBACK | named_plugins(GROUP)
    if name not in targets:
        raise InputError(
            "LL531",
            f'There is no embedding plug-in "{name}".',
            f"Install the package that provides it, or use one of: {', '.join(sorted(targets))}.",
        )
    found: Callable[[Path], Embedding] = load_plugin(targets[name])
    return found


@dataclass(frozen=True)
class OnnxEmbedding:
    """An ONNX model with one picture as its input and a vector among its outputs."""

    session: Any
    key: str
    pixels: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    output: str
    inputs: tuple[str, ...]

    @property
    def is_of_faces(self) -> bool:
        """Whether it takes the size that face recognition takes."""
        return self.pixels == _FACE_PIXELS

    def embed(self, path: Path) -> list[float]:
        """Return the vector of a picture, resized to a square as most models expect."""
        import numpy
        from PIL import Image

        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        picture = picture.resize((self.pixels, self.pixels), Image.Resampling.BICUBIC)
        values = numpy.asarray(picture, dtype=numpy.float32) / 255.0
        values = (values - numpy.asarray(self.mean)) / numpy.asarray(self.deviation)
        batch = values.astype(numpy.float32).transpose(2, 0, 1)[None]
        (found,) = self.session.run([self.output], {self.inputs[0]: batch})
        # a transformer without pooled output: its first token stands for the whole picture
        row = found[0] if found.ndim == 2 else found[0][0]
        return [float(value) for value in row.reshape(-1)]


_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def open_onnx(path: Path) -> OnnxEmbedding:
    """Open an ONNX image embedding; size and colours from preprocessor_config.json beside it.

    Raises PackageMissing (onnxruntime), DamagedError.
    """
    file = path / "model.onnx" if path.is_dir() else path
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageMissing(
            "LL252",
            "Embeddings need the package onnxruntime, which is not installed.",
            f'Install it: "{sys.executable}" -m pip install onnxruntime',
        ) from error
    try:
        # the graphics card belongs to the training or the WebUI
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own, unnamed classes
        raise _unusable(file, str(error).splitlines()[0]) from error
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        raise _unusable(file, f"its input is {[one.shape for one in inputs]}, not one [N, 3, H, W]")
    config = _config(file.with_name("preprocessor_config.json"))
    pixels = shape[2] if isinstance(shape[2], int) else _size(config)
    return OnnxEmbedding(
        session,
        sha256_of(file),
        pixels,
        tuple(config.get("image_mean", _CLIP_MEAN)),
        tuple(config.get("image_std", _CLIP_DEVIATION)),
        _output(session, file),
        (inputs[0].name,),
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except (OSError, ValueError):
        return {}


def _size(config: dict[str, Any]) -> int:
    for name in ("crop_size", "size"):
        size = config.get(name)
        if isinstance(size, dict):
            size = size.get("height") or size.get("shortest_edge")
        if isinstance(size, int):
            return size
    return 224


def _output(session: Any, file: Path) -> str:
    outputs = session.get_outputs()
    ranks = {one.name: len(one.shape) for one in outputs}
    for name in ("image_embeds", "pooler_output", "embedding"):
        if ranks.get(name) == 2:
            return name
    flat = next((name for name, rank in ranks.items() if rank == 2), None)
    found = flat or next((name for name, rank in ranks.items() if rank == 3), None)
    if found is None:
        raise _unusable(file, "none of its outputs is a vector")
    return str(found)


def _unusable(file: Path, why: str) -> DamagedError:
    return DamagedError(
        "LL532",
        f"{file} cannot be used as an image embedding: {why}.",
        "Use an ONNX export of an image encoder, for example of CLIP, SigLIP or DINOv2.",
    )
