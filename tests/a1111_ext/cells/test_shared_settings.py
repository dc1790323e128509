"""Runs of one machine put back a WebUI's own settings, not those of one another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from a1111_ext.api.client import Client
from a1111_ext.cells import HttpBackend
from a1111_ext.cells.shared_settings import SharedSettings
from a1111_ext.simulator import SimulatedWebui

URL = "http://127.0.0.1:7860"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SharedSettings, SharedSettings]]:
    path = tmp_path / "home" / "turns.db"
    first, second = SharedSettings(path), SharedSettings(path)
    yield first, second
    first.close()
    second.close()


def test_a_second_run_takes_no_setting_of_the_first_for_the_users(
    two: tuple[SharedSettings, SharedSettings],
):
    first, second = two
    own = {"clip": 1, "vae": "own"}
    assert first.share(URL, own) == (own, own)
    # the first one's picture is being drawn with another clip skip
    known, new = second.share(URL + "/", {"clip": 2, "eta": None})
    assert (known, new) == ({"clip": 1, "eta": None}, {"eta": None})
    assert first.to_put_back(URL, {"clip": 1, "vae": "own"}) == {}
    assert second.to_put_back(URL, {"clip": 1, "eta": None}) == {
        "clip": 1,
        "vae": "own",
        "eta": None,
    }


def test_settings_of_runs_that_ended_are_forgotten(two: tuple[SharedSettings, SharedSettings]):
    first, second = two
    first.share(URL, {"clip": 1})
    first.to_put_back(URL, {"clip": 1})
    assert second.share(URL, {"clip": 2}) == ({"clip": 2}, {"clip": 2})


def test_settings_of_a_killed_run_are_forgotten(
    two: tuple[SharedSettings, SharedSettings], monkeypatch: pytest.MonkeyPatch
):
    first, second = two
    first.share(URL, {"clip": 1})
    monkeypatch.setattr("a1111_ext.cells.shared_settings.holds", lambda owner, age: False)
    assert second.share(URL, {"clip": 2}) == ({"clip": 2}, {"clip": 2})


def test_settings_of_a_killed_run_count_while_its_last_picture_is_drawn(
    two: tuple[SharedSettings, SharedSettings], monkeypatch: pytest.MonkeyPatch
):
    """The queue of Agent Scheduler draws on: the WebUI tells the clip skip of that picture."""
    first, second = two
    first.share(URL, {"clip": 1})
    monkeypatch.setattr("a1111_ext.cells.shared_settings.holds", lambda owner, age: False)
    answer = second.share(URL, {"clip": 3, "eta": 0}, is_drawing=True)
    assert answer == ({"clip": 1, "eta": 0}, {"eta": 0})
    assert second.to_put_back(URL, answer[0]) == {"clip": 1, "eta": 0}


def test_further_settings_join_those_of_a_run(two: tuple[SharedSettings, SharedSettings]):
    first, _ = two
    first.share(URL, {"clip": 1})
    assert first.share(URL, {"eta": 0}) == ({"eta": 0}, {"eta": 0})
    assert first.to_put_back(URL, {}) == {"clip": 1, "eta": 0}


def test_two_runs_leave_the_users_own_clip_skip(webui: SimulatedWebui):
    with Client(webui.url) as one, Client(webui.url) as other:
        first, second = HttpBackend(one), HttpBackend(other)
        first.hold_settings()
        own = webui.host.options()["CLIP_stop_at_last_layers"]
        one.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": own + 1})  # for one picture
        second.hold_settings()
        # what it wrote would count for the first one's picture
        assert webui.host.options()["CLIP_stop_at_last_layers"] == own + 1
        first.put_back()
        second.put_back()
        assert webui.host.options()["CLIP_stop_at_last_layers"] == own
        first.close()
        second.close()
