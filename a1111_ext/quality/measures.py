"""What was measured of pictures and files, kept beside the ledger's pictures, made once.

Everything here can be made again at any time; a file that is damaged counts as none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import read_json

from .fingerprint import Fingerprint, fingerprint_of, parse_fingerprint, read_fingerprints
from .texture import Texture, texture_of
from .weights import LayerNorms, read_layer_norms

FORMAT = 1
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class PictureMeasures:
    """Texture and fingerprint of one picture."""

    texture: Texture
    fingerprint: Fingerprint


class Measures:
    """The measures kept in `folder`, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def picture(self, key: str, path: Path) -> PictureMeasures:
        """Return the measures of a picture. OSError when it cannot be decoded."""
        return self._kept(f"picture-{key}", lambda: _measure(path), _write_picture, _read_picture)

    def training(self, sha256: str, path: Path) -> tuple[Fingerprint, ...]:
        """Return the fingerprints of a training picture and its crops. OSError as above."""
        return self._kept(
            f"training-{sha256}",
            lambda: read_fingerprints(path),
            lambda found: [one.as_text() for one in found],
            lambda data: tuple(parse_fingerprint(one) for one in data),
        )

    def weights(self, path: Path) -> LayerNorms:
        """Return the norms of a LoRA file. Raises DamagedError or MachineError."""
        status = path.stat()
        name = f"weights-{path.stem}-{status.st_size}-{status.st_mtime_ns}"
        return self._kept(name, lambda: read_layer_norms(path), _write_norms, _read_norms)

    def vector(self, model: str, sha256: str, make: Callable[[], list[float]]) -> list[float]:
        """Return the embedding of a picture by one model, both named by hashes."""
        return self._kept(f"vector-{model[:12]}-{sha256}", make, list, _read_vector)

    def _kept(
        self,
        name: str,
        make: Callable[[], _Kept],
        write: Callable[[_Kept], Any],
        read: Callable[[Any], _Kept],
    ) -> _Kept:
        path = self._folder / f"{name}.json"
        try:
            data = read_json(path)
            if data["format"] == FORMAT:
                return read(data["value"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # it is made again
        made = make()
        write_json_atomic(path, {"format": FORMAT, "value": write(made)})
        return made


def _measure(path: Path) -> PictureMeasures:
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    return PictureMeasures(texture_of(picture), fingerprint_of(picture))


def _write_picture(one: PictureMeasures) -> Any:
    return {"texture": one.texture.as_dict(), "fingerprint": one.fingerprint.as_text()}


def _read_picture(data: Any) -> PictureMeasures:
    return PictureMeasures(Texture(**data["texture"]), parse_fingerprint(data["fingerprint"]))


def _write_norms(one: LayerNorms) -> Any:
    return {
        "layers": dict(one.layers),
        "broken": list(one.broken),
        "is_product": one.is_product,
    }


def _read_norms(data: Any) -> LayerNorms:
    return LayerNorms(dict(data["layers"]), tuple(data["broken"]), bool(data["is_product"]))


def _read_vector(data: Any) -> list[float]:
    return [float(value) for value in data]
