"""The desk of a review: what its page can start, and what is in progress beside it.

Drawing the project's showcase, drawing kept pictures larger, selecting, publishing. Where pictures
are drawn the host says: a WebUI over HTTP, or the one that we live in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from kohya_ext.project import Project, open_project
from kohya_ext.project.background_jobs import BackgroundJob, Say, StepStopped
from kohya_ext.project.consent import Use
from kohya_ext.project.content import ContentLevel
from kohya_ext.project.decisions.board_view import STOP, Action, BoardStatus
from kohya_ext.project.progress import Progress, ProgressHandler
from kohya_ext.project.wording import counted

from ..cells.events import CellEvent
from ..cells.ledger import Ledger
from ..cells.model_files import know_first_files
from ..publish.promoted import require_promoted
from .album import read_album, repair_showcase
from .batches import draw_batch, pin_batch, say_undetailed
from .file_ratings import FileRatings
from .of_project import plan_project_batch
from .picture_distance import make_distance
from .review import read_review
from .selection import SelectionOptions, apply_selection, plan_selection
from .upscale_queue import OpenDrawing, UpscaleQueue

DRAW, UPSCALE, SELECT, PUBLISH = "draw", "upscale", "select", "publish"
CONTENT = "content"
LASTING = (DRAW, UPSCALE, PUBLISH)
"""What is resumed after a restart of its host."""


class ReviewDesk:
    """Starts nothing; subclasses do."""

    def actions(self) -> Sequence[Action]:
        """Return what may be started."""
        return ()

    def status(self) -> BoardStatus:
        """Return what is in progress."""
        return BoardStatus()

    def act(self, name: str, choice: str = "") -> str:
        """Start an action; return a sentence. ToolError says why not."""
        raise ValueError(f"{name!r} is not an action of this page.")

    def close(self) -> None:
        """End what was started."""


NO_DESK = ReviewDesk()


class DrawingDesk(ReviewDesk):
    """Starts what a showcase needs; `note` hears what is to be resumed after a restart."""

    def __init__(
        self,
        project: Project,
        open_drawing: OpenDrawing,
        *,
        note: Callable[[Sequence[str]], None] = lambda names: None,
        follow_links: Callable[[], bool] = bool,
    ) -> None:
        self._project, self._open_drawing, self._note = project, open_drawing, note
        self._follow_links = follow_links
        self._lock = threading.RLock()
        self._drawing: BackgroundJob | None = None
        self._publishing: BackgroundJob | None = None
        self._queue: UpscaleQueue | None = None
        self._wanted: list[str] = []
        self._before = _earlier_pack(project)

    def actions(self) -> Sequence[Action]:
        """Return the buttons."""
        return (
            Action(
                DRAW,
                "Draw",
                "Draw the project's showcase, or its missing pictures.",
                stop_label="Stop drawing",
            ),
            Action(
                UPSCALE,
                "Upscale kept",
                "Upscale pictures as soon as they are kept or marked.",
                stop_label="Stop upscaling",
            ),
            Action(SELECT, "Select the post", "Choose at most 20 pictures and their order."),
            Action(
                CONTENT,
                "Content",
                "Your decision on the content of the selected pictures.",
                tuple(one.value for one in ContentLevel),
            ),
            Action(PUBLISH, "Publish", "Make the pack. Nothing is uploaded."),
        )

    def resume(self, names: Iterable[str]) -> None:
        """Start again what a restart of the host cut off. ToolError is shown by `status`."""
        for name in names:
            if name in LASTING:
                self.act(name)

    def act(self, name: str, choice: str = "") -> str:
        """Start an action, or with STOP stop one that lasts; return a sentence."""
        starts = {
            DRAW: lambda: self._draw(choice),
            UPSCALE: lambda: self._upscale(choice),
            SELECT: self._select,
            CONTENT: lambda: self._decide(choice),
            PUBLISH: self._publish,
        }
        if name not in starts:
            raise ValueError(f"{name!r} is not an action of this page.")
        with self._lock:
            return starts[name]()

    def close(self) -> None:
        """Stop what is in progress; what was noted to be resumed stays noted."""
        with self._lock:
            for job in (self._drawing, self._publishing):
                if job is not None:
                    job.stop()
            if self._queue is not None:
                self._queue.stop()

    # -- how it stands ------------------------------------------------------------------------

    def status(self) -> BoardStatus:
        """Return a sentence on everything that is in progress, and the progress of drawing."""
        said, done, total, running, alarm = [], 0, 0, [], False
        for name, job in ((DRAW, self._drawing), (PUBLISH, self._publishing)):
            if job is None:
                continue
            view = job.view()
            if view.progress and name == DRAW:
                done, total = view.progress.done, view.progress.total or 0
            if not view.is_finished:
                running.append(name)
                count = f" {done} of {total}" if name == DRAW and total else ""
                said.append(f"{'drawing' if name == DRAW else 'publishing'}{count}")
            said += view.lines
            if view.error:
                said, alarm = [*said, view.error], True
        if self._queue is not None:
            running.append(UPSCALE)
            said.append(self._queue.sentence)
            alarm = alarm or bool(self._queue.problem)
        if self._publishing is None and self._before:
            said.append(self._before)
        return BoardStatus("; ".join(said), done, total, is_alarm=alarm, running=tuple(running))

    def _keep(self, name: str, is_on: bool) -> None:
        """Note what lasts, for a restart."""
        with self._lock:
            self._wanted = [one for one in self._wanted if one != name] + [name] * is_on
            self._note(tuple(self._wanted))

    # -- drawing ------------------------------------------------------------------------------

    def _draw(self, choice: str) -> str:
        is_running = self._drawing is not None and not self._drawing.view().is_finished
        if is_running and choice != STOP:
            return "Drawing is in progress."
        if choice == STOP:
            if self._drawing is not None:
                self._drawing.stop()
            self._keep(DRAW, False)
            return "Drawing is stopping; finished pictures are kept."
        open_project(self._project.root).require_consent(Use.PICTURES)
        require_promoted(self._project)
        self._drawing = BackgroundJob("showcase", self._draw_all)
        self._keep(DRAW, True)
        self._drawing.start()
        return "Drawing has started."

    def _draw_all(self, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        try:
            self._draw_plan(progress, say, stop)
        finally:  # only a host that ends meanwhile leaves it noted
            self._keep(DRAW, False)

    def _draw_plan(self, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        project = open_project(self._project.root)  # the manifest may say more by now
        promoted = require_promoted(project)
        plan = plan_project_batch(project, promoted, self._follow_links())
        for line in (*plan.hints, *repair_showcase(project)):
            say(line)
        cells = [shot.cell for shot in plan.shots]

        def tell(event: CellEvent) -> None:
            progress(Progress("Pictures", event.done, event.total))

        with (
            self._open_drawing(promoted, cells) as (has, backends),
            Ledger(project.cells_db, project.cells_dir) as ledger,
        ):
            pinned = pin_batch(plan, know_first_files(has, ledger), promoted.autov3)
            report = draw_batch(project, pinned, ledger, backends, on_event=tell, stop=stop)
            undetailed = say_undetailed(pinned, ledger)
        if report.stopped:
            raise StepStopped(f"{report.drawn + report.known} of {len(plan.shots)} are drawn.")
        report.require_all()
        say(f"{counted(len(plan.shots), 'picture is', 'pictures are')} drawn")
        if undetailed:
            say(undetailed)

    def _upscale(self, choice: str) -> str:
        if choice == STOP:
            if self._queue is not None:
                self._queue.stop()
            self._queue = None
            self._keep(UPSCALE, False)
            return "Upscaling is stopped."
        if self._queue is not None:
            return "Kept pictures are already being upscaled."
        require_promoted(self._project)
        self._queue = UpscaleQueue(self._project, self._open_drawing)
        self._queue.start()
        self._keep(UPSCALE, True)
        return "Kept pictures are now upscaled."

    # -- the post -----------------------------------------------------------------------------

    def _select(self) -> str:
        project, promoted = self._project, require_promoted(self._project)
        repairs = " ".join(f"{line}." for line in repair_showcase(project))
        album = read_album(project)
        FileRatings(project).agree(one.file for one in album)
        review = read_review(project)
        options = SelectionOptions(ratings=review.ratings, order=review.order)
        distance = make_distance(project.showcase_dir, len(album))
        selection = plan_selection(album, promoted.name, promoted.autov3, options, distance)
        apply_selection(project, selection)
        left = ", ".join(f"{count} {reason}" for reason, count in selection.left_out.items())
        left = f" ({left})" if left else ""
        return f"Selected: {counted(len(selection.chosen), 'picture')}{left}. {repairs}".strip()

    def _decide(self, choice: str) -> str:
        """Keep a person's word on the content of what is selected."""
        from ..publish.content import decide_content
        from ..publish.material import gather

        level = ContentLevel(choice)
        pictures = gather(open_project(self._project.root)).every_picture
        decide_content(self._project, pictures, level)
        shown = counted(len(pictures), "picture is", "pictures are")
        return f"{shown} {level.value}, as you decided. Publish uses your decision."

    def _publish(self) -> str:
        if self._publishing is not None and not self._publishing.view().is_finished:
            return "The pack is being made."
        self._publishing = BackgroundJob("publish", self._make_pack)
        self._keep(PUBLISH, True)
        self._publishing.start()
        return "Publishing begins."

    def _make_pack(self, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        try:
            self._make_plan(progress, say)
        finally:  # only a host that ends meanwhile leaves it noted
            self._keep(PUBLISH, False)

    def _make_plan(self, progress: ProgressHandler, say: Say) -> None:
        from ..publish.publishing import PublishOptions, apply_publishing, plan_publishing

        project = open_project(self._project.root)
        for line in repair_showcase(project):
            say(line)
        plan = plan_publishing(project, PublishOptions(), on_progress=progress)
        pack = apply_publishing(project, plan, on_progress=progress)
        if not plan.is_checked:
            say("no tagger has rated the pictures: nobody has checked what they show")
        say(
            f"the pack is made: {pack.checklist} lists what was checked and what you still have to "
            "do"
        )


def _earlier_pack(project: Project) -> str:
    """Say where the newest pack lies; "" where there is none, or where it has gone."""
    entry = project.journal.last("publish")
    folder = project.root / str(entry.facts.get("folder", "")) if entry else None
    checklist = folder / "checklist.html" if folder else None
    if entry is None or checklist is None or not checklist.is_file():
        return ""
    return f"Newest pack, {entry.at[:16].replace('T', ' ')} UTC: {checklist}"
