"""Paths as people type and paste them; the home folder, which a service or container may lack."""

from __future__ import annotations

import os
import re
from pathlib import Path

_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_FILE_ADDRESS = re.compile(
    r"file:(?://(?=/)|(?=//))" if os.name == "nt" else r"file://(?=/)", re.IGNORECASE
)
"""On Windows also of a share, `file://nas/loras`."""

_VARIABLE = re.compile(r"%([A-Za-z]+)%")
_FOLDERS = (
    *("APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "ONEDRIVE", "PROGRAMDATA"),
    *("PUBLIC", "SYSTEMDRIVE", "TEMP", "USERPROFILE"),
)


def expand_home(path: str | Path) -> Path:
    """Put the home folder in place of a leading `~` or `~name`.

    What is not known stays as it is, as in a shell: then it is a file that does not exist.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises RuntimeError


def home_folder() -> Path:
    """Return the home folder, or one that does not exist."""
    return expand_home("~")


def typed_path(text: str) -> Path:
    """Return the path that was typed or pasted, with `~` expanded."""
    return expand_home(typed_path_text(text))


def typed_path_text(text: str) -> str:
    r"""Return what was typed as the plain text of a path; what exists as it stands stays so.

    Explorer copies a path in quotes, browsers copy one as `file:///C:/my%20set`, and Windows'
    shells make a quote of the end of `"C:\my set\"`. There `%USERPROFILE%` is expanded, too.
    """
    if os.path.lexists(text):
        return text
    text = text.strip()
    if found := _QUOTED.fullmatch(text):
        text = found[2].strip()
    elif os.name == "nt":
        text = text.removesuffix('"')
    if found := _FILE_ADDRESS.match(text):
        from urllib.request import url2pathname

        text = url2pathname(text[found.end() :])
    return _VARIABLE.sub(_value_of, text) if os.name == "nt" else text


def _value_of(found: re.Match[str]) -> str:
    """Return the value of a variable that holds a folder; others may hold a secret."""
    name = found[1].upper()
    return os.environ.get(name, found[0]) if name in _FOLDERS else found[0]
