"""A grid for the host's gallery: progress bar while it is drawn, then sheet, cells, infotexts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohya_ext.project import HostError
from kohya_ext.project.wording import counted

from ..api.infotext import format_infotext, parse_infotext, quoted
from ..cells.cell import Cell
from ..cells.cell_plan import plan_cells
from ..cells.events import CellEvent, CellOutcome
from ..cells.ledger import Ledger
from ..grids.grid import Grid, GridStore
from .backend import InProcessBackend
from .drawn import CellResult, GridResult, draw_here
from .request import NOT_DRAWN, GridOptions
from .txt2img import copies_of

SCRIPT = "LoRA epoch grid"


class HostProgress:
    """Tells the host's progress bar how many pictures come and which one is being drawn."""

    def __init__(self, script: str, cells: Iterable[Cell], ledger: Ledger) -> None:
        from modules import shared

        undrawn = [cell for cell in plan_cells(cells).cells if not ledger.is_done(cell.key)]
        missing = len(undrawn)
        self._script, self._state = script, shared.state
        self._missing = missing
        self._drawn = 0
        self._state.job_count = max(1, missing)
        if missing:
            shared.total_tqdm.updateTotal(sum(cell.steps for cell in undrawn))
        self._say()

    def __call__(self, event: CellEvent) -> None:
        if event.outcome in (CellOutcome.DRAWN, CellOutcome.FAILED):
            self._drawn += 1
            self._say()

    def _say(self) -> None:
        if self._missing:
            number = min(self._drawn + 1, self._missing)
            self._state.job = f"{self._script}: picture {number} of {self._missing}"
            self._state.textinfo = self._state.job


def draw_for_gallery(
    p: Any, grid: Grid, store: GridStore, options: GridOptions, with_cells: bool
) -> Any:
    """Draw a grid as the page says and return the host's `Processed`: sheet first, then cells."""
    with store.open_ledger() as ledger:
        progress = HostProgress(SCRIPT, grid.plan.cells, ledger)
        drawn = draw_here(grid, ledger, InProcessBackend(copies_of(p)), progress)
    for sentence in comments(grid, drawn, options):
        p.comment(sentence)
    tell_failures(p, list(_failures(drawn)), has_pictures=bool(drawn.finished))
    return _processed(p, grid, drawn, options, with_cells)


def tell_failures(p: Any, sentences: Sequence[str], *, has_pictures: bool) -> None:
    """Say in the API's answer what is not drawn: comments are for the page alone.

    Raises HostError where no picture was drawn for a caller of the API.
    """
    if not sentences:
        return
    said = " ".join(sentences)
    if getattr(p, "is_api", False) and not has_pictures:
        raise HostError("LL756", said, "The WebUI's console shows where.")
    p.extra_generation_params = {**p.extra_generation_params, NOT_DRAWN: said}


def comments(grid: Grid, drawn: GridResult, options: GridOptions) -> tuple[str, ...]:
    """Return what the host shows under the gallery: slips, failures, an interrupt."""
    said = [*grid.hints, *_failures(drawn)]
    if drawn.stopped:
        were_drawn = "-1" in [one.strip() for one in options.seeds.split(",")]
        seeds = f'write {seeds_of(grid)} into "Seeds of the grid" and '
        done, cells = ({one.key for one in found} for found in (drawn.finished, drawn.cells))
        said.append(
            f"Interrupted after {len(done)} of {counted(len(cells), 'picture')}; they are "
            f"kept. To continue, {seeds if were_drawn else ''}press Generate."
        )
    return tuple(said)


def _failures(drawn: GridResult) -> Iterator[str]:
    """Yield one sentence for each reason, not for each picture."""
    by_reason: dict[str, list[CellResult]] = {}
    for one in drawn.cells:
        if one.reason:
            by_reason.setdefault(one.reason, []).append(one)
    for reason, cells in by_reason.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        first = f"{cells[0].epoch}, seed {cells[0].cell.seed}" if cells[0].cell else ""
        yield f"Not drawn: {first}{more}: {reason.rstrip('.')}."


def seeds_of(grid: Grid) -> str:
    """Return the seeds of the columns, as they can be typed."""
    return ", ".join(one.label for one in grid.plan.axes[grid.plan.columns].values)


def _processed(
    p: Any, grid: Grid, drawn: GridResult, options: GridOptions, with_cells: bool
) -> Any:
    from modules import processing

    first = grid.plan.cells[0]
    shown = [(one, one.cell) for one in drawn.finished if with_cells and one.cell]
    infotext = _infotext_with_lora(grid, drawn)
    about = grid_infotext(grid, options, infotext)
    tell_checkpoint(p, infotext)
    sheets = [open_picture(drawn.sheet, "")] if drawn.sheet else []
    cells = (*(first for _ in sheets), *(cell for _, cell in shown))
    result = processing.Processed(
        p,
        [*sheets, *(open_picture(one.path, str(one.path)) for one, _ in shown if one.path)],
        seed=first.seed,
        info=about,
        subseed=first.subseed,
        all_prompts=[one.prompt for one in cells],
        all_negative_prompts=[one.negative_prompt for one in cells],
        all_seeds=[one.seed for one in cells],
        all_subseeds=[one.subseed for one in cells],
        index_of_first_image=len(sheets),
        infotexts=[*(about for _ in sheets), *(one.infotext for one, _ in shown)],
    )
    _save_grid(p, result, len(sheets))
    return result


def _infotext_with_lora(grid: Grid, drawn: GridResult) -> str:
    """Return a finished picture's infotext whose prompt names the LoRA; "" without a picture."""
    for one in drawn.finished:
        if one.cell and one.cell.loras:
            return one.infotext
    if not drawn.finished:
        return ""
    prompt = next(cell.prompt for cell in grid.plan.cells if cell.loras)
    return format_infotext(replace(parse_infotext(drawn.finished[0].infotext), prompt=prompt))


def tell_checkpoint(p: Any, infotext: str) -> None:
    """Write into the page's object what drawing one of its copies found out."""
    if infotext:
        fields = parse_infotext(infotext).fields
        p.sd_model_name, p.sd_model_hash = fields.get("Model"), fields.get("Model hash")


def _save_grid(p: Any, result: Any, sheets: int) -> None:
    """Save the sheets beside the host's own grids when its options say so."""
    from modules import images, shared

    if not shared.opts.grid_save or p.do_not_save_grid:
        return
    for sheet in result.images[:sheets]:
        images.save_image(
            sheet,
            p.outpath_grids,
            "epoch_grid",
            info=result.info,
            extension=shared.opts.grid_format,
            prompt=result.all_prompts[0],
            seed=result.all_seeds[0],
            grid=True,
            p=p,
        )


def grid_infotext(grid: Grid, options: GridOptions, infotext: str) -> str:
    """Return a picture's infotext with what the script's boxes need to draw the grid again.

    Without any finished picture there is none.
    """
    if not infotext:
        return ""
    fields = {
        "Script": SCRIPT,
        "Grid seeds": seeds_of(grid),
        "Grid epochs": options.epochs or "all",
        "Grid without LoRA": str(options.control),
        **({"Grid axes": "\n".join(options.axis_lines)} if options.axis_lines else {}),
    }
    return ", ".join([infotext, *(f"{name}: {quoted(text)}" for name, text in fields.items())])


def open_picture(path: Path, saved_as: str) -> Any:
    """Open a picture for the gallery; with `saved_as` the host shows that very file."""
    from PIL import Image

    picture = Image.open(path)
    picture.load()
    if saved_as:
        picture.already_saved_as = saved_as  # type: ignore[attr-defined]  # the host reads it
    return picture
