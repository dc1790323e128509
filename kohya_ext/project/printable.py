"""Text from outside made safe for a terminal: nothing in it can move the cursor or hide itself.

File names, infotexts, headers and checkpoint titles may hold escape sequences; each letter that a
terminal would obey, or that turns the reading direction, is shown as its code instead.
"""

from __future__ import annotations

import re

from .addresses import hide_passwords

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks and overrides of the direction
    "\ud800-\udfff]"  # halves of a pair: bytes of a name that is not UTF-8
)


_LONGEST_VALUE = 100


def printable(text: str) -> str:
    r"""Return `text` with unsafe letters as codes, ESC as `\x1b`, and no password of an address."""
    return _UNSAFE.sub(_code, hide_passwords(text))


def printable_json(text: str) -> str:
    r"""Return JSON text with unsafe letters as `\uXXXX`: it stays the same JSON."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shortened(text: str) -> str:
    """Return a typed value so that a sentence can hold it: what is longer ends in "..."."""
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def is_text(text: str) -> bool:
    """Tell whether text can be written as UTF-8; a name of other bytes cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
