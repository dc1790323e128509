"""Settings of the WebUI that change pictures: what they change is drawn again, and only then."""

from __future__ import annotations

from typing import Any

import pytest
from drawing import cell

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import HttpBackend, Ledger, pin_cell, plan_cells, run_cells
from a1111_ext.cells.model_files import know_first_files
from a1111_ext.cells.picture_settings import (
    USUAL_SETTINGS,
    digest_of_settings,
    unusual_settings,
)
from a1111_ext.simulator import SimulatedWebui

DELTA = "eta_noise_seed_delta"


def draw(webui: SimulatedWebui, ledger: Ledger, **changes: Any) -> tuple[int, int]:
    """Draw one cell as a command does; return how many were drawn and known."""
    client = Client(webui.url)
    backend = HttpBackend(client, know_first_files(fetch_capabilities(client), ledger))
    try:
        plan = plan_cells([pin_cell(cell(**changes), backend.capabilities)])
        report = run_cells(plan, ledger, [backend])
        report.require_all()
        return report.drawn, report.known
    finally:
        backend.close()


@pytest.fixture
def like_a1111(webui: SimulatedWebui) -> SimulatedWebui:
    """A WebUI that tells its settings, all of them as they come."""
    webui.host._data.update(USUAL_SETTINGS)
    return webui


def test_another_noise_seed_delta_is_drawn_again(like_a1111, ledger):
    assert draw(like_a1111, ledger) == (1, 0)
    like_a1111.host._data[DELTA] = 31337
    assert draw(like_a1111, ledger) == (1, 0)
    assert draw(like_a1111, ledger) == (0, 1)
    like_a1111.host._data[DELTA] = 0.0  # a WebUI may tell its numbers as reals
    assert draw(like_a1111, ledger) == (0, 1)


def test_a_setting_that_a_picture_overrides_does_not_count(like_a1111, ledger):
    own = {"override_settings_json": f'{{"{DELTA}": 5}}'}
    assert draw(like_a1111, ledger, **own) == (1, 0)
    like_a1111.host._data[DELTA] = 31337
    assert draw(like_a1111, ledger, **own) == (0, 1)


def test_pictures_of_before_are_kept(like_a1111, ledger):
    """Older versions noted no settings: those of today are taken to be those of then."""
    like_a1111.host._data[DELTA] = 31337
    assert draw(like_a1111, ledger) == (1, 0)
    ledger._db.execute("DELETE FROM files")
    assert draw(like_a1111, ledger) == (0, 1)
    like_a1111.host._data[DELTA] = 0
    assert draw(like_a1111, ledger) == (1, 0)


def test_a_lost_ledger_takes_up_its_pictures(like_a1111, tmp_path):
    for name in ("one.db", "two.db"):
        with Ledger(tmp_path / name, tmp_path / "cells") as ledger:
            draw(like_a1111, ledger)
    assert like_a1111.host.counters.pictures == 1


def test_only_what_is_not_usual_counts():
    assert unusual_settings(USUAL_SETTINGS) == {}
    assert unusual_settings({"save_images_add_number": False, "tiling": None}) == {}
    assert unusual_settings({"tiling": True, DELTA: 1}) == {"tiling": True, DELTA: 1.0}
    assert digest_of_settings({"save_images_add_number": False}) == ""
    usual = digest_of_settings(USUAL_SETTINGS)
    assert usual == digest_of_settings({"tiling": False}), "another version has more of them"
    assert usual != digest_of_settings({"tiling": True})
    assert digest_of_settings({DELTA: 1}) == digest_of_settings({DELTA: 1.0})
