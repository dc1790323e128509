"""Text is utf-8, named in each call: else Windows reads and writes in its own code page."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from module_nodes import ROOT, nodes_of, product_modules

FILE_CALLS = {"read_text": 0, "write_text": 1}
"""Method, and the place of its `encoding` among the positional arguments."""
PROCESS_CALLS = {"run", "Popen", "check_output", "check_call", "call"}


def sources() -> Iterator[tuple[Path, Iterable[ast.AST]]]:
    for path in product_modules():
        yield path, nodes_of(path)
    tests = sorted((ROOT / "tests").rglob("*.py"))
    for path in (*tests, *(one for one in sorted((ROOT / "scripts").iterdir()) if one.is_file())):
        yield path, ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def name_of(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def mode_of(call: ast.Call) -> str | None:
    """Return the mode of an `open`, None where it is no constant or no file is opened."""
    is_method = isinstance(call.func, ast.Attribute)
    arguments = call.args if is_method else call.args[1:]
    given = {one.arg: one.value for one in call.keywords}
    node = given.get("mode") or (arguments[0] if arguments else None)
    if node is None:
        return "r" if not call.args or not is_method else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def lacks_encoding(call: ast.Call) -> bool:
    given = {one.arg: one.value for one in call.keywords}
    if "encoding" in given or None in given:
        return False
    name = name_of(call)
    if name in PROCESS_CALLS:
        return is_true(given.get("text")) or is_true(given.get("universal_newlines"))
    if name in FILE_CALLS:
        return len(call.args) <= FILE_CALLS[name]
    if name == "open" and isinstance(call.func, ast.Name):
        mode = mode_of(call)
        return mode is not None and "b" not in mode and len(call.args) < 4
    if name == "open":
        mode = mode_of(call)
        return mode in ("r", "w", "a", "x", "r+", "w+", "a+") and bool(call.args or given)
    return False


def missing_in(nodes: Iterable[ast.AST]) -> list[int]:
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return sorted(call.lineno for call in calls if lacks_encoding(call))


def test_every_text_names_its_encoding():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, nodes in sources()
        for line in missing_in(nodes)
    ]
    assert found == []


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text()",
        "path.write_text(text)",
        "path.open('w')",
        "open(path)",
        "open(path, 'a')",
        "subprocess.run(words, text=True)",
        "Popen(words, universal_newlines=True)",
    ],
)
def test_a_call_without_encoding_is_found(call: str):
    assert missing_in(ast.walk(ast.parse(call))) == [1]


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text('utf-8')",
        "path.write_text(text, encoding='utf-8')",
        "path.open('rb')",
        "open(path, 'wb')",
        "Image.open(path)",
        "subprocess.run(words, encoding='utf-8')",
        "subprocess.run(words, **options)",
    ],
)
def test_bytes_and_named_encodings_pass(call: str):
    assert missing_in(ast.walk(ast.parse(call))) == []
