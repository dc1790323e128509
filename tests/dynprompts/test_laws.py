"""Laws that hold for every template: tried on templates that nobody thought of."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynprompts import LimitExceeded, PromptError, Template, WildcardLibrary, parse, unparse

if TYPE_CHECKING:
    from writing import LIBRARY, mutated, templates
else:
    import importlib.util
    from pathlib import Path

    _spec = importlib.util.spec_from_file_location("writing", Path(__file__).parent / "writing.py")
    _writing = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_writing)
    LIBRARY, mutated, templates = _writing.LIBRARY, _writing.mutated, _writing.templates

MOST = 400
calm = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def read(text: str) -> Template | None:
    try:
        return parse(text, LIBRARY)
    except PromptError:
        return None


@calm
@given(templates())
def test_what_is_written_is_read_back(text: str):
    template = read(text)
    if template is not None:
        assert parse(unparse(template.root)).root == template.root


@calm
@given(templates())
def test_count_number_and_order_agree(text: str):
    template = read(text)
    if template is None:
        return
    try:
        total = template.count()
    except PromptError:
        return
    listed = list(template.combinations(MOST))
    assert len(listed) == min(total, MOST)
    assert [one.number for one in listed] == list(range(len(listed)))
    for number in {0, len(listed) // 2, len(listed) - 1}:
        assert template.combination(number) == listed[number]
    if total > 3:
        assert list(template.combinations(2, start=1)) == listed[1:3]


@calm
@given(templates(), st.integers())
def test_a_draw_is_one_of_the_combinations(text: str, seed: int):
    template = read(text)
    if template is None:
        return
    try:
        total = template.count()
        drawn = template.random(seed)
    except PromptError:
        return
    assert template.random(seed) == drawn
    if total <= MOST and "*" not in text:
        assert drawn.text in {one.text for one in template.combinations()}


@calm
@given(templates(), st.integers(min_value=0, max_value=2**70))
def test_a_sample_is_different_prompts(text: str, seed: int):
    template = read(text)
    if template is None:
        return
    try:
        sampled = template.sample(5, seed)
    except PromptError:
        return
    assert len({one.text for one in sampled}) == len(sampled)
    for one in sampled:
        if one.number is not None:  # it has none where combinations cannot be counted
            assert template.combination(one.number) == one


@calm
@given(templates())
def test_turns_survey_and_report_work(text: str):
    template = read(text)
    if template is None:
        return
    try:
        turned = list(islice(template.cyclical(), 3))
        batch = list(template.randoms(range(3)))
    except PromptError:
        return
    assert len(turned) == 3
    choices = template.choices
    assert {pick.variant for one in batch for pick in one.picks} <= set(choices)
    for one in batch:
        for pick in one.picks:
            assert 0 <= pick.number < choices[pick.variant].total
    assert str(template.coverage(batch)).startswith("3 prompts")


@pytest.mark.parametrize("start", range(0, 2000, 500))
def test_mutated_templates_raise_only_ours(start: int):
    """A short version of the fuzz run in tests/bench."""
    for number in range(start, start + 500):
        text = mutated(random.Random(number))
        try:
            template = parse(text, LIBRARY)
        except PromptError:
            continue
        assert parse(unparse(template.root)).root == template.root, text
        with suppress(PromptError):
            template.random(number)
            next(template.combinations(1))
            next(template.cyclical())
            template.count()
            template.reach()


def test_a_cycle_is_gone_through_as_far_as_it_goes():
    library = WildcardLibrary(texts={"w.txt": "a\nb __w__"})
    template = parse("__w__", library)
    assert [one.text for one in template.combinations(3)] == ["a", "b a", "b b a"]
    with pytest.raises(LimitExceeded, match="DP131"):
        list(template.combinations())
    with pytest.raises(LimitExceeded, match=r"w\.txt:2:3.*DP131"):
        template.count()
