"""Runs of a real sd-scripts, driven as users do.

LORALOOM_SD_SCRIPTS names the checkout, LORALOOM_SD_PYTHON its Python (default: its own venv),
LORALOOM_BASE_MODEL a shrunken SD 1.5 checkpoint of 64 channels, LORALOOM_SD_TOKENIZER a folder
with CLIP's tokenizer. A run takes some ten seconds on a processor.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tiny_trainer import make_tiny_trainer, make_tokenizer_cache, python_of

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.project.epochs import find_epoch_files, read_epoch_file
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.config.arguments import plan_call
from kohya_ext.training.config.kohya_json import GuiVersion, complete
from kohya_ext.training.config.presets import preset_values, presets
from kohya_ext.training.config.toml import format_toml
from kohya_ext.training.run.events import Event, SampleSaved, StepFinished
from kohya_ext.training.run.follow import EventHandler, RunFollower, unheard
from kohya_ext.training.run.job import job_of_config, job_of_project, runs_dir_of
from kohya_ext.training.run.launch import commands_elsewhere
from kohya_ext.training.run.record import Result, RunOutcome, StopRequest, ask, find_process
from kohya_ext.training.run.report import read_report
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import (
    RunOptions,
    TrainingPlan,
    apply_training,
    attach,
    plan_training,
    start_detached,
    write_inputs,
)
from kohya_ext.training.run.states import require_state
from kohya_ext.training.trainer import Trainer, trainer_at

from .conftest import named

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

MANIFEST = """
format: 1
trigger_word: Quillfox
base_model: {{family: sd15, path: "{base}"}}
training:
  preset: sd15-lora-32
  max_train_epochs: {epochs}
  save_every_n_epochs: 1
  train_batch_size: 2
  resolution: "128,128"
  overrides:
    additional_parameters: "--tokenizer_cache_dir={cache}"
    mixed_precision: "no"
    xformers: none
    optimizer: AdamW
    gradient_checkpointing: false
    network_dim: 4
    min_bucket_reso: 64
    max_bucket_reso: 256
    max_data_loader_n_workers: {workers}
    persistent_data_loader_workers: {persistent}
    extra_accelerate_launch_args: "{launch}"
"""


@dataclass
class Desk:
    """A small project that the real trainer takes a few seconds for."""

    project: Project
    trainer: Trainer
    base: str
    cache: Path

    def write(self, *, epochs: int = 2, workers: int = 0, launch: str = "") -> None:
        text = MANIFEST.format(
            base=self.base,
            cache=self.cache.as_posix(),
            epochs=epochs,
            workers=workers,
            persistent=str(workers > 0).lower(),
            launch=launch,
        )
        self.project.manifest_path.write_text(text, encoding="utf-8")
        self.project = open_project(self.project.root)

    def plan(self, **options) -> TrainingPlan:
        return plan_training(job_of_project(self.project), self.trainer, RunOptions(**options))

    def train(self, handler: EventHandler = unheard, **options) -> Result:
        return apply_training(self.plan(**options), handler)

    def pause(self, **options) -> Result:
        """Train until the first epoch's state is saved and the next one begins."""
        planned = self.plan(save_states=True, **options)
        write_inputs(planned)
        ask(planned.run.folder, StopRequest.PAUSE)
        return run_training(planned.run)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    scripts = Path(named("LORALOOM_SD_SCRIPTS"))
    folder = make_tiny_trainer(tmp_path_factory.mktemp("tiny trainer"), scripts)
    cache = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer_cache(cache, Path(named("LORALOOM_SD_TOKENIZER")))
    return trainer_at(folder, python_of(scripts)), cache


@pytest.fixture
def desk(tiny: tuple[Trainer, Path], tmp_path: Path, monkeypatch) -> Desk:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    project = apply_init(plan_init(tmp_path / "my fox", "Quillfox"))
    write_pictures(project.source_dir, recipes(2))
    apply_layout(project, plan_layout(project))
    for picture in project.images_dir.rglob("*.png"):
        picture.with_suffix(".txt").write_text("photo of Quillfox, solo", encoding="utf-8")
    desk = Desk(project, tiny[0], named("LORALOOM_BASE_MODEL"), tiny[1])
    desk.write()
    return desk


def files_of(desk: Desk) -> list[tuple[str, int | None]]:
    runs = find_epoch_files(desk.project.model_dir).runs
    return [(one.name, one.epoch) for run in runs for one in run.files]


def test_a_training_ends_verified(desk: Desk):
    planned = desk.plan()
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert (result.trainer_steps, result.trainer_epochs) == (planned.run.steps, 2)
    assert files_of(desk) == [("Quillfox-000001", 1), ("Quillfox", 2)]


def test_steps_are_the_trainers_own(desk: Desk):
    """Several buckets, gradient accumulation: expected and printed figures agree."""
    write_pictures(desk.project.source_dir, recipes(5))
    apply_layout(desk.project, plan_layout(desk.project))
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    more = "gradient_accumulation_steps: 2\n    network_dim: 4"
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)
    planned = desk.plan()
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert result.trainer_steps == planned.run.steps


def test_steps_with_regularisation_are_the_trainers_own(desk: Desk):
    folder = desk.project.root / "reg"
    write_pictures(desk.project.root / "more", recipes(3))
    (folder / "1_fox").mkdir(parents=True)
    for path in tuple((desk.project.root / "more").rglob("*.png")):
        path.rename(folder / "1_fox" / path.name)
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    more = f'reg_data_dir: "{folder.as_posix()}"\n    network_dim: 4'
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)
    planned = desk.plan()
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert result.trainer_steps == planned.run.steps


DATASETS = """
[general]
caption_extension = ".txt"
enable_bucket = true
min_bucket_reso = 64
bucket_no_upscale = false
[[datasets]]
resolution = 128
batch_size = 3
  [[datasets.subsets]]
  image_dir = {first}
  num_repeats = 3
[[datasets]]
resolution = [64, 128]
  [[datasets.subsets]]
  image_dir = {second}
  [[datasets.subsets]]
  image_dir = {first}
  is_reg = true
"""


def test_steps_of_a_dataset_config_are_the_trainers_own(desk: Desk):
    """Two datasets, each with its own size and batches, one with regularisation pictures."""
    write_pictures(desk.project.source_dir, recipes(5))
    apply_layout(desk.project, plan_layout(desk.project))
    first, second = (
        json.dumps(str(one)) for one in sorted(desk.project.images_dir.glob("*_*"))[:2]
    )
    path = desk.project.root / "data.toml"
    path.write_text(DATASETS.format(first=first, second=second), encoding="utf-8")
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    more = f'dataset_config: "{path.as_posix()}"\n    gradient_accumulation_steps: 2'
    text = text.replace("network_dim: 4", f"{more}\n    network_dim: 4")
    desk.project.manifest_path.write_text(text, encoding="utf-8")
    desk.project = open_project(desk.project.root)
    planned = desk.plan()
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert result.trainer_steps == planned.run.steps
    assert [one.steps for one in result.files] == [planned.run.steps // 2, planned.run.steps]


SAVED = """
[[subsets]]
name = "foxes"
image_dir = "{images}"
num_repeats = 2
caption_extension = ".txt"

[general_args.args]
pretrained_model_name_or_path = "{base}"
tokenizer_cache_dir = "{cache}"
mixed_precision = "no"
max_train_epochs = 2
max_data_loader_n_workers = 0
[general_args.dataset_args]
resolution = 128
batch_size = 1
[network_args.args]
network_dim = 4
network_alpha = 2.0
[network_args.args.network_args]
conv_dim = 2
conv_alpha = 1.0
[optimizer_args.args]
optimizer_type = "AdamW"
lr_scheduler = "cosine"
learning_rate = 1e-4
warmup_ratio = 0.25
[saving_args.args]
output_dir = "out"
output_name = "fox"
save_every_n_epochs = 1
[bucket_args.dataset_args]
enable_bucket = true
min_bucket_reso = 64
max_bucket_reso = 256
bucket_reso_steps = 64
"""


def test_a_saved_toml_of_another_tool_trains(desk: Desk, tmp_path: Path):
    images = next(desk.project.images_dir.glob("*_Quillfox"))
    text = SAVED.format(images=images.as_posix(), base=desk.base, cache=desk.cache.as_posix())
    (tmp_path / "fox.toml").write_text(text, encoding="utf-8")
    job = job_of_config(tmp_path / "fox.toml")
    result = apply_training(plan_training(job, desk.trainer, RunOptions()), unheard)
    assert result.outcome is RunOutcome.FINISHED
    pictures = len(list(images.glob("*.png")))
    assert [(one.name, one.steps) for one in result.files] == [
        ("fox-000001", 2 * pictures),
        ("fox", 4 * pictures),
    ]
    header = read_epoch_file(tmp_path / "out" / "fox.safetensors")
    assert header.step == 4 * pictures


def test_paused_and_resumed_twice_no_epoch_repeats(desk: Desk, monkeypatch):
    monkeypatch.setenv("TINY_TRAINER_SLOW", "1")
    desk.write(epochs=4)
    assert desk.pause().outcome is RunOutcome.STOPPED
    first = require_state(desk.project.model_dir, "Quillfox")
    assert desk.pause(resume=first).outcome is RunOutcome.STOPPED
    second = require_state(desk.project.model_dir, "Quillfox")
    assert (first.epoch, second.epoch) == (1, 2)
    result = desk.train(resume=second)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert [one.name for one in result.files] == ["Quillfox-000003", "Quillfox"]
    found = {read_epoch_file(path).epoch for path in desk.project.model_dir.glob("*.safetensors")}
    assert found == {1, 2, 3, 4}


def test_nan_ends_it(desk: Desk, monkeypatch):
    per_epoch = desk.plan().run.steps_per_epoch
    monkeypatch.setenv("TINY_TRAINER_NAN", str(per_epoch + 1))
    desk.write(epochs=5)
    result = desk.train()
    assert (result.outcome, result.code) == (RunOutcome.NAN, "LL391")
    assert [one.name for one in result.files] == ["Quillfox-000001"]


def test_a_picture_that_breaks_meanwhile_is_named(desk: Desk):
    planned = desk.plan()
    write_inputs(planned)
    victim = next(desk.project.images_dir.rglob("*.png"))
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data[: len(data) // 2])
    result = run_training(planned.run)
    assert (result.outcome, result.code) == (RunOutcome.FAILED, "LL390")
    assert "loraloom check" in result.cure


def test_no_data_is_an_error(desk: Desk):
    planned = desk.plan()
    write_inputs(planned)
    for folder in tuple(desk.project.images_dir.iterdir()):
        folder.rename(folder.with_name(f"fox {folder.name[0]}"))
    result = run_training(planned.run)
    assert (result.outcome, result.code) == (RunOutcome.NO_DATA, "LL392")


def test_the_launcher_trains_as_well(desk: Desk):
    desk.write(launch="--cpu --num_processes 1 --num_machines 1")
    planned = desk.plan()
    assert "accelerate.commands.launch" in planned.run.command
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem


def test_the_launchers_failure_is_the_trainers(desk: Desk):
    desk.write(launch="--cpu")
    planned = desk.plan()
    write_inputs(planned)
    planned.run.config_path.write_text("max_train_epochs = 1", encoding="utf-8")
    result = run_training(planned.run)
    assert (result.code, result.exit_code) == ("LL390", 1)
    assert "CalledProcessError" not in result.problem


TWO = "multi_gpu: true\n    num_processes: 2\n    main_process_port: {port}\n    network_dim: 4"
"""As for two cards: the launcher starts two processes, which meet through gloo on a processor."""


def for_two(desk: Desk, further: str = "num_machines: 1") -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        more = f"{further}\n    {TWO.format(port=free.getsockname()[1])}"
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)


def test_two_processes_share_the_steps(desk: Desk):
    write_pictures(desk.project.source_dir, recipes(5))
    apply_layout(desk.project, plan_layout(desk.project))
    one = desk.plan().run
    for_two(desk)
    planned = desk.plan()
    assert "accelerate.commands.launch" in planned.run.command
    assert planned.run.steps_per_epoch == -(-one.steps_per_epoch // 2)
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert (result.trainer_steps, result.trainer_epochs) == (planned.run.steps, 2)
    assert files_of(desk) == [("Quillfox-000001", 1), ("Quillfox", 2)]


def until_training(run) -> None:
    follow = RunFollower(run)
    while follow.step is None or follow.step.step < 1:
        follow.poll()
        time.sleep(0.05)


@pytest.mark.parametrize("whom", ["launcher", "first", "second", "nobody"])
def test_nothing_is_left_of_two_processes(desk: Desk, whom: str):
    desk.write(epochs=500, workers=1)
    for_two(desk)
    run = start_detached(desk.plan(save_states=True))
    until_training(run)
    tree = find_process(run.folder)
    assert tree is not None
    launcher = psutil.Process(tree.pid)
    first, second = (one for one in launcher.children() if "train_network.py" in str(one.cmdline()))
    family = [launcher, *launcher.children(recursive=True)]
    assert len(family) >= 5  # each has a loader worker
    victims = {"launcher": launcher, "first": first, "second": second}
    if whom == "nobody":
        ask(run.folder, StopRequest.NOW)
    else:
        victims[whom].kill()
    result = attach(run)
    assert result.outcome is (RunOutcome.STOPPED if whom == "nobody" else RunOutcome.FAILED)
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]


def lose(machine: subprocess.Popen[bytes]) -> None:
    """Kill a launcher and its workers, which have sessions of their own."""
    if machine.poll() is None:
        launcher = psutil.Process(machine.pid)
        for one in (*launcher.children(recursive=True), launcher):
            one.kill()


@contextmanager
def second_machine(plan: TrainingPlan) -> Iterator[subprocess.Popen[bytes]]:
    """Run what the plan says for machine 1, as a process of its own."""
    (command,) = commands_elsewhere(plan.run.command)
    environment = {**os.environ, **dict(plan.run.environment)}
    log = plan.run.folder / "machine-1.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, env=environment, stdout=stream, stderr=stream) as process,
    ):
        try:
            yield process
        finally:
            lose(process)


TWO_MACHINES = "--machine_rank 0 --main_process_ip 127.0.0.1"


def for_two_machines(desk: Desk, epochs: int) -> None:
    desk.write(epochs=epochs, launch=TWO_MACHINES)
    for_two(desk, "num_machines: 2")


def test_two_machines_train_together(desk: Desk):
    for_two_machines(desk, 2)
    planned = desk.plan()
    with second_machine(planned) as other:
        result = apply_training(planned)
        assert result.outcome is RunOutcome.FINISHED, result.problem
        assert other.wait(60) == 0
    assert (result.trainer_steps, result.trainer_epochs) == (planned.run.steps, 2)
    assert files_of(desk) == [("Quillfox-000001", 1), ("Quillfox", 2)]


def test_a_lost_machine_costs_no_finished_epoch(desk: Desk):
    for_two_machines(desk, 12)
    planned = desk.plan(save_states=True)
    with second_machine(planned) as other:
        run = start_detached(planned)
        follow = RunFollower(run)
        while follow.step is None or follow.step.step < 2 * run.steps_per_epoch:
            follow.poll()
        lose(other)
        assert attach(run).outcome is RunOutcome.FAILED
    state = require_state(run.output_dir, run.name)
    kept = dict(files_of(desk))
    assert state.epoch >= 1
    again = desk.plan(resume=state, save_states=True, epochs=state.epoch + 1)
    with second_machine(again):
        result = apply_training(again)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert kept.items() <= dict(files_of(desk)).items()


@pytest.mark.parametrize("whom", ["trainer", "loader worker", "watcher", "launcher"])
def test_a_killed_process_leaves_nothing_running(desk: Desk, whom: str):
    desk.write(epochs=500, workers=1, launch="--cpu" if whom == "launcher" else "")
    run = start_detached(desk.plan(save_states=True))
    until_training(run)
    tree = find_process(run.folder)
    assert tree is not None
    first = psutil.Process(tree.pid)
    watcher = first.parent()
    assert watcher is not None
    family = [first, *first.children(recursive=True)]
    victims = {"trainer": first, "launcher": first, "watcher": watcher, "loader worker": family[-1]}
    victims[whom].kill()
    if whom == "watcher":
        ask(run.folder, StopRequest.NOW)
    result = attach(run)
    wanted = RunOutcome.STOPPED if whom == "watcher" else RunOutcome.FAILED
    assert (result.outcome, bool(result.problem)) == (wanted, whom != "watcher")
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]


def test_loss_comes_with_the_steps(desk: Desk):
    losses: list[float] = []

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, StepFinished) and event.loss is not None:
            losses.append(event.loss)

    assert desk.train(handle).outcome is RunOutcome.FINISHED
    assert losses
    assert all(0 < loss < 100 for loss in losses)


def test_each_steps_own_loss_comes_from_tensorboard(desk: Desk):
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    log = (desk.project.root / "tensorboard").as_posix()
    more = f'logging_dir: "{log}"\n    log_with: tensorboard\n    network_dim: 4'
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)
    planned = desk.plan()
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    report = read_report(runs_dir_of(desk.project))
    assert sorted(report.step_losses) == list(range(1, planned.run.steps + 1))
    follow = RunFollower(planned.run)
    follow.poll()
    assert dict(report.step_losses) == follow.step_losses


def test_samples_are_drawn_and_told(desk: Desk):
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    prompt = "photo of Quillfox --w 64 --h 64 --s 2 --d 1"
    more = f'sample_prompts: "{prompt}"\n    sample_every_n_epochs: 1\n    network_dim: 4'
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)
    told: list[Path] = []

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, SampleSaved):
            told.append(Path(event.path))

    result = desk.train(handle)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert len(told) == 2
    assert all(path.is_file() for path in told)


FLAGS = {"sd2": "v2", "sdxl": "sdxl", "sd3": "sd3_checkbox", "flux": "flux1_checkbox"}

_PARSE = """
import importlib, json, sys
script, path = sys.argv[1:]
sys.argv = [script, "--config_file", path]
module = importlib.import_module(script)
parser = module.setup_parser()
from library import train_util
args = train_util.read_config_from_file(parser.parse_args(), parser)
known = {action.dest for action in parser._actions}
print("ARGS " + json.dumps([sorted(known), vars(args)], default=str))
"""


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_the_parser_takes_every_preset(preset, tmp_path: Path):
    scripts = Path(named("LORALOOM_SD_SCRIPTS"))
    values = dict(preset_values(preset, SubjectKind.CHARACTER))
    for family, flag in FLAGS.items():
        values[flag] = preset.family.value == family
    values |= {"output_name": "x", "output_dir": str(tmp_path), "max_train_epochs": 3}
    call = plan_call(complete(values, GuiVersion.V26), GuiVersion.V26, 10)
    config = tmp_path / "config.toml"
    config.write_text(format_toml(call.toml), encoding="utf-8")
    answer = subprocess.run(
        [str(python_of(scripts)), "-c", _PARSE, call.script, str(config)],
        cwd=scripts,
        env={**os.environ, "PYTHONPATH": str(scripts), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    line = next(one for one in answer.stdout.splitlines() if one.startswith("ARGS "))
    known, taken = json.loads(line[5:])
    assert set(call.toml) - set(known) == set()
    assert {key: taken[key] for key in call.toml} == call.toml
