"""`loraloom grid --choice` and `--serve`: the epoch that people chose, written to the project."""

from __future__ import annotations

from pathlib import Path

from kohya_ext.project import MissingError, Project
from kohya_ext.project.cli import (
    next_step,
    say,
    serve_until_interrupted,
)
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..grids.choice import EpochChoice, KeptChoice, write_choice
from ..grids.page.share import GridShare
from ..grids.page.votes import PAGE_NAME


def take_choice(project: Project, choice: EpochChoice) -> None:
    kept = write_choice(project, choice)
    say(
        f"chosen: {choice.epoch} ({kept.path.name}), with "
        f"{counted(sum(v.better for v in choice.votes), 'vote')}"
    )
    if kept.change:
        say(kept.change)
    _next_promote(project, choice)


def _next_promote(project: Project, choice: EpochChoice) -> None:
    next_step(f"loraloom promote {shell_path(project.root)} {Path(choice.epoch_file).stem} NAME")


def serve_newest(project: Project, *, lan: bool = False) -> None:
    """Show the newest grid until Ctrl-C, on the loopback address or in the network."""
    pages = sorted(project.grids_dir.glob(f"*/{PAGE_NAME}"), key=lambda path: path.stat().st_mtime)
    if not pages:
        raise MissingError(
            "LL514",
            f"{project.root} has no grid yet.",
            f"Draw one: loraloom grid {shell_path(project.root)}",
        )
    chosen: list[EpochChoice] = []

    def take(choice: EpochChoice, kept: KeptChoice) -> None:
        chosen.append(choice)
        say(f"chosen: {choice.epoch}")
        if kept.change:
            say(kept.change)

    page = pages[-1].relative_to(project.root).as_posix()
    share = GridShare(project.root, take, may_promote=not lan)
    serve_until_interrupted(share, page, lan=lan)
    if chosen:
        _next_promote(project, chosen[-1])
    else:
        next_step(f"loraloom promote {shell_path(project.root)} EPOCH NAME")
