"""Kept pictures drawn larger as soon as they are kept, beside whatever else draws there.

One checkpoint at a time: whoever draws with the loaded one continues, as `cells.turns` has it for
all commands, so model loads stay as few as without the queue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress

from kohya_ext.project import Project, ToolError

from ..api.capabilities import Capabilities
from ..cells.backend import Backend
from ..cells.cell import Cell
from ..cells.events import CellEvent, CellOutcome
from ..cells.ledger import Ledger
from ..cells.model_files import know_first_files
from ..publish.promoted import Promoted, require_promoted
from .album import OwnPictures, ShowPicture, read_album
from .ratings import Rating
from .review import Review, read_review
from .upscaling import Upscale, UpscaleRequest, draw_upscales, pin_upscales, plan_upscales

_log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5

OpenDrawing = Callable[
    [Promoted, Sequence[Cell]],
    AbstractContextManager[tuple[Capabilities, Sequence[Backend]]],
]
"""Puts the LoRA where pictures are drawn; gives what is there, and who draws."""


def wanted_upscales(
    album: Sequence[ShowPicture], review: Review, *, takes_kept: bool = True
) -> list[ShowPicture]:
    """Return the pictures to be drawn larger that have no larger one: marked, and kept ones."""
    large = {one.upscaled_from for one in album}
    marked = set(review.upscale)
    if takes_kept:
        marked |= {name for name, one in review.ratings.items() if one is Rating.SHOWCASE}
    return [
        one
        for one in album
        if one.file in marked and one.file not in large and not one.upscaled_from
    ]


class UpscaleQueue:
    """Follows the decisions of a project until it is stopped."""

    def __init__(
        self, project: Project, open_drawing: OpenDrawing, request: UpscaleRequest | None = None
    ) -> None:
        self._project, self._open_drawing = project, open_drawing
        self._request = request or UpscaleRequest()
        self._own = OwnPictures()
        self._stop = threading.Event()
        self._round_stop = threading.Event()
        self._failed: dict[str, str] = {}
        self._drawn = 0
        self._left = 0
        self._waits = ""
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="upscale queue", daemon=True)

    def start(self) -> None:
        """Begin to follow; called once."""
        self._thread.start()

    def stop(self) -> None:
        """End it; the picture that is being drawn is given up."""
        self._stop.set()
        self._round_stop.set()
        self._thread.join(timeout=30)

    @property
    def counts(self) -> tuple[int, int]:
        """How many were drawn larger, and how many are still to come."""
        return self._drawn, self._left

    @property
    def sentence(self) -> str:
        """The state, for people."""
        if self.problem:
            return f"upscaling: {self.problem}"
        if not self._left:
            return f"upscaling: {self._drawn} done, waiting for kept pictures"
        waits = f" ({self._waits})" if self._waits else ""
        return f"upscaling: {self._drawn} done, {self._left} to do{waits}"

    # -- rounds -------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                wanted = self._wanted()
                self._left = len(wanted)
                if wanted:
                    self._round(wanted)
            except (ToolError, OSError) as error:
                self.problem = str(error)
                _log.warning("the upscale queue: %s", error)
                self._stop.wait(10 * LOOK_SECONDS)
            self._stop.wait(LOOK_SECONDS)

    def _wanted(self) -> list[ShowPicture]:
        album, review = read_album(self._project, self._own), read_review(self._project)
        return [one for one in wanted_upscales(album, review) if one.file not in self._failed]

    def _round(self, wanted: Sequence[ShowPicture]) -> None:
        """Draw what is wanted now; a round that only waits for its turn takes new ones in."""
        promoted = require_promoted(self._project)
        with Ledger(self._project.cells_db, self._project.cells_dir) as ledger:
            planned = self._planned(wanted, ledger)
            if not planned:
                return
            cells = [one.cell for one in planned]
            with self._open_drawing(promoted, cells) as (has, backends):
                pinned = self._pinned(planned, know_first_files(has, ledger))
                if not pinned:
                    return
                self._round_stop = threading.Event()
                if self._stop.is_set():
                    return
                report = draw_upscales(
                    self._project,
                    pinned,
                    ledger,
                    backends,
                    on_event=lambda event: self._hear(event, len(wanted)),
                    stop=self._round_stop,
                )
        by_key = {one.cell.key: one.picture.file for one in pinned}
        for cell, reason in report.failed:
            self._failed[by_key[cell.key]] = reason
            self.problem = f"{by_key[cell.key]}: {reason}"

    def _planned(self, wanted: Sequence[ShowPicture], ledger: Ledger) -> list[Upscale]:
        found: list[Upscale] = []
        for one in wanted:
            try:
                found += plan_upscales(self._project, [one], ledger, self._request)
            except ToolError as error:
                self._refuse(one, error)
        return found

    def _pinned(self, planned: Sequence[Upscale], has: Capabilities) -> list[Upscale]:
        found: list[Upscale] = []
        for one in planned:
            try:
                found += pin_upscales([one], has, upscaler=self._request.upscaler)
            except ToolError as error:
                self._refuse(one.picture, error)
        return found

    def _refuse(self, picture: ShowPicture, error: ToolError) -> None:
        """One picture that cannot be drawn does not stop the others."""
        self._failed[picture.file] = str(error)
        self.problem = str(error)

    def _hear(self, event: CellEvent, count: int) -> None:
        if event.outcome is CellOutcome.DRAWN:
            self._drawn += 1
            self._left = max(0, self._left - 1)
            self._waits, self.problem = "", ""
        elif event.outcome is CellOutcome.WAITING:
            self._waits = event.reason
            watcher = threading.Thread(target=self._watch, args=(self._round_stop, count))
            watcher.daemon = True
            watcher.start()

    def _watch(self, over: threading.Event, count: int) -> None:
        """End a round that waits as soon as more pictures are wanted: they may have their turn."""
        while not over.wait(LOOK_SECONDS) and self._waits:
            with suppress(ToolError, OSError):
                if len(self._wanted()) > count:
                    over.set()
