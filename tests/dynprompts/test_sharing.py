"""Wildcards that share wildcards, or lead back to themselves: as cheap as their files are long."""

from __future__ import annotations

import pytest

from dynprompts import LimitExceeded, Limits, WildcardLibrary, parse
from dynprompts.scope import Rules
from dynprompts.tools.lint import lint_library

LEVELS = 45
SOON = (0,)
"""Seeds with which a first prompt is drawn soon, and then none for long."""
SHARED = WildcardLibrary(
    texts={
        **{f"a{n}.txt": f"x __a{n - 1}__\ny __a{n - 1}__\n" for n in range(1, LEVELS + 1)},
        "a0.txt": "1\n2\n",
        **{
            f"all{n}.txt": "".join(f"x{m} __all{m}__\ny{m} {{__all{m}__|-}}\n" for m in range(n))
            or "end"
            for n in range(40)
        },
        "tags.txt": "<lora:{a|b}:1> __tags__\n<lora:c:1>\n",
        "open.txt": "<lora:in\n__open__x\nplain <\n",
        "face.txt": ">_<\n:<\nsmile\n",
        "loop.txt": "a\nb __loop__\n",
        "never.txt": "__never__ again",
        "pair.txt": "{__loop__|q} __pair__\nz\n",
        "branches.txt": "__branches__ __branches__\nz\ny\n",
        "given.txt": "${v} __given(v=${v}x)__\n${v}\n",
        "bound.txt": "${y=!{1|2}}${y}${x}\n",
    }
)


def template(text: str, **options: object):
    return parse(text, SHARED, **options)  # type: ignore[arg-type]


def test_levels_of_two_are_counted():
    levels = template(f"__a{LEVELS}__")
    assert levels.count() == 2 ** (LEVELS + 1)
    assert levels.combination(2**LEVELS).text == "y " + "x " * (LEVELS - 1) + "1"
    assert len(levels.sample(20, seed=3)) == 20
    assert len(levels.reach().names) == LEVELS + 1
    assert len(levels.choices) == LEVELS + 1


def test_each_that_names_all_below_is_counted():
    size = [1]
    for n in range(1, 40):
        size.append(sum(one + one + 1 for one in size[:n]))
    assert template("__all39__").count() == size[39]
    assert len(template("__all39__").reach().names) == 40


def test_a_library_of_shared_wildcards_is_linted():
    codes = {one.code for one in lint_library(Rules(SHARED))}
    assert {"DP203", "DP212"} <= codes


def test_a_count_without_end_is_refused_at_its_place():
    with pytest.raises(LimitExceeded, match=r'^loop\.txt:2:3: "loop" leads back to itself.*DP131'):
        template("__loop__").count()
    with pytest.raises(LimitExceeded, match=r'^loop\.txt:2:3: "loop" leads back to itself'):
        template("__a9__ {__loop__|__a9__}").count()
    with pytest.raises(LimitExceeded, match=r'"(pair|loop)" leads back'):
        template("${x=__pair__}${x}").count()


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("__loop__", [0, 1, 2, 3]),
        ("{__loop__|x}", [1, 2, 3, 4]),
        ("{2$$__loop__|y}", [0, 2, 4, 6]),
        ("{0-1$$__loop__}", [0, 2, 3, 4]),
        ("%{__loop__ ...$$__loop__}", [0, 1, 4, 9]),
        ("__{loop|loop}__", [0, 1, 2, 3]),
        ("__{__loop__|loop}__ ", [0, 1, 1, 1]),
        ("__never__", [0, 0, 0, 0]),
        ("${x={a|__loop__}}${x} ${x}", [0, 1, 1, 4]),
        ("${x=__loop__}__${x}__", [0, 0, 1, 1]),
        ("{@__loop__} {~__loop__}", [1, 1, 1, 1]),
    ],
)
def test_counts_up_to_a_depth(text: str, sizes: list[int]):
    one = template(text)
    assert [one.count(depth) for depth in range(4)] == sizes
    for depth, size in enumerate(sizes):
        assert len(one.sample(100, depth=depth)) == size


def test_samples_of_what_has_no_end():
    found = template("__loop__").sample(5, seed=1)
    assert len({one.text for one in found}) == 5
    for one in found:
        assert one.seed is not None
        assert template("__loop__").random(one.seed) == one
    assert found == template("__loop__").sample(5, seed=1)
    assert template("__loop__").sample(0) == []
    with pytest.raises(LimitExceeded):
        template("__never__").sample(2)
    assert {one.text for one in template("{__never__|ok}").sample(2)} == {"ok"}
    rare = template("{25::__never__|{a|b|c|d|e|f|g|h|i}}")
    assert 0 < min(len(rare.sample(9, seed)) for seed in SOON) < 9
    with pytest.raises(LimitExceeded, match="DP133"):
        template("__branches__", limits=Limits(bits=100)).sample(2, depth=9)


def test_tags_of_a_cycle_are_listed():
    assert template("__tags__").reach().loras == ("c", "a", "b")
    found = template("__open__:1> end").reach()
    assert {"in", "inx", "inxx"} <= set(found.loras)
    assert template("__a3__ __face__ <lora:d:1> __face__").reach().loras == ("d",)
    assert template("__face__").reach().complete
    assert template("{2$$<lora:__open__|y}").reach().complete


def test_what_grows_with_every_level_is_refused():
    with pytest.raises(LimitExceeded):
        template("__given(v=1)__").count()
    assert [template("__given(v=1)__").count(depth) for depth in range(6)] == [0, 0, 1, 1, 2, 2]
    assert "given" in template("__given(v=1)__").reach().names


def test_a_variable_drawn_at_once_is_seen_below_another():
    bound = template("${x=!{a|b}}{__bound__|c}")
    assert bound.count() == 6
    assert [one.text for one in bound.combinations()] == ["1a", "2a", "c", "1b", "2b", "c"]
