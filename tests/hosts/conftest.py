"""What the live checks share: the hosts that the environment names, and recording.

LORALOOM_WEBUI_URL (with LORALOOM_WEBUI_AUTH), LORALOOM_WEBUI_DIR, LORALOOM_KOHYA_GUI,
LORALOOM_SD_SCRIPTS, LORALOOM_BASE_MODEL; LORALOOM_RECORD=1 writes what was seen to
tests/recorded/, LORALOOM_HOSTS_TABLE=1 rows into docs/testing.md. A check whose host is not named
is skipped and says so.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from chromium import open_chromium
from hosts_table import ran_to_its_end, write_rows
from tiny_trainer import make_tiny_trainer, make_tokenizer_cache, python_of

from a1111_ext.api.client import Client, parse_credentials
from a1111_ext.cells import Ledger
from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.gui.host import KohyaGui, find_kohya_gui, plan_launch
from kohya_ext.project import Project
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training.config.kohya_json import GuiVersion
from kohya_ext.training.trainer import Trainer, simulated_trainer, trainer_at

from .kohya_window import (
    Host,
    arguments,
    free_port,
    make_project,
    running,
    slowly,
    visiting,
)
from .sd_desk import Desk, make_desk

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"

_outcomes: dict[str, Counter[str]] = defaultdict(Counter)
_partly: set[str] = set()
"""Files of which a check was left out by an option: no row is written for them."""


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note whose checks are left out."""
    _partly.update(one.path.name for one in items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count how each live check ended; a failing fixture counts as a failed check."""
    path = Path(report.nodeid.partition("::")[0])
    if path.parent.name != "hosts":
        return
    if report.when == "call" or report.outcome != "passed":
        _outcomes[path.name][report.outcome] += 1


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the rows of docs/testing.md where LORALOOM_HOSTS_TABLE asks for it."""
    is_worker = hasattr(session.config, "workerinput")
    is_cut_short = bool(session.shouldstop or session.shouldfail)
    is_whole = ran_to_its_end(exitstatus, is_cut_short=is_cut_short)
    if not os.environ.get("LORALOOM_HOSTS_TABLE") or is_worker or not is_whole:
        return
    whole = {file: counts for file, counts in _outcomes.items() if file not in _partly}
    for row in write_rows(PAGE, whole, date.today()):
        print(row)


def named(variable: str) -> str:
    """Return what the environment names, or skip the check."""
    value = os.environ.get(variable, "")
    if not value:
        pytest.skip(f"{variable} names no host")
    return value


@pytest.fixture
def live_webui() -> Iterator[Client]:
    """The WebUI at LORALOOM_WEBUI_URL."""
    auth = os.environ.get("LORALOOM_WEBUI_AUTH", "")
    with Client(named("LORALOOM_WEBUI_URL"), parse_credentials(auth)) as client:
        yield client


@pytest.fixture
def base() -> Path:
    """The checkpoint at LORALOOM_BASE_MODEL."""
    return Path(named("LORALOOM_BASE_MODEL"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


@pytest.fixture
def record() -> Callable[[str, str, str, Any], None]:
    """Write what a host answered, with host and version, when LORALOOM_RECORD is set."""

    def write(place: str, host: str, version: str, answers: Any) -> None:
        if os.environ.get("LORALOOM_RECORD"):
            data = {"host": host, "version": version, "answers": answers}
            text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
            (RECORDED / place).write_text(text + "\n", encoding="utf-8", newline="\n")

    return write


@pytest.fixture(scope="session")
def kohya() -> KohyaGui:
    """The Kohya GUI in LORALOOM_KOHYA_GUI, with its Python."""
    python = os.environ.get("LORALOOM_KOHYA_PYTHON")
    return find_kohya_gui(Path(named("LORALOOM_KOHYA_GUI")), Path(python) if python else None)


@pytest.fixture(scope="session")
def version(kohya: KohyaGui) -> GuiVersion:
    return GuiVersion(kohya.version[:3])


@pytest.fixture(scope="module")
def home(kohya: KohyaGui, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user folder that remembers the simulated trainer, so that nothing is really trained."""
    folder = tmp_path_factory.mktemp("home")
    settings = {
        "trainer": str(simulated_trainer().folder),
        "trainer_python": str(kohya.python),
        "tagger_model": str(write_tagger_model(folder / "simulated tagger")),
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def host(kohya: KohyaGui, home: Path) -> Iterator[Host]:
    port = free_port()
    with running(plan_launch(kohya, arguments(port)), port, **slowly(home)) as one:
        yield one


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def window(chromium: Any, host: Host) -> Iterator[Any]:
    """Our tab's neighbours, in a window of its own."""
    with visiting(chromium, host) as page:
        yield page


@pytest.fixture
def fresh(tmp_path: Path, version: GuiVersion) -> Project:
    return make_project(tmp_path / "my quillfox", version)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, version: GuiVersion) -> Project:
    """The same, with its pictures staged."""
    project = make_project(tmp_path_factory.mktemp("walk") / "my quillfox", version)
    apply_import(project, plan_import(project, project.root.parent / "collected"))
    apply_layout(project, plan_layout(project))
    return project


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    """A real trainer on a shrunken network, and a folder with its tokenizer."""
    scripts = Path(named("LORALOOM_SD_SCRIPTS"))
    folder = make_tiny_trainer(tmp_path_factory.mktemp("tiny trainer"), scripts)
    cache = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer_cache(cache, Path(named("LORALOOM_SD_TOKENIZER")))
    return trainer_at(folder, python_of(scripts)), cache


@pytest.fixture
def desk(tiny: tuple[Trainer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A small project that the real trainer takes a few seconds for."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return make_desk(tmp_path, *tiny, named("LORALOOM_BASE_MODEL"))
