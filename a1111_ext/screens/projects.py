"""LoRA projects and their grids as plain values: what the tab, the routes and the tests show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kohya_ext.project import MANIFEST_NAME, Project, ToolError, open_project
from kohya_ext.project.epochs import find_epoch_files

from ..grids.listing import tell_apart
from ..grids.page.votes import PAGE_NAME


@dataclass(frozen=True)
class GridRow:
    """One kept grid: its page, its contact sheet (None when it has none), and when it was made."""

    name: str
    page: Path
    sheet: Path | None
    made_at: str
    about: str = ""
    """What tells it from the other grids of the list."""

    @property
    def label(self) -> str:
        """What it is about, or else its name, with the time."""
        return f"{self.about or self.name} ({self.made_at})"


@dataclass(frozen=True)
class ProjectRow:
    """One project; `problem` says why it cannot be read, the rest is empty then."""

    name: str
    root: Path
    trigger_word: str = ""
    epoch_files: int = 0
    promoted: str = ""
    grids: tuple[GridRow, ...] = ()
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; paths as text."""
        values = asdict(self)
        values["root"] = str(self.root)
        values["grids"] = [
            {**one, "page": str(one["page"]), "sheet": str(one["sheet"]) if one["sheet"] else None}
            for one in values["grids"]
        ]
        return values


def find_projects(folders: Iterable[Path]) -> tuple[ProjectRow, ...]:
    """Return the projects that `folders` are or hold, by name; a damaged one is a row, too."""
    given = tuple(folder.resolve() for folder in folders)
    roots = dict.fromkeys(root for folder in given for root in _roots(folder))
    rows = {one.root: one for one in (_row_within(root, given) for root in roots)}
    return tuple(sorted(rows.values(), key=lambda one: one.name.lower()))


def _roots(folder: Path) -> Iterator[Path]:
    if (folder / MANIFEST_NAME).is_file():
        yield folder
        return
    try:
        inside = sorted(folder.iterdir())
    except OSError:  # a folder that is gone or closed holds no project
        return
    yield from (one for one in inside if (one / MANIFEST_NAME).is_file())


def _row_within(root: Path, given: tuple[Path, ...]) -> ProjectRow:
    """Read a project, unless it is a link that leads out of the given folders."""
    true = root.resolve()
    if any(true.is_relative_to(folder) for folder in given):
        return project_row(true)
    said = f"{root} is a link to {true}, which is in another folder. Enter that folder instead."
    return ProjectRow(root.name, root, problem=said)


def project_row(root: Path) -> ProjectRow:
    """Read one project; what is wrong with it is in the row."""
    try:
        project = open_project(root)
        return _row(project)
    except ToolError as error:
        return ProjectRow(root.name, root, problem=str(error))


def _row(project: Project) -> ProjectRow:
    promoted = project.journal.last("promote")
    return ProjectRow(
        name=project.root.name,
        root=project.root,
        trigger_word=project.manifest.trigger_word,
        epoch_files=_count_epochs(project.model_dir),
        promoted=str(promoted.facts.get("name", "")) if promoted else "",
        grids=find_grids(project.root),
    )


def _count_epochs(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(len(run.files) for run in find_epoch_files(folder).runs)


def find_grids(root: Path) -> tuple[GridRow, ...]:
    """Return the grids kept under `root`, the newest first."""
    pages = sorted((root / "grids").glob(f"*/{PAGE_NAME}"), key=_changed, reverse=True)
    labels = tell_apart([_read_about(page) for page in pages])
    seen = [
        (page, one if one and labels.count(one) == 1 else "")
        for page, one in zip(pages, labels, strict=True)
    ]
    return tuple(_grid_row(page, one) for page, one in seen)


def _read_about(page: Path) -> dict[str, Any]:
    from ..grids.grid import read_about

    try:
        return read_about(page.parent)
    except (OSError, ValueError):
        return {}


def _grid_row(page: Path, about: str) -> GridRow:
    from ..grids.runner import SHEET_NAME

    sheet = page.with_name(f"{SHEET_NAME}.png")
    made = datetime.fromtimestamp(_changed(page)).strftime("%Y-%m-%d %H:%M")
    return GridRow(page.parent.name, page, sheet if sheet.is_file() else None, made, about)


def _changed(page: Path) -> float:
    return page.stat().st_mtime
