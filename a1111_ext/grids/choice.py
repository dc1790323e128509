"""The choice made on a grid's page: read, checked against the grid, written to the project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.errors import InputError
from kohya_ext.project.journal import JournalEntry
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
            f"{path} contains no choice of a grid page: {error}.",
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


@dataclass(frozen=True)
class ChosenEpoch:
    """The epoch that is to be taken, as it was said last: its file's name, when, and the facts."""

    epoch_file: str
    at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class KeptChoice:
    """A choice that was kept; `change` is a sentence where another epoch was chosen before."""

    path: Path
    change: str = ""


def write_choice(project: Project, choice: EpochChoice) -> KeptChoice:
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
            "Choose an epoch whose file still exists.",
        )
    facts = {
        "grid": choice.grid_id,
        "epoch": choice.epoch,
        "epoch_file": choice.epoch_file,
        "cell": choice.cell,
        "values": dict(choice.values),
        "votes": [vars(one) for one in choice.votes],
    }
    change = _decide(project, facts, "grid page")
    project.journal.append("grid-choice", **facts)
    return KeptChoice(path, change)


def choose_promoted(project: Project, epoch_file: str) -> str:
    """Take the epoch that is promoted as the chosen one; return what that changed, or ""."""
    held = find_chosen(project)
    if held is not None and held.epoch_file == epoch_file:
        return ""  # as the page chose it, with the votes that it rests on
    return _decide(project, _facts_of(epoch_file), "promote")


def _facts_of(epoch_file: str) -> dict[str, Any]:
    stem = Path(epoch_file).stem
    return {"grid": "", "epoch": stem, "epoch_file": epoch_file, "values": {}, "votes": []}


def _decide(project: Project, facts: Mapping[str, Any], way: str) -> str:
    """Keep which epoch to take; return a sentence where another one was chosen before."""
    held = find_chosen(project)
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.CHOICE, {EPOCH: facts}, way)
    if held is None or held.epoch_file == facts["epoch_file"]:
        return ""
    return f"epoch: {Path(held.epoch_file).stem} -> {Path(facts['epoch_file']).stem} ({way})"


def find_chosen(project: Project) -> ChosenEpoch | None:
    """Return the epoch that was chosen or promoted last, or None.

    What an earlier loraloom chose and promoted is in the journal only.
    """
    with DecisionStore(project.reviews_db) as store:
        decision = store.find(DecisionKind.CHOICE, EPOCH)
    found = [_chosen(one.facts, one.at) for one in _journalled(project)]
    if decision is not None:
        found.append(_chosen(decision.value, decision.at))
    said = [one for one in found if one]
    newest = max(said, key=lambda one: one.at, default=None)
    if newest is None:
        return None
    same = (one for one in said if one.epoch_file == newest.epoch_file)
    facts = max(same, key=lambda one: len(one.facts.get("votes") or ())).facts
    return replace(newest, facts=facts)  # a promotion tells no votes, the choice before it does


def _journalled(project: Project) -> Iterator[JournalEntry]:
    choice, promotion = (project.journal.last(kind) for kind in ("grid-choice", "promote"))
    if choice is not None:
        yield choice
    if promotion is not None:
        yield replace(promotion, facts=_facts_of(str(promotion.facts.get("source", ""))))


def _chosen(facts: Mapping[str, Any], at: str) -> ChosenEpoch | None:
    """Read a choice; None for one that names no file or no time."""
    name = facts.get("epoch_file")
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        return None
    if not isinstance(name, str) or not name or time.tzinfo is None:
        return None
    return ChosenEpoch(name, time, facts)
