"""Votes and choice made on a grid's page, kept beside it by the server that shows the page.

A page that is opened as a file keeps them in its browser instead.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import parse_json, read_json
from kohya_ext.project.server import LARGEST_BYTES

PAGE_NAME = "grid.html"
FILE_NAME = "votes.json"

_ANSWERS = ("left", "right", "same", "bad")
_KEPT_NOWHERE = b'"kept":null'
"""How a page learns that somebody keeps its votes; no text in the page's JSON can hold it."""


def with_votes(page: Path) -> bytes:
    """Return a grid's page with what was kept of it; OSError when it cannot be read."""
    content = page.read_bytes()
    kept = json.dumps(_read(page.with_name(FILE_NAME)), separators=(",", ":"))
    return content.replace(_KEPT_NOWHERE, b'"kept":' + kept.encode("ascii"), 1)


def keep_votes(page: Path, text: str) -> None:
    """Keep what a page sent. ValueError for anything else than votes and a choice."""
    write_json_atomic(page.with_name(FILE_NAME), _parse(parse_json(text)))


def _read(path: Path) -> dict[str, Any]:
    """Read what was kept; a file that is not ours, or damaged, counts as nothing."""
    try:
        if path.stat().st_size <= LARGEST_BYTES:
            return _parse(read_json(path))
    except (OSError, ValueError):
        pass
    return {"votes": [], "choice": None}


def _parse(data: Any) -> dict[str, Any]:
    """Take keys of cells and known answers, and nothing else: it ends up in a page's script."""
    if not isinstance(data, dict) or not isinstance(data.get("votes"), list):
        raise ValueError("it holds no votes")
    choice = data.get("choice")
    return {
        "votes": [_vote(one) for one in data["votes"]],
        "choice": None if choice is None else _key(choice),
    }


def _vote(one: Any) -> dict[str, str]:
    if not isinstance(one, dict) or one.get("answer") not in _ANSWERS:
        raise ValueError(f"{one!r} is no vote")
    return {"left": _key(one.get("left")), "right": _key(one.get("right")), "answer": one["answer"]}


def _key(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is no cell's key")
    return value
