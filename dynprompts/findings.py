"""What is to be said about templates and wildcard files: plain values, repeats folded.

A finding about a name that is missing stands once, with the number of its places; of any other
sentence the first places are kept and the rest are counted.
"""

from __future__ import annotations

from typing import NamedTuple

from .errors import Span, excerpt

ERROR, WARNING = "error", "warning"

ERRORS = frozenset(("DP201", "DP204", "DP211", "DP212"))
"""Codes from DP201 on that stop a draw or spoil every prompt; all others are warnings."""

_BY_NAME = frozenset(("DP201", "DP202", "DP209"))
_MOST_PLACES = 20
_QUOTED = 40


class LintFinding(NamedTuple):
    """One thing that lint found; `where` is file:line:column, as far as it is known.

    `excerpt` is the line with a caret below its cause, `hint` what was probably meant, and
    `times` the number of places for which the finding stands, the first of them being `where`.
    """

    code: str
    severity: str
    message: str
    where: str
    hint: str = ""
    excerpt: str = ""
    times: int = 1

    @property
    def sentence(self) -> str:
        """The finding in one line that quotes its place, where a caret has no room."""
        line, _, caret = self.excerpt.partition("\n")
        start = caret.find("^")
        place = f': "{line[start : start + _QUOTED].rstrip()}"' if start >= 0 else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message[:1].upper()}{self.message[1:]}{place}.{hint}"

    def __str__(self) -> str:
        more = "" if self.times == 1 else f" (and {self.times - 1} more)"
        hint = f". {self.hint}" if self.hint else ""
        line = f"{self.where}: {self.severity}: {self.message}{more}{hint} [{self.code}]"
        return f"{line}\n{self.excerpt}" if self.excerpt else line


class LintFindings:
    """Collects findings; one that is repeated often is counted, not kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, LintFinding]] = {}
        self._more: dict[tuple[str, str], int] = {}

    def say(
        self,
        code: str,
        message: str,
        where: str,
        hint: str = "",
        source: str = "",
        span: Span | None = None,
    ) -> None:
        """Keep a finding; `source` and `span` are what its caret points at."""
        key = code, message
        kept = self._kept.setdefault(key, {})
        if where in kept:
            return
        if len(kept) >= (1 if code in _BY_NAME else _MOST_PLACES):
            self._more[key] = self._more.get(key, 0) + 1
            last = next(reversed(kept))
            if code not in _BY_NAME or place(where) > place(last):
                return
            del kept[last]
        shown = excerpt(source, span) if span is not None else ""
        severity = ERROR if code.startswith("DP1") or code in ERRORS else WARNING
        kept[where] = LintFinding(code, severity, message, where, hint, shown)

    def is_full(self, code: str, message: str) -> bool:
        """Whether more places of a finding are counted only, wherever they are."""
        return code not in _BY_NAME and len(self._kept.get((code, message), ())) >= _MOST_PLACES

    def count(self, code: str, message: str, times: int) -> None:
        """Count more places of a finding that was kept."""
        key = code, message
        self._more[key] = self._more.get(key, 0) + times

    def findings(self) -> list[LintFinding]:
        """Return everything, in the order of files and lines."""
        found = []
        for key, kept in self._kept.items():
            *most, last = kept.values()
            found += [*most, last._replace(times=1 + self._more.get(key, 0))]
        return sorted(found, key=lambda one: (place(one.where), one.code))


def place(where: str) -> tuple[str, tuple[int, ...]]:
    """Return a file and its line and column, to be sorted by."""
    parts = where.split(":")
    numbers: list[int] = []
    while len(parts) > 1 and parts[-1].isdigit():
        numbers.insert(0, int(parts.pop()))
    return ":".join(parts), tuple(numbers)
