"""What an experienced LoRA maker would say about a staged set: balance, size, trigger word."""

from __future__ import annotations

from fractions import Fraction

from .layout import LayoutPlan
from .repeats import Group, balance
from .roles import Role

WISHED_RATIO = 2.0
"""Primaries are meant to give about twice the steps of the supporting pictures."""

FEW_PICTURES = 20


def advise(plan: LayoutPlan) -> tuple[str, ...]:
    """Return sentences, none when all is well; advice never stops anything."""
    found = []
    count = len(plan.pictures)
    if count < FEW_PICTURES:
        found.append(f"{count} pictures are few; usually there are 40 to over 100.")
    found += _balance(plan)
    changed = sum(1 for one in plan.pictures if one.change.value != "none")
    if changed:
        found.append(
            f"{changed} of {count} pictures are staged upright, as PNG, RGB or 8 bits deep, "
            "since the trainer would see them turned, white, or not at all."
        )
    transparent = sum(1 for one in plan.pictures if one.is_transparent)
    if transparent:
        found.append(
            f"{transparent} of {count} pictures are transparent in places: the trainer sees the "
            "colour beneath, often black. Put them on a background."
        )
    return tuple(found)


def _balance(plan: LayoutPlan) -> list[str]:
    draws = dict.fromkeys(Role, 0)
    counts = dict.fromkeys(Role, 0)
    for folder in plan.folders:
        for one in folder.pictures:
            draws[one.role] += folder.repeats
            counts[one.role] += 1
    primary, supporting = draws[Role.PRIMARY], draws[Role.SUPPORTING]
    if not primary:
        return ["No picture is primary: put the rare and characteristic ones into `primary`."]
    if not supporting:
        return []
    ratio = primary / supporting
    if WISHED_RATIO / 2 <= ratio <= WISHED_RATIO * 2:
        return []
    wished = Group(counts[Role.PRIMARY], Fraction(WISHED_RATIO))
    better = balance(counts[Role.SUPPORTING], (wished,))
    return [
        f"Primaries give {primary} draws per epoch, supporting pictures {supporting}: "
        f"{ratio:.1f} to 1 where about 2 to 1 is meant. dataset.repeats: "
        f"{{primary: {better.others[0]}, supporting: {better.base}}} would give "
        f"{better.draws[0]} and {better.base_draws}, {float(better.ratios[0]):.1f} to 1."
    ]
