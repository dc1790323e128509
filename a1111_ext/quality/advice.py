"""Advice on a run: at most three epochs with reasons, and what was not measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .evidence import Epoch, Evidence
from .ordering import Order, Verdict, order_epochs, reasons
from .sentences import place_of, sentences_for, summary
from .signal import Signal, SignalName

_SURE = 2
"""So many overtrained epochs at the end, one after the other, before stopping is suggested."""


@dataclass(frozen=True)
class Recommendation:
    """One epoch that the advice names, with its reasons."""

    epoch: Epoch
    place: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """The whole answer; `order` and `evidence` are what it rests on."""

    verdict: Verdict
    summary: str
    picks: tuple[Recommendation, ...]
    unmeasured: tuple[tuple[SignalName, str], ...]
    order: Order
    evidence: Evidence

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals that were measured, in the order in which they are shown."""
        found = (self.evidence.signals.get(name) for name in SignalName)
        return tuple(one for one in found if one is not None and one.is_measured)

    @property
    def suggests_stop(self) -> bool:
        """Whether continuing is of no use: two overtrained epochs follow one that is good."""
        return (
            self.verdict in (Verdict.TAKE, Verdict.UNDECIDED)
            and bool(self.picks)
            and self.order.overtrained_at_the_end >= _SURE
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for `--json`; not-a-number and infinity become null."""
        return {
            "verdict": self.verdict.value,
            "summary": self.summary,
            "picks": [
                {
                    "epoch": one.epoch.number,
                    "name": one.epoch.name,
                    "file": one.epoch.file,
                    "step": one.epoch.step,
                    "place": one.place,
                    "reasons": list(one.sentences),
                }
                for one in self.picks
            ],
            "suggests_stop": self.suggests_stop,
            "epochs": [
                {
                    "epoch": one.number,
                    "name": one.name,
                    "score": _plain(self.order.scores[index]),
                    "overtrained_by": [name.value for name in reasons(self.evidence, index)],
                }
                for index, one in enumerate(self.evidence.epochs)
            ],
            "signals": {
                one.name.value: {
                    "values": [_plain(value) for value in one.values],
                    "bad": list(one.bad),
                    "counts": one.name not in self.evidence.switched_off,
                }
                for one in self.signals
            },
            "not_measured": {name.value: why for name, why in self.unmeasured},
        }


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


def advise(evidence: Evidence) -> Advice:
    """Order the epochs and give the reasons; a pure function of what was measured."""
    order = order_epochs(evidence)
    picks = tuple(
        Recommendation(
            evidence.epochs[index],
            place_of(evidence, evidence.epochs[index]),
            sentences_for(evidence, order, index),
        )
        for index in order.picks
    )
    missing = tuple(
        (name, one.unmeasured)
        for name in SignalName
        if (one := evidence.signals.get(name)) is not None and not one.is_measured
    )
    return Advice(order.verdict, summary(evidence, order), picks, missing, order, evidence)
