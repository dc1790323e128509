"""Slips: what resembles the language and is not is told, with its place and what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynprompts import ParserConfig, WildcardLibrary
from dynprompts.findings import LintFindings
from dynprompts.scope import Rules
from dynprompts.slips import is_suspect
from dynprompts.tools.lint import find_hints, lint_library, lint_text

LIBRARY = WildcardLibrary(texts={"colour.txt": "red\nblue\n", "hair/long.txt": "x\n"})


SLIPS = json.loads((Path(__file__).parent / "data" / "slips.json").read_text("utf-8"))
"""Text, code, line and column, hint."""


@pytest.mark.parametrize(("text", "code", "place", "hint"), SLIPS, ids=[row[0] for row in SLIPS])
def test_a_slip_is_reported(text: str, code: str, place: str, hint: str):
    found = lint_text(text, LIBRARY)
    assert (code, place, hint) in [(o.code, o.where.split(":", 1)[1], o.hint) for o in found]
    assert all(one.excerpt.endswith("^") for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "photo of a {red|2::blue} cat, (red hair:1.2), [a:b:0.5], ((x)), <lora:my__lora:0.8>",
        "${x={a|b}}${y=!__colour__}${x} ${y} ${z:none} {2$$ and $$a|b|c} {1-2$$__colour__}",
        "$5, 50% off, a__b, 16:9, BREAK, >_<, :), :}, {:(|:)}, ({red|blue:1.1}:1.2)",
        "({red:1.2|blue:1.1}) {16:9|4:3} {(a:1.2)|(b:1.1)} [red|blue] o_o (o_o) {3::|a}",
        "# a note\na, b # another note\n\\{ \\} \\| \\$name \\# \\__x\\__ // x",
        "{<lora:a:|<lora:b:}0.8> <lora:{a|b}_x:{0.8|1}> {@a|b} {!a|b} __@colour__ {~a|b}",
        "%{photo of ... at night$${a|b}} %{__colour__$$x} {{a|b}|c} {{masterpiece}} {prompt}",
        "{(a|(b}:1.2) __colour__, __hair/*__ (text) name: 2 {a, b|c: d} /* note */ x",
        "", "{}", "{ a | b }", "a\\", "%{a{b|c} d$$e}", "[red] *red* ~red~ [red|blue:0.5]",
        "{an extremely delicate and beautiful girl} {high resolution} {,__colour__} {2::a}",
        "{{masterpiece, best quality}} {a (b), c (d)} {(red, blue:1.2)} (colour) {ab/c/}",
        "8:30 pm, coffee break, breakfast, [(a):0.5] ((a):1.1) {10% gray|20% gray} 1__colour__",
        "<lora:x:1:lbw=ALL> <lora:x:te=0.5:unet=1> <lora:x> {8:30 pm|noon} (red {a|b}:1.2), 2x4",
        "<lora:a b:.8> <lora:x:{0.8|1}> ({a|b}:1.2) [{a|b}:0.5] {2$$ and $$a|b} mira@{here|there}",
        "{2$$, $$a|b|c} {1-2$$__colour__} {-1$$a|b} 20% off, a 30% b {a|b 70%} {1|2|3}",
    ],
)  # fmt: skip
def test_usual_prompts_are_left_alone(text: str):
    assert lint_text(text, LIBRARY) == []


def test_variables_from_outside_are_meant():
    found = lint_text("{subject} $subject <subject> %subject%", LIBRARY, ["subject"])
    assert [one.hint for one in found] == [
        "Did you mean ${subject}?", "Write ${name}.", "Did you mean ${subject}?",
        "Did you mean ${subject}?",
    ]  # fmt: skip


def test_what_cannot_be_read_is_reported_as_well():
    (found,) = lint_text("a {b|c")
    assert (found.code, found.severity, found.where) == ("DP101", "error", "template:1:3")
    assert found.excerpt == "  a {b|c\n    ^"
    (deep,) = lint_text("{" * 120)
    assert (deep.code, deep.excerpt) == ("DP130", "")


def test_wildcards_can_be_left_out():
    library = WildcardLibrary(texts={"a.txt": "{b}} __gone__\n"})
    assert len(lint_text("__a__", library)) == 2
    assert lint_text("__a__", library, follow=False) == []


def test_other_brackets_have_no_slips():
    assert lint_text("<a} b|c>", config=ParserConfig("<", ">")) == []


def test_slips_stand_in_wildcards_with_file_and_line():
    texts = {
        "a.txt": "fine\n3::red\nplain (a:1.2\nb {c|d}} __colour_\n",
        "b.yaml": "k: ['2:: x', 'y}']",
    }
    found = lint_library(Rules(WildcardLibrary(texts=texts)))
    assert [(one.code, one.where) for one in found] == [
        ("DP222", "a.txt:2:1"), ("DP226", "a.txt:3:7"), ("DP220", "a.txt:4:8"),
        ("DP223", "a.txt:4:10"), ("DP220", "b.yaml:1:16"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a (b:1.2), <lora:x:1>", "a, b", "plain words", "(x)", "a_b"])
def test_plain_lines_cost_one_look(text: str):
    assert not is_suspect(text)


@pytest.mark.parametrize(
    "text",
    [
        "{a|<b} {c|d>} x", "a <lora:x:1> \\<lora:y", "{x|} __colour__(text)",
        "{[a]|b]}", "<colo> %q%",
        "${colour:a} = b => c",
        "__colour__ (a:1.2", "{a|b} :: x", "{(a:1|b} c", "{<|>} {a", "a (b|c:1.2",
    ],
)  # fmt: skip
def test_what_only_resembles_a_slip_is_no_error(text: str):
    assert all(one.severity == "warning" or one.code == "DP101" for one in lint_text(text, LIBRARY))


def test_many_readings_and_places_are_cut_short():
    texts = {f"d{n}/same.txt": "a\n" for n in range(9)}
    texts["x.txt"] = "".join(f"{n} __y__ ${{gone}} __{n}__\n" for n in range(30))
    texts["y.txt"] = "".join(f"{n} __x__\n" for n in range(30)) + "end __x__ __z__\n"
    texts["z.txt"] = "z\n__z__ __x__\n"
    library = WildcardLibrary(texts=texts)
    (found,) = lint_text("__same__", library)
    assert "or 5 more; all their values" in found.message
    codes = [one for one in lint_library(Rules(library)) if one.code in ("DP203", "DP212")]
    assert sum(one.times for one in codes) >= 40
    (gone,) = [one for one in lint_library(Rules(library)) if one.code == "DP209"]
    assert gone.times == 30
    (amount,) = lint_text("{${n}$$a|b|c}", library)
    assert amount.code == "DP209"


def test_the_first_place_of_a_name_is_kept():
    found = LintFindings()
    for where in ("b:2:1", "b:2:1", "c:1:1", "a:9:9"):
        found.say("DP201", "gone", where)
    (only,) = found.findings()
    assert (only.where, only.times, only.excerpt) == ("a:9:9", 3, "")


def test_repeats_are_folded():
    names = "".join(f"__gone{n % 3}__ ${{v}}\n" for n in range(90))
    braces = "".join(f"x{n}}}\n" for n in range(50))
    tree = {"z.txt": names, "b.txt": braces, "a.txt": "__gone1__ here\n"}
    found = lint_library(Rules(WildcardLibrary(texts=tree)))
    missing = {one.message: (one.where, one.times) for one in found if one.code == "DP201"}
    assert sorted(missing.values())[0] == ("a.txt:1:1", 2)
    assert len(missing) == 3
    undefined = [one for one in found if one.code == "DP209"]
    assert [one.times for one in undefined] == [3]
    several = [one for one in found if one.code == "DP220"]
    assert (len(several), sum(one.times for one in several)) == (20, 50)
    assert "(and 30 more)" in str(several[-1])


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("Colour", "colour"), ("colors", "colour"), ("long", ""), ("wildcards/colour", "colour"),
        ("other/long", "hair/long"), ("q", ""), ("something else", ""),
    ],
)  # fmt: skip
def test_near_names_are_suggested(wanted: str, meant: str):
    found = lint_text(f"__{wanted}__", LIBRARY)
    assert [one.hint for one in found if one.code == "DP201"] == (
        [] if wanted == "long" else [f"Did you mean __{meant}__?" if meant else ""]
    )


def test_hints_are_sentences_without_what_stops_the_draw():
    texts = (("first", "a $fox __colours__"), ("second", "{red, blue}"), ("first", "a $fox"))
    assert find_hints(texts, LIBRARY) == (
        'first: This variable has no braces and stays as it is: "$fox __colours__". Write ${name}.',
        'second: This variant has one option: "{red, blue}". '
        'Options are separated by "|": {red|blue}.',
        'first: This variable has no braces and stays as it is: "$fox". Write ${name}.',
    )
