"""What a backend may be able to do beyond painting one cell; the engine asks each for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from .cell import Cell
from .verify import Generated


@runtime_checkable
class Interruptible(Protocol):
    """A backend whose running job can be ended, if it is ours."""

    def interrupt(self, cells: Sequence[Cell]) -> bool:
        """End the job of these cells, never that of somebody else; tell whether it was ended."""
        ...


@runtime_checkable
class Returning(Protocol):
    """A backend that may come back after it was lost."""

    def is_back(self) -> bool:
        """Tell whether it answers again."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A backend that cannot draw everything."""

    def lacks(self, cell: Cell) -> str:
        """Say what it lacks for a cell; "" when it has everything."""
        ...


@runtime_checkable
class RowBackend(Protocol):
    """A backend that draws several seeds of one row in one request."""

    def generate_row(self, cells: Sequence[Cell]) -> Sequence[Generated]:
        """Draw cells that differ in seed only."""
        ...


@runtime_checkable
class Rememberer(Protocol):
    """A backend that can wait for what was asked of it before."""

    def await_earlier(self, cell: Cell, stop: threading.Event) -> None:
        """Wait until an earlier request for this cell is no longer worked on."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A backend that draws elsewhere, so that its last picture is checked beside the next."""

    is_remote: bool


@runtime_checkable
class Borrowing(Protocol):
    """A backend whose WebUI stands otherwise while it draws, and gets its settings back."""

    name: str

    def save_settings(self, earlier: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the WebUI's own settings, among them those that a killed run left changed."""
        ...

    def put_back(self) -> bool:
        """Put the WebUI's settings back; tell whether it took them."""
        ...


@runtime_checkable
class Unloading(Protocol):
    """A backend that can free GPU memory."""

    def free_memory(self) -> None:
        """Unload what is loaded; the next picture loads it again."""
        ...
