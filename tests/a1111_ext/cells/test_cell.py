"""A cell is a complete request; its key is the hash of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from drawing import cell, pinned, without_loras
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    CheckpointPin,
    HiresFix,
    HttpBackend,
    with_loras,
)
from a1111_ext.cells.cell import cell_from_dict
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError


@pytest.fixture
def backend(webui: SimulatedWebui):
    for epoch in (1, 2, 3):
        save_lora(webui.host.lora_dir, f"fox-{epoch:06d}", epoch=epoch)
    webui.host.refresh_loras()
    opened = HttpBackend(Client(webui.url))
    yield opened
    opened.close()


def test_equal_requests_have_equal_keys():
    assert cell().key == cell().key
    assert cell().key != cell(seed=2).key
    assert cell().key != cell(hires_fix=HiresFix()).key


def test_another_seed_is_another_cell():
    one = cell(prompt='a "seed":1, fox', hires_fix=HiresFix())
    other = one.with_seed(987)
    assert other == replace(one, seed=987)
    assert other.key == replace(one, seed=987).key == cell_from_dict(other.as_dict()).key


def test_a_cell_survives_json():
    one = cell(hires_fix=HiresFix(), checkpoint=CheckpointPin("a", "b"))
    one = with_loras(replace(one, prompt="<lora:x:0.8> y"), {"x": "abc"})
    assert cell_from_dict(one.as_dict()) == one
    with pytest.raises(ValueError, match="this is not a cell"):
        cell_from_dict({"prompt": "x"})


def test_the_control_has_no_lora():
    one = with_loras(cell(prompt="<lora:a:1> photo, <lora:b:0.5> fox"), {})
    assert [use.token for use in one.loras] == ["<lora:a:1>", "<lora:b:0.5>"]
    assert without_loras(one).prompt == "photo, fox"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"checkpoint": CheckpointPin("SIMULATED-A")}, "LL408"),
        ({"prompt": "<lora:fox-000009:1>"}, "LL409"),
        ({"prompt": "<lora:Fox-000001:1>"}, "LL409"),
        ({"prompt": "<lora:fox-000001:abc>"}, "LL414"),
        ({"prompt": "<lora:fox-000001:0.5:x>"}, "LL414"),
        ({"sampler": "euler a"}, "LL410"),
        ({"scheduler": "karras"}, "LL410"),
        ({"hires_fix": HiresFix(upscaler="R-ESRGAN")}, "LL410"),
    ],
)
def test_wrong_names_are_noticed_before(backend, changes: dict[str, Any], code: str):
    with pytest.raises(ToolError, match=code):
        pinned(backend, cell(**changes))
