"""Showcase batches: templates x checkpoints x seeds as cells, planned whole before the first.

Everything is drawn by the cell engine; finished pictures land in showcase/ as they come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynprompts import Pick, Sample, WildcardLibrary
from kohya_ext.project import InputError, Project, ToolError
from kohya_ext.project.manifest import HiresSettings, PictureSettings
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..cells.adetailer import detectors_of, without_adetailer
from ..cells.backend import Backend
from ..cells.cell import Cell, CheckpointPin, HiresFix, picture_fields, with_loras
from ..cells.cell_plan import CellPlan, pin_cell, plan_cells
from ..cells.content_rule import require_decent
from ..cells.engine import run_cells
from ..cells.events import CellEvent, EventHandler
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from .album import Landing, ShowPicture, picture_name, read_parameters
from .framing import framing_of
from .reach import ReachedName, TemplateReach
from .templates import (
    ShowcaseSubject,
    ShowcaseTemplate,
    TemplateText,
    plain_checkpoint,
    text_seed,
)

_SHOWN_NAMES = 6


@dataclass(frozen=True)
class BatchRequest:
    """What is asked for: `count` pictures per template and checkpoint, seeds counting up.

    `unlinked` is the WebUI's "Unlink seed from prompt": another prompt for each checkpoint.
    `balanced` draws every option of a template's variants as evenly as their number allows.
    """

    templates: tuple[TemplateText, ...]
    checkpoints: tuple[str, ...] = ("",)
    count: int = 10
    seed: int = 1
    unlinked: bool = True
    balanced: bool = False
    hires_fix: HiresSettings | None = None
    picture: PictureSettings = field(default_factory=PictureSettings)
    per_checkpoint: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def picture_of(self, checkpoint: str) -> PictureSettings:
        """Return the settings for one checkpoint: those of all, with its own row on top."""
        return replace(self.picture, **self.row_of(checkpoint))

    def row_of(self, checkpoint: str) -> dict[str, Any]:
        """Return what one checkpoint has otherwise than the others."""
        row = self.per_checkpoint.get(self._row_of(checkpoint), {})
        return {
            key: tuple(one) if isinstance(one, list) else one
            for key, one in row.items()
            if one is not None
        }

    def _row_of(self, checkpoint: str) -> str:
        plain = plain_checkpoint(checkpoint).casefold()
        names = (one for one in self.per_checkpoint if plain_checkpoint(one).casefold() == plain)
        return next(names, "")

    @property
    def unused_rows(self) -> tuple[str, ...]:
        """Checkpoints with settings of their own that are not drawn on."""
        used = {self._row_of(one) for one in self.checkpoints}
        return tuple(one for one in self.per_checkpoint if one not in used)


@dataclass(frozen=True)
class Shot:
    """One picture to come: its cell, and what was picked on the way to its prompt."""

    cell: Cell
    text_seed: int
    template: str
    picks: tuple[Pick, ...]
    framing: str


@dataclass(frozen=True)
class BatchPlan:
    """A whole batch; `reaches` is what each template could bring, `hints` what looks like slips."""

    subject: ShowcaseSubject
    shots: tuple[Shot, ...]
    reaches: tuple[TemplateReach, ...]
    hints: tuple[str, ...] = ()

    @property
    def cells(self) -> CellPlan:
        """The cells in drawing order."""
        return plan_cells(shot.cell for shot in self.shots)


def plan_batch(
    request: BatchRequest, subject: ShowcaseSubject, library: WildcardLibrary | None = None
) -> BatchPlan:
    """Draw every prompt and make every cell; nothing is asked of a WebUI.

    Raises InputError (no template, or a prompt without the LoRA; template) or RuleError (content).
    """
    if not any(one.prompt.strip() for one in request.templates):
        raise InputError(
            "LL612",
            "There is no showcase template.",
            "Write one under showcase.template in the manifest, for example: "
            '"{lora} photo of {trigger}, {smiling|calm}".',
        )
    templates = [ShowcaseTemplate(one, subject, library) for one in request.templates]
    shots = [
        _shot(request, template.name, checkpoint, request.seed + number, drawn)
        for template in templates
        for checkpoint in request.checkpoints
        for number, drawn in enumerate(_texts(request, template, checkpoint))
    ]
    for shot in shots:
        _require_lora(shot, subject)
        require_decent(shot.cell.prompt, f"seed {shot.cell.seed} of {shot.template}")
    shots = [one for shot in shots for one in _with_before(shot)]
    hints = [hint for one in templates for hint in one.hints]
    hints += [
        f'showcase.per_checkpoint names "{one}", which is not one of the checkpoints used'
        for one in request.unused_rows
    ]
    return BatchPlan(subject, tuple(shots), tuple(one.reach for one in templates), tuple(hints))


def _texts(
    request: BatchRequest, template: ShowcaseTemplate, checkpoint: str
) -> list[tuple[Sample, str]]:
    """Draw prompt and negative prompt of every picture with one checkpoint."""
    keys = [
        text_seed(request.seed + number, checkpoint, unlinked=request.unlinked)
        for number in range(request.count)
    ]
    if not request.balanced:
        return [template.draw(key) for key in keys]
    samples = template.draw_balanced(request.count, keys[0])
    return [(one, template.draw(one.seed or 0)[1]) for one in samples]


def _shot(
    request: BatchRequest, template: str, checkpoint: str, seed: int, drawn: tuple[Sample, str]
) -> Shot:
    sample, negative_prompt = drawn
    picture, hires = request.picture_of(checkpoint), request.hires_fix
    cell = Cell(
        prompt=sample.text,
        negative_prompt=negative_prompt,
        seed=seed,
        **picture_fields(picture),
        checkpoint=CheckpointPin(checkpoint),
        hires_fix=HiresFix(hires.upscaler, hires.scale, hires.denoising_strength, hires.steps)
        if hires
        else None,
    )
    framing = framing_of(sample.picks, sample.text)
    return Shot(with_loras(cell, {}), sample.seed or 0, template, sample.picks, framing)


def _with_before(shot: Shot) -> Iterator[Shot]:
    """Yield a shot, and before it the same without ADetailer: it spoils some faces."""
    if detectors_of(shot.cell):
        yield replace(shot, cell=without_adetailer(shot.cell))
    yield shot


def _require_lora(shot: Shot, subject: ShowcaseSubject) -> None:
    if not any(use.name == subject.lora for use in shot.cell.loras):
        raise InputError(
            "LL612",
            f'The template ({shot.template}) draws a prompt without the LoRA "{subject.lora}": '
            f"{shot.cell.prompt[:200]}",
            "Put {lora} where its tag belongs; in wildcard files write ${lora}.",
        )


def pin_batch(plan: BatchPlan, capabilities: Capabilities, lora_hash: str) -> BatchPlan:
    """Hold the whole batch against a WebUI and pin it to what that has.

    Raises MissingError (a reachable helper LoRA) or MissingError (a reachable wildcard) that is
    missing, InputError to InputError for other names.
    """
    require_reachable(plan, capabilities)

    def pin(shot: Shot) -> Shot:
        cell = with_loras(shot.cell, {plan.subject.lora: lora_hash})
        return replace(shot, cell=pin_cell(cell, capabilities))

    shots = map(pin, plan.shots)
    return replace(plan, shots=tuple({shot.cell.key: shot for shot in shots}.values()))


def require_reachable(plan: BatchPlan, capabilities: Capabilities | None) -> None:
    """Raise MissingError or MissingError for what a template can reach and is not there.

    Without a WebUI only wildcards are checked.
    """
    _require_none_missing(
        "LL615",
        "wildcard",
        [one for reach in plan.reaches for one in reach.missing],
        "Put the file into the wildcards folder, or correct the reference.",
    )
    if capabilities is None:
        return
    there = {one.name for one in capabilities.loras} | {plan.subject.lora}
    _require_none_missing(
        "LL614",
        "LoRA",
        [one for reach in plan.reaches for one in reach.loras if one.name not in there],
        f"Put the file into the LoRA folder of {capabilities.where}, or remove the "
        "option; the WebUI would silently draw without it.",
    )


def _require_none_missing(code: str, kind: str, found: Sequence[ReachedName], cure: str) -> None:
    names = list({one.name: f'"{one.name}" ({one.where})' for one in found}.values())
    if not names:
        return
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    raise ToolError(
        code,
        f"The template can reach {counted(len(names), kind)} that cannot be found: "
        f"{', '.join(names[:_SHOWN_NAMES])}{more}.",
        cure,
    )


def draw_batch(
    project: Project,
    plan: BatchPlan,
    ledger: Ledger,
    backends: Sequence[Backend],
    *,
    on_event: EventHandler = lambda event: None,
    stop: threading.Event | None = None,
) -> RunReport:
    """Draw what is missing of a pinned batch; every finished picture lands in showcase/."""
    project.journal.append(
        "showcase",
        lora=plan.subject.lora,
        lora_weight=plan.subject.weight,
        pictures=len(plan.shots),
        checkpoints=sorted({shot.cell.checkpoint.title for shot in plan.shots}),
    )
    land = _land_each(project, plan, ledger, on_event)
    return run_cells(plan.cells, ledger, backends, on_event=land, stop=stop)


def say_undetailed(plan: BatchPlan, ledger: Ledger) -> str:
    """Return a sentence on pictures in which ADetailer found nothing; "" where it did in all.

    It names itself in the text of those, too.
    """
    cells = [shot.cell for shot in plan.shots if detectors_of(shot.cell)]
    pixels = ledger.pixels() if cells else {}
    same = [
        one
        for one in cells
        if pixels.get(one.key) and pixels[one.key] == pixels.get(without_adetailer(one).key)
    ]
    if not same:
        return ""
    return (
        f"ADetailer found nothing in {len(same)} of {counted(len(cells), 'picture')}: before and "
        "after are the same. A lower ad_confidence finds more."
    )


def _land_each(
    project: Project, plan: BatchPlan, ledger: Ledger, on_event: EventHandler
) -> Callable[[CellEvent], None]:
    shots = {shot.cell.key: shot for shot in plan.shots}
    landing = Landing(project)

    def land(event: CellEvent) -> None:
        if event.outcome.has_picture:
            shot = shots[event.cell.key]
            path = ledger.picture_path(shot.cell.key)
            shown = shown_as(plan.subject, shot)
            if not shown.checkpoint_sha256:  # a WebUI hashes a checkpoint when it draws with it
                infotext = read_parameters(path)
                digest = infotext.fields.get("Model hash", "") if infotext else ""
                shown = replace(shown, checkpoint_sha256=digest)
            landing.land(shown, path)
        on_event(event)

    return land


def shown_as(subject: ShowcaseSubject, shot: Shot) -> ShowPicture:
    """Return how the album describes a picture."""
    use = next(use for use in shot.cell.loras if use.name == subject.lora)
    return ShowPicture(
        file=picture_name(subject.lora, shot.cell),
        seed=shot.cell.seed,
        checkpoint=shot.cell.checkpoint.title,
        checkpoint_sha256=shot.cell.checkpoint.sha256,
        prompt=shot.cell.prompt,
        negative_prompt=shot.cell.negative_prompt,
        framing=shot.framing,
        lora=subject.lora,
        lora_hash=use.hash,
        lora_weight=use.weight,
        key=shot.cell.key,
        text_seed=shot.text_seed,
        template=shot.template,
        detailed_from=picture_name(subject.lora, without_adetailer(shot.cell))
        if detectors_of(shot.cell)
        else "",
        picks=shot.picks,
    )
