"""How the learning rate runs through a training: what trains too little, unreported.

The trainer's own scheduler is walked by `probe.course`; the warmup is counted here without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...project.wording import counted
from ..dataset.steps import StepPlan
from .findings import Finding, error, warning

_FAR_ABOVE = 20.0
"""Our choice: OneCycleLR and the like begin at a 25th of what they rise to."""
_HALF = 0.5


def check_warmup(values: Mapping[str, Any], plan: StepPlan | None) -> Iterator[Finding]:
    """Check whether the warmup ends before the training does."""
    given = values.get("lr_warmup_steps")
    if plan is None or isinstance(given, bool) or not isinstance(given, (int, float)):
        return
    steps = plan.steps * given if isinstance(given, float) else given
    if given and steps >= plan.steps:
        yield warning(
            "LL359",
            f"The warmup takes {counted(round(steps), 'step')}, but the training has "
            f"{plan.steps}: it never reaches its learning rate.",
            f"Set it to a tenth, {counted(max(1, plan.steps // 10), 'step')}, or to 0.",
        )


def check_course(groups: Sequence[Mapping[str, float]]) -> Iterator[Finding]:
    """Look at the rates of the trainer's own scheduler, one row for each group of weights."""
    if not groups:
        return
    steps = int(groups[0]["steps"])
    if all(one["highest"] <= 0 for one in groups):
        yield error(
            "LL359",
            f"The learning rate is 0 in each of {counted(steps, 'step')}: nothing would be "
            "trained.",
            "Set a learning rate, or choose another scheduler.",
        )
        return
    for one in groups:
        asked, highest, alive = one["asked"], one["highest"], int(one["alive"])
        if 0 < highest < asked * _HALF:
            yield warning(
                "LL359",
                f"The scheduler never brings the learning rate above {highest:.3g} of the "
                f"{asked:g} that is asked, in {counted(steps, 'step')}.",
                "Shorten the warmup, or choose another scheduler.",
            )
        elif highest > asked * _FAR_ABOVE > 0:
            yield warning(
                "LL359",
                f"The scheduler brings the learning rate up to {highest:.3g}, while {asked:g} is "
                "asked.",
                "Check lr_scheduler_args; this scheduler does not use the learning rate.",
            )
        if highest > 0 and alive < steps * _HALF:
            yield warning(
                "LL359",
                f"The learning rate is above a fiftieth of its highest in {alive} of "
                f"{counted(steps, 'step')}; in the others hardly anything is learned.",
                "sd-scripts counts lr_scheduler_args in steps, not in epochs.",
            )
