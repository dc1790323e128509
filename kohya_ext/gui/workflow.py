"""Where a project is in the workflow: which sections of the tab are done, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..project import Project, read_settings
from ..project.manifest import SubjectKind
from ..project.status import ProjectStatus, read_status
from .fields import Section, keep_label
from .screen_words import ELSEWHERE


@dataclass(frozen=True)
class Workflow:
    """The sections in their order and whether each is done; the next one, and its sentence."""

    done: Mapping[Section, bool]
    following: Section | None
    advice: str


def read_workflow(project: Project, *, is_checked: bool = False) -> Workflow:
    """Read how far a project is; `is_checked` when its newest check found nothing."""
    status = read_status(project)
    done = _done(project, status, is_checked)
    waits = (Section.QUEUE, Section.REPORT)
    following = next(
        (one for one, is_done in done.items() if not is_done and one not in waits), None
    )
    return Workflow(done, following, _advice(following, status))


def _done(project: Project, status: ProjectStatus, is_checked: bool) -> dict[Section, bool]:
    manifest = project.manifest
    has_base, has_epochs = bool(manifest.base_model.path), bool(status.epoch_files)
    has_captions = any(one.captions for one in status.staged)
    has_tagger = bool(manifest.captions.model or read_settings().tagger_model)
    done = {Section.PROJECT: True, Section.BASE: has_base, Section.PRESET: has_base}
    if manifest.subject.kind is SubjectKind.PERSON:
        done[Section.CONSENT] = manifest.subject.consent is not None
    return done | {
        Section.PICTURES: bool(status.staged),
        Section.TAGGER: has_tagger or has_captions,
        Section.CAPTIONS: has_captions,
        Section.LENGTH: status.config,
        Section.CHECK: is_checked or has_epochs or bool(status.training),
        Section.TRAIN: has_epochs and not status.training,
        Section.QUEUE: False,
        Section.REPORT: has_epochs,
    }


def _advice(section: Section | None, status: ProjectStatus) -> str:
    if section is Section.PICTURES:
        return "press Stage" if status.imported else "press Import"
    if section is Section.TRAIN and status.training:
        return "the training is running"
    if section is None:
        return f"compare the epochs in a grid: {ELSEWHERE}"
    return {
        Section.BASE: f"choose a base model and press {keep_label(Section.BASE)}",
        Section.PRESET: f"choose a preset and press {keep_label(Section.PRESET)}",
        Section.CONSENT: f"fill in the consent and press {keep_label(Section.CONSENT)}",
        Section.TAGGER: f"choose a tagger and press {keep_label(Section.TAGGER)}",
        Section.CAPTIONS: "press Caption",
        Section.LENGTH: "press Config",
        Section.CHECK: "press Check",
        Section.TRAIN: "press Train",
    }.get(section, "")
