"""Templates in the prompt box: which prompts, seeds and fields a page becomes."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from a1111_ext.webui.dynamic import Page, PromptOptions, plan_prompts
from dynprompts import WildcardLibrary, parse
from kohya_ext.project import InputError

LIBRARY = WildcardLibrary(texts={"hair.txt": "red\nblue\n"})
PAGE = Page(
    prompt="${look={calm|wild}}${look} __hair__ fox", negative="{blurry|dark}", seed=7, subseed=1,
    subseed_strength=0.0, pictures=4, batch_size=2,
)  # fmt: skip
ON = PromptOptions(enabled=True)


def planned(page: Page = PAGE, unlinked_seed: int = 0, **options: Any) -> Any:
    return plan_prompts(page, replace(ON, **options), LIBRARY, unlinked_seed)


def test_each_picture_is_drawn_with_its_own_seed():
    plan = planned()
    template, negative = parse(PAGE.prompt, LIBRARY), parse(PAGE.negative)
    assert plan.prompts == tuple(template.random(seed).text for seed in range(7, 11))
    assert plan.negatives == tuple(negative.random(seed).text for seed in range(7, 11))
    assert (plan.seeds, plan.subseeds, plan.batch_count) == ((7, 8, 9, 10), (1, 2, 3, 4), 2)
    assert plan.fields == (("Template", PAGE.prompt), ("Negative Template", PAGE.negative))
    assert plan.picks[0].startswith("look=")
    assert "hair=" in plan.picks[0]
    assert plan.hires == plan.prompts


def test_a_fixed_seed_still_varies_the_prompt():
    plan = planned(fixed_seed=True)
    assert plan.seeds == (7, 7, 7, 7)
    assert plan.prompts == planned().prompts


def test_an_unlinked_seed_leaves_the_pictures_theirs():
    plan = planned(unlink_seed=True, unlinked_seed=900)
    assert plan.seeds == (7, 8, 9, 10)
    assert plan.prompts == planned(replace(PAGE, seed=900)).prompts


def test_a_variation_keeps_one_prompt():
    plan = planned(replace(PAGE, subseed_strength=0.3))
    assert set(plan.prompts) == {planned().prompts[0]}
    assert set(plan.seeds) == {7}


def test_all_combinations_take_the_negative_prompt_along():
    plan = planned(replace(PAGE, prompt="{a|b|c}"), combinatorial=True)
    assert plan.prompts == ("a", "a", "b", "b", "c", "c")
    assert plan.negatives == ("blurry", "dark") * 3
    assert (plan.batch_count, len(plan.seeds)) == (3, 6)
    first = planned(replace(PAGE, prompt="{a|b|c}"), combinatorial=True, most=3)
    assert first.prompts == ("a", "a", "b")
    alone = planned(replace(PAGE, prompt="{a|b|c}"), combinatorial=True, negative=False)
    assert (alone.prompts, alone.negatives[0]) == (("a", "b", "c"), PAGE.negative)


def test_the_negative_prompt_can_be_left_as_it_is():
    plan = planned(negative=False)
    assert set(plan.negatives) == {PAGE.negative}
    assert [name for name, _ in plan.fields] == ["Template"]
    assert planned(replace(PAGE, prompt="a fox"), negative=False) is None
    assert planned(replace(PAGE, prompt="a fox", negative="")) is None


def test_the_second_pass_is_drawn_too():
    plan = planned(replace(PAGE, hires="{sharp|soft} fox", hires_negative="{x|y}"))
    assert set(plan.hires) <= {"sharp fox", "soft fox"}
    assert set(plan.hires_negatives) <= {"x", "y"}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="never closed") as caught:
        planned(replace(PAGE, prompt="a {red|blue"))
    assert caught.value.code == "LL775"
    with pytest.raises(InputError, match="100,000,000 combinations") as many:
        planned(replace(PAGE, prompt="{0|1|2|3|4|5|6|7|8|9}" * 8, negative=""), combinatorial=True)
    assert many.value.code == "LL776"


@pytest.fixture
def script(host: Any) -> Any:
    return importlib.import_module("a1111_ext.webui.dynamic_script").DynamicPromptsScript()


def page_of(host: Any, prompt: str, *others: Any) -> Any:
    said: list[str] = []
    return SimpleNamespace(
        all_prompts=[prompt] * 4, all_negative_prompts=["{x|y}"] * 4, all_seeds=[5, 6, 7, 8],
        all_subseeds=[1, 2, 3, 4], subseed_strength=0, batch_size=2, n_iter=2, iteration=0,
        all_hr_prompts=[prompt] * 4, all_hr_negative_prompts=["{x|y}"] * 4,
        hr_prompt="", hr_negative_prompt="", _all_prompts_c=[prompt] * 4,
        extra_generation_params={}, comment=said.append, said=said,
        scripts=SimpleNamespace(alwayson_scripts=list(others)), script_args=[True, False],
    )  # fmt: skip


def test_the_host_gets_drawn_prompts(host: Any, script: Any):
    p = page_of(host, "a {red|blue} fox")
    script.process(p, True, False, 0, False, False, True, False)
    assert set(p.all_prompts) <= {"a red fox", "a blue fox"}
    assert set(p.all_negative_prompts) <= {"x", "y"}
    assert p.all_hr_prompts == p.all_prompts
    assert p.extra_generation_params["Template"] == "a {red|blue} fox"
    assert "Template picks" not in p.extra_generation_params
    assert (p._all_prompts_c, p._all_negative_prompts_c) == (p.all_prompts, p.all_negative_prompts)


def field_of_pictures(p: Any, name: str) -> list[str | None]:
    """Ask for an infotext field as the host does: with the batch's prompts and a place in them."""
    size, found = p.batch_size, []
    for number in range(p.n_iter):
        p.iteration = number
        batch = p.all_prompts[p.iteration * size : (p.iteration + 1) * size]
        reported = p.extra_generation_params[name]
        found += [reported(p=p, index=place, all_prompts=batch) for place in range(len(batch))]
        grid = reported(p=p, index=0, all_prompts=batch, use_main_prompt=True)
    whole = [reported(p=p, index=one, all_prompts=p.all_prompts) for one in range(len(found))]
    assert (grid, whole) == (None, found)
    return found


def test_each_picture_has_its_own_picks_and_second_prompts(host: Any, script: Any):
    p = page_of(host, "${v={a|b|c}}${v}")
    script.process(p, True, True, 0, False, False, False, False)
    assert (p.all_prompts, p.n_iter) == (["a", "b", "c"], 2)
    assert field_of_pictures(p, "Template picks") == ["v=a", "v=b", "v=c"]
    script.process_batch(page_of(host, "plain"))
    p.prompts = ["c"]
    script.process_batch(p)
    assert field_of_pictures(p, "Hires prompt") == [None, None, None]
    p.all_hr_prompts = ["a", "x", "y"]
    script.process_batch(p)
    assert field_of_pictures(p, "Hires prompt") == [None, "x", "y"]
    p.extra_generation_params["Hires prompt"] = "what Forge Neo writes with the second pass"
    script.postprocess_batch(page_of(host, "plain"))
    script.postprocess_batch(p)
    assert field_of_pictures(p, "Hires prompt") == [None, "x", "y"]
    p.hr_prompt = "{x|y}"
    script.process_batch(p)
    reported = p.extra_generation_params["Hires prompt"]
    assert reported(p=p, index=0, all_prompts=["c"], use_main_prompt=True) == "{x|y}"


def test_a_last_batch_that_is_not_full_is_cut(host: Any, script: Any):
    p = page_of(host, "{a|b|c}")
    del p.all_hr_prompts, p.all_hr_negative_prompts
    script.process(p, True, True, 0, False, False, False, False)
    p.init_latent, p.image_conditioning, p.prompts = [1, 1], None, ["a", "b"]
    script.process_batch(p)
    assert p.init_latent == [1, 1]
    p.prompts = ["c"]
    script.process_batch(p)
    assert (p.init_latent, p.image_conditioning) == ([1], None)


def test_slips_are_reported_below_the_pictures(host: Any, script: Any):
    p = page_of(host, "a {red|blue} $animal __colour_ cat")
    script.process(p, True)
    assert p.said == [
        'This variable has no braces and stays as it is: "$animal __colour_ cat". Write ${name}.',
        'This wildcard is never closed: "__colour_ cat". '
        "Two underscores are expected after its name, too: __name__.",
    ]


def test_nothing_happens_unasked_or_beside_the_other_extension(host: Any, script: Any):
    def other(place: int) -> Any:
        return SimpleNamespace(
            title=lambda: "Dynamic Prompts v2.17.1", args_from=place, args_to=place + 1
        )

    for p, on in (
        (page_of(host, "{a|b}"), False),
        (page_of(host, "{a|b}", other(0)), True),
        (page_of(host, "plain"), True),
    ):
        p.all_negative_prompts = ["plain"] * 4
        before = list(p.all_prompts)
        script.process(p, on)
        assert p.all_prompts == before
        assert [one.split(";")[0] for one in p.said] == [
            "Dynamic Prompts v2.17.1 is switched on" for _ in p.scripts.alwayson_scripts
        ]
    p = page_of(host, "{a|b}", other(1))
    script.process(p, True)
    assert p.all_prompts != ["{a|b}"] * 4


def test_a_template_that_cannot_be_drawn_stops_the_pictures(host: Any, script: Any):
    p = page_of(host, "a {red")
    script.process(p, True)
    assert p.said[0].startswith(
        'The prompt cannot be drawn: This "{" is never closed: "{red". A "}" is expected.'
    )
    assert host.shared.state.interrupted
    assert p.all_prompts[0] == "a {red"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("yes",), "\"Draw the prompt as a template\" is 'yes'. It must be true or false. [LL761]"),
        ((True, 1), '"All combinations" is 1. It must be true or false. [LL761]'),
        (
            (True, True, -5),
            '"Combinations at most" is -5. It must be between 0 and 100000. [LL761]',
        ),
        ((True, True, 10**9), "It must be between 0 and 100000. [LL761]"),
        ((True, True, "ten"), "\"Combinations at most\" is 'ten'. It must be a whole number."),
        ((True, True, math.inf), "It must be a whole number. [LL761]"),
        ((True, False, 0, False, False, "false"), "\"Negative prompt, too\" is 'false'."),
    ],
)
def test_a_value_that_a_box_cannot_have_stops_the_pictures(
    host: Any, script: Any, values: Any, sentence: str
):
    """The host would log an error and draw the template letter by letter."""
    p = page_of(host, "a {red|blue} fox")
    script.process(p, *values)
    assert sentence in p.said[0]
    assert p.extra_generation_params["Not drawn"] == p.said[0]
    assert host.shared.state.interrupted


def test_a_fault_of_ours_stops_the_pictures_too(
    host: Any, script: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: Any) -> Any:
        raise RecursionError("maximum depth")

    monkeypatch.setattr("a1111_ext.webui.dynamic_script.plan_prompts", fail)
    p = page_of(host, "a {red|blue} fox")
    script.process(p, True)
    assert p.said == ["The prompt could not be drawn: RecursionError: maximum depth"]
    assert host.shared.state.interrupted
    assert "RecursionError" in caplog.text


def test_an_emptied_number_draws_all_combinations(host: Any, script: Any):
    p = page_of(host, "a {red|blue} fox")
    script.process(p, True, True, None, False, False, False)
    assert p.all_prompts == ["a red fox", "a blue fox"]


def test_the_section_stands_on_both_pages(host: Any, script: Any):
    assert script.title() == "Dynamic prompts (loraloom)"
    assert script.show(True) is script.show(False) is host.scripts.AlwaysVisible
