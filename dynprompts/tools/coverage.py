"""What a batch drew of what it could have drawn: options never drawn, or far from their weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import counted
from ..sample import Sample
from ..survey import VariantFacts

_FAR = 3.29
"""Standard deviations; by chance one option in a thousand is farther from its share."""

_MOST_SHOWN = 200


class OptionCount(NamedTuple):
    """One option: how often it was drawn, and how often its weight would have it drawn.

    `expected` is None where several options of uneven weight are drawn at once.
    """

    number: int
    option: str
    drawn: int
    expected: float | None

    @property
    def never(self) -> bool:
        """Whether it could have been drawn, and was not."""
        return self.drawn == 0 and self.expected != 0

    def far(self, times: int) -> bool:
        """Whether chance hardly explains how often it was drawn in `times` draws."""
        if not self.expected or self.expected >= times:
            return False
        spread = (self.expected * (1 - self.expected / times)) ** 0.5
        return abs(self.drawn - self.expected) > max(_FAR * float(spread), 1.0)


class ChoiceCount(NamedTuple):
    """One variant or wildcard over a batch: how often it was drawn, and each option of it."""

    label: str
    times: int
    options: tuple[OptionCount, ...]
    total: int

    @property
    def never(self) -> tuple[OptionCount, ...]:
        """Options that were never drawn."""
        return tuple(one for one in self.options if one.never)

    @property
    def far(self) -> tuple[OptionCount, ...]:
        """Options drawn far from their weight."""
        return tuple(one for one in self.options if one.far(self.times))


class Coverage(NamedTuple):
    """A batch against the template that it was drawn from."""

    samples: int
    choices: tuple[ChoiceCount, ...]

    def __str__(self) -> str:
        lines = [counted(self.samples, "prompt")]
        for choice in self.choices:
            lines.append(f"{choice.label}: drawn {counted(choice.times, 'time')}")
            for one in choice.options[:_MOST_SHOWN]:
                expected = "" if one.expected is None else f" of {one.expected:.1f} expected"
                mark = "  never drawn" if one.never else ""
                mark = "  far from its weight" if one.far(choice.times) and not mark else mark
                lines.append(f"  {one.drawn:>6}{expected}  {one.option or '(empty)'}{mark}")
            if choice.total > _MOST_SHOWN:
                lines.append(f"  ... {counted(choice.total, 'option')} in all")
        return "\n".join(lines)


def count_coverage(samples: Iterable[Sample], choices: Iterable[VariantFacts]) -> Coverage:
    """Count what the samples picked of each choice."""
    drawn: Counter[tuple[str, int]] = Counter()
    batch = 0
    for sample in samples:
        batch += 1
        drawn.update((pick.variant, pick.number) for pick in sample.picks)
    times: Counter[str] = Counter()
    for (label, _), many in drawn.items():
        times[label] += many
    counted = [_counted(choice, times[choice.label], drawn) for choice in choices]
    return Coverage(batch, tuple(counted))


def _counted(choice: VariantFacts, times: int, drawn: Counter[tuple[str, int]]) -> ChoiceCount:
    options = []
    for number in range(choice.total):
        expected = None
        if choice.single or choice.weights is None:
            expected = times * choice.share(number)
        many = drawn[choice.label, number]
        options.append(OptionCount(number, choice.option(number), many, expected))
    return ChoiceCount(choice.label, times, tuple(options), choice.total)
