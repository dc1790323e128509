"""Gives advice on a project and keeps it: what the command, the grid and the WebUI's tab share."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from kohya_ext.project import ProgressHandler, Project, ToolError, open_project, silent
from kohya_ext.project.epochs import Run
from kohya_ext.project.kept_advice import write_advice
from kohya_ext.project.manifest import MANIFEST_NAME

from ..cells.ledger import Ledger
from ..publish.tag_scores import find_tagger
from .advice import Advice, advise
from .embedding import open_embedding
from .gathering import NO_TAGGER, Sources, gather
from .shots import require_grids
from .signal import SignalName

_log = logging.getLogger(__name__)
_NO_TAGGER_HERE = "The WebUI's tab does not run the tagger: loraloom advise PROJECT."


def quiet_numpy() -> None:
    """Let numpy compute with one thread: many would get into the training's way, and are slower.

    Only where numpy was not imported yet; it reads these when it is.
    """
    if "numpy" not in sys.modules:
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


def find_sources(
    project: Project,
    grids: tuple[str, ...] = (),
    model: Path | None = None,
    embedding: str | None = None,
    off: tuple[str, ...] = (),
) -> Sources:
    """Return what to look at: grids, tagger and embedding as named or as the project has them.

    Raises InputError (no such grid or plug-in), MissingError or DamagedError (a named model).
    """
    tagger, why = find_tagger(project, model, on_cpu=True)
    return Sources(
        project,
        require_grids(project, grids),
        tagger,
        None if embedding is None else open_embedding(project, embedding),
        NO_TAGGER if tagger is not None or not why else why,
        frozenset(SignalName(name) for name in off),
    )


def give_advice(
    sources: Sources,
    ledger: Ledger,
    *,
    run: Run | None = None,
    on_progress: ProgressHandler = silent,
) -> Advice:
    """Measure, advise, and keep the advice where reports, packs and tabs find it."""
    quiet_numpy()
    advice = advise(gather(sources, ledger, run=run, on_progress=on_progress))
    write_advice(
        sources.project.root,
        {
            **advice.as_dict(),
            "grids": [one.name for one in sources.grids],
            "is_simulated": sources.tagger is not None and sources.tagger.is_simulated,
        },
    )
    return advice


def advise_quietly(grid_folder: Path, ledger: Ledger) -> None:
    """Give advice on a grid of a project, without a tagger; what fails is only logged.

    A grid of a WebUI that no project is open in gets none.
    """
    root = grid_folder.parent.parent
    if not (root / MANIFEST_NAME).is_file():
        return
    try:
        sources = Sources(open_project(root), (grid_folder,), no_tagger_because=_NO_TAGGER_HERE)
        give_advice(sources, ledger)
    except ToolError as error:
        _log.warning("no advice on %s: %s", grid_folder.name, error)
