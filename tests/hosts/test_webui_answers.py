"""A real WebUI's answers: what the simulator says must be among them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import NOT_SAID, ROUTES, shape_of, unknown_in

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.simulator import start_webui

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
BODY = {"prompt": "a quillfox", "seed": 5, "steps": 1, "width": 64, "height": 64}


def answers_of(client: Client) -> tuple[dict[str, Any], str]:
    """Return the shapes of all answers, and the version that the infotext names."""
    found = {name: shape_of(client.get(route)) for name, route in ROUTES.items()}
    picture = client.post("/sdapi/v1/txt2img", BODY, seconds=600)
    picture["info"], picture["parameters"] = json.loads(picture["info"]), {}
    found["txt2img"] = shape_of(picture)
    version = re.search(r"Version: ([^,\n]+)", picture["info"]["infotexts"][0])
    return found, version.group(1) if version else "unknown"


def test_the_stand_in_answers_as_this_webui(
    live_webui: Client, tmp_path: Path, record: Callable[[str, str, str, Any], None]
):
    host, place = (
        ("Forge", "forge")
        if fetch_capabilities(live_webui).is_forge
        else ("AUTOMATIC1111 WebUI", "a1111")
    )
    real, version = answers_of(live_webui)
    with start_webui(tmp_path) as simulated, Client(simulated.url) as client:
        mine, _ = answers_of(client)
    for name, shape in mine.items():
        unknown = [one for one in unknown_in(shape, real[name], name) if one not in NOT_SAID[host]]
        assert unknown == [], name
    record(f"{place}/shapes.json", host, version, real)
