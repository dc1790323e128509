"""The simulated WebUI's tasks, as its page asks for them: waiting, in progress, finished."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MOST_FINISHED = 16


class Tasks:
    """One task is in progress at a time; `turn` is held by whoever draws."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._lock = threading.Lock()
        self._current = ""
        self._pending: list[str] = []
        self._finished: list[str] = []

    @contextmanager
    def taking_turn(self, task: str) -> Iterator[None]:
        """Wait for the turn of a task; it is finished with the block."""
        with self._lock:
            self._pending.append(task)
        with self.turn:
            with self._lock:
                self._pending.remove(task)
                self._current = task
            try:
                yield
            finally:
                with self._lock:
                    self._current = ""
                    self._finished = [*self._finished, task][-_MOST_FINISHED:]

    def state_of(self, task: str) -> dict[str, Any]:
        """Answer /internal/progress: the state of one task."""
        with self._lock:
            return {
                "active": bool(task) and task == self._current,
                "queued": task in self._pending,
                "completed": task in self._finished,
                "textinfo": "simulated",
            }

    def pending(self) -> dict[str, Any]:
        """Answer /internal/pending-tasks."""
        with self._lock:
            return {"size": len(self._pending), "tasks": list(self._pending)}
