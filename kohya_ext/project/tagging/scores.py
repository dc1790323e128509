"""What a tagger said of one picture, kept so that captions can be made again without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..files import write_json_atomic
from ..json_reader import read_json

FLOOR = 0.02
"""Probabilities below are not kept: no sensible threshold is lower."""


@dataclass(frozen=True)
class Scores:
    """Probabilities from 0 to 1 by tag, in the order of the model's outputs."""

    picture_sha256: str
    model_sha256: str
    ratings: Mapping[str, float]
    general: Mapping[str, float]
    character: Mapping[str, float]


def scores_path(folder: Path, picture_sha256: str) -> Path:
    """Return where the scores of a picture are kept."""
    return folder / f"{picture_sha256}.json"


def read_scores(folder: Path, picture_sha256: str) -> Scores | None:
    """Return the stored scores of a picture, or None; a damaged file counts as none."""
    try:
        data = read_json(scores_path(folder, picture_sha256))
        return Scores(
            picture_sha256,
            str(data["model"]),
            _numbers(data["ratings"]),
            _numbers(data["general"]),
            _numbers(data["character"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # they can be made again
        return None


def _numbers(table: Mapping[str, float]) -> dict[str, float]:
    """Return a table of scores; TypeError for one of other values."""
    if not all(isinstance(one, int | float) for one in table.values()):
        raise TypeError("a score is not a number")
    return dict(table)


def read_all_scores(folder: Path) -> dict[str, Scores]:
    """Return all stored scores by the hash of their picture's file; damaged ones are left out."""
    found = (read_scores(folder, path.stem) for path in folder.glob("*.json"))
    return {one.picture_sha256: one for one in found if one is not None}


def write_scores(folder: Path, scores: Scores) -> None:
    """Store the scores of one picture atomically."""
    data = {
        "model": scores.model_sha256,
        "ratings": dict(scores.ratings),
        "general": dict(scores.general),
        "character": dict(scores.character),
    }
    write_json_atomic(scores_path(folder, scores.picture_sha256), data)
