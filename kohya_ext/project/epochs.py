"""The epoch files of a training run, known by their headers, not by their names alone.

sd-scripts gives all files of one session the same `ss_session_id` and writes the last epoch
without a number. A resumed session has a new id, restarts `ss_steps` and keeps `ss_epoch`
absolute; it belongs to the run that it goes on with.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import MissingError, ToolError
from .files import require_folder
from .lora_file import read_header

_NUMBERED = re.compile(r"-(\d{6,})$")
_STEP_SAVE = re.compile(r"-step(\d{8,})$")


@dataclass(frozen=True)
class EpochFile:
    """One saved LoRA of a run; `step` counts optimizer updates since the run began.

    In a resumed session the header counts from the resume; `is_resumed` tells, and `step` is
    fixed. `epoch` is None when the header has no training metadata and the name no number.
    """

    path: Path
    epoch: int | None
    step: int | None
    session_id: str
    output_name: str
    is_final: bool
    finished_at: float
    is_resumed: bool
    metadata: dict[str, str] = field(repr=False, compare=False, hash=False)

    @property
    def name(self) -> str:
        """The file's stem: what stands in `<lora:NAME:1>`."""
        return self.path.stem

    @property
    def number(self) -> int | None:
        """The number in the file's name; None for the last epoch, which has none."""
        found = _NUMBERED.search(self.name)
        return int(found.group(1)) if found else None

    @property
    def is_step_save(self) -> bool:
        """Whether it was saved after so many steps, in the middle of an epoch."""
        return _STEP_SAVE.search(self.name) is not None


@dataclass(frozen=True)
class Run:
    """The files of one training, its resumed sessions included, in the order of training.

    `session_id` is that of the last session.
    """

    session_id: str
    output_name: str
    files: tuple[EpochFile, ...]

    @property
    def final(self) -> EpochFile | None:
        """The file without a number, when the run came to its end."""
        return next((one for one in self.files if one.is_final), None)

    @property
    def epochs(self) -> tuple[EpochFile, ...]:
        """The files saved at the end of an epoch, without step saves of the same epoch."""
        return tuple(one for one in self.files if not one.is_step_save)


@dataclass(frozen=True)
class Unreadable:
    """A .safetensors file that is not a usable LoRA, and why."""

    path: Path
    error: ToolError


@dataclass(frozen=True)
class Findings:
    """What a folder holds: runs, newest last, and files that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[Unreadable, ...]


def read_epoch_file(path: Path) -> EpochFile:
    """Read one LoRA file's place in its run; raises DamagedError for a damaged file."""
    metadata = dict(read_header(path).metadata)
    numbered = _NUMBERED.search(path.stem)
    step_save = _STEP_SAVE.search(path.stem)
    epoch = _whole(metadata.get("ss_epoch"))
    if step_save and epoch is not None:
        epoch += 1  # sd-scripts counts epochs from 0 in step saves, from 1 in epoch saves
    said = _whole(metadata.get("ss_steps"))
    total = None if step_save else _total_steps(metadata, epoch)
    is_resumed = said is not None and total is not None and said < total
    return EpochFile(
        path=path,
        epoch=epoch if epoch is not None else (int(numbered.group(1)) if numbered else None),
        step=total if is_resumed else said,
        session_id=metadata.get("ss_session_id", ""),
        output_name=metadata.get("ss_output_name", _without_number(path.stem)),
        is_final=not numbered and not step_save,
        finished_at=_real(metadata.get("ss_training_finished_at")),
        is_resumed=is_resumed,
        metadata=metadata,
    )


def _total_steps(metadata: dict[str, str], epoch: int | None) -> int | None:
    """Count the steps from the first to the end of `epoch`; None when the header cannot tell."""
    batches = _whole(metadata.get("ss_num_batches_per_epoch"))
    if epoch is None or not batches:
        return None
    accumulation = _whole(metadata.get("ss_gradient_accumulation_steps")) or 1
    steps = epoch * math.ceil(batches / accumulation)
    last = _whole(metadata.get("ss_max_train_steps"))
    return min(steps, last) if last else steps


def _without_number(stem: str) -> str:
    return _STEP_SAVE.sub("", _NUMBERED.sub("", stem))


def _whole(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _real(text: str | None) -> float:
    try:
        return float(text) if text is not None else 0.0
    except ValueError:
        return 0.0


def find_epoch_files(folder: Path) -> Findings:
    """List the runs in `folder` (not below it), each ordered by epoch and step.

    Unreadable files are reported, not raised. Raises MissingError or MachineError for the folder.
    """
    files: list[EpochFile] = []
    unreadable: list[Unreadable] = []
    for path in sorted(require_folder(folder).glob("*.safetensors")):
        try:
            files.append(read_epoch_file(path))
        except ToolError as error:
            unreadable.append(Unreadable(path, error))
    return Findings(_group(files), tuple(unreadable))


def find_runs(folder: Path) -> tuple[Run, ...]:
    """List the runs in `folder`, the newest last; files that cannot be read do not count."""
    return find_epoch_files(folder).runs


def require_run(folder: Path) -> Run:
    """Return the newest run in `folder`; raises MissingError when there is none."""
    if not folder.exists():
        raise MissingError(
            "LL133",
            f"There are no epoch files yet: {folder} does not exist.",
            "Train first: loraloom train PROJECT",
        )
    findings = find_epoch_files(folder)
    if findings.runs:
        return findings.runs[-1]
    damaged = f" ({findings.unreadable[0].error.problem})" if findings.unreadable else ""
    raise MissingError(
        "LL133",
        f"{folder} holds no readable LoRA file{damaged}.",
        "Train first, or name the folder that holds the .safetensors files.",
    )


def _group(files: list[EpochFile]) -> tuple[Run, ...]:
    sessions: dict[tuple[str, str], list[EpochFile]] = {}
    for one in files:
        sessions.setdefault((one.session_id, one.output_name), []).append(one)
    runs = [
        Run(session, output_name, tuple(sorted(members, key=_training_order)))
        for (session, output_name), members in sessions.items()
    ]
    runs.sort(key=_finished_at)
    return _joined(runs)


def _finished_at(run: Run) -> float:
    return max(one.finished_at for one in run.files)


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Put a resumed session behind the files that it went on from; `runs` are oldest first."""
    joined: list[Run] = []
    for run in runs:
        before = next((one for one in reversed(joined) if _goes_on(run, one)), None)
        if before is not None:
            joined.remove(before)
            first = min(one.epoch for one in run.epochs if one.epoch is not None)
            kept = tuple(one for one in before.files if (one.epoch or first) < first)
            run = Run(run.session_id, run.output_name, kept + run.files)
        joined.append(run)
    return tuple(joined)


def _goes_on(run: Run, before: Run) -> bool:
    """Tell whether `run` is a resumed session whose earlier epochs lie in `before`."""
    epochs = [one.epoch for one in run.epochs if one.epoch is not None]
    if run.output_name != before.output_name or not epochs:
        return False
    resumed = any(one.is_resumed for one in run.epochs)
    return resumed and any((one.epoch or 0) < min(epochs) for one in before.epochs if one.epoch)


def _training_order(one: EpochFile) -> tuple[float, float, bool, str]:
    """Order by epoch, then step; a file that says neither comes last, as the final one does."""
    last = float("inf")
    return (
        last if one.epoch is None else one.epoch,
        last if one.step is None else one.step,
        one.is_final,
        one.name,
    )
