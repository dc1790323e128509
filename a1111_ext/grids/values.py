"""Axis values as the WebUI's X/Y/Z plot reads them: csv with quotes, ranges, counts.

values = value ("," value)*              csv; `"a, b"` and `""` as usual; line ends separate too
range  = start "-" end ["(" step ")"]    1-5, 1-10 (+4), 0.5-1 (+0.25)
count  = start "-" end "[" number "]"    1-10 [3]: so many values from start to end
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from typing import Any

from kohya_ext.project.errors import InputError, ToolError
from kohya_ext.project.printable import shortened

_WHOLE = r"\s*((?:[+-]\s*)?\d+)\s*-\s*((?:[+-]\s*)?\d+)"
_REAL = r"\s*((?:[+-]\s*)?\d+(?:\.\d*)?)\s*-\s*((?:[+-]\s*)?\d+(?:\.\d*)?)"
_WHOLE_RANGE = re.compile(_WHOLE + r"(?:\s*\(([+-]\d+)\s*\))?\s*")
_WHOLE_COUNT = re.compile(_WHOLE + r"\s*\[(\d+)\s*\]\s*")
_REAL_RANGE = re.compile(_REAL + r"(?:\s*\(([+-]\d+(?:\.\d*)?)\s*\))?\s*")
_REAL_COUNT = re.compile(_REAL + r"\s*\[(\d+)\s*\]\s*")
_DIGITS = re.compile(r"\d+").findall
_MOST_VALUES = 10_000
_MOST_DIGITS = 18
_LONGEST_VALUE = 100
_NO_NUMBER = "it is neither a number nor a range such as 1-10 (+3)"


def parse_list(text: str) -> tuple[str, ...]:
    """Split csv text into values, without the spaces around them. Raises InputError."""
    rows = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        return tuple(value.strip() for row in rows for value in row)
    except csv.Error as error:
        raise InputError(
            "LL506",
            f'The values "{shortened(text)}" are not valid csv: {error}.',
            "Correct them.",
        ) from error


def parse_whole_numbers(text: str, axis: str) -> tuple[int, ...]:
    """Read whole numbers, ranges and counts, at least one. Raises InputError."""
    found: list[int] = []
    for value in _values(text, axis):
        if match := _WHOLE_RANGE.fullmatch(value):
            start, end = _whole(match[1]), _whole(match[2])
            numbers = range(start, end + 1, _step(int(match[3] or 1), value, axis))
            _require_some_but_few(len(numbers), value, axis)
            found += numbers
        elif match := _WHOLE_COUNT.fullmatch(value):
            found += map(int, _spread(_whole(match[1]), _whole(match[2]), int(match[3]), axis))
        else:
            found.append(_number(int, value, axis))
    return tuple(found)


def parse_real_numbers(text: str, axis: str) -> tuple[float, ...]:
    """Read numbers, ranges and counts, at least one. Raises InputError."""
    found: list[float] = []
    for value in _values(text, axis):
        if match := _REAL_RANGE.fullmatch(value):
            start, end = _real(match[1]), _real(match[2])
            step = _step(float(match[3] or 1), value, axis)
            count = math.ceil((end + step - start) / step)  # as numpy.arange(start, end + step)
            _require_some_but_few(count, value, axis)
            found += [round(start + step * index, 8) for index in range(count)]
        elif match := _REAL_COUNT.fullmatch(value):
            found += _spread(_real(match[1]), _real(match[2]), int(match[3]), axis)
        else:
            found.append(_number(float, value, axis))
    return tuple(found)


def _values(text: str, axis: str) -> Iterator[str]:
    """Yield the values that are not empty; none is longer than any number that can be meant."""
    values = [value for value in parse_list(text) if value]
    if not values:
        raise InputError("LL506", f"The axis {axis} has no values.", "Give one or more numbers.")
    for value in values:
        if len(value) > _LONGEST_VALUE or any(len(one) > _MOST_DIGITS for one in _DIGITS(value)):
            if not _DIGITS(value):
                raise _wrong(value, axis, _NO_NUMBER)
            raise _wrong(value, axis, f"a number has at most {_MOST_DIGITS} digits")
        yield value


def _whole(text: str) -> int:
    return int(re.sub(r"\s", "", text))


def _real(text: str) -> float:
    return float(re.sub(r"\s", "", text))


def _spread(start: float, end: float, count: int, axis: str) -> list[float]:
    _require_some_but_few(count, f"[{count}]", axis)
    if count == 1:
        return [start]
    return [start + (end - start) * index / (count - 1) for index in range(count)]


def _step(step: float, value: str, axis: str) -> Any:
    if not step:
        raise _wrong(value, axis, "a step of 0 never ends")
    return step


def _require_some_but_few(count: int, value: str, axis: str) -> None:
    if count < 1:
        raise _wrong(value, axis, "it contains no number; only a step such as (-1) counts down")
    if count > _MOST_VALUES:
        raise _wrong(value, axis, f"that is more than {_MOST_VALUES} values")


def _number(kind: type, value: str, axis: str) -> Any:
    try:
        number = kind(value)
    except ValueError:
        raise _wrong(value, axis, _NO_NUMBER) from None
    if not math.isfinite(number):
        raise _wrong(value, axis, "it is not a number that can be used here")
    return number


def _wrong(value: str, axis: str, why: str) -> ToolError:
    return InputError(
        "LL506",
        f'The value "{shortened(value)}" of the axis {axis} cannot be used: {why}.',
        "Correct it.",
    )
