"""What the training commands share: which job is meant, which trainer runs it, the live bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..project import open_project
from ..project.cli import progress_bar, say, shell_path

if TYPE_CHECKING:
    from ..training.follow import EventHandler, Follow
    from ..training.job import Job
    from ..training.progress import Event
    from ..training.trainer import Trainer

_Command = TypeVar("_Command", bound=Callable[..., Any])
_VERSIONS = ("v24", "v25", "v26")


def job_options(command: _Command) -> _Command:
    """Add the argument PROJECT, `--config JSON` and `--gui VERSION`: what is to be trained."""
    command = click.option(
        "--gui",
        "version",
        type=click.Choice(_VERSIONS),
        default="v26",
        show_default=True,
        help="The Kohya GUI version that the json is of.",
    )(command)
    command = click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        help="Any Kohya GUI LoRA json; no project is needed.",
    )(command)
    return click.argument("project", required=False)(command)


def trainer_option(command: _Command) -> _Command:
    """Add `--trainer`, a folder or the word rehearsal."""
    return click.option(
        "--trainer",
        "trainer",
        metavar="FOLDER",
        help="A folder of sd-scripts or a Kohya GUI; `rehearsal` for the stand-in. Default: the "
        "one of `loraloom trainer show`.",
    )(command)


def read_job(project: str | None, config: Path | None, version: str) -> Job:
    """Return the job of a json or of a project (default: the current folder)."""
    from ..training.job import job_of_json, job_of_project
    from ..training.kohya_json import GuiVersion

    if config is not None:
        if project is not None:
            raise click.UsageError("Give a project or --config, not both.")
        return job_of_json(config, GuiVersion(version))
    return job_of_project(open_project(Path(project or ".")))


def read_runs(project: str | None, config: Path | None, version: str) -> tuple[Path, str]:
    """Return where the runs of a json or a project are kept, and how to name it to `epochs`.

    A project's config need not be valid any more for that.
    """
    from ..training.job import runs_dir_of

    if config is not None:
        job = read_job(project, config, version)
        return job.runs_dir, shell_path(job.output_dir)
    opened = open_project(Path(project or "."))
    return runs_dir_of(opened), shell_path(opened.root)


def named_trainer(name: str | None) -> Trainer | None:
    """Return the trainer that `--trainer` names, or None for this machine's own."""
    from ..training.trainer import rehearsal_trainer, trainer_at

    if name is None:
        return None
    return rehearsal_trainer() if name == "rehearsal" else trainer_at(Path(name))


def job_words(job: Job, config: Path | None) -> str:
    """Return what names the job on the command line."""
    if job.project is not None:
        return shell_path(job.project.root)
    return f"--config {shell_path(config or job.origin)}"


@contextmanager
def training_bar() -> Iterator[EventHandler]:
    """Show a training on stderr: a live bar on a terminal, else a line per phase and epoch."""
    from ..training.follow import progress_of

    with progress_bar() as show:
        if sys.stderr.isatty():
            report = progress_of(show)
            yield lambda event, follow: _tell(event, follow, report)
        else:
            lines = _EpochLines()
            yield lambda event, follow: _tell(event, follow, lines)


def _tell(event: Event, follow: Follow, report: EventHandler) -> None:
    from ..training.progress import Erred, Saving, Warned

    report(event, follow)
    if isinstance(event, Saving):
        say(f"saving {Path(event.path).name}")
    elif isinstance(event, (Warned, Erred)):
        say(f"trainer: {event.text}")


class _EpochLines:
    """For logs and pipes: one line when a phase begins, and one per epoch with step, loss, rest."""

    def __init__(self) -> None:
        self._phase = ""
        self._epoch = 0

    def __call__(self, event: Event, follow: Follow) -> None:
        from ..training.progress import PhaseBegan, Stepped

        if isinstance(event, PhaseBegan) and event.phase != self._phase:
            self._phase = event.phase
            say(event.phase)
        elif isinstance(event, Stepped) and follow.epoch != self._epoch and event.step:
            self._epoch = follow.epoch
            say(standing_line(follow))


def standing_line(follow: Follow) -> str:
    """Say how far a run is: `epoch 3/10, loss 0.08, step 30 of 150, 4 minutes left`."""
    words = [word for word in (follow.line,) if word]
    if follow.total_steps:
        words.append(f"step {follow.done_steps} of {follow.total_steps}")
    rest = follow.eta_seconds
    return ", ".join([*words, *([f"{duration(rest)} left"] if rest is not None else [])])


def duration(seconds: float) -> str:
    """Return a length of time in the unit that fits: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
