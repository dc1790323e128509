"""`loraloom grid` and `loraloom tryout`: compare epochs, look at the final file, choose."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from kohya_ext.project import Project, ToolError
from kohya_ext.project.cli import (
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
    shell_path,
)
from kohya_ext.project.epochs import Run, require_run
from kohya_ext.project.progress import Progress, ProgressHandler

from ..api.capabilities import Capabilities, fetch_hashed
from ..api.client import Client
from ..api.lend import apply_lend, lent_name, plan_lend, with_run
from ..cells.events import CellEvent, EventHandler, Outcome
from ..cells.ledger import Ledger
from ..cells.painters import Painter, WebuiPainter
from ..cells.plan import pin_cell, plan_cells
from ..cells.run import RunReport
from ..grids.axes import Axis
from ..grids.choice import Choice, read_choice, write_choice
from ..grids.contact_sheet import SheetFormat
from ..grids.drawing import (
    Grid,
    GridFiles,
    draw_grid,
    prepare_grid,
    with_epochs,
    write_views,
)
from ..grids.epoch_grid import (
    EPOCH_AXIS,
    Expand,
    GridPlan,
    GridRequest,
    Subject,
    request_from,
    select_epochs,
)
from ..grids.expansion import make_expand
from ..grids.live import (
    POLL_SECONDS,
    EpochWatch,
    count_gpus,
    is_training_over,
    require_spare_gpu,
)
from ..grids.page import LiveState
from ..grids.reach import reachable_loras
from ..grids.serve import GridServer
from ..grids.server_side import UNCHECKED, PlotPainter
from ..grids.values import parse_real_numbers, parse_whole_numbers
from ..grids.views import GridFacts
from ..grids.votes import PAGE_NAME
from .cluster import open_executor
from .serving import serve_until_interrupted
from .webui import lora_folder_option, open_webuis, webui_options

_Command = TypeVar("_Command", bound=Callable[..., Any])
TRYOUT = "tryout"
_BYTES_PER_PIXEL = 1.6
"""A PNG of a photograph-like picture; for the plan's estimate of disk space."""


# -- options ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SheetOptions:
    """How the result is written; `cell_pixels` and `single_file` (MB) are None by default."""

    form: SheetFormat = SheetFormat.PNG
    cell_pixels: int | None = None
    single_file: int | None = None

    @property
    def single_file_bytes(self) -> int | None:
        return None if self.single_file is None else self.single_file * 1_000_000


@dataclass(frozen=True)
class FollowOptions:
    """How a growing grid behaves; `until` is the epoch after which it ends."""

    follow: bool = False
    at_end: bool = False
    same_gpu: bool = False
    until: int | None = None
    every: float = POLL_SECONDS


_SHEET_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice([one.value for one in SheetFormat]),
        default="png",
        help="The contact sheet's format; jpeg and webp in parts where one is too large.",
    ),
    click.option(
        "--cell-pixels",
        type=click.IntRange(64, 8192),
        help="Draw cells smaller on the contact sheet: their longer side in pixels.",
    ),
    click.option(
        "--single-file",
        type=click.IntRange(1, 2000),
        metavar="MB",
        help="Put the full pictures into the page too, up to so many megabytes.",
    ),
)
_REQUEST_OPTIONS = (
    click.option("--prompt", help="Prompt or template with {lora} and {trigger}."),
    click.option(
        "--template",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A text file with the template, in place of --prompt.",
    ),
    click.option("--negative-prompt", help="In place of the manifest's."),
    click.option("--epochs", default="all", help="Which: all, or 2,4,8-20 (+4),last"),
    click.option("--weights", help="LoRA weights, for example 0.6,0.8,1"),
    click.option("--seeds", help="Seeds; each -1 is drawn once, the same for all rows."),
    click.option(
        "--axis",
        "axes",
        multiple=True,
        metavar="NAME=VALUES",
        help="One more axis, as in the X/Y/Z plot: 'CFG Scale=5,7', 'Prompt S/R=red,blue'.",
    ),
    click.option(
        "--skip",
        multiple=True,
        metavar="RULE",
        help="Leave cells out: 'LoRA epoch=epoch 2 & LoRA weight=0.6|0.8'.",
    ),
    click.option("--columns", default="Seed", help="The axis that runs across."),
    click.option("--checkpoint", help="As the WebUI shows it."),
    click.option("--no-control", is_flag=True, help="Draw no row without the LoRA."),
    click.option(
        "--unlink-seed", is_flag=True, help="Unlink seed from prompt: another text for each axis."
    ),
    click.option(
        "--wildcards",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The folder with wildcards for a template.",
    ),
    click.option(
        "--batch-count",
        type=click.IntRange(1, 100),
        default=1,
        help="So many seeds of a row in one request, the same pictures bit for bit.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 64),
        default=1,
        help="So many seeds drawn together: a third faster, the pictures differ a little.",
    ),
    click.option("--name", default="epochs", help="The first part of the grid folder's name."),
    click.option("--new-seeds", is_flag=True, help="Draw seeds that are -1 anew."),
)
_FOLLOW_OPTIONS = (
    click.option("--follow", is_flag=True, help="Draw each epoch when the training saves it."),
    click.option("--at-end", is_flag=True, help="With --follow: wait for the end, then draw."),
    click.option("--same-gpu", is_flag=True, help="With --follow: draw beside the training."),
    click.option("--until", type=int, metavar="EPOCH", help="With --follow: the last epoch."),
    click.option("--every", type=float, default=POLL_SECONDS, hidden=True),
)


def _add_all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


# -- grid ---------------------------------------------------------------------------------------


@click.command()
@project_argument
@webui_options
@lora_folder_option
@_add_all(_REQUEST_OPTIONS)
@_add_all(_SHEET_OPTIONS)
@_add_all(_FOLLOW_OPTIONS)
@click.option(
    "--choice",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write a choice that a grid's page saved into the project.",
)
@click.option(
    "--server-side", is_flag=True, help="Let the WebUI's own X/Y/Z plot draw it, in one request."
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Dask's scheduler, whose workers ask the WebUIs."
)
@click.option("--serve", is_flag=True, help="Show the newest grid; its choice is written here.")
@dry_run_option
@json_option
def grid(project: Project, **options: Any) -> None:
    """Draw epochs x seeds (x anything else) and find the epoch before overtraining."""
    if options["choice"]:
        _take_choice(project, read_choice(options["choice"]))
    elif options["serve"]:
        _serve(project)
    else:
        _Session(project, options).run()


class _Session:
    """One `grid` command: its options, made into a request, drawn on the WebUIs that it names."""

    def __init__(self, project: Project, options: dict[str, Any]) -> None:
        self.project = project
        self.options = options
        self.request = _request(project, options)
        self.sheet = SheetOptions(
            SheetFormat(options["form"]), options["cell_pixels"], options["single_file"]
        )
        self.follow = FollowOptions(
            **{name: options[name] for name in ("follow", "at_end", "same_gpu", "until", "every")}
        )
        self.expand: Expand = make_expand(options["wildcards"])
        self.started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")

    def run(self) -> None:
        """Draw, write sheet and page, and say where they are."""
        if not self.follow.follow:
            require_run(self.project.model_dir)  # before a WebUI is asked for
        with open_webuis(self.options["urls"], self.options["auth"]) as webuis:
            if self.follow.follow:
                files, grid, report = self._follow(webuis)
            else:
                run = require_run(self.project.model_dir)
                grid = self._prepare(run, webuis)
                if self.options["dry_run"]:
                    self._show_plan(_pinned(grid, run, webuis[0][1]))
                    return
                files, grid, report = self._draw(grid, run, webuis)
        self._tell(grid, files, report)
        report.require_all()

    # -- planning -------------------------------------------------------------------------

    def _prepare(self, run: Run, webuis: tuple[tuple[Client, Capabilities], ...]) -> Grid:
        """Plan the grid, and check every name that it can reach against every WebUI."""
        grid = prepare_grid(
            self.project,
            self.request,
            self._subject(run),
            name=_safe_name(self.options["name"]),
            session_id=run.session_id,
            new_seeds=self.options["new_seeds"],
            expand=self.expand,
        )
        for _, capabilities in webuis:
            self._require_reachable(run, capabilities)
            _pinned(grid, run, capabilities)
        return grid

    def _require_reachable(self, run: Run, capabilities: Capabilities) -> None:
        """Check the LoRAs of options that this grid happens not to draw, too."""
        own = {name for one in run.files for name in (one.name, one.output_name)}
        texts = [self.request.prompt, self.request.negative_prompt, *self.request.axes]
        having = with_run(capabilities, run)
        for one in reachable_loras(texts, self.options["wildcards"]):
            if one.name not in own:
                having.require_lora(one.name, one.weight)

    def _subject(self, run: Run) -> Subject:
        files = select_epochs(run, self.request.epochs)
        names = {one.name: lent_name(one) for one in run.files}
        return Subject(files, names, self.project.manifest.trigger_word)

    def _show_plan(self, grid: Grid) -> None:
        with _open_ledger(self.project) as ledger:
            plan = describe_plan(grid, ledger)
        if self.options["as_json"]:
            emit_json(plan)
        else:
            for name, value in plan.items():
                emit(f"{name}: {value}")
        say("nothing was drawn (--dry-run)")
        next_step(f"loraloom grid {shell_path(self.project.root)}")

    # -- drawing --------------------------------------------------------------------------

    def _draw(
        self, grid: Grid, run: Run, webuis: tuple[tuple[Client, Capabilities], ...]
    ) -> tuple[GridFiles, Grid, RunReport]:
        with _painters(self.project, run, webuis, self.options["lora_folder"], grid) as painters:
            pinned = _pinned(grid, run, painters[0].capabilities)
            if not self.options["as_json"]:
                self._announce(pinned)
            with _open_ledger(self.project) as ledger, self._events() as (on_event, on_progress):
                report = self._paint(pinned, ledger, painters, on_event)
                files = self._write(pinned, ledger, painters, on_progress)
        return files, pinned, report

    def _paint(
        self,
        grid: Grid,
        ledger: Ledger,
        webuis: tuple[WebuiPainter, ...],
        on_event: EventHandler,
    ) -> RunReport:
        """Draw by our own requests, by the WebUI's own plot, or by a cluster's workers."""
        painters: list[Painter] = list(webuis)
        if self.options["server_side"]:
            painters = [PlotPainter(webuis[0], grid.plan.cells)]
        with open_executor(self.options["cluster"]) as executor:
            return draw_grid(
                self.project, grid, ledger, painters, on_event=on_event, executor=executor
            )

    def _announce(self, grid: Grid) -> None:
        with _open_ledger(self.project) as ledger:
            plan = describe_plan(grid, ledger)
        shown = ("cells", "to draw", "checkpoint loads", "LoRA swaps", "expected time", "disk")
        say(", ".join(f"{name}: {plan[name]}" for name in shown))

    def _write(
        self,
        grid: Grid,
        ledger: Ledger,
        painters: tuple[WebuiPainter, ...],
        on_progress: ProgressHandler,
        live: LiveState | None = None,
    ) -> GridFiles:
        return write_views(
            grid,
            ledger,
            self._facts(grid, painters),
            form=self.sheet.form,
            cell_pixels=self.sheet.cell_pixels,
            single_file_bytes=self.sheet.single_file_bytes,
            live=live,
            with_sheet=live is None,
            on_progress=on_progress,
        )

    def _facts(self, grid: Grid, painters: tuple[WebuiPainter, ...]) -> GridFacts:
        facts = grid_facts(self.project, grid, any(_is_rehearsal(one) for one in painters))
        if not self.options["server_side"]:
            return facts
        return replace(facts, warnings=(*facts.warnings, UNCHECKED))

    @contextmanager
    def _events(self) -> Iterator[tuple[EventHandler, ProgressHandler]]:
        if self.options["as_json"]:
            yield _json_event, lambda progress: None
            return
        with progress_bar() as show:
            yield (lambda event: show(_progress(event))), show

    # -- following a training -------------------------------------------------------------

    def _follow(
        self, webuis: tuple[tuple[Client, Capabilities], ...]
    ) -> tuple[GridFiles, Grid, RunReport]:
        real = [one.url for _, one in webuis if not one.is_rehearsal]
        if real and not (self.follow.same_gpu or self.follow.at_end):
            require_spare_gpu(real, count=count_gpus)
        watch = EpochWatch(self.project.model_dir)
        drawn: tuple[str, ...] = ()
        last: tuple[GridFiles, Grid, RunReport] | None = None
        say("following the training; Ctrl-C ends it, and the same command goes on")
        while True:
            run = watch.look()
            over = self._is_over(run)
            names = tuple(one.name for one in run.epochs) if run else ()
            if run and names and names != drawn and (over or not self.follow.at_end):
                last = self._draw_growing(run, webuis, over)
                drawn = names
            if over and last is not None:
                return last
            time.sleep(self.follow.every)

    def _is_over(self, run: Run | None) -> bool:
        until = self.follow.until
        seen = [one.epoch or 0 for one in run.epochs] if run else []
        if until is not None and any(epoch >= until for epoch in seen):
            return True
        return is_training_over(run, self.project.journal, since=self.started)

    def _draw_growing(
        self, run: Run, webuis: tuple[tuple[Client, Capabilities], ...], over: bool
    ) -> tuple[GridFiles, Grid, RunReport]:
        grid = self._prepare(run, webuis)
        count = len(grid.subject.files)
        say(f"epoch {grid.subject.files[-1].name} is complete: {count} so far")
        with _painters(self.project, run, webuis, self.options["lora_folder"], grid) as painters:
            pinned = with_epochs(grid, grid.subject.files, self.expand)
            pinned = _pinned(pinned, run, painters[0].capabilities)
            with _open_ledger(self.project) as ledger, self._events() as (on_event, on_progress):
                live = None if over else LiveState(f"following the training: {count} epochs")
                self._write(pinned, ledger, painters, on_progress, live or LiveState("drawing"))
                report = self._paint(pinned, ledger, painters, on_event)
                files = self._write(pinned, ledger, painters, on_progress, live)
        return files, pinned, report

    # -- the end --------------------------------------------------------------------------

    def _tell(self, grid: Grid, files: GridFiles, report: RunReport) -> None:
        if self.options["as_json"]:
            emit_json_line(
                {
                    "event": "grid",
                    "grid": grid.grid_id,
                    "page": files.page,
                    "sheets": files.sheets,
                    "drawn": report.drawn,
                    "known": report.known,
                    "failed": [[cell.key, reason] for cell, reason in report.failed],
                }
            )
        else:
            for sheet in files.sheets:
                emit(f"contact sheet: {shell_path(sheet)}")
            emit(f"page: {shell_path(files.page)}")
        if self.options["server_side"]:
            say(f"drawn by the WebUI's own X/Y/Z plot: {UNCHECKED}")
        if report.unchecked:
            say(f"{report.unchecked} pictures have no control: it was not checked that their LoRA")
            say("changes them")
        if not grid.plan.has_control:
            say("without the no-LoRA row it was not checked that the LoRA changes the pictures")
        root = shell_path(self.project.root)
        is_tryout = self.options["name"] == TRYOUT
        next_step(f"loraloom grid {root}" if is_tryout else f"loraloom promote {root} EPOCH NAME")


def _request(project: Project, options: dict[str, Any]) -> GridRequest:
    changes: dict[str, Any] = {
        "epochs": options["epochs"],
        "axes": tuple(options["axes"]),
        "skip": tuple(options["skip"]),
        "columns": options["columns"],
        "control": not options["no_control"],
        "unlink_seed": options["unlink_seed"],
        "batch_count": options["batch_count"],
        "batch_size": options["batch_size"],
    }
    for name in ("prompt", "negative_prompt", "checkpoint"):
        if options[name] is not None:
            changes[name] = options[name]
    if options["template"] is not None:
        changes["prompt"] = options["template"].read_text(encoding="utf-8-sig").strip()
    if options["weights"]:
        changes["lora_weights"] = parse_real_numbers(options["weights"], "LoRA weight")
    if options["seeds"]:
        changes["seeds"] = parse_whole_numbers(options["seeds"], "Seed")
    return request_from(project.manifest, **changes)


def _safe_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:40] or "epochs"


def _open_ledger(project: Project) -> Ledger:
    return Ledger(project.cells_db, project.cells_dir)


@contextmanager
def _painters(
    project: Project,
    run: Run,
    webuis: tuple[tuple[Client, Capabilities], ...],
    lora_folder: Path | None,
    grid: Grid,
) -> Iterator[tuple[WebuiPainter, ...]]:
    """Lend the epochs to every WebUI, let it hash the checkpoints, put its settings back after."""
    with ExitStack() as stack:
        painters = []
        for client, capabilities in webuis:
            found = apply_lend(project, plan_lend(run, capabilities, lora_folder), client)
            titles = (cell.checkpoint.title for cell in grid.plan.cells)
            found = fetch_hashed(client, found, *titles)
            painter = WebuiPainter(client, found)
            stack.callback(painter.close)
            painters.append(painter)
        yield tuple(painters)


def _pinned(grid: Grid, run: Run, capabilities: Capabilities) -> Grid:
    """Pin checkpoints and LoRAs to what this WebUI has, the epochs that will be lent included."""
    having = with_run(capabilities, run)
    return replace(grid, plan=grid.plan.with_cells(lambda cell: pin_cell(cell, having)))


def _is_rehearsal(painter: Painter) -> bool:
    return isinstance(painter, WebuiPainter) and painter.capabilities.is_rehearsal


def grid_facts(project: Project, grid: Grid, is_rehearsal: bool) -> GridFacts:
    """Say what a grid shows and which checks were not made."""
    plan = grid.plan
    shown = [one for one in plan.axes if len(one.values) > 1]
    warnings = [] if plan.has_control else ["whether the LoRA changes the picture (no control row)"]
    names = " × ".join(one.name for one in shown) or "one picture"
    command = f"loraloom grid {shell_path(project.root)} --choice {grid.grid_id}-choice.json"
    return GridFacts(
        grid_id=grid.grid_id,
        title=f"{project.manifest.trigger_word}: {names}",
        subtitle=f"{' × '.join(map(count_values, shown)) or 'one cell'}: {_pictures(plan)}",
        badge="rehearsal" if is_rehearsal else "",
        warnings=tuple(warnings),
        choice_command=command,
    )


def count_values(axis: Axis) -> str:
    """Return `6 epochs and no LoRA`, `4 seeds` or `2 values of Sampler`; a control is no epoch."""
    controls = sum(one.is_control for one in axis.values)
    number = len(axis.values) - controls
    noun = {EPOCH_AXIS: "epoch", "Seed": "seed", "LoRA weight": "weight"}.get(axis.name)
    plural = "" if number == 1 else "s"
    counted = f"{number} {noun}{plural}" if noun else f"{number} value{plural} of {axis.name}"
    return f"({counted} and no LoRA)" if controls else counted


def _pictures(plan: GridPlan) -> str:
    skipped = f", {plan.skipped} left out" if plan.skipped else ""
    return f"{len(plan.places)} pictures{skipped}"


def describe_plan(grid: Grid, ledger: Ledger) -> dict[str, Any]:
    """Return what drawing a grid means: cells, loads, swaps, time and disk, for people."""
    cells = plan_cells(grid.plan.cells, grid.plan.controls)
    missing = [cell for cell in cells.cells if not ledger.is_done(cell.key)]
    mean = ledger.mean_seconds()
    pixels = sum(cell.final_size[0] * cell.final_size[1] for cell in missing)
    rest = plan_cells(missing)
    return {
        "grid": grid.grid_id,
        "axes": "; ".join(
            f"{one.name}: {', '.join(value.label for value in one.values)}"
            for one in grid.plan.axes
        ),
        "cells": len(cells.cells),
        "skipped": grid.plan.skipped,
        "to draw": len(missing),
        "checkpoint loads": rest.checkpoint_loads,
        "LoRA swaps": rest.lora_swaps,
        "expected time": "unknown before the first picture"
        if mean is None
        else format_seconds(mean * len(missing)),
        "disk": f"about {pixels * _BYTES_PER_PIXEL / 1e6:.0f} MB",
    }


def _progress(event: CellEvent) -> Progress:
    return Progress("Pictures", event.done, event.total, _message(event))


def _message(event: CellEvent) -> str:
    """Say beside the bar what just happened, or how far the run is."""
    if event.outcome in (Outcome.FAILED, Outcome.WAITING):
        return f"{event.outcome.value}: {event.reason}"
    loads = f"{event.loads} checkpoint load{'' if event.loads == 1 else 's'}"
    left = "" if event.left_seconds is None else f", {format_seconds(event.left_seconds)} left"
    return f"{loads}{left}" if event.loads else ""


def format_seconds(seconds: float) -> str:
    """Return `45 s`, `12 min` or `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _json_event(event: CellEvent) -> None:
    emit_json_line(
        {
            "event": event.outcome.value,
            "key": event.cell.key,
            "done": event.done,
            "total": event.total,
            "server": event.server,
            "seconds": round(event.seconds, 3),
            "reason": event.reason,
            "loads": event.loads,
            "left_seconds": None if event.left_seconds is None else round(event.left_seconds, 1),
        }
    )


def emit_json_line(data: dict[str, Any]) -> None:
    """Print one event as one line of JSON; paths as text."""
    emit(json.dumps(data, ensure_ascii=False, default=str))


# -- the choice ---------------------------------------------------------------------------------


def _take_choice(project: Project, choice: Choice) -> None:
    path = write_choice(project, choice)
    say(f"chosen: {choice.epoch} ({path.name}), with {sum(v.better for v in choice.votes)} votes")
    _next_promote(project, choice)


def _next_promote(project: Project, choice: Choice) -> None:
    next_step(f"loraloom promote {shell_path(project.root)} {Path(choice.epoch_file).stem} NAME")


def _serve(project: Project) -> None:
    """Show the newest grid on the loopback address until Ctrl-C."""
    pages = sorted(project.grids_dir.glob(f"*/{PAGE_NAME}"), key=lambda path: path.stat().st_mtime)
    if not pages:
        raise ToolError(
            "LL514",
            f"{project.root} has no grid yet.",
            f"Draw one: loraloom grid {shell_path(project.root)}",
        )
    chosen: list[Choice] = []

    def take(choice: Choice) -> None:
        write_choice(project, choice)
        chosen.append(choice)
        say(f"chosen: {choice.epoch}")

    server = GridServer(pages[-1].parent, PAGE_NAME, take)
    serve_until_interrupted(server)
    if chosen:
        _next_promote(project, chosen[-1])
    else:
        next_step(f"loraloom promote {shell_path(project.root)} EPOCH NAME")


# -- tryout -------------------------------------------------------------------------------------


@click.command()
@project_argument
@webui_options
@lora_folder_option
@click.option("--count", type=click.IntRange(1, 500), default=20, help="How many pictures.")
@click.option("--seed", type=int, default=1, help="The first seed; they count up.")
@click.option(
    "--wildcards",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="In place of the manifest's.",
)
@_add_all(_SHEET_OPTIONS)
@dry_run_option
@json_option
def tryout(project: Project, **options: Any) -> None:
    """Draw some pictures of the showcase template with the newest file: a quick look."""
    showcase = project.manifest.showcase
    folder = options.pop("wildcards") or _wildcards(project)
    count, first = options.pop("count"), options.pop("seed")
    session = _Session(
        project,
        {
            **_NO_REQUEST,
            **options,
            "prompt": showcase.template or project.manifest.grid.prompt,
            "negative_prompt": showcase.negative_prompt,
            "weights": f"{showcase.lora_weight:g}",
            "seeds": f"{first}-{first + count - 1}",
            "epochs": "last",
            "checkpoint": (*showcase.checkpoints, project.manifest.grid.checkpoint)[0],
            "wildcards": folder,
            "name": TRYOUT,
        },
    )
    session.request = replace(session.request, picture=showcase.picture)
    session.run()


_NO_REQUEST: dict[str, Any] = {
    "template": None,
    "axes": (),
    "skip": (),
    "columns": "Seed",
    "no_control": False,
    "unlink_seed": False,
    "batch_count": 1,
    "batch_size": 1,
    "server_side": False,
    "cluster": None,
    "new_seeds": False,
    "follow": False,
    "at_end": False,
    "same_gpu": False,
    "until": None,
    "every": POLL_SECONDS,
}


def _wildcards(project: Project) -> Path | None:
    named = project.manifest.showcase.wildcards
    return project.root / named if named else None
