"""`loraloom select`: choose the pictures of the post, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
)
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..publish.promoted import require_promoted
from ..showcase.album import read_album, repair_showcase
from ..showcase.arrangement import neighbours_alike, neighbours_of_one_checkpoint
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


@click.command()
@project_argument
@click.option(
    "--keep", "kept", multiple=True, metavar="FILE", help="Include this picture; undoes --drop."
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
    type=TypedPath(exists=True, dir_okay=False),
    help="A file of picture,rating lines: 1 showcase, 2 follow-up post, 5 already posted, drop. "
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
    help="Also choose unrated pictures; default: only if none is rated 1.",
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
        say("--fill would also choose from those")
    for pair in neighbours_alike(ordered):
        say(f"next to each other with the same framing: {' and '.join(pair)}")
    alike = neighbours_of_one_checkpoint(ordered)
    if alike and len({one.checkpoint for one in ordered}) > 1:
        say(f"next to each other with the same checkpoint: {counted(len(alike), 'pair')}")
