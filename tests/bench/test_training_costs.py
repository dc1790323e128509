"""What driving a trainer and checking its data cost, as ratios within one run and in seconds.

`pytest -m bench -s tests/bench/test_training_costs.py` prints the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.arguments import TrainerCall
from kohya_ext.training.preflight import run_preflight
from kohya_ext.training.progress import LineSplitter, StreamReader

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

RECORDED = Path(__file__).resolve().parents[1] / "recorded" / "sd-scripts"
PICTURES = 1000


def seconds_of(work: Callable[[], object], *, cpu: bool = False) -> float:
    clock = time.process_time if cpu else time.perf_counter
    began = clock()
    work()
    return clock() - began


def test_reading_the_streams_costs_little_more_than_splitting_them():
    """Log lines are padded to 400 columns: a careless pattern takes seconds for each."""
    wide = b"\n".join(
        line.ljust(800) + b" train_util.py:2059"
        for line in (RECORDED / "success.stderr.txt").read_bytes().split(b"\n")
    )

    def split() -> list[str]:
        return LineSplitter().feed(wide * 20)

    def read() -> None:
        reader = StreamReader()
        for piece in split():
            reader.read_stderr(piece)

    base, whole = seconds_of(split, cpu=True), seconds_of(read, cpu=True)
    print(f"\n{len(wide) * 20 / 1e6:.1f} MB: split {base:.3f} s, read {whole:.3f} s")
    assert whole < 60 * base


def make_pictures(folder: Path) -> None:
    """A thousand JPEGs of 1.5 megapixels, each another one."""
    noise = Image.effect_noise((1536, 1024), 60).convert("RGB")
    folder.mkdir(parents=True)
    for number in range(PICTURES):
        picture = noise.copy()
        picture.paste((number % 256, number // 256, 7), (0, 0, 300, 300))
        picture.save(folder / f"{number:04d}.jpg", quality=88)
        (folder / f"{number:04d}.txt").write_text("photo of Mira, solo", encoding="utf-8")


def test_preflight_of_a_thousand_pictures(tmp_path: Path):
    make_pictures(tmp_path / "images" / "2_Mira")
    base = tmp_path / "base.safetensors"
    write_lora(base, {"cond_stage_model.transformer.x": Tensor("F16", (1,), b"\0\0")}, {})
    call = TrainerCall(
        "train_network",
        {
            "pretrained_model_name_or_path": str(base),
            "train_data_dir": str(tmp_path / "images"),
            "output_dir": str(tmp_path / "model"),
            "output_name": "Mira",
            "resolution": "512,512",
            "enable_bucket": True,
            "train_batch_size": 2,
            "max_train_epochs": 10,
            "caption_extension": ".txt",
            "network_module": "networks.lora",
        },
        (),
        (),
        "",
    )
    first = seconds_of(lambda: run_preflight(call).require_ok())
    again = seconds_of(lambda: run_preflight(call).require_ok())
    print(f"\n{PICTURES} pictures of 1.5 MP: first {first:.2f} s, unchanged {again:.2f} s")
    assert again < first / 5
