"""What the pages tell people to type exists: commands, their options, scripts and test paths."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kohya_ext.cli.dispatch import find_command
from kohya_ext.cli.table import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
NAMES = {name for _, name, _, _ in COMMANDS}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


def typed(page: Path) -> Iterator[str]:
    """Yield what a page sets as code, one command line each."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    for code in INLINE.findall(FENCE.sub("", text)):
        yield " ".join(code.split())


def words_of(line: str) -> list[str]:
    """Return the words before a pipe, a comment or the explanation that two spaces begin."""
    line = re.split(r" {2,}| \| | && |\s#", line.strip().removeprefix("$ "), maxsplit=1)[0]
    try:
        return shlex.split(line)
    except ValueError:  # a part of something, with one quote
        return []


def found_in(page: Path) -> Iterator[tuple[str, list[str]]]:
    for line in typed(page):
        words = words_of(line)
        if words[:1] == ["loraloom"] and len(words) > 1 and words[1].islower():
            yield line, words[1:]


def fault_of(words: list[str]) -> str:
    """Say what of a command line does not exist; empty where all of it does."""
    name, *rest = words[: words.index("--")] if "--" in words else words
    if name not in NAMES:
        return "" if name in ("help",) else f"no command {name}"
    command: click.Command | None = find_command(name)
    known = {"--help"}
    while command is not None:
        known |= {opt for one in command.params for opt in (*one.opts, *one.secondary_opts)}
        inner = getattr(command, "commands", {})
        command = next((inner[word] for word in rest if word in inner), None)
    asked = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    return ", ".join(sorted(set(asked) - known))


def test_pages_name_commands_at_all():
    assert sum(len(list(found_in(page))) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_line_of_a_page_exists(page: Path):
    faults = {line: fault for line, words in found_in(page) if (fault := fault_of(words))}
    assert faults == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_script_and_test_of_a_page_exists(page: Path):
    named = {
        word
        for line in typed(page)
        for word in words_of(line)
        if re.match(r"(scripts|tests)/[\w/.-]+$", word) and "host" not in word
    }
    assert {one for one in named if not (ROOT / one).exists()} == set()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("loraloom train fox --attach", ""),
        ("loraloom queue add fox --gpu 1", ""),
        ("loraloom train fox --dance", "--dance"),
        ("loraloom dance fox", "no command dance"),
    ],
)
def test_what_does_not_exist_is_found(line: str, fault: str):
    assert fault_of(words_of(line)[1:]) == fault
