"""The order of a showcase: equal framings side by side as rarely as can be, best never.

Among such orders equal checkpoints touch as rarely as can be; where that leaves a choice, the next
picture looks least like the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from .album import ShowPicture

Distance = Callable[[str, str], float]
"""How unlike two pictures look, by their file names: 0 alike to 1."""

_MOST_STEPS = 50_000
"""Tried per number of clashes; sets of a post's size need far fewer."""


def no_distance(one: str, other: str) -> float:
    """Take all pictures for equally unlike."""
    return 0.0


def can_be_arranged(framings: Sequence[str]) -> bool:
    """Tell whether some order keeps equal framings apart; "" is like no other."""
    return _fewest_clashes(framings) <= 0


def _fewest_clashes(words: Sequence[str], before: str = "") -> int:
    """Return how many equal neighbours no order of `words` avoids, after one of `before`.

    Below 0 there is room to spare.
    """
    counts = Counter(word for word in words if word)
    return max(
        (2 * count - len(words) - (word != before) for word, count in counts.items()), default=0
    )


def arrange(
    pictures: Sequence[ShowPicture], distance: Distance = no_distance
) -> tuple[ShowPicture, ...]:
    """Order pictures with the fewest equal framings side by side, then the fewest checkpoints."""
    framings = max(0, _fewest_clashes([one.framing for one in pictures]))
    checkpoints = max(0, _fewest_clashes([one.checkpoint for one in pictures]))
    for clashes in range(checkpoints, len(pictures) + 1):
        found = _Search(pictures, distance, framings, clashes).run()
        if found is not None:
            return found
    return tuple(pictures)


class _Search:
    """Look for an order with few equal neighbours; dead ends are remembered."""

    def __init__(
        self, pictures: Sequence[ShowPicture], distance: Distance, framings: int, checkpoints: int
    ) -> None:
        self._pictures = pictures
        self._distance = distance
        self._most = (framings, checkpoints)
        self._dead: set[tuple[object, ...]] = set()
        self._steps = 0

    def run(self) -> tuple[ShowPicture, ...] | None:
        """Return the order, or None when there is none or it was not found in time."""
        return self._after((), list(self._pictures), self._most)

    def _after(
        self, done: tuple[ShowPicture, ...], waiting: list[ShowPicture], left: tuple[int, int]
    ) -> tuple[ShowPicture, ...] | None:
        if not waiting:
            return done
        before = done[-1] if done else None
        if not _may_work_out(before, waiting, left):
            return None
        kinds = Counter((one.framing, one.checkpoint) for one in waiting)
        last = (before.framing, before.checkpoint) if before else None
        state = (last, left, frozenset(kinds.items()))
        self._steps += 1
        if state in self._dead or self._steps > _MOST_STEPS:
            return None
        for one in self._candidates(before, waiting):
            framing, checkpoint = _clashes(before, one)
            rest = (left[0] - framing, left[1] - checkpoint)
            if min(rest) >= 0:
                others = [other for other in waiting if other is not one]
                found = self._after((*done, one), others, rest)
                if found is not None:
                    return found
        self._dead.add(state)
        return None

    def _candidates(
        self, before: ShowPicture | None, waiting: Sequence[ShowPicture]
    ) -> Iterator[ShowPicture]:
        """Yield the pictures that may come next, the best first, one of each kind."""
        ranked = list(waiting)
        if before is not None:
            name = before.file
            ranked.sort(
                key=lambda one: (_clashes(before, one), -self._distance(one.file, name)),
            )
        seen = set[tuple[str, str]]()
        for one in ranked:
            kind = (one.framing, one.checkpoint)
            if kind not in seen:
                seen.add(kind)
                yield one


def _clashes(before: ShowPicture | None, one: ShowPicture) -> tuple[int, int]:
    """Return 1 for an equal framing and 1 for an equal checkpoint; what is not told equals none."""
    if before is None:
        return 0, 0
    return (
        int(bool(one.framing) and one.framing == before.framing),
        int(bool(one.checkpoint) and one.checkpoint == before.checkpoint),
    )


def _may_work_out(
    before: ShowPicture | None, waiting: Sequence[ShowPicture], left: tuple[int, int]
) -> bool:
    framings = _fewest_clashes([one.framing for one in waiting], before.framing if before else "")
    checkpoints = _fewest_clashes(
        [one.checkpoint for one in waiting], before.checkpoint if before else ""
    )
    return framings <= left[0] and checkpoints <= left[1]


def neighbours_alike(pictures: Sequence[ShowPicture]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of neighbours that have the same framing, by file name."""
    return tuple((a.file, b.file) for a, b in pairwise(pictures) if _clashes(a, b)[0])


def neighbours_of_one_checkpoint(pictures: Sequence[ShowPicture]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of neighbours of the same checkpoint, by file name."""
    return tuple((a.file, b.file) for a, b in pairwise(pictures) if _clashes(a, b)[1])
