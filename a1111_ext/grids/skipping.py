"""Skip rules: combinations of axis values that are not drawn.

rule = NAME "=" values ("&" NAME "=" values)*      values = label ("|" label)*
A rule hits a cell whose value on every named axis is one of those listed; `*` matches any text.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from kohya_ext.project.errors import InputError, ToolError

from .axes import Axis, AxisValue, find_axis


@dataclass(frozen=True)
class SkipRule:
    """Cells to leave out: for some axes (by index) the values (by index) that it names."""

    text: str
    hits: tuple[tuple[int, frozenset[int]], ...]

    def skips(self, at: Sequence[int]) -> bool:
        """Tell whether the cell at these indices is left out."""
        return all(at[axis] in values for axis, values in self.hits)


def parse_skip_rule(text: str, axes: Sequence[Axis]) -> SkipRule:
    """Read one rule. Raises InputError for an axis or value that the grid has not."""
    hits = []
    for part in text.split("&"):
        name, equals, labels = part.partition("=")
        axis = find_axis(name, axes) if equals else None
        if axis is None:
            raise _wrong(text, f'the grid has no axis "{name.strip()}"', axes)
        values = frozenset(
            index
            for label in labels.split("|")
            for index in _value_indices(label.strip(), axes[axis], text)
        )
        hits.append((axis, values))
    return SkipRule(text, tuple(hits))


def _value_indices(label: str, axis: Axis, rule: str) -> list[int]:
    found = [index for index, one in enumerate(axis.values) if _matches(one, label)]
    if not found:
        labels = ", ".join(one.label for one in axis.values)
        raise InputError(
            "LL508",
            f'The skip rule "{rule}" names "{label}", which the axis {axis.name} does not have.',
            f"Its values are {labels}.",
        )
    return found


def _matches(value: AxisValue, label: str) -> bool:
    names = (value.label, value.note, *value.names)
    return any(name and fnmatch.fnmatchcase(name.casefold(), label.casefold()) for name in names)


def _wrong(rule: str, why: str, axes: Sequence[Axis]) -> ToolError:
    return InputError(
        "LL508",
        f'The skip rule "{rule}" cannot be used: {why}.',
        f"Write it as NAME=VALUE & NAME=VALUE; the axes are {', '.join(a.name for a in axes)}.",
    )
