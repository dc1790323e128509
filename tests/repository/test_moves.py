"""Files are moved by `replace_file`: Windows refuses while a viewer or a scanner has one open."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dynprompts", "kohya_ext", "a1111_ext")
ITSELF = "kohya_ext/project/files.py"
LEAVES_IT = "a1111_ext/grids/page/document.py"
"""A thumbnail that somebody else has just written needs no second try."""


def is_move(node: ast.AST) -> bool:
    """Text has two arguments to replace, a dataclass names them."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("rename", "replace")
        and len(node.args) == 1
        and not node.keywords
    )


def test_every_move_waits_for_a_reader():
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if is_move(node)
    }
    assert found == {ITSELF, LEAVES_IT}
