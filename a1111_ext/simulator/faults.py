"""For tests: what a simulated WebUI counts, and what goes wrong there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Counters:
    """What was done, for tests: pictures, checkpoint loads and changes of the LoRA set."""

    pictures: int = 0
    checkpoint_loads: int = 0
    lora_swaps: int = 0
    refreshes: int = 0
    interrupts: int = 0
    unloads: int = 0
    lora_listings: int = 0


@dataclass
class Faults:
    """What goes wrong, for tests: `before` a request is drawn, and what becomes of a picture."""

    before: Callable[[dict[str, Any]], None] = lambda body: None
    picture: Callable[[bytes], bytes] = lambda png: png
    answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
