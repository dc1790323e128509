"""Every reader of outside input survives damage: it reads it, or refuses it by its own error.

A short run belongs to the tests. The long one, which also writes the table of docs/testing.md:

    LORALOOM_FUZZ=1000000 python -m pytest tests/fuzz -n 2 --timeout 0
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from docs_table import TESTING_PAGE, put_rows
from mutations import mutate
from readers import READERS

COUNT = int(os.environ.get("LORALOOM_FUZZ", "400"))
SLOWEST_SECONDS = 2.0


@pytest.mark.parametrize("kind", READERS)
def test_nothing_but_a_refusal(kind: str, tmp_path: Path):
    reader, rng = READERS[kind], random.Random(f"{kind} {COUNT}")
    refused, slowest = 0, 0.0
    for number in range(COUNT):
        data = mutate(rng, reader.samples)
        started = time.process_time()
        try:
            reader.read(data, tmp_path)
        except reader.refusals:
            refused += 1
        except Exception as error:  # noqa: BLE001 - shown with the input that caused it
            pytest.fail(f"input {number} of {kind}: {type(error).__name__}: {error}\n{data!r}")
        slowest = max(slowest, time.process_time() - started)
    assert slowest < SLOWEST_SECONDS
    assert refused > 0 or kind in ("infotext", "X/Y/Z values")
    if "LORALOOM_FUZZ" in os.environ:
        row = f"| {kind} | {COUNT:,} | {refused:,} | {slowest * 1000:.0f} ms |"
        put_rows(TESTING_PAGE, "fuzz", {(kind,): row}, order=[(one,) for one in READERS])


@pytest.mark.parametrize("kind", READERS)
def test_the_samples_are_read(kind: str, tmp_path: Path):
    for sample in READERS[kind].samples:
        READERS[kind].read(sample, tmp_path)
