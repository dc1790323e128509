"""`python -m a1111_ext.simulator FOLDER [PORT]`: run the simulated WebUI until Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

from .host import SimulatedHost
from .server import SimulatedWebui


def main() -> int:
    """Listen, say where on stdout, and serve until interrupted."""
    if len(sys.argv) not in (2, 3):
        sys.stderr.write("Usage: python -m a1111_ext.simulator FOLDER [PORT]\n")
        return 2
    port = int(sys.argv[2]) if len(sys.argv) == 3 else 0
    webui = SimulatedWebui(SimulatedHost(Path(sys.argv[1])), port=port)
    sys.stdout.write(f"Simulated WebUI on {webui.url}\n")
    sys.stdout.flush()
    try:
        webui.serve()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
