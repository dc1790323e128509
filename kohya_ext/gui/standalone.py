"""`loraloom gui`: the pages of both halves, and of plugins, in one page of their own."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..project import ConflictError, PackageMissing
from ..project.plugins import load_plugin
from .launcher import registered, remove_links
from .pages import GuiPage, find_pages

TITLE = "loraloom"
HOST = "127.0.0.1"


def build_standalone(project: Path | None) -> Any:
    """Build the Blocks; a page that cannot be built says so in its own tab.

    Raises MissingError where gradio is missing.
    """
    gradio = require_gradio()
    folder = str(project) if project else ""
    with gradio.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        for page in find_pages():
            with gradio.Tab(page.label):
                _build_or_say(gradio, blocks, page, folder)
    return blocks


def _build_or_say(gradio: Any, blocks: Any, page: GuiPage, folder: str) -> None:
    before = registered(blocks)
    try:
        load_plugin(page.target)(folder)
    except Exception as error:  # noqa: BLE001  # one broken page must not take the others along
        sys.stderr.write(traceback.format_exc())
        remove_links(blocks, before)
        gradio.Markdown(
            f"The page **{page.label}** could not be built: {type(error).__name__}: {error}\n\nThe "
            "other tabs work. See the console for details."
        )


def require_gradio() -> Any:
    """Import gradio, or raise MissingError."""
    try:
        import gradio
    except ImportError as error:
        raise PackageMissing(
            "LL706",
            f"The page needs gradio, which cannot be imported: {error}.",
            f'Install it: "{sys.executable}" -m pip install "gradio>=6,<7"',
        ) from error
    return gradio


def require_free(port: int) -> None:
    """Raise ConflictError when another program listens at `port` on this machine."""
    with socket.socket() as one:
        if os.name == "posix":  # as gradio asks: a port just left by a program is free
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError as error:
            raise ConflictError(
                "LL709",
                f"Port {port} cannot be used: {error.strerror}.",
                f"Close the program that uses it, or choose another port: --port {port + 1}",
            ) from error


def serve(
    project: Path | None, port: int, browse: bool, say: Callable[[str], None] = print
) -> None:
    """Serve the page on this machine until Ctrl-C. Raises ConflictError for a taken port."""
    blocks = build_standalone(project)
    require_free(port)
    say(f"The page is at http://{HOST}:{port}/ ; Ctrl-C stops it.")
    blocks.launch(server_name=HOST, server_port=port, inbrowser=browse, quiet=True)
