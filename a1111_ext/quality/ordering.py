"""The order of the epochs: which are overtrained, which know the subject, which comes first.

Votes outrank everything; ties go to the earlier epoch. Nothing is deleted by any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .evidence import Evidence
from .learned import LEAST_LEARNED
from .signal import SignalName

OVERTRAINED_BY = (
    SignalName.FRIED,
    SignalName.COPYING,
    SignalName.VARIETY,
    SignalName.OBEYS,
    SignalName.LEAKAGE,
    SignalName.WEIGHTS,
)
"""Signals that count against an epoch when they are beyond their limit."""

_TIE = 0.03
_BETA = 2.0
"""How much more knowing the subject counts than obeying the prompt."""

_LEAK_COSTS = 0.3
MOST_PICKS = 3


class Verdict(str, Enum):
    """What to do."""

    TAKE = "take"
    TRAIN_ON = "train-on"
    ALL_FRIED = "all-fried"
    UNDECIDED = "undecided"


EXIT_CODES = {Verdict.TAKE: 0, Verdict.TRAIN_ON: 3, Verdict.ALL_FRIED: 4, Verdict.UNDECIDED: 5}
"""What `loraloom advise` ends with; 1 and 2 are for errors."""


@dataclass(frozen=True)
class Order:
    """The verdict, and the indices of at most three epochs, the best first."""

    verdict: Verdict
    picks: tuple[int, ...]
    scores: tuple[float | None, ...]
    overtrained: tuple[bool, ...]
    compared: tuple[int, ...] = ()

    @property
    def onset(self) -> int | None:
        """The first compared epoch from which on all are overtrained, or None."""
        found = None
        for index in reversed(self.compared):
            if not self.overtrained[index]:
                break
            found = index
        return found

    @property
    def overtrained_at_the_end(self) -> int:
        """How many compared epochs in a row are overtrained at the end."""
        onset = self.onset
        return 0 if onset is None else sum(index >= onset for index in self.compared)


def order_epochs(evidence: Evidence) -> Order:
    """Order the epochs by what was measured."""
    count = len(evidence.epochs)
    overtrained = tuple(bool(reasons(evidence, index)) for index in range(count))
    scores = tuple(_score(evidence, index) for index in range(count))
    knows = [_knows(evidence, index) for index in range(count)]
    preferred = _preferred(evidence)
    rejected = {i for i in range(count) if evidence.ballot(i).upper < 0.5} - set(preferred)
    compared = evidence.compared()
    good = [i for i in compared if not overtrained[i] and knows[i] is not False]
    good = [i for i in good if i not in rejected]
    ranked = [*preferred, *(i for i in _ranked(good, scores) if i not in preferred)]
    verdict = _verdict(
        ranked, [knows[i] for i in compared], [overtrained[i] for i in compared], bool(preferred)
    )
    if verdict is Verdict.ALL_FRIED:
        ranked = _least_bad(evidence, knows, rejected)
    elif verdict is Verdict.TRAIN_ON:
        ranked = _ranked([i for i in compared if not overtrained[i]], scores)[:1]
    return Order(verdict, tuple(ranked[:MOST_PICKS]), scores, overtrained, compared)


def reasons(evidence: Evidence, index: int) -> tuple[SignalName, ...]:
    """Return the signals that count against an epoch."""
    found = []
    for name in OVERTRAINED_BY:
        signal = evidence.signal(name)
        if signal is not None and signal.is_bad(index):
            found.append(name)
    return tuple(found)


def _knows(evidence: Evidence, index: int) -> bool | None:
    """Tell whether an epoch knows its subject; None where that was not measured."""
    known = _known(evidence, index)
    return None if known is None else known >= LEAST_LEARNED


def _known(evidence: Evidence, index: int) -> float | None:
    values = [
        value
        for name in (SignalName.LEARNED, SignalName.LIKENESS)
        if (value := evidence.value(name, index)) is not None
    ]
    return sum(values) / len(values) if values else None


def _score(evidence: Evidence, index: int) -> float | None:
    """Return the weighted harmonic mean of knowing and obeying, less what leaked."""
    known = _known(evidence, index)
    lost = evidence.value(SignalName.OBEYS, index)
    if known is None and lost is None:
        return None
    known = 1.0 if known is None else max(0.0, min(1.0, known))
    obeys = 1.0 if lost is None else max(0.0, min(1.0, 1.0 + lost))
    under = _BETA**2 * obeys + known
    both = (1 + _BETA**2) * known * obeys / under if under else 0.0
    leaked = evidence.value(SignalName.LEAKAGE, index) or 0.0
    return both - _LEAK_COSTS * max(0.0, leaked)


def _ranked(good: Sequence[int], scores: Sequence[float | None]) -> list[int]:
    """Order by score, ties to the earlier one; without scores, the latest first."""
    if not any(scores[index] is not None for index in good):
        return list(reversed(good))
    rest = [index for index in good if scores[index] is not None]
    ranked = []
    while rest:
        best = max(scores[index] or 0.0 for index in rest)
        chosen = next(index for index in rest if (scores[index] or 0.0) >= best - _TIE)
        ranked.append(chosen)
        rest.remove(chosen)
    return ranked


def _preferred(evidence: Evidence) -> list[int]:
    """Return epochs that a person chose or that surely win their votes, the best first."""
    ballots = list(enumerate(evidence.ballots))
    found = [(i, one) for i, one in ballots if one.is_chosen or one.lower > 0.5]
    return [i for i, one in sorted(found, key=lambda p: (not p[1].is_chosen, -p[1].lower, p[0]))]


def _verdict(
    ranked: Sequence[int],
    knows: Sequence[bool | None],
    overtrained: Sequence[bool],
    is_voted: bool,
) -> Verdict:
    is_known = any(one is not None for one in knows)
    if ranked:
        return Verdict.TAKE if is_known or is_voted else Verdict.UNDECIDED
    if not knows:
        return Verdict.UNDECIDED
    if is_known and not any(knows) and not all(overtrained):
        return Verdict.TRAIN_ON
    return Verdict.ALL_FRIED


def _least_bad(evidence: Evidence, knows: Sequence[bool | None], rejected: set[int]) -> list[int]:
    """Return the first epoch that knows the subject, or else the first of all."""
    there = [i for i in evidence.compared() if i not in rejected]
    usable = [i for i in there if "number" not in _weights_note(evidence, i)]
    return ([i for i in usable if knows[i]] or usable or there)[:1]


def _weights_note(evidence: Evidence, index: int) -> str:
    signal = evidence.signal(SignalName.WEIGHTS)
    return signal.notes.get(index, "") if signal is not None else ""
