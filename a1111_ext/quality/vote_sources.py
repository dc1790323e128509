"""Where people's votes and choices are read from: the one place that knows how they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kohya_ext.project import Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore

from ..grids.choice import find_chosen
from ..grids.page.votes import find_marked, read_votes
from .ballot import Ballot


def read_ballots(
    project: Project, folders: Iterable[Path], file_of: Mapping[str, str], files: Sequence[str]
) -> tuple[Ballot, ...]:
    """Return a ballot for each of `files`; `file_of` gives the epoch file of a picture's key."""
    found = dict.fromkeys(files, Ballot())
    choices: list[tuple[datetime, str]] = []
    for folder in folders:
        kept = read_votes(folder)
        for vote in kept.get("votes", ()):
            _count(found, file_of, vote)
        marked = find_marked(folder)
        if marked is not None and marked[1] in file_of:
            choices.append((marked[0], file_of[marked[1]]))
    for file, rating in _rated(project, file_of):
        found = _with_rating(found, file, rating)
    held = find_chosen(project)
    if held is not None:
        choices.append((held.at, held.epoch_file))
        if not any(one.count for one in found.values()):
            _count_summary(found, held.facts.get("votes", ()))
    chosen = max(choices)[1] if choices else ""
    if chosen in found:
        found[chosen] = replace(found[chosen], is_chosen=True)
    return tuple(found[name] for name in files)


_GOOD = frozenset(("1", "2", "5", "keep", "showcase", "follow-up"))
_POOR = frozenset(("drop", "reject", "x", "0", "-1"))
"""As pictures of a showcase are rated: 1 showcase, 2 follow-up, 5 placed; 3 and 4 say nothing."""


def _rated(project: Project, file_of: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the epoch file and the rating of each of the grid's pictures that was rated."""
    with DecisionStore(project.reviews_db) as store:
        ratings = store.values(DecisionKind.RATING)
    return [(file_of[key], str(value)) for key, value in ratings.items() if key in file_of]


def _with_rating(found: dict[str, Ballot], file: str, rating: str) -> dict[str, Ballot]:
    ballot, word = found.get(file), rating.strip().casefold()
    if ballot is None or word not in _GOOD | _POOR:
        return found
    if word in _GOOD:
        return {**found, file: replace(ballot, better=ballot.better + 1)}
    return {**found, file: replace(ballot, worse=ballot.worse + 1)}


def _count(found: dict[str, Ballot], file_of: Mapping[str, str], vote: Any) -> None:
    if not isinstance(vote, dict):
        return
    left, right = file_of.get(vote.get("left", "")), file_of.get(vote.get("right", ""))
    answer = vote.get("answer")
    if left not in found or right not in found or left == right or left is None or right is None:
        return
    if answer in ("left", "right"):
        won, lost = (left, right) if answer == "left" else (right, left)
        found[won] = replace(found[won], better=found[won].better + 1)
        found[lost] = replace(found[lost], worse=found[lost].worse + 1)
    elif answer == "same":
        for name in (left, right):
            found[name] = replace(found[name], draw=found[name].draw + 1)


def _count_summary(found: dict[str, Ballot], rows: Any) -> None:
    """Take the counts that a saved choice carries; its values are epochs' labels."""
    stems = {Path(name).stem: name for name in found}
    for row in rows if isinstance(rows, list) else ():
        name = stems.get(str(row.get("value", ""))) if isinstance(row, dict) else None
        if name is not None:
            found[name] = Ballot(
                int(row.get("better", 0)), int(row.get("draw", 0)), int(row.get("worse", 0))
            )
