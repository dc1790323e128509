"""Weights, read off files that tests write."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy
import pytest

from a1111_ext.quality.growth import measure_weights
from a1111_ext.quality.weights import LayerNorms, read_layer_norms
from kohya_ext.project.lora_file import Tensor, write_lora


def bytes_of(matrix: numpy.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":
        return (matrix.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return matrix.astype({"F16": "<f2", "F32": "<f4"}[dtype]).tobytes()


def write_pair(path: Path, up: numpy.ndarray, down: numpy.ndarray, dtype: str = "F32") -> None:
    write_lora(
        path,
        {
            "lora_unet_a.lora_down.weight": Tensor(dtype, down.shape, bytes_of(down, dtype)),
            "lora_unet_a.lora_up.weight": Tensor(dtype, up.shape, bytes_of(up, dtype)),
            "lora_unet_a.alpha": Tensor("F32", (), struct.pack("<f", 2.0)),
        },
        {},
    )


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_norms_are_those_of_the_product(tmp_path: Path, dtype: str):
    rng = numpy.random.default_rng(1)
    up, down = rng.standard_normal((30, 4)), rng.standard_normal((4, 50))
    write_pair(tmp_path / "a.safetensors", up, down, dtype)
    expected = numpy.linalg.norm(up @ down) * 2.0 / 4
    found = read_layer_norms(tmp_path / "a.safetensors")
    assert found.total == pytest.approx(expected, rel=0.02)
    assert found.is_product


def test_large_ranks_are_sketched_closely(tmp_path: Path):
    rng = numpy.random.default_rng(1)
    up, down = rng.standard_normal((300, 64)), rng.standard_normal((64, 400))
    write_pair(tmp_path / "a.safetensors", up, down)
    expected = numpy.linalg.norm(up @ down) * 2.0 / 64
    assert read_layer_norms(tmp_path / "a.safetensors").total == pytest.approx(expected, rel=0.1)


def test_convolutions_and_unknown_dtypes_are_read(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    down = numpy.ones((2, 3, 3, 3))
    up = numpy.ones((5, 2, 1, 1))
    write_lora(
        path,
        {
            "lora_unet_c.lora_down.weight": Tensor("F32", down.shape, bytes_of(down, "F32")),
            "lora_unet_c.lora_up.weight": Tensor("F32", up.shape, bytes_of(up, "F32")),
            "lora_unet_h.hada_w1_a": Tensor("F32", (2, 2), bytes_of(numpy.ones((2, 2)), "F32")),
            "lora_unet_h.hada_w1_b": Tensor("U8", (4,), b"abcd"),
        },
        {},
    )
    found = read_layer_norms(path)
    expected = numpy.linalg.norm(up.reshape(5, 2) @ down.reshape(2, 27))
    assert found.layers["lora_unet_c"] == pytest.approx(expected, rel=1e-5)
    assert not found.is_product


def test_nan_is_named(tmp_path: Path):
    up, down = numpy.ones((3, 2)), numpy.ones((2, 3))
    up[1, 1] = math.nan
    write_pair(tmp_path / "a.safetensors", up, down)
    assert read_layer_norms(tmp_path / "a.safetensors").broken == ("lora_unet_a",)


def norms(*totals: float) -> list[LayerNorms]:
    return [LayerNorms({"a": value * 0.6, "b": value * 0.8}) for value in totals]


def test_slowing_growth_is_healthy():
    signal = measure_weights(norms(1.0, 1.5, 1.9, 2.2, 2.4, 2.6, 2.7))
    assert signal.bad == (False,) * 7
    assert signal.values[1] == pytest.approx(1.5)


def test_a_break_in_the_slope_is_seen():
    signal = measure_weights(norms(1.0, 1.5, 1.9, 2.2, 2.4, 2.6, 4.5, 7.0, 10.0))
    assert signal.bad == (False,) * 6 + (True,) * 3


def test_damaged_dead_and_exploded_layers_are_seen():
    good = LayerNorms(dict.fromkeys("abcdefgh", 1.0))
    exploded = LayerNorms({**good.layers, "c": 9.0})
    dead = LayerNorms(dict.fromkeys("abcdefgh", 0.0))
    broken = LayerNorms({"a": 1.0}, ("b",))
    signal = measure_weights([good, exploded, dead, broken])
    assert signal.bad == (False, True, True, True)
    assert "layer c" in signal.notes[1]
    assert "layers without effect" in signal.notes[2]
    assert "NaN" in signal.notes[3]
    assert signal.values[3] is None


def test_files_without_layers_are_not_measured():
    assert not measure_weights([LayerNorms({}), None]).is_measured
