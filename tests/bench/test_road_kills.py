"""`kill -9` of every command of the road, 200 times each: nothing is lost, nothing half written.

    python -m pytest -m bench tests/bench/test_road_kills.py -s --timeout 0

Each command runs in a fork of this process, so that a kill costs no start of Python, and dies at a
random instant of its run. `LORALOOM_KILLED=import,grid` storms these only, and with a number in
`LORALOOM_KILLS` the table of docs/testing.md gets its rows.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from docs_table import TESTING_PAGE, put_rows
from PIL import Image

from a1111_ext.grids.page.votes import PAGE_NAME, keep_votes, read_votes
from kohya_ext.cli.dispatch import find_command
from kohya_ext.project import Project, open_project
from kohya_ext.project.lora_file import read_header
from kohya_ext.simulator.walk import (
    DemoFolder,
    Station,
    fill_manifest,
    newest_grid,
    prepare,
    simulated_webui,
    stations,
)

KILLS = int(os.environ.get("LORALOOM_KILLS", "200"))
ONLY = os.environ.get("LORALOOM_KILLED", "")
ROAD = (
    "import", "stage", "caption", "config", "train", "grid", "votes", "promote", "showcase",
    "review", "upscale", "select", "publish",
)  # fmt: skip

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(0),
    pytest.mark.skipif(os.name != "posix", reason="forks"),
]

Work = Callable[[], object]


def fork(work: Work, log: Path) -> int:
    """Start `work` in a process group of its own."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        found = work()
        sys.stdout.flush()
        os._exit(found if isinstance(found, int) else 0)
    except BaseException:  # noqa: BLE001  # whatever it was is in the log
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)


def finish(work: Work, log: Path) -> float:
    """Run `work` to its end; return how long it took."""
    started = time.monotonic()
    _, status = os.waitpid(fork(work, log), 0)
    assert status == 0, log.read_text(encoding="utf-8", errors="replace")[-2000:]
    return time.monotonic() - started


def kill_at(work: Work, seconds: float, log: Path) -> bool:
    """Kill `work` after some seconds; return whether it was still running then."""
    child = fork(work, log)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, log.read_text(encoding="utf-8", errors="replace")[-2000:]
            return False
        time.sleep(min(0.005, max(0.0, until - time.monotonic())))
    os.kill(child, signal.SIGKILL)  # it may not lead its group yet
    os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return True


def command(words: tuple[str, ...]) -> Work:
    """Return what runs a command of loraloom in this process."""
    return lambda: find_command(words[0]).main(
        args=list(words[1:]), prog_name=f"loraloom {words[0]}", standalone_mode=False
    )


def require_whole(root: Path) -> None:
    """Fail where a file of the project is half written."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            try:
                _read_whole(path)
            except Exception as error:  # noqa: BLE001  # named with the file
                pytest.fail(f"{path.relative_to(root)}: {type(error).__name__}: {error}")


def _read_whole(path: Path) -> None:
    kind = path.suffix.lower()
    if kind == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif kind == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)
    elif kind in (".yaml", ".yml"):
        yaml.safe_load(path.read_text(encoding="utf-8"))
    elif kind in (".png", ".jpg", ".webp"):
        with Image.open(path) as image:
            image.load()
    elif kind == ".safetensors":
        read_header(path)
    elif kind == ".db":
        with closing(sqlite3.connect(path)) as base:
            assert base.execute("pragma integrity_check").fetchone() == ("ok",)


def unfinished(root: Path) -> list[str]:
    """Return files that a killed run left behind."""
    return [str(one.relative_to(root)) for one in root.rglob("*") if one.suffix == ".part"]


def names_in(root: Path) -> set[str]:
    """Return every file of a project that a person would miss."""
    return {
        str(one.relative_to(root))
        for one in root.rglob("*")
        if one.is_file() and one.suffix not in (".part", ".lock", ".db-wal", ".db-shm")
    }


class Storm:
    """Storms one command after the other over the same project."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._log = folder / "killed.log"
        self._rng = random.Random("kills")

    @contextmanager
    def _kept(self) -> Iterator[Path]:
        before = self._folder / "before"
        shutil.copytree(self._root, before, symlinks=True)
        yield before
        shutil.rmtree(before)

    def _restore(self, before: Path) -> None:
        shutil.rmtree(self._root)
        shutil.copytree(before, self._root, symlinks=True)

    def storm(self, name: str, work: Work, again: Work | None = None) -> None:
        """Kill `work` until KILLS are reached; `again` clears what a killed one left running."""
        kills = ended = 0
        with self._kept() as before:
            seconds = finish(work, self._log)
            self._restore(before)
            there = names_in(self._root)
            while kills < KILLS:
                was_killed = kill_at(work, self._rng.uniform(0, seconds), self._log)
                if again is not None:
                    os.waitpid(fork(again, self._log), 0)
                require_whole(self._root)
                lost = there - names_in(self._root)
                assert not lost, f"{name} lost {sorted(lost)[:5]}"
                kills += was_killed
                if not was_killed:
                    ended += 1
                    self._restore(before)
            finish(work, self._log)
        require_whole(self._root)
        assert unfinished(self._root) == []
        row = f"| {name} | {kills} | {ended} |"
        print(f"{row} {seconds:.2f} s", flush=True)
        if "LORALOOM_KILLS" in os.environ:
            put_rows(TESTING_PAGE, "kills", {(name,): row}, order=[(one,) for one in ROAD])


def _is_wanted(name: str) -> bool:
    return not ONLY or name in ONLY.split(",")


def _walk(storm: Storm, station: Station, place: DemoFolder, log: Path) -> None:
    is_training = station.command == "train"  # a killed one leaves epoch files to be moved aside
    work = command((*station.words, *(("--move-old",) if is_training else ())))
    if not _is_wanted(station.command):
        finish(work, log)
        return
    stop = command(("train", str(place.project), "--stop"))
    storm.storm(station.command, work, stop if is_training else None)
    station.proof(open_project(place.project))


def test_every_command_survives_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = DemoFolder(tmp_path / "demo")
    place.root.mkdir()
    log = tmp_path / "log"
    monkeypatch.setenv("LORALOOM_HOME", str(place.home))
    prepare(place)
    webui = (sys.executable, "-m", "kohya_ext")
    with simulated_webui(webui, place, dict(os.environ)) as url:
        init = ("init", str(place.project), "--trigger", "Quillfox", "--kind", "creature")
        finish(command((*init, "--description", "A fox with quills")), log)
        fill_manifest(place)
        storm = Storm(place.project, tmp_path)
        for station in stations(place, url):
            if station.command == "select":
                _review(storm, place, url)
            if station.command == "advise" and _is_wanted("votes"):
                _vote(storm, open_project(place.project))
            _walk(storm, station, place, log)
    finish(command(("show", str(place.project), "--verify")), log)


def _vote(storm: Storm, project: Project) -> None:
    """Votes and a choice, as the grid's page sends them after each click."""
    folder = newest_grid(project)
    keys = [f"{number:064x}" for number in range(60)]
    votes: list[dict[str, str]] = []

    def vote() -> None:
        for left, right in itertools.pairwise(keys):
            votes.append({"left": left, "right": right, "answer": "left"})
            keep_votes(folder / PAGE_NAME, json.dumps({"votes": votes, "choice": right}))

    storm.storm("votes", vote)
    kept = read_votes(folder)
    assert (len(kept["votes"]), kept["choice"]) == (59, keys[-1])


def _review(storm: Storm, place: DemoFolder, url: str) -> None:
    """Ratings of the board and the upscale pass, before `select`."""
    from a1111_ext.showcase.album import read_album
    from a1111_ext.showcase.ratings import Rating
    from a1111_ext.showcase.review import Review, read_review, write_review

    project = open_project(place.project)
    files = [one.file for one in read_album(project)]
    reviews = [
        Review(dict.fromkeys(files, rating), tuple(files[:2]), tuple(reversed(files)))
        for rating in reversed(Rating)
    ]

    def rate() -> None:
        for review in reviews * 4:
            write_review(project, review)

    if _is_wanted("review"):
        storm.storm("review", rate)
        assert read_review(project) == reviews[-1]
    else:
        rate()
    if _is_wanted("upscale"):
        storm.storm("upscale", command(("upscale", str(project.root), "--webui", url)))
