"""Axes: what may vary in a grid, as values that each change a cell in a few named ways.

Values are read with the syntax of the WebUI's X/Y/Z plot and called as it calls them. LoRA tags
are replaced as whole tokens: no text search ever cuts a name or a number in two.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from kohya_ext.project.errors import InputError
from kohya_ext.project.printable import shortened
from kohya_ext.project.wording import counted

from ..cells.cell import Cell, CheckpointPin, HiresFix
from .values import parse_list, parse_real_numbers, parse_whole_numbers

_TOKEN = re.compile(r"<(?:lora|lyco):[^<>]*>")
_OWN_TOKEN = re.compile(r"<(?:lora|lyco):\{lora\}:([^<>]*)>")
LARGEST_RANDOM_SEED = 4_294_967_293
"""The WebUI draws its own random seeds from 0 to this number."""
_MOST_IN_A_ROW = 10_000


@dataclass(frozen=True)
class Edit:
    """One named change of a cell; a subclass says which."""

    def apply(self, cell: Cell) -> Cell:
        """Return the changed cell."""
        raise NotImplementedError


@dataclass(frozen=True)
class SetField(Edit):
    """Set a field of the cell, or with a dot one of its hires fix."""

    field: str
    value: Any

    def apply(self, cell: Cell) -> Cell:
        if not self.field.startswith("hires_fix."):
            return replace(cell, **{self.field: self.value})
        hires = replace(cell.hires_fix or HiresFix(), **{self.field.partition(".")[2]: self.value})
        return replace(cell, hires_fix=hires)


@dataclass(frozen=True)
class SetSize(Edit):
    """Set width and height in pixels."""

    width: int
    height: int

    def apply(self, cell: Cell) -> Cell:
        return replace(cell, width=self.width, height=self.height)


@dataclass(frozen=True)
class ReplaceText(Edit):
    """Prompt S/R: replace a text in prompt and negative prompt, everywhere, case-sensitively."""

    search: str
    replacement: str

    def apply(self, cell: Cell) -> Cell:
        shown = cell.prompt
        for use in cell.loras:  # its weight can be searched for, as in a tag
            shown = shown.replace("{lora}", f"<lora:{{lora}}:{use.weight}>")
        prompt, hits = replace_text(shown, self.search, self.replacement)
        negative, more = replace_text(cell.negative_prompt, self.search, self.replacement)
        if not hits + more:
            raise InputError(
                "LL507",
                f'Prompt S/R did not find "{shortened(self.search)}" in the prompt or negative '
                "prompt.",
                "The first value is the text to search for; an earlier axis may have replaced it.",
            )
        loras = cell.loras
        for found in _OWN_TOKEN.finditer(prompt):
            loras = tuple(replace(use, weight=found[1]) for use in loras)
        prompt = _OWN_TOKEN.sub("{lora}", prompt)
        return replace(cell, prompt=prompt, negative_prompt=negative, loras=loras)


@dataclass(frozen=True)
class SetPrompt(Edit):
    """Use another prompt or template."""

    text: str

    def apply(self, cell: Cell) -> Cell:
        return replace(cell, prompt=self.text)


@dataclass(frozen=True)
class UseLora(Edit):
    """Let `{lora}` name this LoRA; an empty name is the control, which has no tag."""

    name: str

    def apply(self, cell: Cell) -> Cell:
        return replace(cell, loras=tuple(replace(one, name=self.name) for one in cell.loras))


@dataclass(frozen=True)
class SetLoraWeight(Edit):
    """Set the weight of the LoRA that `{lora}` names."""

    weight: float

    def apply(self, cell: Cell) -> Cell:
        weight = f"{self.weight:g}"
        return replace(cell, loras=tuple(replace(one, weight=weight) for one in cell.loras))


@dataclass(frozen=True)
class AxisValue:
    """One value: its label, what it changes, and for an epoch other names and its file's name."""

    label: str
    edits: tuple[Edit, ...]
    names: tuple[str, ...] = ()
    file: str = ""
    is_control: bool = False

    @property
    def note(self) -> str:
        """What is below the label: `epoch 4 · step 1200`."""
        return " · ".join(self.names)


@dataclass(frozen=True)
class Axis:
    """An axis in the WebUI's own name; `about_lora` when a control does not depend on it."""

    name: str
    values: tuple[AxisValue, ...]
    about_lora: bool = False


def find_axis(name: str, axes: Sequence[Axis]) -> int | None:
    """Return the index of the axis of this name, in whatever case."""
    wanted = name.strip().casefold()
    return next((i for i, one in enumerate(axes) if one.name.casefold() == wanted), None)


# -- whole tokens -----------------------------------------------------------------------------


def replace_text(text: str, search: str, replacement: str) -> tuple[str, int]:
    """Replace `search` as the WebUI does, but never a part of a LoRA's name or number.

    Inside a tag, a hit counts only when it does not begin or end in the middle of a word or
    number: `-000001` is not found in `<lora:a-0000010:1>`. Returns the text and the hits.
    """
    if not search:
        return text, 0
    tags = [(found.start(), found.end()) for found in _TOKEN.finditer(text)]
    parts: list[str] = []
    done = hits = 0
    place = text.find(search)
    while place >= 0:
        end = place + len(search)
        if _may_replace(text, place, end, tags):
            parts += (text[done:place], replacement)
            done, hits = end, hits + 1
            place = text.find(search, end)
        else:
            place = text.find(search, place + 1)
    parts.append(text[done:])
    return "".join(parts), hits


def _may_replace(text: str, start: int, end: int, tags: Sequence[tuple[int, int]]) -> bool:
    inside_start = any(a < start < b for a, b in tags)
    inside_end = any(a < end < b for a, b in tags)
    cuts_before = inside_start and _one_word(text[start - 1], text[start])
    cuts_after = inside_end and _one_word(text[end - 1], text[end])
    return not cuts_before and not cuts_after


def _one_word(left: str, right: str) -> bool:
    """Tell whether two neighbours belong to one name or number; `0.8` is one number."""
    if left == "." or right == ".":
        return (left + right).strip(".").isdigit()
    return (left.isalnum() or left == "_") and (right.isalnum() or right == "_")


# -- reading axes -----------------------------------------------------------------------------


def resolve_seeds(
    seeds: Sequence[int], rng: random.Random, *, in_a_row: bool = False
) -> tuple[int, ...]:
    """Draw each -1 once, so that every row has the same seeds.

    `in_a_row` lets a -1 follow the seed before it, for drawing several in one request.
    """
    found: list[int] = []
    for seed in seeds:
        if seed != -1:
            found.append(seed)
        elif in_a_row and found:
            found.append(found[-1] + 1)
        else:
            found.append(rng.randint(0, LARGEST_RANDOM_SEED - _MOST_IN_A_ROW))
    return tuple(found)


def parse_axis(text: str, rng: random.Random) -> Axis:
    """Read `Name=values`, for example `CFG Scale=5,7` or `Prompt S/R=red,"blue, dark"`.

    Raises InputError (for an axis that there is not; for a value).
    """
    name, equals, values = text.partition("=")
    kind = _kind(name) if equals else None
    if not equals and _kind(name):
        raise InputError(
            "LL505", f'The axis "{text.strip()}" has no values.', "Write it as NAME=VALUES."
        )
    if kind is None:
        close = get_close_matches(name.strip(), [one.name for one in KINDS], n=2, cutoff=0.4)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise InputError(
            "LL505",
            f'There is no axis "{shortened(name.strip())}".'
            if equals
            else f'"{shortened(text)}" is not an axis.',
            f"{hint}Write it as NAME=VALUES; the axes are {', '.join(one.name for one in KINDS)}.",
        )
    found = kind.read(values, kind.name, rng)
    if not found:
        raise InputError(
            "LL506", f"The axis {kind.name} has no values.", "Write them after the equals sign."
        )
    return Axis(kind.name, found, kind.about_lora)


@dataclass(frozen=True)
class AxisKind:
    """A kind of axis: its name on screen and how its values are read."""

    name: str
    read: Callable[[str, str, random.Random], tuple[AxisValue, ...]]
    about_lora: bool = False


def _kind(name: str) -> AxisKind | None:
    plain = _plain(name)
    return next((one for one in KINDS if _plain(one.name) == plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s._]+", "", name).casefold()


def seed_axis(seeds: Sequence[int]) -> Axis:
    """Make the axis of seeds, all of them resolved."""
    values = tuple(AxisValue(str(seed), (SetField("seed", seed),)) for seed in seeds)
    return Axis("Seed", values)


def weight_axis(weights: Sequence[float]) -> Axis:
    """Make the axis of LoRA weights."""
    values = tuple(AxisValue(f"{weight:g}", (SetLoraWeight(weight),)) for weight in weights)
    return Axis("LoRA weight", values, about_lora=True)


def _seeds(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return seed_axis(resolve_seeds(parse_whole_numbers(text, axis), rng)).values


def _weights(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return weight_axis(parse_real_numbers(text, axis)).values


def _whole_field(field: str, least: int) -> Callable[..., tuple[AxisValue, ...]]:
    def read(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
        numbers = parse_whole_numbers(text, axis)
        _require_least(numbers, least, axis)
        return tuple(AxisValue(str(one), (SetField(field, one),)) for one in numbers)

    return read


def _real_field(field: str, least: float) -> Callable[..., tuple[AxisValue, ...]]:
    def read(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
        numbers = parse_real_numbers(text, axis)
        _require_least(numbers, least, axis)
        return tuple(AxisValue(f"{one:g}", (SetField(field, one),)) for one in numbers)

    return read


def _require_least(numbers: Sequence[float], least: float, axis: str) -> None:
    small = next((one for one in numbers if one < least), None)
    if small is not None:
        raise InputError(
            "LL506",
            f"The axis {axis} has the value {small:g}, which is below {least:g}.",
            "Correct it.",
        )


def _words_field(field: str) -> Callable[..., tuple[AxisValue, ...]]:
    def read(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
        return tuple(AxisValue(one, (SetField(field, one),)) for one in parse_list(text))

    return read


def _checkpoints(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return tuple(
        AxisValue(one, (SetField("checkpoint", CheckpointPin(one)),)) for one in parse_list(text)
    )


def _sizes(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return tuple(_size(one, axis) for one in parse_list(text))


def _size(text: str, axis: str) -> AxisValue:
    found = re.fullmatch(r"(\d+)\s*[x×]\s*(\d+)", text)
    if not found or min(int(found[1]), int(found[2])) < 8:
        raise InputError(
            "LL506",
            f'The value "{shortened(text)}" of the axis {axis} is not a size.',
            "Write it as 512x768.",
        )
    width, height = int(found[1]), int(found[2])
    return AxisValue(f"{width}x{height}", (SetSize(width, height),))


def _prompts(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return tuple(AxisValue(one, (SetPrompt(one),)) for one in parse_list(text))


def _search_replace(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    values = parse_list(text)
    return tuple(AxisValue(one, (ReplaceText(values[0], one),)) for one in values)


def _several(text: str, axis: str, rng: random.Random) -> tuple[AxisValue, ...]:
    return tuple(_combination(one, axis, rng) for one in parse_list(text))


def _combination(text: str, axis: str, rng: random.Random) -> AxisValue:
    """Read one value that changes several things.

    value = [label ":"] change (";" change)*     change = search "=>" replacement | NAME "=" value
    """
    label, body = text, text
    named = re.match(r"\s*([^:;<>=]+):\s+(?=\S)", text)
    if named:
        label, body = named[1].strip(), text[named.end() :]
    edits: list[Edit] = []
    for change in filter(None, map(str.strip, body.split(";"))):
        search, arrow, replacement = change.partition("=>")
        if arrow:
            edits.append(ReplaceText(search.strip(), replacement.strip()))
        elif change not in {"-", "as it is"}:
            one = parse_axis(change, rng)
            if len(one.values) != 1:
                raise InputError(
                    "LL506",
                    f'The change "{shortened(change)}" of the axis {axis} has '
                    f"{counted(len(one.values), 'value')}.",
                    "Give one value; quote it where it has a comma.",
                )
            edits += one.values[0].edits
    return AxisValue(label, tuple(edits))


KINDS: tuple[AxisKind, ...] = (
    AxisKind("LoRA weight", _weights, about_lora=True),
    AxisKind("Seed", _seeds),
    AxisKind("Checkpoint name", _checkpoints),
    AxisKind("Prompt S/R", _search_replace),
    AxisKind("Several", _several),
    AxisKind("Prompt", _prompts),
    AxisKind("Negative prompt", _words_field("negative_prompt")),
    AxisKind("Sampler", _words_field("sampler")),
    AxisKind("Schedule type", _words_field("scheduler")),
    AxisKind("Steps", _whole_field("steps", 1)),
    AxisKind("Distilled CFG Scale", _real_field("distilled_cfg_scale", 0)),
    AxisKind("Shift", _real_field("distilled_cfg_scale", 0)),
    AxisKind("CFG Scale", _real_field("cfg_scale", 0)),
    AxisKind("Size", _sizes),
    AxisKind("Clip skip", _whole_field("clip_skip", 1)),
    AxisKind("VAE", _words_field("vae")),
    AxisKind("Var. seed", _whole_field("subseed", -1)),
    AxisKind("Var. strength", _real_field("subseed_strength", 0)),
    AxisKind("Hires upscaler", _words_field("hires_fix.upscaler")),
    AxisKind("Hires upscale", _real_field("hires_fix.scale", 1)),
    AxisKind("Hires steps", _whole_field("hires_fix.steps", 0)),
    AxisKind("Denoising", _real_field("hires_fix.denoising_strength", 0)),
)
"""All axes but the epochs, which come from the project's own files."""
