"""Runs of a real sd-scripts, driven as users do: steps, samples, losses, and how they end.

LORALOOM_SD_SCRIPTS names the checkout, LORALOOM_SD_PYTHON its Python (default: its own venv),
LORALOOM_BASE_MODEL a shrunken SD 1.5 checkpoint of 64 channels, LORALOOM_SD_TOKENIZER a folder
with CLIP's tokenizer. A run takes some ten seconds on a processor.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tiny_trainer import python_of

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import open_project
from kohya_ext.project.epochs import read_epoch_file
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.config.arguments import plan_call
from kohya_ext.training.config.kohya_json import GuiVersion, complete
from kohya_ext.training.config.presets import preset_values, presets
from kohya_ext.training.config.toml import format_toml
from kohya_ext.training.run.events import Event, SampleSaved, StepFinished
from kohya_ext.training.run.follow import RunFollower, unheard
from kohya_ext.training.run.job import job_of_config, runs_dir_of
from kohya_ext.training.run.record import RunOutcome
from kohya_ext.training.run.report import read_report
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import RunOptions, apply_training, plan_training, write_inputs

from .conftest import named
from .sd_desk import Desk, files_of

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


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


def test_samples_are_drawn_and_reported(desk: Desk):
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    prompt = "photo of Quillfox --w 64 --h 64 --s 2 --d 1"
    more = f'sample_prompts: "{prompt}"\n    sample_every_n_epochs: 1\n    network_dim: 4'
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)
    reported: list[Path] = []

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, SampleSaved):
            reported.append(Path(event.path))

    result = desk.train(handle)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert len(reported) == 2
    assert all(path.is_file() for path in reported)


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
