"""Learned yet: how much of the subject the trigger word brings, from the control to the set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .signal import Series, Signal, SignalName, neighbour_spread, unmeasured
from .tag_profile import TagProfile, TagScores, mean_scores

LEAST_LEARNED = 0.45
"""Below this an epoch does not know its subject."""

_LEAST_LIFT = 0.15
"""A tag that the control shows nearly as much as the training set cannot tell anything."""


@dataclass(frozen=True)
class TagCurve:
    """One tag over the epochs: probabilities, the control's and the training set's."""

    tag: str
    values: tuple[float | None, ...]
    control: float
    training: float


def measure_learned(
    series: Series[TagScores], profile: TagProfile, prompted: Mapping[str, Collection[str]]
) -> tuple[Signal, tuple[TagCurve, ...]]:
    """Return the signal, 0 as the control and 1 as the training set, and its tags' curves.

    `series` should hold trigger-only pictures; tags that a prompt names do not count for it.
    The curves come with the most telling tag first.
    """
    count = len(series.epochs)
    core = profile.core()
    if not core:
        why = "The training pictures have no tags of their subject yet: loraloom caption."
        return unmeasured(SignalName.LEARNED, count, why), ()
    if not series.control:
        why = "There are no pictures without the LoRA to compare with."
        return unmeasured(SignalName.LEARNED, count, why), ()
    asked = {tag for tags in prompted.values() for tag in tags}
    control = mean_scores(series.control.values())
    lifts = {
        tag: share - control.get(tag, 0.0)
        for tag, share in core.items()
        if tag not in asked and share - control.get(tag, 0.0) >= _LEAST_LIFT
    }
    if not lifts:
        why = "The base model shows the same tags without the LoRA."
        return unmeasured(SignalName.LEARNED, count, why), ()
    means = [mean_scores(one.values()) if one else None for one in series.epochs]
    values = tuple(_share(one, control, lifts) for one in means)
    noise = neighbour_spread(values)
    bad = tuple(value is not None and value < LEAST_LEARNED for value in values)
    ordered = sorted(lifts, key=lambda tag: (-lifts[tag], tag))
    curves = tuple(
        TagCurve(
            tag,
            tuple(None if one is None else one.get(tag, 0.0) for one in means),
            control.get(tag, 0.0),
            core[tag],
        )
        for tag in ordered
    )
    return Signal(SignalName.LEARNED, values, bad, noise), curves


def _share(means: TagScores | None, control: TagScores, lifts: Mapping[str, float]) -> float | None:
    if means is None:
        return None
    reached = sum(
        min(lift, max(0.0, means.get(tag, 0.0) - control.get(tag, 0.0)))
        for tag, lift in lifts.items()
    )
    return reached / sum(lifts.values())
