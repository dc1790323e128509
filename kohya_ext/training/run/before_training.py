"""Plugins of the group `loraloom.before_training`: they free the graphics card, and give it back.

A plugin is called with the project's folder and returns what to call after the training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...project import ToolError
from ...project.plugins import load_plugins

GROUP = "loraloom.before_training"
FALLBACK: tuple[str, ...] = ("a1111_ext.api.free:before_training",)
"""Our own plugins by dotted name, for a clone that was never installed."""

BeforeTraining = Callable[[Path], Callable[[], None]]
_log = logging.getLogger(__name__)


def find_plugins() -> tuple[BeforeTraining, ...]:
    """Import all plugins; raises MachineError for one that cannot be imported."""
    return load_plugins(GROUP, FALLBACK)


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
