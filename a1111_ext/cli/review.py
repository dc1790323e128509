"""`loraloom review` and `loraloom upscale`: the hands-on way through a showcase."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kohya_ext.project import MissingError, Project
from kohya_ext.project.cli import (
    RelatedOption,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    page_options,
    project_argument,
    say,
    serve_until_interrupted,
)
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..cells.ledger import Ledger
from ..publish.promoted import require_promoted
from ..showcase.album import read_album, repair_showcase
from ..showcase.desk import UPSCALE, DrawingDesk
from ..showcase.file_ratings import FileRatings
from ..showcase.hit_rate import hit_report
from ..showcase.ratings import require_known
from ..showcase.review import read_review
from ..showcase.showcase_view import ShowcaseView
from ..showcase.upscaling import (
    Upscale,
    UpscaleRequest,
    cells_of,
    draw_upscales,
    pin_upscales,
    plan_upscales,
)
from .drawing import drawing_over_http, emit_line, linking_promoted, open_backends, picture_events
from .webui import agent_scheduler_option, lora_folder_option, open_webuis, webui_options

# -- review -------------------------------------------------------------------------------------


@click.command()
@project_argument
@webui_options
@lora_folder_option
@agent_scheduler_option
@click.option("--upscale", is_flag=True, help="Upscale pictures as soon as they are kept.")
@page_options
@click.option(
    "--report",
    cls=RelatedOption,
    only_with=("--json",),
    is_flag=True,
    help="Only print the share of usable pictures.",
)
@json_option
def review(
    project: Project,
    urls: tuple[str, ...],
    auth: str,
    lora_folder: Path | None,
    is_scheduled: bool,
    upscale: bool,
    port: int,
    browse: bool,
    lan: bool,
    report: bool,
    as_json: bool,
) -> None:
    """Rate, compare, mark and arrange the showcase on one page, also during drawing.

    Every decision is saved immediately. The page's buttons draw, upscale, select and publish.
    Only this machine can open the page; with --lan also your network, without these buttons.
    --report and --json only print.
    """
    for line in repair_showcase(project):
        say(line)
    if as_json or report:
        _tell_review(project, as_json=as_json)
        return
    open_drawing = drawing_over_http(project, urls, auth, lora_folder, is_scheduled=is_scheduled)
    desk = DrawingDesk(project, open_drawing)
    if upscale:
        say(desk.act(UPSCALE))
    share = BoardShare(ShowcaseView(project, desk), may_act=not lan)
    name = f"review {project.root}"
    serve_until_interrupted(share, PAGE_NAME, port=port, browse=browse, lan=lan, name=name)
    share.close()
    next_step(f"loraloom select {shell_path(project.root)}")


def _tell_review(project: Project, *, as_json: bool) -> None:
    album = read_album(project)
    if not album:
        raise MissingError(
            "LL617",
            f"{project.showcase_dir} has no pictures yet.",
            f"Draw some: loraloom showcase {shell_path(project.root)}",
        )
    FileRatings(project).hear(one.file for one in album)
    found = read_review(project)
    rates = hit_report(album, found.ratings)
    if as_json:
        emit_json(
            {
                "pictures": len(album),
                "review": found.as_dict(),
                "hit_rate": rates.as_dict(),
            }
        )
        return
    for table in rates.tables():
        emit(table["title"])
        for row in table["rows"]:
            emit("  " + "  ".join(filter(None, row)))
    for sentence in rates.findings:
        say(sentence)


# -- upscale ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpscaleArguments:
    """What was typed after `loraloom upscale`."""

    files: tuple[str, ...]
    urls: tuple[str, ...]
    auth: str
    lora_folder: Path | None
    scale: float
    denoising_strength: float
    upscaler: str
    is_scheduled: bool
    dry_run: bool
    as_json: bool


@click.command()
@project_argument
@click.argument("files", nargs=-1)
@webui_options
@lora_folder_option
@click.option("--scale", type=click.FloatRange(1, 4), default=2.0, show_default=True)
@click.option(
    "--denoising-strength",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="0.2 to 0.35 is usual.",
)
@agent_scheduler_option
@click.option(
    "--upscaler", default="", help="Name as the WebUI shows it; default: the WebUI's setting."
)
@dry_run_option
@json_option
def upscale(project: Project, **given: Any) -> None:
    """Upscale FILES of the showcase by img2img, each with its own checkpoint.

    Without FILES: the pictures marked on the review page.
    """
    promoted = require_promoted(project)
    options = UpscaleArguments(**given)
    request = UpscaleRequest(options.scale, options.denoising_strength, options.upscaler)
    album = {one.file: one for one in read_album(project)}
    names = require_known(options.files, album) if options.files else read_review(project).upscale
    chosen = [album[name] for name in names if name in album]
    as_json = options.as_json
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        planned = plan_upscales(project, chosen, ledger, request)
        if options.dry_run:
            _show_plan(project, planned, as_json)
            return
        link_loras = linking_promoted(promoted, options.lora_folder)
        with (
            open_webuis(options.urls, options.auth, project.root, needs_all=False) as webuis,
            open_backends(
                link_loras,
                webuis,
                [one.cell for one in planned],
                is_scheduled=options.is_scheduled,
            ) as backends,
        ):
            first = backends[0].capabilities
            pinned = pin_upscales(planned, first, upscaler=request.upscaler)
            with picture_events(as_json) as show:
                report = draw_upscales(project, pinned, ledger, backends, on_event=show)
    if as_json:
        emit_line({"event": "upscale", "drawn": report.drawn, "known": report.known})
    else:
        emit(str(project.showcase_dir))
        say(f"{counted(report.drawn, 'picture')} upscaled, {report.known} already there")
    next_step(f"loraloom select {shell_path(project.root)}")
    report.require_all()


def _show_plan(project: Project, planned: tuple[Upscale, ...], as_json: bool) -> None:
    loads = cells_of(planned).checkpoint_loads
    if as_json:
        emit_json(
            [
                {
                    "file": one.picture.file,
                    "checkpoint": one.cell.checkpoint.title,
                    "width": one.cell.width,
                    "height": one.cell.height,
                }
                for one in planned
            ]
        )
    else:
        for one in planned:
            size = f"{one.cell.width}x{one.cell.height}"
            emit(f"{one.picture.file}: to {size} with {one.picture.checkpoint}")
    say(
        f"{counted(len(planned), 'picture')}, {counted(loads, 'checkpoint load')}; nothing was "
        "drawn (--dry-run)"
    )
    next_step(f"loraloom upscale {shell_path(project.root)}")
