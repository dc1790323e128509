"""The epoch files of a training run, known by their headers, not by their names alone.

sd-scripts gives all files of one session the same `ss_session_id` and writes the last epoch
without a number. A resumed session has a new id, restarts `ss_steps` and keeps `ss_epoch`
absolute; it belongs to the run that it continues with. ai-toolkit and OneTrainer count in names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import InputError, MissingError, ToolError
from .families import Family
from .files import require_folder, require_utf8
from .lora_file import read_header
from .lora_kind import LoraFacts, json_object, read_facts, trainer_of

_NUMBERED = re.compile(r"-(\d{6,})$")
_STEP_SAVE = re.compile(r"-step(\d{8,})$")
_AI_TOOLKIT = re.compile(r"_(\d{9})$")
_ONE_TRAINER = re.compile(
    r"[-_ ]?\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-save-(?P<step>\d+)-(?P<epoch>\d+)-(?P<inner>\d+)$"
)
"""OneTrainer's name: when, steps in all, epochs that are done, steps of the one in progress."""


@dataclass(frozen=True)
class EpochFile:
    """One saved LoRA of a run; `step` counts optimizer updates since the run began.

    `is_step_save`: after so many steps, in the middle of an epoch; `facts`: what the file is.
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
    facts: LoraFacts = field(repr=False, compare=False, hash=False)
    is_step_save: bool = False

    @property
    def name(self) -> str:
        """The file's stem: what is in `<lora:NAME:1>`."""
        return self.path.stem

    @property
    def number(self) -> int | None:
        """The number in the file's name; None for the last epoch, which has none."""
        found = _NUMBERED.search(self.name)
        return int(found.group(1)) if found else None


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
        """The files saved at the end of an epoch; all files of a run that saved by steps alone."""
        whole = tuple(one for one in self.files if not one.is_step_save)
        return self.files if all(one.is_final for one in whole) else whole


@dataclass(frozen=True)
class Unreadable:
    """A .safetensors file that is not a usable LoRA, and why."""

    path: Path
    error: ToolError


@dataclass(frozen=True)
class FoundRuns:
    """What a folder holds: runs, newest last, and files that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[Unreadable, ...]
    copies: tuple[tuple[Path, Path], ...] = ()
    """Files that are a copy of another one, each with that one; they belong to no run."""


def read_epoch_file(path: Path) -> EpochFile:
    """Read one LoRA file's place in its run.

    Raises DamagedError for a damaged file, or InputError for one that is not a LoRA.
    """
    header = read_header(path)
    metadata = dict(header.metadata)
    facts = read_facts(header)
    if facts.what:
        raise InputError(
            "LL134",
            f"{path} is not a LoRA: it is {facts.what}.",
            "Give a LoRA file; put a whole model into the folder of checkpoints.",
        )
    place = _place_of(path.stem, metadata)
    total = None if place.is_step_save else _total_steps(metadata, place.epoch)
    is_resumed = place.step is not None and total is not None and place.step < total
    return EpochFile(
        path=path,
        epoch=place.epoch,
        step=total if is_resumed else place.step,
        session_id=metadata.get("ss_session_id", ""),
        output_name=place.output_name,
        is_final=place.is_final,
        finished_at=_finished(path, metadata, facts),
        is_resumed=is_resumed,
        metadata=metadata,
        facts=facts,
        is_step_save=place.is_step_save,
    )


@dataclass(frozen=True)
class _Place:
    """What name and header say of a file's place in its training."""

    output_name: str
    epoch: int | None
    step: int | None
    is_final: bool
    is_step_save: bool


def _finished(path: Path, metadata: dict[str, str], facts: LoraFacts) -> float:
    """Return when the training ended; trainers that do not write it leave the file's own time."""
    said = _real(metadata.get("ss_training_finished_at"))
    if said or facts.trainer not in ("ai-toolkit", "OneTrainer"):
        return said
    return path.stat().st_mtime


def _place_of(stem: str, metadata: dict[str, str]) -> _Place:
    one_trainer = _ONE_TRAINER.search(stem)
    if one_trainer:
        done, inner = int(one_trainer["epoch"]), int(one_trainer["inner"])
        name = stem[: one_trainer.start()] or "OneTrainer"
        return _Place(name, done + bool(inner), int(one_trainer["step"]), False, bool(inner))
    software = json_object(metadata.get("training_info", ""))
    by_steps = _AI_TOOLKIT.search(stem)
    if software or (by_steps and trainer_of(metadata) == "ai-toolkit"):
        name = metadata.get("name", "") or _AI_TOOLKIT.sub("", stem).removesuffix("_LoRA")
        step = _number(software.get("step"))
        step = int(by_steps.group(1)) if by_steps and step is None else step
        return _Place(name, _number(software.get("epoch")), step, not by_steps, bool(by_steps))
    return _place_by_sd_scripts(stem, metadata)


def _place_by_sd_scripts(stem: str, metadata: dict[str, str]) -> _Place:
    numbered, step_save = _NUMBERED.search(stem), _STEP_SAVE.search(stem)
    epoch, step = _whole(metadata.get("ss_epoch")), _whole(metadata.get("ss_steps"))
    if step_save:
        epoch = epoch + 1 if epoch is not None else None  # counted from 0 here, else from 1
        step = int(step_save.group(1)) if step is None else step
    elif epoch is None and numbered:
        epoch = int(numbered.group(1))
    name = metadata.get("ss_output_name", _STEP_SAVE.sub("", _NUMBERED.sub("", stem)))
    return _Place(name, epoch, step, not numbered and not step_save, bool(step_save))


def _total_steps(metadata: dict[str, str], epoch: int | None) -> int | None:
    """Count the steps from the first to the end of `epoch`; None when the header cannot tell."""
    batches = _whole(metadata.get("ss_num_batches_per_epoch"))
    if epoch is None or not batches:
        return None
    accumulation = _whole(metadata.get("ss_gradient_accumulation_steps")) or 1
    steps = epoch * math.ceil(batches / accumulation)
    last = _whole(metadata.get("ss_max_train_steps"))
    return min(steps, last) if last else steps


def _whole(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _real(text: str | None) -> float:
    try:
        return float(text) if text is not None else 0.0
    except ValueError:
        return 0.0


def find_epoch_files(folder: Path) -> FoundRuns:
    """List the runs in `folder` (not below it), each ordered by epoch and step.

    Unreadable files are reported, not raised. Raises MissingError or MachineError for the folder.
    """
    files: list[EpochFile] = []
    unreadable: list[Unreadable] = []
    for path in sorted(require_folder(folder).glob("*.safetensors")):
        try:
            require_utf8(path)
            files.append(read_epoch_file(path))
        except ToolError as error:
            unreadable.append(Unreadable(path, error))
    copies = _copies(files)
    files = [one for one in files if one.path not in copies]
    sessions: dict[tuple[str, str], list[EpochFile]] = {}
    for one in _with_finals_name(files):
        sessions.setdefault((one.session_id, one.output_name), []).append(one)
    runs = [
        Run(session, output_name, tuple(sorted(members, key=_training_order)))
        for (session, output_name), members in sessions.items()
    ]
    runs.sort(key=lambda run: max(one.finished_at for one in run.files))
    return FoundRuns(_joined(runs), tuple(unreadable), tuple(copies.items()))


def _copies(files: list[EpochFile]) -> dict[Path, Path]:
    """Return the files of a session that have the header of another one, such as `fox (1)`.

    A cloud drive or a file manager makes them; without a number in their names they were taken for
    last epochs. The trainer's own names are the originals.
    """
    originals: dict[tuple[object, ...], EpochFile] = {}
    copies: dict[Path, Path] = {}
    for one in sorted(files, key=lambda one: (not _has_a_trainers_name(one), one.name)):
        if not one.session_id:
            continue
        key = (*sorted(one.metadata.items()), one.path.stat().st_size)
        original = originals.setdefault(key, one)
        if original is not one and not _has_a_trainers_name(one):
            copies[one.path] = original.path
    return copies


def _has_a_trainers_name(one: EpochFile) -> bool:
    rest = one.name.removeprefix(one.output_name)
    return rest != one.name and re.fullmatch(r"(-(step)?\d+)?", rest) is not None


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
        f"{folder} contains no readable LoRA file{damaged}.",
        "Train first, or give the folder with the .safetensors files.",
    )


def _with_finals_name(files: list[EpochFile]) -> list[EpochFile]:
    """Give OneTrainer's saves the name of its final file, which is called as the user likes."""
    own = [one for one in files if one.facts.trainer == "OneTrainer" and not one.session_id]
    finals = {one.output_name for one in own if one.is_final}
    if len(finals) != 1:
        return files
    name = next(iter(finals))
    return [replace(one, output_name=name) if one in own else one for one in files]


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Put a resumed session behind the files that it went on from; `runs` are oldest first."""
    joined: list[Run] = []
    for run in runs:
        before = next((one for one in reversed(joined) if _continues(run, one)), None)
        if before is not None:
            joined.remove(before)
            first = min(one.epoch for one in run.epochs if one.epoch is not None)
            kept = tuple(one for one in before.files if (one.epoch or first) < first)
            run = Run(run.session_id, run.output_name, kept + run.files)
        joined.append(run)
    return tuple(joined)


def _continues(run: Run, before: Run) -> bool:
    """Tell whether `run` is a resumed session whose earlier epochs lie in `before`."""
    epochs = [one.epoch for one in run.epochs if one.epoch is not None]
    if run.output_name != before.output_name or not epochs:
        return False
    resumed = any(one.is_resumed for one in run.epochs)
    return resumed and any((one.epoch or 0) < min(epochs) for one in before.epochs if one.epoch)


def _training_order(one: EpochFile) -> tuple[bool, float, float, str]:
    """Order by epoch, then step; a file that says neither comes late, the final one last."""
    last = float("inf")
    step = last if one.step is None else one.step
    epoch = last if one.epoch is None else one.epoch
    return one.is_final, epoch, step, one.name


def require_family(files: Iterable[EpochFile], family: Family) -> None:
    """Raise InputError when a file's own layers say that it is of another family."""
    for one in files:
        if one.facts.contradicts(family):
            raise InputError(
                "LL135",
                f"{one.path} is a LoRA for {one.facts.family_title}, but the project is for "
                f"{family.facts.title} (base_model.family: {family.value}).",
                "Correct base_model.family in the manifest, or remove the file from the folder.",
            )
