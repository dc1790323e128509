"""Shapes: texts that differ in their words only are read once, and nothing else changes."""

from __future__ import annotations

import random

import pytest

from dynprompts import WildcardLibrary, parse
from dynprompts.scope import Rules
from dynprompts.tools import lint
from dynprompts.tools.lint import LintFinding, lint_library
from dynprompts.tools.shapes import Shapes, names

PIECES = (  # noqa: SIM905
    "red ow _ __ __a__ __b_c__ __@a__ { } | :: 2 0.5:: - $$ $ ${x} ${ ${x=a} ( ) [ ] : :1.2 <lora: "
    "x:0.8> > < # \\ , . % word lora oo wow 50% ! @ ~ 1-3 a subject colour = \" ' ^ * // ... aa "
    "1girl 0w0 5 \xe9t\xe9"
).split()
WORDS = ("red", "ow", "word", "colour", "subject", "a", "5", "2", "oo", "1girl", "lora", "x", "13")


class _Unread(Shapes):
    """Knows no shape, so that every text is read."""

    def learn(self, *shape: object) -> None:
        pass


def _lines(rng: random.Random) -> list[str]:
    lines = []
    for _ in range(12):
        glue = rng.choice(("", " "))
        line = glue.join(rng.choice(PIECES) for _ in range(rng.randint(2, 9)))
        lines.append(line)
        for _ in range(24):
            old, new = rng.choice(WORDS), rng.choice(WORDS)
            lines.append(line.replace(old, new, 1))
    return lines


def _found(library: WildcardLibrary) -> list[LintFinding]:
    return lint_library(Rules(library), ["subject"])


@pytest.mark.parametrize("seed", range(40))
def test_a_known_shape_changes_no_finding(seed: int, monkeypatch: pytest.MonkeyPatch):
    texts = {"a.txt": "\n".join(_lines(random.Random(seed))), "b_c.txt": "x\n__a__\n"}
    texts |= {"colour.txt": "q", "word.txt": "q"}
    library = WildcardLibrary(texts=texts, sort=seed % 2 > 0, weights_in_txt=seed % 3 > 0)
    with_shapes = _found(library)
    monkeypatch.setattr(lint, "Shapes", _Unread)
    assert with_shapes == _found(library)


def _learned(text: str) -> Shapes:
    shapes = Shapes()
    shapes.learn(text, parse(text).root, [])
    return shapes


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("a red fox, {warm|cold} light", "a blue old cat, {very dark|red} wood"),
        ("{3::red|blue} __a__ (x:1.2)", "{7::dark|pale} __long/name__ (two words:1.4)"),
        ("<lora:a:0.8> ${x} {1|2}", "<lora:other-name_2:1> ${subject} {30|40}"),
        ("{2$$ and $$red|blue} 1girl", "{2$$ and $$dark|light} girl"),
    ],
)
def test_other_words_have_the_same_shape(text: str, like: str):
    assert _learned(text).find(like) is not None


@pytest.mark.parametrize(
    ("text", "unlike"),
    [
        ("{red|blue}", "{red|blue|x}"), ("a [red] b", "a [colour] b"), ("red: a", "lora: a"),
        ("(red:1.2)", "(o:1.2)"), ("|red| b", "|ow| b"), ("{2::a|b}", "{0::a|b}"),
        ("2 red", "50% red"),
    ],
)  # fmt: skip
def test_what_a_rule_looks_at_makes_another_shape(text: str, unlike: str):
    assert _learned(text).find(unlike) is None


@pytest.mark.parametrize(
    "text",
    [
        "{subject}", "{red, blue}", "{0::a|b}", "{3$$a|b}", "{__a__|__b__}", "${x=a}", "${x:a}",
        "__a(b=c)__", "{__a__|{__b__|${x:a}}}", "__@a__", "{${n}$$a|b}", "%{... a$$b}",
    ],
)  # fmt: skip
def test_a_text_whose_words_decide_is_not_learned(text: str):
    assert _learned(text).find(text) is None


def test_needed_wildcards_are_known_by_number():
    shape = _learned("__a__ {__b__|x} ${v} __c__").find("__c__ {__b__|x} ${w} __a__")
    assert shape is not None
    assert shape.needed == {0, 3}
    assert [one.name for one in names("__c__ {__b__|x} ${w} __a__")] == ["c", "b", "w", "a"]


def test_slips_of_a_known_shape_are_counted():
    text = "".join(f"a word{'ab'[n % 2] * n}}} of ${{v}}\n" for n in range(60))
    slips = [one for one in _found(WildcardLibrary(texts={"a.txt": text})) if one.code == "DP220"]
    assert (len(slips), sum(one.times for one in slips)) == (20, 60)


def test_shapes_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dynprompts.tools.shapes._MOST_KEPT", 1)
    shapes = _learned("(red|")
    shapes.learn("{a|b}", parse("{a|b}").root, [])
    assert shapes.find("{a|b}") is None
