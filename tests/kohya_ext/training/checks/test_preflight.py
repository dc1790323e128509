"""What would fail late is found early: values of the call; a clean set has no findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from training_desk import Desk, codes

from kohya_ext.project import ToolError
from kohya_ext.training.checks.findings import Level
from kohya_ext.training.config.call_values import launcher_words


def test_a_clean_set_has_no_findings(desk: Desk):
    preflight = desk.check()
    assert preflight.findings == ()
    assert preflight.steps is not None
    assert (preflight.steps.draws, preflight.steps.steps) == (12, 18)
    preflight.require_ok()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"save_every_n_epochs": 0}, "LL376"),
        ({"sample_every_n_epochs": 0}, "LL376"),
        ({"train_batch_size": 0}, "LL376"),
        ({"bucket_reso_steps": 0}, "LL376"),
        ({"min_bucket_reso": 63}, "LL377"),
        ({"resolution": 64}, "LL305"),
        ({"resolution": 64}, "LL377"),
        ({"resolution": "64x64"}, "LL377"),
        ({"min_bucket_reso": 128}, "LL377"),
        ({"resolution": "256,256"}, "LL377"),
        ({"network_module": ""}, "LL378"),
        ({"save_model_as": "foo"}, "LL305"),
        ({"learning_rate": "1e-4"}, "LL305"),
        ({"learning_rat": 1e-4}, "LL305"),
        ({"pretrained_model_name_or_path": "missing.safetensors"}, "LL380"),
        ({"vae": "missing.pt"}, "LL381"),
        ({"network_weights": "missing.safetensors"}, "LL381"),
        ({"dataset_config": "missing.toml"}, "LL356"),
        ({"resume": "missing-state"}, "LL382"),
        ({"v2": True}, "LL384"),
    ],
    ids=str,
)
def test_a_value_that_would_fail_late(desk: Desk, changes: dict[str, Any], code: str):
    desk.toml |= changes
    assert code in codes(desk.check())


def test_a_missing_resolution_is_not_called_none(desk: Desk):
    del desk.toml["resolution"]
    said = " ".join(one.problem for one in desk.check().findings)
    assert "No resolution is given" in said
    assert "None" not in said


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        ("a fox, child, nude --w 64", True),
        ("a fox --n child, nude --w 64", False),
        ("# child, nude", False),
        ('prompt = "a fox, child, nude"', True),
        ('"negative_prompt": "child, nude",', False),
    ],
)
def test_no_sample_prompt_is_past_the_rule_on_minors(desk: Desk, line: str, is_refused: bool):
    prompts = desk.root / "prompts.txt"
    prompts.write_text(f"a fox\n{line}\n", "utf-8")
    desk.toml |= {"sample_prompts": str(prompts), "sample_every_n_epochs": 1}
    assert ("LL616" in codes(desk.check(), Level.ERROR)) is is_refused


def test_a_hub_name_is_only_a_warning(desk: Desk):
    desk.toml["pretrained_model_name_or_path"] = "someone/some-model"
    assert codes(desk.check(), Level.WARNING) == ["LL380"]


@pytest.mark.parametrize(
    ("ratio", "epochs", "names"),
    [
        (2, 4, ["fox-000002", "fox"]),
        (9, 3, ["fox-000001", "fox-000002", "fox"]),
        (0, 3, ["fox-000001", "fox-000002", "fox"]),
    ],
)
def test_a_number_of_files_decides_which_are_saved(desk: Desk, ratio, epochs, names):
    desk.toml |= {"save_n_epoch_ratio": ratio, "max_train_epochs": epochs}
    steps = desk.check().steps
    assert steps is not None
    assert [name for name, _, _ in steps.epoch_files] == names


def test_neither_epochs_nor_steps_means_1600(desk: Desk):
    del desk.toml["max_train_epochs"]
    preflight = desk.check()
    assert codes(preflight, Level.WARNING) == ["LL388"]
    assert preflight.steps is not None
    assert preflight.steps.steps >= 1600


def test_additional_arguments_count_over_the_toml(desk: Desk):
    desk.additional = ("--max_train_epochs", "5", "--save_every_n_epochs=0")
    preflight = desk.check()
    assert codes(preflight) == ["LL376"]
    assert preflight.steps is not None
    assert preflight.steps.epochs == 5


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("--dynamo_backend no --dynamo_mode default --mixed_precision fp16", False),
        ("--num_processes 1 --num_machines 1 --num_cpu_threads_per_process 2", False),
        ("--gpu_ids 1 --main_process_port 29500", False),
        ("--num_processes 2", True),
        ("--num_machines 2", True),
        ("--multi_gpu", True),
        ("--dynamo_backend inductor", True),
        ("--use_deepspeed", True),
    ],
)
def test_the_launcher_is_used_only_where_it_is_needed(words: str, needed: bool):
    launch = tuple(words.split())
    assert launcher_words(launch) == (launch if needed else ())


def test_several_processes_share_the_batches(desk: Desk):
    desk.launch = ("--multi_gpu", "--num_processes", "3")
    preflight = desk.check()
    assert preflight.steps is not None
    assert preflight.steps.steps_per_epoch == 2


def test_the_first_error_is_raised_and_the_rest_counted(desk: Desk):
    desk.toml |= {"save_every_n_epochs": 0, "vae": "missing.pt"}
    with pytest.raises(Exception, match=r"LL3\d\d") as caught:
        desk.check().require_ok()
    assert "1 more" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_bucket_reso": 0}, ("divide by zero", "Set min_bucket_reso to 64")),
        ({"min_bucket_reso": 128}, ("128 is larger than the resolution 64", "to 64.")),
        (
            {"resolution": "256,320", "max_bucket_reso": 512, "min_bucket_reso": 320},
            ("320 is larger than the resolution 256", "Set min_bucket_reso to 128."),
        ),
        (
            {"resolution": "256,320", "max_bucket_reso": 256},
            ("256 is smaller than the resolution 320", "Set max_bucket_reso to 640."),
        ),
        ({"save_every_n_epochs": 0}, ("is 0", "lose that epoch")),
        ({"sample_every_n_epochs": -1}, ("is -1", "lose that epoch")),
        ({"save_every_n_steps": 0}, ("is 0", "lose that epoch")),
    ],
    ids=str,
)
def test_a_limit_that_is_wrong_says_which_would_do(
    desk: Desk, changes: dict[str, Any], said: tuple[str, str]
):
    desk.toml |= changes
    (found,) = desk.check().errors
    assert all(one in f"{found.problem} {found.cure}" for one in said)


@pytest.mark.parametrize(
    "changes",
    [
        {"min_bucket_reso": 64, "max_bucket_reso": 64},
        {"min_bucket_reso": 0, "bucket_no_upscale": True},
        {"min_bucket_reso": 128, "bucket_no_upscale": True},
        {"resolution": "256,256", "bucket_no_upscale": True},
        {"min_bucket_reso": 0, "enable_bucket": False},
        {"save_every_n_epochs": 1, "train_batch_size": 1},
        {"max_train_epochs": 0, "max_train_steps": 10},
    ],
    ids=str,
)
def test_a_limit_that_does_is_no_finding(desk: Desk, changes: dict[str, Any]):
    desk.toml |= changes
    assert codes(desk.check()) == []


def test_a_batch_size_of_zero_is_said_without_an_epoch(desk: Desk):
    desk.toml["train_batch_size"] = 0
    (found,) = (one for one in desk.check().errors if one.code == "LL376")
    assert "train_batch_size is 0; sd-scripts would divide by it." in found.problem


def test_errors_come_before_warnings(desk: Desk):
    del desk.toml["max_train_epochs"]
    desk.toml["vae"] = "missing.pt"
    preflight = desk.check()
    assert [one.code for one in preflight.findings] == ["LL381", "LL388"]
    assert [one.code for one in preflight.warnings] == ["LL388"]
    with pytest.raises(ToolError) as caught:
        preflight.require_ok()
    assert (caught.value.code, "more" in caught.value.cure) == ("LL381", False)


def test_the_length_of_a_run_is_reported(desk: Desk):
    preflight = desk.check()
    assert "12" in preflight.length
    assert "3" in preflight.length
    assert replace(preflight, steps=None).length == ""
    assert [one.path.name for one in preflight.pictures] == ["c.png", "a.png", "b.png"]
