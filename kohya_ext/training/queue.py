"""The queue of trainings of this machine: kept in the user folder, so it survives a reboot.

One runner per graphics card takes the next waiting entry when one ends or fails; a training that
a reboot cut off is resumed from its newest state, or trained again. Running them is `runner`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from ..project import (
    ConflictError,
    DamagedError,
    InputError,
    Project,
    ToolError,
    open_project,
    user_folder,
)
from ..project.files import write_json_atomic
from ..project.home import expand_home
from ..project.json_reader import read_json
from ..project.process import holding
from .config.forms import CONFIG_SUFFIXES
from .config.kohya_json import GuiVersion
from .run.continuation import AlreadyTrained
from .run.earlier import states_of
from .run.follow import EventHandler, unheard
from .run.job import TrainingJob, job_of_config, job_of_project
from .run.record import Result, RunOutcome, RunStatus, find_runs_in, read_run_status
from .run.runner import finalize, run_training
from .run.session import (
    RunOptions,
    apply_training,
    attach,
    plan_training,
    start_watcher,
    stop_training,
)
from .run.states import require_state
from .trainer import Trainer

FIRST_CARD = "0"
"""The card of a runner that names none; a machine without one has a single place anyway."""

_FORMAT = 1
_LOCK_SECONDS = 20.0
_POLL_SECONDS = 0.1


class QueueState(str, Enum):
    """Where an entry stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class QueueEntry:
    """One training in the queue; `source` is a project's folder or a config.

    `gpu` is the card that it must have, empty for any; `card` the one that it got. With `resume`
    it continues from the newest state that is there when its turn comes.
    """

    number: int
    source: str
    version: str = "v26"
    epochs: int = 0
    gpu: str = ""
    resume: bool = False
    card: str = ""
    state: QueueState = QueueState.WAITING
    run: str = ""
    added: str = ""
    started: str = ""
    ended: str = ""
    outcome: str = ""
    problem: str = ""
    files: int = 0

    @property
    def name(self) -> str:
        """What the user calls it."""
        path = Path(self.source)
        return path.stem if path.suffix.lower() in CONFIG_SUFFIXES else path.name

    @property
    def is_over(self) -> bool:
        return self.state in (QueueState.DONE, QueueState.FAILED, QueueState.STOPPED)


@dataclass(frozen=True)
class Queue:
    """All entries in the order in which they are trained; `halt` asks runners to end."""

    entries: tuple[QueueEntry, ...] = ()
    last_number: int = 0
    halt: bool = False

    def find(self, number: int) -> QueueEntry:
        """Return an entry. Raises InputError."""
        for one in self.entries:
            if one.number == number:
                return one
        known = ", ".join(str(one.number) for one in self.entries) or "none"
        raise InputError(
            "LL340",
            f"The queue has no entry {number}; there are: {known}.",
            "See `loraloom queue list`.",
        )

    def next_for(self, gpu: str) -> QueueEntry | None:
        """Return the first waiting entry that may run on `gpu`."""
        waiting = (one for one in self.entries if one.state is QueueState.WAITING)
        return next((one for one in waiting if one.gpu in ("", gpu)), None)


def queue_path() -> Path:
    """Return where the queue is kept."""
    return user_folder() / "queue.json"


def read_queue() -> Queue:
    """Read the queue; an empty one where there is none. Raises DamagedError."""
    path = queue_path()
    if not path.exists():
        return Queue()
    try:
        data = read_json(path)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']} is unknown to this loraloom")
        entries = tuple(_entry(row) for row in data["entries"])
        return Queue(entries, int(data["last_number"]), bool(data["halt"]))
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            "LL341",
            f"{path} cannot be read: {error}.",
            "Move it away and add the trainings again.",
        ) from error


def _entry(row: dict[str, Any]) -> QueueEntry:
    known = {one.name for one in fields(QueueEntry)}
    values = {name: value for name, value in row.items() if name in known}
    return QueueEntry(**{**values, "state": QueueState(values["state"])})


@contextmanager
def changing() -> Iterator[list[Queue]]:
    """Change the queue: the list holds it, and what it holds afterwards is written.

    One change at a time, also from other programs. Raises DamagedError.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        with holding(queue_path().with_suffix(".lock")) as got:
            if got:
                box = [read_queue()]
                yield box
                queue = box[0]
                rows = [asdict(one) for one in queue.entries]
                data = {"format": _FORMAT, "last_number": queue.last_number, "halt": queue.halt}
                write_json_atomic(queue_path(), {**data, "entries": rows})
                return
        if time.monotonic() > deadline:
            raise DamagedError(
                "LL341",
                f"{queue_path()} is constantly changed by another program.",
                "Close it and run the command again.",
            )
        time.sleep(_POLL_SECONDS)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


# What a user does with it.


def add(source: Path, **how: Any) -> QueueEntry:
    """Put one project's folder or config at the end, as `add_all` does."""
    (entry,) = add_all([source], **how)
    return entry


def add_all(
    sources: Iterable[Path],
    *,
    version: str = "v26",
    epochs: int = 0,
    gpu: str = "",
    resume: bool = False,
) -> tuple[QueueEntry, ...]:
    """Put folders of projects or configs at the end; all or, if one is refused, none.

    Raises ConflictError (it waits there already) or another ToolError (it cannot be planned).
    """
    paths = [expand_home(source).absolute() for source in sources]
    for path in paths:
        _job(QueueEntry(0, str(path), version))
    with changing() as box:
        before = len(box[0].entries)
        for path in paths:
            queue = box[0]
            _refuse_twice(queue, path)
            number = queue.last_number + 1
            entry = QueueEntry(number, str(path), version, epochs, gpu, resume, added=_now())
            box[0] = replace(queue, entries=(*queue.entries, entry), last_number=number)
        return box[0].entries[before:]


def _refuse_twice(queue: Queue, path: Path) -> None:
    for one in queue.entries:
        if one.state is QueueState.WAITING and _is_same(Path(one.source), path):
            raise ConflictError(
                "LL346",
                f"{one.name} is already waiting in the queue, as entry {one.number}.",
                f"To train it otherwise, remove it first: loraloom queue remove {one.number}",
            )


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file or folder; one that is gone is no other's."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def move(number: int, place: int) -> tuple[QueueEntry, ...]:
    """Move an entry to `place` among the waiting ones, 1 is next; return those in order.

    Raises InputError (no such entry), ConflictError (it is not waiting).
    """
    with changing() as box:
        queue = box[0]
        entry = _require_waiting(queue, number)
        others = [one for one in queue.entries if one.number != number]
        waiting = [at for at, one in enumerate(others) if one.state is QueueState.WAITING]
        at = waiting[place - 1] if place - 1 < len(waiting) else len(others)
        entries = (*others[:at], entry, *others[at:])
        box[0] = replace(queue, entries=entries)
    return tuple(one for one in entries if one.state is QueueState.WAITING)


def remove(number: int) -> QueueEntry:
    """Take out a waiting or finished entry. Raises InputError, ConflictError."""
    with changing() as box:
        queue = box[0]
        entry = queue.find(number)
        if not entry.is_over:
            _require_waiting(queue, number)
        rest = tuple(one for one in queue.entries if one.number != number)
        box[0] = replace(queue, entries=rest)
    return entry


def clear() -> int:
    """Take out all finished entries; return how many."""
    with changing() as box:
        queue = box[0]
        rest = tuple(one for one in queue.entries if not one.is_over)
        box[0] = replace(queue, entries=rest)
    return len(queue.entries) - len(rest)


def halt(*, asked: bool = True) -> None:
    """Ask all runners to end after their present training, or take that back."""
    with changing() as box:
        box[0] = replace(box[0], halt=asked)


def _require_waiting(queue: Queue, number: int) -> QueueEntry:
    entry = queue.find(number)
    if entry.state is not QueueState.WAITING:
        raise ConflictError(
            "LL342",
            f"Entry {number} ({entry.name}) is {entry.state.value}, not waiting.",
            "Stop it first: loraloom train PROJECT --stop"
            if entry.state is QueueState.RUNNING
            else "Add it again: loraloom queue add",
        )
    return entry


def _update(entry: QueueEntry) -> None:
    with changing() as box:
        queue = box[0]
        entries = tuple(entry if one.number == entry.number else one for one in queue.entries)
        box[0] = replace(queue, entries=entries)


# Running it.

EntryHandler = Callable[[QueueEntry], None]


@contextmanager
def running_on(gpu: str) -> Iterator[None]:
    """Be the one runner of a graphics card. Raises ConflictError when there is one already."""
    with holding(user_folder() / f"queue-gpu-{gpu}.lock") as got:
        if not got:
            raise ConflictError(
                "LL343",
                f"The queue is already running, on card {gpu}.",
                "See `loraloom queue list`; it also runs what you add.",
            )
        yield


def run_queue(
    trainer: Trainer,
    *,
    gpu: str = FIRST_CARD,
    tell: EntryHandler = lambda entry: None,
    handler: EventHandler = unheard,
) -> tuple[QueueEntry, ...]:
    """Train waiting entries one after the other until none is left; return those that ended.

    `tell` gets each entry when it begins and when it ends. A stopped training (Ctrl-C) ends the
    queue. Raises ConflictError when another program runs it for the same card.
    """
    ended: list[QueueEntry] = []
    with running_on(gpu):
        halt(asked=False)
        _take_up_interrupted(gpu)
        while (entry := _begin_next(gpu)) is not None:
            tell(entry)
            try:
                entry = _train(entry, trainer, handler)
            except BaseException:  # e.g. Ctrl-C while it is checked: it waits for the next time
                _update(replace(entry, state=QueueState.WAITING, run=""))
                raise
            _update(entry)
            tell(entry)
            ended.append(entry)
            if entry.state is QueueState.STOPPED:
                break
    return tuple(ended)


def _begin_next(gpu: str) -> QueueEntry | None:
    with changing() as box:
        queue = box[0]
        entry = None if queue.halt else queue.next_for(gpu)
        if entry is None:
            return None
        started = entry.started if entry.run else _now()  # one that is taken over began earlier
        begun = replace(entry, state=QueueState.RUNNING, started=started, card=gpu)
        entries = tuple(begun if one.number == begun.number else one for one in queue.entries)
        box[0] = replace(queue, entries=entries)
    return begun


def _take_up_interrupted(gpu: str) -> None:
    """Put entries that a crash or reboot left running back in front of the waiting ones."""
    with changing() as box:
        queue = box[0]
        mine = [one for one in queue.entries if one.state is QueueState.RUNNING and one.card == gpu]
        back = [replace(one, state=QueueState.WAITING) for one in mine]
        rest = [one for one in queue.entries if one not in mine]
        first = next(
            (i for i, one in enumerate(rest) if one.state is QueueState.WAITING), len(rest)
        )
        box[0] = replace(queue, entries=(*rest[:first], *back, *rest[first:]))


def _job(entry: QueueEntry) -> TrainingJob:
    path = Path(entry.source)
    if path.suffix.lower() in CONFIG_SUFFIXES:
        return job_of_config(path, GuiVersion(entry.version))
    project: Project = open_project(path)
    return job_of_project(project)


def _train(entry: QueueEntry, trainer: Trainer, handler: EventHandler) -> QueueEntry:
    """Train one entry, or continue with what is left of it; errors end it, not the queue."""
    try:
        job = _job(entry)
        left = _left_over(entry, job)
        if left is not None and left.result and left.result.outcome is RunOutcome.FINISHED:
            return _ended(entry, left.result)
        if left is not None and left.is_running:
            result = _follow(left, handler)
        else:
            options = RunOptions(epochs=entry.epochs or None, save_states=True)
            if left is not None:
                states = [one for one in states_of(left.plan) if one.epoch < left.plan.epochs]
                options = (
                    replace(options, resume=states[-1])
                    if states
                    else replace(options, move_old=True)
                )
            elif entry.resume:
                options = replace(options, resume=require_state(job.output_dir, job.name))
            plan = plan_training(job, trainer, options)
            _update(replace(entry, run=str(plan.run.folder)))
            entry = replace(entry, run=str(plan.run.folder))
            result = apply_training(plan, handler)
    except AlreadyTrained as done:
        return replace(_ended(entry, done.result), problem=str(done))  # nothing was trained now
    except ToolError as error:
        failed = replace(
            entry, state=QueueState.FAILED, outcome=RunOutcome.FAILED.value, ended=_now()
        )
        return replace(failed, problem=str(error))
    return _ended(entry, result)


def _follow(left: RunStatus, handler: EventHandler) -> Result:
    """See a run to its end that began earlier; Ctrl-C stops it, whoever watches it."""
    if not left.is_watched:
        return run_training(left.plan, handler)
    try:
        return attach(left.plan, handler)
    except KeyboardInterrupt:
        stop_training(left.plan)
        return attach(left.plan, handler)


def leave_to_watcher(gpu: str) -> None:
    """Leave the training of this card to a watcher; `run_queue` continues with the others."""
    for entry in read_queue().entries:
        is_ours = entry.state is QueueState.RUNNING and entry.card == gpu
        if is_ours and entry.run and Path(entry.run, "plan.json").exists():
            start_watcher(read_run_status(Path(entry.run)).plan)


def _left_over(entry: QueueEntry, job: TrainingJob) -> RunStatus | None:
    """Return this entry's own run that a reboot cut off, finalized if it ended; None when new."""
    if not entry.run:
        return None
    status = read_run_status(Path(entry.run)) if Path(entry.run, "plan.json").exists() else None
    if status is not None and status.needs_finalizing:
        finalize(status)
        return read_run_status(Path(entry.run))
    return status if status in find_runs_in(job.runs_dir) else None


def _ended(entry: QueueEntry, result: Result) -> QueueEntry:
    states = {RunOutcome.FINISHED: QueueState.DONE, RunOutcome.STOPPED: QueueState.STOPPED}
    return replace(
        entry,
        state=states.get(result.outcome, QueueState.FAILED),
        ended=_now(),
        outcome=result.outcome.value,
        problem=f"{result.problem} {result.cure}".strip(),
        files=len(result.files),
    )
