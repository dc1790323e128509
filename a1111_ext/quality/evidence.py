"""All that is known of a run's epochs when advice is given: signals, tag curves, votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ballot import Ballot
from .learned import TagCurve
from .signal import Signal, SignalName


@dataclass(frozen=True)
class Epoch:
    """One epoch of a run, as advice speaks of it; `file` is its file's name."""

    name: str
    file: str = ""
    number: int | None = None
    step: int | None = None

    @property
    def word(self) -> str:
        """Return `epoch 8`, or the file's stem where the number is not known."""
        return self.name if self.number is None else f"epoch {self.number}"


@dataclass(frozen=True)
class Evidence:
    """What was measured; every curve has one value for each of `epochs`, in training order.

    `epochs_planned` is how many the training was asked for, where that is known.
    """

    epochs: tuple[Epoch, ...]
    signals: Mapping[SignalName, Signal]
    subject_tags: tuple[TagCurve, ...] = ()
    asked_tags: tuple[TagCurve, ...] = ()
    ballots: tuple[Ballot, ...] = ()
    epochs_planned: int | None = None
    switched_off: frozenset[SignalName] = field(default_factory=frozenset)

    def signal(self, name: SignalName) -> Signal | None:
        """Return a signal that was measured and counts, or None."""
        found = self.signals.get(name)
        if found is None or not found.is_measured or name in self.switched_off:
            return None
        return found

    def value(self, name: SignalName, index: int) -> float | None:
        """Return a signal's value of one epoch, or None."""
        found = self.signal(name)
        return None if found is None else found.values[index]

    def compared(self) -> tuple[int, ...]:
        """Return the epochs that have pictures; all of them where none has."""
        names = [one for one in self.signals if one is not SignalName.WEIGHTS]
        found = tuple(
            index
            for index in range(len(self.epochs))
            if any(self.value(name, index) is not None for name in names)
            or self.ballot(index).is_chosen
        )
        return found or tuple(range(len(self.epochs)))

    def ballot(self, index: int) -> Ballot:
        """Return what people said of one epoch."""
        return self.ballots[index] if index < len(self.ballots) else Ballot()
