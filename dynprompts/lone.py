"""A variant with one option draws that option always: what was probably meant by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from .errors import Span
from .flat_text import NODE, FlatText
from .nodes import Text, Variant

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ASSIGNED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*(?:\?|:)?=\s*")
_NETWORK = re.compile(r"(?:lora|lyco|hypernet):[^:]+:")
_NUMBER = r"\d{1,6}(?:\.\d+)?"
_NUMBERS = re.compile(rf"({_NUMBER})(?:\s*(?:-|\.\.+|\u2013|\u2014|,|/|\bto\b)\s*({_NUMBER}))?")
_DIVIDERS = re.compile(r"(?:(?<!\s)\s+)?(?:[,/;\u3001\uff0c\u00a6\u2502\u4e28\u01c0]|\bor\b)\s*")
_ITEM = re.compile(rf"(?:\d+(?:\.\d+)?::)?(?:{NODE}|(?:[^\W_]|')[^,/;()\[\]<>:{NODE}]*)")
_MOST_WORDS = 3
_MOST_SHOWN = 3


class Names(NamedTuple):
    """Which names are known: of wildcards, and of variables."""

    is_wildcard: Callable[[str], bool]
    variables: Collection[str]


Found = tuple[Span, str, str, str]
"""Where, code, sentence, hint."""

_ONE = "this variant has one option"


def find_lone(source: str, variant: Variant, names: Names) -> Iterator[Found]:
    """Yield at most one slip of a variant with one option."""
    only = variant.options[0].body
    if variant.low != 1 or variant.high != 1 or variant.method or not only.parts:
        return
    assigned = _ASSIGNED.match(source, only.parts[0].start, variant.end - 1)
    if assigned is not None and isinstance(only.parts[0], Text):
        opening = Span(variant.start, variant.start + 1)
        yield opening, "DP224", 'a "$" is missing before this', "Write ${name=value}."
        return
    meant = ("", "", "")
    if variant.options[0].weight == 1.0:
        meant = _meant_word((only.plain or "").strip(), names, _is_single(source, variant))
    if not meant[0] and _is_single(source, variant):
        meant = _meant_list(FlatText(source, only.parts).text)
    if meant[0]:
        yield Span(variant.start, variant.end), *meant


def _is_single(source: str, variant: Variant) -> bool:
    """Whether no other bracket stands around it, as in NovelAI's emphasis."""
    return source[variant.start - 1 : variant.start] != "{" and source[variant.end :][:1] != "}"


def _meant_word(word: str, names: Names, is_single: bool) -> tuple[str, str, str]:
    if word in names.variables:
        return "DP224", f"{_ONE} and is the name of a variable", f"Did you mean ${{{word}}}?"
    if _NAME.fullmatch(word) and names.is_wildcard(word):
        return "DP223", f"{_ONE} and is the name of a wildcard", f"Did you mean __{word}__?"
    if "\uff5c" in word:
        hint = "Write { } | __ :: $$ in their usual width."
        return "DP220", "this is a full-width mark and stays as it is", hint
    if not is_single:
        return "", "", ""
    if _NETWORK.match(word):
        return "DP226", "this is not read as a network", "Write <lora:name:weight>."
    if _NAME.fullmatch(word) and word != "prompt":
        return "DP228", _ONE, f"Did you mean ${{{word}}} or __{word}__?"
    numbers = _NUMBERS.fullmatch(word)
    if numbers is None:
        return "", "", ""
    if numbers.group(2) is None:
        return "DP228", _ONE, "Write {1|2|3} for one of several numbers."
    return "DP228", "these numbers stay as they are", f"Write {{{_counted(*numbers.groups())}}}."


def _counted(first: str, last: str) -> str:
    """Return numbers as options, all of a few whole ones."""
    if "." in first + last or not 0 < int(last) - int(first) <= _MOST_SHOWN:
        return f"{first}|{last}"
    return "|".join(str(number) for number in range(int(first), int(last) + 1))


def _meant_list(text: str) -> tuple[str, str, str]:
    """`{red, blue}`: a list with something else than "|" between its items."""
    items = _DIVIDERS.split(text.strip())
    if len(items) < 2 or not all(_is_item(item) for item in items):
        return "", "", ""
    shown = [item.replace(NODE, "...") for item in items[:_MOST_SHOWN]]
    more = "|..." if len(items) > _MOST_SHOWN else ""
    return "DP228", _ONE, f'Options are separated by "|": {{{"|".join(shown)}{more}}}.'


def _is_item(text: str) -> bool:
    return len(text.split()) <= _MOST_WORDS and _ITEM.fullmatch(text) is not None
