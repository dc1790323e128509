"""What an experienced LoRA maker would say about a set: balance, size, sharpness, variety.

Advice never stops anything and changes nothing; its limits are our choice.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from ..project import Project
from ..project.manifest import USUAL_INFLUENCE, DatasetSettings
from ..project.wording import counted
from .layout import LayoutPlan
from .ratio import both_given, plain
from .repeats import Group, balance
from .roles_csv import Role
from .seen import SeenPicture, see_pictures

FEW_PICTURES = 20
_RARE_SHARE = 0.15
_UNLIKE_SHARE = 0.8
_BLURRED = 3.0
_FAR_FROM_SQUARE = 2.0


def advise(project: Project, plan: LayoutPlan) -> tuple[str, ...]:
    """Return sentences, none when all is well."""
    settings = project.manifest.dataset
    found = []
    count = len(plan.pictures)
    if count < FEW_PICTURES:
        found.append(
            f"{counted(count, 'picture is', 'pictures are')} few; 40 to over 100 are usual."
        )
    found += [both_given(settings)] if both_given(settings) else []
    found += _balance(plan, settings)
    changed = sum(1 for one in plan.pictures if one.change.value != "none")
    if changed:
        found.append(
            f"{changed} of {counted(count, 'picture')} will be converted (upright, PNG, RGB or 8 "
            "bits), because the trainer would see them rotated, white, or not at all."
        )
    transparent = sum(1 for one in plan.pictures if one.is_transparent)
    if transparent:
        found.append(
            f"Partly transparent: {transparent} of {counted(count, 'picture')}. The trainer sees "
            "the colour behind, often black. Add a background."
        )
    seen = see_pictures(
        project, [(one.source, one.role, one.width, one.height) for one in plan.pictures]
    )
    return (*found, *advise_on_pictures(seen, _side(project)))


def _side(project: Project) -> int:
    """Return the side of the square that training has the pixels of."""
    given = [int(one) for one in re.findall(r"[0-9]+", project.manifest.training.resolution)]
    if given:
        return math.isqrt(given[0] * given[-1])
    return project.manifest.base_model.family.facts.drawing.size


def _balance(plan: LayoutPlan, settings: DatasetSettings) -> list[str]:
    ratio = plan.ratio
    if not ratio.primary.pictures:
        return ["No picture is primary: set the rare and characteristic ones to Primary."]
    if ratio.reached is None:
        return []
    wanted = Fraction(str(settings.influence or USUAL_INFLUENCE))
    if wanted / 2 <= ratio.reached <= wanted * 2:
        return []
    if ratio.asked is not None:
        return [
            f"{plain(ratio.reached)} to 1 is the closest that whole repeats come to an influence "
            f"of {plain(ratio.asked)} with so few pictures of one role."
        ]
    better = balance(ratio.supporting.pictures, (Group(ratio.primary.pictures, wanted),))
    return [
        f"Primaries give {counted(ratio.primary.draws, 'draw')} per epoch, supporting pictures "
        f"{ratio.supporting.draws}: {plain(ratio.reached)} to 1 instead of about {plain(wanted)} "
        f"to 1. dataset.repeats: {{primary: {better.others[0]}, supporting: {better.base}}} would "
        f"give {better.draws[0]} and {better.base_draws}, {plain(better.ratios[0])} to 1; so would "
        f"dataset.influence: {plain(wanted)} without repeats."
    ]


def advise_on_pictures(seen: Sequence[SeenPicture], side: int = 0) -> tuple[str, ...]:
    """Return what sizes, sharpness, look-alikes and framings suggest."""
    return (
        *_small(seen, side),
        *_shapes(seen),
        *_blurred(seen),
        *_alike(seen),
        *_framings(seen),
        *_rare(seen),
    )


def _small(seen: Sequence[SeenPicture], side: int) -> list[str]:
    """Name pictures with fewer pixels than the buckets have: they are enlarged for training."""
    small = [one for one in seen if side and one.width * one.height < side * side]
    if not small:
        return []
    return [
        f"{_many(small, seen)} less than {side} x {side} pixels and would be enlarged, which blurs "
        f"them: {_names(small)}."
    ]


def _shapes(seen: Sequence[SeenPicture]) -> list[str]:
    far = [
        one for one in seen
        if max(one.width, one.height) > _FAR_FROM_SQUARE * max(1, min(one.width, one.height))
    ]  # fmt: skip
    if not far:
        return []
    return [
        f"{_many(far, seen)} one side more than twice as long as the other: buckets cut off much, "
        f"or contain only that picture. Crop: {_names(far)}."
    ]


def _blurred(seen: Sequence[SeenPicture]) -> list[str]:
    """Compare each sharpness with the set's own middle: subjects differ, a set is alike."""
    known = sorted(one.sharpness for one in seen if one.sharpness is not None)
    if len(known) < 5:
        return []
    middle = known[len(known) // 2]
    soft = [one for one in seen if one.sharpness is not None and one.sharpness * _BLURRED < middle]
    if not soft:
        return []
    primary = [one for one in soft if one.role is Role.PRIMARY]
    cure = f" {_names(primary)} should not be primary." if primary else ""
    many = f"{len(soft)} of {counted(len(seen), 'picture')} {'is' if len(soft) == 1 else 'are'}"
    return [f"{many} much less sharp than the others: {_names(soft)}.{cure}"]


def _alike(seen: Sequence[SeenPicture]) -> list[str]:
    groups: dict[int, list[SeenPicture]] = {}
    for one in seen:
        if one.group:
            groups.setdefault(one.group, []).append(one)
    doubled = [group for group in groups.values() if len(group) > 1]
    if not doubled:
        return []
    shown = "; ".join(" = ".join(one.name for one in group[:3]) for group in doubled[:3])
    more = f"; and {len(doubled) - 3} more" if len(doubled) > 3 else ""
    return [
        f"{counted(sum(map(len, doubled)), 'picture')} look alike, in "
        f"{counted(len(doubled), 'group')} ({shown}{more}): they count double. Set all but "
        "one of each to Out on the board, sorted by near-duplicates."
    ]


def _framings(seen: Sequence[SeenPicture]) -> list[str]:
    framed = [one for one in seen if one.framing]
    if len(framed) < FEW_PICTURES // 2:
        return []
    counts = Counter(one.framing for one in framed)
    framing, most = counts.most_common(1)[0]
    if most < _UNLIKE_SHARE * len(framed):
        return []
    others = [one for one in ("full body", "close-up", "upper body") if one != framing]
    return [
        f"{most} of {counted(len(framed), 'picture')} have the same framing, {framing}: the LoRA "
        f"will hardly learn others. Add some, for example {others[0]} and {others[1]}."
    ]


def _rare(seen: Sequence[SeenPicture]) -> list[str]:
    """Say which rare framing or tag is not primary yet: what is rare should be."""
    sentences: list[str] = []
    groups: dict[str, list[SeenPicture]] = {}
    for one in seen:
        for name in {*([one.framing] if one.framing else []), *(one.tags & _TELLING)}:
            groups.setdefault(name, []).append(one)
    for name, group in sorted(groups.items(), key=lambda item: (len(item[1]), item[0])):
        waiting = [one for one in group if one.role is Role.SUPPORTING]
        if len(seen) >= FEW_PICTURES and len(group) <= _RARE_SHARE * len(seen) and waiting:
            sentences.append(
                f"Rare: {name} ({len(group)} of {counted(len(seen), 'picture')}): these should be "
                f"primary: {_names(waiting)}."
            )
    return sentences[:5]


_TELLING = frozenset(
    (
        *("smile", "grin", "laughing", "open mouth", "closed eyes", "crying", "angry"),
        *("from behind", "from side", "from above", "from below", "profile"),
        *("sitting", "lying", "running", "jumping", "flying", "sleeping"),
    )
)
"""Expressions, views and poses, which a set is often short of."""


def _many(some: Sequence[SeenPicture], every: Sequence[SeenPicture]) -> str:
    return f"{len(some)} of {counted(len(every), 'picture')} {'has' if len(some) == 1 else 'have'}"


def _names(some: Iterable[SeenPicture]) -> str:
    names = [one.name for one in some]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
