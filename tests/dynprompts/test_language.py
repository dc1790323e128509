"""What the language promises beyond its ancestor: foreign text, picks, keyed randomness, errors."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import dynprompts
from dynprompts import (
    LimitExceeded,
    PromptSyntaxError,
    UndefinedVariable,
    WildcardLibrary,
    WildcardNotFound,
    parse,
    unparse,
)
from dynprompts.nodes import Option, Sequence


def library(**texts: str) -> WildcardLibrary:
    names = {name.replace("_dot_", "."): text for name, text in texts.items()}
    return WildcardLibrary(texts={name: text.encode() for name, text in names.items()})


def draw(text: str, seed: int = 1, **options: object) -> str:
    return parse(text, **options).random(seed).text


@pytest.mark.parametrize(
    "text",
    [
        "costs $5",
        "50% off",
        "a__b",
        "__",
        "a } b | c",
        "<lora:my__lora:1>",
        "<lora:my__lora__x:0.5> and __init",
        "(red hair:1.2), [a:b:0.5], BREAK x AND y",
        "100%",
        "$",
        "a_b__c d",
        "back\\slash \\( \\)",
        "__a\nb__",
    ],
)
def test_foreign_text_stays(text: str):
    assert draw(text) == text


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        (r"\{a|b\}", "{a|b}"),
        (r"\${x}", "${x}"),
        (r"\#fff", "#fff"),
        (r"\__x__", "__x__"),
        (r"{a\|b}", "a|b"),
        (r"50\% off", "50% off"),
    ],
)
def test_a_backslash_escapes(text: str, drawn: str):
    assert draw(text) == drawn


def test_a_lora_tag_may_hold_a_wildcard():
    loras = library(loras_dot_txt="my_lora")
    assert draw("<lora:__loras__:1>", library=loras) == "<lora:my_lora:1>"


@pytest.mark.parametrize("prompt", ["photo of Mira, solo", "(red hair:1.2), x", "a=b, c"])
def test_arguments_take_real_prompts(prompt: str):
    show = library(show_dot_txt="${subject}, x")
    assert draw(f"__show(subject={prompt})__", library=show) == f"{prompt}, x"


def test_two_arguments_are_two():
    show = library(show_dot_txt="${a}/${b}")
    assert draw("__show(a=1, 2, b=(3, 4))__", library=show) == "1, 2/(3, 4)"


def test_an_immediate_variable_is_drawn_once_per_prompt():
    template = parse("${x=!{a|b|c|d}}${x}${x}")
    texts = {template.random(seed).text for seed in range(40)}
    assert texts == {"aa", "bb", "cc", "dd"}


def test_a_variable_names_its_variant():
    sample = parse("${framing={headshot|close range}}a ${framing}").random(3)
    assert sample.picks[0].variant == "framing"
    assert sample.pick("framing") == sample.text.removeprefix("a ")
    assert sample.pick("nothing") is None


def test_a_pick_tells_file_and_line():
    colours = library(colours_dot_txt="# two\nred\nblue\n")
    (pick,) = parse("__colours__", colours).random(1).picks
    assert (pick.variant, pick.option) in {("colours", "red"), ("colours", "blue")}
    assert pick.where == f"colours.txt:{2 if pick.option == 'red' else 3}"


def test_a_prompt_depends_on_its_own_seed():
    template = parse("{a|b|c|d} {1-3$$x|y|z|w}")
    alone = [template.random(seed).text for seed in (9, 4, 7)]
    assert [sample.text for sample in template.randoms((9, 4, 7))] == alone


def test_draws_are_the_same_everywhere():
    """Fixed texts: a change here changes every user's reproducible pictures."""
    template = parse("{a|b|c|d|e|f|g|h} {2$$1|2|3|4} {0.5::x|3::y}")
    assert [template.random(seed).text for seed in range(4)] == FIXED


FIXED = ["c 3,1 x", "g 1,4 y", "d 3,1 y", "e 3,2 y"]


@pytest.mark.parametrize("gap", [", ", "long, " * 4000], ids=["short", "long"])
def test_drawing_often_draws_the_same(gap: str):
    """After the first prompts a sequence keeps tables, with the texts around joined to them."""
    text = f"a{gap}{{b|c {{d|e}} f|3::g}}{gap}{{2$$h|i|j}} k{gap}{{l|m}}{gap}n"
    fresh = [parse(text).random(seed) for seed in range(40)]
    assert list(parse(text).randoms(range(40))) == fresh


def test_other_parts_keep_their_draws():
    before, after = parse("{a|b|c} {x|y|z}"), parse("{new|text} and {a|b|c} {x|y|z}")
    for seed in range(30):
        assert after.random(seed).text.endswith(" and " + before.random(seed).text)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a photo {red|blue dress", "DP101", 1, 9),
        ("one\ntwo {a|{b}", "DP101", 2, 5),
        ("x ${", "DP102", 1, 5),
        ("${1x}", "DP102", 1, 3),
        ("%{a ... b}", "DP103", 1, 1),
        ("__w(nonsense)__", "DP104", 1, 5),
        ("{2$$x}$$a", "DP106", 1, 7),
        ("{-1.0::a|b}", "DP107", 1, 2),
    ],
)
def test_errors_point_at_the_cause(text: str, code: str, line: int, column: int):
    with pytest.raises(PromptSyntaxError) as caught:
        parse(text)
    error = caught.value
    assert (error.code, error.line, error.column) == (code, line, column)
    assert "^" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_message_shows_line_and_caret():
    with pytest.raises(PromptSyntaxError) as caught:
        parse("a photo {red|blue dress")
    assert str(caught.value).splitlines() == [
        'template:1:9: this "{" is never closed [DP101]',
        "  a photo {red|blue dress",
        '          ^ this "{" is never closed. A "}" is expected.',
    ]


def test_deep_nesting_is_refused():
    with pytest.raises(LimitExceeded, match="DP130"):
        parse("{" * 5000)
    assert draw("{" * 60 + "a" + "}" * 60) == "a"


@pytest.mark.parametrize("text", ["__loop__", "${x=${x}}${x}", "${x=${y}}${y=${x}}${x}"])
def test_cycles_end(text: str):
    loop = library(loop_dot_txt="a __loop__")
    with pytest.raises(LimitExceeded, match="DP131"):
        draw(text, library=loop)
    with pytest.raises(LimitExceeded, match="DP131"):
        list(parse(text, loop).combinations(1))


def test_a_missing_wildcard_can_be_an_error():
    assert draw("a __missing__") == "a __missing__"
    with pytest.raises(WildcardNotFound, match='"missing"'):
        draw("a __missing__", strict=True)


def test_an_undefined_variable_is_an_error():
    with pytest.raises(UndefinedVariable, match="DP121"):
        draw("${nothing}")
    assert draw("${nothing}", unknown_variable="?") == "?"


def test_a_billion_combinations_are_lazy():
    template = parse(" ".join(["{0|1|2|3|4|5|6|7|8|9}"] * 9))
    assert [one.text for one in template.combinations(2)][1] == "0 0 0 0 0 0 0 0 1"


def test_files_are_read_below_their_root(tmp_path: Path):
    root = tmp_path / "wildcards"
    (root / "colours").mkdir(parents=True)
    (root / "colours" / "warm.txt").write_text("red\n", encoding="utf-8")
    (root / "show.yml").write_text("show:\n  deep:\n    - 2::a\n    - b\n", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    found = WildcardLibrary(root)
    assert found.names == ("colours/warm", "show/deep")
    assert draw("__../secret__", library=found) == "__../secret__"
    assert draw("__warm__", library=found) == "red"


def test_a_broken_file_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "a.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("b: [1, x]\n3: y\nc: 5\n", encoding="utf-8")
    assert WildcardLibrary(tmp_path).names == ("b",)
    assert "a.yaml:2:1: the file cannot be read" in caplog.text


def test_templates_are_values():
    one, two = parse("{a|b} ${x}", variables={"x": "1"}), parse("{a|b} ${x}", variables={"x": "1"})
    assert one == two
    assert hash(one) == hash(two)
    assert one != parse("{a|b} ${x}", variables={"x": "2"})
    assert one != "a"
    assert one.source == "{a|b} ${x}"
    variant = one.root.parts[0]
    assert (variant.span.start, variant.span.end) == (0, 5)
    assert repr(variant).startswith("Variant(options=(Option(body=Sequence(")


@pytest.mark.parametrize("text", ["{1::2::a|b}", "{0.0000001::a|b}", "{1.50::a|b}", "{!/**/!a|b}"])
def test_weights_are_read_back(text: str):
    template = parse(text)
    assert parse(unparse(template.root)).root == template.root


@pytest.mark.parametrize(
    "text", ["__w(x= # note\na, y=b)__", "__w(x=#\n\n {a|b})__", "${x= # note\n a}", "%{#\na$$b}"]
)
def test_what_a_comment_left_is_read_back(text: str):
    root = parse(text).root
    assert parse(unparse(root)).root == root


def test_only_templates_are_written():
    with pytest.raises(TypeError, match="not part of a template"):
        unparse(Sequence((Option(Sequence()),)))


def test_the_package_has_no_other_names():
    assert dynprompts.unparse is unparse
    with pytest.raises(AttributeError, match="nothing"):
        _ = dynprompts.nothing


def test_every_code_is_explained():
    root = Path(dynprompts.__file__).parent
    raised = {
        code
        for path in root.rglob("*.py")
        for code in re.findall(r'"(DP[0-9]{3})"', path.read_text(encoding="utf-8"))
    }
    page = (root.parent / "docs" / "dynprompts.md").read_text(encoding="utf-8")
    assert {code for code in raised if code not in page} - {"DP131", "DP132", "DP133"} == set()
