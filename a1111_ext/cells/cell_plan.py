"""The order in which cells are drawn: fewest checkpoint loads first, then fewest LoRA swaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kohya_ext.project import InputError

from ..api.capabilities import SIZE_STEP, Capabilities
from ..api.embeddings import find_embeddings
from ..api.payloads import UPSCALER_OPTION
from .adetailer import require_adetailer
from .cell import Cell, CheckpointPin, EmbeddingUse, HiresFix, LoraUse
from .model_files import files_of
from .verify import AUTOMATIC


@dataclass(frozen=True)
class CellPlan:
    """Cells in drawing order; `controls` maps a cell's key to that of its no-LoRA control."""

    cells: tuple[Cell, ...]
    controls: Mapping[str, str] = field(default_factory=dict)

    @property
    def checkpoint_loads(self) -> int:
        """How many checkpoints are loaded on the way."""
        return _changes(cell.checkpoint.title for cell in self.cells)

    def loads_from(self, loaded: str) -> int:
        """How many checkpoints are loaded, by a WebUI that begins with the one it has loaded."""
        titles = {cell.checkpoint.title for cell in self.cells}
        return self.checkpoint_loads - bool(titles & {"", loaded.partition(" [")[0]})

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
        place(("checkpoint", cell.checkpoint, cell.vae, cell.modules))
        place(("loras", cell.loras))
    ordered = sorted(
        unique.values(),
        key=lambda cell: (
            place(("checkpoint", cell.checkpoint, cell.vae, cell.modules)),
            place(("loras", cell.loras)),
        ),
    )
    return CellPlan(tuple(ordered), dict(controls or {}))


def pin_cell(cell: Cell, capabilities: Capabilities) -> Cell:
    """Return the cell with checkpoint and LoRAs pinned to what this WebUI has.

    Raises InputError (checkpoint), InputError (LoRA), InputError (sampler, scheduler, VAE, ...) or
    InputError (always-on script, tag that is not read, size): the WebUI itself would mostly answer
    200 and draw something else.
    """
    require_whole(cell, capabilities)
    require_adetailer(cell, capabilities)
    checkpoint = capabilities.require_checkpoint(cell.checkpoint.title)
    hires = cell.hires_fix
    if hires is not None and not hires.upscaler:
        hires = replace(hires, upscaler=capabilities.default_upscaler)
    capabilities.require_names(
        sampler=cell.sampler,
        scheduler=cell.scheduler,
        upscaler=hires.upscaler if hires else None,
    )
    if hires is not None:
        capabilities.require_names(
            sampler=hires.sampler or cell.sampler,
            scheduler=hires.scheduler or cell.scheduler,
            upscaler=None,
        )
    if cell.source is not None:
        capabilities.require_enlarger(str(cell.override_settings.get(UPSCALER_OPTION) or ""))
    if cell.modules or cell.distilled_cfg_scale is not None:
        capabilities.require_forge()
    modules = tuple(capabilities.require_module(one) for one in cell.modules)
    for script in cell.scripts:
        is_img2img = cell.source is not None
        capabilities.require_script(script.name, len(script.args), is_img2img=is_img2img)
    loras = tuple(
        LoraUse(use.name, use.weight, capabilities.lora_hash(use.name, use.weight))
        for use in cell.loras
    )
    if len(cell.loras) > 1:
        capabilities.require_one_family(use.name for use in cell.loras)
    cell = replace(cell, modules=modules, hires_fix=hires)
    names = find_embeddings(f"{cell.prompt}\n{cell.negative_prompt}", capabilities.embeddings)
    return replace(
        cell,
        checkpoint=CheckpointPin(checkpoint.title.partition(" [")[0], checkpoint.sha256),
        loras=loras,
        embeddings=tuple(EmbeddingUse(one, capabilities.embeddings[one]) for one in names),
        files=files_of(cell, capabilities),
    )


def require_whole(cell: Cell, capabilities: Capabilities) -> None:
    """Raise InputError for what the WebUI would leave out, or draw otherwise, without a word."""
    require_size(cell, capabilities.size_step)
    capabilities.require_read(cell.prompt, cell.negative_prompt)
    for use in cell.loras:
        capabilities.require_weight(use.name, use.weight)
    capabilities.require_vae(cell.vae)


def require_size(cell: Cell, step: int = SIZE_STEP) -> None:
    """Raise InputError for a size that the WebUI would silently round to its steps."""
    if not (cell.width % step or cell.height % step):
        return
    near = " x ".join(str(max(step, round(one / step) * step)) for one in (cell.width, cell.height))
    raise InputError(
        "LL426",
        f"A picture of {cell.width} x {cell.height} pixels cannot be drawn: the WebUI would "
        f"silently round it to multiples of {step}.",
        f"Write {near}, for example.",
    )


def ignored_schedules(cells: Iterable[Cell], capabilities: Capabilities) -> tuple[str, ...]:
    """Say which sampling methods ignore the schedule types that cells name.

    Infotexts name them alike.
    """
    named: dict[str, dict[str, None]] = {}
    for cell in cells:
        hires = cell.hires_fix or HiresFix()
        for sampler, scheduler in (
            (cell.sampler, cell.scheduler),
            (hires.sampler or cell.sampler, hires.scheduler or cell.scheduler),
        ):
            if scheduler != AUTOMATIC and sampler in capabilities.own_schedules:
                named.setdefault(sampler, {})[scheduler] = None
    return tuple(
        f"{sampler} has a schedule of its own: the schedule type {', '.join(schedulers)} changes "
        "nothing, but will be in the generation data"
        for sampler, schedulers in named.items()
    )
