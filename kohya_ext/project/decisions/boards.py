"""The boards that are open in this process: one for each project, in whatever host it is shown.

Captions are edited by what the entry-point group `loraloom.captions` names, as anyone's plugin
would be found; a table stands in for the metadata of a clone that was never installed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from ..plugins import load_plugin, named_plugins
from ..project import Project, open_project
from .board import PAGE_NAME, BoardShare, CaptionEditor
from .pictures_view import PicturesView

GROUP = "loraloom.captions"
_TABLE = {"desk": "kohya_ext.captions.desk:CaptionDesk"}


class Boards:
    """Opens the board of a project's pictures once, and closes all of them."""

    def __init__(self) -> None:
        self._shares: dict[Path, BoardShare] = {}
        self._lock = threading.Lock()

    def open(self, root: Path) -> BoardShare:
        """Return the board of the project in `root`. Raises MissingError, InputError."""
        true = root.resolve()
        with self._lock:
            if true not in self._shares:
                project = open_project(true)
                view = PicturesView(project)
                self._shares[true] = BoardShare(view, lambda: open_desk(project))
            return self._shares[true]

    def close(self) -> None:
        """Close all boards."""
        with self._lock:
            for share in self._shares.values():
                share.close()
            self._shares = {}


def open_desk(project: Project) -> CaptionEditor:
    """Open what edits captions. Raises MachineError where neither package nor plugin is there."""
    desk: CaptionEditor = load_plugin((_TABLE | named_plugins(GROUP))["desk"])(project)
    return desk


__all__ = ["PAGE_NAME", "Boards", "open_desk"]
