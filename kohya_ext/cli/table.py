"""The sub-commands of `loraloom`: what they are called, where they live, what they do.

`--help` reads only this table, so that it stays quick; pyproject.toml lists the same names as
entry points of the group `loraloom.commands`, where anyone's plugin joins too.
"""

from __future__ import annotations

from typing import NamedTuple


class CommandRow(NamedTuple):
    """One sub-command; `target` is `module:attribute` of a click command."""

    section: str
    name: str
    target: str
    help: str


START = "Start"
DATASET = "Pictures and captions"
TRAINING = "Training"
PICTURES = "Comparing, showing, publishing"
MORE = "More"

COMMANDS: tuple[CommandRow, ...] = (
    CommandRow(START, "demo", "kohya_ext.cli.demo:demo", "Walk the whole road on rehearsal hosts."),
    CommandRow(START, "init", "kohya_ext.cli.project:init", "Make a new LoRA project."),
    CommandRow(START, "show", "kohya_ext.cli.project:show", "Show where a project stands."),
)
