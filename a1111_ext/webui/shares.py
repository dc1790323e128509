"""Where the browser finds the grids' own pages: below an address that only the tab knows."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from kohya_ext.project.server import Shares

from ..grids.page.share import share_of

PAGES = "/loraloom/pages"
SHARES = Shares()
"""What this process' tab shows; its addresses are known only to who sees the tab."""


def address(file: Path) -> str:
    """Return where the browser finds a file, below the path that the host itself is served at."""
    from modules import shared

    below = str(getattr(shared.cmd_opts, "subpath", None) or "").strip("/")
    share, path = share_of(file)
    return f"{'/' + below if below else ''}{PAGES}/{SHARES.add(share)}/{quote(path)}"
