"""Plugins: what crosses between our two halves, and anyone's, through entry-point groups."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from .errors import MachineError


def load_plugins(group: str, own: tuple[str, ...]) -> tuple[Any, ...]:
    """Import all plugins of a group; `own` are ours by dotted name, for a clone not installed.

    Raises MachineError for one that cannot be imported.
    """
    installed = [entry.value for entry in entry_points(group=group)]
    return tuple(map(_load, dict.fromkeys([*installed, *own])))


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MachineError(
            "LL389",
            f"The plugin {target} cannot be loaded: {error}.",
            "Update or remove the package that brings it.",
        ) from error
