"""A grid drawn by the WebUI's own X/Y/Z plot: one request, whose answer becomes our cells.

Axis indices are looked up in /script-info at run time, values go into the slot that the axis
reads; the script answers status 200 and blank pictures to much that is wrong.
"""

from __future__ import annotations

import binascii
import csv
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kohya_ext.project.errors import HostError, InputError, ToolError
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.wording import counted

from ..api.client import PICTURE_SECONDS, ConnectionLost, OutOfMemory
from ..cells.backend import Backend, HttpBackend
from ..cells.cell import Cell
from ..cells.own_vae import asks_for_vae
from ..cells.verify import Generated

SCRIPT = "x/y/z plot"
UNCHECKED = (
    "the plot was one request: the WebUI's progress and memory were not measured, and a cell "
    "that it left blank has no reason"
)
_OTHERS: tuple[tuple[str, str, Callable[[Cell], Any]], ...] = (
    ("Checkpoint name", "checkpoint", lambda cell: cell.checkpoint.title),
    ("VAE", "vae", lambda cell: cell.vae),
    ("Sampler", "sampler", lambda cell: cell.sampler),
    ("Schedule type", "scheduler", lambda cell: cell.scheduler),
    ("Steps", "steps", lambda cell: cell.steps),
    ("CFG Scale", "cfg_scale", lambda cell: cell.cfg_scale),
    ("Clip skip", "clip_skip", lambda cell: cell.clip_skip),
    ("Size", "width and height", lambda cell: f"{cell.width}x{cell.height}"),
    ("Var. seed", "subseed", lambda cell: cell.subseed),
    ("Var. strength", "subseed_strength", lambda cell: cell.subseed_strength),
)
"""Axes of the plot besides seed and prompt: label, field, and a cell's value."""


@dataclass(frozen=True)
class PlotAxis:
    """One axis of the plot: its label there, and its values as text."""

    label: str
    values: tuple[str, ...]
    read: Callable[[Cell], str]


@dataclass(frozen=True)
class Plot:
    """A grid as an X/Y/Z plot: x runs fastest; `cells` in the order of the answer."""

    axes: tuple[PlotAxis, PlotAxis, PlotAxis]
    base: Cell
    cells: tuple[Cell, ...]


_NOTHING = PlotAxis("Nothing", ("",), lambda cell: "")


def plan_plot(cells: Sequence[Cell]) -> Plot:
    """Turn cells into one plot: seeds on X, prompts on Y as Prompt S/R, one more thing on Z.

    Raises InputError when the plot's three axes cannot express the cells.
    """
    unique = list({cell.key: cell for cell in cells}.values())
    base = unique[0]
    varying = [
        PlotAxis(label, values, lambda cell, read=read: str(read(cell)))  # type: ignore[misc]
        for label, _, read in _OTHERS
        if len(values := _distinct(unique, read)) > 1
    ]
    seeds = PlotAxis("Seed", _distinct(unique, lambda cell: cell.seed), lambda c: str(c.seed))
    prompts = _distinct(unique, lambda cell: cell.prompt)
    search = PlotAxis("Prompt S/R", prompts, lambda cell: cell.prompt)
    if len(varying) > 1:
        raise _impossible(f"besides seeds and prompts, several settings vary ({len(varying)})")
    axes = (
        seeds if len(seeds.values) > 1 else _NOTHING,
        search if len(prompts) > 1 else _NOTHING,
        varying[0] if varying else _NOTHING,
    )
    places = {tuple(axis.read(cell) for axis in axes): cell for cell in unique}
    order = [
        places.get((x, y, z))
        for z, y, x in itertools.product(axes[2].values, axes[1].values, axes[0].values)
    ]
    found = tuple(cell for cell in order if cell is not None)
    if len(found) != len(order) or len(found) != len(unique):
        raise _impossible(
            "the cells are not a full table (a template draws another text for each seed, a skip "
            "rule leaves some out, or more than three things vary)"
        )
    return Plot(axes, base, found)


def _distinct(cells: Sequence[Cell], read: Callable[[Cell], Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(read(cell)) for cell in cells))


def _impossible(why: str) -> ToolError:
    return InputError(
        "LL515",
        f"The WebUI's X/Y/Z plot cannot draw this grid: {why}.",
        "Leave out --server-side; the pictures are identical.",
    )


def script_arguments(plot: Plot, script_info: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the script's positional arguments as this WebUI wants them.

    Raises InputError when it has no such script or axis.
    """
    is_img2img = plot.base.source is not None
    about = next(
        (
            one
            for one in script_info
            if one["name"].lower() == SCRIPT and one["is_img2img"] is is_img2img
        ),
        None,
    )
    if about is None:
        raise InputError("LL516", "The WebUI has no X/Y/Z plot.", "Leave out --server-side.")
    arguments = [one.get("value") for one in about["args"]]
    choices = list(about["args"][0].get("choices") or ())
    for number, axis in enumerate(plot.axes):
        start = 3 * number
        if axis.label not in choices:
            raise InputError(
                "LL516",
                f"The X/Y/Z plot of this WebUI has no axis {axis.label}.",
                "Leave out --server-side.",
            )
        with_choices = axis.label in _FROM_CHOICES
        arguments[start] = choices.index(axis.label)
        arguments[start + 1] = "" if with_choices else _csv(axis.values)
        arguments[start + 2] = list(axis.values) if with_choices else []
    labels = [str(one.get("label")) for one in about["args"]]
    for label, value in _SWITCHES.items():
        if label in labels:
            arguments[labels.index(label)] = value
    return arguments


_FROM_CHOICES = {"Checkpoint name", "VAE", "Sampler", "Schedule type"}
_SWITCHES: dict[str, Any] = {
    "Draw legend": False,
    "Include Sub Images": True,
    "Include Sub Grids": False,
    "Keep -1 for seeds": False,
    "Vary seeds for X": False,
    "Vary seeds for Y": False,
    "Vary seeds for Z": False,
    "Use text inputs instead of dropdowns": False,
}


def _csv(values: Sequence[str]) -> str:
    if values == ("",):
        return ""
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="").writerow(values)
    return stream.getvalue()


class XyzPlotBackend(Backend):
    """Hands out the pictures of one plot, cell by cell, to the engine that checks them."""

    def __init__(self, webui: HttpBackend, cells: Sequence[Cell]) -> None:
        self.name = webui.name
        self._webui = webui
        self._plot = plan_plot(cells)
        settings = webui.capabilities.settings
        if webui.capabilities.keeps_vae and len({asks_for_vae(one, settings) for one in cells}) > 1:
            raise _impossible("this WebUI would draw cells without a VAE with that of others")
        self._generated: dict[str, Generated | None] | None = None
        self._refusal: ToolError | None = None

    def may_keep(self, name: str) -> bool:
        """Whether the WebUI may draw with an earlier file of a LoRA's name."""
        return self._webui.may_keep(name)

    def forget_loras(self, checkpoint: str) -> None:
        """Let the WebUI read LoRA files again, before the plot is asked for, or asked for again."""
        self._generated = None
        self._webui.forget_loras(checkpoint)

    def forget_vae(self, checkpoint: str) -> None:
        """Let the WebUI read its VAE again, before the plot is asked for."""
        if self._generated is None:
            self._webui.forget_vae(checkpoint)

    def prepare_vae(self, cell: Cell) -> str:
        """Have the checkpoint's own VAE loaded before the plot is asked for."""
        return self._webui.prepare_vae(cell) if self._generated is None else ""

    def forget_checkpoint(self, title: str) -> bool:
        """Let the WebUI draw with another checkpoint, and the plot be asked for again."""
        self._generated = None
        return self._webui.forget_checkpoint(title)

    def forget_embeddings(self, title: str) -> bool:
        """Let the WebUI read embeddings again, and the plot be asked for again."""
        self._generated = None
        return self._webui.forget_embeddings(title)

    def lacks(self, cell: Cell) -> str:
        """Say what the WebUI lacks for a cell."""
        return self._webui.lacks(cell)

    def replaced(self, cell: Cell) -> str:
        """Name a file of a cell that was replaced since it was pinned."""
        return self._webui.replaced(cell)

    def interrupt(self, cells: Sequence[Cell]) -> bool:
        """End the plot, whichever of its cells it is at."""
        return self._webui.interrupt([self._plot.base])

    def has_task(self, cells: Sequence[Cell]) -> bool:
        """Tell whether the plot waits or is in progress."""
        return self._webui.has_task([self._plot.base])

    def generate(self, cell: Cell) -> Generated:
        """Return a cell's picture; the first call asks for the whole plot.

        Raises HostError (for a cell that the plot left blank; for a wrong answer).
        """
        if self._refusal is not None:
            raise self._refusal
        if self._generated is None:
            try:
                self._generated = self._ask()
            except (ConnectionLost, OutOfMemory):
                raise
            except ToolError as error:  # every other cell would ask for the whole plot again
                self._refusal = error
                raise
        generated = self._generated.get(cell.key)
        if generated is None:
            raise HostError(
                "LL517",
                "The WebUI's X/Y/Z plot left this cell blank, with status 200.",
                "The WebUI's console may say why.",
            )
        return generated

    def _ask(self) -> dict[str, Generated | None]:
        plot = self._plot
        client = self._webui.client
        arguments = script_arguments(plot, client.get("/sdapi/v1/script-info"))
        self._webui.hold_settings()
        route, body = self._webui.request_of(plot.base)
        body |= {"script_name": SCRIPT, "script_args": arguments}
        body["override_settings"] = {
            key: value
            for key, value in body["override_settings"].items()
            if key not in _overridden_by(plot)
        }
        body["override_settings"]["grid_save"] = False
        answer = client.post(route, body, seconds=PICTURE_SECONDS * len(plot.cells))
        return self._read(answer)

    def _read(self, answer: Any) -> dict[str, Generated | None]:
        """Skip the main grid; what follows is aligned with the infotexts."""
        cells = self._plot.cells
        try:
            info = parse_json(answer["info"])
            images, texts = answer["images"][1:], info["infotexts"][1:]
            if len(images) != len(cells):
                raise ValueError(
                    f"{counted(len(images), 'picture')} for {counted(len(cells), 'cell')}"
                )
            return {
                cell.key: Generated(binascii.a2b_base64(image), str(text), "", 0.0)
                if text
                else None
                for cell, image, text in zip(cells, images, texts, strict=True)
            }
        except (KeyError, TypeError, ValueError) as error:
            raise HostError(
                "LL451",
                f"The X/Y/Z plot of the WebUI at {self.name} gave no usable answer: {error}.",
                "See the WebUI's console.",
            ) from error

    def close(self) -> None:
        """Put the WebUI's settings back."""
        self._webui.close()


def _overridden_by(plot: Plot) -> set[str]:
    """Return options that an axis of the plot sets itself."""
    labels = {axis.label for axis in plot.axes}
    names = {"Checkpoint name": "sd_model_checkpoint", "VAE": "sd_vae"}
    return {names[label] for label in labels & set(names)} | (
        {"CLIP_stop_at_last_layers"} if "Clip skip" in labels else set()
    )
