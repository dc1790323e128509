"""What trains without an error and is still hardly meant."""

from __future__ import annotations

from typing import Any

import pytest

from kohya_ext.training.checks.settings import advise_on


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"LoRA_type": "Kohya LoCon", "network_dim": 8}, "LoCon 8: too small"),
        ({"LoRA_type": "LyCORIS/LoCon", "network_dim": 4}, "LoCon 4: too small"),
        ({"log_with": "all"}, "WANDB_API_KEY is not set"),
        ({"max_train_steps": 1600, "epoch": 10}, "1600 takes precedence over epoch 10"),
    ],
)
def test_what_is_advised(values: dict[str, Any], words: str):
    (sentence,) = advise_on(values, {})
    assert words in sentence


@pytest.mark.parametrize(
    "values",
    [
        {"LoRA_type": "Kohya LoCon", "network_dim": 24},
        {"LoRA_type": "Standard", "network_dim": 8},
        {"log_with": "tensorboard"},
        {"max_train_steps": 1600, "epoch": 10, "max_train_epochs": 10},
        {"max_train_steps": 1600, "epoch": 1},
    ],
)
def test_what_is_right_gets_none(values: dict[str, Any]):
    assert advise_on(values, {}) == ()


def test_a_key_in_the_environment_is_enough():
    assert advise_on({"log_with": "wandb"}, {"WANDB_API_KEY": "x"}) == ()
