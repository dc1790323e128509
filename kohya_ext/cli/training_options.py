"""What the training commands share: which job is meant, which trainer runs it, the live bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from ..project import open_project
from ..project.cli import (
    TypedPath,
    path_argument,
    say,
)
from ..project.shell import (
    shell_path,
)

if TYPE_CHECKING:
    from ..training.run.events import Event
    from ..training.run.follow import EventHandler, RunFollower
    from ..training.run.job import TrainingJob
    from ..training.trainer import Trainer

_Command = TypeVar("_Command", bound=Callable[..., Any])
GUI_VERSIONS = ("v24", "v25", "v26")


def version_option(command: _Command) -> _Command:
    """Add `--gui`, the version of a given config."""
    return click.option(
        "--gui",
        "version",
        type=click.Choice(GUI_VERSIONS),
        default="v26",
        show_default=True,
        help="The Kohya GUI version that the json is of.",
    )(command)


def job_options(command: _Command) -> _Command:
    """Add the argument PROJECT, `--config JSON` and `--gui VERSION`: what is to be trained."""
    command = version_option(command)
    command = click.option(
        "--config",
        "config",
        type=TypedPath(),
        help="Any json or toml for sd-scripts or of the Kohya GUI, instead of a project.",
    )(command)
    return click.argument("project", required=False)(command)


def trainer_option(command: _Command) -> _Command:
    """Add `--trainer`, a folder or the word simulated."""
    return click.option(
        "--trainer",
        "trainer",
        metavar="FOLDER",
        help="A folder of sd-scripts or a Kohya GUI; `simulated` for the simulator. Default: the "
        "one of `loraloom trainer show`.",
    )(command)


def validation_options(command: _Command) -> _Command:
    """Add `--validation-split` and `--validate-every`, which the Kohya GUI has no fields for."""
    command = click.option(
        "--validate-every", type=click.IntRange(min=1), metavar="EPOCHS",
        help="Measure the validation loss every N epochs.",
    )(command)  # fmt: skip
    return click.option(
        "--validation-split", type=click.FloatRange(0, 0.9), metavar="SHARE",
        help="Do not train this share of the pictures, for example 0.1, but measure the loss on "
        "them: it rises when the LoRA overfits. Not for small sets. 0: train all.",
    )(command)  # fmt: skip


def read_job(project: str | None, config: Path | None, version: str) -> TrainingJob:
    """Return the job of a json or of a project (default: the current folder)."""
    from ..training.config.kohya_json import GuiVersion
    from ..training.run.job import job_of_config, job_of_project

    if config is not None and project is not None:
        raise click.UsageError("Give a project or --config, not both.")
    config = config or _config_among(project)
    if config is not None:
        return job_of_config(config, GuiVersion(version))
    context = click.get_current_context(silent=True)
    if context and context.get_parameter_source("version") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--gui says which GUI the json of --config is of; a project's own is "
            "training.kohya_version in its manifest."
        )
    return job_of_project(open_project(path_argument(project or ".")))


def _config_among(project: str | None) -> Path | None:
    """Return PROJECT where it is the file of a config, which the command then takes."""
    path = path_argument(project or ".")
    return path if path.suffix.lower() in (".json", ".toml") and path.is_file() else None


def read_runs(project: str | None, config: Path | None, version: str) -> tuple[Path, str]:
    """Return where the runs of a json or a project are kept, and how to name it to `epochs`.

    A project's config need not be valid any more for that.
    """
    from ..training.run.job import runs_dir_of

    if config is not None or _config_among(project) is not None:
        job = read_job(project, config, version)
        return job.runs_dir, shell_path(job.output_dir)
    opened = open_project(path_argument(project or "."))
    return runs_dir_of(opened), shell_path(opened.root)


def named_trainer(name: str | None) -> Trainer | None:
    """Return the trainer that `--trainer` names, or None for this machine's own."""
    from ..training.trainer import simulated_trainer, trainer_at

    if name is None:
        return None
    return simulated_trainer() if name == "simulated" else trainer_at(path_argument(name))


def job_words(job: TrainingJob, config: Path | None) -> str:
    """Return what names the job on the command line."""
    if job.project is not None:
        return shell_path(job.project.root)
    return f"--config {shell_path(config or job.origin)}"


@contextmanager
def training_bar() -> Iterator[EventHandler]:
    """Show a training on stderr: a live bar on a terminal, else a line per phase and epoch."""
    if not sys.stderr.isatty():
        lines = _EpochLines()
        yield lambda event, follow: _tell(event, follow, lines, say)
        return
    with _live_bar() as (show, write):
        yield lambda event, follow: _tell(event, follow, show, write)


def _tell(
    event: Event, follow: RunFollower, report: EventHandler, write: Callable[[str], None]
) -> None:
    from ..training.run.events import ErrorLogged, SampleSaved, Saving, Warned

    report(event, follow)
    if isinstance(event, Saving):
        write(f"saving {Path(event.path).name}")
    elif isinstance(event, SampleSaved):
        write(f"sample {event.path}")
    elif isinstance(event, (Warned, ErrorLogged)):
        write(f"trainer: {event.text}")


@contextmanager
def _live_bar() -> Iterator[tuple[EventHandler, Callable[[str], None]]]:
    """One bar: what is being done, how much of it, epoch, loss, what is left; lines go above it."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    from ..training.run.events import EpochBegan, PhaseBegan, ProgressReported, StepFinished

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TextColumn("{task.fields[line]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("Starting", total=None, amount="", line="")

        def show(event: Event, follow: RunFollower) -> None:
            if isinstance(event, (EpochBegan, StepFinished)):
                done, total = follow.done_steps, follow.total_steps or None
                name, line = "Training", ", ".join(filter(None, (follow.line, _left(follow))))
            elif isinstance(event, ProgressReported):
                done, total, name, line = event.done, event.total, follow.phase, event.what
            elif isinstance(event, PhaseBegan):
                begun = follow.step is not None  # e.g. the state is saved between two epochs
                done, total = (follow.done_steps, follow.total_steps) if begun else (0, None)
                name, line = event.phase, follow.line
            else:
                return
            amount = f"{done}/{total}" if total else ""
            bar.update(
                task, description=name, completed=done, total=total, amount=amount, line=line
            )

        yield show, lambda text: bar.console.print(text, markup=False, highlight=False)


class _EpochLines:
    """For logs and pipes: one line when a phase begins, and one per epoch with step, loss, rest."""

    def __init__(self) -> None:
        self._phase = ""
        self._epoch = 0

    def __call__(self, event: Event, follow: RunFollower) -> None:
        from ..training.run.events import EpochBegan, PhaseBegan, StepFinished

        if isinstance(event, PhaseBegan) and event.phase != self._phase:
            self._phase = event.phase
            say(event.phase)
        elif (
            isinstance(event, (EpochBegan, StepFinished))  # whichever of the two comes later
            and follow.epoch != self._epoch
            and _agrees(follow)
        ):
            self._epoch = follow.epoch
            say(standing_line(follow))


def _agrees(follow: RunFollower) -> bool:
    """Tell whether step and epoch belong together: they come by two streams, at different times."""
    announced = follow.announced
    per_epoch = announced.steps_per_epoch if announced else follow.plan.steps_per_epoch
    done = follow.done_steps
    return done > 0 and (not per_epoch or done > (follow.epoch - 1) * per_epoch)


def standing_line(follow: RunFollower) -> str:
    """Say how far a run is: `epoch 3/10, loss 0.08, step 30 of 150, 4 minutes left`."""
    steps = f"step {follow.done_steps} of {follow.total_steps}" if follow.total_steps else ""
    return ", ".join(filter(None, (follow.line, steps, _left(follow))))


def _left(follow: RunFollower) -> str:
    rest = follow.eta_seconds
    return f"{duration(rest)} left" if rest is not None else ""


def duration(seconds: float) -> str:
    """Return a length of time in the unit that fits: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
