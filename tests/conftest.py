"""What all tests share: a user folder of their own, and a project to work in."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from kohya_ext.captions.lint import CaptionProblem
from kohya_ext.project import Project, ToolError, apply_init, open_project, plan_init
from kohya_ext.project.error_codes import TITLES
from kohya_ext.training.checks.findings import Finding
from kohya_ext.training.run.record import Result

MADE: set[str] = set()
"""Codes of the errors and findings that the tests of this process have made."""

_HOMES = itertools.count()


def _record(kind: type) -> None:
    """Note the code of each error or finding when it is made."""
    make = kind.__init__

    def noted(self: object, *args: object, **named: object) -> None:
        make(self, *args, **named)
        MADE.add(self.code)

    kind.__init__ = noted


def pytest_configure(config: pytest.Config) -> None:
    # Hundreds of processes start: each would compile everything again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # NumPy's threads wait for each other in a loop, which costs the other test processes a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _record(ToolError)
    _record(Finding)
    _record(Result)
    _record(CaptionProblem)
    config.codes_made = MADE


class TurnedFolder(pytest.Dir):
    """A folder that a worker of pytest-xdist begins to collect at another place than the others.

    All of them compile each test module that has not been compiled before. Where they begin
    apart, most are compiled once, by one of them, and the others read what it has written.
    """

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        worker = self.config.workerinput
        number = worker["workerid"].removeprefix("gw")
        found = list(super().collect())
        begin = len(found) * int(number) // worker["workercount"] if number.isdecimal() else 0
        return [*found[begin:], *found[:begin]]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not hasattr(parent.config, "workerinput") or (path / "__init__.py").exists():
        return None
    return TurnedFolder.from_parent(parent, path=path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of all workers into one order, those for a browser first: they mostly wait.

    One worker begins with them; spread over all, each of them would start a browser many times.
    """
    if hasattr(config, "workerinput"):  # else they were named in the order that is wanted
        items.sort(key=lambda one: (one.get_closest_marker("browser") is None, one.path.parts))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: object, error: object) -> None:
    """Collect what a worker of pytest-xdist has made."""
    MADE.update(getattr(node, "workeroutput", {}).get("codes", ()))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """After a whole run every code has been made by a test, else the run has failed."""
    config = session.config
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["codes"] = sorted(MADE)
        return
    chosen = (
        config.option.keyword
        or getattr(config.option, "lf", False)  # no option where that plugin is off
        or config.option.collectonly
        or config.args != config.getini("testpaths")
    )
    missing = sorted(set(TITLES) - MADE)
    if not chosen and exitstatus == 0 and missing:
        print(f"\nno test makes the errors {', '.join(missing)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Keep the browser for the next test that needs one; an asyncio test cannot run beside it."""
    fixture = sys.modules.get("chromium")
    if fixture and (nextitem is None or nextitem.get_closest_marker("browser") is None):
        fixture.close_chromium()


@pytest.fixture(autouse=True)
def _own_user_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No test meets the settings, or the running WebUI, of the person who runs it."""
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_HOMES))  # mktemp lists them all
    home.mkdir(parents=True)
    monkeypatch.setenv("LORALOOM_HOME", str(home))
    monkeypatch.setenv("LORALOOM_WEBUI_PORTS", "")


@pytest.fixture
def heard_signals():
    """Children hear Ctrl-C and a closing terminal, also when nohup or `&` started the tests."""
    if sys.platform == "win32":
        yield
        return
    before = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture(scope="session")
def _first_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = apply_init(plan_init(tmp_path_factory.mktemp("project") / "first", "Quillfox"))
    lines = made.manifest_path.read_text("utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if "influence: 2.0" in line)
    lines[at : at + 2] = ["  repeats:", "    primary: 5", "    supporting: 2"]
    made.manifest_path.write_text("\n".join(lines) + "\n", "utf-8")
    return made.root


@pytest.fixture
def project(_first_project: Path, tmp_path: Path) -> Project:
    """An empty project of an invented creature, in a folder with a blank in its name.

    Its repeats are by hand, so that folders are called 5_Quillfox and 2_Quillfox in every test.
    """
    root = tmp_path / "my quillfox"
    root.mkdir()
    for path in _first_project.iterdir():
        shutil.copyfile(path, root / path.name)
    return open_project(root)
