"""What the tests of the repository share."""

from __future__ import annotations

import pytest
from module_nodes import forget_nodes


@pytest.fixture(scope="package", autouse=True)
def _nodes_for_these_tests():
    """Every collection of garbage would walk through all those nodes."""
    yield
    forget_nodes()
