"""How far a run is, read off its streams as they grow; anyone may follow, also after its end."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...project import Progress, ProgressHandler
from ...project.wording import counted
from .events import (
    DRAWING,
    Announced,
    EpochBegan,
    ErrorLogged,
    Event,
    LineSplitter,
    LossRecorded,
    PhaseBegan,
    ProgressReported,
    SampleSaved,
    Saving,
    StepFinished,
    StreamReader,
    Validated,
    Warned,
)
from .launch import commands_elsewhere
from .record import RunPlan
from .tensorboard import ScalarTail

EventHandler = Callable[[Event, "RunFollower"], None]


def unheard(event: Event, follow: RunFollower) -> None:
    """Take an event and show nothing."""


_PIECE_BYTES = 1 << 22


class Tail:
    """Read what was added to a file since the last time, some megabytes at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def read(self) -> bytes:
        """Return the new bytes; empty while the file does not exist."""
        try:
            if self._path.stat().st_size <= self._at:
                return b""
            with self._path.open("rb") as stream:
                stream.seek(self._at)
                data = stream.read(_PIECE_BYTES)
        except FileNotFoundError:
            return b""
        self._at += len(data)
        return data


@dataclass
class RunFollower:
    """How far a run is, by its streams; anyone may follow, also after its end."""

    plan: RunPlan
    phase: str = "Starting"
    announced: Announced | None = None
    epoch: int = 0
    epochs: int = 0
    step: StepFinished | None = None
    first_nan: int | None = None
    saved: list[str] = field(default_factory=list)
    epochs_begun_after_save: int = 0
    no_data: bool = False
    errors: list[str] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    step_losses: dict[int, float] = field(default_factory=dict)
    validations: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tails = (Tail(self.plan.stdout), Tail(self.plan.stderr))
        self._splitters = (LineSplitter(), LineSplitter())
        self._reader = StreamReader(len(commands_elsewhere(self.plan.command)) + 1)
        self._samples: set[Path] = set()
        self._is_sampling = False
        self._scalars: ScalarTail | None = None

    def events(self) -> Iterator[Event]:
        """Yield what is new, stdout's first; at each event this value stands where it belongs."""
        readers = (self._reader.read_stdout, self._reader.read_stderr)
        for tail, splitter, read in zip(self._tails, self._splitters, readers, strict=True):
            pieces = (piece for data in iter(tail.read, b"") for piece in splitter.feed(data))
            for event in (event for piece in pieces for event in read(piece)):
                self._take(event)
                yield event
                if isinstance(event, Announced) and (differs := differing_steps(self)):
                    yield differs
        yield from self._find_samples()
        yield from self._read_scalars()

    def _find_samples(self) -> Iterator[Event]:
        """Yield new sample pictures; looked for only since the trainer said that it draws some."""
        folder = self.plan.output_dir / "sample"
        if not self._is_sampling or not folder.is_dir():
            return
        began = (self.plan.folder / "plan.json").stat().st_mtime
        for path in sorted(folder.glob(f"{glob.escape(self.plan.name)}_*.png")):
            if path not in self._samples and path.stat().st_mtime >= began:
                self._samples.add(path)
                yield SampleSaved(str(path))

    def _read_scalars(self) -> Iterator[Event]:
        """Yield each step's own loss, where the config has a logging_dir."""
        if self.announced is None or not self.plan.logging_dir:
            return
        if self._scalars is None:
            began = (self.plan.folder / "plan.json").stat().st_mtime
            self._scalars = ScalarTail(Path(self.plan.logging_dir), "loss/current", began)
        for step, loss in self._scalars.read():
            self.step_losses[step] = loss
            yield LossRecorded(step, loss)

    def poll(self) -> list[Event]:
        """Take in all that is new and return it."""
        return list(self.events())

    def _take(self, event: Event) -> None:
        if isinstance(event, PhaseBegan):
            self.phase = event.phase
            self._is_sampling = self._is_sampling or event.phase == DRAWING
        elif isinstance(event, Announced):
            self.announced = event
        elif isinstance(event, EpochBegan):
            self.epoch, self.epochs = event.epoch, event.epochs
            self.epochs_begun_after_save = len(self.saved)
        elif isinstance(event, Saving):
            self.saved.append(event.path)
        elif isinstance(event, StepFinished):
            self._take_step(event)
        elif isinstance(event, Validated):
            self.validations[self.done_steps] = event.loss
        elif isinstance(event, ErrorLogged):
            self.errors.append(event.text)
            self.no_data = self.no_data or event.is_no_data

    def _take_step(self, event: StepFinished) -> None:
        self.step = event
        if event.loss is None:
            return
        if event.is_nan and self.first_nan is None:
            self.first_nan = event.step
        if not event.is_nan:
            self.losses[event.step] = event.loss  # each step is shown twice, first with the old one

    @property
    def last_loss(self) -> float | None:
        """The trainer's moving average at the last step that had one."""
        return next(reversed(self.losses.values()), None)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, as the trainer says or, before that, as expected; 0: unknown."""
        return self.announced.steps if self.announced else self.plan.steps

    @property
    def done_before(self) -> int:
        """Steps of the epochs before a resume; the trainer counts from there."""
        per_epoch = self.announced.steps_per_epoch if self.announced else self.plan.steps_per_epoch
        return self.plan.epochs_done * per_epoch

    @property
    def done_steps(self) -> int:
        """Steps done of the whole run, those before a resume included."""
        return self.done_before + (self.step.step if self.step else 0)

    @property
    def eta_seconds(self) -> float | None:
        """How long the rest will take at the present rate; None before the first step."""
        if self.step is None or self.step.seconds_per_step is None or not self.total_steps:
            return None
        return max(0, self.total_steps - self.done_steps) * self.step.seconds_per_step

    @property
    def line(self) -> str:
        """Say it in a few words: `epoch 3/10, loss 0.0812`."""
        words = [f"epoch {self.epoch}/{self.epochs}"] if self.epoch else []
        words += [f"loss {self.last_loss:.3g}"] if self.last_loss is not None else []
        kept_back = next(reversed(self.validations.values()), None)
        words += [f"validation {kept_back:.3g}"] if kept_back is not None else []
        return ", ".join(words)


def differing_steps(follow: RunFollower) -> Warned | None:
    """Return a warning when the trainer's own figures are not the ones that we expected."""
    plan, said = follow.plan, follow.announced
    if said is None or not plan.epochs or (said.steps, said.epochs) == (plan.steps, plan.epochs):
        return None
    return Warned(
        f"the trainer counts {counted(said.steps, 'step')} in {counted(said.epochs, 'epoch')}, "
        f"but {plan.steps} in {plan.epochs} were expected"
    )


def progress_of(handler: ProgressHandler) -> EventHandler:
    """Return an event handler that reports to a progress handler: phase, steps, epoch, loss.

    Before the first step other bars (caching latents, reading captions) are reported as they are.
    """

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, (StepFinished, EpochBegan)):
            total = follow.total_steps or None
            handler(Progress("Training", follow.done_steps, total, follow.line))
        elif isinstance(event, ProgressReported) and event.what:
            handler(Progress(follow.phase, event.done, event.total, event.what))
        elif isinstance(event, PhaseBegan) and event.phase != "Training":
            handler(Progress(event.phase, 0))

    return handle
