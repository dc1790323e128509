"""Which project a page opens: the one last used in its window, its browser, or its GUI.

The window and the browser remember in their own storage, so that nobody else's choice changes
theirs; the user folder remembers for each GUI, for a browser that never saw it.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from ..project import read_settings, remember_project
from ..project.home import typed_path
from ..project.manifest import MANIFEST_NAME
from .bridge import find_host_folder

STANDALONE = "loraloom gui"
_START = uuid.uuid4().hex
"""A window's choice holds until the GUI starts again, maybe with another project named."""


def gui_name() -> str:
    """Return what this GUI is remembered by: the folder of the Kohya GUI that we live in."""
    return str(find_host_folder() or STANDALONE)


def remember(root: Path) -> None:
    """Put a project first among the recent ones, and make it the last one of this GUI."""
    remember_project(root, gui_name())


def recent_projects() -> list[str]:
    """Return the projects that were opened on this machine, those of this GUI first."""
    settings = read_settings()
    own = settings.gui_projects.get(gui_name(), ())
    return list(dict.fromkeys((*own, *settings.recent_projects)))


def first_folder(kept: str, named: str = "") -> str:
    """Return what a page opens; `kept` is what KEPT_JS found, `named` what the start named."""
    window, _, browser = (kept or "").partition("\n")
    own = read_settings().gui_projects.get(gui_name(), ())
    found = [one for one in (window, named, browser, *own) if one]
    return next((one for one in found if _is_project(one)), next(iter(found), ""))


def _is_project(text: str) -> bool:
    folder = typed_path(text)
    return folder.name == MANIFEST_NAME or (folder / MANIFEST_NAME).is_file()


def keep_js() -> str:
    """Return the script that keeps an opened folder in the window and in the browser."""
    window, browser = _keys()
    return (
        "folder => { try { "
        f"sessionStorage.setItem({window}, folder); localStorage.setItem({browser}, folder); "
        "} catch (error) {} return []; }"
    )


def kept_js() -> str:
    """Return the script that reads both again: the window's, a line break, the browser's."""
    window, browser = _keys()
    return (
        "() => { try { "
        f"return [(sessionStorage.getItem({window}) || '') + '\\n' + "
        f"(localStorage.getItem({browser}) || '')]; "
        "} catch (error) { return ['']; } }"
    )


def _keys() -> tuple[str, str]:
    key = f"loraloom project of {gui_name()}"
    return json.dumps(f"{key} since {_START}"), json.dumps(key)
