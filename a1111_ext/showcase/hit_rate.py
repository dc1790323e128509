"""The hit rate: which share of the rated pictures is usable, per checkpoint, template and option.

Usable is what was rated 1, 2 or 5; unrated pictures say nothing. The interval is Wilson's at 95 %,
so that 4 of 5 are not taken for as sure as 80 of 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohya_ext.project import open_project
from kohya_ext.project.wording import counted

from .album import ShowPicture, read_album
from .ratings import Rating
from .review import read_review
from .templates import plain_checkpoint

GOOD = 0.8
"""At least this share of the pictures should be usable."""

_Z = 1.959964
_FEWEST = 5
"""With fewer rated pictures nothing is said of a checkpoint or an option."""


@dataclass(frozen=True)
class HitRate:
    """How many of the rated pictures of one kind are usable."""

    name: str
    usable: int
    rated: int

    @property
    def share(self) -> float:
        """The share itself; 0 where nothing is rated."""
        return self.usable / self.rated if self.rated else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share (Wilson)."""
        if not self.rated:
            return 0.0, 1.0
        n, share = self.rated, self.share
        middle = share + _Z**2 / (2 * n)
        spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
        scale = 1 + _Z**2 / n
        low, high = max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
        return (0.0 if not self.usable else low), (1.0 if self.usable == n else high)

    @property
    def verdict(self) -> str:
        """Say how it stands to 80 %."""
        low, high = self.interval
        if low >= GOOD:
            return "good"
        if high < GOOD and self.rated >= _FEWEST:
            return "less than 80 %"
        return "good so far" if self.share >= GOOD else "undecided"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        low, high = (round(one, 4) for one in self.interval)
        values = {"name": self.name, "usable": self.usable, "rated": self.rated}
        return {**values, "low": low, "high": high, "verdict": self.verdict}


@dataclass(frozen=True)
class HitReport:
    """All hit rates of a showcase, and what they say in whole sentences."""

    total: HitRate
    checkpoints: tuple[HitRate, ...]
    templates: tuple[HitRate, ...]
    options: tuple[HitRate, ...]
    findings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        groups = {name: getattr(self, name) for name in ("checkpoints", "templates", "options")}
        rows = {name: [one.as_dict() for one in group] for name, group in groups.items()}
        return {"total": self.total.as_dict(), **rows, "findings": list(self.findings)}

    def tables(self) -> tuple[dict[str, Any], ...]:
        """Return it as tables for a page."""
        head = ["", "usable", "share", "95 % interval", ""]
        groups = (
            ("Checkpoints", self.checkpoints),
            ("Templates", self.templates),
            ("Options", self.options),
        )
        first = {
            "title": "Usable pictures (rated 1, 2 or 5)",
            "head": head,
            "rows": [_row(self.total)] if self.total.rated else [],
            "said": " ".join(self.findings)
            or ("" if self.total.rated else "Nothing is rated yet."),
            "isAlarm": bool(self.findings),
        }
        rest = [
            {"title": title, "head": head, "rows": [_row(one) for one in group], "said": ""}
            for title, group in groups
            if group
        ]
        return (first, *rest)


def _row(one: HitRate) -> list[str]:
    low, high = one.interval
    count = f"{one.usable} of {one.rated}"
    return [one.name, count, f"{one.share:.0%}", f"{low:.0%} to {high:.0%}", one.verdict]


def hit_report(album: Sequence[ShowPicture], ratings: Mapping[str, Rating]) -> HitReport:
    """Count what was rated; a larger version speaks for its small picture where that is unrated."""
    judged = dict(_judged(album, ratings))
    total = _rate("all", judged.values())
    checkpoints = _grouped(judged, album, lambda one: [plain_checkpoint(one.checkpoint)])
    templates = _grouped(judged, album, lambda one: [one.template])
    options = _grouped(
        judged,
        album,
        lambda one: {f"{pick.variant}: {pick.option or '(nothing)'}" for pick in one.picks},
    )
    found = [*_unsuited(checkpoints, total), *_failing(options, total)]
    failing_first = sorted(options, key=lambda one: (one.interval[1], -one.rated, one.name))
    return HitReport(total, checkpoints, templates, tuple(failing_first), tuple(found))


def hits_of_promoted(root: Path) -> dict[str, Any] | None:
    """Return the hit rates of a project's promoted LoRA for the report on its training.

    `source` is the epoch file that it was made of; None while nothing is rated.
    """
    project = open_project(root)
    entry, album = project.journal.last("promote"), read_album(project)
    if entry is None or not album:
        return None
    rates = hit_report(album, read_review(project).ratings)
    if not rates.total.rated:
        return None
    source = str(entry.facts.get("source", ""))
    return {"source": source, "tables": rates.tables(), "hit_rate": rates.as_dict()}


def _judged(
    album: Sequence[ShowPicture], ratings: Mapping[str, Rating]
) -> Iterable[tuple[str, bool]]:
    """Yield each small picture that is rated, and whether it is usable."""
    derived: dict[str, Rating] = {}
    for one in album:
        small = one.upscaled_from or one.detailed_from
        if small and one.file in ratings:
            derived[small] = ratings[one.file]
    for one in album:
        if one.upscaled_from or one.detailed_from:
            continue
        rating = ratings.get(one.file, derived.get(one.file))
        if rating is not None:
            yield one.file, rating is not Rating.DROP


def _grouped(
    judged: Mapping[str, bool],
    album: Sequence[ShowPicture],
    names_of: Callable[[ShowPicture], Iterable[str]],
) -> tuple[HitRate, ...]:
    groups: dict[str, list[bool]] = {}
    for one in album:
        if one.file in judged:
            for name in filter(None, names_of(one)):
                groups.setdefault(name, []).append(judged[one.file])
    return tuple(_rate(name, groups[name]) for name in sorted(groups))


def _rate(name: str, usable: Iterable[bool]) -> HitRate:
    found = list(usable)
    return HitRate(name, sum(found), len(found))


def _rest(one: HitRate, total: HitRate) -> HitRate:
    return HitRate("the others", total.usable - one.usable, total.rated - one.rated)


def _is_worse(one: HitRate, total: HitRate) -> bool:
    """Tell whether one is below 80 % and below the others, both beyond chance."""
    others = _rest(one, total)
    if min(one.rated, others.rated) < _FEWEST:
        return False
    return one.interval[1] < GOOD and one.interval[1] < others.interval[0]


def _unsuited(checkpoints: Sequence[HitRate], total: HitRate) -> list[str]:
    worse = [one for one in checkpoints if _is_worse(one, total)]
    found = [
        f"The checkpoint {one.name} does not suit your LoRA: {one.usable} of "
        f"{counted(one.rated, 'picture')} are usable, {_rest(one, total).usable} of "
        f"{_rest(one, total).rated} with the others."
        for one in worse
    ]
    if not worse and total.rated >= _FEWEST and total.interval[1] < GOOD:
        found.append(
            f"Only {total.usable} of {counted(total.rated, 'picture')} are usable, on every "
            "checkpoint: check the template, the weight or the epoch."
        )
    return found


def _failing(options: Sequence[HitRate], total: HitRate) -> list[str]:
    return [
        f'The option "{one.name}" fails: {one.usable} of {counted(one.rated, "picture")} are '
        "usable, "
        f"{_rest(one, total).usable} of {_rest(one, total).rated} without it."
        for one in options
        if _is_worse(one, total)
    ]
