"""The house's words: numbers before nouns, and terms that were replaced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from module_nodes import PACKAGES, ROOT, nodes_of, product_modules

VERBS = "draws|keys|names|states|times"
"""Nouns that are also verbs: `{name} draws`. They count where the value is a number."""
NOUNS = (
    "arguments|batches|buckets|captions|cells|characters|checkpoints|checks|combinations|copies|"
    "edits|epochs|errors|files|folders|grids|images|layers|LoRAs|loads|options|outputs|pairs|parts|"
    "picks|pictures|prompts|ratings|repeats|roles|rows|seeds|settings|steps|styles|tags|texts|"
    "trainings|values|votes|warnings|wildcards"
)
COUNTED = re.compile(rf" (?:(?:epoch|image|checkpoint|more|staged) )?({NOUNS}|{VERBS})\b")


def raw_counts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what an f-string writes as `{number} nouns`; constants are never 1."""
    for node in nodes:
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                found = COUNTED.match(str(after.value))
                shown = ast.unparse(value.value)
                is_constant = shown.rpartition(".")[2].lstrip("_").isupper()
                is_number = shown.startswith(("len(", "sum("))
                is_limit = "limits." in shown
                is_noun = found and (found[1] not in VERBS.split("|") or is_number)
                if is_noun and not is_constant and not is_limit:
                    yield f"{{{shown}}}{after.value[:40]}"


def test_a_number_before_a_noun_is_written_by_the_helper():
    found = {
        path.relative_to(ROOT).as_posix(): texts
        for path in product_modules()
        if path.parts[-2] not in ("generators", "sd_scripts")  # words of another program
        and (texts := list(raw_counts(nodes_of(path))))
    }
    assert found == {}


def test_a_raw_count_is_seen():
    def seen(text: str) -> list[str]:
        return list(raw_counts(ast.walk(ast.parse(text))))

    assert seen('f"{len(found)} pictures"') == ["{len(found)} pictures"]
    assert seen('f"{count} epoch files"') == ["{count} epoch files"]
    assert seen('f"{name} draws pictures, {MOST_VALUES} values"') == []


def test_pages_count_by_their_helper():
    raw = re.compile(rf"\$\{{(?!counted)[^}}]+\}} ({NOUNS})\b|\+ ?[\"'] ({NOUNS})\b")
    pages = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.js"))]
    assert [path.name for path in pages if raw.search(path.read_text(encoding="utf-8"))] == []


REPLACED = yaml.safe_load((Path(__file__).parent / "replaced_words.yaml").read_text("utf-8"))
LANGUAGE = ("conformance.json", "known_words.yaml", "words.yaml", "tag_kinds.py", "kohya-prints")
"""Files that hold other people's words: prompts, tags, what a host printed."""


def readable() -> list[Path]:
    folders = [*PACKAGES, "docs", "tests", "scripts"]
    kinds = {".py", ".md", ".js", ".html", ".yaml", ""}
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [
        path
        for path in [ROOT / "README.md", *sorted(found)]
        if path.is_file()
        and path.suffix in kinds
        and "__pycache__" not in path.parts
        and path.name not in (*LANGUAGE, "replaced_words.yaml", "test_words.py")
    ]


def all_replaced() -> re.Pattern[str]:
    """Return one pattern of all; those that begin with a word are not tried within one."""
    whole, within = [], []
    for one in REPLACED:
        for part in re.split(r"\|(?![^(]*\))", one["old"]):  # no bar between brackets
            (whole if re.match(r"\\b[\w([]", part) else within).append(part)
    return re.compile(rf"\b(?=\w)(?:{'|'.join(whole)})|{'|'.join(within)}")


def test_replaced_words_do_not_return():
    old = all_replaced()
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {hit[0]}"
        for path in readable()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (hit := old.search(line.replace("_", " ")))
    ]
    assert found == [], "see tests/repository/replaced_words.yaml for what to write instead"


@pytest.mark.parametrize(
    "text",
    [
        "the run is settled",
        "X is no JSON",
        "Rehearsal",
        "lent files",
        "see docs/road.md",
        "walks the road",
        "go-on",
    ],
)
def test_an_old_word_is_found(text: str):
    assert any(re.search(one["old"], text) for one in REPLACED)
    assert all_replaced().search(text)
