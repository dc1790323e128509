"""Show a page on the loopback address from the command line, until Ctrl-C."""

from __future__ import annotations

import threading

from kohya_ext.project.cli import emit, say

from ..server.folder_server import PageServer


def serve_until_interrupted(server: PageServer) -> None:
    """Print the address and serve; Ctrl-C ends it, also on Windows, and the server is closed."""
    emit(server.url)
    say("open this address on this machine; Ctrl-C ends it")
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.5)
    except KeyboardInterrupt:
        server.stop()
    finally:
        server.close()
