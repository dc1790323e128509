"""`loraloom showcase`: draw the promoted LoRA, a template over several checkpoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kohya_ext.project import InputError, Project
from kohya_ext.project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    project_argument,
    say,
)
from kohya_ext.project.consent import Use
from kohya_ext.project.json_reader import read_text
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import ConnectionLost
from ..api.inventory import look_at_checkpoints
from ..cells.cell import LARGEST_SEED
from ..cells.cell_plan import plan_cells
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from ..grids.expansion import open_library
from ..publish.promoted import Promoted, require_promoted
from ..showcase.album import repair_showcase
from ..showcase.batches import (
    BatchPlan,
    BatchRequest,
    Shot,
    draw_batch,
    pin_batch,
    plan_batch,
    require_reachable,
    say_undetailed,
)
from ..showcase.starters import require_starter, template_of
from ..showcase.styles import Style, require_style
from ..showcase.templates import ShowcaseSubject, TemplateText
from .drawing import (
    describe_embeddings,
    emit_line,
    linking_promoted,
    open_backends,
    picture_events,
    say_what_counts,
    say_what_is_read,
    titles_of,
)
from .grid_options import WILDCARD_OPTIONS, add_all
from .webui import NoWebuiNamed, lora_folder_option, open_webuis, webui_options


@dataclass(frozen=True)
class ShowcaseArguments:
    """What was typed after `loraloom showcase`; None where the manifest decides."""

    urls: tuple[str, ...]
    auth: str
    lora_folder: Path | None
    prompts: tuple[str, ...]
    files: tuple[Path, ...]
    starter: str
    negative_prompt: str | None
    style: str | None
    styles_file: Path | None
    wildcards: Path | None
    follow_links: bool
    checkpoints: tuple[str, ...]
    count: int | None
    seed: int | None
    lora_weight: float | None
    unlinked: bool
    balanced: bool
    no_hires_fix: bool
    dry_run: bool
    as_json: bool


# -- showcase -----------------------------------------------------------------------------------


@click.command()
@project_argument
@webui_options
@lora_folder_option
@click.option("--prompt", "prompts", multiple=True, help="A template; default: the manifest's.")
@click.option(
    "--template",
    "files",
    multiple=True,
    type=TypedPath(exists=True, dir_okay=False),
    help="Text file with a template; repeatable.",
)
@click.option("--starter", default="", help="A starter set: person, creature or style.")
@click.option("--negative-prompt", help="Default: the manifest's.")
@click.option("--style", help="A style of the styles file; the template replaces its {prompt}.")
@click.option(
    "--styles-file",
    type=TypedPath(exists=True, dir_okay=False),
    help="A WebUI's styles.csv; default: the manifest's.",
)
@add_all(WILDCARD_OPTIONS)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    help="Name of the checkpoint, as the WebUI shows it.",
)
@click.option("--count", type=click.IntRange(1, 10000), help="Pictures per checkpoint.")
@click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), help="First seed; the seeds count up."
)
@click.option("--lora-weight", type=click.FloatRange(-5, 5), help="Default: the manifest's.")
@click.option(
    "--unlink-seed/--link-seed",
    "unlinked",
    default=True,
    show_default=True,
    help="Unlink seed from prompt: a different prompt for each checkpoint.",
)
@click.option(
    "--balance/--no-balance",
    "balanced",
    default=True,
    show_default=True,
    help="Draw every option of the template evenly.",
)
@click.option("--no-hires-fix", is_flag=True, help="Draw without Hires. fix, to upscale later.")
@dry_run_option
@json_option
def showcase(project: Project, **given: Any) -> None:
    """Draw a template with the promoted LoRA on several checkpoints, into showcase/.

    Run the same command again to continue after a stop.
    """
    options = ShowcaseArguments(**given)
    project.require_consent(Use.PICTURES)
    promoted = require_promoted(project)
    weight = options.lora_weight
    subject = ShowcaseSubject(
        promoted.name,
        project.manifest.showcase.lora_weight if weight is None else weight,
        project.manifest.trigger_word,
    )
    library = open_library(
        options.wildcards or project.wildcards_dir,
        options.follow_links or project.manifest.showcase.follow_links,
    )
    plan = plan_batch(_request(project, options), subject, library)
    for hint in plan.hints:
        say(hint)
    if options.dry_run:
        _dry_run(project, promoted, plan, options)
        return
    for line in repair_showcase(project):
        say(line)
    report, plan = _draw(project, promoted, plan, options)
    _tell_drawn(project, plan, report, options.as_json)
    report.require_all()


def _request(project: Project, options: ShowcaseArguments) -> BatchRequest:
    manifest, wanted = project.manifest, project.manifest.showcase
    style = _style(project, options)
    own = require_starter(options.starter).text if options.starter else template_of(manifest)
    negative = own.negative_prompt if options.negative_prompt is None else options.negative_prompt
    texts = [(f"prompt {number}", text) for number, text in enumerate(options.prompts, start=1)]
    texts += [(path.name, _read_template(path)) for path in options.files]
    texts = texts or [(own.name, own.prompt)]
    return BatchRequest(
        templates=tuple(TemplateText(name, text, negative).styled(style) for name, text in texts),
        checkpoints=options.checkpoints or wanted.checkpoints or ("",),
        count=options.count or wanted.count,
        seed=wanted.seed if options.seed is None else options.seed,
        unlinked=options.unlinked,
        balanced=options.balanced,
        hires_fix=None if options.no_hires_fix else wanted.hires_fix,
        picture=wanted.picture,
        per_checkpoint=wanted.per_checkpoint,
    )


def _read_template(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(
            "LL613",
            f"The template {path} cannot be read: {error}.",
            "Save it as UTF-8 text.",
        ) from error


def _style(project: Project, options: ShowcaseArguments) -> Style | None:
    wanted = project.manifest.showcase
    name = options.style or wanted.style
    if not name:
        return None
    path: Path = options.styles_file or project.root / (wanted.styles_file or "styles.csv")
    return require_style(path, name)


# -- dry run ------------------------------------------------------------------------------------


def _dry_run(
    project: Project, promoted: Promoted, plan: BatchPlan, options: ShowcaseArguments
) -> None:
    """Show prompts, cells, loads and time; names are checked where a WebUI answers."""
    found = None
    try:
        with open_webuis(options.urls, options.auth, project.root, needs_all=False) as webuis:
            client, found = webuis[0]
            require_reachable(plan, found)
            titles = titles_of(shot.cell for shot in plan.shots)
            say_what_is_read(found, titles)
            found = look_at_checkpoints(client, found, *titles)
            plan = _pinned_where_possible(plan, found, promoted)
    except (ConnectionLost, NoWebuiNamed) as error:
        require_reachable(plan, None)
        say(f"not checked against a WebUI: {error.problem}")
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        about = describe_batch(plan, ledger, found.loaded if found else "")
    cells = [shot.cell for shot in plan.shots]
    about |= describe_embeddings(cells, project.manifest.trigger_word, found)
    if options.as_json:
        emit_json({**about, "shots": [_shown(shot) for shot in plan.shots]})
    else:
        for shot in plan.shots:
            checkpoint = shot.cell.checkpoint.title or "the loaded checkpoint"
            emit(f"seed {shot.cell.seed}, {checkpoint}: {shot.cell.prompt}")
        for name, value in about.items():
            emit(f"{name}: {value}")
    say("nothing was drawn (--dry-run)")
    next_step(f"loraloom showcase {shell_path(project.root)}")


def _pinned_where_possible(
    plan: BatchPlan, capabilities: Capabilities, promoted: Promoted
) -> BatchPlan:
    """Pin the plan, so that finished pictures are known; not before the LoRA was linked."""
    if any(one.name == promoted.name for one in capabilities.loras):
        return pin_batch(plan, capabilities, promoted.autov3)
    say(f"{promoted.name} will be linked into the WebUI's LoRA folder")
    return plan


def _shown(shot: Shot) -> dict[str, Any]:
    return {
        "seed": shot.cell.seed,
        "text_seed": shot.text_seed,
        "checkpoint": shot.cell.checkpoint.title,
        "framing": shot.framing,
        "prompt": shot.cell.prompt,
        "negative_prompt": shot.cell.negative_prompt,
        "template": shot.template,
        "picks": [[pick.variant, pick.option, pick.where] for pick in shot.picks],
    }


def describe_batch(plan: BatchPlan, ledger: Ledger, loaded: str = "") -> dict[str, Any]:
    """Return what drawing a batch means: cells, loads, swaps and time, for people.

    `loaded` is the title of the checkpoint that the WebUI has loaded.
    """
    cells = plan.cells
    missing = plan_cells(cell for cell in cells.cells if not ledger.is_done(cell.key))
    mean = ledger.mean_seconds()
    expected = "unknown before the first picture"
    if mean is not None:
        expected = f"{mean * len(missing.cells):.0f} s, by the pictures drawn so far"
    helpers = {one.name for reach in plan.reaches for one in reach.loras} - {plan.subject.lora}
    framings = Counter(shot.framing or "unknown" for shot in plan.shots)
    return {
        "cells": len(cells.cells),
        "to draw": len(missing.cells),
        "checkpoint loads": missing.loads_from(loaded),
        "LoRA swaps": missing.lora_swaps,
        "expected time": expected,
        "helper LoRAs": ", ".join(sorted(helpers)) or "none",
        "framing": ", ".join(f"{name} ({count})" for name, count in framings.most_common()),
    }


# -- drawing ------------------------------------------------------------------------------------


def _draw(
    project: Project, promoted: Promoted, plan: BatchPlan, options: ShowcaseArguments
) -> tuple[RunReport, BatchPlan]:
    as_json = options.as_json
    cells = [shot.cell for shot in plan.shots]
    link_loras = linking_promoted(promoted, options.lora_folder)
    with open_webuis(options.urls, options.auth, project.root, needs_all=False) as webuis:
        for _, capabilities in webuis:
            capabilities.require_family(project.manifest.base_model.family)
            require_reachable(plan, capabilities)
        with (
            open_backends(link_loras, webuis, cells) as backends,
            Ledger(project.cells_db, project.cells_dir) as ledger,
        ):
            first, *others = (one.capabilities for one in backends)
            pinned = pin_batch(plan, first, promoted.autov3)
            for other in others:
                pin_batch(plan, other, promoted.autov3)
            if not as_json:
                about = describe_batch(pinned, ledger, first.loaded)
                shown = ("cells", "to draw", "checkpoint loads", "LoRA swaps", "expected time")
                say(", ".join(f"{name}: {about[name]}" for name in shown))
                say_what_counts(cells, project.manifest.trigger_word, first)
                say(f"to watch the batch: loraloom review {shell_path(project.root)}")
            with picture_events(as_json) as show:
                report = draw_batch(project, pinned, ledger, backends, on_event=show)
            if undetailed := say_undetailed(pinned, ledger):
                say(undetailed)
            return report, pinned


def _tell_drawn(project: Project, plan: BatchPlan, report: RunReport, as_json: bool) -> None:
    if as_json:
        done = {
            "event": "showcase",
            "folder": str(project.showcase_dir),
            "drawn": report.drawn,
            "known": report.known,
            "failed": [[cell.key, reason] for cell, reason in report.failed],
        }
        emit_line(done)
    else:
        emit(str(project.showcase_dir))
        say(
            f"{counted(report.drawn, 'picture')} drawn, {report.known} already there, of "
            f"{len(plan.shots)}"
        )
    if report.drawn + report.known == len(plan.shots):
        next_step(f"loraloom select {shell_path(project.root)}")
