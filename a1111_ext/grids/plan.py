"""The epoch grid as a plan: epochs, weights, seeds and any other axes, every cell complete.

Nothing is drawn here. Seeds are resolved once; a template is expanded once per seed, so that
every epoch has the same text; the no-LoRA control has a row of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeGuard

from kohya_ext.project.epochs import EpochFile, Run
from kohya_ext.project.errors import InputError
from kohya_ext.project.manifest import GridSettings, Manifest, PictureSettings
from kohya_ext.project.placeholders import fill_placeholders
from kohya_ext.project.printable import shortened
from kohya_ext.project.wording import counted

from ..api.lora_tags import lora_tags, strip_loras
from ..cells.cell import (
    BATCH_SIZE,
    Batch,
    Cell,
    CheckpointPin,
    LoraUse,
    picture_fields,
    with_loras,
)
from ..cells.content_rule import require_decent
from .axes import (
    Axis,
    AxisValue,
    Edit,
    SetField,
    SetLoraWeight,
    SetPrompt,
    UseLora,
    find_axis,
    parse_axis,
    resolve_seeds,
    seed_axis,
    weight_axis,
)
from .skipping import parse_skip_rule
from .values import parse_whole_numbers

EPOCH_AXIS = "LoRA epoch"
CONTROL_LABEL = "no LoRA"

Expand = Callable[[str, int, str], str]
"""Draws a prompt from a template with a seed; the last one is what `${lora}` stands for."""


@dataclass(frozen=True)
class GridRequest:
    """What is asked for; `axes`, `epochs` and `skip` as typed, -1 among the seeds not yet drawn."""

    prompt: str
    negative_prompt: str = ""
    seeds: tuple[int, ...] = GridSettings.seeds
    lora_weights: tuple[float, ...] = (1.0,)
    checkpoint: str = ""
    picture: PictureSettings = field(default_factory=PictureSettings)
    epochs: str = "all"
    axes: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    columns: str = "Seed"
    control: bool = True
    unlink_seed: bool = False
    batch_count: int = 1
    batch_size: int = 1

    @property
    def in_a_row(self) -> bool:
        """Whether seeds must count up, because several are drawn in one request."""
        return self.batch_count > 1 or self.batch_size > 1

    @property
    def digest(self) -> str:
        """A hash of the request without its epochs, which may still grow in number."""
        values = {key: value for key, value in asdict(self).items() if key != "epochs"}
        for name in ("scripts", "distilled_cfg_scale", "modules"):
            if values["picture"][name] in ({}, (), None):
                del values["picture"][name]  # grids of before there were any keep their names
        text = json.dumps(values, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def request_from(manifest: Manifest, **changes: Any) -> GridRequest:
    """Return what the manifest's `grid` section asks for, with some fields given otherwise."""
    grid = manifest.grid
    request = GridRequest(
        prompt=grid.prompt,
        negative_prompt=grid.negative_prompt,
        seeds=grid.seeds,
        lora_weights=grid.lora_weights,
        checkpoint=grid.checkpoint,
        picture=grid.picture,
    )
    return replace(request, **changes)


@dataclass(frozen=True)
class PlacedCell:
    """A cell and where it stands: one index per axis."""

    at: tuple[int, ...]
    cell: Cell


@dataclass(frozen=True)
class GridPlan:
    """A whole grid; `controls` maps a cell's key to its no-LoRA control's."""

    axes: tuple[Axis, ...]
    places: tuple[PlacedCell, ...]
    controls: Mapping[str, str]
    skipped: int
    columns: int
    judged: int
    has_control: bool

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order of the axes."""
        return tuple(one.cell for one in self.places)

    def with_cells(self, change: Callable[[Cell], Cell]) -> GridPlan:
        """Return the plan with every cell changed, for example pinned to a WebUI."""
        changed: dict[str, Cell] = {}
        for cell in self.cells:
            if cell.key not in changed:
                changed[cell.key] = change(cell)
        places = tuple(PlacedCell(one.at, changed[one.cell.key]) for one in self.places)
        controls = {
            changed[key].key: changed[control].key
            for key, control in self.controls.items()
            if key in changed and control in changed
        }
        return replace(self, places=places, controls=controls)


# -- epochs -----------------------------------------------------------------------------------


def select_epochs(run: Run, text: str = "all") -> tuple[EpochFile, ...]:
    """Choose epoch files: `all`, or numbers and ranges such as `2,4,8-20 (+4),last`.

    A file that was saved by steps is also called by its step.

    Raises InputError (for a word that is none of these; when nothing is left).
    """
    files = run.epochs
    if text.strip().casefold() == "all":
        return _require_files(files, text)
    wants_last = False
    numbers: set[int] = set()
    for word in filter(str.strip, text.split(",")):
        if word.strip().casefold() == "last":
            wants_last = True
        else:
            numbers |= set(parse_whole_numbers(word, EPOCH_AXIS))
    last = files[-1:] if wants_last else ()
    chosen = (one for one in files if _is_number(one, numbers) or one in last)
    return _require_files(tuple(chosen), text)


def _is_number(one: EpochFile, numbers: set[int]) -> bool:
    """Tell whether a file is meant by one of the numbers: its epoch, or the step in its name."""
    return one.epoch in numbers or (one.is_step_save and one.step in numbers)


def _require_files(files: tuple[EpochFile, ...], text: str) -> tuple[EpochFile, ...]:
    if files:
        return files
    raise InputError(
        "LL509",
        f'No epoch file matches "{shortened(text)}".',
        "List the epoch files with: loraloom epochs",
    )


def epoch_axis(
    files: Sequence[EpochFile], name_of: Callable[[EpochFile], str], *, control: bool
) -> Axis:
    """Make the axis of epochs, the control first; `name_of` gives a file's name in a tag."""
    values = [
        AxisValue(one.name, (UseLora(name_of(one)),), epoch_names(one), one.path.name)
        for one in files
    ]
    if control:
        values.insert(0, AxisValue(CONTROL_LABEL, (UseLora(""),), is_control=True))
    return Axis(EPOCH_AXIS, tuple(values))


def epoch_names(one: EpochFile) -> tuple[str, ...]:
    """Return `epoch 4` and `step 1200`, as far as the header tells."""
    numbers = (("epoch", one.epoch), ("step", one.step))
    return tuple(f"{word} {number}" for word, number in numbers if number is not None)


def with_placeholder(prompt: str, names: Sequence[str], trigger_word: str) -> str:
    """Fill `{trigger}`, and write `{lora}` for a tag that names an epoch of this run.

    Raises InputError when the prompt has neither.
    """
    filled = fill_placeholders(prompt, trigger_word=trigger_word, lora="{lora}")
    for tag in lora_tags(filled):
        if tag.name in names:
            filled = filled.replace(tag.text, "{lora}")
    if "{lora}" not in filled:
        raise InputError(
            "LL504",
            f'The prompt "{shortened(prompt)}" has no place for the LoRA.',
            "Put {lora} where its tag belongs, for example: {lora} photo of {trigger}",
        )
    return filled


# -- planning ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class GridSubject:
    """What the grid is about: the epoch files and how the WebUI calls each."""

    files: tuple[EpochFile, ...]
    names: Mapping[str, str]
    trigger_word: str

    def name_of(self, one: EpochFile) -> str:
        """Return what is in a tag for this file."""
        return self.names.get(one.name, one.name)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names by which a prompt may already call this LoRA."""
        own = {name for one in self.files for name in (one.name, one.output_name)}
        return tuple(own | set(self.names.values()))


def plan_grid(
    request: GridRequest,
    subject: GridSubject,
    *,
    rng: random.Random,
    expand: Expand | None = None,
    page: Cell | None = None,
) -> GridPlan:
    """Plan every cell of a grid; `rng` draws the seeds that are -1.

    `page` is a cell that has more to it than the request tells, for cells to start from.
    Raises InputError (no place for the LoRA; axes, values, skip rules) or RuleError (content).
    """
    axes = _axes(request, subject, rng)
    rules = [parse_skip_rule(text, axes) for text in request.skip]
    places: list[PlacedCell] = []
    controls: dict[str, str] = {}
    skipped = 0
    cell_at = _Maker(_base(request, subject, page), axes, request, subject, expand).cells()
    control_keys: dict[tuple[int, ...], str] = {}
    for at in _positions(axes):
        if any(rule.skips(at) for rule in rules):
            skipped += 1
            continue
        cell = cell_at(at)
        places.append(PlacedCell(at, cell))
        if request.control:
            control = tuple(
                0 if number == 0 or axis.about_lora else index
                for number, (index, axis) in enumerate(zip(at, axes, strict=True))
            )
            if control not in control_keys:
                control_keys[control] = cell_at(control).key
            if control_keys[control] != cell.key and any(_counts(use.weight) for use in cell.loras):
                controls[cell.key] = control_keys[control]
    plan = GridPlan(
        axes=axes,
        places=tuple(places),
        controls=controls,
        skipped=skipped,
        columns=_columns(request.columns, axes),
        judged=0,
        has_control=request.control,
    )
    for prompt in {cell.prompt for cell in plan.cells}:
        require_decent(prompt, "the grid")
    return in_batches(plan, request.batch_size) if request.batch_size > 1 else plan


def in_batches(plan: GridPlan, size: int) -> GridPlan:
    """Let `size` seeds of a row that count up be drawn together; a grid never mixes two ways.

    Raises InputError when a row's seeds do not fill whole batches.
    """
    rows: dict[str, dict[int, Cell]] = {}
    for cell in plan.cells:
        rows.setdefault(cell.row, {})[cell.seed] = cell
    batches: dict[str, Batch] = {}
    for row in rows.values():
        seeds = sorted(row)
        for start in range(0, len(seeds), size):
            part = seeds[start : start + size]
            if part != list(range(part[0], part[0] + size)):
                raise InputError(
                    "LL518",
                    f"A batch of {counted(size, 'picture')} needs seeds that count up, and "
                    f"{', '.join(map(str, part))} do not.",
                    "Give as many -1 as a multiple of the batch size, or seeds such as 1-8.",
                )
            for index, seed in enumerate(part):
                batches[row[seed].key] = Batch(BATCH_SIZE, size, index)
    return plan.with_cells(lambda cell: replace(cell, batch=batches[cell.key]))


def _axes(request: GridRequest, subject: GridSubject, rng: random.Random) -> tuple[Axis, ...]:
    others = [parse_axis(text, rng) for text in request.axes]
    named = {one.name for one in others}
    axes = [epoch_axis(subject.files, subject.name_of, control=request.control)]
    if "LoRA weight" not in named:
        axes.append(weight_axis(request.lora_weights))
    axes += [_filled(one, subject) for one in others]
    if "Seed" not in named:
        axes.append(seed_axis(resolve_seeds(request.seeds, rng, in_a_row=request.in_a_row)))
    return tuple(axes)


def _filled(axis: Axis, subject: GridSubject) -> Axis:
    """Fill `{lora}` and `{trigger}` in the prompts of an axis."""

    def fill(edit: Edit) -> Edit:
        if not isinstance(edit, SetPrompt):
            return edit
        return SetPrompt(with_placeholder(edit.text, subject.known_names, subject.trigger_word))

    values = tuple(replace(one, edits=tuple(map(fill, one.edits))) for one in axis.values)
    return replace(axis, values=values)


def _base(request: GridRequest, subject: GridSubject, page: Cell | None) -> Cell:
    picture = request.picture
    prompt = with_placeholder(request.prompt, subject.known_names, subject.trigger_word)
    loras = (LoraUse(""),)  # what {lora} stands for, until the texts are filled
    if page is not None:
        return replace(page, prompt=prompt, seed=0, loras=loras)
    return Cell(
        prompt=prompt,
        negative_prompt=request.negative_prompt,
        seed=0,
        **picture_fields(picture),
        checkpoint=CheckpointPin(request.checkpoint),
        loras=loras,
    )


def _positions(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """Give every combination; a control stands once, not once per LoRA weight."""
    for at in itertools.product(*(range(len(one.values)) for one in axes)):
        is_control = axes[0].values[at[0]].is_control
        about_lora = any(index and axis.about_lora for index, axis in zip(at, axes, strict=True))
        if not (is_control and about_lora):
            yield at


@dataclass(frozen=True)
class _Maker:
    """Makes the cell of a place: whole prompts, then all other changes, then placeholders."""

    base: Cell
    axes: tuple[Axis, ...]
    request: GridRequest
    subject: GridSubject
    expand: Expand | None

    def cells(self) -> Callable[[tuple[int, ...]], Cell]:
        """Return a function that makes the cell of a place.

        Where nothing but the last axis' seed differs from the cell before, only that is changed.
        """
        last = self.axes[-1].values
        seeds = [one.edits[0].value for one in last if _is_seed(one.edits)]
        if len(seeds) < len(last) or (self.expand is not None and self._any_template()):
            return self.cell_at
        remembered: dict[tuple[int, ...], Cell] = {}

        def cell_at(at: tuple[int, ...]) -> Cell:
            found = remembered.get(at[:-1])
            if found is not None:
                return found.with_seed(seeds[at[-1]])
            remembered.clear()  # places come in the order of the axes
            remembered[at[:-1]] = found = self.cell_at(at)
            return found

        return cell_at

    def _any_template(self) -> bool:
        """Tell whether some cell may have a text to expand, which depends on its seed."""
        edits = [edit for axis in self.axes for one in axis.values for edit in one.edits]
        texts = [str(text) for edit in edits for text in vars(edit).values()]
        filled = (self._fill(text, "") for text in (self.base.prompt, self.base.negative_prompt))
        return any(map(is_template, (*filled, *(self._fill(text, "") for text in texts))))

    def _fill(self, text: str, lora: str) -> str:
        return fill_placeholders(text, trigger_word=self.subject.trigger_word, lora=lora)

    def cell_at(self, at: tuple[int, ...]) -> Cell:
        """Make one cell; the control is the first epoch's text without the tag."""
        edits = [
            edit
            for axis, index in zip(self.axes, at, strict=True)
            for edit in axis.values[index].edits
        ]
        cell = self.base
        for edit in sorted(edits, key=_turn):
            cell = edit.apply(cell)
        (use,) = cell.loras
        named = use if use.name else replace(use, name=self.subject.name_of(self.subject.files[0]))
        prompt, negative = (
            self._fill(cell.prompt, named.token),
            self._fill(cell.negative_prompt, ""),
        )
        if self.expand is not None and is_template(self._fill(cell.prompt, "") + negative):
            seed = cell.seed
            if self.request.unlink_seed:
                # Another text for every place, but the same along the LoRA's own axes.
                labels = [
                    axis.values[index].label
                    for number, (axis, index) in enumerate(zip(self.axes, at, strict=True))
                    if number and not axis.about_lora
                ]
                text = json.dumps([seed, labels], ensure_ascii=False)
                seed = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:4], "big")
            prompt = self.expand(self._fill(cell.prompt, "${lora}"), seed, named.token)
            negative = self.expand(negative, seed, "")
        if not use.name:
            prompt = strip_loras(prompt, named.name)
        return with_loras(replace(cell, prompt=prompt, negative_prompt=negative), {})


def _turn(edit: Edit) -> int:
    """Order changes: a whole prompt first, then the LoRA's weight, then everything else."""
    return 0 if isinstance(edit, SetPrompt) else 1 if isinstance(edit, SetLoraWeight) else 2


def _is_seed(edits: Sequence[Edit]) -> TypeGuard[Sequence[SetField]]:
    return len(edits) == 1 and isinstance(edits[0], SetField) and edits[0].field == "seed"


def is_template(text: str) -> bool:
    """Tell whether a text has something to expand: variants, wildcards or variables."""
    return re.search(r"[{}]|__[^\s_]|\$\{", text) is not None


@lru_cache(maxsize=1024)
def _counts(weight: str) -> bool:
    return any(map(_is_not_zero, weight.split(":")))


def _is_not_zero(text: str) -> bool:
    try:
        return float(text.rpartition("=")[2]) != 0
    except ValueError:
        return True


def _columns(name: str, axes: Sequence[Axis]) -> int:
    found = find_axis(name, axes)
    if found is None:
        raise InputError(
            "LL505",
            f'The grid has no axis "{shortened(name)}" for its columns.',
            f"Its axes are {', '.join(one.name for one in axes)}.",
        )
    return found
