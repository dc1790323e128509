"""The choice made on a grid's page: read, checked against the grid, written to the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.errors import InputError
from kohya_ext.project.json_reader import parse_json_of_kind, read_text
from kohya_ext.project.limits import limits
from kohya_ext.project.project import Project

KIND = "loraloom-grid-choice"
EPOCH = "epoch"
"""The subject of the decision which epoch to take."""


@dataclass(frozen=True)
class Vote:
    """What a blind vote said of one value; `wilson_lower` from 0 to 1."""

    value: str
    better: int
    draw: int
    worse: int
    wilson_lower: float


@dataclass(frozen=True)
class EpochChoice:
    """The epoch that was chosen, by its file's name, and the votes it rests on."""

    grid_id: str
    epoch: str
    epoch_file: str
    cell: str
    values: Mapping[str, str]
    votes: tuple[Vote, ...] = ()


def read_choice(path: Path) -> EpochChoice:
    """Read a choice that a page saved. Raises InputError."""
    try:
        return parse_choice(read_text(path, limits().json_bytes))
    except (OSError, ValueError) as error:
        raise InputError(
            "LL510",
            f"{path} holds no choice of a grid page: {error}.",
            "Open the grid's page, choose an epoch and save the choice again.",
        ) from error


def parse_choice(text: str) -> EpochChoice:
    """Read a choice from JSON; ValueError for anything else."""
    data = parse_json_of_kind(text, KIND)
    try:
        return EpochChoice(
            grid_id=_text(data["grid"]),
            epoch=_text(data["epoch"]),
            epoch_file=_text(data["epoch_file"]),
            cell=_text(data["cell"]),
            values={_text(name): _text(label) for name, label in data["values"].items()},
            votes=tuple(_vote(one) for one in data["votes"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it lacks {error}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _vote(data: Mapping[str, Any]) -> Vote:
    counts = (data["better"], data["draw"], data["worse"])
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("a count of votes is not a whole number")
    return Vote(_text(data["value"]), *counts, float(data["wilson_lower"]))


def write_choice(project: Project, choice: EpochChoice) -> Path:
    """Keep a choice in reviews.db, note it in the journal, and return the epoch file that it names.

    Raises InputError when the grid or the epoch file is not this project's.
    """
    if not (project.grids_dir / choice.grid_id / "grid.json").is_file() or not choice.grid_id:
        raise InputError(
            "LL510",
            f'The choice is of the grid "{choice.grid_id}", which {project.root} does not have.',
            "Give the project that the grid belongs to.",
        )
    path = project.model_dir / Path(choice.epoch_file).name
    if Path(choice.epoch_file).name != choice.epoch_file or not path.is_file():
        raise InputError(
            "LL510",
            f"The chosen epoch file {choice.epoch_file} is not in {project.model_dir}.",
            "Choose an epoch whose file is still there.",
        )
    facts = {
        "grid": choice.grid_id,
        "epoch": choice.epoch,
        "epoch_file": choice.epoch_file,
        "cell": choice.cell,
        "values": dict(choice.values),
        "votes": [vars(one) for one in choice.votes],
    }
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.CHOICE, {EPOCH: facts}, "grid page")
    project.journal.append("grid-choice", **facts)
    return path


def find_chosen(project: Project) -> Mapping[str, Any] | None:
    """Return the facts of the epoch that was chosen last, or None.

    A choice of an earlier loraloom is in the journal only.
    """
    with DecisionStore(project.reviews_db) as store:
        found = store.find(DecisionKind.CHOICE, EPOCH)
    if found is not None:
        return dict(found.value)
    entry = project.journal.last("grid-choice")
    return entry.facts if entry else None
