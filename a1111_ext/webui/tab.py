"""The tab "loraloom" inside A1111 and Forge: the shared page, with this host's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..screens.page import Place, build
from ..screens.page_server import Shares
from ..screens.shelf import Shelf, read_shelf
from .settings import own_folder, project_folders

PAGES = "/loraloom/pages"
SHARES = Shares()
"""What this process' tab shows; its address is known only to who sees the tab."""

WHERE = (
    "Name the folders with your projects in Settings, section loraloom, press Apply settings "
    "there, and Refresh here."
)


def fill_tab(blocks: Any) -> None:
    """Build the page inside the tab's Blocks; it is read anew whenever the host's page loads."""
    fill = build(Place(read_host_shelf, address, WHERE))
    fill(blocks)


def read_host_shelf(_: str = "") -> Shelf:
    """Read the projects of the configured folders, and the grids of no project."""
    own = own_folder()
    shelf = read_shelf(project_folders(), own)
    SHARES.allow(one.root for one in shelf.entries)
    return shelf


def address(file: Path) -> str:
    """Return where the browser finds a file, below the path that the host itself is served at."""
    from modules import shared

    below = str(getattr(shared.cmd_opts, "subpath", None) or "").strip("/")
    return f"{'/' + below if below else ''}{PAGES}/{SHARES.path_of(file)}"
