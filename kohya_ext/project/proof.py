"""Is everything in a project still what it was? One row per kind of file; for `show --verify`.

Files are read whole, so it takes as long as the disk. The other half proves its pictures through
the plugins of the group `loraloom.verify`: functions of a project that return such rows.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .cluster import spread
from .errors import ToolError
from .json_reader import ShapeError, read_json_object
from .lora_file import read_header, tensor_sha256
from .plugins import load_plugins
from .project import Project

GROUP = "loraloom.verify"
OWN = ("a1111_ext.cells.proof:prove_cells",)


@dataclass(frozen=True)
class Proof:
    """How many of one kind are intact; the others by name, each with what became of it."""

    kind: str
    intact: int
    repaired: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return what `loraloom show --verify` prints."""
        counts = [f"{self.intact} intact"]
        counts += [f"{len(self.repaired)} repaired"] if self.repaired else []
        counts += [f"{len(self.lost)} damaged or lost"] if self.lost else []
        return [
            f"{self.kind}: {', '.join(counts)}",
            *(f"  repaired: {one}" for one in self.repaired),
            *(f"  damaged or lost: {one}" for one in self.lost),
        ]


Prover = Callable[[Project, Executor | None], tuple[Proof, ...]]


def prove_project(project: Project, *, executor: Executor | None = None) -> tuple[Proof, ...]:
    """Look at every file that matters. Raises MachineError for a plugin that cannot be loaded.

    `executor` reads the large files elsewhere, where they lie under the same path.
    """
    others: tuple[Prover, ...] = load_plugins(GROUP, OWN)
    own = (
        _journal(project),
        _decisions(project),
        _each("caption edits", project.captions_dir.glob("*.json"), read_json_object),
        _each("tag scores", project.scores_dir.glob("*.json"), read_json_object),
        _each("epoch files", project.model_dir.glob("*.safetensors"), _prove_tensors, executor),
    )
    rows = [*own, *(row for prove in others for row in prove(project, executor))]
    return tuple(row for row in rows if row.intact or row.repaired or row.lost)


def _journal(project: Project) -> Proof:
    path = project.journal.path
    if not path.exists():
        return Proof("journal", 0)
    try:
        return Proof("journal", len(project.journal.entries()))
    except ToolError as error:
        return Proof("journal", 0, lost=(str(error),))


def _decisions(project: Project) -> Proof:
    path = project.root / "reviews.db"
    if not path.exists():
        return Proof("decisions", 0)
    try:
        # By its path: SQLite takes no address of a file on a share of Windows.
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA query_only = ON")
            found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
            count = int(db.execute("SELECT COUNT(*) FROM decisions").fetchone()[0])
    except sqlite3.Error as error:
        found, count = str(error), 0
    if found == "ok":
        return Proof("decisions", count)
    return Proof("decisions", 0, lost=(f"{path.name}: {found}; restore it from a backup",))


def _each(
    kind: str,
    paths: Iterator[Path],
    prove: Callable[[Path], object],
    executor: Executor | None = None,
) -> Proof:
    found = dict(spread(functools.partial(_fault, prove), sorted(paths), executor))
    lost = tuple(fault for _, fault in sorted(found.items()) if fault)
    return Proof(kind, len(found) - len(lost), lost=lost)


def _fault(prove: Callable[[Path], object], path: Path) -> str:
    """Return what is wrong with a file, empty where nothing is."""
    try:
        prove(path)
    except (OSError, ShapeError, ToolError) as error:
        return error.problem if isinstance(error, ToolError) else f"{path.name}: {error}"
    return ""


def _prove_tensors(path: Path) -> None:
    """Compare the tensors with the hash in the header, where the trainer wrote one."""
    said = read_header(path).metadata.get("sshs_model_hash", "")
    if said and tensor_sha256(path) != said:
        raise ShapeError("its tensors do not match the hash in its header")
