"""Paths and command lines as the user would type them into this system's shell."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

_MEANT_BY_WINDOWS = frozenset(" &()[]{}^=;!'+,`~@#$%")
"""Letters with a meaning in cmd or PowerShell."""


def shell_path(path: Path) -> str:
    """Return `path` as the user would type it: relative where that is shorter, quoted."""
    text = str(path)
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive on Windows
        relative = text
    return shell_word(relative if len(relative) < len(text) else text)


def shell_word(word: str) -> str:
    """Return `word` as it is typed into this system's shell, quoted where that is needed."""
    if os.name == "nt":
        return f'"{word}"' if _MEANT_BY_WINDOWS.intersection(word) else word
    return shlex.quote(word)


def shell_words(words: Sequence[str]) -> str:
    """Return a whole command line for this system's shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
