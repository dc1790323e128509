"""Where the marks of the language are: regular expressions per bracket configuration.

    mark = variant_start | variant_end | "|" | variable_start | wrap_start | wildcard_wrap | "$$"
         | "#" comment | "\\" mark
Everything between marks is text; a mark in the wrong place is text, too. No expression here
takes more than linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class ParserConfig(NamedTuple):
    """The brackets of the language; each may have several characters."""

    variant_start: str = "{"
    variant_end: str = "}"
    wildcard_wrap: str = "__"
    variable_start: str = "${"
    variable_end: str = "}"
    wrap_start: str = "%{"
    wrap_end: str = "}"


# what a match of Patterns.top, .option, ... is: the number of its group
ESCAPE, TAG, VARIABLE, WRAP, VARIANT, STOP, WILDCARD, COMMENT = range(1, 9)


class Patterns:
    """The compiled expressions of one bracket configuration.

    top       the next mark where nothing has to be closed
    option    the next mark in an option: "|" and variant_end stop it
    value     the next mark in a variable's value: "|" and variable_end stop it
    wrapper   the next mark in a wrapper: "$$" and wrap_end stop it
    wrapped   the next mark in a wrapped text: wrap_end stops it
    path      what ends or interrupts a wildcard's path
    head      method, range and separator of a variant
    lively    whatever makes a text more than text
    brackets  all brackets that can be in a wildcard's path or arguments
    amount    the range of a variant with a variable in it, and its separator
    """

    __slots__ = (
        "amount", "brackets", "head", "lively", "option", "path", "top", "value", "wrapped",
        "wrapper",
    )  # fmt: skip

    def __init__(self, *compiled: re.Pattern[str]) -> None:
        (
            self.top, self.option, self.value, self.wrapper, self.wrapped,
            self.path, self.head, self.lively, self.brackets, self.amount,
        ) = compiled  # fmt: skip


@lru_cache(maxsize=32)
def patterns(config: ParserConfig) -> Patterns:
    """Compile the expressions of a configuration."""
    wild = re.escape(config.wildcard_wrap)
    variable, wrap = re.escape(config.variable_start), re.escape(config.wrap_start)
    start, end = re.escape(config.variant_start), re.escape(config.variant_end)
    variable_end, wrap_end = re.escape(config.variable_end), re.escape(config.wrap_end)
    ends = sorted({end, variable_end, wrap_end}, key=len, reverse=True)
    every = [variable, wrap, start, *ends, r"\|", wild, r"\$", "%", "#", "//", r"/\*"]
    escape = rf"\\+(?:{'|'.join(every)})?"

    def marks(stop: str) -> re.Pattern[str]:
        groups = (
            escape, r"<\w+:[^<>{}$|#\\\n]*>", variable, wrap, start, stop, wild, r"#[^\n]*",
        )  # fmt: skip
        return re.compile("|".join(f"({one})" for one in groups))

    never = "(?!)"
    separator = r"[^${}]+" if config == ParserConfig() else rf"(?:(?!{start}|{end}|\$)[\s\S])+"
    got = rf"{variable}\s*[A-Za-z_-][A-Za-z0-9_-]*\s*(?::[0-9\s-]*)?{variable_end}"
    return Patterns(
        marks(never),
        marks(rf"{end}|\|"),
        marks(rf"{variable_end}|\|"),
        marks(rf"\$\$|{wrap_end}"),
        marks(wrap_end),
        re.compile(rf"{wild}|{variable}|{start}|[\n|<>()#]|{'|'.join(ends)}"),
        re.compile(
            rf"\s*(?:((?!{wild})[!@~])\s*)?"
            r"(?:(?:([0-9]{1,20})(?:(-)([0-9]{0,20}))?|(-)([0-9]{1,20}))\$\$"
            rf"(?:({separator})(?<!\\)\$\$)?)?"
        ),
        re.compile(rf"{variable}|{wrap}|{start}|{wild}|#|\\(?:{'|'.join(every)})|^\s*/[/*]"),
        re.compile(rf"\\.|#[^\n]*|{variable}|{wrap}|{start}|[()]|{'|'.join(ends)}", re.DOTALL),
        re.compile(
            rf"\s*((?:[0-9]{{1,20}}-)?{got}(?:-(?:[0-9]{{1,20}}|{got})?)?|-{got})\$\$"
            rf"(?:({separator})(?<!\\)\$\$)?"
        ),
    )


def unescape(group: str, start: int, after: int) -> tuple[str, int]:
    """An odd run of backslashes takes the mark after it out of the language; an even one is
    half as many backslashes, and the mark counts."""
    run = len(group) - len(group.lstrip("\\"))
    if run == len(group):
        return group, after
    if run % 2:
        return "\\" * (run // 2) + group[run:], after
    return "\\" * (run // 2), start + run
