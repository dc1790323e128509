"""The stages of scripts/mutate: quick tests end a mutant early and spare none of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mutate"
LOADED = f"""
import importlib.util, json, sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
loader = SourceFileLoader("mutate", {str(SCRIPT)!r})
mutate = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutate", loader))
loader.exec_module(mutate)
sys.path.insert(0, "")
halves, tests = Path("halves.py"), ("test_halves.py",)
source = halves.read_text()
with mutate.standing(halves, tests) as stand:
    assert mutate.ask(stand, None, None, 60) == 0
    watched = json.loads(Path("watch.json").read_text())
"""
MODULE = """
class Number(int):
    @property
    def double(self): return self + self

    @staticmethod
    def half(number, by=2): return number / by
"""
TESTS = """
import time
from halves import Number

def test_half(): assert Number.half(8) == 4
def test_double_slowly(): time.sleep(0.2); assert Number(2).double == 4
def test_double_of_nothing(): assert Number(0).double == 0
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants need a system that forks")


def result(folder: Path, code: str) -> object:
    checkout = folder / "checkout"
    checkout.mkdir()
    (checkout / "halves.py").write_text(MODULE, encoding="utf-8")
    (checkout / "test_halves.py").write_text(TESTS, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", f"{LOADED}    print(json.dumps({code}))"],
        cwd=checkout,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("before", "after", "quick", "expected"),
    [
        ("self + self", "self * self", "test_double_of_nothing", "survived"),
        ("self + self", "self + 1", "test_double_of_nothing", "killed"),
        ("self + self", "self * 3", "test_double_of_nothing", "killed"),
        ("self + self", "self * 3", "test_that_is_gone", "killed"),
        ("by=2", "by=3", "test_half", "killed"),
    ],
    ids=["by-none", "by-the-quick", "by-another", "by-what-is-left", "in-a-default"],
)
def test_what_the_quick_tests_pass_is_left_to_all(
    tmp_path: Path, before: str, after: str, quick: str, expected: str
):
    changed = MODULE.replace(before, after)
    code = f"mutate.outcome(stand, tests, ['test_halves.py::{quick}'], {changed!r}, 60)"
    found = result(tmp_path, f"(halves.write_text({changed!r}), {code})[1]")
    assert found == expected


def test_a_quick_test_sees_the_change(tmp_path: Path):
    changed = MODULE.replace("self + self", "self * 3")
    quick = ["test_halves.py::test_double_slowly"]
    code = f"mutate.outcome(stand, tests, {quick!r}, {changed!r}, 60)"  # the file is as it was
    assert result(tmp_path, code) == "killed"


def test_quick_tests_ran_the_line_and_the_shortest_is_first(tmp_path: Path):
    changed = MODULE.replace("self + self", "self - self")
    found = result(tmp_path, f"mutate.quick_tests(watched, source, {changed!r})")
    assert found == ["test_halves.py::test_double_of_nothing", "test_halves.py::test_double_slowly"]


def test_a_change_outside_of_functions_is_another_shape(tmp_path: Path):
    inside, outside = MODULE.replace("by=2", "by=3"), MODULE.replace("@property", "@classmethod")
    found = result(tmp_path, f"[mutate.skeleton(one) for one in ({[MODULE, inside, outside]!r})]")
    assert [one == found[0] for one in found] == [True, True, False]
