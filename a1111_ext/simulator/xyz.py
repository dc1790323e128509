"""The X/Y/Z plot of the simulator: positional arguments, index of an axis, blank failed cells.

As measured on v1.10.1: axes with choices read the drop-down list unless csv_mode is on, and a
wrong slot gives status 200 without a picture; the main grid comes first, without infotext chunk.
"""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import math
import random
from collections.abc import Callable
from typing import Any

from .cards import encode_png
from .refusal import HttpRefusal

ARGUMENTS = 18
_Change = Callable[[dict[str, Any], str, str], None]
_Draw = Callable[[dict[str, Any]], "dict[str, Any] | None"]
"""Draws one cell of the plot, inside the plot's own request; None for one that is left blank."""


def _set(field: str, kind: Callable[[str], Any]) -> _Change:
    def change(body: dict[str, Any], value: str, first: str) -> None:
        body[field] = kind(value)

    return change


def _override(name: str, kind: Callable[[str], Any]) -> _Change:
    def change(body: dict[str, Any], value: str, first: str) -> None:
        body["override_settings"] = {**(body.get("override_settings") or {}), name: kind(value)}

    return change


def _replace(body: dict[str, Any], value: str, first: str) -> None:
    prompt, negative = str(body.get("prompt", "")), str(body.get("negative_prompt", ""))
    if first not in prompt and first not in negative:
        raise HttpRefusal(
            500, "RuntimeError", f"Prompt S/R did not find {first} in prompt or negative prompt."
        )
    body["prompt"] = prompt.replace(first, value)
    body["negative_prompt"] = negative.replace(first, value)


AXES: tuple[tuple[str, bool, _Change], ...] = (
    ("Nothing", False, lambda body, value, first: None),
    ("Seed", False, _set("seed", int)),
    ("Steps", False, _set("steps", int)),
    ("CFG Scale", False, _set("cfg_scale", float)),
    ("Prompt S/R", False, _replace),
    ("Sampler", True, _set("sampler_name", str)),
    ("Checkpoint name", True, _override("sd_model_checkpoint", str)),
    ("Schedule type", True, _set("scheduler", str)),
    ("Clip skip", False, _override("CLIP_stop_at_last_layers", int)),
)
"""Label, whether it has choices, and what a value changes."""


def script_info() -> list[dict[str, Any]]:
    """Return what /script-info tells of the X/Y/Z plot."""
    choices = [label for label, _, _ in AXES]
    rows: list[dict[str, Any]] = [
        {"label": f"{axis} type", "value": "Nothing", "choices": choices}
        for axis in ("X", "Y", "Z")
    ]
    values: dict[str, Any] = {"label": "values", "choices": None}
    args = [one for row in rows for one in (row, values, values)]
    names = (
        "Draw legend", "Include Sub Images", "Include Sub Grids", "Keep -1 for seeds",
        "Vary seeds for X", "Vary seeds for Y", "Vary seeds for Z", "Grid margins (px)",
        "Use text inputs instead of dropdowns",
    )  # fmt: skip
    args += [{"label": name, "choices": None} for name in names]
    return [
        {"name": "x/y/z plot", "is_alwayson": False, "is_img2img": is_img2img, "args": args}
        for is_img2img in (False, True)
    ]


def draw_plot(body: dict[str, Any], draw: _Draw, count: Callable[[int], None]) -> dict[str, Any]:
    """Draw all cells, x fastest; a cell that fails is blank, with status 200.

    `count` is told how many there are.
    """
    args = list(body.get("script_args") or [])
    if len(args) < ARGUMENTS:
        raise HttpRefusal(500, "TypeError", "run() missing required positional arguments")
    axes = [_axis(args[start : start + 3], csv_mode=bool(args[17])) for start in (0, 3, 6)]
    if any(not values for _, values in axes):
        return _answer(body, [], [], [])
    count(math.prod(len(values) for _, values in axes))
    images: list[str] = []
    infotexts: list[str] = []
    seeds: list[int | None] = []
    for z, y, x in itertools.product(*(values for _, values in reversed(axes))):
        picture, text, seed = _cell(body, axes, (x, y, z), draw)
        images.append(picture)
        infotexts.append(text)
        seeds.append(seed)
    from PIL import Image

    grid = base64.b64encode(encode_png(Image.new("RGB", (64, 64), (200, 200, 200)), ""))
    shown = [grid.decode("ascii"), *(images if args[10] else [])]
    return _answer(body, shown, [infotexts[0] if infotexts else "", *infotexts], seeds)


def _axis(args: list[Any], *, csv_mode: bool) -> tuple[int, list[str]]:
    index, text, chosen = args
    if not isinstance(index, int):
        raise HttpRefusal(500, "TypeError", "list indices must be integers or slices, not str")
    label, has_choices, _ = AXES[index]
    if label == "Nothing":
        return index, [""]
    if has_choices and not csv_mode:
        return index, list(chosen or [])
    rows = csv.reader(io.StringIO(str(text)), skipinitialspace=True)
    values = [value.strip() for row in rows for value in row]
    if label == "Seed":
        drawn = (random.randrange(1 << 32) if value == "-1" else value for value in values)
        values = [str(value) for value in drawn]
    return index, values


def _cell(
    body: dict[str, Any],
    axes: list[tuple[int, list[str]]],
    at: tuple[str, str, str],
    draw: _Draw,
) -> tuple[str, str, int | None]:
    one = {
        key: value
        for key, value in body.items()
        if key not in ("script_name", "script_args", "override_settings")
    } | {"override_settings": dict(body.get("override_settings") or {})}
    for (index, values), value in zip(axes, at, strict=True):
        AXES[index][2](one, value, values[0])
    try:
        answer = draw(one)
    except HttpRefusal as refusal:
        if refusal.status != 500:
            raise
        answer = None
    if answer is None:
        return base64.b64encode(_blank(one)).decode("ascii"), "", None
    info = json.loads(answer["info"])
    return answer["images"][0], info["infotexts"][0], info["all_seeds"][0]


def _blank(body: dict[str, Any]) -> bytes:
    from PIL import Image

    size = int(body.get("width", 512)), int(body.get("height", 512))
    return encode_png(Image.new("RGB", size), "")


def _answer(
    body: dict[str, Any], images: list[str], infotexts: list[str], seeds: list[int | None]
) -> dict[str, Any]:
    info = {
        "prompt": body.get("prompt", ""),
        "all_seeds": seeds or [-1],
        "infotexts": infotexts,
        "sd_model_hash": "",
        "version": "v1.10.1",
    }
    return {"images": images, "parameters": body, "info": json.dumps(info)}
