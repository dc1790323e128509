"""Modules and classes: who knows whom, and one name for one thing."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest
from module_nodes import PACKAGES, ROOT, nodes_of, product_modules


def test_no_module_knows_itself_by_a_detour():
    """Imports inside functions and under TYPE_CHECKING count: who names a thing knows it."""
    grimp = pytest.importorskip("grimp", reason="Wine loads no wheel written in Rust")
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    known = {one: graph.find_modules_directly_imported_by(one) for one in graph.modules}
    assert len(known) > 300
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        pytest.fail(f"these import one another: {' -> '.join(error.args[1])}")


NAMED_AFTER = ("cli", "compat", "checks", "simulator", "webui")
"""Rooms whose modules are named after what they serve: commands, the ancestor's modules, what is
checked, what is simulated, and the rooms that the WebUI is given."""


def defined_classes() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in product_modules():
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    return found


def test_a_class_name_means_one_thing():
    found = defined_classes()
    assert len(found) > 500
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_name_means_one_thing(package: str):
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if path.stem not in ("__init__", "__main__") and not set(parts) & set(NAMED_AFTER):
            found.setdefault(path.stem, []).append(path.relative_to(ROOT).as_posix())
    assert found
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
