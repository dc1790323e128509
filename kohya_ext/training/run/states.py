"""Saved states: which are whole, and how to continue from one with the right epoch numbers.

sd-scripts stores the steps since the last resume, so its own second resume starts too early and
repeats epochs; the epoch in the folder's name is right, and `--initial_epoch` makes it count.
"""

from __future__ import annotations

import glob
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ...project import MissingError, ToolError
from ...project.json_reader import read_json
from ...project.lora_file import read_header

_PARTS = ("optimizer.bin", "scheduler.bin", "random_states_0.pkl")
_EPOCH_STATE = re.compile(r"^(?P<name>.*)-(?P<epoch>\d{6,})-state$")


@dataclass(frozen=True)
class SavedState:
    """A folder that training can continue from, saved at the end of `epoch`."""

    path: Path
    output_name: str
    epoch: int

    @property
    def arguments(self) -> dict[str, str | int]:
        """What sd-scripts gets, so that the next epoch is `epoch + 1` however often resumed."""
        return {"resume": str(self.path), "initial_epoch": self.epoch + 1}


def state_problem(folder: Path) -> str | None:
    """Say why training cannot continue from `folder`, or return None; cut files are found."""
    if not folder.is_dir():
        return "it does not exist"
    for name in _PARTS:
        if not (folder / name).is_file():
            return f"{name} is missing"
        if name.endswith(".bin") and not zipfile.is_zipfile(folder / name):
            return f"{name} is incomplete"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None if (folder / "pytorch_model.bin").is_file() else f"{weights.name} is missing"
    try:
        read_header(weights)
    except ToolError as error:
        return error.problem
    return None


def find_states(model_dir: Path, output_name: str) -> tuple[SavedState, ...]:
    """Return the whole states of a run in the order of their epochs; half-written ones not."""
    if not model_dir.is_dir():
        return ()
    found = []
    for folder in sorted(model_dir.glob("*-state")):
        epoch = _epoch_of(folder, output_name)
        if epoch is not None and state_problem(folder) is None:
            found.append(SavedState(folder, output_name, epoch))
    return tuple(sorted(found, key=lambda state: state.epoch))


def _epoch_of(folder: Path, output_name: str) -> int | None:
    """Return the epoch: from the name, or for the last state (no number) from its own record.

    `current_epoch` is absolute also after resumes; only `current_step` is not.
    """
    if named := _EPOCH_STATE.match(folder.name):
        return int(named["epoch"]) if named["name"] == output_name else None
    if folder.name != f"{output_name}-state":
        return None
    try:
        data = read_json(folder / "train_state.json")
        return int(data["current_epoch"])
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError):
        return None


def state_at(path: Path) -> SavedState | None:
    """Return the state in a folder that a config names by itself, when its epoch is known."""
    name = path.name.removesuffix("-state")
    if named := _EPOCH_STATE.match(path.name):
        name = named["name"]
    epoch = _epoch_of(path, name)
    return SavedState(path, name, epoch) if epoch is not None else None


def require_state(model_dir: Path, output_name: str) -> SavedState:
    """Return the newest whole state. Raises MissingError."""
    found = find_states(model_dir, output_name)
    if found:
        return found[-1]
    halves = [
        f"{folder.name}: {problem}"
        for folder in sorted(model_dir.glob(f"{glob.escape(output_name)}*-state"))
        if (problem := state_problem(folder))
    ]
    why = f" ({'; '.join(halves)})" if halves else ""
    raise MissingError(
        "LL396",
        f"{model_dir} contains no state of {output_name} to continue from{why}.",
        "States are saved when training is started with --save-states; without one, continue from "
        "an epoch file with --weights, or train again.",
    )
