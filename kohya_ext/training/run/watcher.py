"""The watcher of a detached run: `python -m kohya_ext.training.run.watcher RUN_FOLDER`.

It starts the planned trainer or takes over one that is running, ends it on NaN or when asked to,
and writes down how it ended, with no terminal.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ...project import ConflictError
from .record import read_plan
from .runner import POLL_SECONDS, run_training

_TRIES = 40


def main(arguments: list[str]) -> int:
    """Watch the run in the given folder to its end; return 0 when it is finalized."""
    plan = read_plan(Path(arguments[0]))
    for _ in range(_TRIES):  # whoever hands the run over may still be ending
        try:
            run_training(plan)
            return 0
        except ConflictError:
            pass
        time.sleep(POLL_SECONDS)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
