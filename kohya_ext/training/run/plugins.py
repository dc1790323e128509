"""Plugins of the group `loraloom.before_training`: they free the graphics card, and give it back.

A plugin is called with the project's folder and returns what to call after the training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ...project import MachineError, ToolError

GROUP = "loraloom.before_training"
FALLBACK: tuple[str, ...] = ("a1111_ext.api.free:before_training",)
"""Our own plugins by dotted name, for a clone that was never installed."""

BeforeTraining = Callable[[Path], Callable[[], None]]
_log = logging.getLogger(__name__)


def find_plugins() -> tuple[BeforeTraining, ...]:
    """Import all plugins; raises MachineError for one that cannot be imported."""
    installed = {entry.value: entry for entry in entry_points(group=GROUP)}
    targets = [*installed, *(target for target in FALLBACK if target not in installed)]
    return tuple(_load(target) for target in targets)


def _load(target: str) -> BeforeTraining:
    module, _, attribute = target.partition(":")
    try:
        plugin: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MachineError(
            "LL389",
            f"The plugin {target} cannot be loaded: {error}.",
            "Update or remove the package that brings it, or switch training.free_webui off.",
        ) from error
    called: BeforeTraining = plugin
    return called


@contextmanager
def free_for_training(
    project: Path | None, find: Callable[[], tuple[BeforeTraining, ...]] = find_plugins
) -> Iterator[None]:
    """Call all plugins before the block and what they return after it; None: call none.

    Raises MachineError when a plugin refuses; one that fails afterwards is only logged.
    """
    after: list[Callable[[], None]] = []
    try:
        for plugin in find() if project is not None else ():
            assert project is not None
            after.append(plugin(project))
        yield
    finally:
        for undo in reversed(after):
            try:
                undo()
            except ToolError as error:
                _log.warning("after the training: %s", error)
