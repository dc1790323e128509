"""The review board's words and its news while a batch is drawn; shared by the commands."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kohya_ext.project import Project
from kohya_ext.project.cli import shell_word

from ..cells.events import CellEvent, EventHandler
from ..showcase.album import read_album
from ..showcase.review import BoardWords, write_board, write_live

_NEWS_SECONDS = 1.0
"""How often the page's data is written at most."""


def board_words(project: Project, status: str, *, is_simulated: bool = False) -> BoardWords:
    """Return what the board says; its commands work from any folder, as a page is in none."""
    shown = _absolute(project.root)
    upscale = f"loraloom upscale {shown}    (those that are marked)"
    return BoardWords(
        status=status,
        badge="simulated" if is_simulated else "",
        take=f"loraloom select {shown} --ratings review.json\n{upscale}",
        next=f"{upscale}\nloraloom select {shown}",
    )


def _absolute(path: Path) -> str:
    return shell_word(str(path.absolute()))


class BoardNews:
    """Keeps the board of a running batch up to date; `page` is there from the first picture on."""

    def __init__(
        self,
        project: Project,
        *,
        is_simulated: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project, self._is_simulated, self._clock = project, is_simulated, clock
        self._last = clock()
        self.page: Path = write_board(project, self._words("a batch begins"))

    def _words(self, status: str) -> BoardWords:
        return board_words(self._project, status, is_simulated=self._is_simulated)

    def following(self, show: EventHandler) -> EventHandler:
        """Return a handler that shows an event and tells the board now and then."""

        def handle(event: CellEvent) -> None:
            show(event)
            if self._clock() - self._last >= _NEWS_SECONDS:
                self._last = self._clock()
                status = f"drawing: {event.done} of {event.total} pictures"
                write_live(self._project, self._words(status))

        return handle

    def __enter__(self) -> BoardNews:
        return self

    def __exit__(self, *details: object) -> None:
        """Write the last news, after a stop too."""
        count = len(read_album(self._project))
        write_live(self._project, self._words(f"{count} pictures"))
