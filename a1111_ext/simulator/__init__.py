"""A simulated WebUI for the demo and tests: the routes that we call, and their silent mistakes."""

from __future__ import annotations

from .server import SimulatedWebui, start_webui

__all__ = ["SimulatedWebui", "start_webui"]
