"""Votes and choice made on a grid's page, kept in reviews.db by the server that shows the page.

A `votes.json` of an earlier loraloom, or of somebody else, beside the page is read as well.

A page that is opened as a file keeps them in its browser instead.
"""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import move_file
from kohya_ext.project.json_reader import parse_json, read_or_set_aside

PAGE_NAME = "grid.html"
FILE_NAME = "votes.json"

_KEEPING = threading.Lock()
_ANSWERS = ("left", "right", "same", "bad")
_KEPT_NOWHERE = b'"kept":null'
"""How a page learns that somebody keeps its votes; no text in the page's JSON can hold it."""


def with_votes(page: Path) -> bytes:
    """Return a grid's page with what was kept of it; OSError when it cannot be read."""
    content = page.read_bytes()
    kept = json.dumps(read_votes(page.parent), separators=(",", ":"))
    return content.replace(_KEPT_NOWHERE, b'"kept":' + kept.encode("ascii"), 1)


def keep_votes(page: Path, text: str) -> dict[str, Any]:
    """Keep what a page sent, and return what holds now. ValueError for anything else.

    With `known`, what the page had heard last, only its own changes count: votes that were cast in
    other windows meanwhile stay.
    """
    data = parse_json(text)
    found = _parse(data)
    with _KEEPING, _store(page.parent) as store:
        _move_in(store, page.parent)
        grid_id = page.parent.name
        if "known" in data:
            found = _merged(_newest(store, grid_id), _parse(data["known"]), found)
        _decide(store, grid_id, found, "grid page")
    return found


def _merged(held: dict[str, Any], known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what holds with the changes that a page made to what it knew."""
    gone = [one for one in known["votes"] if one not in found["votes"]]
    votes = [one for one in held["votes"] if one not in gone]
    votes += [one for one in found["votes"] if one not in known["votes"] and one not in votes]
    source = held if found["choice"] == known["choice"] else found
    return {"votes": votes, "choice": source["choice"]}


def read_votes(folder: Path) -> dict[str, Any]:
    """Return the votes and the choice that were made on the page of a grid's folder."""
    with _store(folder) as store:
        return _held(store, folder)[0]


def find_marked(folder: Path) -> tuple[datetime, str] | None:
    """Return when a picture was chosen on the page of a grid's folder, and its cell's key."""
    with _store(folder) as store:
        held, at = _held(store, folder)
    return (at, held["choice"]) if at and held["choice"] else None


def _held(store: DecisionStore, folder: Path) -> tuple[dict[str, Any], datetime | None]:
    """Return what holds, and since when its choice does.

    A file beside the page counts as one more window that was open until it was written: its votes
    are added, and its choice holds when it is the newer one.
    """
    held, at = _newest(store, folder.name), None
    decided = store.history(DecisionKind.CHOICE, f"grid:{folder.name}")
    if decided:
        at = datetime.fromisoformat(decided[-1].at)
    path = folder / FILE_NAME
    if not path.is_file():
        return held, at
    written, beside = _written(path), _read(path)
    added = [one for one in beside["votes"] if one not in held["votes"]]
    held = {**held, "votes": [*held["votes"], *added]}
    if beside["choice"] and (at is None or written > at):
        return {**held, "choice": beside["choice"]}, written
    return held, at


def _newest(store: DecisionStore, grid_id: str) -> dict[str, Any]:
    choice = store.find(DecisionKind.CHOICE, f"grid:{grid_id}")
    votes = _stored_votes(store, grid_id)
    return _parse({"votes": votes, "choice": choice.value if choice else None})


def _decide(
    store: DecisionStore,
    grid_id: str,
    found: dict[str, Any],
    way: str,
    at: datetime | None = None,
) -> None:
    before = _stored_votes(store, grid_id)
    votes = {f"{grid_id}#{number}": vote for number, vote in enumerate(found["votes"])}
    gone = {f"{grid_id}#{number}": None for number in range(len(votes), len(before))}
    choice = {f"grid:{grid_id}": found["choice"]}
    store.decide_together(
        {DecisionKind.VOTES: {**votes, **gone}, DecisionKind.CHOICE: choice}, way, at=at
    )


def _store(folder: Path) -> DecisionStore:
    """Open the store of the project, or of the WebUI's own folder, that a grid's folder is in."""
    root = folder.parent.parent if folder.parent.name == "grids" else folder
    return DecisionStore(root / "reviews.db")


def _move_in(store: DecisionStore, folder: Path) -> None:
    """Take over what somebody kept beside the page; the file gets another name."""
    path = folder / FILE_NAME
    if not path.is_file():
        return
    written, (held, _) = _written(path), _held(store, folder)
    if not path.is_file():  # it was damaged
        return
    _decide(store, folder.name, held, FILE_NAME, written)
    move_file(path, path.with_name(f"{FILE_NAME}.moved"))


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def _stored_votes(store: DecisionStore, grid_id: str) -> list[Any]:
    rows = {
        int(subject.rpartition("#")[2]): value
        for subject, value in store.values(DecisionKind.VOTES).items()
        if subject.rpartition("#")[0] == grid_id
    }
    return [rows[at] for at in sorted(rows)]


def _read(path: Path) -> dict[str, Any]:
    """Read what was kept; a file that is not ours, or damaged, is moved aside."""
    return read_or_set_aside(path, _parse, {"votes": [], "choice": None})


def _parse(data: Any) -> dict[str, Any]:
    """Take keys of cells and known answers, and nothing else: it ends up in a page's script."""
    if not isinstance(data, dict) or not isinstance(data.get("votes"), list):
        raise ValueError("it contains no votes")
    choice = data.get("choice")
    return {
        "votes": [_vote(one) for one in data["votes"]],
        "choice": None if choice is None else _key(choice),
    }


def _vote(one: Any) -> dict[str, str]:
    if not isinstance(one, dict) or one.get("answer") not in _ANSWERS:
        raise ValueError(f"{one!r} is not a vote")
    return {"left": _key(one.get("left")), "right": _key(one.get("right")), "answer": one["answer"]}


def _key(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is not the key of a cell")
    return value
