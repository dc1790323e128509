"""Where the browser finds our pages of this WebUI: grids, boards, reviews, wildcards."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from kohya_ext.project import Project
from kohya_ext.project.server import Share, Shares

from ..grids.page.share import PromotionHost, share_of

if TYPE_CHECKING:
    from kohya_ext.project.decisions.boards import Boards

    from ..publish.promote import PromotePlan

PAGES = "/loraloom/pages"
SHARES = Shares()
"""What this process' tab shows; its addresses are known only to who sees the tab."""


class ThisWebui(PromotionHost):
    """Promoted files go into this WebUI's LoRA folder, too."""

    def check(self, plan: PromotePlan) -> None:
        from ..publish.promote import require_free_name
        from .backend import read_capabilities

        require_free_name(read_capabilities(), plan.name, plan.hash)

    def show(self, project: Project) -> str:
        from ..publish.promoted import require_promoted
        from .showcase import show_here

        promoted = require_promoted(project)
        show_here(promoted)
        return f"This WebUI has it: <lora:{promoted.name}:1>"


HERE = ThisWebui()


def address(file: Path) -> str:
    """Return where the browser finds a file, below the path that the host itself is served at."""
    share, path = share_of(file, HERE)
    return _address(share, path)


def board_address(root: Path) -> str:
    """Return where the browser finds the board of a project. Raises MissingError, InputError."""
    from kohya_ext.project.decisions.boards import PAGE_NAME

    return _address(_boards().open(root), PAGE_NAME)


def review_address(root: Path) -> str:
    """Return where the browser finds the review of a project's showcase.

    Raises MissingError, InputError or RuleError.
    """
    from kohya_ext.project.decisions.boards import PAGE_NAME

    from .reviews import reviews

    return _address(reviews().open(root), PAGE_NAME)


def wildcards_address() -> str:
    """Return where the browser finds the page of wildcards."""
    from ..screens.wildcards import PAGE_NAME, WildcardShare
    from .settings import follow_links, wildcard_folders

    return _address(WildcardShare(wildcard_folders, follow_links), PAGE_NAME)


@lru_cache(maxsize=1)
def _boards() -> Boards:
    from kohya_ext.project.decisions.boards import Boards

    return Boards()


def _address(share: Share, path: str) -> str:
    from modules import shared

    below = str(getattr(shared.cmd_opts, "subpath", None) or "").strip("/")
    return f"{'/' + below if below else ''}{PAGES}/{SHARES.add(share)}/{quote(path)}"
