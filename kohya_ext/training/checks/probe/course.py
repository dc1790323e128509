"""The first step of an optimizer, and the learning rates of a whole training, without a model.

Some errors come only with the first step, some schedulers run out before the training does, and
others have made the rate nothing long before its end.
"""

from __future__ import annotations

import time
from typing import Any

MOST_STEPS = 20_000
SECONDS = 4.0
"""Our choice: 2,000 steps of a scheduler take a tenth of a second."""


class Unfinished(Exception):
    """There are more steps than are walked here."""


class ScheduleError(Exception):
    """The scheduler cannot make a step that the training would make."""


def step_once(torch: Any, optimizer: Any) -> None:
    """Make one step on the small parameters, as the trainer would on the network's."""
    if type(optimizer).__module__.startswith("bitsandbytes"):  # it steps on a card only
        return
    switch = getattr(optimizer, "train", None)  # what schedule-free ones want first
    if callable(switch):
        switch()
    for group in optimizer.param_groups:
        for one in group["params"]:
            one.grad = torch.full_like(one, 1e-3)
    optimizer.step()


def rates_now(optimizer: Any) -> list[float]:
    """Return the learning rate of each group; nothing where an optimizer keeps its own."""
    found = [group.get("lr") for group in getattr(optimizer, "param_groups", [])]
    return [] if any(one is None for one in found) else [float(one) for one in found]


def course_of(
    asked: list[float], optimizer: Any, scheduler: Any, steps: int, each: int
) -> list[dict[str, float]]:
    """Return how the rate of each group runs: its highest, and in how many steps it is alive.

    A rate counts as alive from a fiftieth of its highest on. `each` is how often the scheduler is
    stepped for a step of the training: once for each process. Raises Unfinished, ScheduleError.
    """
    if steps * each > MOST_STEPS or not asked:
        raise Unfinished
    begin, seen = time.monotonic(), []
    for step in range(steps):
        seen.append(rates_now(optimizer))
        if time.monotonic() - begin > SECONDS:
            raise Unfinished
        for _ in range(each if step + 1 < steps else 0):
            try:
                scheduler.step()
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise ScheduleError(f"at step {step + 1} of {steps}, {said}") from error
    rows = []
    for wanted, rates in zip(asked, zip(*seen, strict=True), strict=False):
        highest = max(rates)
        alive = sum(one > highest / 50 for one in rates)
        rows.append({"asked": wanted, "highest": highest, "alive": alive, "steps": steps})
    return rows
