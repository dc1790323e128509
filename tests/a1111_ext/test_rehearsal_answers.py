"""The stand-in WebUI is held against what the real one answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answers import ROUTES, shape_of, unknown_in
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.rehearsal import RehearsalWebui

RECORDED = Path(__file__).resolve().parents[1] / "recorded" / "a1111" / "shapes.json"


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))["answers"]
    return answers


@pytest.mark.parametrize("name", ROUTES)
def test_the_stand_in_says_nothing_the_real_one_does_not(
    name: str, webui: RehearsalWebui, client: Client, real: dict[str, Any]
):
    save_lora(webui.host.lora_dir, "Quillfox-000001")
    webui.host.refresh_loras()
    mine = shape_of(client.get(ROUTES[name]))
    assert mine
    assert unknown_in(mine, real[name], name) == []


def test_a_picture_comes_as_from_the_real_one(client: Client, real: dict[str, Any]):
    body = {"prompt": "a quillfox", "seed": 5, "steps": 1, "width": 64, "height": 64}
    answer = client.post("/sdapi/v1/txt2img", body, seconds=30)
    answer["info"] = json.loads(answer["info"])
    answer["parameters"] = {}
    assert unknown_in(shape_of(answer), real["txt2img"], "txt2img") == []


def test_another_shape_is_noticed():
    assert unknown_in({"a": "str"}, {"b": "str"}, "x") == ["x.a is unknown"]
    assert unknown_in([{"a": "str"}], [{"a": "number"}], "x") == ["x.a: str, not number"]
