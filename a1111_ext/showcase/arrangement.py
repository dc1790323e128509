"""The order of a showcase: never two of the same framing side by side.

Where framing leaves a choice, the next picture is of another checkpoint and looks least like the
one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from .album import ShowPicture

Distance = Callable[[str, str], float]
"""How unlike two pictures look, by their file names: 0 alike to 1."""


def no_distance(one: str, other: str) -> float:
    """Take all pictures for equally unlike."""
    return 0.0


def can_be_arranged(framings: Sequence[str]) -> bool:
    """Tell whether some order keeps equal framings apart; "" is like no other."""
    counts = Counter(framing for framing in framings if framing)
    return not counts or max(counts.values()) <= (len(framings) + 1) // 2


def arrange(
    pictures: Sequence[ShowPicture], distance: Distance = no_distance
) -> tuple[ShowPicture, ...]:
    """Order pictures, the first one first. ValueError when framings cannot be kept apart."""
    if not can_be_arranged([one.framing for one in pictures]):
        raise ValueError("too many pictures of one framing")
    waiting, ordered = list(pictures), list[ShowPicture]()
    while waiting:
        before = ordered[-1] if ordered else None
        fitting = [one for one in waiting if _may_follow(one, before, waiting)]
        ordered.append(max(fitting, key=lambda one: _fitness(one, before, waiting, distance)))
        waiting.remove(ordered[-1])
    return tuple(ordered)


def _may_follow(
    one: ShowPicture, before: ShowPicture | None, waiting: Sequence[ShowPicture]
) -> bool:
    """Tell whether `one` may come next: not like the one before, and the rest still works out."""
    if before is not None and one.framing and one.framing == before.framing:
        return False
    rest = [other.framing for other in waiting if other is not one]
    counts = Counter(framing for framing in rest if framing)
    # the framing just placed cannot come next, so it has one place less
    return all(
        count <= (len(rest) + (0 if framing == one.framing else 1)) // 2
        for framing, count in counts.items()
    )


def _fitness(
    one: ShowPicture,
    before: ShowPicture | None,
    waiting: Sequence[ShowPicture],
    distance: Distance,
) -> tuple[bool, float, int]:
    if before is None:
        return True, 0.0, -waiting.index(one)
    return (
        one.checkpoint != before.checkpoint,
        distance(one.file, before.file),
        -waiting.index(one),
    )


def neighbours_alike(pictures: Sequence[ShowPicture]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of neighbours that have the same framing, by file name."""
    pairs = pairwise(pictures)
    return tuple(
        (one.file, other.file)
        for one, other in pairs
        if one.framing and one.framing == other.framing
    )
