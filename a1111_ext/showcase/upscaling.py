"""Hands-on: chosen pictures drawn larger from themselves, each with its own checkpoint.

An upscale is an img2img cell; prompt, seed, sampler and checkpoint are those of the small
picture. Forgetting the checkpoint makes pictures that nobody can draw again, so it is pinned.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kohya_ext.project import ConflictError, MissingError, Project
from kohya_ext.project.consent import Use
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.pictures.identity import digest_without_xmp

from ..api.capabilities import SIZE_STEP, Capabilities
from ..api.payloads import UPSCALER_OPTION
from ..cells.backend import Backend
from ..cells.cell import Cell, SourcePicture
from ..cells.cell_plan import CellPlan, pin_cell, plan_cells
from ..cells.engine import run_cells
from ..cells.events import CellEvent, EventHandler
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from .album import Landing, ShowPicture, picture_name, read_parameters
from .redrawing import as_drawn, cell_of_infotext, find_titles, require_same_files, settings_of


@dataclass(frozen=True)
class UpscaleRequest:
    """How: `scale` times as wide, redrawn with `denoising_strength` (0.2 to 0.35 is usual)."""

    scale: float = 2.0
    denoising_strength: float = 0.3
    upscaler: str = ""


@dataclass(frozen=True)
class Upscale:
    """One picture to be drawn larger."""

    picture: ShowPicture
    cell: Cell


def plan_upscales(
    project: Project, pictures: Sequence[ShowPicture], ledger: Ledger, request: UpscaleRequest
) -> tuple[Upscale, ...]:
    """Make an img2img cell of each picture.

    Raises MissingError (nothing to upscale; a picture has lost its generation data) or RuleError
    (consent).
    """
    project.require_consent(Use.PICTURES)
    if not pictures:
        raise MissingError(
            "LL629",
            "No picture is marked to be upscaled.",
            "Mark some with u on the review page, or give their files: loraloom upscale PROJECT "
            "FILE",
        )
    return tuple(_upscale(project, one, ledger, request) for one in pictures)


def _upscale(
    project: Project, picture: ShowPicture, ledger: Ledger, request: UpscaleRequest
) -> Upscale:
    from PIL import Image

    path = project.showcase_dir / picture.file
    with Image.open(path) as opened:
        width, height = opened.size
    infotext = read_parameters(path)
    if infotext is None:
        raise MissingError(
            "LL624",
            f"{picture.file} has no generation data: another program has probably removed it.",
            "Upscale a picture as the WebUI made it.",
        )
    record = ledger.record(picture.key) if picture.key else None
    cell = record.cell if record else cell_of_infotext(picture.file, infotext)
    cell = replace(cell, vae_hash=infotext.fields.get("VAE hash", ""))
    digest = digest_without_xmp(read_picture_bytes(path))
    settings = {**settings_of(picture.file, infotext.fields), **cell.override_settings}
    if request.upscaler:
        settings[UPSCALER_OPTION] = request.upscaler
    return Upscale(
        picture,
        replace(
            cell,
            width=_multiple(width * request.scale, SIZE_STEP),
            height=_multiple(height * request.scale, SIZE_STEP),
            hires_fix=None,
            source=SourcePicture(str(path), digest, request.denoising_strength),
            override_settings_json=json.dumps(settings),
        ),
    )


def _multiple(pixels: float, step: int) -> int:
    return max(64, round(pixels / step) * step)


def pin_upscales(
    upscales: Sequence[Upscale], capabilities: Capabilities, *, upscaler: str = ""
) -> tuple[Upscale, ...]:
    """Pin each to its own checkpoint on this WebUI.

    Raises InputError (names), ConflictError (another checkpoint has that name there).
    """
    return tuple(replace(one, cell=_pinned(one, capabilities, upscaler)) for one in upscales)


def _pinned(one: Upscale, capabilities: Capabilities, upscaler: str) -> Cell:
    if upscaler:
        capabilities.require_enlarger(upscaler)
        capabilities.require_weights(upscaler)
    own = one.picture.checkpoint_sha256
    cell = as_drawn(find_titles(one.cell, own, capabilities), capabilities)
    step = capabilities.size_step
    cell = replace(cell, width=_multiple(cell.width, step), height=_multiple(cell.height, step))
    pinned = pin_cell(cell, capabilities)
    pinned = require_same_files(one.picture.file, one.cell, pinned, capabilities)
    if own and pinned.checkpoint.sha256 and not pinned.checkpoint.sha256.startswith(own):
        raise ConflictError(
            "LL630",
            f"{one.picture.file} was drawn with the checkpoint {one.picture.checkpoint} "
            f"({own[:10]}), but the WebUI at {capabilities.url} has another one of that name "
            f"({pinned.checkpoint.sha256[:10]}).",
            "Restore the checkpoint that it was drawn with.",
        )
    if own and not pinned.checkpoint.sha256:  # the answer is compared with what is known of it
        return replace(pinned, checkpoint=replace(pinned.checkpoint, sha256=own))
    return pinned


def cells_of(upscales: Sequence[Upscale]) -> CellPlan:
    """Return the cells in drawing order: one load per checkpoint."""
    return plan_cells(one.cell for one in upscales)


def draw_upscales(
    project: Project,
    upscales: Sequence[Upscale],
    ledger: Ledger,
    backends: Sequence[Backend],
    *,
    on_event: EventHandler = lambda event: None,
    stop: threading.Event | None = None,
) -> RunReport:
    """Draw what is missing; each larger picture lands in showcase/ beside its small one."""
    project.journal.append("upscale", files=[one.picture.file for one in upscales])
    by_key = {one.cell.key: one for one in upscales}
    landing = Landing(project)

    def land(event: CellEvent) -> None:
        if event.outcome.has_picture:
            one = by_key[event.cell.key]
            landing.land(shown_as(one), ledger.picture_path(one.cell.key))
        on_event(event)

    return run_cells(cells_of(upscales), ledger, backends, on_event=land, stop=stop)


def shown_as(one: Upscale) -> ShowPicture:
    """Return how the album describes the larger picture."""
    return replace(
        one.picture,
        file=picture_name(one.picture.lora or "upscaled", one.cell),
        key=one.cell.key,
        checkpoint=one.cell.checkpoint.title,
        checkpoint_sha256=one.cell.checkpoint.sha256 or one.picture.checkpoint_sha256,
        upscaled_from=one.picture.file,
    )
