"""Stops a training by the command that people would type, found in the group of commands."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from kohya_ext.project.plugins import load_plugin, named_plugins

_GROUP = "loraloom.commands"
_FALLBACK = "kohya_ext.cli.train:train"
"""For a clone that was never installed."""


def stop_after_epoch(root: Path) -> None:
    """Ask the training of a project to stop after its next saved epoch; everything is kept.

    Raises ToolError when none is in progress that loraloom started.
    """
    command: click.Command = load_plugin(named_plugins(_GROUP).get("train", _FALLBACK))
    with redirect_stdout(sys.stderr):  # a grid's --json has stdout to itself
        command.main(
            args=[str(root), "--stop-after-epoch"],
            prog_name="loraloom train",
            standalone_mode=False,
        )
