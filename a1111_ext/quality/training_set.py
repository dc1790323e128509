"""The training pictures as advice compares with them: how often each is shown, and its tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import Progress, ProgressHandler, Project, silent
from kohya_ext.project.files import sha256_of
from kohya_ext.project.numbers import repeats_in_name
from kohya_ext.project.pictures import find_pictures
from kohya_ext.project.tagging import Scores, Tagger, read_scores, write_scores

from .tag_kinds import plain_tag
from .tag_profile import TagProfile, TagScores, make_profile


@dataclass(frozen=True)
class TrainingPicture:
    """One picture; `repeats` is how often it is shown per epoch, which is what primaries are."""

    path: Path
    sha256: str
    repeats: int


def read_training_set(project: Project) -> tuple[TrainingPicture, ...]:
    """Return the staged pictures, or the imported ones where nothing is staged."""
    staged = _pictures(project.images_dir)
    return staged or _pictures(project.source_dir)


def _pictures(folder: Path) -> tuple[TrainingPicture, ...]:
    if not folder.is_dir():
        return ()
    return tuple(
        TrainingPicture(path, sha256_of(path), max(1, repeats_in_name(path.parent.name)))
        for path in find_pictures(folder)
    )


def plain_scores(scores: Scores) -> TagScores:
    """Return the probabilities of all but the content ratings, by plain tag."""
    return {
        plain_tag(tag): value for tag, value in (*scores.general.items(), *scores.character.items())
    }


def training_profile(
    project: Project,
    pictures: tuple[TrainingPicture, ...],
    tagger: Tagger | None,
    *,
    on_progress: ProgressHandler = silent,
) -> TagProfile:
    """Return the tag profile of stored scores; a tagger makes those that are missing."""
    rows = []
    for number, one in enumerate(pictures, start=1):
        scores = stored_scores(project, one.sha256, one.path, tagger)
        if scores is not None:
            rows.append((float(one.repeats), plain_scores(scores)))
        if tagger is not None:
            on_progress(Progress("Training pictures", number, len(pictures)))
    return make_profile(rows)


def stored_scores(
    project: Project, sha256: str, path: Path, tagger: Tagger | None
) -> Scores | None:
    """Return a picture's scores: the stored ones, or new ones where there is a tagger."""
    scores = read_scores(project.scores_dir, sha256)
    if tagger is not None and (scores is None or scores.model_sha256 != tagger.model_sha256):
        scores = tagger.score(path, sha256)
        write_scores(project.scores_dir, scores)
    return scores
