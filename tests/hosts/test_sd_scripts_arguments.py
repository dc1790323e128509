"""The argument list read from a real sd-scripts is the one that its parsers were recorded with.

LORALOOM_SD_SCRIPTS names a checkout of main (48d368fa) or v0.9.1.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.training.arguments import arguments_of
from kohya_ext.training.parsers import read_arguments
from kohya_ext.training.trainer import argument_table

from .conftest import named

pytestmark = pytest.mark.host


def test_read_and_recorded_arguments_are_the_same():
    folder = Path(named("LORALOOM_SD_SCRIPTS"))
    scripts = sorted(path.stem for path in folder.glob("*train_network.py"))
    assert "train_network" in scripts
    for script in scripts:
        read = read_arguments(folder, script)
        assert read == arguments_of(script, argument_table(folder)), script
