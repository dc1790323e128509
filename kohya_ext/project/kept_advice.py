"""The newest advice on the epochs of a project, as it is kept in advice.json and shown anywhere.

Who makes it is no concern here; reports, packs and both host tabs read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import write_json_atomic
from .json_reader import read_json

FILE_NAME = "advice.json"
FORMAT = 1
_WIDTH, _HEIGHT, _MARGIN = 220, 56, 6

LINE_COLOUR, ALARM_COLOUR = "#3b82c4", "#d6453b"
"""Of curves: each has a contrast of at least 3:1 with the light and the dark of every page."""


@dataclass(frozen=True)
class AdvisedEpoch:
    """One epoch that the advice names; `place` reads `epoch 8 of 20 (1,776 steps)`."""

    name: str
    file: str
    place: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """One signal over the epochs; `bad` marks those beyond its limit."""

    name: str
    values: tuple[float | None, ...]
    bad: tuple[bool, ...]


@dataclass(frozen=True)
class KeptAdvice:
    """Advice as it was last given; `epochs` are the labels of the curves' points."""

    verdict: str
    summary: str
    picks: tuple[AdvisedEpoch, ...]
    not_measured: tuple[tuple[str, str], ...]
    curves: tuple[Curve, ...]
    epochs: tuple[str, ...]
    grids: tuple[str, ...] = ()
    is_simulated: bool = False


def write_advice(root: Path, data: Mapping[str, Any]) -> None:
    """Keep advice in a project's folder, as its maker gives it for JSON. Raises MachineError."""
    write_json_atomic(root / FILE_NAME, {"format": FORMAT, **data})


def read_advice(root: Path) -> KeptAdvice | None:
    """Return a project's newest advice, or None; a file that is damaged counts as none."""
    try:
        data = read_json(root / FILE_NAME)
        return parse_advice(data) if data["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is made again with `loraloom advise`


def advice_of_grid(root: Path, grid_id: str) -> KeptAdvice | None:
    """Return the newest advice if it rests on this grid."""
    found = read_advice(root)
    return found if found is not None and grid_id in found.grids else None


def parse_advice(data: Mapping[str, Any]) -> KeptAdvice:
    """Read advice from plain values; ValueError, KeyError or TypeError for anything else."""
    return KeptAdvice(
        verdict=str(data["verdict"]),
        summary=str(data["summary"]),
        picks=tuple(
            AdvisedEpoch(
                str(one["name"]),
                str(one["file"]),
                str(one["place"]),
                tuple(str(reason) for reason in one["reasons"]),
            )
            for one in data["picks"]
        ),
        not_measured=tuple((str(k), str(v)) for k, v in data["not_measured"].items()),
        curves=tuple(
            Curve(str(name), _numbers(one["values"]), tuple(bool(bad) for bad in one["bad"]))
            for name, one in data["signals"].items()
        ),
        epochs=tuple(str(one["name"]) for one in data["epochs"]),
        grids=tuple(str(one) for one in data.get("grids", ())),
        is_simulated=bool(data.get("is_simulated", False)),
    )


def _numbers(values: Sequence[Any]) -> tuple[float | None, ...]:
    return tuple(None if value is None else float(value) for value in values)


def describe_curve(curve: Curve, epochs: Sequence[str]) -> str:
    """Return a curve in words, for those who do not see it: `x-000001: 0.12, x-000002: 0.95`."""
    parts = [
        f"{name}: {value:.2f}"
        for name, value in zip(epochs, curve.values, strict=False)
        if value is not None
    ]
    return ", ".join(parts)


def sparkline(curve: Curve) -> str:
    """Draw a curve as a small SVG: a line over the epochs, points beyond the limit filled red."""
    points = [
        (index, value)
        for index, value in enumerate(curve.values)
        if value is not None and math.isfinite(value)
    ]
    low = min((value for _, value in points), default=0.0)
    high = max((value for _, value in points), default=1.0)
    span = high - low or 1.0
    last = max(1, len(curve.values) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        across = _MARGIN + index / last * (_WIDTH - 2 * _MARGIN)
        return round(across, 1), round(_HEIGHT - _MARGIN - (value - low) / span * 44, 1)

    line = " ".join("{},{}".format(*place(index, value)) for index, value in points)
    dots = "".join(
        '<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(
            *place(index, value),
            ALARM_COLOUR if index < len(curve.bad) and curve.bad[index] else LINE_COLOUR,
        )
        for index, value in points
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><polyline points="{line}" fill="none" '
        f'stroke="{LINE_COLOUR}" stroke-width="1.5"/>{dots}</svg>'
    )
