"""What a WebUI would round or ignore with status 200: sizes, and schedule types."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities, own_schedules
from a1111_ext.api.size_step import find_size_step
from a1111_ext.cells import Cell, pin_cell
from a1111_ext.cells.cell import HiresFix
from a1111_ext.cells.cell_plan import ignored_schedules, require_size
from a1111_ext.simulator import start_webui
from a1111_ext.simulator.neo import SimulatedNeo
from kohya_ext.project import ToolError

SMALL = Cell("a fox", 5, width=64, height=64, steps=2, sampler="Euler")


@pytest.fixture
def has(client: Client) -> Capabilities:
    return fetch_capabilities(client)


@pytest.mark.parametrize(
    ("size", "near"),
    [((513, 517), "512 x 520"), ((512, 517), "512 x 520"), ((1023, 64), "1024 x 64")],
)
def test_a_size_that_would_be_rounded_is_refused(
    size: tuple[int, int], near: str, has: Capabilities
):
    odd = replace(SMALL, width=size[0], height=size[1])
    with pytest.raises(ToolError, match="LL426") as refused:
        pin_cell(odd, has)
    assert f"{size[0]} x {size[1]}" in refused.value.problem
    assert near in refused.value.cure


@pytest.mark.parametrize(("step", "seen"), [(1, 8), (64, 64)])
def test_a_webui_that_rounds_to_64_is_found_out(tmp_path: Path, step: int, seen: int):
    with (
        start_webui(tmp_path / "neo", kind=SimulatedNeo, size_step=step) as webui,
        Client(webui.url) as client,
    ):
        found = fetch_capabilities(client)
        assert find_size_step(client, found, [(832, 1216)], "").size_step == 8  # needs no picture
        found = find_size_step(client, found, [(832, 1216), (520, 512)], "")
    assert found.size_step == seen
    odd = replace(SMALL, width=520)
    if seen == 8:
        pin_cell(odd, found)
    else:
        with pytest.raises(ToolError, match="LL426"):
            require_size(odd, found.size_step)


def test_an_ignored_schedule_type_is_reported(has: Capabilities):
    ddim = replace(SMALL, sampler="DDIM", scheduler="Karras")
    (reported,) = ignored_schedules([SMALL, ddim, replace(ddim, scheduler="Exponential")], has)
    assert reported.startswith(
        "DDIM has a schedule of its own: the schedule type Karras, Exponential"
    )


def test_that_of_the_second_pass_is_reported_too(has: Capabilities):
    hires = HiresFix("None", sampler="UniPC", scheduler="Karras")
    assert len(ignored_schedules([replace(SMALL, hires_fix=hires)], has)) == 1


def test_a_schedule_type_that_counts_is_not_reported(has: Capabilities):
    cells = [
        replace(SMALL, scheduler="Karras"),
        replace(SMALL, sampler="DDIM"),
        replace(SMALL, sampler="DDIM", hires_fix=HiresFix("None")),
    ]
    assert ignored_schedules(cells, has) == ()


def test_unipc_with_options_takes_a_schedule():
    neo = [("UniPC", {"discard_next_to_last_sigma": "True"}), ("DDIM", {}), ("Euler", {})]
    assert own_schedules(neo) == ("DDIM",)
    assert own_schedules([("UniPC", {}), ("PLMS", {})]) == ("UniPC", "PLMS")
