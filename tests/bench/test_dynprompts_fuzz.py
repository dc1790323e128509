"""A million mutated templates: no error but ours, none slower than a second.

    python -m pytest tests/bench/test_dynprompts_fuzz.py \\
        -m bench -o addopts=--import-mode=importlib
LORALOOM_FUZZ sets the number of templates, LORALOOM_FUZZ_START the first of their seeds.
"""

from __future__ import annotations

import importlib.util
import os
import random
import time
from pathlib import Path
from types import ModuleType

import pytest

from dynprompts import PromptError, parse, unparse

pytestmark = pytest.mark.bench


def writing() -> ModuleType:
    path = Path(__file__).parents[1] / "dynprompts" / "writing.py"
    spec = importlib.util.spec_from_file_location("writing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tried(text: str, number: int, library: object) -> str:
    """Do everything with one template; return how far it came."""
    try:
        template = parse(text, library)
        if parse(unparse(template.root)).root != template.root:
            raise AssertionError(f"not read back: {text!r}")
        template.random(number)
        if number % 8:
            return "drawn"
        next(template.combinations(1))
        next(template.cyclical())
        template.sample(2, number)
        template.reach()
    except PromptError as error:
        return error.code if str(error) else "silent"
    return "drawn"


@pytest.mark.timeout(0)
def test_a_million_mutated_templates():
    module = writing()
    many = int(os.environ.get("LORALOOM_FUZZ", "1000000"))
    start = int(os.environ.get("LORALOOM_FUZZ_START", "0"))
    outcomes: dict[str, int] = {}
    slowest = 0.0, ""
    for number in range(start, start + many):
        text = module.mutated(random.Random(number))
        began = time.process_time()
        try:
            outcome = tried(text, number, module.LIBRARY)
        except Exception as error:
            raise AssertionError(f"seed {number}: {error!r} for {text!r}") from error
        slowest = max(slowest, (time.process_time() - began, text))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"{many} templates: {outcomes}; slowest {slowest[0]:.3f} s: {slowest[1]!r}")
    assert slowest[0] < 1
    assert outcomes["drawn"] > many / 4
