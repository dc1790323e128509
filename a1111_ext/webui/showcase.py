"""The script "LoRA showcase": a template over several checkpoints, drawn by this WebUI.

With a project its promoted LoRA is shown and the pictures land in its showcase/; without one the
prompt names the LoRA.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kohya_ext.project import ConflictError, InputError, MissingError, Project, open_project
from kohya_ext.project.consent import Use
from kohya_ext.project.files import link_or_copy, sha256_of
from kohya_ext.project.home import typed_path
from kohya_ext.project.printable import shortened
from kohya_ext.project.wording import counted

from ..api.lora_tags import lora_tags
from ..cells.cell import LARGEST_SEED, Cell, with_loras
from ..cells.cell_plan import ignored_schedules, require_whole
from ..cells.engine import run_cells
from ..cells.ledger import Ledger
from ..cells.model_files import with_files
from ..cells.run import RunReport
from ..grids.expansion import open_library
from ..grids.facts import format_seconds
from ..grids.grid import GridStore
from ..publish.promote import require_free_name
from ..publish.promoted import Promoted, require_promoted
from ..screens.projects import find_projects
from ..showcase.batches import (
    BatchPlan,
    BatchRequest,
    Shot,
    draw_batch,
    plan_batch,
    require_reachable,
)
from ..showcase.starters import template_of
from ..showcase.templates import ShowcaseSubject, TemplateText
from .backend import InProcessBackend, read_capabilities, refresh_loras
from .gallery import HostProgress, open_picture, tell_checkpoint, tell_failures
from .request import ShowcaseOptions
from .settings import follow_links
from .txt2img import copies_of, pin_checkpoint

SCRIPT = "LoRA showcase"


@dataclass(frozen=True)
class Showcase:
    """A planned showcase: where its pictures are kept, and every cell pinned to this WebUI."""

    store: GridStore
    plan: BatchPlan
    project: Project | None = None

    def draw(self, ledger: Ledger, backend: InProcessBackend, on_event: HostProgress) -> RunReport:
        """Draw what is missing; a project's pictures land in its showcase/."""
        if self.project is not None:
            return draw_batch(self.project, self.plan, ledger, [backend], on_event=on_event)
        return run_cells(self.plan.cells, ledger, [backend], on_event=on_event)


def find_project(name: str, folders: tuple[Path, ...]) -> Project:
    """Open a project by its folder or its name, in the folders that may be entered.

    Raises MissingError.
    """
    wanted = typed_path(name)
    for row in find_projects(folders):
        if not row.problem and (row.name == name or row.root == wanted.absolute()):
            return open_project(row.root)
    raise MissingError(
        "LL768",
        f'No project "{shortened(name)}" is in the folders that loraloom may read.',
        "Add its folder in the WebUI's Settings, section loraloom, or open it in the tab.",
    )


def plan_showcase(
    page: Cell,
    seed: int,
    options: ShowcaseOptions,
    folders: tuple[Path, ...],
    own: GridStore,
    rng: random.Random,
    *,
    is_count: bool = False,
) -> Showcase:
    """Plan the pictures of a page; the page's prompt is the template, else the project's.

    A promoted LoRA is put where this WebUI sees it, unless the pictures are only counted.
    Raises InputError, MissingError, ConflictError or RuleError as the batch's plan does.
    """
    seed = rng.randrange(2**31) if seed == -1 else seed
    if seed + options.count - 1 > LARGEST_SEED:
        raise InputError(
            "LL759",
            f"The seeds from {seed} on are too large for {counted(options.count, 'picture')}.",
            f"Give a Seed of at most {LARGEST_SEED - options.count + 1}; seeds count up from it.",
        )
    if not options.project.strip():
        return Showcase(own, _planned(page, seed, options, _subject_of(page.prompt), page, own))
    project = find_project(options.project.strip(), folders)
    project.require_consent(Use.PICTURES)
    promoted, wanted = require_promoted(project), project.manifest.showcase
    subject = ShowcaseSubject(promoted.name, wanted.lora_weight, project.manifest.trigger_word)
    library = own.library
    if project.wildcards_dir is not None:
        library = open_library(project.wildcards_dir, wanted.follow_links or follow_links())
    store = GridStore(project.root, library)
    text = page
    if not page.prompt.strip():
        starter = template_of(project.manifest)
        negative = page.negative_prompt or starter.negative_prompt
        text = replace(page, prompt=starter.prompt, negative_prompt=negative)
    if not is_count:
        show_here(promoted)
    plan = _planned(page, seed, options, subject, text, store, project, promoted)
    return Showcase(store, plan, project)


def _subject_of(prompt: str) -> ShowcaseSubject:
    tags = lora_tags(prompt)
    if not tags:
        raise InputError(
            "LL751",
            "The prompt names no LoRA.",
            'Write its tag into the prompt, or a project into the box "Project".',
        )
    weight = tags[0].multiplier
    return ShowcaseSubject(tags[0].name, 1.0 if weight is None else weight, "")


def _planned(
    page: Cell,
    seed: int,
    options: ShowcaseOptions,
    subject: ShowcaseSubject,
    text: Cell,
    store: GridStore,
    project: Project | None = None,
    promoted: Promoted | None = None,
) -> BatchPlan:
    # a checkpoint has many names; under each it would be drawn with other prompts
    named = {pin_checkpoint(name): name for name in reversed(options.checkpoints or ("",))}
    pins = {name: pin for pin, name in reversed(named.items())}
    request = BatchRequest(
        (TemplateText("the page", text.prompt, text.negative_prompt),),
        tuple(pins),
        options.count,
        seed,
        options.unlinked,
        options.balanced,
    )
    plan = plan_batch(request, subject, store.library)
    own_rows = project.manifest.showcase.per_checkpoint if project else {}
    table = replace(request, per_checkpoint=own_rows)  # those that are not drawn on need no hint
    rows = {name: table.row_of(pin.title) for name, pin in pins.items()}
    has = store.know_files(read_capabilities())
    for row in rows.values():
        has.require_names(
            sampler=row.get("sampler", page.sampler),
            scheduler=row.get("scheduler", page.scheduler),
            upscaler=None,
        )
    require_reachable(plan, has)
    if promoted is None:
        has.require_lora(subject.lora)
    hashes = {one.name: one.hash for one in has.loras if one.hash}
    if promoted is not None:
        hashes[subject.lora] = promoted.autov3

    def pin(shot: Shot) -> Shot:
        cell = replace(
            page,
            prompt=shot.cell.prompt,
            negative_prompt=shot.cell.negative_prompt,
            seed=shot.cell.seed,
            checkpoint=pins[shot.cell.checkpoint.title],
            **rows[shot.cell.checkpoint.title],
        )
        cell = with_loras(cell, hashes)
        require_whole(cell, has)
        return replace(shot, cell=with_files(cell, has))

    shots = tuple(map(pin, plan.shots))
    ignored = ignored_schedules((shot.cell for shot in shots), has)
    return replace(plan, shots=shots, hints=(*plan.hints, *ignored))


def show_here(promoted: Promoted) -> None:
    """Put a promoted file into this WebUI's LoRA folder. Raises ConflictError."""
    has = read_capabilities()
    require_free_name(has, promoted.name, promoted.tensors_sha256)
    target = Path(has.lora_dir) / promoted.path.name
    if target.exists() and sha256_of(target) != promoted.sha256:
        raise ConflictError(
            "LL112",
            f"{target} already exists with other content.",
            "Move it away, or promote under another name.",
        )
    if not target.exists():
        link_or_copy(promoted.path, target)
    if not any(one.name == promoted.name for one in has.loras):
        refresh_loras()


def describe_showcase(showcase: Showcase) -> str:
    """Say before anything is drawn how many pictures come, and how long they take."""
    cells = showcase.plan.cells
    with showcase.store.open_ledger() as ledger:
        missing = [cell for cell in cells.cells if not ledger.is_done(cell.key)]
        mean = ledger.mean_seconds()
    expected = "the time is unknown until the first picture"
    if mean is not None:
        expected = f"about {format_seconds(mean * len(missing))}, estimated from earlier pictures"
    framings = Counter(shot.framing or "framing unknown" for shot in showcase.plan.shots)
    listed = ", ".join(f"{name} ({count})" for name, count in framings.most_common())
    loads = cells.checkpoint_loads
    hints = "".join(f". {hint.rstrip('.')}" for hint in showcase.plan.hints)
    return (
        f"{counted(len(cells.cells), 'picture')}, {len(missing)} to draw, "
        f"{counted(loads, 'checkpoint')}: {listed}; {expected}{hints}"
    )


def draw_showcase(p: Any, showcase: Showcase) -> Any:
    """Draw a showcase as the page says and return the host's `Processed`."""
    from modules import processing

    shots = showcase.plan.shots
    with showcase.store.open_ledger() as ledger:
        progress = HostProgress(SCRIPT, showcase.plan.cells.cells, ledger)
        report = showcase.draw(ledger, InProcessBackend(copies_of(p)), progress)
        keys = [shot.cell.key for shot in shots]
        records, done = ledger.records(keys), ledger.done_among(keys)
        drawn = [
            (shot.cell, ledger.picture_path(shot.cell.key), records[shot.cell.key].infotext)
            for shot in shots
            if shot.cell.key in done
        ]
    for sentence in _comments(showcase, report):
        p.comment(sentence)
    tell_failures(p, _failures(report), has_pictures=bool(drawn))
    first, about = shots[0].cell, drawn[0][2] if drawn else ""
    tell_checkpoint(p, about)
    return processing.Processed(
        p,
        [open_picture(path, str(path)) for _, path, _ in drawn],
        seed=first.seed,
        info=about,
        subseed=first.subseed,
        all_prompts=[cell.prompt for cell, _, _ in drawn],
        all_negative_prompts=[cell.negative_prompt for cell, _, _ in drawn],
        all_seeds=[cell.seed for cell, _, _ in drawn],
        all_subseeds=[cell.subseed for cell, _, _ in drawn],
        infotexts=[text for _, _, text in drawn],
    )


def _failures(report: RunReport) -> list[str]:
    """Return one sentence for each reason, not for each picture."""
    reasons: dict[str, list[Cell]] = {}
    for cell, reason in report.failed:
        reasons.setdefault(reason, []).append(cell)
    said = []
    for reason, cells in reasons.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        said.append(f"Not drawn: seed {cells[0].seed}{more}: {reason.rstrip('.')}.")
    return said


def _comments(showcase: Showcase, report: RunReport) -> list[str]:
    said = [*showcase.plan.hints, *_failures(report)]
    if report.stopped:
        seed = showcase.plan.shots[0].cell.seed
        said.append(
            f"Interrupted after {report.drawn + report.known} of "
            f"{counted(len(showcase.plan.shots), 'picture')}; they are kept. To continue, write "
            f"{seed} into Seed and press Generate."
        )
    if showcase.project is not None:
        said.append(f"The pictures are in {showcase.project.showcase_dir}.")
    return said
