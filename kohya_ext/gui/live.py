"""What is seen of a training while it continues: its losses, and sample pictures as they come."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..training.run.events import Event, SampleSaved
from ..training.run.follow import RunFollower

MOST_POINTS = 300
MOST_SAMPLES = 24


@dataclass(frozen=True)
class LiveView:
    """The state of a training: losses by step, thinned; the newest samples last."""

    steps: int = 0
    losses: tuple[tuple[int, float], ...] = ()
    validations: tuple[tuple[int, float], ...] = ()
    samples: tuple[Path, ...] = ()


class LiveTrainings:
    """The trainings that this process watches, by project folder; threads may ask at once."""

    def __init__(self) -> None:
        self._views: dict[Path, LiveView] = {}
        self._lock = threading.Lock()

    def begin(self, root: Path) -> None:
        """Forget an earlier training of the project."""
        with self._lock:
            self._views[root] = LiveView()

    def take(self, root: Path, event: Event, follow: RunFollower) -> None:
        """Take in what a followed run tells."""
        with self._lock:
            view = self._views.get(root, LiveView())
            samples = view.samples
            if isinstance(event, SampleSaved):
                samples = (*samples, Path(event.path))[-MOST_SAMPLES:]
            losses = follow.step_losses or follow.losses
            if len(losses) != len(view.losses) or samples != view.samples:
                self._views[root] = LiveView(
                    follow.total_steps,
                    thinned(losses),
                    tuple(sorted(follow.validations.items())),
                    samples,
                )

    def find(self, root: Path) -> LiveView | None:
        """Return the state of the project's training, None when none was followed."""
        with self._lock:
            return self._views.get(root)


def thinned(losses: Mapping[int, float], most: int = MOST_POINTS) -> tuple[tuple[int, float], ...]:
    """Return at most `most` points: each the mean of its neighbours, at the last one's step."""
    pairs = sorted(losses.items())
    size = max(1, -(-len(pairs) // most))
    groups = (pairs[at : at + size] for at in range(0, len(pairs), size))
    return tuple((group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups)


LIVE = LiveTrainings()
