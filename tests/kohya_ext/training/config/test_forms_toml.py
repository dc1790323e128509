"""Configs in toml: grouped, our own, of LoRA_Easy_Training_Scripts, of the GUI's second version."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from config_forms import BASE, V26, read, refused

from kohya_ext.cli import main
from kohya_ext.training.config.arguments import require_valid_call
from kohya_ext.training.config.conversion import apply_conversion, convert
from kohya_ext.training.config.forms import ConfigForm
from kohya_ext.training.config.toml import parse_toml
from kohya_ext.training.run.job import job_of_config

GROUPED = """
[model_arguments]
pretrained_model_name_or_path = "base.safetensors"
[additional_network_arguments]
network_module = "networks.lora"
network_dim = 24
network_args = ["conv_dim=8", "conv_alpha=4"]
[optimizer_arguments]
optimizer_type = "Adafactor"
unet_lr = "1e-4"
[dataset_arguments]
resolution = 640
train_data_dir = "pictures"
[training_arguments]
output_dir = "out"
output_name = "fox"
max_train_epochs = 4
epoch = 9
noise_offset_type = "Original"
dynamo_backend = "no"
max_token_length = 75
"""


def test_a_grouped_toml_is_read(tmp_path: Path):
    found = read(tmp_path, GROUPED, "fox.toml")
    toml = found.call.toml
    assert (toml["unet_lr"], toml["max_train_epochs"], toml["resolution"]) == (1e-4, 4, "640")
    assert toml["train_data_dir"] == str(tmp_path / "pictures")
    assert not {"epoch", "noise_offset_type", "dynamo_backend", "max_token_length"} & set(toml)
    require_valid_call(found.call)
    values = found.config.values
    assert (values["LoRA_type"], values["conv_dim"]) == ("Kohya LoCon", 8)
    job = job_of_config(tmp_path / "fox.toml")
    assert job.call.toml == toml
    assert job.name == "fox"


@pytest.mark.parametrize(
    ("lines", "backend"),
    [
        ("", "no"),
        ('dynamo_backend = "inductor"', "no"),
        ("torch_compile = true", "inductor"),
        ('torch_compile = true\ndynamo_backend = "eager"', "eager"),
    ],
)
def test_compiling_is_switched_on_by_torch_compile_alone(tmp_path: Path, lines: str, backend: str):
    """The trainer has a backend by default, which it takes with `torch_compile` only."""
    given = GROUPED.replace('dynamo_backend = "no"', lines)
    assert read(tmp_path, given, "fox.toml").config.values["dynamo_backend"] == backend


def test_our_own_toml_is_read_back(tmp_path: Path):
    found = read(tmp_path, {**BASE, "LoRA_type": "Kohya LoCon", "epoch": 3, "max_train_steps": 0})
    written = apply_conversion(found, tmp_path / "written")
    again = convert(written[1], V26)
    assert again.call.toml == {key: value for key, value in found.call.toml.items() if value != []}


@pytest.mark.parametrize(("name", "kept"), [("con", "_con"), ("a:b", "a_b"), ("fox", "fox")])
def test_a_converted_config_gets_a_name_for_every_system(tmp_path: Path, name: str, kept: str):
    found = replace(read(tmp_path, BASE), name=name)
    assert apply_conversion(found, tmp_path / "new")[0].name == f"{kept}.json"


def test_a_dataset_config_inside_a_toml(tmp_path: Path):
    text = (
        GROUPED
        + """
[[datasets]]
resolution = 512
[[datasets.subsets]]
image_dir = "fox pictures"
num_repeats = 3
"""
    )
    found = read(tmp_path, text, "fox.toml")
    job = job_of_config(tmp_path / "fox.toml")
    path = Path(str(job.call.toml["dataset_config"]))
    subset = parse_toml(path.read_text(encoding="utf-8"))["datasets"][0]["subsets"][0]
    assert subset == {"image_dir": str(tmp_path / "fox pictures"), "num_repeats": 3}
    written = apply_conversion(found, tmp_path / "written")
    assert parse_toml(written[1].read_text(encoding="utf-8"))["dataset_config"] == str(written[2])
    assert json.loads(written[0].read_text(encoding="utf-8"))["dataset_config"] == str(written[2])


LORA_EASY = """
[[subsets]]
name = "foxes"
image_dir = "foxes"
num_repeats = 2
caption_extension = ".txt"
flip_aug = false

[train_mode]
train_mode = "lora"

[general_args.args]
pretrained_model_name_or_path = "/m/fox.safetensors"
sdxl = true
no_half_vae = true
mixed_precision = "bf16"
max_train_epochs = 6

[general_args.dataset_args]
resolution = [1024, 1024]
batch_size = 2
max_token_length = 225

[network_args.args]
network_dim = 16
network_alpha = 8.0

[network_args.args.network_args]
algo = "lokr"
factor = 4
block_dims = [1, 2]

[optimizer_args.args]
optimizer_type = "Prodigy"
learning_rate = 1.0
lr_scheduler = "cosine"
warmup_ratio = 0.05

[optimizer_args.args.optimizer_args]
weight_decay = 0.1
decouple = "true"

[saving_args.args]
output_dir = "/data/out"
output_name = "fox"
"""


def test_a_saved_toml_of_lora_easy(tmp_path: Path):
    found = read(tmp_path, LORA_EASY, "fox.toml")
    toml = found.call.toml
    assert found.call.script_name == "sdxl_train_network.py"
    assert (toml["network_module"], toml["max_token_length"]) == ("lycoris.kohya", 225)
    assert toml["network_args"] == ["algo=lokr", "factor=4", "block_dims=1,2"]
    assert toml["optimizer_args"] == ["weight_decay=0.1", "decouple=True"]
    assert toml["lr_warmup_steps"] == 0.05
    require_valid_call(found.call)
    dataset = parse_toml(found.dataset_toml)
    assert dataset["general"] == {"resolution": [1024, 1024], "batch_size": 2}
    assert dataset["datasets"][0]["subsets"] == [
        {"image_dir": str(tmp_path / "foxes"), "num_repeats": 2, "caption_extension": ".txt"}
    ]


def test_a_scheduler_that_only_lora_easy_counts(tmp_path: Path):
    name = "LoraEasyCustomOptimizer.RexAnnealingWarmRestarts.RexAnnealingWarmRestarts"
    text = LORA_EASY.replace("warmup_ratio", f'lr_scheduler_type = "{name}"\nwarmup_ratio')
    assert "LL313" in refused(tmp_path, text, "fox.toml")


SECOND = """LoRA_type = "LyCORIS/LoKr"
LyCORIS_preset = "attn-only"
architecture = "{}"
conv_dim = 16
extra_accelerate_launch_args = "--debug"
factor = 4
gpu_ids = "1"
learning_rate = 1.0
max_train_epochs = 7
multires_noise_iterations = 8
network_alpha = 24.0
network_args = [ "preset=attn-only", "conv_dim=16", "factor=4", "algo=lokr",]
network_dim = 48
network_module = "lycoris.kohya"
optimizer_type = "Prodigy"
output_dir = "/data/out"
output_name = "fox"
resolution = "1024,1024"
sample_prompts = "photo of a fox --w 512\\nthe fox, asleep"
seed = ""
text_encoder_lr = [ 1.0, 1.0,]
unet_lr = 1.0
vae_batch_size = 0
"""


"""As the GUI's second version saves it: the trainer's names beside fields of its own."""


def test_a_saved_toml_of_the_guis_second_version(tmp_path: Path):
    found = read(tmp_path, SECOND.format("sdxl"), "fox.toml")
    assert found.form is ConfigForm.TRAINER
    assert (found.call.script, found.notes, found.differences) == ("sdxl_train_network", (), ())
    toml = found.call.toml
    assert toml["network_args"] == ["preset=attn-only", "conv_dim=16", "factor=4", "algo=lokr"]
    assert toml["multires_noise_iterations"] == 8
    assert Path(toml["sample_prompts"]).parts[-3:] == ("out", "sample", "prompt.txt")
    assert found.call.sample_prompts == "photo of a fox --w 512\nthe fox, asleep"
    assert found.call.launch[:3] == ("--debug", "--gpu_ids", "1")
    values = found.config.values
    assert (values["LoRA_type"], values["factor"]) == ("LyCORIS/LoKr", 4)
    assert values["sample_prompts"] == found.call.sample_prompts


@pytest.mark.parametrize(
    ("architecture", "script"),
    [
        ("sd2", "train_network"),
        ("flux1", "flux_train_network"),
        ("hunyuan_image", "hunyuan_image_train_network"),
        ("of tomorrow", "train_network"),
    ],
)
def test_the_second_version_names_the_family(tmp_path: Path, architecture: str, script: str):
    found = read(tmp_path, SECOND.format(architecture), "fox.toml")
    assert found.call.script == script
    assert bool(found.notes) is (architecture == "of tomorrow")


def test_a_toml_is_nothing_that_the_gui_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "fox.toml").write_text(GROUPED, encoding="utf-8")
    assert main(["config", "--from", str(tmp_path / "fox.toml"), "--as-gui"]) == 2
    assert "opens only json files" in capsys.readouterr().err
