"""The language, case by case: what must hold, and where its ancestor was wrong."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dynprompts import ParserConfig, PromptError, Template, WildcardLibrary, parse

CASES = json.loads((Path(__file__).parent / "data" / "conformance.json").read_text("utf-8"))
DRAWS = 2000
# files in other encodings: the ancestor garbles them, we read them
READ_RIGHT = {
    "txt-023": ["bom", "crlf", "last"],
    "txt-025": ["café", "ok"],
    "txt-026": ["u16", "z"],
}


def content(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode("utf-8")


def template_of(case: dict[str, Any]) -> Template:
    options = case.get("options", {})
    library = WildcardLibrary(
        texts={name: content(value) for name, value in case.get("wildcards", {}).items()},
        sort=options.get("sort", True),
        dedup=options.get("dedup", True),
    )
    return parse(
        case["template"],
        library,
        variables=case.get("variables"),
        config=ParserConfig(**case.get("parser", {})),
        ignore_whitespace=options.get("ignore_whitespace", False),
        unknown_variable=options.get("unknown_variable_value"),
    )


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(one, id=one["id"]) for one in CASES if one["expected"]["kind"] in kinds]


def squashed(case: dict[str, Any], texts: list[str]) -> list[str]:
    if case.get("compare") != "whitespace-squashed":
        return texts
    return [" ".join(text.split()) for text in texts]


def drawn(case: dict[str, Any], count: int) -> list[str]:
    template = template_of(case)
    if case["mode"] == "combinatorial":
        return [sample.text for sample in template.combinations(count)]
    if case["mode"] == "cyclical":
        return [sample.text for sample in islice(template.cyclical(), count)]
    return [template.random(seed).text for seed in range(count)]


@pytest.mark.parametrize("case", of_kind("list"))
def test_lists(case: dict[str, Any]):
    wanted = READ_RIGHT.get(case["id"]) or case.get("ideal") or case["expected"]["outputs"]
    whole = case["expected"].get("complete") and "ideal" not in case
    complete = whole and case["mode"] == "combinatorial"
    got = drawn(case, len(wanted) + 1 if complete else len(wanted))
    assert squashed(case, got) == squashed(case, wanted)


@pytest.mark.parametrize("case", of_kind("error", "oracle-hang"))
def test_errors(case: dict[str, Any]):
    if "ideal" in case:
        assert set(drawn(case, 20)) <= set(case["ideal"])
        return
    with pytest.raises((PromptError, ValueError)):
        drawn(case, 3)


@pytest.mark.parametrize("case", of_kind("distribution"))
def test_distributions(case: dict[str, Any]):
    """Exact probabilities, by chi-square over fixed seeds."""
    expected = case["expected"]["p"]
    found = Counter(drawn(case, DRAWS))
    if case.get("compare"):
        assert set(squashed(case, list(found))) <= set(squashed(case, list(expected)))
        return
    assert set(found) <= set(expected)
    chi = sum((found[text] - DRAWS * p) ** 2 / (DRAWS * p) for text, p in expected.items() if p)
    freedom = len(expected) - 1
    assert chi <= freedom + 5 * (2 * freedom) ** 0.5 + 6


@pytest.mark.parametrize("case", of_kind("set"))
def test_sets(case: dict[str, Any]):
    assert set(drawn(case, 300)) <= set(case["expected"]["members"])
