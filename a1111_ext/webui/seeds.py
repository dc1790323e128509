"""The seeds of a grid as the user types them, with the syntax of the WebUI's X/Y/Z plot."""

from __future__ import annotations

import random

from kohya_ext.project import InputError

from ..grids.axes import resolve_seeds
from ..grids.values import parse_whole_numbers

LARGEST = 2**32 - 1
MOST = 1000


def read_seeds(text: str, rng: random.Random) -> tuple[int, ...]:
    """Return the seeds of "5, 7, 10-12, -1"; each -1 is drawn here, once.

    Raises InputError (for anything else; for none, too many, or one out of range).
    """
    seeds = resolve_seeds(parse_whole_numbers(text, "Seed"), rng)
    if seeds and len(seeds) <= MOST and all(0 <= one <= LARGEST for one in seeds):
        return seeds
    raise InputError(
        "LL759",
        f'"{text.strip()}" are no seeds for a grid.',
        f"Name 1 to {MOST} numbers from 0 to {LARGEST}; -1 is a random one.",
    )
