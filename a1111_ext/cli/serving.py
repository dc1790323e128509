"""Show a page on the loopback address from the command line, until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import suppress

import click

from kohya_ext.project.cli import emit, say
from kohya_ext.project.server import PageServer, Share


def serve_until_interrupted(
    share: Share, path: str, *, port: int = 0, browse: bool = False
) -> None:
    """Print the address of a path in a share and serve it; Ctrl-C ends it, also on Windows."""
    with PageServer(port=port) as server, suppress(KeyboardInterrupt):
        url = server.url_of(share, path)
        emit(url)
        say("open this address on this machine; Ctrl-C ends it")
        if browse:
            click.launch(url)
        while True:
            time.sleep(0.5)  # Ctrl-C does not wake a longer sleep on Windows
