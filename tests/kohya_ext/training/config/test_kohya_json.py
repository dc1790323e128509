"""The Kohya GUI's json: what it can hold, and what is repaired while reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kohya_ext.project import ToolError
from kohya_ext.training.config.forms import read_data
from kohya_ext.training.config.gui_load import take_as_gui
from kohya_ext.training.config.json_schema import descriptions, json_schema, schema_path
from kohya_ext.training.config.kohya_json import (
    GuiVersion,
    complete,
    default_values,
    find_problems,
    keys_of,
    repair,
    require_valid,
)

V24, V25, V26 = GuiVersion


def repaired(**values: Any) -> dict[str, Any]:
    return repair(values, V26).as_json()


@pytest.mark.parametrize(("version", "count"), list(zip(GuiVersion, (158, 230, 288), strict=True)))
def test_each_version_has_its_keys(version: GuiVersion, count: int):
    assert len(default_values(version)) == count


@pytest.mark.parametrize("version", list(GuiVersion))
def test_defaults_are_usable(version: GuiVersion):
    values = complete({}, version)
    assert find_problems(values, version) == ()
    assert None not in values.values()
    assert list(values) == sorted(values)
    Draft202012Validator(json_schema(version)).validate(values)


def test_nine_text_boxes_are_never_null():
    """The v26 GUI cannot print a command while one of them is null."""
    nine = (
        "network_weights down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold "
        "block_dims block_alphas conv_block_dims conv_block_alphas"
    )
    assert [complete({}, V26)[name] for name in nine.split()] == [""] * 9


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network_dim", "32", "a number"),
        ("network_dim", 4096, "at most 512"),
        ("train_batch_size", 0, "at least 1"),
        ("lr_scheduler", "foo", "one of"),
        ("max_token_length", 100, "one of 75, 150, 225"),
        ("shuffle_caption", "False", "true or false"),
        ("shuffle_caption", 1, "true or false"),
        ("max_resolution", 512, "text"),
        ("network_dim", True, "a number"),
    ],
)
def test_what_would_poison_the_session(key: str, value: object, words: str):
    with pytest.raises(ToolError, match=rf"{key} is .*{words}.*LL302"):
        require_valid(complete({key: value}, V26), V26)


def test_a_missing_key_is_a_problem():
    assert "the key is missing" in str(find_problems({}, V26)[0])


@pytest.mark.parametrize(
    ("key", "value", "after"),
    [
        ("network_dim", "32", 32),
        ("network_dim", 100000, 512),
        ("learning_rate", "1e-4", 0.0001),
        ("lr_scheduler_num_cycles", "", 1),
        ("max_train_epochs", "", 0),
        ("shuffle_caption", "False", False),
        ("shuffle_caption", 1, True),
        ("xformers", True, "xformers"),
        ("xformers", False, "none"),
        ("LoRA_type", "LoCon", "LyCORIS/LoCon"),
        ("max_resolution", [512, 768], "512,768"),
        ("max_resolution", 512, "512"),
        ("caption_extension", ".none-use-foldername", ".txt"),
        ("network_weights", None, ""),
        ("seed", "1234", 1234),
    ],
)
def test_old_values_are_repaired(key: str, value: object, after: object):
    config = repair({key: value}, V26)
    assert config.values[key] == after
    others = ("optimizer", "max_train_steps")
    assert [one.key for one in config.repairs if one.key not in others] == [key]
    assert find_problems(config.values, V26) == ()


def test_old_names_are_followed():
    assert repaired(lora_network_weights="a.safetensors")["network_weights"] == "a.safetensors"
    assert repaired(use_wandb="True")["log_with"] == "wandb"


def test_unknown_keys_are_kept():
    assert repaired(my_own_note="x")["my_own_note"] == "x"


def test_saving_what_was_read_changes_nothing(tmp_path: Path):
    first = repaired(network_dim="24", note=[1])
    (tmp_path / "x.json").write_text(json.dumps(first), encoding="utf-8")
    second = repair(read_data(tmp_path / "x.json")[0], V26)
    assert second.as_json() == first
    assert second.repairs == ()
    assert second.missing == ()


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_is_no_config(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL301"):
        read_data(tmp_path / "x.json")


def test_a_missing_config(tmp_path: Path):
    with pytest.raises(ToolError, match="LL301"):
        read_data(tmp_path / "x.json")


def test_versions_differ():
    assert "lr_warmup_steps" not in keys_of(GuiVersion.V24)
    assert "Flux1" not in keys_of(GuiVersion.V24)["LoRA_type"].choices


@pytest.mark.parametrize("version", list(GuiVersion))
def test_the_schema_beside_the_tables_is_fresh(version: GuiVersion):
    """`python scripts/make-training-data` writes it."""
    written = json.loads(schema_path(version).read_text(encoding="utf-8"))
    assert written == json_schema(version)
    Draft202012Validator.check_schema(written)
    assert set(written["properties"]) == set(keys_of(version))


def test_the_schema_says_what_a_field_does():
    assert set(descriptions()) == set(keys_of(V26))
    field = json_schema(V26)["properties"]["network_dim"]
    assert field["title"] == "Network Rank (Dimension)"
    assert "24 served well" in field["description"]
    errors = Draft202012Validator(json_schema(V26)).iter_errors(complete({"network_dim": 0}, V26))
    assert "less than the minimum" in next(errors).message


def test_the_gui_ends_threads_at_the_cores_of_its_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    keys_of.cache_clear()
    assert keys_of(V26)["num_cpu_threads_per_process"].maximum == 16
    keys_of.cache_clear()
    assert "maximum" not in json_schema(V26)["properties"]["num_cpu_threads_per_process"]


def test_what_only_the_gui_cannot_hold_stays_for_the_trainer():
    given = {"optimizer": "AdamW", "max_train_steps": 0, "network_dim": 100000, "epoch": "4"}
    config = repair(given, V26)
    assert (config.values["network_dim"], config.meant["network_dim"]) == (512, 100000)
    assert {one.key: one.only_gui for one in config.repairs} == {
        "network_dim": True,
        "epoch": False,
    }


def test_an_old_json_counts_by_epochs():
    """The page's own 1600 steps would take precedence over them."""
    config = repair({"epoch": 8}, V26)
    assert config.meant["max_train_steps"] == 0
    assert "counts by epochs" in str(config.repairs[-1])
    assert repair({"epoch": 8, "max_train_steps": 1600}, V26).meant["max_train_steps"] == 1600
    assert take_as_gui({"epoch": 8}, V26).values["max_train_steps"] == 1600


def test_an_old_json_names_no_optimizer():
    assert repaired()["optimizer"] == "AdamW"
    assert repaired(use_8bit_adam=True)["optimizer"] == "AdamW8bit"
    assert "use_8bit_adam" in str(repair({"use_8bit_adam": True}, V26).repairs[0])


@pytest.mark.parametrize(
    "values",
    [
        {"wandb_api_key": "hush"},
        {"additional_parameters": "--one=1 --wandb_api_key=hush --two"},
        {"additional_parameters": "--one=1 --huggingface_token 'hush' --two"},
        {"extra_accelerate_launch_args": "--huggingface_token hush"},
    ],
)
def test_a_secret_is_never_written_again(values: dict[str, Any]):
    config = repair({"optimizer": "AdamW", **values}, V26)
    assert "hush" not in json.dumps([config.as_json(), config.meant, str(config.repairs)])
    assert "set " in str(config.repairs[0])
    assert "hush" not in str(take_as_gui(values, V26))
    assert len(take_as_gui(values, V26).secrets) == 1
    if "--one" in str(values):
        assert config.values["additional_parameters"] == "--one=1 --two"


# What the GUI itself makes of a json; measured, see the table in tests/recorded.


@pytest.mark.parametrize(
    ("key", "value", "v24", "v25", "v26"),
    [
        ("network_dim", "32", "32", "32", None),
        ("network_dim", 4096, 4096, 4096, None),
        ("train_batch_size", 0, 0, 0, None),
        ("lr_scheduler", "foo", "foo", None, None),
        ("max_token_length", 100, 100, None, None),
        ("caption_extension", ".tags", ".tags", None, None),
        ("text_encoder_lr", 5, None, None, None),
        ("learning_rate", 1.5, None, None, None),
        ("sample_every_n_epochs", "1", None, None, None),
        ("save_every_n_steps", "", None, None, None),
        ("max_grad_norm", "1", "1", "1", "1"),
        ("shuffle_caption", "False", True, True, True),
        ("shuffle_caption", 0, False, False, False),
        ("max_resolution", [512, 512], "[512, 512]", "[512, 512]", "[512, 512]"),
        ("max_resolution", 512, "512", "512", "512"),
        ("epoch", "1.5", 0, 0, 0),
        ("epoch", "abc", 0, 0, 0),
        ("lr_scheduler_num_cycles", "", 1, 1, 1),
        ("lr_scheduler_power", "", 1.0, 1.0, 1),
        ("max_token_length", "x", 75, 75, 75),
        ("adaptive_noise_scale", 0.5, 0, 0.5, 0.5),
        ("save_model_as", "same as source model", "safetensors", "safetensors", "safetensors"),
        ("bucket_reso_steps", 64.0, 64.0, 64.0, 64),
        ("LoRA_type", "LoCon", "LyCORIS/LoCon", "LyCORIS/LoCon", "LyCORIS/LoCon"),
    ],
)
def test_what_each_gui_takes(key: str, value: object, v24: object, v25: object, v26: object):
    """None stands for a page that can do nothing more."""
    given = {"LoRA_type": "Standard", key: value}
    for version, expected in zip(GuiVersion, (v24, v25, v26), strict=True):
        taken = take_as_gui(given, version)
        assert bool(taken.problems) == (expected is None), (version, taken.problems)
        if expected is not None:
            assert taken.values[key] == expected
            assert type(taken.values[key]) is type(expected)


def test_the_gui_follows_old_names():
    given = {"lora_network_weights": "a", "use_wandb": "True", "xformers": False}
    values = take_as_gui(given, V26).values
    assert (values["network_weights"], values["log_with"]) == ("a", "wandb")
    assert (values["xformers"], values["optimizer"]) == ("none", "AdamW")
