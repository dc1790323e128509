"""Near-duplicates: copies in another size or position, and crops of one another.

Copies need nothing but Python; crops need numpy, and are sought in sets of up to 1,500 pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from .copies import LightCourse, Likeness, Pair, find_copies
from .facts import PictureFacts

MOST_FOR_CROPS = 1500
_LEAST_SPREAD = 4.0


def find_alike(
    facts: Mapping[str, PictureFacts], among: Iterable[str] | None = None
) -> tuple[Pair, ...]:
    """Return the near-duplicates in a set, the most alike first; `among`: only with one of these.

    Pictures of one plain colour are like nothing.
    """
    looks = {key: LightCourse(one) for key, one in facts.items()}
    looks = {key: one for key, one in looks.items() if one.spread >= _LEAST_SPREAD}
    wanted = set(looks if among is None else among)
    found: dict[frozenset[str], Pair] = {}
    for pair in find_copies(looks, wanted):
        _keep(found, pair)
    if len(looks) <= MOST_FOR_CROPS and find_spec("numpy") is not None:
        from .crops import find_crops

        for first, second, likeness, is_mirrored in find_crops(facts, looks.keys(), wanted):
            kind = Likeness.MIRROR if is_mirrored else Likeness.CROP
            if frozenset((first, second)) not in found:
                _keep(found, Pair(first, second, kind, likeness))
    return tuple(sorted(found.values(), key=lambda pair: -pair.likeness))


def groups_of(pairs: Iterable[Pair]) -> tuple[tuple[str, ...], ...]:
    """Return the pictures that belong together through any chain of pairs."""
    leader: dict[str, str] = {}

    def lead(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for pair in pairs:
        leader[lead(pair.second)] = lead(pair.first)
    groups: dict[str, list[str]] = {}
    for key in leader:
        groups.setdefault(lead(key), []).append(key)
    return tuple(tuple(one) for one in groups.values())


def _keep(found: dict[frozenset[str], Pair], pair: Pair) -> None:
    both = frozenset((pair.first, pair.second))
    other = found.get(both)
    if other is None or other.likeness < pair.likeness:
        found[both] = pair
