"""A stand-in WebUI for rehearsal and tests: the routes that we call, and their silent mistakes."""

from __future__ import annotations

from .server import RehearsalWebui, start_webui

__all__ = ["RehearsalWebui", "start_webui"]
