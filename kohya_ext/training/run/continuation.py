"""Whether the same command continues with its last run: from its state, or with nothing left to do.

The last run counts as the same when its config says the same but for states and the number of
epochs, and its pictures and captions are the same.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ...project.epochs import find_epoch_files
from ...project.errors import ConflictError
from ..config.toml import format_toml
from .earlier import states_of
from .job import TrainingJob
from .record import Result, RunOutcome, RunPlan, find_runs_in
from .states import SavedState

_MAY_DIFFER = (
    "initial_epoch",
    "initial_step",
    "max_train_epochs",
    "max_train_steps",
    "resume",
    "save_last_n_epochs_state",
    "save_state",
)
_CUT_OFF = (RunOutcome.STOPPED, RunOutcome.LOST, RunOutcome.FAILED)
"""How a run ends that may continue; after NaN or without pictures the config changes first."""


class AlreadyTrained(ConflictError):
    """The same training came to its end before; `result` is how."""

    def __init__(self, problem: str, cure: str, result: Result) -> None:
        super().__init__("LL345", problem, cure)
        self.result = result


@dataclass(frozen=True)
class LastRun:
    """The newest run of a job, of the same config, and the newest state to continue from."""

    plan: RunPlan
    result: Result
    state: SavedState | None

    @property
    def is_finished(self) -> bool:
        return self.result.outcome is RunOutcome.FINISHED

    def require_continuable(self, epochs: int, data_hash: str) -> None:
        """Raise AlreadyTrained or ConflictError where continuing would not be what is meant."""
        there = epochs_there(self.plan.output_dir, self.plan.name)
        if data_hash != self.plan.data_hash:
            raise ConflictError(
                "LL385",
                f"{there} Pictures or captions changed since.",
                "Continue anyway with --resume, or move them away and train again with --move-old.",
            )
        if self.is_finished and epochs <= self.plan.epochs:
            more = "--resume" if self.state else "--weights FILE"
            raise AlreadyTrained(
                f"{self.plan.name} is already trained. {there}",
                f"For more epochs, add {more} --epochs N; to train it again, add --move-old.",
                self.result,
            )
        if self.state is None:
            raise ConflictError(
                "LL385",
                f"{there} No state was saved to continue from.",
                "Continue from the newest file with --weights FILE, or move them away and train "
                "again with --move-old.",
            )


def find_last(job: TrainingJob, adjusted: TrainingJob) -> LastRun | None:
    """Return the last run when it was the same training and left something; None: begin."""
    runs = find_runs_in(job.runs_dir)
    last = runs[-1] if runs else None
    if last is None or last.result is None or last.plan.name != job.name:
        return None
    config = format_toml(adjusted.call.toml)
    same = _said(last.plan.config_text) == _said(config)
    words = [part for word in adjusted.call.additional for part in shlex.split(word)]
    if not same or _additional(last.plan) != words:
        return None
    plan, result = last.plan, last.result
    states = states_of(plan)
    state = states[-1] if states else None
    if result.outcome is RunOutcome.FINISHED:
        whole = all((plan.output_dir / f"{one.name}{plan.suffix}").exists() for one in result.files)
        return LastRun(plan, result, state) if whole and result.files else None
    if result.outcome not in _CUT_OFF:
        return None
    left = any((plan.output_dir / f"{one.name}{plan.suffix}").exists() for one in plan.expected)
    return LastRun(plan, result, state) if state or left else None


def _said(config: str) -> set[str]:
    lines = (line for line in config.splitlines() if line.strip())
    return {line for line in lines if line.partition("=")[0].strip() not in _MAY_DIFFER}


def _additional(plan: RunPlan) -> list[str]:
    words = list(plan.command)
    at = words.index("--config_file") + 2 if "--config_file" in words else len(words)
    return words[at:]


def epochs_there(folder: Path, name: str) -> str:
    """Say in one sentence which epochs of a run are in a folder."""
    runs = find_epoch_files(folder).runs if folder.is_dir() else ()
    files = next((run.epochs for run in reversed(runs) if run.output_name == name), ())
    if not files:
        return f"{folder} contains no epoch of {name}."
    numbers = [str(one.epoch) for one in files if one.epoch is not None]
    which = f"epoch {numbers[0]}" if len(numbers) == 1 else f"epochs {', '.join(numbers)}"
    return f"{folder} contains {which} of {name}; the newest file is {files[-1].path.name}."
