"""The graphics card is freed before a training, and given back, when the project says so."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path

import pytest

from a1111_ext.api.client import AnswerTimeout, ApiError, Client, ConnectionLost
from a1111_ext.api.free import before_training
from kohya_ext.project import Project, ToolError
from kohya_ext.training.run import before_training as plugins
from kohya_ext.training.run.before_training import find_plugins, free_for_training
from kohya_ext.training.run.follow import unheard
from kohya_ext.training.run.job import job_of_project
from kohya_ext.training.run.record import RunOutcome
from kohya_ext.training.run.session import apply_training, plan_training
from kohya_ext.training.trainer import simulated_trainer


class WebUI(Client):
    """Write down what is asked of it; raise what it is told to."""

    def __init__(self, url: str, said: list[str], error: ToolError | None = None) -> None:
        super().__init__(url)
        self._said, self._error = said, error

    def post(self, path, body=None, *, seconds=0.0):
        if self._error is not None:
            raise self._error
        self._said.append(f"{self.url.removeprefix('http://')} {path.rpartition('/')[2]}")


def free(urls: dict[str, ToolError | None], said: list[str]):
    return before_training(Path(), urls=list(urls), connect=lambda url: WebUI(url, said, urls[url]))


def test_every_webui_unloads_and_loads_again():
    said: list[str] = []
    undo = free({"one": None, "two": None}, said)
    assert said == ["one unload-checkpoint", "two unload-checkpoint"]
    undo()
    assert said[2:] == ["one reload-checkpoint", "two reload-checkpoint"]


def test_a_webui_that_is_not_running_holds_nothing():
    said: list[str] = []
    gone = ConnectionLost("LL401", "No WebUI answers.", "")
    free({"gone": gone, "two": None}, said)()
    assert said == ["two unload-checkpoint", "two reload-checkpoint"]


@pytest.mark.parametrize(
    "error",
    [AnswerTimeout("LL404", "It did not answer.", ""), ApiError("LL403", "Refused.", "", 401)],
    ids=["busy", "refused"],
)
def test_one_that_refuses_stops_it_and_the_others_load_again(error: ToolError):
    said: list[str] = []
    with pytest.raises(ToolError, match=error.code):
        free({"one": None, "two": error}, said)
    assert said == ["one unload-checkpoint", "one reload-checkpoint"]


def test_a_webui_closed_meanwhile_is_only_logged(caplog: pytest.LogCaptureFixture):
    urls: dict[str, ToolError | None] = {"one": None}
    undo = free(urls, [])
    urls["one"] = ConnectionLost("LL401", "No WebUI answers.", "")
    with caplog.at_level(logging.WARNING):
        undo()
    assert "could not load its checkpoint again" in caplog.text


def test_our_own_plugin_is_found_once():
    assert find_plugins().count(before_training) == 1


def test_a_plugin_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plugins, "FALLBACK", ("no_such_module:free",))
    with pytest.raises(ToolError, match="LL389"):
        find_plugins()


def test_the_card_is_given_back_after_an_error():
    said: list[str] = []

    def plugin(project: Path):
        said.append("freed")
        return lambda: said.append("given back")

    with (
        pytest.raises(RuntimeError),
        free_for_training(Path(), lambda: (plugin,)),
    ):
        raise RuntimeError
    assert said == ["freed", "given back"]


@pytest.mark.parametrize("wanted", [True, False])
def test_only_a_project_that_says_so_frees_it(trainable: Project, change, monkeypatch, wanted):
    said: list[Path] = []
    module = types.ModuleType("a_plugin")
    module.free = lambda project: (said.append(project), lambda: None)[1]
    monkeypatch.setitem(sys.modules, "a_plugin", module)
    monkeypatch.setattr(plugins, "FALLBACK", ("a_plugin:free",))
    project = change(trainable, ("save_every_n_epochs: 1", f"free_webui: {str(wanted).lower()}"))
    plan = plan_training(job_of_project(project), simulated_trainer())
    assert apply_training(plan, unheard).outcome is RunOutcome.FINISHED
    assert said == ([project.root] if wanted else [])
