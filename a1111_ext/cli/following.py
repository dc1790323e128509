"""`loraloom grid --follow`: each epoch is drawn when the training has saved it."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from kohya_ext.project import ToolError
from kohya_ext.project.cli import (
    say,
)
from kohya_ext.project.epochs import Run
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..api.lora_links import with_run
from ..cells.model_files import know_first_files
from ..grids.grid import GridStore, pin_grid, with_epochs
from ..grids.live import EpochWatch, count_gpus, is_training_over, require_spare_gpu
from ..grids.page.document import LiveState
from ..quality.advice import Advice
from .drawing import shown_events
from .grid_options import FollowOptions
from .grid_session import Drawn, GridSession, Webuis
from .stopping import stop_after_epoch
from .webui import open_webuis


class Following:
    """A grid that grows with its training, until that is over."""

    def __init__(self, session: GridSession, options: FollowOptions) -> None:
        self._session, self._options = session, options
        self._asked_to_stop = False
        self._started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")

    def run(self) -> None:
        """Draw until the training is over, and say where the grid is."""
        options = self._session.options
        with open_webuis(
            options.urls, options.auth, self._session.project.root, needs_all=False
        ) as webuis:
            drawn = self._follow(webuis)
        self._session.tell(drawn)

    def _follow(self, webuis: Webuis) -> Drawn:
        real = [one.url for _, one in webuis if not one.is_simulated]
        if real and not (self._options.same_gpu or self._options.at_end):
            require_spare_gpu(real, count=count_gpus)
        watch = EpochWatch(self._session.project.model_dir)
        drawn: tuple[str, ...] = ()
        last: Drawn | None = None
        say("following the training; Ctrl-C stops this command, run it again to continue")
        while True:
            run = watch.look()
            over = self._is_over(run)
            names = tuple(one.name for one in run.epochs) if run else ()
            if run and names and names != drawn and (over or not self._options.at_end):
                last = self._draw_growing(run, webuis, over)
                drawn = names
            if over and last is not None:
                return last
            time.sleep(self._options.every)

    def _is_over(self, run: Run | None) -> bool:
        until = self._options.until
        seen = [one.epoch or 0 for one in run.epochs] if run else []
        if until is not None and any(epoch >= until for epoch in seen):
            return True
        return is_training_over(run, self._session.project.journal, since=self._started)

    def _draw_growing(self, run: Run, webuis: Webuis, over: bool) -> Drawn:
        session = self._session
        grid = session.prepare(run, webuis)
        count = len(grid.subject.files)
        say(f"epoch {grid.subject.files[-1].name} is complete: {count} so far")
        live = None if over else LiveState(f"following the training: {counted(count, 'epoch')}")
        with (
            session.backends(grid, run, webuis) as backends,
            GridStore(session.project.root).open_ledger() as ledger,
            shown_events(session.options.as_json) as (on_event, show),
        ):
            grown = with_epochs(grid, grid.subject.files, session.expand)
            has = know_first_files(backends[0].capabilities, ledger)
            pinned = pin_grid(grown, with_run(has, run))
            session.write(pinned, ledger, backends, show, live or LiveState("drawing"))
            report = session.generate(pinned, ledger, backends, on_event)
            advice = session.advise(pinned, run, ledger, show)
            files = session.write(pinned, ledger, backends, show, live)
        if advice is not None and not over:
            self._act_on(advice)
        return files, pinned, report

    def _act_on(self, advice: Advice) -> None:
        """Say how the epochs compare; stop the training when that was asked for."""
        say(f"so far: {advice.summary}")
        if not advice.suggests_stop or self._asked_to_stop:
            return
        root = self._session.project.root
        say("the newest epochs are overtrained; more training will not help")
        if not self._options.stop_when_overtrained:
            say(f"stop it with: loraloom train {shell_path(root)} --stop-after-epoch")
            return
        self._asked_to_stop = True
        try:
            stop_after_epoch(root)
        except ToolError as error:
            say(f"the training could not be stopped from here: {error}")
