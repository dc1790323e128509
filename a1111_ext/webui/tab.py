"""The tab "loraloom" inside A1111 and Forge: the shared page, with this host's folders."""

from __future__ import annotations

from typing import Any

from ..screens.page import ScreenHost, build
from ..screens.shelf import Shelf, read_shelf
from .access import address
from .settings import own_folder, project_folders

WHERE = (
    "Name the folders with your projects in Settings, section loraloom, press Apply settings "
    "there, and Refresh here."
)


def fill_tab(blocks: Any) -> None:
    """Build the page inside the tab's Blocks; it is read whenever the host's page loads."""
    fill = build(ScreenHost(read_host_shelf, address, WHERE))
    fill(blocks)


def read_host_shelf(_: str = "") -> Shelf:
    """Read the projects of the configured folders, and the grids of no project."""
    return read_shelf(project_folders(), own_folder())
