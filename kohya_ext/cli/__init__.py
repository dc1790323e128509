"""The one command `loraloom`."""

from __future__ import annotations

from .dispatch import main

__all__ = ["main"]
