"""Make the simulated tagger: a small ONNX model with the WD14 interface that sees only colours.

The file is written as protobuf by hand (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3):
transpose, average over a 4 x 4 raster, one linear layer, sigmoid. Its tags mean little.
"""

from __future__ import annotations

import csv
import hashlib
import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..project.files import write_bytes_atomic, write_text_atomic

_RASTER = 4
_PIXELS = 448
_FEATURES = 3 * _RASTER * _RASTER
_FILLERS = 420
NOTE = "loraloom simulated tagger: sees average colours only, for demos and tests"


@dataclass(frozen=True)
class _Probe:
    """One tag: bias, and weights of mean colours (blue, green, red) over raster rows."""

    name: str
    category: int
    bias: float
    weights: tuple[tuple[str, tuple[int, ...], float], ...] = ()


_TOP, _UPPER, _MIDDLE, _BOTTOM = (0,), (1,), (1, 2), (3,)
_PROBES = (
    _Probe("general", 9, 3.0),
    _Probe("sensitive", 9, -3.0),
    _Probe("questionable", 9, -6.0),
    _Probe("explicit", 9, -7.0),
    _Probe("solo", 0, 3.5),
    _Probe("no_humans", 0, 3.0),
    _Probe("animal_focus", 0, 2.4),
    _Probe("fox_ears", 0, 2.2),
    _Probe("looking_at_viewer", 0, 1.6),
    _Probe("blue_sky", 0, -3.2, (("b", _TOP, 0.06), ("r", _TOP, -0.045))),
    _Probe("night_sky", 0, 4.5, (("b", _TOP, -0.02), ("g", _TOP, -0.05), ("r", _TOP, -0.02))),
    _Probe("sunset", 0, -2.2, (("r", _UPPER, 0.06), ("g", _UPPER, -0.06))),
    _Probe("snow", 0, -24.0, (("b", _BOTTOM, 0.06), ("g", _BOTTOM, 0.06))),
    _Probe("grass", 0, -1.5, (("g", _BOTTOM, 0.09), ("r", _BOTTOM, -0.09))),
    _Probe("sand", 0, -4.2, (("r", _BOTTOM, 0.06), ("b", _BOTTOM, -0.06))),
    _Probe("outdoors", 0, -0.6, (("b", _TOP, 0.03), ("r", _TOP, -0.02))),
    _Probe("orange_fur", 0, -2.4, (("r", _MIDDLE, 0.14), ("b", _MIDDLE, -0.14))),
    _Probe("close-up", 0, -7.0, (("r", _MIDDLE, 0.09), ("b", _MIDDLE, -0.09))),
    _Probe("full_body", 0, 2.4, (("r", _MIDDLE, -0.05), ("b", _MIDDLE, 0.04))),
    _Probe("bright", 0, -9.0, (("g", _TOP, 0.03), ("g", _MIDDLE, 0.03))),
    _Probe("dark", 0, 3.0, (("g", _TOP, -0.03), ("g", _MIDDLE, -0.02))),
    _Probe("quillfox_(simulated)", 4, 2.5),
)


def write_tagger_model(folder: Path) -> Path:
    """Write `model.onnx` (some 80 KB) and `selected_tags.csv` into `folder`; return the folder."""
    probes = (*_PROBES[:-1], *_fillers(), _PROBES[-1])
    write_bytes_atomic(folder / "model.onnx", _model_bytes(probes))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tag_id", "name", "category", "count"])
    for number, probe in enumerate(probes):
        writer.writerow([number, probe.name, probe.category, 1000])
    write_text_atomic(folder / "selected_tags.csv", text.getvalue())
    return folder


def _fillers() -> Iterable[_Probe]:
    """Tags that stay below every threshold: a real vocabulary has thousands of them."""
    for number in range(_FILLERS):
        digest = hashlib.sha256(f"filler {number}".encode()).digest()
        weight = (digest[0] - 128) / 128 * 0.004
        row = (digest[1] % _RASTER,)
        yield _Probe(f"simulated_tag_{number:03d}", 0, -5.0, (("g", row, weight),))


def _column(probe: _Probe) -> list[float]:
    """Return the weights of one tag over the features: channel (b, g, r) x row x column."""
    column = [0.0] * _FEATURES
    for channel, rows, weight in probe.weights:
        for row in rows:
            for place in range(_RASTER):
                index = ("bgr".index(channel) * _RASTER + row) * _RASTER + place
                column[index] += weight / (len(rows) * _RASTER)
    return column


def _model_bytes(probes: tuple[_Probe, ...]) -> bytes:
    columns = [_column(probe) for probe in probes]
    weights = [column[feature] for feature in range(_FEATURES) for column in columns]
    step = _PIXELS // _RASTER
    nodes = (
        _node("Transpose", ["input"], "planes", _ints("perm", [0, 3, 1, 2])),
        _node(
            "AveragePool",
            ["planes"],
            "raster",
            _ints("kernel_shape", [step, step]) + _ints("strides", [step, step]),
        ),
        _node("Flatten", ["raster"], "features", b""),
        _node("MatMul", ["features", "weights"], "products", b""),
        _node("Add", ["products", "bias"], "logits", b""),
        _node("Sigmoid", ["logits"], "output", b""),
    )
    graph = b"".join(
        (
            *(_field(1, node) for node in nodes),
            _field(2, b"simulated-tagger"),
            _field(5, _tensor("weights", [_FEATURES, len(probes)], weights)),
            _field(5, _tensor("bias", [len(probes)], [probe.bias for probe in probes])),
            _field(11, _value("input", ["N", _PIXELS, _PIXELS, 3])),
            _field(12, _value("output", ["N", len(probes)])),
        )
    )
    metadata = {"author": "loraloom", "description": NOTE}
    return b"".join(
        (
            _number(1, 8),
            _field(2, b"loraloom"),
            _field(6, NOTE.encode()),
            _field(7, graph),
            _field(8, _number(2, 17)),
            *(
                _field(14, _field(1, key.encode()) + _field(2, value.encode()))
                for key, value in metadata.items()
            ),
        )
    )


# Protocol buffers: a key of field number and wire type, then a varint or a length and bytes.


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(kind: str, inputs: list[str], output: str, attributes: bytes) -> bytes:
    parts = [_field(1, name.encode()) for name in inputs]
    return b"".join((*parts, _field(2, output.encode()), _field(4, kind.encode()), attributes))


def _ints(name: str, values: list[int]) -> bytes:
    content = _field(1, name.encode()) + b"".join(_number(8, value) for value in values)
    return _field(5, content + _number(20, 7))


def _tensor(name: str, shape: list[int], values: list[float]) -> bytes:
    raw = struct.pack(f"<{len(values)}f", *values)
    sizes = b"".join(_number(1, size) for size in shape)
    return sizes + _number(2, 1) + _field(8, name.encode()) + _field(9, raw)


def _value(name: str, shape: list[int | str]) -> bytes:
    dims = b"".join(
        _field(1, _number(1, size) if isinstance(size, int) else _field(2, size.encode()))
        for size in shape
    )
    kind = _field(1, _number(1, 1) + _field(2, dims))
    return _field(1, name.encode()) + _field(2, kind)
