"""What a LoRA file says by itself: the size of each layer's change, without a graphics card.

The file is mapped, not loaded, and read tensor by tensor. A layer's change is up x down x
alpha / rank; its norm follows from two small matrices, so the product is never made, and for
large ranks from a sketch of it (24 fixed random vectors, some 3 % off, the same in every epoch).
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kohya_ext.project.lora_file import LoraHeader, TensorInfo, read_header

_DOWN = re.compile(r"^(?P<layer>.+?)\.(lora_down|lora_A|lora\.down)(?:\.default)?\.weight$")
_UP = re.compile(r"^(?P<layer>.+?)\.(lora_up|lora_B|lora\.up)(?:\.default)?\.weight$")
_MID = re.compile(r"^(?P<layer>.+?)\.lora_mid\.weight$")
_OTHER = re.compile(
    r"^(?P<layer>.+?)\.(?P<part>hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2|diff|"
    r"diff_b|weight|bias|dora_scale|w_norm|b_norm)$"
)
_NUMBERS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
_EXACT_RANK = 32
_VECTORS = 24
_BLOCK = 1 << 22
"""Numbers that are turned into float32 at a time: 16 MB."""


@dataclass(frozen=True)
class LayerNorms:
    """The size of each layer's change in one file; `broken` names layers with NaN or infinity.

    `is_product` tells that the norms are those of up x down; for other kinds of LoRA they are the
    factors' norms multiplied, which grow the same way.
    """

    layers: Mapping[str, float]
    broken: tuple[str, ...] = ()
    is_product: bool = True

    @property
    def total(self) -> float:
        """The norm of the whole change; infinity when a layer is broken."""
        if self.broken:
            return math.inf
        return math.sqrt(sum(value * value for value in self.layers.values()))

    @property
    def dead(self) -> tuple[str, ...]:
        """Layers that change nothing at all."""
        return tuple(name for name, value in self.layers.items() if value == 0.0)


def read_layer_norms(path: Path) -> LayerNorms:
    """Measure a LoRA file. Raises DamagedError or MachineError."""
    import numpy

    header = read_header(path)
    layers = _layers(header)
    norms: dict[str, float] = {}
    broken: list[str] = []
    is_product = True
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as memory,
    ):
        for layer, parts in layers.items():
            with numpy.errstate(over="ignore", invalid="ignore"):
                value = _norm(memory, header, parts)
            is_product = is_product and {"down", "up"} <= set(parts)
            if math.isfinite(value):
                norms[layer] = value
            else:
                broken.append(layer)
    return LayerNorms(norms, tuple(broken), is_product)


def _layers(header: LoraHeader) -> dict[str, dict[str, TensorInfo]]:
    """Return the tensors of each layer by their part in it, of dtypes that can be read."""
    found: dict[str, dict[str, TensorInfo]] = {}
    for one in header.tensors:
        if one.dtype != "BF16" and one.dtype not in _NUMBERS:
            continue  # eight bits, or a dtype newer than this table
        for part, pattern in (("down", _DOWN), ("up", _UP), ("mid", _MID)):
            if match := pattern.match(one.name):
                found.setdefault(match["layer"], {})[part] = one
                break
        else:
            if one.name.endswith(".alpha"):
                found.setdefault(one.name[: -len(".alpha")], {})["alpha"] = one
            elif match := _OTHER.match(one.name):
                found.setdefault(match["layer"], {})[match["part"]] = one
    return {layer: parts for layer, parts in found.items() if set(parts) - {"alpha"}}


def _blocks(memory: mmap.mmap, header: LoraHeader, one: TensorInfo) -> Iterator[Any]:
    """Give a tensor's numbers as float32, some at a time; nothing of a dtype that is unknown."""
    import numpy

    begin = header.data_begin + one.begin
    count = math.prod(one.shape)
    size = (one.end - one.begin) // count if count else 0
    for start in range(0, count, _BLOCK):
        number = min(_BLOCK, count - start)
        raw = memory[begin + start * size : begin + (start + number) * size]
        if one.dtype == "BF16":
            halves = numpy.frombuffer(raw, dtype="<u2").astype(numpy.uint32)
            yield (halves << 16).view(numpy.float32)
        elif one.dtype in _NUMBERS:
            yield numpy.frombuffer(raw, dtype=_NUMBERS[one.dtype]).astype(numpy.float32)


def _matrix(memory: mmap.mmap, header: LoraHeader, one: TensorInfo) -> Any:
    """Return a whole tensor as a float32 matrix: its first axis, and all others together."""
    import numpy

    parts = list(_blocks(memory, header, one))
    if not parts:
        return numpy.zeros((1, 1), dtype=numpy.float32)
    flat = parts[0] if len(parts) == 1 else numpy.concatenate(parts)
    return flat.reshape(one.shape[0] if one.shape else 1, -1)


def _norm(memory: mmap.mmap, header: LoraHeader, parts: Mapping[str, TensorInfo]) -> float:
    if {"down", "up"} <= set(parts):
        return _product_norm(memory, header, parts)
    norms = [_frobenius(memory, header, one) for part, one in parts.items() if part != "alpha"]
    return math.prod(norms) if norms else 0.0


def _product_norm(memory: mmap.mmap, header: LoraHeader, parts: Mapping[str, TensorInfo]) -> float:
    """Return the norm of up x down x alpha / rank.

    |up x down| squared is the sum over all places of (up^T up) times (down down^T), which are
    matrices of the rank's size.
    """
    down = _matrix(memory, header, parts["down"])
    up = _matrix(memory, header, parts["up"])
    rank = down.shape[0]
    if up.size % rank:
        return _frobenius(memory, header, parts["down"])
    up = up.reshape(-1, rank)
    if rank <= _EXACT_RANK:
        square = float(((up.T @ up).astype("f8") * (down @ down.T).astype("f8")).sum())
    else:
        sketch = up @ (down @ _signs(down.shape[1]))
        square = float((sketch.astype("f8") ** 2).sum()) / _VECTORS
    scale = 1.0
    if "alpha" in parts:
        alpha = _matrix(memory, header, parts["alpha"])
        scale = float(alpha.reshape(-1)[0]) / rank
    if "mid" in parts:
        scale *= _frobenius(memory, header, parts["mid"])
    # rounding may leave a square of nothing just below 0
    return math.sqrt(max(0.0, square)) * abs(scale) if math.isfinite(square) else math.nan


@lru_cache(maxsize=64)
def _signs(count: int) -> Any:
    """Return vectors of 1 and -1, the same ones every time: E|M v|^2 is the square of M's norm."""
    import numpy

    rng = numpy.random.default_rng(count)
    return rng.integers(0, 2, (count, _VECTORS)).astype(numpy.float32) * 2 - 1


def _frobenius(memory: mmap.mmap, header: LoraHeader, one: TensorInfo) -> float:
    import numpy

    total = 0.0
    for block in _blocks(memory, header, one):
        total += float(numpy.dot(block, block))
    return math.sqrt(total) if math.isfinite(total) else math.nan
