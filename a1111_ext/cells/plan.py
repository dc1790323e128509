"""The order in which cells are drawn: fewest checkpoint loads first, then fewest LoRA swaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..api.capabilities import Capabilities
from .cell import Cell, CheckpointPin, LoraUse


@dataclass(frozen=True)
class CellPlan:
    """Cells in drawing order; `controls` maps a cell's key to that of its no-LoRA control."""

    cells: tuple[Cell, ...]
    controls: Mapping[str, str] = field(default_factory=dict)

    @property
    def checkpoint_loads(self) -> int:
        """How many checkpoints are loaded on the way."""
        return _changes(cell.checkpoint.title for cell in self.cells)

    @property
    def lora_swaps(self) -> int:
        """How often the set of LoRAs changes on the way."""
        return _changes((cell.checkpoint.title, cell.loras) for cell in self.cells)


def _changes(values: Iterable[object]) -> int:
    count, last = 0, object()
    for value in values:
        if value != last:
            count, last = count + 1, value
    return count


def plan_cells(cells: Iterable[Cell], controls: Mapping[str, str] | None = None) -> CellPlan:
    """Order cells for the fewest loads; cells with one key are drawn once.

    Checkpoints and LoRA sets keep the order in which they first appear.
    """
    unique = {cell.key: cell for cell in cells}
    places: dict[object, int] = {}

    def place(value: object) -> int:
        return places.setdefault(value, len(places))

    for cell in unique.values():
        place(("checkpoint", cell.checkpoint, cell.vae))
        place(("loras", cell.loras))
    ordered = sorted(
        unique.values(),
        key=lambda cell: (
            place(("checkpoint", cell.checkpoint, cell.vae)),
            place(("loras", cell.loras)),
        ),
    )
    return CellPlan(tuple(ordered), dict(controls or {}))


def pin_cell(cell: Cell, capabilities: Capabilities) -> Cell:
    """Return the cell with checkpoint and LoRAs pinned to what this WebUI has.

    Raises InputError (checkpoint), InputError (LoRA), InputError (sampler, scheduler, VAE, ...) or
    InputError (always-on script): the WebUI itself would mostly answer 200 and draw something else.
    """
    checkpoint = capabilities.require_checkpoint(cell.checkpoint.title)
    hires = cell.hires_fix
    if hires is not None and not hires.upscaler:
        hires = replace(hires, upscaler=capabilities.default_upscaler)
    capabilities.require_names(
        sampler=cell.sampler,
        scheduler=cell.scheduler,
        upscaler=hires.upscaler if hires else None,
    )
    capabilities.require_vae(cell.vae)
    for script in cell.scripts:
        is_img2img = cell.source is not None
        capabilities.require_script(script.name, len(script.args), is_img2img=is_img2img)
    loras = tuple(
        LoraUse(use.name, use.weight, capabilities.require_lora(use.name, use.weight).hash)
        for use in cell.loras
    )
    pin = CheckpointPin(checkpoint.title.partition(" [")[0], checkpoint.sha256)
    return replace(cell, checkpoint=pin, loras=loras, hires_fix=hires)
