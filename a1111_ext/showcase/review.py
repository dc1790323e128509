"""The review: what a person says of the showcase, kept in reviews.db, and its board.

The board is a page of plain JavaScript beside the pictures. `review.live.js` holds its data and
is written again for every picture that lands, so an open page follows a batch without a server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import explained, write_text_atomic
from kohya_ext.project.json_reader import parse_json

from .album import ShowPicture, read_album
from .ratings import Rating, parse_rating
from .selection import MOST_PICTURES

KIND = "loraloom-review"
REVIEW_NAME = "review.json"
PLACE = "showcase"
"""How the subjects of decisions on the showcase begin."""

PAGE_NAME = "review.html"
LIVE_NAME = "review.live.js"
_ASSETS = (PAGE_NAME, "review.css", "review.js")
_LARGEST_BYTES = 5_000_000


@dataclass(frozen=True)
class Review:
    """Ratings by file; files to upscale; files in the order that a person gave them."""

    ratings: Mapping[str, Rating] = field(default_factory=dict)
    upscale: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ratings = {name: rating.value for name, rating in self.ratings.items()}
        return {"ratings": ratings, "upscale": list(self.upscale), "order": list(self.order)}


def parse_review(text: str) -> Review:
    """Read a review from the board's JSON; ValueError for anything else."""
    data = parse_json(text)
    if not isinstance(data, dict) or data.get("kind") != KIND or data.get("format") != 1:
        raise ValueError(f'it is not of the kind "{KIND}"')
    ratings = data.get("ratings", {})
    if not isinstance(ratings, dict):
        raise ValueError("its ratings are not an object")
    found = {_plain(name): parse_rating(str(word)) for name, word in ratings.items()}
    return Review(
        {name: rating for name, rating in found.items() if rating is not None},
        _names(data.get("upscale", [])),
        _names(data.get("order", [])),
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list of files")
    return tuple(dict.fromkeys(map(_plain, value)))


def _plain(name: Any) -> str:
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise ValueError(f"{name!r} is not a file of the showcase")
    return name


def read_review(project: Project) -> Review:
    """Return the project's review; an empty one when there is none. Raises InputError.

    A review.json of an earlier loraloom counts for what was not decided since.
    """
    path = project.showcase_dir / REVIEW_NAME
    old = read_review_file(path) if path.exists() else Review()
    with DecisionStore(project.reviews_db) as store:
        return merged(old, _stored_review(store))


def _stored_review(store: DecisionStore) -> Review:
    ratings = {
        name: rating
        for name, word in _of_showcase(store.values(DecisionKind.RATING)).items()
        if (rating := parse_rating(str(word))) is not None
    }
    upscale = tuple(_of_showcase(store.values(DecisionKind.UPSCALE)))
    order = store.find(DecisionKind.ORDER, PLACE)
    return Review(ratings, upscale, tuple(order.value) if order else ())


def _of_showcase(values: Mapping[str, Any]) -> dict[str, Any]:
    head = f"{PLACE}/"
    return {key.removeprefix(head): one for key, one in values.items() if key.startswith(head)}


def read_review_file(path: Path) -> Review:
    """Read a review that a board saved. Raises InputError."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("it is too large")
        return parse_review(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            "LL618",
            f"{path} is not a review of a showcase: {error}.",
            "Save it again from the review page: loraloom review PROJECT",
        ) from error


def is_review_file(path: Path) -> bool:
    """Tell whether a ratings file is one that a board saved."""
    try:
        return f'"{KIND}"' in path.read_text(encoding="utf-8-sig")[:_LARGEST_BYTES]
    except (OSError, UnicodeDecodeError):
        return False


def merged(old: Review, new: Review) -> Review:
    """Return a review in which the newer word on each picture counts."""
    return Review(
        {**old.ratings, **new.ratings}, new.upscale or old.upscale, new.order or old.order
    )


def write_review(project: Project, review: Review) -> Path:
    """Keep a review in reviews.db, note it in the journal, and tell an open board."""
    path = project.showcase_dir / REVIEW_NAME
    before = read_review(project)
    ratings: dict[str, Any] = dict.fromkeys(before.ratings)
    ratings |= {name: rating.value for name, rating in review.ratings.items()}
    upscale: dict[str, Any] = dict.fromkeys(before.upscale)
    upscale |= dict.fromkeys(review.upscale, True)
    with DecisionStore(project.reviews_db) as store:
        store.decide_together(
            {
                DecisionKind.RATING: {f"{PLACE}/{name}": one for name, one in ratings.items()},
                DecisionKind.UPSCALE: {f"{PLACE}/{name}": one for name, one in upscale.items()},
                DecisionKind.ORDER: {PLACE: list(review.order) or None},
            },
            "review",
        )
    if path.exists():
        with explained(path):
            path.replace(path.with_name(f"{REVIEW_NAME}.moved"))
    project.journal.append("review", **review.as_dict())
    if (project.showcase_dir / PAGE_NAME).exists():
        write_live(project)
    return project.reviews_db


# -- the board ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BoardWords:
    """What the board says and the project does not know: commands as the user types them."""

    status: str = ""
    badge: str = ""
    take: str = ""
    next: str = ""


def write_board(project: Project, words: BoardWords | None = None) -> Path:
    """Write the page with its data and return it."""
    for name in _ASSETS:
        text = (resources.files(__package__) / "web" / name).read_text(encoding="utf-8")
        write_text_atomic(project.showcase_dir / name, text)
    write_live(project, words)
    return project.showcase_dir / PAGE_NAME


def write_live(
    project: Project,
    words: BoardWords | None = None,
    album: Sequence[ShowPicture] | None = None,
) -> None:
    """Write the page's data; without `words` those of the last time stay."""
    path = project.showcase_dir / LIVE_NAME
    words = words or _earlier_words(path)
    shown = read_album(project) if album is None else album
    data = board_data(project, shown, read_review(project), words)
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    write_text_atomic(path, f"window.loraloomAlbum && loraloomAlbum({text});\n")


def _earlier_words(path: Path) -> BoardWords:
    try:
        text = path.read_text(encoding="utf-8")
        data = parse_json(text[text.index("(") + 1 : text.rindex(")")])
        return BoardWords(*(str(data[name]) for name in ("status", "badge", "take", "next")))
    except (OSError, ValueError, KeyError, TypeError):
        return BoardWords()


def board_data(
    project: Project, album: Sequence[ShowPicture], review: Review, words: BoardWords
) -> dict[str, Any]:
    """Return the board's data as plain values."""
    pictures = [_shown(one) for one in album]
    return {
        "id": _digest(str(project.root)),
        "title": f"{project.manifest.trigger_word}: showcase",
        "most": MOST_PICTURES,
        "revision": _digest(json.dumps(pictures)),
        "saved": _digest(json.dumps(review.as_dict())),
        "review": review.as_dict(),
        "pictures": pictures,
        **vars(words),
    }


def _shown(one: ShowPicture) -> dict[str, Any]:
    values = one.as_dict()
    names = ("file", "seed", "checkpoint", "prompt", "negative_prompt", "framing", "picks")
    return {**{name: values[name] for name in names}, "upscaled_from": one.upscaled_from}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
