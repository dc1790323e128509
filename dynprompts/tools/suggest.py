"""Names that a misspelt one resembles: "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable

_MOST_COMPARED = 400
_ALIKE = 0.72


class Suggestions:
    """Finds near names among many; what is compared letter by letter is few of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._folded: dict[str, str] = {}
        self._tails: dict[str, list[str]] = {}
        for name in self._names:
            self._folded.setdefault(_folded(name), name)
            tail = _folded(name.rpartition("/")[2])
            self._tails.setdefault(tail, []).append(name)

    def near(self, wanted: str) -> str:
        """Return the nearest name, "" when none is near."""
        folded = _folded(wanted)
        tail = _folded(wanted.replace("\\", "/").rpartition("/")[2])
        for one in (folded, folded.removeprefix("wildcards/")):
            if one in self._folded:
                return self._folded[one]
        if tail in self._tails:
            return self._tails[tail][0]
        return self._alike(tail)

    def _alike(self, tail: str) -> str:
        from difflib import get_close_matches

        most = max(1, len(tail) // 4)
        some = [
            one
            for one in self._tails
            if abs(len(one) - len(tail)) <= most and len(set(one) ^ set(tail)) <= 2 * most
        ]
        if len(tail) < 2 or len(some) > _MOST_COMPARED:
            return ""
        found = get_close_matches(tail, some, 1, _ALIKE)
        return self._tails[found[0]][0] if found else ""


def _folded(name: str) -> str:
    name = name.strip().strip("/").lower().replace(" ", "_").replace("-", "_")
    for ending in (".txt", ".yaml", ".yml", ".json"):
        name = name.removesuffix(ending)
    return name.removesuffix("s")
