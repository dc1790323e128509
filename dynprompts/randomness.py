"""Randomness keyed by (seed, slot): the same on every machine and in every Python.

    seed  --mix-->  64-bit state  --(state ^ k1) * (state ^ k2), folded-->  64-bit draw
k1 and k2 follow from the slot's name. What a draw leads to is drawn from the draw, so that a
nested slot depends on its whole way down, and on nothing beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

MASK = (1 << 64) - 1


def mix(seed: int) -> int:
    """Return 64 well-mixed bits of a seed (the splitmix64 step); any integer will do."""
    if not 0 <= seed <= MASK:
        seed = int.from_bytes(
            _digest(seed.to_bytes(seed.bit_length() // 8 + 1, "big", signed=True), 8), "big"
        )
    state = (seed + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ state >> 27) * 0x94D049BB133111EB) & MASK
    return state ^ state >> 31


def _digest(content: bytes, size: int) -> bytes:
    from hashlib import blake2b  # a tenth of what importing the package takes

    return blake2b(content, digest_size=size).digest()


@lru_cache(maxsize=1 << 14)
def slot_keys(slot: str) -> tuple[int, int]:
    """Return the two keys of a slot."""
    digest = _digest(slot.encode("utf-8", errors="surrogatepass"), 16)
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def draw(state: int, keys: tuple[int, int]) -> int:
    """Return the 64-bit draw of a slot."""
    product = (state ^ keys[0]) * (state ^ keys[1])
    return (product ^ product >> 64) & MASK


def thresholds(weights: Iterable[float]) -> list[int]:
    """Return up to which 64-bit draw each option is taken; empty when all weights are 0."""
    totals = list(accumulate(weights))
    if not totals or totals[-1] <= 0:
        return []
    return [int(total / totals[-1] * 2.0**64) for total in totals]


def below(bound: int, state: int, keys: tuple[int, int]) -> int:
    """Return a number from 0 to `bound` - 1, however large the bound."""
    words = (bound.bit_length() + 32) // 64 + 1
    number = 0
    for _ in range(words):
        state = draw(state, keys)
        number = number << 64 | state
    return number * bound >> 64 * words
