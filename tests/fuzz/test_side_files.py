"""Whatever becomes of a file beside a project, each command ends in its result or one sentence.

A short run belongs to the tests. The long one damages every file that any command reads in every
way, and writes the table of docs/testing.md:

    LORALOOM_FUZZ=1000000 python -m pytest tests/fuzz/test_side_files.py --timeout 0
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from docs_table import TESTING_PAGE, put_rows
from side_files import (
    ALL_DAMAGES,
    Act,
    Outcome,
    Place,
    damage,
    fault_of,
    kind_of,
    run_forked,
    side_files,
)
from side_place import COMMANDS, PAGES, prepare, walk

from a1111_ext.simulator.server import start_webui
from kohya_ext.cli.dispatch import _dispatch, find_command
from kohya_ext.cli.table import COMMANDS as ALL_COMMANDS
from kohya_ext.simulator.walk import DemoFolder

IS_LONG = "LORALOOM_FUZZ" in os.environ
ONLY = os.environ.get("LORALOOM_FUZZED", "")
"""A part of a file's name: only those are damaged."""
SHORT_COMMANDS = (
    "show",
    "caption --dry-run",
    "report",
    "select",
    "queue list",
    "prompts",
    "board page",
)
RUNS = int(os.environ.get("LORALOOM_FUZZ", "24"))
"""At most; with a million all are done."""
READERS_OF_EACH = 1

pytestmark = [
    pytest.mark.timeout(0 if IS_LONG else 900),  # ten seconds on an idle core
    pytest.mark.skipif(os.name != "posix", reason="forks"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@dataclass(frozen=True)
class Attempt:
    """One command over one file that is damaged in one way."""

    command: str
    kind: str
    name: str
    how: str


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Place, dict[str, Act]]]:
    folder = DemoFolder(tmp_path / "place")
    folder.webui.mkdir(parents=True)
    monkeypatch.setenv("LORALOOM_HOME", str(folder.home))
    monkeypatch.setenv("COLUMNS", "200")
    for _, name, _, _ in ALL_COMMANDS:
        find_command(name)  # imported once, here
    prepare(folder)

    def run(*words: str) -> None:
        ended = run_forked(lambda: _dispatch(list(words)), tmp_path / "out")
        assert ended.code not in (1, 2, 99), ended.said

    with start_webui(folder.webui) as webui:
        walk(folder, webui.url, run)
        texts = {"P": str(folder.project), "R": str(folder.root), "U": webui.url}
        acts: dict[str, Act] = {}
        for name, words in COMMANDS.items():
            acts[name] = _command([one.format(**texts) for one in words])
        acts |= {name: _page(make, folder) for name, make in PAGES.items()}
        work = tmp_path / "work"
        work.mkdir()
        yield Place(folder.root, work), acts


def _command(words: list[str]) -> Act:
    return lambda: _dispatch(words)


def _page(make: Callable[[DemoFolder], None], folder: DemoFolder) -> Act:
    return lambda: make(folder)


def _attempts(readers: dict[str, list[tuple[str, str]]]) -> Iterator[Attempt]:
    """Yield attempts in which the readers of each kind of file take turns."""
    turns = {kind: itertools.cycle(found) for kind, found in readers.items()}
    for how in ALL_DAMAGES:
        for kind, found in sorted(readers.items()):
            for _ in range(min(READERS_OF_EACH, len(found))):
                command, name = next(turns[kind])
                yield Attempt(command, kind, name, how)


def test_damaged_side_files_end_in_a_sentence(place: tuple[Place, dict[str, Act]]):
    folder, acts = place
    if not IS_LONG:
        acts = {name: acts[name] for name in SHORT_COMMANDS}
    sound: dict[str, Outcome] = {}
    readers: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for command, act in acts.items():
        ended = sound[command] = folder.run(act, notes_files=True)
        folder.restore()
        assert ended.code in (0, 1, 3, 4, 5), f"{command}: {ended.said}"
        for name in side_files(ended.opened, folder.root):
            if ONLY in name:
                readers[kind_of(name)].append((command, name))
    attempts = list(_attempts(readers))
    if len(attempts) > RUNS:
        attempts = random.Random("side files").sample(attempts, RUNS)
    rows: dict[str, list[Outcome]] = defaultdict(list)
    faults: list[str] = []
    faulty: Counter[str] = Counter()
    for one in attempts:
        path = folder.root / one.name
        if damage(path, one.how):
            damaged = path.read_bytes() if path.is_file() else None
            ended = folder.run(acts[one.command])
            rows[one.kind].append(ended)
            if fault := fault_of(path, one.how, damaged, ended, sound[one.command]):
                faults.append(f"{one.command} | {one.kind} | {one.how} | {fault}")
                faulty[one.kind] += 1
                if IS_LONG:
                    print(f"FAULT {faults[-1]}\n  {ended.said.strip()[-400:]}", flush=True)
        folder.restore()
    if IS_LONG and not ONLY:
        _write_table(rows, readers, faulty)
    assert not faults, "\n".join(faults)
    assert sum(map(len, rows.values())) > len(attempts) // 2


def _write_table(
    rows: dict[str, list[Outcome]],
    readers: dict[str, list[tuple[str, str]]],
    faulty: Mapping[str, int],
) -> None:
    reported = {}
    for kind, ended in rows.items():
        survived = len(ended) - faulty.get(kind, 0)
        refused = sum(one.code == 1 for one in ended)
        slowest = max(one.seconds for one in ended)
        reported[(f"`{kind}`",)] = (
            f"| `{kind}` | {len(readers[kind])} | {len(ended)} | {survived} | {refused} "
            f"| {slowest:.1f} s |"
        )
    put_rows(TESTING_PAGE, "side files", reported, order=sorted(reported))
