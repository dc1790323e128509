"""What advice costs, and how often it is right on real photographs that packages ship.

`python -m pytest -m bench tests/bench/test_advice_figures.py -s` prints what was measured. The
photographs come from scikit-image, scikit-learn, matplotlib and gradio, whichever are installed.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import photographs
import pytest
from epoch_curves import SUBJECTS, evidence_of, usual_course
from PIL import Image

from a1111_ext.quality.advice import advise
from a1111_ext.quality.fingerprint import Fingerprint, find_copied, fingerprint_of
from a1111_ext.quality.fingerprint import _variants as variants_of
from a1111_ext.quality.fried import measure_fried
from a1111_ext.quality.signal import Series
from a1111_ext.quality.texture import Texture, texture_of
from kohya_ext.project.lora_file import Tensor, write_lora

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("LORALOOM_BENCH_ROUNDS", "6"))
EPOCHS, PAIRS = 8, 8
FILE_BYTES = 150_000_000

needs_photographs = pytest.mark.skipif(
    not photographs.photographs(), reason="no package with photographs is installed"
)


def test_a_picture_costs_150_ms_at_most():
    pixels = random.Random(1).randbytes(512 * 768 * 3)
    picture = Image.frombytes("RGB", (512, 768), pixels)
    texture_of(picture)
    start = time.process_time()
    for _ in range(10):
        texture_of(picture)
        fingerprint_of(picture)
    each = (time.process_time() - start) / 10
    print(f"\ntexture and fingerprint of 512 x 768: {1000 * each:.0f} ms")
    assert each < 0.150


def test_weights_of_20_epochs_take_10_s_and_500_mb(tmp_path: Path):
    """In a process of its own, as `advise` runs it; the same file is read 20 times."""
    write_large(tmp_path / "a.safetensors")
    program = (
        "import resource, sys, time; from pathlib import Path;"
        "from a1111_ext.quality.project_advice import quiet_numpy; quiet_numpy();"
        "from a1111_ext.quality.weights import read_layer_norms; start = time.process_time();"
        "[read_layer_norms(Path(sys.argv[1])) for _ in range(20)];"
        "print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.safetensors")],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    seconds, kilobytes = map(float, result.stdout.split())
    print(f"\n20 files of 150 MB: {seconds:.1f} s of processor time, {kilobytes / 1000:.0f} MB")
    assert seconds < 10
    assert kilobytes < 500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


def write_large(path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    rng, total, number = random.Random(1), 0, 0
    block = rng.randbytes(2 * 128 * 1280)
    safe = bytes(one & 0x3B if at % 2 else one for at, one in enumerate(block))  # no NaN
    while total < FILE_BYTES:
        wide = (320, 640, 1280, 768)[number % 4]
        for name, shape in (("lora_down", (128, wide)), ("lora_up", (wide, 128))):
            data = safe[: 2 * 128 * wide]
            tensors[f"lora_unet_{number}.{name}.weight"] = Tensor("F16", shape, data)
            total += len(data)
        number += 1
    write_lora(path, tensors, {})


# -- simulated runs -----------------------------------------------------------------------------


def test_simulated_runs_are_judged_rightly():
    hits = count = 0
    for subject in SUBJECTS:
        for noise in (0.02, 0.05, 0.1):
            for learns, fries in ((0.3, 0.75), (0.2, 0.5), (0.45, 0.85), (0.3, 1.0)):
                for epochs in (6, 10, 20):
                    course = usual_course(
                        epochs, learns_at=learns, fries_at=fries, noise=noise, subject=subject,
                        seed=count,
                    )  # fmt: skip
                    advice = advise(evidence_of(course))
                    hits += bool(advice.order.picks) and advice.order.picks[0] in course.best
                    count += 1
    print(f"\nsimulated runs: {hits} of {count} right")
    assert hits >= 0.95 * count


# -- real photographs ---------------------------------------------------------------------------

Change = Callable[[Image.Image, random.Random], Image.Image]
HARMLESS: dict[str, tuple[Change, ...]] = {
    "brightness": (photographs.brighten,),
    "blur": (photographs.blur,),
    "brightness and blur": (photographs.brighten, photographs.blur),
    "contrast": (photographs.contrast,),
    "tint": (photographs.tint,),
}


def measured(base: list[Image.Image], epochs: list[list[Image.Image]]) -> Series[Texture]:
    def one(pictures: list[Image.Image]) -> dict[str, Texture]:
        return {str(number): texture_of(picture) for number, picture in enumerate(pictures)}

    return Series(tuple(map(one, epochs)), one(base))


def same_for_all(
    pictures: list[Image.Image], changes: tuple[Change, ...], rng: random.Random
) -> list[Image.Image]:
    """Change all pictures of an epoch in the same random way, as a drift of light would."""
    state = random.Random(rng.random()).getstate()
    changed = []
    for picture in pictures:
        own = random.Random()
        own.setstate(state)
        for change in changes:
            picture = change(picture, own)
        changed.append(picture)
    return changed


@needs_photographs
@pytest.mark.parametrize("name", [*HARMLESS, "another seed"])
def test_harmless_changes_are_not_fried(name: str):
    rng = random.Random(1)
    alarms = count = 0
    for _ in range(ROUNDS):
        base = photographs.tiles(rng, PAIRS)
        if name == "another seed":
            epochs = [photographs.tiles(rng, PAIRS) for _ in range(EPOCHS)]
        else:
            epochs = [same_for_all(base, HARMLESS[name], rng) for _ in range(EPOCHS)]
        bad = measure_fried(measured(base, epochs)).bad
        alarms, count = alarms + sum(bad), count + len(bad)
    print(f"\n{name}: {alarms} false alarms in {count} epochs")
    assert alarms <= 0.05 * count


@needs_photographs
@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_frying_is_seen(strength: float):
    """The last three of eight epochs fry more and more; light and focus wander all the time."""
    rng = random.Random(2)
    hits = early = 0
    for _ in range(ROUNDS):
        base = photographs.tiles(rng, PAIRS)
        epochs = []
        for index in range(EPOCHS):
            moved = [photographs.brighten(one, rng) if index % 2 else one for one in base]
            epochs.append([photographs.fry(one, max(0, index - 4) / 3 * strength) for one in moved])
        bad = measure_fried(measured(base, epochs)).bad
        hits, early = hits + bad[-1], early + sum(bad[:5])
    print(f"\nfrying {strength}: {hits} of {ROUNDS} seen, {early} of {5 * ROUNDS} too early")
    assert early <= 0.05 * 5 * ROUNDS
    assert hits >= (0.9 if strength >= 0.5 else 0.5) * ROUNDS


LEAST_FOUND = {"same": 0.9, "mirror": 0.9, "brighter": 0.9, "crop 0.9": 0.75, "crop 0.75": 0.3}


@needs_photographs
def test_copies_are_found_and_others_are_not():
    rng = random.Random(3)
    training = photographs.tiles(rng, 24)
    known: list[list[Fingerprint]] = [list(variants_of(one.convert("L"))) for one in training]
    kinds: dict[str, Change] = {
        "same": lambda one, _: photographs.jpeg(one),
        "mirror": lambda one, _: photographs.mirror(one),
        "crop 0.9": lambda one, rng: photographs.crop(one, 0.9, rng),
        "crop 0.75": lambda one, rng: photographs.crop(one, 0.75, rng),
        "brighter": photographs.brighten,
    }
    for name, change in kinds.items():
        found = [find_copied(fingerprint_of(change(one, rng)), known) for one in training]
        right = sum(one is not None and one.index == at for at, one in enumerate(found))
        print(f"\ncopies, {name}: {right} of {len(training)} found")
        assert right >= LEAST_FOUND[name] * len(training)


@needs_photographs
def test_other_photographs_are_no_copies():
    rng = random.Random(4)
    every = photographs.photographs()
    half = len(every) // 2
    training = [photographs.tile(one, rng) for one in every[:half] for _ in range(4)]
    known = [list(variants_of(one.convert("L"))) for one in training]
    others = [photographs.tile(one, rng) for one in every[half:] for _ in range(8)]
    wrong = sum(find_copied(fingerprint_of(one), known) is not None for one in others)
    print(f"\nother photographs taken for copies: {wrong} of {len(others)}")
    assert wrong <= 0.05 * len(others)
