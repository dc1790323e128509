"""The simulated WebUI is compared with what the real ones answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from answers import NOT_SAID, ROUTES, shape_of, unknown_in
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.simulator import SimulatedWebui

RECORDED = Path(__file__).resolve().parents[1] / "recorded"


@dataclass(frozen=True)
class Recorded:
    """What a real host answered once."""

    host: str
    answers: dict[str, Any]

    def unknown(self, mine: Any, name: str) -> list[str]:
        """Return what the real host would never say."""
        found = unknown_in(mine, self.answers[name], name)
        return [one for one in found if one not in NOT_SAID[self.host]]


@pytest.fixture(scope="module", params=["a1111", "forge"])
def real(request: pytest.FixtureRequest) -> Recorded:
    data = json.loads((RECORDED / request.param / "shapes.json").read_text(encoding="utf-8"))
    return Recorded(data["host"], data["answers"])


@pytest.mark.parametrize("name", ROUTES)
def test_the_stand_in_says_nothing_the_real_one_does_not(
    name: str, webui: SimulatedWebui, client: Client, real: Recorded
):
    save_lora(webui.host.lora_dir, "Quillfox-000001")
    webui.host.refresh_loras()
    mine = shape_of(client.get(ROUTES[name]))
    assert mine
    assert real.unknown(mine, name) == []


def test_a_picture_comes_as_from_the_real_one(client: Client, real: Recorded):
    body = {"prompt": "a quillfox", "seed": 5, "steps": 1, "width": 64, "height": 64}
    answer = client.post("/sdapi/v1/txt2img", body, seconds=30)
    answer["info"] = json.loads(answer["info"])
    answer["parameters"] = {}
    assert real.unknown(shape_of(answer), "txt2img") == []


def test_another_shape_is_noticed():
    assert unknown_in({"a": "str"}, {"b": "str"}, "x") == ["x.a is unknown"]
    assert unknown_in([{"a": "str"}], [{"a": "number"}], "x") == ["x.a: str, not number"]
