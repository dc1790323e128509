"""One run on disk: its settings, its process, the requests to stop it, and how it ended.

The folder holds plan.json, config.toml, stdout.txt, stderr.txt, process.json, request.json and
result.json; it is enough to find a run again, to watch it further, or to finalize it after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from ...project import DamagedError
from ...project.files import write_json_atomic, write_text_atomic
from ...project.json_reader import read_json_object
from ...project.process import ProcessTree, find_tree, is_held


class RunOutcome(str, Enum):
    """How a run ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    NAN = "NaN"
    NO_DATA = "no data"
    UNVERIFIED = "unverified"
    LOST = "lost"


class StopRequest(str, Enum):
    """What can be asked of a running training."""

    NOW = "now"
    AFTER_EPOCH = "after-epoch"
    PAUSE = "pause"


@dataclass(frozen=True)
class Expected:
    """One epoch file that must be there in the end; `steps` as its header will say.

    After a resume the header counts from there; `step` counts from the first epoch on.
    """

    name: str
    epoch: int
    steps: int
    step: int = 0


@dataclass(frozen=True)
class RunPlan:
    """All that a run needs; environment without secrets, which only the process gets."""

    run_id: str
    name: str
    folder: Path
    project: str
    trainer: str
    trainer_version: str
    script: str
    command: tuple[str, ...]
    work_folder: Path
    environment: tuple[tuple[str, str], ...]
    config_text: str
    output_dir: Path
    suffix: str
    has_metadata: bool
    epochs_done: int
    epochs: int
    steps_per_epoch: int
    save_every: int
    keep_last: int
    saves_states: bool
    resumed_from: str
    base_model: str
    data_hash: str
    pictures: int
    draws: int
    max_steps: int = 0
    logging_dir: str = ""
    keep_states: int = 0
    saves_steps: bool = False

    @property
    def steps(self) -> int:
        """Steps of the whole run as the trainer counts them, epochs before a resume included."""
        whole = self.epochs * self.steps_per_epoch
        return min(whole, self.max_steps) if self.max_steps else whole

    @property
    def expected(self) -> tuple[Expected, ...]:
        """The epoch files that a finished run leaves; empty when the epochs are not known."""
        return expected_files(self, self.epochs, self.steps_per_epoch, self.steps)

    @property
    def stdout(self) -> Path:
        return self.folder / "stdout.txt"

    @property
    def stderr(self) -> Path:
        return self.folder / "stderr.txt"

    @property
    def lock(self) -> Path:
        """Held by whoever watches the run."""
        return self.folder / "watch.lock"

    @property
    def config_path(self) -> Path:
        return self.folder / "config.toml"


def expected_files(
    plan: RunPlan, epochs: int, steps_per_epoch: int, steps: int
) -> tuple[Expected, ...]:
    """Return what sd-scripts leaves: numbered epochs, then the last one without a number.

    `steps` are those of the whole run; a run by steps may end inside its last epoch.
    """
    if not epochs:
        return ()
    numbered = [
        epoch
        for epoch in range(plan.epochs_done + 1, epochs)
        if plan.save_every and epoch % plan.save_every == 0
    ]
    if plan.keep_last:
        # Each save deletes the one N saves before.
        numbered = [
            one for one in numbered if one + plan.save_every * plan.keep_last not in numbered
        ]
    rows = [(f"{plan.name}-{epoch:06d}", epoch) for epoch in numbered]
    before = plan.epochs_done * steps_per_epoch
    return tuple(
        Expected(name, epoch, step - before, step)
        for name, epoch in (*rows, (plan.name, epochs))
        for step in (min(epoch * steps_per_epoch, steps),)
    )


@dataclass(frozen=True)
class Result:
    """How a run ended; `code`, `problem` and `cure` are empty for a finished one."""

    outcome: RunOutcome
    code: str = ""
    problem: str = ""
    cure: str = ""
    exit_code: int | None = None
    files: tuple[Expected, ...] = ()
    trainer_steps: int | None = None
    trainer_epochs: int | None = None
    last_step: int = 0
    last_loss: float | None = None
    seconds: float = 0.0


def new_run_id(now: datetime, runs_dir: Path) -> str:
    """Return a name for a run that comes after all others and is not taken yet.

    Also where the clock was set back: then it has the time of the newest run.
    """
    names = [one.name for one in runs_dir.iterdir()] if runs_dir.is_dir() else []
    there = [_order_of(name) for name in names if _RUN_ID.fullmatch(name)]
    stamp, number = max([(now.strftime("%Y%m%d-%H%M%S"), 0), *there])
    return f"{stamp}-{number + 1}" if number else stamp


_RUN_ID = re.compile(r"(?P<stamp>\d{8}-\d{6})(-(?P<number>\d{1,9}))?", re.ASCII)


def _order_of(run_id: str) -> tuple[str, int]:
    """Return what runs are sorted by: when they began, and the number of one of that second."""
    found = _RUN_ID.fullmatch(run_id)
    return (found["stamp"], int(found["number"] or 1)) if found else (run_id, 1)


def write_plan(plan: RunPlan) -> None:
    """Make the run's folder with its plan and config; the process gets started from these."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_text_atomic(plan.config_path, plan.config_text)
    data = asdict(plan)
    data = {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}
    write_json_atomic(plan.folder / "plan.json", data)


def read_plan(folder: Path) -> RunPlan:
    """Read a run's plan, also one of another loraloom; the folder may have moved since.

    Raises DamagedError when it cannot be used.
    """
    data = read_facts(folder / "plan.json") or {}
    known = {one.name for one in fields(RunPlan)}
    with _undamaged(folder / "plan.json"):
        values = {key: value for key, value in data.items() if key in known}
        values |= {key: Path(data[key]) for key in ("work_folder", "output_dir")}
        values["command"] = tuple(data["command"])
        values["environment"] = tuple((name, value) for name, value in data["environment"])
        return RunPlan(**{**values, "folder": folder})


def write_process(plan: RunPlan, tree: ProcessTree) -> None:
    """Write down which process the run is."""
    write_json_atomic(plan.folder / "process.json", asdict(tree))


def find_process(folder: Path) -> ProcessTree | None:
    """Return the run's process tree, also when we died while starting it; None before a start."""
    data = read_facts(folder / "process.json")
    if data is None:
        return None
    with _undamaged(folder / "process.json"):
        tree = ProcessTree(int(data["pid"]), float(data["created"]), str(data["mark"]))
    if tree.pid:
        return tree
    return find_tree(tree.mark) or tree


def ask(folder: Path, what: StopRequest) -> None:
    """Ask a running training to end; whoever watches it does so."""
    write_json_atomic(folder / "request.json", {"ask": what.value})


def read_ask(folder: Path) -> StopRequest | None:
    """Return what was asked, or None."""
    data = read_facts(folder / "request.json")
    with _undamaged(folder / "request.json"):
        return StopRequest(data["ask"]) if data else None


def write_result(plan: RunPlan, result: Result) -> None:
    """Write how the run ended; after this it is finalized."""
    write_json_atomic(plan.folder / "result.json", asdict(result))


def read_result(folder: Path) -> Result | None:
    """Return how the run ended, or None while it runs or when nobody saw its end."""
    data = read_facts(folder / "result.json")
    if data is None:
        return None
    with _undamaged(folder / "result.json"):
        files = tuple(Expected(**row) for row in data.pop("files"))
        return replace(Result(RunOutcome(data.pop("outcome"))), **data, files=files)


def read_facts(path: Path) -> dict[str, Any] | None:
    """Return the object in a file of a run, or None where there is none. Raises DamagedError."""
    with _undamaged(path):
        return read_json_object(path) if path.exists() else None


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Turn what a damaged file leads to inside the block into DamagedError."""
    try:
        yield
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(
            "LL344",
            f"{path} cannot be used: {error}.",
            f"Move the folder {path.parent} away; the epoch files are not in it.",
        ) from error


@dataclass(frozen=True)
class RunStatus:
    """A run as it is found: finalized, watched, running alone, or ended without a witness."""

    folder: Path
    plan: RunPlan
    result: Result | None
    is_running: bool
    is_watched: bool

    @property
    def needs_finalizing(self) -> bool:
        """Whether it ended and nobody wrote down how."""
        return self.result is None and not self.is_running and not self.is_watched


def find_runs_in(runs_dir: Path) -> tuple[RunStatus, ...]:
    """Return all runs of a project or config, the newest last."""
    if not runs_dir.is_dir():
        return ()
    folders = [one.parent for one in runs_dir.glob("*/plan.json")]
    folders.sort(key=lambda folder: _order_of(folder.name))
    return tuple(read_run_status(folder) for folder in folders)


def read_run_status(folder: Path) -> RunStatus:
    """Look at one run."""
    result = read_result(folder)
    plan = read_plan(folder)
    tree = None if result else find_process(folder)
    running = bool(tree and tree.pid and tree.is_running)
    return RunStatus(folder, plan, result, running, is_held(plan.lock))
