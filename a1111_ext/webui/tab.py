"""The tab "loraloom" inside A1111 and Forge: the shared page, with this host's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohya_ext.project import (
    MANIFEST_NAME,
    InputError,
    Project,
    apply_init,
    open_project,
    plan_init,
)
from kohya_ext.project.files import explained
from kohya_ext.project.home import typed_path
from kohya_ext.project.printable import shortened

from ..screens.page import ScreenHost, build
from ..screens.shelf import Shelf, read_shelf
from .addresses import address, board_address, review_address, wildcards_address
from .settings import allow_folder, own_folder, project_folders, require_allowable

WHERE = (
    "Open or make one by its folder above, or add folders with projects in Settings, section "
    "loraloom."
)


def fill_tab(blocks: Any) -> None:
    """Build the page inside the tab's Blocks; it is read whenever the host's page loads."""
    place = ScreenHost(
        read_host_shelf,
        address,
        WHERE,
        open_project_here,
        board_address,
        wildcards_address,
        review_address,
    )
    fill = build(place)
    fill(blocks)


def read_host_shelf(_: str = "") -> Shelf:
    """Read the projects of the configured folders, and the grids of no project."""
    return read_shelf(project_folders(), own_folder())


def open_project_here(folder: str, trigger_word: str) -> str:
    """Open the project in a folder, or make one there, and let the tab see it from now on.

    Raises InputError, RuleError, or what opening or making it raises. Returns its name.
    """
    typed = folder.strip()
    root = typed_path(typed)
    if not typed or not root.is_absolute():
        raise InputError(
            "LL769",
            f'"{shortened(typed)}" is not an absolute path of a folder.'
            if typed
            else "The path of the folder is empty.",
            "Enter the full path, or one that begins with ~.",
        )
    with explained(root):
        project = _opened(root) or _made(root, trigger_word.strip())
    allow_folder(project.root)
    return project.root.name


def _opened(root: Path) -> Project | None:
    return open_project(root) if (root / MANIFEST_NAME).is_file() else None


def _made(root: Path, trigger_word: str) -> Project:
    if not trigger_word:
        raise InputError(
            "LL769",
            f"{root} is not a project yet.",
            "To create it, type a trigger word beside it.",
        )
    require_allowable(root)
    return apply_init(plan_init(root, trigger_word))
