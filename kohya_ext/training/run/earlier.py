"""What earlier runs left in the output folder: kept under its right number before a run writes.

sd-scripts writes the last epoch and its state without a number, and overwrites silently. So the
last file of 3 epochs becomes `NAME-000003` before the run continues to 5; what would still be
overwritten goes into `earlier-N/`.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...project.epochs import read_epoch_file
from ...project.errors import ToolError
from ...project.files import move_file
from .record import RunPlan
from .states import SavedState, find_states

_CLOCK_SLACK_SECONDS = 2.0
"""File systems round times."""


@dataclass(frozen=True)
class Move:
    """A file or folder, and where it goes."""

    source: Path
    target: Path


def plan_moves(run: RunPlan, *, aside: bool) -> tuple[Move, ...]:
    """Plan what has to move before `run` may write; `aside` moves all of an earlier run.

    Without it, files in the way of a run from its first epoch on are not touched: `check` refuses.
    """
    if not (aside or run.epochs_done):
        return ()
    folder, targets = run.output_dir, {f"{one.name}{run.suffix}" for one in run.expected}
    last = folder / f"{run.name}{run.suffix}"
    moves = []
    in_the_way = [folder / name for name in sorted(targets) if (folder / name).exists()]
    if run.saves_steps and folder.is_dir():
        in_the_way += sorted(folder.glob(f"{glob.escape(run.name)}-step*{run.suffix}"))
    kept = None if aside else _numbered(last, run)
    if kept is not None:
        moves.append(Move(last, kept))
        in_the_way = [one for one in in_the_way if one != last]
    if aside:
        in_the_way += [one.path for one in find_states(folder, run.name)]
    state = folder / f"{run.name}-state"
    if not aside and (numbered := numbered_state(state, run.name)) is not None:
        moves.append(Move(state, numbered))
    number = 1
    while (found := folder / f"earlier-{number}").exists():
        number += 1
    place = found
    moves += [Move(one, place / one.name) for one in in_the_way]
    return tuple(moves)


def _numbered(last: Path, run: RunPlan) -> Path | None:
    """Return the last file's name with its number; None where that is repeated or taken."""
    if not last.is_file() or run.suffix != ".safetensors":
        return None
    try:
        epoch = read_epoch_file(last).epoch
    except ToolError:
        return None
    if not epoch or epoch > run.epochs_done:
        return None
    kept = last.with_name(f"{run.name}-{epoch:06d}{run.suffix}")
    return None if kept.exists() else kept


def numbered_state(state: Path, name: str) -> Path | None:
    """Return what the state of a run's last epoch is called with its number, when that is free."""
    found = [one for one in find_states(state.parent, name) if one.path == state]
    if not found:
        return None
    kept = state.with_name(f"{name}-{found[0].epoch:06d}-state")
    return None if kept.exists() else kept


def apply_moves(moves: Iterable[Move]) -> None:
    """Carry the moves out, in their order."""
    for one in moves:
        one.target.parent.mkdir(parents=True, exist_ok=True)
        move_file(one.source, one.target)


def states_of(run: RunPlan) -> tuple[SavedState, ...]:
    """Return the states to continue with: those that a run saved, and the one it came from."""
    began = (run.folder / "plan.json").stat().st_mtime - _CLOCK_SLACK_SECONDS
    return tuple(
        one
        for one in find_states(run.output_dir, run.name)
        if one.path.stat().st_mtime >= began or one.path == Path(run.resumed_from)
    )


def drop_old_states(run: RunPlan) -> tuple[Path, ...]:
    """Delete whole states beyond the newest `keep_states`, as was asked; return which.

    sd-scripts keeps one more, that of its last epoch, and those of sessions before a resume.
    """
    if not run.keep_states:
        return ()
    old = [one.path for one in states_of_all_sessions(run)[: -run.keep_states]]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return tuple(old)


def states_of_all_sessions(run: RunPlan) -> tuple[SavedState, ...]:
    """Return the whole states of a run by epoch: its own, and those of the sessions before it."""
    found = find_states(run.output_dir, run.name)
    own = {one.path for one in states_of(run)}
    return tuple(one for one in found if one.path in own or one.epoch <= run.epochs_done)
