"""Stops a training by the command that people would type, found in the group of commands."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import click

_GROUP = "loraloom.commands"
_FALLBACK = "kohya_ext.cli.train:train"
"""For a clone that was never installed."""


def stop_after_epoch(root: Path) -> None:
    """Ask the training of a project to stop after its next saved epoch; everything is kept.

    Raises ToolError when none is in progress that loraloom started.
    """
    target = next((one.value for one in entry_points(group=_GROUP) if one.name == "train"), "")
    module, _, attribute = (target or _FALLBACK).partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    with redirect_stdout(sys.stderr):  # a grid's --json has stdout to itself
        command.main(
            args=[str(root), "--stop-after-epoch"],
            prog_name="loraloom train",
            standalone_mode=False,
        )
