"""A drawn grid, read from its folder and its ledger: what a route tells of it, restarts or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import MissingError

from ..grids.runner import SHEET_NAME, GridStore, read_about


@dataclass(frozen=True)
class GridPlace:
    """Where a grid is: the project or own folder that it belongs to, and its name there."""

    root: Path
    grid_id: str

    @property
    def folder(self) -> Path:
        return self.root / "grids" / self.grid_id


@dataclass(frozen=True)
class KeptCell:
    """One picture of a kept grid; without a file `problem` may say why."""

    epoch: str
    key: str
    seed: int | None
    path: Path | None
    infotext: str
    problem: str


@dataclass(frozen=True)
class KeptGrid:
    """What is on disk of a grid; `sheet` is None until one was written."""

    place: GridPlace
    sheet: Path | None
    cells: tuple[KeptCell, ...]

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that a caller may have, by the name in the address."""
        sheets = {"sheet.png": self.sheet} if self.sheet else {}
        return sheets | {f"cells/{one.key}.png": one.path for one in self.cells if one.path}


def read_kept_grid(place: GridPlace) -> KeptGrid:
    """Read a grid from disk; raises MissingError when it is gone or damaged."""
    try:
        about = read_about(place.folder)
        labels = [one["label"] for one in about["axes"][about.get("judged", 0)]["values"]]
        named = [
            (labels[one["at"][about.get("judged", 0)]], str(one["key"])) for one in about["cells"]
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingError(
            "LL766",
            f"The grid in {place.folder} cannot be read: {error}.",
            "Start it again; pictures that are still in the ledger are not drawn twice.",
        ) from error
    sheet = place.folder / f"{SHEET_NAME}.png"
    return KeptGrid(place, sheet if sheet.is_file() else None, _read_cells(place, named))


def _read_cells(place: GridPlace, named: list[tuple[str, str]]) -> tuple[KeptCell, ...]:
    with GridStore(place.root).open_ledger() as ledger:
        keys = {key for _, key in named}
        records, done = ledger.records(keys), ledger.done_among(keys)

        def read(epoch: str, key: str) -> KeptCell:
            record = records.get(key)
            path = ledger.picture_path(key) if key in done else None
            if record is None:
                return KeptCell(epoch, key, None, path, "", "")
            told = (record.infotext, "") if path else ("", record.reason)
            return KeptCell(epoch, key, record.cell.seed, path, *told)

        return tuple(read(epoch, key) for epoch, key in named)
