"""What driving a trainer and checking its data cost, as ratios within one run and in seconds.

`pytest -m bench -s tests/bench/test_training_costs.py` prints the figures.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, open_project
from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.checks.preflight import run_preflight
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.run.events import Event, LineSplitter, StepFinished, StreamReader
from kohya_ext.training.run.follow import RunFollower
from kohya_ext.training.run.job import job_of_project, runs_dir_of
from kohya_ext.training.run.record import find_process, find_runs_in
from kohya_ext.training.run.session import apply_training, plan_training
from kohya_ext.training.trainer import simulated_trainer

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
    half = Tensor("F16", (1,), b"\0\0")
    write_lora(base, {"cond_stage_model.transformer.x": half, "model.diffusion_model.x": half}, {})
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
    began = time.process_time()
    first = seconds_of(lambda: run_preflight(call).require_ok())
    cpu = time.process_time() - began
    again = seconds_of(lambda: run_preflight(call).require_ok())
    print(
        f"\n{PICTURES} pictures of 1.5 MP: first {first:.2f} s ({cpu:.1f} s of processor), "
        f"unchanged {again:.2f} s"
    )
    assert again < first / 5


@pytest.fixture
def trainable(project: Project) -> Project:
    write_pictures(project.source_dir, recipes(6))
    apply_layout(project, plan_layout(project))
    base = project.root / "base.ckpt"
    base.write_bytes(b"simulated")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("path: ''", f'path: "{base.as_posix()}"', 1)
    project.manifest_path.write_text(text.replace("epochs: 10", "epochs: 20", 1), encoding="utf-8")
    return open_project(project.root)


def test_driving_a_trainer_takes_a_hundredth_of_a_core(trainable: Project, monkeypatch):
    """Twenty steps a second, with a bar for each: more than any card shows."""
    monkeypatch.setenv("LORALOOM_SIMULATED_TRAINER", "slow@0.05")
    plan = plan_training(job_of_project(trainable), simulated_trainer())
    marks: list[tuple[float, float]] = []

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, StepFinished):
            marks.append((time.perf_counter(), time.process_time()))

    apply_training(plan, handle)
    (began, cpu_began), (ended, cpu_ended) = marks[0], marks[-1]
    share = (cpu_ended - cpu_began) / (ended - began)
    print(f"\n{plan.run.steps} steps in {ended - began:.1f} s: {share:.2%} of a core")
    assert share < 0.03


def test_a_killed_trainer_is_an_error_on_screen_at_once(trainable: Project, monkeypatch):
    monkeypatch.setenv("LORALOOM_SIMULATED_TRAINER", "hang@2")
    command = [sys.executable, "-m", "kohya_ext", "train", str(trainable.root)]
    with subprocess.Popen(
        [*command, "--trainer", "simulated"], stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        while ", step 1 of" not in process.stderr.readline():
            assert process.poll() is None
        tree = find_process(find_runs_in(runs_dir_of(trainable))[0].folder)
        assert tree is not None
        began = time.perf_counter()
        psutil.Process(tree.pid).kill()
        while "Error:" not in (line := process.stderr.readline()):
            assert line
        seconds = time.perf_counter() - began
    print(f"\nfrom the kill to the error on screen: {seconds:.2f} s")
    assert seconds < 20
