"""The batch that a project's manifest asks for, without anything typed on a command line."""

from __future__ import annotations

from kohya_ext.project import Project

from ..grids.expansion import open_library
from ..publish.promoted import Promoted
from .batches import BatchPlan, BatchRequest, plan_batch
from .starters import template_of
from .styles import Style, require_style
from .templates import ShowcaseSubject


def plan_project_batch(
    project: Project, promoted: Promoted, follow_links: bool = False
) -> BatchPlan:
    """Plan the showcase of a manifest. Raises what `plan_batch` raises."""
    wanted = project.manifest.showcase
    text = template_of(project.manifest)
    request = BatchRequest(
        templates=(text.styled(_style(project)),),
        checkpoints=wanted.checkpoints or ("",),
        count=wanted.count,
        seed=wanted.seed,
        unlinked=True,
        balanced=True,
        hires_fix=wanted.hires_fix,
        picture=wanted.picture,
        per_checkpoint=wanted.per_checkpoint,
    )
    subject = ShowcaseSubject(promoted.name, wanted.lora_weight, project.manifest.trigger_word)
    library = open_library(project.wildcards_dir, wanted.follow_links or follow_links)
    return plan_batch(request, subject, library)


def _style(project: Project) -> Style | None:
    wanted = project.manifest.showcase
    if not wanted.style:
        return None
    return require_style(project.root / (wanted.styles_file or "styles.csv"), wanted.style)
