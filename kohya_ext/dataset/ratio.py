"""How much primaries weigh against supporting pictures: repeats by hand, or by influence.

Decided once from the counts of both roles; `stage`, `show`, `check`, `config` and `report` read
what is staged and say the same sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath

from ..project import Project
from ..project.decisions.role_plan import read_roles
from ..project.manifest import USUAL_INFLUENCE, DatasetSettings, Repeats
from ..project.numbers import repeats_in_name
from ..project.pictures import find_pictures
from .repeats import Group, balance
from .roles_csv import Role
from .staged import read_staged


@dataclass(frozen=True)
class RoleShare:
    """What the pictures of one role give to an epoch; `repeats` are more than one after a move."""

    role: Role
    pictures: int
    repeats: tuple[int, ...]
    draws: int

    def __str__(self) -> str:
        times = "/".join(map(str, self.repeats))
        return f"{self.pictures} {self.role.value} x {times} = {self.draws}"


@dataclass(frozen=True)
class Ratio:
    """Both shares, and where the repeats come from."""

    primary: RoleShare
    supporting: RoleShare
    asked: Fraction | None = None
    """The influence that was asked for; None where repeats stand in the manifest."""

    @property
    def reached(self) -> Fraction | None:
        """Primary draws for each supporting one; None without supporting pictures."""
        if not self.supporting.draws:
            return None
        return Fraction(self.primary.draws, self.supporting.draws)

    def __str__(self) -> str:
        shares = [str(one) for one in (self.primary, self.supporting) if one.pictures]
        if not shares:
            return "no picture is left for training"
        said = f"{', '.join(shares)} per epoch"
        if self.reached is None or not self.primary.draws:
            return said
        where = "repeats by hand" if self.asked is None else f"influence {plain(self.asked)}"
        return f"{said}: {plain(self.reached)} to 1 ({where})"


def plain(number: Fraction | float) -> str:
    """Return a number as people write it: 2, 1.77."""
    return f"{float(number):.2f}".rstrip("0").rstrip(".")


def choose_repeats(settings: DatasetSettings, primary: int, supporting: int) -> Repeats:
    """Return the repeats for so many pictures: those by hand, else the best for the influence."""
    if settings.repeats is not None:
        return settings.repeats
    if not primary or not supporting:
        return Repeats(1, 1)
    found = balance(supporting, (Group(primary, influence_of(settings)),))
    return Repeats(found.others[0], found.base)


def influence_of(settings: DatasetSettings) -> Fraction:
    """Return how many times the steps of the supporting pictures the primaries should give."""
    wanted = USUAL_INFLUENCE if settings.influence is None else settings.influence
    return Fraction(str(wanted))


def repeats_of(repeats: Repeats, role: Role) -> int:
    """Return how often a picture of this role is shown per epoch."""
    return repeats.primary if role is Role.PRIMARY else repeats.supporting


def both_given(settings: DatasetSettings) -> str:
    """Say what counts where the manifest names repeats and influence; "" where it does not."""
    if settings.repeats is None or settings.influence is None:
        return ""
    by_hand = f"{{primary: {settings.repeats.primary}, supporting: {settings.repeats.supporting}}}"
    return (
        f"The manifest has dataset.repeats {by_hand} and dataset.influence "
        f"{plain(settings.influence)}: the repeats are used. Delete dataset.repeats to let the "
        "influence choose them, or the influence to keep them."
    )


def ratio_of(settings: DatasetSettings, shown: Iterable[tuple[Role, int]]) -> Ratio:
    """Return the ratio of pictures, each with its role and its repeats."""
    counts = Counter(shown)

    def share(role: Role) -> RoleShare:
        own = {times: number for (kind, times), number in counts.items() if kind is role}
        draws = sum(times * number for times, number in own.items())
        return RoleShare(role, sum(own.values()), tuple(sorted(own, reverse=True)), draws)

    asked = None if settings.repeats is not None else influence_of(settings)
    return Ratio(share(Role.PRIMARY), share(Role.SUPPORTING), asked)


def read_ratio(project: Project) -> Ratio | None:
    """Return the ratio of what is staged now; None while nothing is."""
    shown = [
        (role, repeats)
        for place, role in staged_roles(project).items()
        if (repeats := repeats_in_name(place.parts[0])) and role is not Role.OUT
    ]
    return ratio_of(project.manifest.dataset, shown) if shown else None


def staged_roles(project: Project) -> Mapping[PurePosixPath, Role]:
    """Return the staged pictures, relative to images/, with the role that each has now."""
    folder = project.images_dir
    places = [one for one in sorted(read_staged(folder)) if (folder / one).is_file()]
    sources = list(find_pictures(project.source_dir)) if project.source_dir.is_dir() else []
    roles = {path.stem.casefold(): role for path, role in read_roles(project, sources).items()}
    return {place: roles.get(place.stem.casefold(), Role.SUPPORTING) for place in places}
