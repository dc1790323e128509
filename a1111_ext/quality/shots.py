"""The pictures of a grid as advice needs them: which epoch, which pair, which prompt.

Read off grid.json and the ledger, so that any grid serves, also one of an earlier day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohya_ext.project import DamagedError, InputError, Project
from kohya_ext.project.json_reader import read_json

from ..cells.ledger import CellState, Ledger

ABOUT_NAME = "grid.json"
_WEIGHT_AXIS = "LoRA weight"
_SEED_AXIS = "Seed"
_NOTHING = ("", "no LoRA")


@dataclass(frozen=True)
class EpochPicture:
    """One finished picture; `file` is its epoch's file name, empty for the no-LoRA control.

    `pair` is the same for all epochs of one prompt and seed; `group` for all its seeds.
    """

    key: str
    path: Path
    prompt: str
    file: str
    pair: str
    group: str


@dataclass(frozen=True)
class GridEpoch:
    """An epoch as a grid names it."""

    name: str
    file: str


@dataclass(frozen=True)
class GridShots:
    """What a grid holds: its epochs in order, and the pictures that are there."""

    grid_id: str
    folder: Path
    epochs: tuple[GridEpoch, ...]
    shots: tuple[EpochPicture, ...]

    def key_files(self) -> dict[str, str]:
        """Return the epoch file of each picture by its cell's key."""
        return {one.key: one.file for one in self.shots if one.file}


def grid_folders(project: Project) -> tuple[Path, ...]:
    """Return the project's grids, the newest last."""
    found = [one.parent for one in project.grids_dir.glob(f"*/{ABOUT_NAME}")]
    return tuple(sorted(found, key=lambda one: ((one / ABOUT_NAME).stat().st_mtime, one.name)))


def require_grids(project: Project, names: Sequence[str]) -> tuple[Path, ...]:
    """Return the folders of grids by name; without names the newest one, or none.

    Raises InputError for a name that no grid has.
    """
    known = {one.name: one for one in grid_folders(project)}
    if not names:
        return tuple(known.values())[-1:]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise InputError(
            "LL530",
            f'{project.root} has no grid "{unknown}".',
            f"Choose one of: {', '.join(known) or 'none yet; draw one with loraloom grid'}.",
        )
    return tuple(known[name] for name in names)


def read_shots(folder: Path, ledger: Ledger) -> GridShots:
    """Read the finished pictures of a grid. Raises DamagedError when grid.json is damaged.

    Of several LoRA weights the one nearest to 1 counts.
    """
    try:
        about = read_json(folder / ABOUT_NAME)
        return _shots(about, folder, ledger)
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError) as error:
        raise DamagedError(
            "LL512",
            f"{folder / ABOUT_NAME} is damaged: {error}.",
            "Draw the grid again; finished pictures stay in cells/.",
        ) from error


def _shots(about: dict[str, Any], folder: Path, ledger: Ledger) -> GridShots:
    axes, judged = about["axes"], int(about["judged"])
    names = [axis["name"] for axis in axes]
    values = axes[judged]["values"]
    epochs = tuple(GridEpoch(one["label"], one["file"]) for one in values if one["file"])
    wanted = _weight(axes, names)
    records = ledger.records({cell["key"] for cell in about["cells"]})
    shots = []
    for cell in about["cells"]:
        at, record = cell["at"], records.get(cell["key"])
        value = values[at[judged]]
        is_control = not value["file"]
        if record is None or record.state is not CellState.DONE:
            continue
        if is_control and value["label"] not in _NOTHING:
            continue  # a judged axis that is not one of epochs
        if wanted is not None and not is_control and at[wanted[0]] != wanted[1]:
            continue
        left_out = {judged, *(i for i, name in enumerate(names) if name == _WEIGHT_AXIS)}
        pair = [index for axis, index in enumerate(at) if axis not in left_out]
        group = [
            index
            for axis, index in enumerate(at)
            if axis not in left_out and names[axis] != _SEED_AXIS
        ]
        path = ledger.picture_path(cell["key"])
        if path.exists():
            shots.append(
                EpochPicture(
                    cell["key"],
                    path,
                    record.cell.prompt,
                    value["file"],
                    f"{folder.name}:{pair}",
                    f"{folder.name}:{group}",
                )
            )
    return GridShots(folder.name, folder, epochs, tuple(shots))


def _weight(axes: Sequence[Any], names: Sequence[str]) -> tuple[int, int] | None:
    """Return the axis of weights and the index of the one nearest to 1."""
    if _WEIGHT_AXIS not in names:
        return None
    axis = names.index(_WEIGHT_AXIS)
    labels = [float(one["label"]) for one in axes[axis]["values"]]
    return axis, min(range(len(labels)), key=lambda index: abs(labels[index] - 1.0))
