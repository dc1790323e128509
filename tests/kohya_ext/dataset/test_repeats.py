"""The repeats that give each group its share of steps."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from random import Random

import pytest

from kohya_ext.dataset.repeats import Balance, Group, balance, cost


@pytest.mark.parametrize("influence", ["1.77", "1.8", "1.9", "2"])
def test_58_primary_and_164_supporting_get_5_to_1(influence: str) -> None:
    found = balance(164, [Group(58, Fraction(influence))])
    assert (found.others, found.base) == ((5,), 1)
    assert (found.draws, found.base_draws) == ((290,), 164)


@pytest.mark.parametrize("groups", [0, 1, 2, 3])
def test_no_other_repeats_cost_less(groups: int) -> None:
    random = Random(groups)
    most = 12 if groups < 3 else 6
    for _ in range(12):
        base = random.randint(1, 300)
        wanted = [
            Group(random.randint(1, 300), Fraction(random.randint(2, 40), 10))
            for _ in range(groups)
        ]
        least = min(
            cost(
                Balance(
                    first,
                    rest,
                    first * base,
                    tuple(one.pictures * n for one, n in zip(wanted, rest, strict=True)),
                ),
                wanted,
            )
            for first, *others in product(range(1, most + 1), repeat=groups + 1)
            for rest in [tuple(others)]
        )
        assert cost(balance(base, wanted, most), wanted) == least


@pytest.mark.parametrize(("pictures", "influence"), [(0, 2), (1, 0), (1, -1)])
def test_a_group_without_pictures_or_influence_is_refused(pictures: int, influence: int) -> None:
    with pytest.raises(ValueError, match="needs pictures"):
        Group(pictures, Fraction(influence))


def test_a_base_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="base group"):
        balance(0, [])
