"""The pages of the standalone GUI: ours, the other half's, and anyone's plugin.

A page is a function `build_page(project_folder: str)`, called inside an open gradio Tab; it adds
its components there and returns nothing. Packages name theirs in the entry-point group
`loraloom.tabs`: the name is the tab's label. Run from a clone that was never installed, the table
below stands in for the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..project.plugins import named_plugins

GROUP = "loraloom.tabs"
TABLE = (
    ("Training", "kohya_ext.gui.tab:build_page"),
    ("Pictures", "a1111_ext.screens.page:build_page"),
)
"""Label and `module:attribute` of the two halves, in the order of the workflow."""


@dataclass(frozen=True)
class GuiPage:
    """A tab's label and where its builder is: `module:attribute`."""

    label: str
    target: str


def find_pages(installed: Mapping[str, str] | None = None) -> tuple[GuiPage, ...]:
    """Return our pages first, then those of plugins by name.

    What is installed under a label of the table replaces its row.
    """
    named = dict(named_plugins(GROUP) if installed is None else installed)
    ours = tuple(GuiPage(label, named.pop(label, target)) for label, target in TABLE)
    return ours + tuple(GuiPage(label, named[label]) for label in sorted(named))
