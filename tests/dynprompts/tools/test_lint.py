"""Lint: what is said about templates and wildcard trees, with its place."""

from __future__ import annotations

import pytest

from dynprompts import ParserConfig, WildcardLibrary, parse
from dynprompts.scope import Rules
from dynprompts.tools.lint import LintFinding, lint_library, lint_template

TREE = {
    "ok.txt": "a\nb {c|d}\n",
    "broken.txt": "fine\n{a|b\n",
    "refs.txt": "__nope__\n__ok__\n${v}\n${w:d}\n",
    "loop.txt": "a __loop__\nb\n",
    "ends.txt": "__never__\n",
    "never.txt": "x __ends__\n",
    "zero.yaml": "zero: ['0::a', '1::b']\nnone: ['0::a', '0::b']\n",
    "tab.txt": "a\tb\n",
    "latin.txt": "caf\xe9\n".encode("latin-1"),
    "one/same.txt": "1\n",
    "two/same.txt": "2\n",
    "twice.txt": "t\n",
    "twice.yaml": "- t\n",
    "bad.yaml": "a: [\n",
    "sets.txt": "${s=1}__asks(arg=2)__ ${s} ${arg}\n",
    "asks.txt": "${arg:x}\n",
    "turns.yaml": "turns: ['0::__turns__']\n",
    "empty.txt": "",
    "glob.txt": "__*/same__ __${s}/x__ {2$$__ok__}\n",
    "options.txt": "{0::a|b} {0::a|0::b} {3$$a|b} {0$$__never__|a} {__loop__|a}\n",
    "deep.txt": "{" * 120 + "}" * 120 + "\n",
}
LIBRARY = WildcardLibrary(texts=TREE)


def said(findings: list[LintFinding]) -> dict[str, list[str]]:
    by_code: dict[str, list[str]] = {}
    for one in findings:
        by_code.setdefault(one.code, []).append(one.where)
    return by_code


def template(text: str, **variables: str) -> list[LintFinding]:
    parsed = parse(text, LIBRARY, variables=variables)
    return lint_template(parsed.document, parsed.rules, variables)


def test_a_whole_tree_is_checked():
    found = said(lint_library(Rules(LIBRARY)))
    assert found["DP101"] == ["broken.txt:2:1"]
    assert found["DP130"] == ["deep.txt:1:101"]
    assert found["DP201"] == ["refs.txt:1:1"]
    assert found["DP203"] == ["loop.txt:1:3"]
    assert found["DP204"] == ["bad.yaml:2:1"]
    assert found["DP205"] == ["latin.txt:1"]
    assert found["DP207"] == ["twice.yaml"]
    assert found["DP208"] == ["tab.txt:1:2"]
    assert found["DP209"] == ["refs.txt:3:1"]
    assert found["DP210"] == ["options.txt:1:2", "options.txt:1:22", "zero.yaml:1:12"]
    assert found["DP211"] == ["options.txt:1:10", "turns.yaml:1", "zero.yaml:2"]
    assert found["DP212"] == ["ends.txt:1:1", "never.txt:1:3"]
    assert set(found) == {f"DP{n}" for n in (101, 130, 201, 203, 204, 205, 207, 208, 209, 210,
                                             211, 212)}  # fmt: skip


def test_findings_read_as_sentences():
    lines = [str(one).split("\n")[0] for one in lint_library(Rules(LIBRARY))]
    assert (
        'refs.txt:1:1: error: the wildcard "nope" is not there. Did you mean __none__? [DP201]'
    ) in lines
    assert (
        'twice.yaml: warning: "twice" is given by twice.txt and twice.yaml; the last one is used '
        "[DP207]"
    ) in lines
    assert lint_library(Rules(LIBRARY)) == lint_library(Rules(LIBRARY))


def test_variables_from_outside_are_known():
    assert "DP209" not in said(lint_library(Rules(LIBRARY), ["v"]))
    assert template("${subject} ${x}", subject="a")[0].where == "template:1:12"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("a {b|c} __ok__ ${x=1}${x}", set()),
        ("__nope__ __same__", {"DP201", "DP202"}),
        ("__empty__", {"DP201"}),
        ("__*ame__ __one/same__", set()),
        ("__loop__", {"DP203"}),
        ("__ends__", {"DP212"}),
        ("%{a ... __nope__$$b} {2$$__nope__} ${x:__nope__}", {"DP201"}),
        ("{0$$0::a}", set()),
        ("__glob__", {"DP209"}),
        ("__options__", {"DP203", "DP210", "DP211", "DP212"}),
        ("__broken__", {"DP101"}),
        ("__sets__ __none__", {"DP211"}),
    ],
)
def test_templates_are_checked(text: str, codes: set[str]):
    assert set(said(template(text))) - ({"DP209"} - codes) == codes


def test_other_brackets_are_understood():
    rules = Rules(WildcardLibrary(texts={"w.txt": "&nope& {0::a\n"}), ParserConfig("<", ">", "&"))
    assert [one.where for one in lint_library(rules)] == ["w.txt:1:1"]
