"""The shelf: every project and the WebUI's own grids, to choose from by label; plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .projects import GridRow, ProjectRow, find_grids, find_projects

OWN_LABEL = "Grids of this WebUI"
"""Grids that belong to no project."""


@dataclass(frozen=True)
class ShelfEntry:
    """One line of the shelf; `project` is None for the WebUI's own grids."""

    label: str
    root: Path
    grids: tuple[GridRow, ...]
    project: ProjectRow | None = None

    def find_grid(self, label: str | None) -> GridRow | None:
        """Return the grid called `label`; the newest one when there is none of that name.

        With another grid in the list a label may say something else; its time stays.
        """
        named = [one for one in self.grids if one.label == label]
        timed = [one for one in self.grids if (label or "").endswith(f"({one.made_at})")]
        return next(iter((*named, *timed, *self.grids)), None)


@dataclass(frozen=True)
class Shelf:
    """All entries in the order in which they are shown; labels are unique."""

    entries: tuple[ShelfEntry, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(one.label for one in self.entries)

    def find(self, label: str | None) -> ShelfEntry | None:
        """Return the entry called `label`; the first one when there is none of that name."""
        named = (one for one in self.entries if one.label == label)
        return next(named, self.entries[0] if self.entries else None)


def read_shelf(folders: Iterable[Path], own: Path | None = None) -> Shelf:
    """Read the projects in `folders`, and the grids of `own`, which is not a project."""
    projects = find_projects(folders)
    names = [one.name for one in projects]
    found = [ShelfEntry(_label(one, names), one.root, one.grids, one) for one in projects]
    if own is not None:
        found.append(ShelfEntry(OWN_LABEL, own, find_grids(own)))
    return Shelf(tuple(found))


def _label(row: ProjectRow, names: list[str]) -> str:
    """Return a project's name, with its folder where another one has the same."""
    return f"{row.name} ({row.root.parent})" if names.count(row.name) > 1 else row.name


@dataclass(frozen=True)
class ShelfSelection:
    """What the two lists show, and what is chosen in them."""

    entry: ShelfEntry | None
    grid: GridRow | None
    labels: tuple[str, ...]
    gone: str = ""
    """The project that was chosen and is no longer there; another is shown."""

    @property
    def label(self) -> str | None:
        return self.entry.label if self.entry else None

    @property
    def grid_labels(self) -> tuple[str, ...]:
        return tuple(one.label for one in self.entry.grids) if self.entry else ()

    @property
    def grid_label(self) -> str | None:
        return self.grid.label if self.grid else None


def choose(shelf: Shelf, label: str | None, grid: str | None) -> ShelfSelection:
    """Return what is shown for the two chosen words; the newest grid when none is chosen."""
    entry = shelf.find(label)
    is_there = not label or any(
        one.startswith(f"{label} (") or one == label for one in shelf.labels
    )
    chosen = entry.find_grid(grid) if entry else None
    return ShelfSelection(entry, chosen, shelf.labels, "" if is_there else str(label))
