"""Text of people and files inside Markdown: it stays text, and no link leads to a script.

Sites show a description as HTML; a checkpoint's name or a description from elsewhere must not
become markup there.
"""

from __future__ import annotations

import html
import re

from kohya_ext.project import InputError
from kohya_ext.project.printable import printable

_MARKS = re.compile(r"([\\`*_\[\]|<>&])")
_LINK = re.compile(
    r"\]\s*\(\s*<?\s*(?P<inline>[^)\s>]*)"  # [text](target)
    r"|^\s{0,3}\[[^\]]*\]:\s*<?\s*(?P<reference>\S*)"  # [name]: target
    r"|<\s*(?P<auto>[a-z][a-z0-9+.-]*:[^>\s]*)>",  # <target>
    re.IGNORECASE | re.MULTILINE,
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SAFE = frozenset({"http", "https", "mailto"})


def inline(text: str) -> str:
    """Return one line of plain text in which no letter has a meaning in Markdown or HTML."""
    plain = " ".join(printable(text).split())
    return _MARKS.sub(lambda found: _ESCAPED.get(found[1], f"\\{found[1]}"), plain)


_ESCAPED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def code(text: str) -> str:
    """Return text as a code span, whatever backticks are in it."""
    plain = " ".join(printable(text).split())
    fence = "`" * (max((len(one) for one in re.findall("`+", plain)), default=0) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{padding}{plain}{padding}{fence}"


def block(text: str, place: str) -> str:
    """Return Markdown that a person wrote, without HTML. Raises InputError for an unsafe link.

    `place` names where the text comes from, for the sentence.
    """
    for found in _LINK.finditer(text):
        require_safe_link(next(filter(None, found.groups()), ""), place)
    return re.sub(r"<(?!https?://|mailto:)", "&lt;", printable(text))


def require_safe_link(target: str, place: str) -> str:
    """Return a link that is relative or of http, https or mailto. Raises InputError otherwise."""
    plain = re.sub(r"[\x00-\x20]", "", html.unescape(target))  # as a browser reads it
    scheme = _SCHEME.match(plain)
    if scheme and scheme[1].lower() not in _SAFE:
        raise InputError(
            "LL640",
            f'{place} holds a link of the kind "{scheme[1].lower()}:", which sites refuse.',
            "Write a link that begins with https://, or take it out.",
        )
    return target
