"""The showcases that are reviewed in this WebUI: one desk each, remembered over a restart.

`started-reviews.json` says what was started on which project; it is begun again with the host.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from kohya_ext.project import ToolError, open_project
from kohya_ext.project.decisions.board import BoardShare
from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import read_or_set_aside

from ..api.capabilities import Capabilities
from ..cells.backend import Backend
from ..cells.cell import Cell
from ..publish.promoted import Promoted
from ..showcase.desk import DrawingDesk
from ..showcase.showcase_view import ShowcaseView
from .access import require_inside
from .alone import AloneBackend
from .backend import read_capabilities
from .settings import follow_links, own_folder, project_folders
from .showcase import show_here

_log = logging.getLogger(__name__)
BOOK_NAME = "started-reviews.json"


@contextmanager
def drawing_here(
    promoted: Promoted, cells: Sequence[Cell]
) -> Iterator[tuple[Capabilities, Sequence[Backend]]]:
    """Give what this WebUI has, with the promoted file, and who draws."""
    show_here(promoted)
    yield read_capabilities(), [AloneBackend()]


class Reviews:
    """Opens the board of a project's showcase once, with its desk."""

    def __init__(self, book: Path | None = None) -> None:
        self._book = book or own_folder() / BOOK_NAME
        self._lock = threading.RLock()
        self._opened: dict[Path, tuple[BoardShare, DrawingDesk]] = {}
        found: Mapping[str, tuple[str, ...]] = read_or_set_aside(self._book, _started, {})
        self._started = dict(found)

    def open(self, root: Path) -> BoardShare:
        """Return the board of a project. Raises MissingError, InputError or RuleError."""
        return self._open(root)[0]

    def _open(self, root: Path) -> tuple[BoardShare, DrawingDesk]:
        true = require_inside(root, project_folders())
        with self._lock:
            if true not in self._opened:
                project = open_project(true)
                desk = DrawingDesk(
                    project,
                    drawing_here,
                    note=lambda names: self._note(true, names),
                    follow_links=follow_links,
                )
                self._opened[true] = BoardShare(ShowcaseView(project, desk)), desk
            return self._opened[true]

    def resume(self) -> None:
        """Begin again what the last end of the WebUI cut off."""
        for root, names in list(self._started.items()):
            try:
                self._open(Path(root))[1].resume(names)
                _log.info("loraloom: %s continues in %s", ", ".join(names), root)
            except (ToolError, OSError) as error:
                _log.warning("loraloom: %s could not continue in %s: %s", names, root, error)

    def _note(self, root: Path, names: Sequence[str]) -> None:
        with self._lock:
            self._started[str(root)] = tuple(names)
            kept = {root: [*names] for root, names in self._started.items() if names}
            try:
                write_json_atomic(self._book, kept)
            except ToolError as error:  # it is drawn anyway
                _log.error("loraloom: %s", error)


def _started(data: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    return {str(root): tuple(map(str, names)) for root, names in data.items()}


@lru_cache(maxsize=1)
def reviews() -> Reviews:
    """Return the reviews of this process."""
    return Reviews()


def resume_reviews() -> None:
    """Resume what was in progress, when there is something; most starts import nothing here."""
    threading.Thread(target=reviews().resume, name="loraloom resume", daemon=True).start()
