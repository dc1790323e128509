"""The grids of one folder as the page server hands them out: pages, pictures, votes, choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import MANIFEST_NAME, open_project
from kohya_ext.project.server import NOT_FOUND, FolderShare, PageAnswer, PageRequest

from ..choice import Choice, parse_choice, write_choice
from .votes import PAGE_NAME, keep_votes, with_votes

GRIDS = "grids"
CHOICE = "choice"
"""Where a page sends its choice: this name beside it."""

_NOT_SERVED, _SERVED = b'"served":""', f'"served":"{CHOICE}"'.encode("ascii")
"""How a page learns where its choice goes; no text in the page's JSON can hold it."""


@dataclass(frozen=True)
class GridShare:
    """The folder `grids` below `root`; a project's pages may also send the epoch that is chosen."""

    root: Path
    on_choice: Callable[[Choice], None] = lambda choice: None

    def answer(self, request: PageRequest) -> PageAnswer:
        """Return a file below `grids`, or keep what a page sends."""
        files = FolderShare(self.root, GRIDS, self._page)
        if request.body is None:
            return files.answer(request)
        beside, _, name = request.path.rpartition("/")
        page = files.find(f"{beside}/{PAGE_NAME}")
        if page is None or name not in (PAGE_NAME, *self._choice_name()):
            return NOT_FOUND
        text = request.body.decode("utf-8")
        if name == PAGE_NAME:
            keep_votes(page, text)
        else:
            choice = parse_choice(text)
            write_choice(open_project(self.root), choice)
            self.on_choice(choice)
        return PageAnswer(204)

    def _page(self, path: Path) -> bytes:
        if path.name != PAGE_NAME:
            return path.read_bytes()
        page = with_votes(path)
        return page.replace(_NOT_SERVED, _SERVED, 1) if self._choice_name() else page

    def _choice_name(self) -> tuple[str, ...]:
        return (CHOICE,) if (self.root / MANIFEST_NAME).is_file() else ()


def share_of(file: Path) -> tuple[GridShare, str]:
    """Return the share of a grid's page or sheet, and the file's path in it."""
    root = file.parents[2]
    return GridShare(root), file.relative_to(root).as_posix()
