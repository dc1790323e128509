"""What ADetailer is to draw with is looked at before: it refuses wrong names in its window only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from a1111_ext.api.capabilities import AlwaysOn, Capabilities
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import Cell, pin_cell
from a1111_ext.cells.cell import script_uses
from kohya_ext.project import ToolError
from kohya_ext.project.files import sha256_of

FACE = {"ad_model": "face_yolov8n.pt"}


@pytest.fixture
def has(client: Client) -> Capabilities:
    found = fetch_capabilities(client)
    samplers, schedulers = ("Euler a", "DPM++ 2M"), ("Automatic", "Karras")
    return replace(
        found,
        always_on=(AlwaysOn("adetailer", 4),),
        vaes=("soft.pt", "gone.pt"),
        missing_files=("gone.pt",),
        samplers=samplers,
        schedulers=schedulers,
    )


def detailing(**settings: Any) -> Cell:
    cell = Cell("a fox", 1, sampler="Euler a")
    return replace(cell, scripts=script_uses({"ADetailer": [True, False, FACE | settings]}))


def switched(name: str, word: str, on: Any = True) -> dict[str, Any]:
    switch = "sampler" if name == "scheduler" else name
    return {f"ad_use_{switch}": on, f"ad_{name}": word}


@pytest.mark.parametrize(
    ("name", "word", "code"),
    [
        ("checkpoint", "simulated-c", "LL408"),
        ("vae", "hard.pt", "LL410"),
        ("vae", "gone.pt", "LL419"),
        ("sampler", "Eular a", "LL410"),
        ("sampler", "DPM++ 2M Karas", "LL410"),
        ("scheduler", "Karas", "LL410"),
    ],
)
def test_what_a_webui_lacks_is_refused(has: Capabilities, name: str, word: str, code: str):
    for on in (True, 1, "yes"):
        with pytest.raises(ToolError) as refused:
            pin_cell(detailing(**switched(name, word, on)), has)
        assert refused.value.code == code
        assert word in refused.value.problem


@pytest.mark.parametrize(
    "settings",
    [
        switched("checkpoint", "simulated-b"),
        switched("checkpoint", "Use same checkpoint"),
        switched("checkpoint", "None"),
        switched("checkpoint", "simulated-c", on=False),
        {"ad_checkpoint": "simulated-c"},
        switched("vae", "soft.pt"),
        switched("vae", "Automatic"),
        switched("vae", "Use same VAE"),
        switched("sampler", "DPM++ 2M") | switched("scheduler", "Karras"),
        switched("sampler", "DPM++ 2M Karras"),
        switched("sampler", "Use same sampler") | switched("scheduler", "Use same scheduler"),
        switched("vae", "hard.pt") | {"ad_tab_enable": False},
        switched("vae", "hard.pt") | {"ad_tap_enable": "false"},
        switched("vae", "hard.pt") | {"ad_model": "None"},
    ],
)
def test_what_it_has_or_does_not_use_is_taken(has: Capabilities, settings: dict[str, Any]):
    assert pin_cell(detailing(**settings), has).scripts == detailing(**settings).scripts


def test_its_own_vae_counts_by_its_file(has: Capabilities, tmp_path: Path):
    """A picture says nothing of it."""
    path = tmp_path / "soft.pt"
    keys = []
    first: dict[str, dict[str, str]] = {}
    for content in ("old", "new"):
        path.write_text(content, encoding="utf-8")
        here = replace(has, files={"VAE": {"soft.pt": str(path)}}, first_files=first)
        keys.append(pin_cell(detailing(**switched("vae", "soft.pt")), here).key)
        first = first or {"VAE": {"soft.pt": sha256_of(path)[:12]}}
    assert len(set(keys)) == 2
