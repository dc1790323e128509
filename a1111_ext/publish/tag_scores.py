"""What a tagger sees in a pack's pictures: stored scores, or new ones where a model is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kohya_ext.project import (
    PackageMissing,
    Progress,
    ProgressHandler,
    Project,
    read_settings,
    silent,
)
from kohya_ext.project.tagging import Scores, Tagger, open_tagger, read_scores, write_scores

from .pack_picture import PackPicture


def find_tagger(
    project: Project, named: Path | None = None, *, on_cpu: bool = False
) -> tuple[Tagger | None, str]:
    """Return the tagger that is known, and what to say about it.

    Raises MissingError or DamagedError (when one is named and cannot be used).
    """
    folder = named or _known_folder(project)
    if folder is None:
        return None, ""
    try:
        tagger = open_tagger(folder, on_cpu=on_cpu)
    except PackageMissing as error:
        return None, error.problem
    note = "It is the simulated tagger, which cannot see this." if tagger.is_simulated else ""
    return tagger, note


def _known_folder(project: Project) -> Path | None:
    named = project.manifest.captions.model
    if named:
        return project.root / named
    remembered = read_settings().tagger_model
    return Path(remembered) if remembered else None


def look_at(
    project: Project,
    pictures: Iterable[PackPicture],
    tagger: Tagger | None,
    *,
    on_progress: ProgressHandler = silent,
) -> Mapping[str, Scores]:
    """Return scores by the pictures' SHA-256: the stored ones, new ones where there is a tagger."""
    wanted = tuple(pictures)
    found: dict[str, Scores] = {}
    for number, one in enumerate(wanted, start=1):
        scores = read_scores(project.scores_dir, one.sha256)
        stale = scores and tagger and scores.model_sha256 != tagger.model_sha256
        if tagger is not None and (scores is None or stale):
            scores = tagger.score(one.path, one.sha256)
            write_scores(project.scores_dir, scores)
        if scores is not None:
            found[one.sha256] = scores
        if tagger is not None:
            on_progress(Progress("Looking", number, len(wanted)))
    return found
