"""Wildcards by their manager."""

from __future__ import annotations

from .wildcard_manager import WildcardManager

__all__ = ["WildcardManager"]
