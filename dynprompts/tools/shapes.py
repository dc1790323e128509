"""Texts that differ in their words only: what lint finds in one of them, it finds in all.

A wildcard file of a million lines has a few thousand shapes. A shape is a text in which every run
of words, every network, every strength and every name is a placeholder; whatever a rule of lint
looks at stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Row
from typing import NamedTuple

from ..nodes import Get, Sequence, Text, Variant, Wildcard

_LETTER = r"[^\W\d_]"
_FIRST = rf"(?:\d{{1,9}}(?![eE\d]))?{_LETTER}{{2}}[^\W_]*(?:[_'-]{_LETTER}+)*"
_OTHER = rf"(?:{_LETTER}[^\W_]*(?:[_'-]{_LETTER}+)*|\d+(?![^\s,{{|}}:]|::))"
_NAMED = re.compile(
    r"__(?=[A-Za-z0-9])[A-Za-z0-9/-]*(?:_[A-Za-z0-9/-]+)*__|(?<![\\$])\$\{[A-Za-z]\w*\}"
)
_STRENGTH = re.compile(r"\((?=[A-Za-z]{2}|[A-Za-np-z]:)[A-Za-z0-9 ,.'-]+:\d(?:\.\d+)?\)")
_NETWORK = re.compile(r"<lora:[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?=[A-Za-z0-9]))*:\d(?:\.\d+)?>")
_WEIGHT = re.compile(r"(?<=[{|])[1-9]\d{0,3}(?:\.\d{1,4})?::(?=[^\W\d_]|__|\{)")
_WORDS = re.compile(
    r"(?<=[{|])\d{1,9}(?=[|}])|(?<=\s)\d+(?=\s(?:[^\W\d_]|[\[(])|$)"
    rf"|(?:(?<![^\s,.{{|}}(\[:])|(?<=\$\$))(?![oOwv0_]+(?!\w)){_FIRST}(?:[ ,]+{_OTHER})*"
    r"(?:(?![^\s,.{|})\\])|(?=:)(?<!lora)(?<!lyco)(?<!hypernet))"
)
_MOST_KEPT = 20_000


class Name(NamedTuple):
    """A wildcard or a variable in a text of a known shape."""

    name: str
    start: int
    end: int
    is_wildcard: bool


class Shape(NamedTuple):
    """What is known of a text: the wildcards that every draw needs, by number; what was found."""

    needed: frozenset[int]
    slips: tuple[tuple[str, str], ...]


class Shapes:
    """The shapes seen so far, of texts in which words alone decide nothing."""

    def __init__(self) -> None:
        self._known: dict[str, Shape] = {}

    def find(self, text: str) -> Shape | None:
        """Return what is known of texts of this shape, None for a new one."""
        return self._known.get(_shape(text))

    def learn(self, text: str, root: Sequence, slips: Row[tuple[str, str]]) -> None:
        """Keep the shape of a text with code and sentence of its slips, if its tree is simple."""
        if len(self._known) >= _MOST_KEPT:
            return
        places = {one.start: number for number, one in enumerate(names(text))}
        seen: list[int] = []
        needed = _needed(root, places, seen)
        if needed is not None and len(seen) == len(places):
            self._known[_shape(text)] = Shape(needed, tuple(slips))


def names(text: str) -> list[Name]:
    """Return the wildcards and variables of a text with a known shape."""
    found = []
    for one in _NAMED.finditer(text):
        start, end = one.span()
        is_wildcard = text[start] == "_"
        name = text[start + 2 : end - 2 if is_wildcard else end - 1]
        found.append(Name(name, start, end, is_wildcard))
    return found


def _shape(text: str) -> str:
    if "__" in text or "${" in text:
        text = _NAMED.sub(_placeholder, text)
    if ":" in text:
        text = _WEIGHT.sub("1::", _NETWORK.sub("<lora:aa:1>", _STRENGTH.sub("(aa:1)", text)))
    return _WORDS.sub("aa", text)


def _placeholder(found: re.Match[str]) -> str:
    return "__w__" if found.group()[0] == "_" else "${w}"


def _needed(sequence: Sequence, places: dict[int, int], seen: list[int]) -> frozenset[int] | None:
    """Return the numbers of the wildcards that every draw needs, None where words matter."""
    needed: set[int] = set()
    for node in sequence.parts:
        if isinstance(node, Text):
            continue
        if isinstance(node, Variant):
            if not _is_simple(node):
                return None
            inner = [_needed(option.body, places, seen) for option in node.options]
            if all(inner) or None in inner:
                return None
            continue
        number = places.get(node.start)
        if number is None or not _is_named(node):
            return None
        seen.append(number)
        if isinstance(node, Wildcard):
            needed.add(number)
    return frozenset(needed)


def _is_named(node: object) -> bool:
    if isinstance(node, Wildcard):
        return not node.arguments
    return isinstance(node, Get) and node.default is None


def _is_simple(variant: Variant) -> bool:
    return (
        1 < len(variant.options) >= variant.low
        and variant.amount is None
        and all(option.weight for option in variant.options)
    )
