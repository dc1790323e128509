"""What long work tells whoever watches: how far it is, in plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of `phase`; `total` is None while it is unknown."""

    phase: str
    done: int
    total: int | None = None
    message: str = ""


ProgressHandler = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Take progress and show nothing."""
