"""How much is read of what comes from outside: files of others, answers of a WebUI.

One table. Each limit can be raised by an environment variable, `LORALOOM_LIMIT_` and its name in
capitals, for example LORALOOM_LIMIT_ANSWER_BYTES=2000000000.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

PREFIX = "LORALOOM_LIMIT_"


@dataclass(frozen=True)
class ReadLimits:
    """Bytes; what is beyond is refused before it is read."""

    answer_bytes: int = 64_000_000
    """JSON that a WebUI sends without pictures: every header of every LoRA is among it."""

    picture_bytes: int = 600_000_000
    """One answer with pictures, in base64; a 1024 x 1024 PNG has some 2,000,000."""

    json_bytes: int = 32_000_000
    """One JSON file of a project, a choice, votes, or a json that somebody brings."""

    text_bytes: int = 8_000_000
    """One text file: a manifest, a toml, a caption list, a styles.csv."""


def limits() -> ReadLimits:
    """Return the limits of this process, those of its environment first.

    Raises ValueError for a variable that is not a whole number above 0.
    """
    given = {}
    for one in fields(ReadLimits):
        text = os.environ.get(PREFIX + one.name.upper())
        if text is not None:
            if not text.isdecimal() or not int(text):
                raise ValueError(f"{PREFIX}{one.name.upper()} is {text!r}, not a whole number")
            given[one.name] = int(text)
    return ReadLimits(**given)
