"""A drawn grid as people see it: the contact sheet and the page, from a plan and the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kohya_ext.project.wording import counted

from ..api.lora_tags import strip_loras
from ..cells.cell import Cell
from ..cells.ledger import CellRecord, CellState, Ledger
from ..cells.shown import readable_name, show_as
from .axes import Axis
from .facts import GridFacts
from .page.document import GridPage, LiveState, PageAxis, PageCell, PageCellState, PageValue
from .plan import GridPlan, PlacedCell
from .sheet.layout import Sheet, SheetCell, SheetSection

PICTURES = "pictures"


def read_records(plan: GridPlan, ledger: Ledger) -> dict[str, CellRecord]:
    """Return what the ledger knows of the plan's cells, by key."""
    return ledger.records({cell.key for cell in plan.cells})


# -- what all pictures have in common ----------------------------------------------------------


def legend_of(plan: GridPlan, facts: GridFacts) -> tuple[tuple[str, str], ...]:
    """Return what is the same for all cells, in the WebUI's words; prompts as they differ."""
    cells = plan.cells
    if not cells:
        return ()
    rows = [
        ("Prompt", _prompts(plan)),
        ("Negative prompt", _same(cells, lambda cell: cell.negative_prompt)),
        ("Checkpoint", _same(cells, _checkpoint)),
        ("Sampler", _same(cells, lambda cell: f"{cell.sampler}, {cell.scheduler}")),
        ("Steps", _same(cells, lambda cell: str(cell.steps))),
        ("CFG Scale", _same(cells, lambda cell: f"{cell.cfg_scale:g}")),
        ("Size", _same(cells, lambda cell: f"{cell.width}x{cell.height}")),
        ("Clip skip", _same(cells, lambda cell: str(cell.clip_skip))),
        ("Hires. fix", _same(cells, _hires)),
        *(("Not checked", text) for text in facts.warnings),
    ]
    single = [(one.name, one.values[0].label) for one in plan.axes if len(one.values) == 1]
    known = {name for name, _ in rows}
    rows += [(name, label) for name, label in single if name not in known]
    return tuple((name, text) for name, text in rows if text)


def _same(cells: Sequence[Cell], read: Callable[[Cell], str]) -> str:
    values = {read(cell) for cell in cells}
    return values.pop() if len(values) == 1 else ""


def _checkpoint(cell: Cell) -> str:
    short = f" [{cell.checkpoint.sha256[:10]}]" if cell.checkpoint.sha256 else ""
    return f"{cell.checkpoint.title}{short}"


def _hires(cell: Cell) -> str:
    hires = cell.hires_fix
    if hires is None:
        return ""
    return f"{hires.upscaler}, {hires.scale:g}x, denoising {hires.denoising_strength:g}"


def _prompts(plan: GridPlan) -> str:
    """Return the prompt without the LoRA's tag where all cells share it."""
    texts = dict.fromkeys(strip_loras(one.cell.prompt) for one in plan.places)
    if len(texts) == 1:
        return next(iter(texts))
    return (
        f"{counted(len(texts), 'text')}, one for each seed or axis value; see each picture's data"
    )


# -- the contact sheet --------------------------------------------------------------------------


def make_sheet(
    plan: GridPlan, ledger: Ledger, records: Mapping[str, CellRecord], facts: GridFacts
) -> Sheet:
    """Lay the grid out as a sheet: columns, rows of epochs, a section for each further value."""
    places = {one.at: one for one in plan.places}
    # Rows are epochs and their weights; all other axes make sections.
    others = [
        index
        for index, axis in enumerate(plan.axes)
        if index != plan.columns and len(axis.values) > 1
    ]
    row_axes = [one for one in others if one == plan.judged or plan.axes[one].about_lora]
    row_axes = row_axes or others[:1]
    section_axes = [one for one in others if one not in row_axes]
    sections = []
    for corner in _combinations(plan.axes, section_axes):
        section = _section(plan, ledger, records, places, row_axes, section_axes, corner)
        if section is not None:
            sections.append(section)
    return Sheet(
        title=facts.title,
        subtitle=facts.subtitle,
        sections=tuple(sections),
        legend=legend_of(plan, facts),
        column_axis=plan.axes[plan.columns].name if len(plan.axes[plan.columns].values) > 1 else "",
        row_axis=", ".join(plan.axes[one].name for one in row_axes),
        badge=facts.badge,
    )


def _combinations(axes: Sequence[Axis], chosen: Sequence[int]) -> list[dict[int, int]]:
    combinations: list[dict[int, int]] = [{}]
    for axis in chosen:
        combinations = [
            {**one, axis: index} for one in combinations for index in range(len(axes[axis].values))
        ]
    return combinations


def _section(
    plan: GridPlan,
    ledger: Ledger,
    records: Mapping[str, CellRecord],
    places: Mapping[tuple[int, ...], PlacedCell],
    row_axes: Sequence[int],
    section_axes: Sequence[int],
    corner: Mapping[int, int],
) -> SheetSection | None:
    columns = range(len(plan.axes[plan.columns].values))
    labels: list[str] = []
    rows: list[tuple[SheetCell | None, ...]] = []
    for combination in _combinations(plan.axes, row_axes):
        fixed = {**corner, **combination}
        row = tuple(
            _sheet_cell(places.get(_at(plan, {**fixed, plan.columns: column})), ledger, records)
            for column in columns
        )
        if any(cell is not None for cell in row):
            labels.append(_row_label(plan, row_axes, combination))
            rows.append(row)
    if not rows:
        return None
    title = ", ".join(
        f"{plan.axes[one].name} {plan.axes[one].values[corner[one]].label}" for one in section_axes
    )
    heads = tuple(value.label for value in plan.axes[plan.columns].values)
    return SheetSection(title, heads, tuple(labels), tuple(rows))


def _at(plan: GridPlan, fixed: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(fixed.get(index, 0) for index in range(len(plan.axes)))


def _row_label(plan: GridPlan, row_axes: Sequence[int], combination: Mapping[int, int]) -> str:
    lines = []
    is_control = any(plan.axes[axis].values[combination[axis]].is_control for axis in row_axes)
    for axis in row_axes:
        value = plan.axes[axis].values[combination[axis]]
        if is_control and plan.axes[axis].about_lora:
            continue
        name = "" if axis == plan.judged else f"{plan.axes[axis].name} "
        lines += [f"{name}{value.label}", value.note]
    return "\n".join(filter(None, lines))


def _sheet_cell(
    place: PlacedCell | None, ledger: Ledger, records: Mapping[str, CellRecord]
) -> SheetCell | None:
    if place is None:
        return None
    record = records.get(place.cell.key)
    if record is not None and record.state is CellState.DONE:
        path = ledger.picture_path(place.cell.key)
        return SheetCell(path, _picture_size(path))
    note = record.reason if record is not None and record.reason else "not drawn yet"
    return SheetCell(None, place.cell.final_size, note)


def _picture_size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as picture:  # reads the header only
        width, height = picture.size
        return width, height


# -- the page -----------------------------------------------------------------------------------


def make_page(
    plan: GridPlan,
    ledger: Ledger,
    records: Mapping[str, CellRecord],
    facts: GridFacts,
    live: LiveState | None = None,
) -> GridPage:
    """Make the page's data: every axis, every place, with its generation data."""
    return GridPage(
        grid_id=facts.grid_id,
        title=facts.title,
        subtitle=facts.subtitle,
        badge=facts.badge,
        legend=legend_of(plan, facts),
        axes=tuple(_page_axis(one) for one in plan.axes),
        cells=tuple(_page_cell(one, ledger, records) for one in plan.places),
        columns=plan.columns,
        judged=plan.judged,
        choice_file=f"{facts.grid_id}-choice.json",
        choice_command=facts.choice_command,
        live=live,
        advice=facts.advice,
    )


def _page_axis(axis: Axis) -> PageAxis:
    values = tuple(PageValue(one.label, one.note, one.file, one.is_control) for one in axis.values)
    return PageAxis(axis.name, values, about_lora=axis.about_lora)


def _page_cell(place: PlacedCell, ledger: Ledger, records: Mapping[str, CellRecord]) -> PageCell:
    key = place.cell.key
    record = records.get(key)
    if record is None or record.state in {CellState.PLANNED, CellState.CLAIMED}:
        return PageCell(place.at, key, PageCellState.WAITING)
    if record.state is CellState.FAILED:
        return PageCell(place.at, key, PageCellState.FAILED, note=record.reason)
    path = ledger.picture_path(key)
    return PageCell(place.at, key, PageCellState.DONE, path, _picture_size(path), record.infotext)


def link_pictures(plan: GridPlan, page: GridPage, folder: Path) -> dict[str, str]:
    """Put the page's pictures beside it under readable names; return the links by cell key.

    Hardlinks where the disk allows it, so that they take no space; never changed in between.
    """
    links: dict[str, str] = {}
    for cell in page.cells:
        if cell.path is None:
            continue
        labels = [
            axis.values[index].label
            for axis, index in zip(plan.axes, cell.at, strict=True)
            if len(axis.values) > 1
        ]
        text = "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", label).strip("-.")[:40] for label in labels)
        name = readable_name(text.strip("_")[:120] or "picture", cell.key)
        show_as(cell.path, folder / PICTURES / name)
        links[cell.key] = f"{PICTURES}/{name}"
    return links
