"""The board inside the tab: a frame of a page that a small server on this machine shows."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ..project import ToolError
from ..project.decisions.board import PAGE_NAME
from ..project.decisions.boards import Boards
from ..project.page_frame import page_frame
from ..project.server import PageServer
from .panels import require_project

FRAME_PIXELS = 860
_SERVER = PageServer()
_BOARDS = Boards()


def board_frame(folder: str) -> str:
    """Return the board of a project, folded; "" where there is no project to show."""
    try:
        root = require_project(folder).root
        url = board_url(root)
    except (ToolError, OSError):
        return ""
    return (
        "<details><summary><b>Sort and caption the pictures</b></summary>"
        f'<p>Keys: 1 is primary, 2 supporting, 0 out. <a href="{escape(url)}" target="_blank">'
        "Open the board in a separate window</a> (on this machine).</p>"
        f"{page_frame(url, 'Board', FRAME_PIXELS)}</details>"
    )


def board_url(root: Path) -> str:
    """Return the address of a project's board. Raises MissingError, InputError, OSError."""
    return _SERVER.url_of(_BOARDS.open(root), PAGE_NAME)
