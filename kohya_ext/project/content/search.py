"""Find every picture that the content rule forbids, by its caption and its stored scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..files import sha256_of
from ..tagging.scores import read_all_scores
from .rule import Signs, forbidden_picture


def find_forbidden(
    pictures: Iterable[tuple[Path, str]], scores_dir: Path | None
) -> dict[Path, Signs]:
    """Return the signs of each forbidden picture; `pictures` are paths with their captions.

    Scores are looked up by the file's hash, which is taken only where some stored scores hold a
    sign of a minor: most sets are looked at without reading a picture.
    """
    known = read_all_scores(scores_dir) if scores_dir and scores_dir.is_dir() else {}
    suspect = {key: one for key, one in known.items() if forbidden_picture(one, "nude")}
    found: dict[Path, Signs] = {}
    for path, caption in pictures:
        scores = suspect.get(sha256_of(path)) if suspect and path.is_file() else None
        signs = forbidden_picture(scores, caption)
        if signs:
            found[path] = signs
    return found
