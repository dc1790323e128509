"""Hostile input ends: with an error that names the limit and the place, soon and without harm."""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress

import pytest

from dynprompts import (
    LimitExceeded,
    Limits,
    NothingToDraw,
    PromptError,
    PromptSyntaxError,
    UndefinedVariable,
    WildcardLibrary,
    WildcardNotFound,
    parse,
    unparse,
)
from dynprompts.permutations import Choices

DOUBLING = {f"w{n}.txt": f"__w{n + 1}__ __w{n + 1}__" for n in range(50)} | {"w50.txt": "x"}
BY_ARGUMENT = {
    f"a{n}.txt": f"__a{n + 1}(v=1${{v:}})__ __a{n + 1}(v=2${{v:}})__" for n in range(50)
} | {"a50.txt": "${v}"}
SILENT = {f"s{n}.txt": f"__s{n + 1}____s{n + 1}__" for n in range(50)} | {"s50.txt": "${q:}"}
HOSTILE = WildcardLibrary(
    texts={
        **DOUBLING, **BY_ARGUMENT, **SILENT,
        "self.txt": "__self__ again", "branch.txt": "__branch__ __branch__\n{x|y}",
        "wrap.txt": "%{... __wrap2__$$__wrap2__}", "wrap2.txt": "%{... __wrap3__$$__wrap3__}",
        "wrap3.txt": "y" * 400_000, "many.txt": "\n".join(map(str, range(30_000))),
        "heavy.yaml": "heavy: [" + ", ".join(f"'{n + 1}::v{n}'" for n in range(200)) + "]",
    }
)  # fmt: skip
VARIABLES = "".join(
    f"${{{a}=${{{b}}}${{{b}}}}}" for a, b in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)
WAYS = {
    "random": lambda template: template.random(1),
    "count": lambda template: template.count(),
    "first": lambda template: next(template.combinations(1)),
    "number": lambda template: template.combination(0),
    "turn": lambda template: next(template.cyclical()),
    "sample": lambda template: template.sample(2),
}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize(
    "text",
    ["__w0__", "__a0__", "__s0__", "__self__", "__branch__", "__wrap__", "{__w0__|x}",
     VARIABLES + "${p= x}${a}", "${x=!__w0__}${x}", "{25000$$__many__}", "${x=${y}}${y=${x}}${x}"],
)  # fmt: skip
def test_every_way_ends(text: str, way: str):
    small = Limits(parts=500, spaces=750)
    with suppress(LimitExceeded):
        WAYS[way](parse(text, HOSTILE, limits=small))


@pytest.mark.parametrize(
    ("text", "code", "limits"),
    [
        ("__w0__", "DP132", Limits()),
        ("__self__", "DP131", Limits()),
        ("__wrap__", "DP132", Limits()),
        ("__a0__", "DP134", Limits(spaces=50, parts=10**9)),
        ("x" * 11, "DP132", Limits(characters=10)),
        ("{2$$__many__|__many__|a {b|c}}", "DP132", Limits(parts=1)),
        ("{3$$a|b {c|d}|e}", "DP132", Limits(parts=2)),
        ("%{aaa ...$$bbb}", "DP132", Limits(characters=5)),
        ("{a {b|c}|d {e|f}}", "DP132", Limits(parts=-1)),
        (" ".join("{ab|cd}" for _ in range(300)), "DP132", Limits(characters=300)),
    ],
)
def test_limits_are_named_and_adjustable(text: str, code: str, limits: Limits):
    with pytest.raises(LimitExceeded, match=code):
        parse(text, HOSTILE, limits=limits).random(1)


def test_counts_have_a_limit():
    text = "{1-$$" + "|".join(map(str, range(2000))) + "}"
    with pytest.raises(LimitExceeded, match=r"number of combinations is above 2\^1000 \[DP133\]"):
        parse(text, limits=Limits(bits=1000)).count()
    mixed = "{1-$$" + "|".join(f"{{{n}|x{n}}}|y{n}" for n in range(40)) + "}"
    with pytest.raises(LimitExceeded, match="DP133"):
        parse(mixed, limits=Limits(bits=60)).count()
    with pytest.raises(LimitExceeded, match="DP133"):
        parse(mixed, limits=Limits(bits=1)).count()
    with pytest.raises(LimitExceeded, match="DP133"):
        parse("${x=!{a|b}}" + "{c|d}" * 20, limits=Limits(bits=10)).count()
    with pytest.raises(LimitExceeded, match="DP133"):
        parse("".join(f"${{x{n}=!{{a|b}}}}" for n in range(20)), limits=Limits(bits=10)).count()
    with pytest.raises(LimitExceeded, match="DP133"):
        parse("{1-$$__many__}", HOSTILE).count()


def test_a_choice_of_too_many_is_not_put_together():
    with pytest.raises(LimitExceeded, match="DP132"):
        parse("{3$$a|b|c}", limits=Limits(parts=2)).combination(0)
    with pytest.raises(LimitExceeded, match="DP132"):
        next(parse("{3$$a|b|c}", limits=Limits(parts=2)).combinations())
    with pytest.raises(LimitExceeded, match="DP133"):
        Choices(5, None, 3, 3, 0).counts()


def test_branches_have_a_limit():
    text = "${x=!{a|b|c}}__${x}__"
    with pytest.raises(LimitExceeded, match="more than 2 values"):
        parse(text, limits=Limits(branches=2)).count()
    assert parse(text, limits=Limits(branches=3)).count() == 3


def test_repeated_results_are_dropped_up_to_a_limit():
    text = "{{a|b|c}|{a|d}}"
    assert parse(text).count() == 4
    assert parse("{0$${a|b}|a}").count() == 1
    free = parse(text, limits=Limits(distinct=4))
    assert free.count() == 5 == len(list(free.combinations()))


def test_nesting_has_a_limit():
    assert parse("{" * 100 + "a" + "}" * 100).random(1).text == "a"
    with pytest.raises(LimitExceeded, match=r"template:1:\d+: brackets are nested more than 100"):
        parse("{" * 101 + "a" + "}" * 101)
    for text in ("{" * 100_000, "${x:" * 100_000, "%{" * 100_000, "%{a$$" * 100_000):
        with pytest.raises(LimitExceeded, match="DP130"):
            parse(text)
    assert parse("{" * 20 + "a" + "}" * 20, limits=Limits(nesting=20)).count() == 1


def test_no_recursion_error():
    deep = "{" * 90 + "__deep__" + "}" * 90
    library = WildcardLibrary(texts={"deep.txt": deep})
    before = sys.getrecursionlimit()
    for way in WAYS.values():
        with pytest.raises(LimitExceeded, match="DP131"):
            way(parse("__deep__", library))
    with pytest.raises(LimitExceeded, match="DP131"):
        for _ in parse("__deep__", library).combinations():
            pass
    assert parse("__deep__", library).reach().names == ("deep",)
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize(
    "unit",
    ["{", "}", "(", "__", "__a(", "__a(x=", "__a(x=(1,", "$$", "<a:", "<a:_", "#", "\\", "\\{",
     "|", "//", "/*|", "{1::", "{9", "9", " ", "{ ", "{- ", "(x=", "<l:__a__:", "${x=", "_", "$",
     " # \n", "[", "{a|"],
)  # fmt: skip
def test_long_texts_take_linear_time(unit: str):
    """5,000 of anything: a quadratic step would not come back before the suite's time-out."""
    for text in (unit * 5_000, "{" + unit * 5_000 + "}", "${x=" + unit * 5_000):
        try:
            template = parse(text)
        except PromptError:
            continue
        assert parse(unparse(template.root)).root == template.root


def test_huge_numbers():
    assert parse("{" + "9" * 20 + "$$a|b}").random(1).text in ("a,b", "b,a")
    assert "$$" not in unparse(parse("{" + "9" * 30 + "a|b}").root)
    for seed in (-1, 1 << 64, 1 << 5000, -(1 << 5000)):
        assert parse("{a|b}").random(seed) == parse("{a|b}").random(seed)


def test_weights_of_nothing():
    for text in ("{0::a|0::b}", "{2$$0::a|0::b}"):
        with pytest.raises(NothingToDraw, match="template:1:1: all weights are 0"):
            parse(text).random(1)
    assert parse("{2$$0::a|b|c}").random(1).text in ("b,c", "c,b")
    assert parse("{0-1$$0::a}").random(3).text == ""
    template = parse("{0::a|0::b} {x|y}")
    for _ in range(12):
        with pytest.raises(NothingToDraw):
            template.random(1)


def test_many_of_uneven_weights():
    template = parse("{199$$__heavy__}", HOSTILE)
    picks = template.random(1).picks
    assert len({pick.number for pick in picks}) == 199


def test_options_that_cannot_be_resolved_are_never_in_the_way():
    library = WildcardLibrary(
        texts={"w.txt": "a\n{broken\n"},
    )
    template = parse("{9999::x|__w__|{y|${nowhere}}} {1|2}", library)
    drawn = {template.random(seed).text for seed in range(40)}
    assert drawn <= {"x 1", "x 2"}


def test_a_missing_option_waits_until_it_is_drawn():
    template = parse("{99999::x|__missing__} {" + "|".join(map(str, range(300))) + "}", strict=True)
    assert {template.random(seed).text[0] for seed in range(30)} == {"x"}


def test_errors_name_what_they_are_about():
    library = WildcardLibrary(texts={"a.txt": "x\n  see __gone__\n"})
    with pytest.raises(WildcardNotFound, match=r'a\.txt:2:7: no wildcard is called "gone" \[DP120'):
        list(parse("__a__", library, strict=True).combinations())
    with pytest.raises(UndefinedVariable, match=r"template:2:3: .*\"v\" was never set"):
        parse("a\n  ${v}").random(1)
    with pytest.raises(LimitExceeded, match=r'template:1:5: the variable "x" refers to itself'):
        parse("${x=${x}}${x}").random(1)
    deep = WildcardLibrary(texts={"a.txt": "__a(v=${v:q})__ ${v}"})
    with pytest.raises(LimitExceeded, match="DP131"):
        parse("__a__", deep).random(1)


@pytest.mark.parametrize(
    "error",
    [
        PromptError("DP122", "all weights are 0", where="a.txt:1"),
        LimitExceeded("DP131", "too deep"),
    ],
)
def test_errors_travel_between_processes(error: PromptError):
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))


def test_a_syntax_error_shows_its_line():
    with pytest.raises(PromptSyntaxError) as caught:
        parse("first\n" + "x" * 200 + "\t{a|b")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.name, error.line, error.column) == ("template", 2, 202)
    head, shown, marker = str(error).splitlines()
    assert len(shown) < 100
    assert shown[marker.index("^")] == "{"
    assert head == 'template:2:202: this "{" is never closed [DP101]'
