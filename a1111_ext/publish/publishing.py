"""Publishing as one step for command, tab and tests: gather, look, judge, check, plan, write.

The header of the promoted file is made to say what the manifest says, before the pack is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kohya_ext.project import ProgressHandler, Project, RuleError, silent
from kohya_ext.project.content import ContentLevel
from kohya_ext.project.manifest import Manifest, SubjectKind
from kohya_ext.project.tagging import Scores, Tagger

from .check import Check, CheckState
from .checks import check_material, require_all
from .content import decide_content, judge_content, read_decision
from .header import header_news, refresh_header
from .material import Material, gather
from .pack import PackPlan, apply_pack, plan_pack
from .shown_in_header import shown_in_header
from .tag_scores import find_tagger, look_at


@dataclass(frozen=True)
class PublishOptions:
    """What is asked for: a tagger's folder, a person's word on the content, the label.

    `ai_label` None: as the manifest says, else for real persons.
    """

    model: Path | None = None
    content: ContentLevel | None = None
    ai_label: bool | None = None

    def has_ai_label(self, manifest: Manifest) -> bool:
        """Whether the published copies say that they were made with AI."""
        for said in (self.ai_label, manifest.publish.ai_label):
            if said is not None:
                return said
        return manifest.subject.kind is SubjectKind.PERSON


@dataclass(frozen=True)
class PublishPlan:
    """A pack that would be written, its checks, and what changes in the LoRA's header first."""

    material: Material
    checks: tuple[Check, ...]
    header_news: Mapping[str, str | None]
    seen: Mapping[str, Scores]
    tagger_note: str
    options: PublishOptions

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that stop it."""
        return _refusals(self.checks)

    @property
    def is_checked(self) -> bool:
        """Whether a tagger has rated every picture."""
        return self.material.content is not None and not self.material.content.unscored

    def pack(self, project: Project) -> PackPlan:
        """Plan the files."""
        return plan_pack(project, self.material, self.checks)


def _refusals(checks: Iterable[Check]) -> tuple[Check, ...]:
    return tuple(one for one in checks if one.state is CheckState.REFUSED)


def plan_publishing(
    project: Project, options: PublishOptions, *, on_progress: ProgressHandler = silent
) -> PublishPlan:
    """Gather, look and check; nothing is written but new tag scores, nothing is refused yet.

    Raises MissingError or DamagedError for what cannot be read.
    """
    material = gather(project)
    tagger, note = find_tagger(project, options.model)
    return _planned(project, material, options, tagger, note, on_progress)


def _planned(
    project: Project,
    material: Material,
    options: PublishOptions,
    tagger: Tagger | None,
    note: str,
    on_progress: ProgressHandler,
) -> PublishPlan:
    seen = look_at(project, material.every_picture, tagger, on_progress=on_progress)
    decided = options.content or read_decision(project, material.every_picture)
    material = replace(
        material,
        content=judge_content(material.every_picture, seen, decided),
        has_ai_label=options.has_ai_label(project.manifest),
    )
    checks = check_material(material, seen, tagger_note=note)
    promoted = material.promoted
    more = {} if _refusals(checks) else shown_in_header(material)
    news = header_news(project, promoted.path, promoted.name, more)
    return PublishPlan(material, checks, news, seen, note, options)


def apply_publishing(
    project: Project, plan: PublishPlan, *, on_progress: ProgressHandler = silent
) -> PackPlan:
    """Write header and pack, keep a person's word. Raises the first refusal; MachineError."""
    require_all(plan.checks)
    if plan.options.content is not None:
        decide_content(project, plan.material.every_picture, plan.options.content)
    promoted = plan.material.promoted
    if refresh_header(project, promoted.path, promoted.name, shown_in_header(plan.material)):
        old = plan.material
        material = replace(gather(project), content=old.content, has_ai_label=old.has_ai_label)
        checks = check_material(material, plan.seen, tagger_note=plan.tagger_note)
        require_all(checks)
        plan = replace(plan, material=material, checks=checks)
    pack = plan.pack(project)
    apply_pack(project, pack, on_progress=on_progress)
    return pack


def require_sendable(plan: PublishPlan) -> None:
    """Raise RuleError for a pack that must not leave this machine by our hand."""
    if plan.material.is_simulated:
        raise RuleError(
            "LL682",
            "This pack is simulated: its LoRA is not trained.",
            "Publish a trained LoRA.",
        )
    content = plan.material.content
    if not plan.is_checked and (content is None or content.decided is None):
        raise RuleError(
            "LL682",
            "The content of the pictures was not checked: no tagger has rated them, and nobody "
            "has decided.",
            "Give a tagger with --model FOLDER, or decide yourself, for example: --content general",
        )
