"""The graph of modules: who knows whom."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGES = ("dynprompts", "kohya_ext", "a1111_ext")


def test_no_module_knows_itself_by_a_detour():
    """Imports inside functions and under TYPE_CHECKING count: who names a thing knows it."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    known = {one: graph.find_modules_directly_imported_by(one) for one in graph.modules}
    assert len(known) > 300
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        pytest.fail(f"these import one another: {' -> '.join(error.args[1])}")
