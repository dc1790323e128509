"""The epoch files of a training run, known by their headers, not by their names alone.

sd-scripts gives all files of one run the same `ss_session_id` and writes the last epoch without
a number. A resumed run has a new session id, restarts `ss_steps` and keeps `ss_epoch` absolute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ToolError
from .files import require_folder
from .lora_file import read_header

_NUMBERED = re.compile(r"-(\d{6,})$")
_STEP_SAVE = re.compile(r"-step(\d{8,})$")


@dataclass(frozen=True)
class EpochFile:
    """One saved LoRA of a run; `step` counts optimizer updates, as its header says.

    `epoch` is None when the header has no training metadata and the name no number.
    """

    path: Path
    epoch: int | None
    step: int | None
    session_id: str
    output_name: str
    is_final: bool
    finished_at: float
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
    """The files of one training session, in the order in which they were trained."""

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
    """A .safetensors file that is no usable LoRA, and why."""

    path: Path
    error: ToolError


@dataclass(frozen=True)
class Findings:
    """What a folder holds: runs, newest last, and files that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[Unreadable, ...]


def read_epoch_file(path: Path) -> EpochFile:
    """Read one LoRA file's place in its run; raises ToolError LL13x for a damaged file."""
    metadata = dict(read_header(path).metadata)
    numbered = _NUMBERED.search(path.stem)
    step_save = _STEP_SAVE.search(path.stem)
    epoch = _whole(metadata.get("ss_epoch"))
    if step_save and epoch is not None:
        epoch += 1  # sd-scripts counts epochs from 0 in step saves, from 1 in epoch saves
    return EpochFile(
        path=path,
        epoch=epoch if epoch is not None else (int(numbered.group(1)) if numbered else None),
        step=_whole(metadata.get("ss_steps")),
        session_id=metadata.get("ss_session_id", ""),
        output_name=metadata.get("ss_output_name", _without_number(path.stem)),
        is_final=not numbered and not step_save,
        finished_at=_real(metadata.get("ss_training_finished_at")),
        metadata=metadata,
    )


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

    Unreadable files are reported, not raised. Raises ToolError LL103 or LL104 for the folder.
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
    """Return the newest run in `folder`; raises ToolError LL133 when there is none."""
    findings = find_epoch_files(folder)
    if findings.runs:
        return findings.runs[-1]
    damaged = f" ({findings.unreadable[0].error.problem})" if findings.unreadable else ""
    raise ToolError(
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
    return tuple(sorted(runs, key=lambda run: max(one.finished_at for one in run.files)))


def _training_order(one: EpochFile) -> tuple[float, float, bool, str]:
    """Order by epoch, then step; a file that says neither comes last, as the final one does."""
    last = float("inf")
    return (
        last if one.epoch is None else one.epoch,
        last if one.step is None else one.step,
        one.is_final,
        one.name,
    )
