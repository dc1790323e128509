"""What people decided about pictures: ratings, kept and dropped ones, from csv, JSON or words.

1 showcase, 2 follow-up post, 5 placed already; "drop" (also reject, x, 0, -1) rejects, "keep" is 1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError
from kohya_ext.project.json_reader import parse_json, read_text
from kohya_ext.project.limits import limits


class Rating(str, Enum):
    """A person's word on one picture."""

    SHOWCASE = "1"
    FOLLOW_UP = "2"
    PLACED = "5"
    DROP = "drop"


_WORDS: Mapping[str, Rating | None] = {
    "1": Rating.SHOWCASE,
    "keep": Rating.SHOWCASE,
    "2": Rating.FOLLOW_UP,
    "5": Rating.PLACED,
    "drop": Rating.DROP,
    "reject": Rating.DROP,
    "x": Rating.DROP,
    "0": Rating.DROP,
    "-1": Rating.DROP,
    "": None,
    "3": None,
    "4": None,
}
"""3 and 4 say nothing about a showcase: such a picture may be chosen like an unrated one."""


def parse_rating(word: str) -> Rating | None:
    """Read one rating; None when it says nothing. ValueError for another word."""
    plain = word.strip().casefold()
    if plain not in _WORDS:
        raise ValueError(f'"{word}" is not a rating')
    return _WORDS[plain]


def read_ratings(path: Path) -> dict[str, Rating]:
    """Read `picture,rating` from csv, or a JSON object of them. Raises InputError.

    A review page's file is such an object under the key "ratings".
    """
    try:
        text = read_text(path, limits().json_bytes)
        pairs = _from_json(text) if text.lstrip().startswith("{") else _from_csv(text)
        found = {Path(name).name: parse_rating(word) for name, word in pairs}
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            "LL618",
            f"The ratings in {path} cannot be read: {error}.",
            "Write lines such as: picture.png,1 (1 showcase, 2 follow-up, 5 posted, drop).",
        ) from error
    return {name: rating for name, rating in found.items() if rating is not None}


def _from_csv(text: str) -> list[tuple[str, str]]:
    rows = [row for row in csv.reader(io.StringIO(text)) if any(one.strip() for one in row)]
    if rows and rows[0][-1].strip().casefold() == "rating":
        rows = rows[1:]
    for row in rows:
        if len(row) < 2:
            raise ValueError(f'the line "{row[0]}" has no rating')
    return [(row[0].strip(), row[1]) for row in rows]


def _from_json(text: str) -> list[tuple[str, str]]:
    data: Any = parse_json(text)
    ratings = data.get("ratings", data)
    if not isinstance(ratings, dict):
        raise ValueError("it contains no object of pictures and ratings")
    return [(str(name), str(word)) for name, word in ratings.items()]


def require_known(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the album's names for pictures that were named. Raises InputError.

    A name may be a path, or lack its suffix.
    """
    there = set(known)
    stems = {Path(one).stem: one for one in sorted(there)}
    found = []
    for name in names:
        plain = Path(name).name
        match = plain if plain in there else stems.get(plain)
        if match is None:
            raise InputError(
                "LL619",
                f'The showcase has no picture "{name}".',
                "Give names of files in the project's showcase folder.",
            )
        found.append(match)
    return tuple(found)
