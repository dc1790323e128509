"""`python -m kohya_ext` is `loraloom`, for a clone that was never installed."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
