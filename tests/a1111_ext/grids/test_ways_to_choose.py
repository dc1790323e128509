"""Every way to choose an epoch, and to vote, against every other: the newest wins and is told."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora

from a1111_ext.grids.page.share import GridShare
from a1111_ext.grids.page.votes import FILE_NAME, PAGE_NAME, read_votes
from a1111_ext.quality.ballot import Ballot
from a1111_ext.quality.vote_sources import read_ballots
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.server import PageRequest

GRID = "epochs-1"
FILES = ("fox-000001.safetensors", "fox-000002.safetensors")
CELLS = ("a" * 64, "b" * 64)
NONE: dict[str, Any] = {"votes": [], "choice": None}


def tick() -> None:
    """Let a millisecond pass, the grain of what is kept."""
    begun = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 < begun + 2:
        pass


class Desk:
    """A project with two epochs and one grid; `said` is what the page was answered."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = project.grids_dir / GRID
        self.folder.mkdir(parents=True)
        (self.folder / "grid.json").write_text("{}", "utf-8")
        (self.folder / PAGE_NAME).write_text('"served":"","kept":null', "utf-8")
        for number in (1, 2):
            save_lora(project.model_dir, f"fox-{number:06d}", epoch=number)
        self.share = GridShare(project.root)
        self.said = ""

    def run(self, *words: object) -> None:
        assert main([*map(str, words)]) == 0

    def send(self, name: str, data: Any) -> None:
        body = json.dumps(data).encode("utf-8")
        path = f"grids/{GRID}/{name}"
        answer = self.share.answer(PageRequest(path, {}, body, "application/json"))
        assert answer.status in (200, 204)
        self.said = answer.body.decode("utf-8")

    @property
    def ballots(self) -> tuple[Ballot, ...]:
        return read_ballots(
            self.project, [self.folder], dict(zip(CELLS, FILES, strict=True)), FILES
        )

    @property
    def chosen(self) -> int | None:
        found = [at for at, one in enumerate(self.ballots) if one.is_chosen]
        assert len(found) < 2
        return found[0] if found else None

    def choice(self, at: int) -> dict[str, Any]:
        return {
            "kind": "loraloom-grid-choice",
            "format": 1,
            "grid": GRID,
            "epoch": Path(FILES[at]).stem,
            "epoch_file": FILES[at],
            "cell": CELLS[at],
            "values": {},
            "votes": [],
        }

    def journal(self, kind: str, **facts: Any) -> None:
        """Write what an earlier loraloom did, which kept it nowhere else."""
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with self.project.journal.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"at": at, "kind": kind, **facts}) + "\n")


# -- choosing an epoch ----------------------------------------------------------------------------


def by_sent_choice(desk: Desk, at: int) -> None:
    desk.send("choice", desk.choice(at))


def by_promotion_on_the_page(desk: Desk, at: int) -> None:
    desk.send("promote", {"name": f"Fox-v{time.time_ns()}", "choice": desk.choice(at)})


def by_mark_on_the_page(desk: Desk, at: int) -> None:
    desk.send(PAGE_NAME, {**NONE, "choice": CELLS[at], "known": read_votes(desk.folder)})


def by_another_window(desk: Desk, at: int) -> None:
    desk.send(PAGE_NAME, {**NONE, "choice": CELLS[at], "known": NONE})


def by_saved_choice(desk: Desk, at: int) -> None:
    path = desk.project.root / "choice.json"
    path.write_text(json.dumps(desk.choice(at)), "utf-8")
    desk.run("grid", desk.project.root, "--choice", path)


def by_promote(desk: Desk, at: int) -> None:
    desk.run("promote", desk.project.root, at + 1, f"Fox-v{time.time_ns()}")


def by_votes_file(desk: Desk, at: int) -> None:
    path = desk.folder / FILE_NAME
    path.write_text(json.dumps({**NONE, "choice": CELLS[at]}), "utf-8")
    os.utime(path)


def by_old_choice(desk: Desk, at: int) -> None:
    desk.journal("grid-choice", epoch_file=FILES[at], votes=[])


def by_old_promotion(desk: Desk, at: int) -> None:
    desk.journal("promote", name="Fox", source=FILES[at])


WAYS: dict[str, Callable[[Desk, int], None]] = {
    name.removeprefix("by_"): way for name, way in list(globals().items()) if name[:3] == "by_"
}
TOLD = {"saved_choice", "promote"}
"""Ways of the command line, which say what they changed; a page shows what it was told to keep."""
ANSWERED = {"promotion_on_the_page", "mark_on_the_page", "another_window"}
KEPT_AS_AN_EPOCH = set(WAYS) - {"mark_on_the_page", "another_window", "votes_file"}
"""The others mark a picture on a page, before anybody says that its epoch is to be taken."""


@pytest.fixture
def desk(project: Project) -> Desk:
    return Desk(project)


@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.product(WAYS, WAYS)),
    ids=lambda name: name.replace("_", "-"),
)
def test_the_newest_choice_wins(
    desk: Desk, first: str, second: str, capsys: pytest.CaptureFixture[str]
):
    assert desk.chosen is None
    WAYS[first](desk, 0)
    assert desk.chosen == 0
    tick()
    capsys.readouterr()
    WAYS[second](desk, 1)
    assert desk.chosen == 1
    if second in TOLD and first in KEPT_AS_AN_EPOCH:
        assert "epoch: fox-000001 -> fox-000002 (" in capsys.readouterr().err
    if second in ANSWERED:
        assert ("fox-000002" if second.startswith("promotion") else CELLS[1]) in desk.said


@pytest.mark.parametrize("second", ["sent_choice", "saved_choice", "promote"])
def test_the_same_epoch_again_is_no_change(
    desk: Desk, second: str, capsys: pytest.CaptureFixture[str]
):
    for _ in range(2):
        WAYS[second](desk, 0)
    assert "epoch:" not in capsys.readouterr().err
    assert desk.chosen == 0


def test_a_promotion_keeps_the_votes_of_its_choice(desk: Desk):
    won = {"value": "fox-000001", "better": 3, "draw": 1, "worse": 0, "wilson_lower": 0.4}
    desk.send("choice", {**desk.choice(0), "votes": [won]})
    by_promote(desk, 0)
    assert [one.better for one in desk.ballots] == [3, 0]


# -- votes ----------------------------------------------------------------------------------------


def vote(answer: str, order: int = 1) -> dict[str, str]:
    left, right = CELLS[::order]
    return {"left": left, "right": right, "answer": answer}


def cast_on_the_page(desk: Desk, one: dict[str, str]) -> None:
    held = read_votes(desk.folder)
    desk.send(PAGE_NAME, {**held, "votes": [*held["votes"], one], "known": held})


def cast_in_another_window(desk: Desk, one: dict[str, str]) -> None:
    desk.send(PAGE_NAME, {**NONE, "votes": [one], "known": NONE})


def cast_beside_the_page(desk: Desk, one: dict[str, str]) -> None:
    (desk.folder / FILE_NAME).write_text(json.dumps({**NONE, "votes": [one]}), "utf-8")


VOTING: dict[str, Callable[[Desk, dict[str, str]], None]] = {
    name.removeprefix("cast_"): way for name, way in list(globals().items()) if name[:5] == "cast_"
}


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [one for one in itertools.product(VOTING, repeat=3) if one[1:] != ("beside_the_page",) * 2],
    ids=lambda name: name.replace("_", "-"),
)
def test_no_way_loses_a_vote(desk: Desk, first: str, second: str, third: str):
    """But a file that somebody writes over before a page was heard: it is theirs."""
    cast = [vote("left"), vote("right", -1), vote("same")]
    if (first, second) == ("beside_the_page",) * 2:
        cast[0] = cast[1]
    for way, one in zip((first, second, third), cast, strict=True):
        VOTING[way](desk, one)
    votes = read_votes(desk.folder)["votes"]
    assert all(one in votes for one in cast)
    assert len(votes) == len({json.dumps(one, sort_keys=True) for one in cast})


@pytest.mark.parametrize("way", VOTING)
def test_a_vote_is_taken_back_on_the_page(desk: Desk, way: str):
    VOTING[way](desk, vote("left"))
    desk.send(PAGE_NAME, {**NONE, "known": read_votes(desk.folder)})
    assert read_votes(desk.folder) == NONE
    assert [one.better for one in desk.ballots] == [0, 0]
