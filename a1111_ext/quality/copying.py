"""Copying and collapse: pictures of the training set that come back, seeds that look the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median

from .fingerprint import Fingerprint, distance, find_copied
from .signal import Series, Signal, SignalName, neighbour_spread, spread_before, unmeasured

_MOST_COPIES = 0.10
"""The share of copies beyond which an epoch is bad, if it is more than the control's."""

_LEAST_VARIETY = 0.75
"""Seeds may be this share of the control's distance apart before it is called a collapse."""

_LEAST_APART = 0.05


def measure_copying(
    series: Series[Fingerprint],
    training: Sequence[Sequence[Fingerprint]],
    names: Sequence[str] = (),
) -> Signal:
    """Return the share of an epoch's pictures that are copies of a training picture.

    `training` holds the variants of each training picture; `names` are for the notes.
    """
    count = len(series.epochs)
    if not training:
        return unmeasured(
            SignalName.COPYING, count, "There are no training pictures to compare with."
        )
    by_chance = _share(series.control, training)[0] if series.control else 0.0
    values: list[float | None] = []
    bad: list[bool] = []
    notes: dict[int, str] = {}
    for index, pictures in enumerate(series.epochs):
        share, copied = _share(pictures, training)
        values.append(share if pictures else None)
        many = len(copied) >= 2 or len(pictures) < 4
        bad.append(bool(copied) and many and share > by_chance + _MOST_COPIES)
        if copied:
            most = max(sorted(set(copied)), key=copied.count)
            notes[index] = names[most] if most < len(names) else f"picture {most + 1}"
    return Signal(SignalName.COPYING, tuple(values), tuple(bad), notes=notes)


def _share(
    pictures: Mapping[str, Fingerprint], training: Sequence[Sequence[Fingerprint]]
) -> tuple[float, list[int]]:
    found = [find_copied(one, training) for one in pictures.values()]
    copied = [one.index for one in found if one is not None]
    return (len(copied) / len(found) if found else 0.0), copied


def measure_variety(series: Series[Fingerprint], prompt_of: Mapping[str, str]) -> Signal:
    """Return how far apart the seeds of a prompt are, as a share of the control's distance.

    `prompt_of` maps a pair to what all its seeds have in common.
    """
    count = len(series.epochs)
    base = _apart(series.control, prompt_of)
    if not base:
        return unmeasured(
            SignalName.VARIETY, count, "It needs two seeds of a prompt, and the no-LoRA control."
        )
    curve: list[float | None] = []
    for pictures in series.epochs:
        found = _apart(pictures, prompt_of)
        shares = [found[prompt] / base[prompt] for prompt in found if prompt in base]
        curve.append(median(shares) if shares else None)
    if all(value is None for value in curve):
        why = "It needs two seeds of a prompt in an epoch, and so far none has them."
        return unmeasured(SignalName.VARIETY, count, why)
    bad = tuple(
        value is not None and value < _LEAST_VARIETY - spread_before(curve, index)
        for index, value in enumerate(curve)
    )
    return Signal(SignalName.VARIETY, tuple(curve), bad, neighbour_spread(curve))


def _apart(pictures: Mapping[str, Fingerprint], prompt_of: Mapping[str, str]) -> dict[str, float]:
    groups: dict[str, list[Fingerprint]] = {}
    for pair, one in pictures.items():
        groups.setdefault(prompt_of.get(pair, ""), []).append(one)
    means = {
        prompt: sum(distance(a, b) for a, b in combinations(members, 2))
        / (len(members) * (len(members) - 1) / 2)
        for prompt, members in groups.items()
        if len(members) >= 2
    }
    return {prompt: value for prompt, value in means.items() if value >= _LEAST_APART}
