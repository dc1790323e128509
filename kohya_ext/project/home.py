"""The home folder, which a service, a container or another user's account may lack."""

from __future__ import annotations

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Put the home folder in place of a leading `~` or `~name`.

    What is not known stays as it is, as in a shell: then it is a file that does not exist.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises RuntimeError


def home_folder() -> Path:
    """Return the home folder, or one that does not exist."""
    return expand_home("~")
