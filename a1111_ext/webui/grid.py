"""Epoch grids of this WebUI as plans: of a page and its prompt, or of a LoRA project.

A1111 reads `<lora:NAME:weight...>`; NAME is a file's stem, whatever folder it is in.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, Project, ToolError
from kohya_ext.project.epochs import EpochFile, Run, find_runs, read_epoch_file, require_run
from kohya_ext.project.files import link_or_copy
from kohya_ext.project.manifest import PictureSettings
from kohya_ext.project.printable import shortened

from ..api.capabilities import Capabilities
from ..api.lora_links import LINKED, plan_links
from ..api.lora_list import walk_files
from ..api.lora_tags import LoraTag, lora_tags, replace_lora
from ..cells.cell import LARGEST_SEED, Cell, CheckpointPin, with_loras
from ..cells.cell_plan import ignored_schedules, require_whole
from ..cells.model_files import with_files
from ..grids.axes import parse_axis, resolve_seeds
from ..grids.expansion import find_grid_hints, make_expand, open_library
from ..grids.facts import format_seconds, grid_facts
from ..grids.grid import Grid, GridStore, pin_grid, prepare_grid, subject_of
from ..grids.lora_reach import require_reachable
from ..grids.plan import (
    GridPlan,
    GridRequest,
    GridSubject,
    plan_grid,
    request_from,
    select_epochs,
)
from ..grids.values import parse_whole_numbers
from .backend import read_capabilities, refresh_loras
from .request import GridOptions
from .settings import follow_links


@dataclass(frozen=True)
class EpochsOfPrompt:
    """The tag in the prompt whose LoRA has epochs, and its run."""

    tag: LoraTag
    run: Run

    @property
    def epochs(self) -> tuple[EpochFile, ...]:
        return self.run.epochs


def find_epochs(prompt: str, folders: Sequence[Path], lora: str = "") -> EpochsOfPrompt:
    """Find the epochs of the LoRA that the prompt names; `lora` says which, where two have some.

    Raises InputError (no LoRA in the prompt; no epochs; epochs of more than one) or MissingError
    (no file).
    """
    tags = [one for one in dict.fromkeys(lora_tags(prompt)) if not lora or one.name == lora]
    if not tags:
        named = f' "{shortened(lora)}"' if lora else ""
        raise InputError(
            "LL751",
            f"The prompt names no LoRA{named}.",
            "Write one of its epoch files into the prompt, for example <lora:Quillfox-000004:1>.",
        )
    found = [
        EpochsOfPrompt(tag, run)
        for tag in tags
        if (run := _find_run(tag.name, folders)) is not None
    ]
    with_epochs = [one for one in found if len(one.epochs) > 1]
    if len(with_epochs) == 1:
        return with_epochs[0]
    if with_epochs:
        names = ", ".join(one.tag.name for one in with_epochs)
        raise InputError(
            "LL754",
            f"The prompt names more than one LoRA with epochs: {shortened(names)}.",
            'Type the one to compare into the box "LoRA".',
        )
    raise _refusal(tags, found)


def _refusal(tags: Sequence[LoraTag], found: Sequence[EpochsOfPrompt]) -> ToolError:
    names = ", ".join(one.name for one in tags)
    if found:
        return InputError(
            "LL753",
            f'Only one epoch of "{found[0].tag.name}" is in {found[0].run.files[0].path.parent}.',
            "Put the other epoch files of this training (with the same ss_session_id) into "
            "that folder.",
        )
    return InputError(
        "LL752",
        f"No file in the host's LoRA folders is called {shortened(names)}.",
        "Check spelling and capitals; the name is case-sensitive.",
    )


def _find_run(name: str, folders: Iterable[Path]) -> Run | None:
    """Return the run of the file NAME.safetensors; else the newest whose output name is NAME.

    A name is not a path: one with a separator would lead the search out of the folders. One that
    is too long for a file is none.
    """
    if set(name) & set("/\\\0") or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        return None
    for folder in folders:
        files = [one for one in walk_files(folder) if one.suffix == ".safetensors"]
        exact = [one for one in files if one.stem == name]
        if exact:
            return _run_of(exact[-1])  # of several with one name the host keeps the last
        named = (one for one in files if one.stem.startswith(f"{name}-"))
        parents = dict.fromkeys(path.parent for path in named)
        runs = [run for parent in parents for run in find_runs(parent) if run.output_name == name]
        if runs:
            return runs[-1]
    return None


def _run_of(path: Path) -> Run:
    read_epoch_file(path)  # says what is wrong with a damaged file
    runs = find_runs(path.parent)
    return next(run for run in runs if any(one.path == path for one in run.files))


_LONGEST_NAME = 255
"""File systems take so many bytes or letters."""

MOST = 1000


def read_seeds(text: str, rng: random.Random) -> tuple[int, ...]:
    """Return the seeds of "5, 7, 10-12, -1"; each -1 is drawn here, once.

    Raises InputError (for anything else; for none, too many, or one out of range).
    """
    seeds = resolve_seeds(parse_whole_numbers(text, "Seed"), rng)
    if len(seeds) <= MOST and all(0 <= one <= LARGEST_SEED for one in seeds):
        return seeds
    raise InputError(
        "LL759",
        f'"{shortened(text.strip())}" cannot be the seeds of a grid.',
        f"Give 1 to {MOST} numbers from 0 to {LARGEST_SEED}; -1 is a random one.",
    )


def plan_page_grid(
    page: Cell,
    found: EpochsOfPrompt,
    options: GridOptions,
    store: GridStore,
    has: Capabilities,
    rng: random.Random,
) -> Grid:
    """Plan epochs x seeds for `page`, whose prompt names one of the epochs.

    Raises InputError (for epochs; for seeds; for a template).
    """
    files = select_epochs(found.run, options.epochs or "all")
    hashes = {one.name: one.metadata.get("sshs_model_hash", "")[:12] for one in files}
    names = {one.name: one.name for one in found.run.files} | {found.tag.name: found.tag.name}
    subject = GridSubject(files, names, "")
    request = _request(page, options, found.tag, rng)
    require_reachable(request, subject, has, store.library)

    plan = plan_grid(request, subject, rng=rng, expand=make_expand(store.library), page=page)
    named = {parse_axis(text, random.Random(0)).name for text in request.axes}
    keeps_weight = not _CHANGING_WEIGHTS & named
    has = store.know_files(has)

    def pin(cell: Cell) -> Cell:
        prompt = _as_weighted(cell.prompt, found.tag, hashes) if keeps_weight else cell.prompt
        made = with_loras(replace(cell, prompt=prompt), hashes)
        require_whole(made, has)
        return with_files(made if not request.axes else _pin_names(made, page, has), has)

    pinned = plan.with_cells(pin)
    grid_id = f"{found.run.output_name}-{_digest(pinned)}"
    hints = (
        *find_grid_hints(request, subject, store.library),
        *ignored_schedules(pinned.cells, has),
    )
    return Grid(grid_id, store.root / "grids" / grid_id, request, subject, 0, pinned, hints)


_CHANGING_WEIGHTS = {"LoRA weight", "Prompt S/R", "Several", "Prompt"}
"""Axes with which the weight in the page's own tag no longer counts."""


def _pin_names(cell: Cell, page: Cell, has: Capabilities) -> Cell:
    """Check what an axis changed by name; the page's own names are the host's."""
    if cell.hires_fix is not None and not cell.hires_fix.upscaler:  # an axis brought Hires. fix
        hires = replace(cell.hires_fix, upscaler=has.default_upscaler)
        cell = replace(cell, hires_fix=hires)
    upscaler = cell.hires_fix.upscaler if cell.hires_fix else None
    names = (cell.sampler, cell.scheduler, upscaler)
    if names != (page.sampler, page.scheduler, page.hires_fix and page.hires_fix.upscaler):
        has.require_names(sampler=names[0], scheduler=names[1], upscaler=upscaler)
    if cell.checkpoint == page.checkpoint:
        return cell
    found = has.require_checkpoint(cell.checkpoint.title)
    pin = CheckpointPin(found.title.partition(" [")[0], found.sha256)
    return replace(cell, checkpoint=pin)


def describe_page_grid(
    prompt: str, folders: Sequence[Path], lora: str, options: GridOptions, store: GridStore
) -> str:
    """Say before anything is drawn how many pictures a page's grid has, and how long they take.

    Raises InputError or MissingError as the grid's plan does.
    """
    found = find_epochs(prompt, folders, lora)
    grid = plan_page_grid(
        Cell(prompt, 0), found, options, store, read_capabilities(), random.Random(0)
    )
    with store.open_ledger() as ledger:
        mean = ledger.mean_seconds()
    count = len({cell.key for cell in grid.plan.cells})
    expected = "the time is unknown until the first picture"
    if mean is not None:
        expected = f"about {format_seconds(mean * count)}, estimated from earlier pictures"
    hints = "".join(f". {hint.rstrip('.')}" for hint in grid.hints)
    return f"{grid_facts(grid).subtitle}; {expected}{hints}"


def _request(page: Cell, options: GridOptions, tag: LoraTag, rng: random.Random) -> GridRequest:
    """Return the page as a request, its seeds drawn already."""
    return GridRequest(
        prompt=page.prompt,
        negative_prompt=page.negative_prompt,
        seeds=read_seeds(options.seeds, rng),
        lora_weights=(_weight(tag),),
        checkpoint=page.checkpoint.title,
        picture=PictureSettings(
            width=page.width,
            height=page.height,
            steps=page.steps,
            sampler=page.sampler,
            scheduler=page.scheduler,
            cfg_scale=page.cfg_scale,
            clip_skip=page.clip_skip,
        ),
        epochs=options.epochs or "all",
        control=options.control,
        axes=options.axis_lines,
    )


def _weight(tag: LoraTag) -> float:
    """Return the tag's weight as the label of the axis; 1 for one that is not a single number."""
    try:
        return float(tag.weight)
    except ValueError:
        return 1.0


def _as_weighted(prompt: str, tag: LoraTag, names: Collection[str]) -> str:
    """Return the prompt with the weight as the user wrote it, for example `0.8:0.6`."""
    for one in lora_tags(prompt):
        if one.name in names:
            prompt = replace_lora(prompt, one.name, f"<lora:{one.name}:{tag.weight}>")
    return prompt


def _digest(plan: GridPlan) -> str:
    """Name a plan by its cells: the same pictures are the same grid."""
    keys = "".join(cell.key for cell in plan.cells)
    return hashlib.sha256(keys.encode("ascii")).hexdigest()[:8]


def prepare_project_grid(project: Project, changes: Mapping[str, Any]) -> Grid:
    """Link the project's epoch files into this WebUI and plan the manifest's grid.

    `changes` are fields of the request that are asked for otherwise. Raises MissingError (no epoch
    files) or InputError (names that the WebUI lacks; the request).
    """
    run = require_run(project.model_dir)
    request = request_from(project.manifest, **changes)
    if request.picture.scripts:
        raise InputError(
            "LL767",
            f"The grid of {project.root.name} asks for always-on scripts "
            f"({', '.join(request.picture.scripts)}), which the tab and its routes do not support.",
            "Draw it with `loraloom grid`, or remove grid.picture.scripts from the manifest.",
        )
    subject = subject_of(project, run, request.epochs)
    read_capabilities().require_family(project.manifest.base_model.family)
    has = link_here(project, run, read_capabilities())
    follow = project.manifest.showcase.follow_links or follow_links()
    library = open_library(project.wildcards_dir, follow)
    require_reachable(request, subject, has, library)
    expand = make_expand(library)
    grid = prepare_grid(project, request, subject, session_id=run.session_id, expand=expand)
    has = GridStore(project.root).know_files(has)
    pinned = pin_grid(grid, has)
    hints = (
        *find_grid_hints(request, subject, library),
        *ignored_schedules(pinned.plan.cells, has),
    )
    return replace(pinned, hints=hints)


def link_here(project: Project, run: Run, has: Capabilities) -> Capabilities:
    """Put the run's files into this WebUI's LoRA folder; return what it has now."""
    plan = plan_links(run, has, Path(has.lora_dir))
    for link in plan.new:
        project.journal.append(LINKED, url=plan.url, path=str(link.target))
        link_or_copy(link.epoch_file.path, link.target)
    refresh_loras()
    return read_capabilities()
