"""A grid for the host's gallery: progress bar while it is drawn, then sheet, cells, infotexts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..cells.engine import CellEvent, Outcome
from ..grids.drawing import Grid
from .grid import DrawnGrid, Shop, Wish, count_missing, draw_grid
from .page import copies_of
from .painter import HostPainter

SCRIPT = "LoRA epoch grid"


class HostProgress:
    """Tells the host's progress bar how many pictures come and which one is being drawn."""

    def __init__(self, grid: Grid, missing: int) -> None:
        from modules import shared

        self._state = shared.state
        self._missing = missing
        self._drawn = 0
        self._state.job_count = max(1, missing)
        shared.total_tqdm.updateTotal(missing * grid.plan.cells[0].steps)
        self._say()

    def __call__(self, event: CellEvent) -> None:
        if event.outcome is not Outcome.KNOWN:
            self._drawn += 1
            self._say()

    def _say(self) -> None:
        if self._missing:
            number = min(self._drawn + 1, self._missing)
            self._state.job = f"{SCRIPT}: picture {number} of {self._missing}"
            self._state.textinfo = self._state.job


def draw_for_gallery(p: Any, grid: Grid, shop: Shop, wish: Wish, with_cells: bool) -> Any:
    """Draw a grid as the page says and return the host's `Processed`: sheet first, then cells."""
    with shop.open_ledger() as ledger:
        progress = HostProgress(grid, count_missing(grid, ledger))
        drawn = draw_grid(grid, ledger, HostPainter(copies_of(p)), progress)
    for sentence in comments(drawn):
        p.comment(sentence)
    return _processed(p, drawn, wish, with_cells)


def comments(drawn: DrawnGrid) -> tuple[str, ...]:
    """Return what the host shows under the gallery: failures, and where an interrupt fell."""
    said = [f"Not drawn: {one}" for one in drawn.failures]
    if drawn.stopped:
        total = len(drawn.cells)
        said.append(
            f"Interrupted after {len(drawn.finished)} of {total} pictures. They are kept: "
            "send this grid's data to txt2img and press Generate to go on."
        )
    return tuple(said)


def _processed(p: Any, drawn: DrawnGrid, wish: Wish, with_cells: bool) -> Any:
    from modules import processing

    first = drawn.cells[0].cell
    shown = drawn.finished if with_cells else ()
    told = next((one.infotext for one in drawn.finished if one.cell.loras), first.prompt)
    about = grid_infotext(drawn.grid, wish, told)
    cells = (first, *(one.cell for one in shown))
    result = processing.Processed(
        p,
        [
            _open(drawn.files.sheets[0], ""),
            *(_open(one.path, str(one.path)) for one in shown if one.path),
        ],
        seed=first.seed,
        info=about,
        subseed=first.subseed,
        all_prompts=[one.prompt for one in cells],
        all_negative_prompts=[one.negative_prompt for one in cells],
        all_seeds=[one.seed for one in cells],
        all_subseeds=[one.subseed for one in cells],
        index_of_first_image=1,
        infotexts=[about, *(one.infotext for one in shown)],
    )
    _save_grid(p, result)
    return result


def _save_grid(p: Any, result: Any) -> None:
    """Save the sheet beside the host's own grids when its options say so."""
    from modules import images, shared

    if not shared.opts.grid_save or p.do_not_save_grid:
        return
    images.save_image(
        result.images[0],
        p.outpath_grids,
        "epoch_grid",
        info=result.infotexts[0],
        extension=shared.opts.grid_format,
        prompt=result.all_prompts[0],
        seed=result.all_seeds[0],
        grid=True,
        p=p,
    )


def grid_infotext(grid: Grid, wish: Wish, infotext: str) -> str:
    """Return a picture's infotext with what the script's boxes need to draw the grid again."""
    seeds = grid.plan.axes[grid.plan.columns].values
    fields = {
        "Script": SCRIPT,
        "Grid seeds": ", ".join(one.label for one in seeds),
        "Grid epochs": wish.epochs or "all",
        "Grid without LoRA": str(wish.control),
    }
    written = (f"{name}: {json.dumps(text, ensure_ascii=False)}" for name, text in fields.items())
    return ", ".join([infotext, *written])


def _open(path: Path, saved_as: str) -> Any:
    """Open a picture for the gallery; with `saved_as` the host shows that very file."""
    from PIL import Image

    picture = Image.open(path)
    picture.load()
    if saved_as:
        picture.already_saved_as = saved_as  # type: ignore[attr-defined]  # the host reads it
    return picture
