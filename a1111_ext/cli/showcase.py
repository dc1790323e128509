"""`loraloom showcase` and `loraloom select`: show the promoted LoRA, choose what is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from kohya_ext.project import InputError, Project
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
from kohya_ext.project.consent import Use
from kohya_ext.project.json_reader import read_text
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import ConnectionLost
from ..cells.cell_plan import plan_cells
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from ..grids.expansion import open_library
from ..publish.promoted import Promoted, require_promoted
from ..showcase.album import read_album, repair_showcase
from ..showcase.arrangement import neighbours_alike, neighbours_of_one_checkpoint
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
from ..showcase.file_ratings import FileRatings
from ..showcase.picture_distance import make_distance
from ..showcase.ratings import Rating, read_ratings, require_known
from ..showcase.review import (
    Review,
    is_review_file,
    merged,
    read_review,
    read_review_file,
    write_review,
)
from ..showcase.selection import (
    MOST_PICTURES,
    Selection,
    SelectionOptions,
    apply_selection,
    plan_selection,
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


@dataclass(frozen=True)
class SelectArguments:
    """What was typed after `loraloom select`."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    ratings: Path | None
    most: int
    fill: bool | None
    dry_run: bool
    as_json: bool


# -- showcase -----------------------------------------------------------------------------------


@click.command()
@project_argument
@webui_options
@lora_folder_option
@click.option(
    "--prompt", "prompts", multiple=True, help="A template, used instead of the manifest's."
)
@click.option(
    "--template",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file with a template; several are drawn one after the other.",
)
@click.option("--starter", default="", help="A starter set: person, creature or style.")
@click.option("--negative-prompt", help="Used instead of the manifest's.")
@click.option("--style", help="A style of the styles file; the template replaces its {prompt}.")
@click.option(
    "--styles-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A WebUI's styles.csv, instead of the manifest's.",
)
@add_all(WILDCARD_OPTIONS)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    help="Name of the checkpoint, as the WebUI shows it.",
)
@click.option("--count", type=click.IntRange(1, 10000), help="Pictures per checkpoint.")
@click.option("--seed", type=click.IntRange(0, 4294967295), help="The first seed; they count up.")
@click.option("--lora-weight", type=click.FloatRange(-5, 5), help="Used instead of the manifest's.")
@click.option(
    "--unlink-seed/--link-seed",
    "unlinked",
    default=True,
    show_default=True,
    help="Unlink seed from prompt: another prompt for each checkpoint.",
)
@click.option(
    "--balance/--no-balance",
    "balanced",
    default=True,
    show_default=True,
    help="Draw every option of the template evenly.",
)
@click.option("--no-hires-fix", is_flag=True, help="Small pictures first, to be upscaled later.")
@dry_run_option
@json_option
def showcase(project: Project, **given: Any) -> None:
    """Draw the promoted LoRA: a template over several checkpoints, into showcase/.

    The same command continues where it was stopped.
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
            found = webuis[0][1]
            require_reachable(plan, found)
            for title in dict.fromkeys(shot.cell.checkpoint.title for shot in plan.shots):
                found.require_checkpoint(title)
            plan = _pinned_where_possible(plan, found, promoted)
    except (ConnectionLost, NoWebuiNamed) as error:
        require_reachable(plan, None)
        say(f"not checked against a WebUI: {error.problem}")
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        about = describe_batch(plan, ledger)
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
    say(f"{promoted.name} will be put into the WebUI's LoRA folder")
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


def describe_batch(plan: BatchPlan, ledger: Ledger) -> dict[str, Any]:
    """Return what drawing a batch means: cells, loads, swaps and time, for people."""
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
        "checkpoint loads": missing.checkpoint_loads,
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
                about = describe_batch(pinned, ledger)
                shown = ("cells", "to draw", "checkpoint loads", "LoRA swaps", "expected time")
                say(", ".join(f"{name}: {about[name]}" for name in shown))
                say_what_counts(cells, project.manifest.trigger_word, first)
                say(f"look at them while they come: loraloom review {shell_path(project.root)}")
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
            f"{counted(report.drawn, 'picture')} drawn, {report.known} were there, of "
            f"{len(plan.shots)}"
        )
    if report.drawn + report.known == len(plan.shots):
        next_step(f"loraloom select {shell_path(project.root)}")


# -- select -------------------------------------------------------------------------------------


@click.command()
@project_argument
@click.option(
    "--keep", "kept", multiple=True, metavar="FILE", help="Include this picture; a drop of it ends."
)
@click.option(
    "--drop",
    "dropped",
    multiple=True,
    metavar="FILE",
    help="Exclude this picture until it is rated or kept again.",
)
@click.option(
    "--ratings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of picture,rating lines: 1 showcase, 2 follow-up post, 5 placed already, drop. "
    "It is kept in the project.",
)
@click.option(
    "--most",
    type=click.IntRange(1, MOST_PICTURES),
    default=MOST_PICTURES,
    show_default=True,
    help="The most pictures to choose; a post holds no more than 20.",
)
@click.option(
    "--fill/--no-fill",
    default=None,
    help="Choose among unrated pictures too; by default only while none is rated 1.",
)
@dry_run_option
@json_option
def select(project: Project, **given: Any) -> None:
    """Choose the pictures of the post and their order; the choice is kept in reviews.db.

    Pictures of the same framing are kept apart where an order can do that; files that are not
    chosen stay.
    """
    options = SelectArguments(**given)
    promoted = require_promoted(project)
    if not options.dry_run:
        for line in repair_showcase(project):
            say(line)
    album = read_album(project)
    names = [one.file for one in album]
    in_files = FileRatings(project)
    if not options.dry_run:
        in_files.hear(names)
    said = _review(project, options.ratings, names)
    kept, dropped = (require_known(each, names) for each in (options.kept, options.dropped))
    review = _with_drops(said, kept, dropped)
    wanted = SelectionOptions(
        most=options.most,
        kept=kept,
        dropped=dropped,
        ratings=review.ratings,
        order=review.order,
        fill=options.fill,
    )
    with progress_bar() as progress:
        distance = make_distance(project.showcase_dir, len(names), on_progress=progress)
        selection = plan_selection(album, promoted.name, promoted.autov3, wanted, distance)
    if not options.dry_run:
        if options.ratings or review != said:
            write_review(project, review)
        for name in (*kept, *dropped):
            before, now = (each.ratings.get(name) for each in (said, review))
            if before is not now:
                say(f"rating: {name}: {_word(before)} -> {_word(now)}")
        apply_selection(project, selection)
        in_files.write(names)
    _tell_selected(selection, options.as_json)
    if options.dry_run:
        say("nothing was written (--dry-run)")
    next_step(f"loraloom publish {shell_path(project.root)}")


def _review(project: Project, path: Path | None, names: list[str]) -> Review:
    """Return what people said so far, with a file of ratings on top."""
    kept = read_review(project)
    if path is None:
        return kept
    if is_review_file(path):
        new = read_review_file(path)
    else:
        new = Review(read_ratings(path))
    known = {require_known([name], names)[0]: rating for name, rating in new.ratings.items()}
    return merged(kept, replace(new, ratings=known))


def _with_drops(review: Review, kept: Sequence[str], dropped: Sequence[str]) -> Review:
    """Let --drop hold until somebody decides otherwise, and --keep end an earlier drop."""
    ratings = {
        name: rating
        for name, rating in review.ratings.items()
        if rating is not Rating.DROP or name not in kept
    }
    return replace(review, ratings={**ratings, **dict.fromkeys(dropped, Rating.DROP)})


def _word(rating: Rating | None) -> str:
    return rating.value if rating else "unrated"


def _tell_selected(selection: Selection, as_json: bool) -> None:
    ordered = [chosen.picture for chosen in selection.chosen]
    if as_json:
        emit_json(
            {
                "pictures": [
                    {**replace(one.picture, picks=()).as_dict(), "reason": one.reason}
                    for one in selection.chosen
                ],
                "left_out": dict(selection.left_out),
                "side_by_side": {
                    "framing": neighbours_alike(ordered),
                    "checkpoint": neighbours_of_one_checkpoint(ordered),
                },
            }
        )
        return
    for number, one in enumerate(selection.chosen, start=1):
        framing = one.picture.framing or "framing unknown"
        emit(f"{number:>2}  {one.picture.file}  {framing}, {one.reason}")
    for reason, count in selection.left_out.items():
        say(f"{count} left out: {reason}")
    if "not rated 1" in selection.left_out:
        say("--fill would choose among those too")
    for pair in neighbours_alike(ordered):
        say(f"next to each other with the same framing: {' and '.join(pair)}")
    alike = neighbours_of_one_checkpoint(ordered)
    if alike:
        say(f"next to each other with the same checkpoint: {counted(len(alike), 'pair')}")
