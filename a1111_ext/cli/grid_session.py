"""One `grid` or `tryout` command: planned, drawn, written, reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from kohya_ext.project import Project, ToolError
from kohya_ext.project.cli import (
    emit,
    emit_json,
    next_step,
    say,
)
from kohya_ext.project.cluster import open_executor
from kohya_ext.project.consent import Use
from kohya_ext.project.epochs import Run, require_run
from kohya_ext.project.progress import ProgressHandler
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import Client
from ..api.inventory import look_at_checkpoints
from ..api.lora_links import apply_links, plan_links, with_run
from ..cells.backend import Backend, HttpBackend
from ..cells.events import EventHandler
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from ..cells.shown import repair_shown
from ..grids.expansion import find_grid_hints, make_expand, open_library
from ..grids.facts import GridFacts, describe_plan, grid_facts
from ..grids.grid import Grid, GridStore, pin_grid, prepare_grid, subject_of
from ..grids.lora_reach import require_reachable
from ..grids.page.document import LiveState
from ..grids.plan import Expand
from ..grids.runner import GridFiles, draw_grid, write_views
from ..grids.server_side import UNCHECKED, XyzPlotBackend
from ..grids.sheet.contact_sheet import SheetFormat
from ..grids.views import PICTURES
from ..quality.advice import Advice
from ..quality.gathering import Sources
from ..quality.project_advice import find_sources, give_advice
from .advise import command_after, tell_advice
from .drawing import (
    describe_embeddings,
    emit_line,
    open_backends,
    say_what_counts,
    say_what_is_read,
    shown_events,
    titles_of,
)
from .grid_options import GridArguments, SheetOptions, request_of
from .webui import open_webuis

TRYOUT = "tryout"
Webuis = tuple[tuple[Client, Capabilities], ...]
"""WebUIs that were named, each with what it has."""

Drawn = tuple[GridFiles, Grid, RunReport]
"""What was written, of which grid, and how the run ended."""


class GridSession:
    """One `grid` command: its options, made into a request, drawn on the WebUIs that it names."""

    def __init__(self, project: Project, options: GridArguments) -> None:
        self.project = project
        self.options = options
        self.request = request_of(project, options)
        self.sheet = SheetOptions(
            SheetFormat(options.form), options.cell_pixels, options.single_file
        )
        self.advice: Advice | None = None
        self._sources: Sources | None = None
        self._library = open_library(
            options.wildcards or project.wildcards_dir,
            options.follow_links or project.manifest.showcase.follow_links,
        )
        self.expand: Expand = make_expand(self._library)
        self._hints: tuple[str, ...] = ()

    def run(self) -> None:
        """Draw the newest run's grid, write sheet and page, and say where they are."""
        self.project.require_consent(Use.TRAINING)
        run = require_run(self.project.model_dir)  # before a WebUI is asked for
        with open_webuis(
            self.options.urls, self.options.auth, self.project.root, needs_all=False
        ) as webuis:
            grid = self.prepare(run, webuis)
            if self.options.dry_run:
                client, found = webuis[0]
                titles = titles_of(grid.plan.cells)
                say_what_is_read(found, titles)
                found = look_at_checkpoints(client, found, *titles)
                self._show_plan(pin_grid(grid, with_run(found, run)), found)
                return
            drawn = self._draw(grid, run, webuis)
        self.tell(drawn)

    # -- planning -------------------------------------------------------------------------

    def prepare(self, run: Run, webuis: Webuis) -> Grid:
        """Plan the grid, and check every name that it can reach against every WebUI."""
        subject = subject_of(self.project, run, self.request.epochs)
        grid = prepare_grid(
            self.project,
            self.request,
            subject,
            name=re.sub(r"[^A-Za-z0-9._-]+", "-", self.options.name).strip("-.")[:40] or "epochs",
            session_id=run.session_id,
            new_seeds=self.options.new_seeds,
            expand=self.expand,
        )
        hints = find_grid_hints(self.request, subject, self._library)
        for hint in hints if hints != self._hints else ():  # once, also where the grid grows
            say(hint)
        self._hints = hints
        family = self.project.manifest.base_model.family
        if self.request.negative_prompt and not family.facts.drawing.has_negative:
            say(f"{family.facts.title} at CFG scale 1 ignores the negative prompt")
        for _, capabilities in webuis:
            capabilities.require_family(family)
            having = with_run(capabilities, run)
            require_reachable(self.request, subject, having, self._library)
            pin_grid(grid, having)
        return grid

    def _show_plan(self, grid: Grid, capabilities: Capabilities) -> None:
        with GridStore(self.project.root).open_ledger() as ledger:
            plan = describe_plan(grid, ledger, capabilities.loaded)
        trigger_word = self.project.manifest.trigger_word
        plan |= describe_embeddings(grid.plan.cells, trigger_word, capabilities)
        if self.options.as_json:
            emit_json(plan)
        else:
            for name, value in plan.items():
                emit(f"{name}: {value}")
        say("nothing was drawn (--dry-run)")
        next_step(f"loraloom grid {shell_path(self.project.root)}")

    # -- drawing --------------------------------------------------------------------------

    def _draw(self, grid: Grid, run: Run, webuis: Webuis) -> Drawn:
        as_json = self.options.as_json
        with self.backends(grid, run, webuis, asked_just_now=True) as backends:
            pinned = pin_grid(grid, with_run(backends[0].capabilities, run))
            if not as_json:
                self._announce(pinned, backends[0].capabilities)
            with (
                GridStore(self.project.root).open_ledger() as ledger,
                shown_events(as_json) as (on_event, show),
            ):
                report = self.generate(pinned, ledger, backends, on_event)
                self.advise(pinned, run, ledger, show)
                files = self.write(pinned, ledger, backends, show)
        return files, pinned, report

    @contextmanager
    def backends(
        self, grid: Grid, run: Run, webuis: Webuis, *, asked_just_now: bool = False
    ) -> Iterator[tuple[HttpBackend, ...]]:
        """Link the epochs into every WebUI; put its settings back after.

        One that was not `asked_just_now` is asked again for all that it has.
        """

        def link_loras(client: Client, found: Capabilities) -> Capabilities:
            link = plan_links(run, found, self.options.lora_folder)
            return apply_links(self.project, link, client, found if asked_just_now else None)

        with open_backends(link_loras, webuis, grid.plan.cells) as opened:
            yield opened

    def generate(
        self,
        grid: Grid,
        ledger: Ledger,
        webuis: tuple[HttpBackend, ...],
        on_event: EventHandler,
    ) -> RunReport:
        """Draw by our own requests, by the WebUI's own plot, or by a cluster's workers."""
        for line in repair_shown(grid.folder / PICTURES, ledger).sentences:
            say(line)
        backends: list[Backend] = list(webuis)
        if self.options.server_side:
            backends = [XyzPlotBackend(webuis[0], grid.plan.cells)]
        with open_executor(self.options.cluster, say) as executor:
            return draw_grid(
                grid,
                ledger,
                backends,
                on_event=on_event,
                journal=self.project.journal,
                executor=executor,
            )

    def advise(
        self, grid: Grid, run: Run, ledger: Ledger, on_progress: ProgressHandler
    ) -> Advice | None:
        """Advise on the epochs that the grid shows; one epoch alone needs none."""
        if self.options.no_advice or len(grid.subject.files) < 2:
            return None
        try:
            if self._sources is None:  # opening a tagger takes seconds; a grid may grow for hours
                self._sources = find_sources(self.project)
            sources = replace(self._sources, grids=(grid.folder,))
            self.advice = give_advice(sources, ledger, run=run, on_progress=on_progress)
        except ToolError as error:  # the pictures are drawn anyway
            say(f"no advice: {error}")
        return self.advice

    def _announce(self, grid: Grid, capabilities: Capabilities) -> None:
        with GridStore(self.project.root).open_ledger() as ledger:
            plan = describe_plan(grid, ledger, capabilities.loaded)
        shown = ("cells", "to draw", "checkpoint loads", "LoRA swaps", "expected time", "disk")
        say(", ".join(f"{name}: {plan[name]}" for name in shown))
        say_what_counts(grid.plan.cells, self.project.manifest.trigger_word, capabilities)

    def write(
        self,
        grid: Grid,
        ledger: Ledger,
        backends: tuple[HttpBackend, ...],
        on_progress: ProgressHandler,
        live: LiveState | None = None,
    ) -> GridFiles:
        """Write the page, and the contact sheet unless the grid still grows."""
        return write_views(
            grid,
            ledger,
            self._facts(grid, backends),
            form=self.sheet.form,
            cell_pixels=self.sheet.cell_pixels,
            single_file_bytes=self.sheet.single_file_bytes,
            live=live,
            with_sheet=live is None,
            on_progress=on_progress,
        )

    def _facts(self, grid: Grid, backends: tuple[HttpBackend, ...]) -> GridFacts:
        facts = grid_facts(
            grid, is_simulated=any(one.capabilities.is_simulated for one in backends)
        )
        root = shell_path(self.project.root)
        unchecked = (UNCHECKED,) if self.options.server_side else ()
        return replace(
            facts,
            warnings=(*facts.warnings, *unchecked),
            choice_command=f"loraloom grid {root} --choice {grid.grid_id}-choice.json",
        )

    # -- the end --------------------------------------------------------------------------

    def tell(self, drawn: Drawn) -> None:
        """Say where the files are, what was not checked, and what failed."""
        files, grid, report = drawn
        if self.options.as_json:
            emit_line(
                {
                    "event": "grid",
                    "grid": grid.grid_id,
                    "page": files.page,
                    "sheets": files.sheets,
                    "drawn": report.drawn,
                    "known": report.known,
                    "failed": [[cell.key, reason] for cell, reason in report.failed],
                    "advice": None if self.advice is None else self.advice.as_dict(),
                }
            )
        else:
            for sheet in files.sheets:
                emit(f"contact sheet: {shell_path(sheet)}")
            emit(f"page: {shell_path(files.page)}")
            if self.advice is not None:
                tell_advice(self.advice)
        if self.options.server_side and report.drawn:
            say(f"drawn by the WebUI's own X/Y/Z plot: {UNCHECKED}")
        if report.unchecked:
            alone = counted(report.unchecked, "picture has", "pictures have")
            say(f"{alone} no control: whether the LoRA changes them was not checked")
        if not grid.plan.has_control:
            say("without the no-LoRA row, whether the LoRA changes the pictures was not checked")
        report.require_all()  # its error says what comes next
        root = shell_path(self.project.root)
        is_tryout = self.options.name == TRYOUT
        if self.advice is not None:
            next_step(command_after(self.project, self.advice))
        else:
            next_step(
                f"loraloom grid {root}" if is_tryout else f"loraloom promote {root} EPOCH NAME"
            )
