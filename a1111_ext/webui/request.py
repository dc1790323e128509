"""What is asked of us, by a script's boxes or by a caller of our routes; no host modules.

A caller of the host's API fills the boxes with any JSON, so they are read as strictly as a route's
fields. Read at the host's start, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from kohya_ext.project import InputError, ToolError
from kohya_ext.project.manifest import GridSettings
from kohya_ext.project.manifest import PictureSettings as Usual
from kohya_ext.project.printable import shortened
from kohya_ext.project.wording import counted

from ..cells.cell import LARGEST_SIDE

_LIMITS: Mapping[str, tuple[float, float]] = {
    "width": (64, LARGEST_SIDE),
    "height": (64, LARGEST_SIDE),
    "steps": (1, 1000),
    "cfg_scale": (1, 30),
    "clip_skip": (0, 12),
}
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of texts",
}
_SEEDS = ", ".join(map(str, GridSettings.seeds))
PROJECT_FIELDS = ("prompt", "negative_prompt", "checkpoint", "seeds", "epochs", "axes", "control")
"""What may be asked for otherwise than a project's manifest says."""

NOT_DRAWN = "Not drawn"
"""The field of the answer of the host's API that says what is not drawn, and why."""


@dataclass(frozen=True)
class DrawRequest:
    """An epoch grid to be drawn; `epochs`, `seeds` and `axes` as in the script's boxes.

    Without a checkpoint and with clip skip 0 the WebUI draws as it is set.
    With a `project` its manifest says the rest, and `given` names what the caller wants otherwise.
    """

    prompt: str = ""
    negative_prompt: str = ""
    lora: str = ""
    epochs: str = "all"
    seeds: str = _SEEDS
    axes: str = ""
    control: bool = True
    width: int = Usual.width
    height: int = Usual.height
    steps: int = Usual.steps
    cfg_scale: float = Usual.cfg_scale
    sampler: str = Usual.sampler
    scheduler: str = Usual.scheduler
    clip_skip: int = 0
    checkpoint: str = ""
    project: str = ""
    given: tuple[str, ...] = ()


def parse_request(body: Mapping[str, Any]) -> DrawRequest:
    """Read the JSON object of a request; lists of numbers are taken for seeds and epochs.

    Raises InputError for an unknown field, a wrong type, a number out of range, or a field
    that a project's manifest decides.
    """
    known = {one.name: type(one.default) for one in fields(DrawRequest) if one.name != "given"}
    for name in body:
        if name not in known:
            raise _wrong(
                f'"{shortened(name)}" is not a field of a grid', f"Fields: {', '.join(known)}."
            )
    values = {name: _value(name, known[name], body[name]) for name in body}
    if values.get("project"):
        for name in values:
            if name not in ("project", *PROJECT_FIELDS):
                raise _wrong(
                    f'"{name}" is decided by the manifest of the project',
                    f"Write it there, or leave it out. Allowed: {', '.join(PROJECT_FIELDS)}.",
                )
    return DrawRequest(**values, given=tuple(one for one in values if one != "project"))


def _value(name: str, kind: type[Any], value: Any) -> Any:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if name in ("seeds", "epochs", "axes") and is_list:
        return ("\n" if name == "axes" else ", ").join(str(one) for one in value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise _wrong_kind(name, kind, value)
    low, high = _LIMITS.get(name, (None, None))
    if low is not None and high is not None and not low <= value <= high:
        raise _wrong(
            f'"{name}" is {shortened(str(value))}', f"It must be between {low:g} and {high:g}."
        )
    return value


def _wrong_kind(name: str, kind: type[Any], value: Any) -> ToolError:
    return _wrong(f'"{name}" is {shortened(repr(value))}', f"It must be {_WORDS[kind]}.")


def _wrong(what: str, cure: str) -> ToolError:
    return InputError("LL761", f"{what}.", cure)


@dataclass(frozen=True)
class Box:
    """A box of a script: its label, what stands in it at first, and the numbers that it takes."""

    label: str
    usual: Any
    low: int = 0
    high: int = 0

    def read(self, value: Any) -> Any:
        """Return what was filled in; a box that was emptied has its usual value.

        Raises InputError for another kind of value, or a number out of range.
        """
        kind = type(self.usual)
        if value is None:
            return self.usual
        if kind is tuple:
            return self._texts(value)
        if kind is str and type(value) in (int, float):
            return f"{value:g}" if type(value) is float else str(value)
        if kind is int and type(value) is float and value.is_integer():
            value = int(value)  # gradio's numbers are
        if type(value) is not kind:
            raise _wrong_kind(self.label, kind, value)
        if kind is int and not self.low <= value <= self.high:
            raise _wrong(
                f'"{self.label}" is {shortened(str(value))}',
                f"It must be between {self.low} and {self.high}.",
            )
        return value

    def _texts(self, value: Any) -> tuple[str, ...]:
        listed = list(value) if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(one, str) for one in listed):
            raise _wrong_kind(self.label, tuple, value)
        return tuple(dict.fromkeys(one for one in listed if one))


def read_boxes(script: str, boxes: Sequence[Box], values: Sequence[Any]) -> list[Any]:
    """Return what a script's boxes say, in their order; those that are left out as they are.

    Raises InputError for more values than boxes, or a value that a box cannot have.
    """
    if len(values) > len(boxes):
        labels = ", ".join(f'"{box.label}"' for box in boxes)
        raise _wrong(
            f'"{script}" was given {counted(len(values), "argument")}',
            f"It takes {len(boxes)}, in this order: {labels}.",
        )
    given = [*values, *(None for _ in boxes[len(values) :])]
    return [box.read(value) for box, value in zip(boxes, given, strict=True)]


@dataclass(frozen=True)
class Call:
    """One request: the names in its path, and its JSON object."""

    names: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class ShowcaseOptions:
    """What to show, as chosen in the script's boxes; without checkpoints the loaded one."""

    project: str = ""
    checkpoints: tuple[str, ...] = ()
    count: int = 10
    unlinked: bool = True
    balanced: bool = True


@dataclass(frozen=True)
class GridOptions:
    """What to compare, as typed: epochs, seeds, and whether a row without the LoRA is wanted.

    `axes` are further ones, one a line: `CFG Scale=5,7`.
    """

    epochs: str = "all"
    seeds: str = _SEEDS
    control: bool = True
    axes: str = ""

    @property
    def axis_lines(self) -> tuple[str, ...]:
        """The further axes, one text each."""
        return tuple(line.strip() for line in self.axes.splitlines() if line.strip())


GRID_BOXES = (
    Box("Seeds of the grid", GridOptions.seeds),
    Box("Epochs", GridOptions.epochs),
    Box("LoRA", ""),
    Box("First a row without the LoRA", GridOptions.control),
    Box("Show the single pictures, too", True),
    Box("Further axes", GridOptions.axes),
)
"""In the order in which the host hands them to the script."""

SHOWCASE_BOXES = (
    Box("Project", ""),
    Box("Checkpoints", ()),
    Box("Pictures per checkpoint", ShowcaseOptions.count, 1, 1000),
    Box("Unlink seed from prompt", ShowcaseOptions.unlinked),
    Box("Balanced", ShowcaseOptions.balanced),
)
"""In the order of ShowcaseOptions."""


def read_grid_boxes(script: str, values: Sequence[Any]) -> tuple[GridOptions, str, bool]:
    """Return what the epoch grid's boxes say: options, LoRA, and whether cells are shown."""
    seeds, epochs, lora, control, with_cells, axes = read_boxes(script, GRID_BOXES, values)
    return GridOptions(epochs, seeds, control, axes), lora.strip(), with_cells


def read_showcase_boxes(script: str, values: Sequence[Any]) -> ShowcaseOptions:
    """Return what the showcase's boxes say."""
    return ShowcaseOptions(*read_boxes(script, SHOWCASE_BOXES, values))
