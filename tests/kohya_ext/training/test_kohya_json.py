"""The Kohya GUI's json: what it can hold, and what is repaired while reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kohya_ext.project import ToolError
from kohya_ext.training.kohya_json import (
    GuiVersion,
    complete,
    default_values,
    find_problems,
    json_schema,
    keys_of,
    read_kohya_json,
    repair,
    require_valid,
)

V26 = GuiVersion.V26


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
        ("max_resolution", 512, "a text"),
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
        ("epoch", "abc", 1),
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
    assert [one.key for one in config.repairs] == [key]
    assert find_problems(config.values, V26) == ()


def test_old_names_are_followed():
    assert repaired(lora_network_weights="a.safetensors")["network_weights"] == "a.safetensors"
    assert repaired(use_wandb="True")["log_with"] == "wandb"


def test_unknown_keys_are_kept():
    assert repaired(my_own_note="x")["my_own_note"] == "x"


def test_saving_what_was_read_changes_nothing(tmp_path: Path):
    first = repaired(network_dim="24", note=[1])
    (tmp_path / "x.json").write_text(json.dumps(first), encoding="utf-8")
    second = read_kohya_json(tmp_path / "x.json", V26)
    assert second.as_json() == first
    assert second.repairs == ()


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_is_no_config(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL301"):
        read_kohya_json(tmp_path / "x.json", V26)


def test_a_missing_config(tmp_path: Path):
    with pytest.raises(ToolError, match="LL301"):
        read_kohya_json(tmp_path / "x.json", V26)


def test_versions_differ():
    assert "lr_warmup_steps" not in keys_of(GuiVersion.V24)
    assert "Flux1" not in keys_of(GuiVersion.V24)["LoRA_type"].choices
