"""Where the browser finds the grids' own pages: below an address that only the tab knows."""

from __future__ import annotations

from pathlib import Path

from ..server.page_server import Shares

PAGES = "/loraloom/pages"
SHARES = Shares()
"""What this process' tab shows; its address is known only to who sees the tab."""


def address(file: Path) -> str:
    """Return where the browser finds a file, below the path that the host itself is served at."""
    from modules import shared

    below = str(getattr(shared.cmd_opts, "subpath", None) or "").strip("/")
    return f"{'/' + below if below else ''}{PAGES}/{SHARES.path_of(file)}"
