"""What a user of the script wants to compare.

Read at the host's start, so it imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GridOptions:
    """What to compare, as typed: epochs, seeds, and whether a row without the LoRA is wanted."""

    epochs: str = "all"
    seeds: str = "-1, -1, -1, -1"
    control: bool = True
