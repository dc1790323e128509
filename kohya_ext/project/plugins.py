"""Plugins: what crosses between our two halves, and anyone's, through entry-point groups."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from .errors import MachineError


def named_plugins(group: str) -> dict[str, str]:
    """Return the installed plugins of a group by name, each as `module:attribute`."""
    return {entry.name: entry.value for entry in entry_points(group=group)}


def load_plugins(group: str, own: tuple[str, ...]) -> tuple[Any, ...]:
    """Import all plugins of a group; `own` are ours by dotted name, for a clone not installed.

    Raises MachineError for one that cannot be imported.
    """
    installed = [entry.value for entry in entry_points(group=group)]
    return tuple(map(load_plugin, dict.fromkeys([*installed, *own])))


def load_plugin(target: str) -> Any:
    """Import `module:attribute`. Raises MachineError."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MachineError(
            "LL389",
            f"The plugin {target} cannot be loaded: {error}.",
            "Update or remove the package that provides it.",
        ) from error
