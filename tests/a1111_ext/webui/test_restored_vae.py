"""Within reForge, a checkpoint is loaded again where its VAE is not its own any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from a1111_ext.cells.cell import Cell, CheckpointPin
from a1111_ext.webui.own_vae import restore_own_vae
from kohya_ext.project.lora_file import Tensor, write_lora

CELL = Cell("a fox", 5, checkpoint=CheckpointPin("tiny-a"))
NUMBERS = np.linspace(-1, 1, 24, dtype="<f4")
LAYER = "first_stage_model.decoder.conv_out"


class Weight:
    """As much of a tensor as is asked for."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def detach(self) -> Weight:
        return self

    float = cpu = detach

    def numpy(self) -> Any:
        return self.numbers


def as_bfloat16(numbers: Any) -> Any:
    return (numbers.view("<u4") + 0x7FFF + (numbers.view("<u4") >> 16 & 1) & 0xFFFF0000).view("<f4")


@pytest.fixture
def reforge(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A WebUI as far as it is asked: the loaded checkpoint's weights, and what is loaded again."""
    labels = host.shared.opts.data_labels
    monkeypatch.setitem(labels, "sd_text_encoder", SimpleNamespace(default="Automatic"))
    info = host.sd_models.checkpoint_aliases["tiny-a"]
    Path(info.filename).parent.mkdir(parents=True, exist_ok=True)
    halves = NUMBERS.astype("<f2")
    weight = Tensor("F16", (2, 3, 2, 2), halves.tobytes())
    bias = Tensor("F32", (2,), NUMBERS[:2].tobytes())
    write_lora(Path(info.filename), {f"{LAYER}.weight": weight, f"{LAYER}.bias": bias}, {})
    layer = SimpleNamespace(weight=Weight(halves.astype("<f4")), bias=Weight(NUMBERS[:2].copy()))
    vae = SimpleNamespace(decoder=SimpleNamespace(conv_out=layer))
    loaded = SimpleNamespace(filename=info.filename, first_stage_model=vae)
    monkeypatch.setattr(host.sd_models.model_data, "loaded_sd_models", [loaded], raising=False)
    again: list[str] = []

    def load_model(info: Any, *, forced_reload: bool) -> Any:
        again.append(info.model_name)
        layer.weight = Weight(halves.astype("<f4"))
        layer.bias = Weight(NUMBERS[:2].copy())
        return loaded

    monkeypatch.setattr(host.sd_models, "load_model", load_model, raising=False)
    return SimpleNamespace(layer=layer, again=again, path=info.filename)


def restore(*cells: Cell) -> None:
    incomparable: set[str] = set()
    for one in cells:
        restore_own_vae(one, incomparable)


def test_its_own_is_left(reforge: Any):
    restore(CELL)
    reforge.layer.weight = Weight(as_bfloat16(reforge.layer.weight.numbers))
    restore(CELL)
    assert reforge.again == []


@pytest.mark.parametrize("kind", ["weight", "bias"])
@pytest.mark.parametrize("cell", [CELL, replace(CELL, vae="None")])
def test_another_one_is_replaced(reforge: Any, kind: str, cell: Cell):
    getattr(reforge.layer, kind).numbers[1] *= 1.005  # more than bfloat16 rounds
    restore(replace(CELL, vae="soft.pt"))
    assert reforge.again == []
    restore(cell, cell)
    assert reforge.again == ["tiny-a"]


def test_a_vae_of_other_sizes_is_replaced(reforge: Any):
    reforge.layer.weight = Weight(NUMBERS[:7])
    restore(CELL)
    assert reforge.again == ["tiny-a"]


def test_a_checkpoint_that_is_not_loaded_will_have_its_own(reforge: Any):
    reforge.layer.weight.numbers[3] *= 2
    restore(replace(CELL, checkpoint=CheckpointPin("tiny-b")))
    assert reforge.again == []


@pytest.mark.parametrize("names", [(), ("model.diffusion_model.out.2.weight",)])
def test_what_cannot_be_compared_is_loaded_again_once(reforge: Any, names: tuple[str, ...]):
    """And again after a VAE."""
    write_lora(Path(reforge.path), {name: Tensor("F16", (), b"\0\0") for name in names}, {})
    if not names:
        Path(reforge.path).write_bytes(b"a pickle")
    restore(CELL, replace(CELL, seed=6))
    assert reforge.again == ["tiny-a"]
    restore(CELL, replace(CELL, vae="soft.pt"), CELL)
    assert reforge.again == ["tiny-a"] * 3


def test_other_hosts_are_left_alone(host: Any):
    restore(CELL)  # they have no such list of models
