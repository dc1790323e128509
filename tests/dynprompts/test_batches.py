"""Samples, balanced batches, coverage, reach: what a batch is checked and planned with."""

from __future__ import annotations

from collections import Counter

import pytest

from dynprompts import (
    LimitExceeded,
    Limits,
    NothingToDraw,
    PromptError,
    WildcardLibrary,
    parse,
    parse_lines,
)

LIBRARY = WildcardLibrary(
    texts={
        "hair.txt": "red\nblue <lora:dye:0.5>\n",
        "show.yaml": "show:\n  - ${subject} in {a|b} <lora:{x|y}_z:1>\n  - plain __hair__\n",
        "loras.txt": "one\ntwo\n",
        "loop.txt": "end\n__loop__ <lora:again:1>\n",
        "zero.yaml": "zero: ['0::a', '1::b']\n",
        "deep/hair.txt": "green\n",
    }
)
BILLION = " ".join(["{0|1|2|3|4|5|6|7|8|9}"] * 9)


def test_a_sample_of_a_billion():
    sampled = parse(BILLION).sample(1000, seed=3)
    assert len({one.text for one in sampled}) == 1000
    assert sampled == parse(BILLION).sample(1000, seed=3)
    assert sampled[:10] == parse(BILLION).sample(10, seed=3)
    first = Counter(one.text[0] for one in sampled)
    assert all(60 < many < 140 for many in first.values())


def test_a_sample_of_a_few_is_all_of_them():
    assert {one.text for one in parse("{a|b|c}").sample(10)} == {"a", "b", "c"}
    assert {one.text for one in parse("{a|b}{a|b}{|}").sample(10)} == {"aa", "ab", "ba", "bb"}


def test_numbers_beyond_any_machine_word():
    template = parse(" ".join(["{0|1|2|3|4|5|6|7|8|9}"] * 300))
    assert template.count() == 10**300
    assert template.combination(10**300 - 1).text == " ".join("9" * 300)
    assert [one.number for one in template.combinations(2, start=10**299)] == [
        10**299, 10**299 + 1,
    ]  # fmt: skip
    assert len({one.number for one in template.sample(3)}) == 3


def test_a_number_that_no_combination_has():
    with pytest.raises(IndexError, match="there are 2 combinations"):
        parse("{a|b}").combination(2)
    with pytest.raises(IndexError):
        parse("{a|b}").combination(-1)


def test_mixed_sizes_are_counted():
    template = parse("{2-3$$a|{b|c}|{d|e|f}|g}")
    listed = [one.text for one in template.combinations()]
    assert template.count() == len(listed) == len(set(listed))
    assert [template.combination(n).text for n in range(len(listed))] == listed


@pytest.mark.parametrize("amount", [1, 7, 8, 9, 40])
def test_balanced_options_come_evenly(amount: int):
    template = parse("${framing={headshot|9::close|full|half}}${framing} {x|y|z}")
    batch = template.balanced(amount, "framing", seed=5)
    counted = Counter(one.pick("framing") for one in batch)
    assert len(batch) == amount
    assert max(counted.values()) - min(counted.values() if len(counted) == 4 else [0]) <= 1
    assert batch == template.balanced(amount, "framing", seed=5)
    assert [one.text.split()[1] for one in batch] == [
        one.text.split()[1] for one in template.randoms(range(5, 5 + amount))
    ]


def test_balanced_by_default_are_the_named():
    template = parse("${x={a|b}}${y={1|2}}${x}${y}{p|q|r}{2$$s|t|u}")
    batch = template.balanced(8)
    assert Counter(one.pick("x") for one in batch) == {"a": 4, "b": 4}
    assert Counter(one.pick("y") for one in batch) == {"1": 4, "2": 4}


def test_balanced_ranges_and_wildcards():
    template = parse("${x={2$$a|b|c}}${x} __loras__ {{p|q} deep|flat}", LIBRARY)
    batch = template.balanced(6, "x", "loras", "{{p|q} deep|flat}")
    counted = Counter(pick.option for one in batch for pick in one.picks if pick.variant == "x")
    assert counted == {"a": 4, "b": 4, "c": 4}
    assert all(len({p.option for p in one.picks if p.variant == "x"}) == 2 for one in batch)
    assert Counter(one.pick("loras") for one in batch) == {"one": 3, "two": 3}
    assert sum("flat" in one.text for one in batch) == 3


def test_one_name_at_two_places_is_balanced_over_both():
    batch = parse("${x={a|b|c}}${x}${x}").balanced(3, "x")
    assert Counter("".join(one.text for one in batch)) == {"a": 2, "b": 2, "c": 2}
    twice = parse("{a|b|c}{a|b|c}").balanced(3, "{a|b|c}")
    assert Counter("".join(one.text for one in twice)) == {"a": 2, "b": 2, "c": 2}


def test_what_weighs_nothing_is_not_balanced():
    batch = parse("__zero__", LIBRARY).balanced(4, "zero")
    assert {one.text for one in batch} == {"b"}
    with pytest.raises(PromptError, match="DP122"):
        parse("${x={0::a|0::b}}${x}").balanced(2, "x")


def test_an_unknown_name_is_said():
    with pytest.raises(PromptError, match=r'no variant or wildcard is called "y"; there are: x'):
        parse("${x={a|b}}${x}").balanced(3, "y")
    with pytest.raises(PromptError, match="there are: none"):
        parse("plain").balanced(3, "y")


def test_coverage_counts_what_was_drawn():
    template = parse("${x={a|b|c}}${x} __loras__ {2$$p|2::q}", LIBRARY)
    batch = list(template.randoms(range(40)))
    coverage = template.coverage(batch)
    by_name = {one.label: one for one in coverage.choices}
    assert coverage.samples == 40
    assert sum(one.drawn for one in by_name["x"].options) == by_name["x"].times == 40
    assert [one.expected for one in by_name["loras"].options] == [20, 20]
    assert [one.expected for one in by_name["{2$$p|2::q}"].options] == [None, None]
    assert not by_name["x"].never
    assert str(coverage).splitlines()[0] == "40 prompts"


def test_coverage_names_what_is_missing_or_far():
    template = parse("${x={a|b|0::c}}${x}")
    batch = [one for one in template.randoms(range(100)) if one.text == "a"]
    (choice,) = template.coverage(batch).choices
    assert [one.option for one in choice.never] == ["b"]
    assert [one.option for one in choice.far] == ["a", "b"]
    text = str(template.coverage([*batch * 3, *template.randoms(range(9))]))
    assert "far from its weight" in text
    empty = template.coverage([])
    assert "never drawn" not in str(empty)


def test_coverage_of_many_values_is_shortened():
    library = WildcardLibrary(texts={"w.txt": "\n".join(map(str, range(500)))})
    template = parse("__w__", library)
    assert "... 500 options in all" in str(template.coverage(template.randoms(range(5))))


def test_reach_finds_every_tag():
    text = (
        "<lora:{a|b}_{c|d}:0.8> {<lora:e:1>|f} __show(subject=<lora:g:1>)__ <lora:__loras__:1> "
        "<hypernet:h:1> {<lora:i|<lora:j}:{0.5|1}> <lora:broken <lora:k:1> a > b ${x=!<lora:l:1>}"
        "${x} %{<lora:m:1> ...$$<lora:n:1>} {0-3$$ $$<lora:o|p:|1>} < lora {1-3$$p|<lora:q:1>}"
    )
    reach = parse(text, LIBRARY).reach()
    assert {"a_c", "a_d", "b_c", "b_d", "e", "g", "x_z", "y_z", "dye", "one", "two", "k"} <= set(
        reach.loras
    )
    assert {"i", "j", "l", "m", "n", "o p", "q"} <= set(reach.loras)
    assert "h" not in reach.loras
    assert [tag.name for tag in reach.tags if tag.kind == "hypernet"] == ["h"]
    assert {tag.weight for tag in reach.tags if tag.name == "i"} == {"0.5", "1"}
    assert reach.complete
    (dye,) = [tag for tag in reach.tags if tag.name == "dye"]
    assert (dye.text, dye.where) == ("<lora:dye:0.5>", "hair.txt:2")


def test_reach_finds_what_is_missing():
    text = "${v={a|nope}}__nope__ __${v}__ __deep/*__ ${u} ${w:d} __{2$$a|b}__ ${?x}".replace(
        "${?x}", "${x?=1}${x?=2}${x}"
    )
    reach = parse(text, LIBRARY).reach()
    assert {one.name for one in reach.missing} == {"nope", "a"}
    assert {one.name for one in reach.undefined} == {"u", "subject"}
    assert {one.name for one in reach.variables} == {"v", "u", "w", "x", "subject"}
    assert {one.name for one in reach.wildcards} >= {"deep/*", "*"}
    assert reach.missing[0].where == "template:1:14"
    assert "deep/hair" in reach.names


def test_reach_of_a_path_with_parts_of_parts():
    text = "${v=${u}r}${u={hai|${w}}}__{deep/|}${v}__ __x${nothing}__ __${e=}${e:hair}__"
    text = text.replace("__${e=}${e:hair}__", "__${e:hair}__")
    reach = parse(text, LIBRARY).reach()
    assert {"hair", "deep/hair"} <= {one.name for one in reach.wildcards}
    assert {"wr", "deep/wr", "xnothing"} <= {one.name for one in reach.missing}


def test_cycles_do_not_stop_the_survey():
    assert parse("__loop__ ${x=${x}}${x}", LIBRARY).reach().loras == ("again",)
    shallow = Limits(recursion=1)
    deep = parse("__show(subject=${y})__${y=${z}}${z=${t}}", LIBRARY, limits=shallow)
    assert "dye" not in deep.reach().loras


def test_too_many_tags_are_not_all_listed():
    text = "<lora:" + "{0|1|2|3|4|5|6|7|8|9}" * 4 + ":1>"
    reach = parse(text).reach()
    assert not reach.complete
    several = " ".join(f"<lora:x{number}:1>" for number in range(5001))
    assert not parse(several).reach().complete
    long = parse("<lora:" + "x" * 400 + "{a|b}:1>").reach()
    assert long.loras == ()


def test_open_tags_beyond_number_are_dropped():
    text = "<lora:" + "{0|1|2|3|4|5|6|7|8|9}" * 4 + "y{a|b}:1>"
    reach = parse(text).reach()
    assert not reach.complete


def test_a_path_may_be_given_from_outside():
    reach = parse("__${v}__", LIBRARY, variables={"v": "${a=1}hair"}).reach()
    assert [one.name for one in reach.wildcards] == ["hair"]


def test_samples_give_up_where_all_reads_the_same():
    assert [one.text for one in parse("{a|a }{ | b}" + "{|#x\n}" * 30).sample(50)][:1]


def test_choices_are_named_as_their_picks():
    template = parse("${x={a|2::b}}${y=__loras__}${x}${y} {2$$c|d} {2$$__hair__}", LIBRARY)
    choices = template.choices
    assert set(choices) == {"x", "y", "{2$$c|d}", "hair"}
    assert choices["x"].named
    assert choices["x"].share(1) == pytest.approx(2 / 3)
    assert not choices["hair"].single
    assert choices["{2$$c|d}"].share(0) == 0.5
    assert parse("{0::a|0::b}").choices["{0::a|0::b}"].share(0) == 0
    picks = template.random(1).picks
    assert {pick.variant for pick in picks} == set(choices)


def test_a_changed_library_is_seen():
    template = parse("__loras__", LIBRARY)
    assert template.count() == 2
    with pytest.raises(LimitExceeded):
        parse("__loop__", LIBRARY).count()


def test_no_option_comes_twice_in_a_prompt():
    library = WildcardLibrary(
        texts={"c.txt": "red\ngreen\nblue\n", "w.yaml": "w: ['9::x', y, '0::z']"}
    )
    template = parse("__c__ __c__ __c__ {1|2}{1|2}{1|2}", library, no_repeats=True)
    usual = parse(template.source, library)
    for seed in range(200):
        *colours, numbers = template.random(seed).text.split()
        assert sorted(colours) == ["blue", "green", "red"]
        assert numbers[0] != numbers[1]
        *free, _ = usual.random(seed).text.split()
        assert len(set(free)) < 3 or free == colours  # what does not repeat is drawn as ever
    named = parse("__c__ {1-2$$__c__} {1|2}{1|2}", library, no_repeats=["c"])
    texts = [named.random(seed).text for seed in range(100)]
    assert all(len(set(text.split()[0:1] + text.split()[1].split(","))) >= 2 for text in texts)
    assert any(text.endswith(("11", "22")) for text in texts)
    assert len(parse("{2$$__c__}", library, no_repeats=["w"]).random(1).text.split(",")) == 2
    weighted = parse("__w__ __w__ {2$$__w__}", library, no_repeats=True)
    assert {weighted.random(seed).text for seed in range(60)} == {
        "x y x,y", "x y y,x", "y x x,y", "y x y,x",
    }  # fmt: skip
    many = parse("{5::a|0.0001::b|0.0001::c} " * 3, no_repeats=True)
    assert sorted(many.random(1).text.split()) == ["a", "b", "c"]
    for text in ("{0::a}", "{1$$0::a|0::b}", "{0-1$$0::a}"):
        with pytest.raises(NothingToDraw):
            [parse(text, no_repeats=True).random(seed) for seed in range(9)]
    assert parse("{a|b}", no_repeats=True) != parse("{a|b}")
    assert parse("{a|b}{a|b}", no_repeats=True).count() == 4


def test_wildcards_are_united_by_a_plus():
    library = WildcardLibrary(
        texts={"a.txt": "1\n2\n", "b/c.txt": "2\n3\n", "d+e.txt": "4\n", "d.txt": "5\n"}
    )
    assert [one.text for one in parse("__a + c__", library).combinations()] == ["1", "2", "3"]
    assert [one.text for one in parse("__b/*+d__", library).combinations()] == ["2", "3", "5"]
    assert parse("__d+e__", library).random(1).text == "4"
    assert parse("__a+nope__", library).random(1).text == "__a+nope__"


def test_each_line_is_a_template():
    first, second = parse_lines("a {b}\n\n  # note\n {c|d} \n")
    assert (first.random(1).text, second.count()) == ("a b", 2)
    with pytest.raises(PromptError, match="line 3, template:1:1"):
        parse_lines("a\nb\n{c")


def test_a_lone_cyclical_variant_is_listed_in_full():
    lone = parse("a {@x|{y|z}} b")
    assert [one.text for one in lone.combinations()] == ["a x b", "a y b", "a z b"]
    assert lone.combination(2).text == "a z b"
    assert lone.random(1).text == "a y b"
    assert parse("{@x|y}{@x|y}").count() == parse("${v=!{a}}{@x|y}").count() == 1
    assert parse("{@x|y}{1|2}").count() == parse("{~x|y} {1|2}").count() == 2
