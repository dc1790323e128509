"""Files are moved by `replace_file`: Windows refuses while a viewer or a scanner has one open."""

from __future__ import annotations

import ast

from module_nodes import ROOT, nodes_of, product_modules

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
        for path in product_modules()
        for node in nodes_of(path)
        if is_move(node)
    }
    assert found == {ITSELF, LEAVES_IT}
