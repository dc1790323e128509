"""The pictures and the ledger of a project, proved: the plugin of the group `loraloom.verify`."""

from __future__ import annotations

from concurrent.futures import Executor

from kohya_ext.project import Project
from kohya_ext.project.proof import Proof
from kohya_ext.project.wording import counted

from .ledger import Ledger
from .picture_store import DAMAGED
from .shown import repair_shown


def prove_cells(project: Project, executor: Executor | None = None) -> tuple[Proof, ...]:
    """Compare every finished cell's picture with its hash; a damaged ledger is made again.

    A picture that differs is moved aside and its cell planned again: the command that drew it
    draws it once more.
    """
    if not project.cells_db.exists():
        return ()
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        if ledger.set_aside is not None:
            kept = len(ledger.pictures.sizes())
            said = f"cells.db was damaged and is kept as {ledger.set_aside.name}; "
            said += f"{counted(kept, 'picture is', 'pictures are')} found again by the "
            said += "commands that made them"
            return (Proof("pictures", 0, repaired=(said,)),)
        known = ledger.done_keys()
        if executor:
            ledger.pictures.read_elsewhere(known, executor)
        done = ledger.done_among(known, whole=True)
        moved = tuple(
            f"{key[:12]}: moved to {ledger.pictures.aside(key, DAMAGED)}, to be drawn again"
            for key in ledger.damaged
        )
        gone = known - done - set(ledger.damaged)
        lost = tuple(f"{key[:12]}: its picture is gone, to be drawn again" for key in sorted(gone))
        pages = sorted(one for one in project.grids_dir.glob("*/pictures") if one.is_dir())
        shown = [repair_shown(one, ledger) for one in (project.showcase_dir, *pages)]
    return (
        Proof("pictures", len(done), lost=(*moved, *lost)),
        Proof(
            "pictures shown",
            sum(one.intact for one in shown),
            repaired=tuple(line for one in shown for line in one.repaired),
            lost=tuple(line for one in shown for line in one.lost),
        ),
    )
