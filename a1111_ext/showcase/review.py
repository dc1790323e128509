"""The review: what a person says of the showcase, kept in reviews.db.

It is said on the board (`showcase_view`), or in a file of ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import move_file
from kohya_ext.project.json_reader import parse_json_of_kind, read_text
from kohya_ext.project.limits import limits

from .ratings import Rating, parse_rating

KIND = "loraloom-review"
REVIEW_NAME = "review.json"
PLACE = "showcase"
"""How the subjects of decisions on the showcase begin."""


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
    """Read a review from JSON; ValueError for anything else."""
    data = parse_json_of_kind(text, KIND)
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
    """Read a review that was saved as a file. Raises InputError."""
    try:
        return parse_review(read_text(path, limits().json_bytes))
    except (OSError, ValueError) as error:
        raise InputError(
            "LL618",
            f"{path} is not a review of a showcase: {error}.",
            "Rate on the review page instead: loraloom review PROJECT",
        ) from error


def is_review_file(path: Path) -> bool:
    """Tell whether a ratings file is a whole review."""
    try:
        return f'"{KIND}"' in read_text(path, limits().json_bytes)
    except (OSError, ValueError):
        return False


def merged(old: Review, new: Review) -> Review:
    """Return a review in which the newer word on each picture counts."""
    return Review(
        {**old.ratings, **new.ratings}, new.upscale or old.upscale, new.order or old.order
    )


def write_review(project: Project, review: Review) -> Path:
    """Keep a review in reviews.db, and note it in the journal."""
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
        move_file(path, path.with_name(f"{REVIEW_NAME}.moved"))
    project.journal.append("review", **review.as_dict())
    return project.reviews_db


def adopt_review_file(project: Project) -> None:
    """Take a review.json of an earlier loraloom into reviews.db. Raises InputError."""
    if (project.showcase_dir / REVIEW_NAME).exists():
        write_review(project, read_review(project))
