"""The watcher of a detached run: `python -m kohya_ext.training.watcher RUN_FOLDER`.

It starts the planned trainer, ends it on NaN or when asked to, and writes down how it ended,
with no terminal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .run import read_plan
from .runner import conduct


def main(arguments: list[str]) -> int:
    """Conduct the run in the given folder; return 0 when it is settled."""
    conduct(read_plan(Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
