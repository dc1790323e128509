"""A simulator for sd-scripts' sd3_train_network.py: the same as for train_network.py."""

from __future__ import annotations

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("train_network.py")), run_name="__main__")
