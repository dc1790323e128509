"""Settings by which nothing is trained, next to nothing, or nothing of the captions."""

from __future__ import annotations

from typing import Any

import pytest

from kohya_ext.training.checks.combinations import check_combinations
from kohya_ext.training.checks.findings import Finding, Level
from kohya_ext.training.checks.learning_rates import check_course, check_warmup
from kohya_ext.training.dataset.steps import StepPlan

GOOD: dict[str, Any] = {
    "optimizer_type": "AdamW",
    "learning_rate": 1e-4,
    "lr_scheduler": "cosine",
    "network_dim": 16,
    "network_alpha": 8,
    "network_module": "networks.lora",
}


def found(script: str = "train_network", **changes: Any) -> list[Finding]:
    return [one for _, one in check_combinations(script, {**GOOD, **changes})]


NOTHING = {
    "network_dropout": {"network_dropout": 1},
    "dropout": {"network_args": ["dropout=1.0"]},
    "rank_dropout": {"network_args": ["rank_dropout=1"]},
    "module_dropout": {"network_args": ["module_dropout=1"]},
    "caption_dropout_rate": {"caption_dropout_rate": 1},
    "caption_tag_dropout_rate": {"caption_tag_dropout_rate": 1.0},
    "caption_dropout_every_n_epochs": {"caption_dropout_every_n_epochs": 1},
    "learning rate of all": {"learning_rate": 0.0},
    "rates of both parts": {"unet_lr": 0.0, "text_encoder_lr": [0.0, 0.0]},
    "rate of the only part": {"network_train_text_encoder_only": True, "text_encoder_lr": 0},
    "rate of the U-Net alone": {"network_train_unet_only": True, "unet_lr": 0},
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_trains_nothing_is_an_error(name: str):
    (one,) = found(**NOTHING[name])
    assert (one.code, one.level) == ("LL359", Level.ERROR)
    assert name.split()[0] in one.problem or "rate" in name


LITTLE = {
    "network_dropout is 0.6": {"network_dropout": 0.6},
    "network_alpha 1 is a 256th": {"network_dim": 256, "network_alpha": 1},
    "network_alpha 1 is a 201th": {"network_dim": 201, "network_alpha": None},
    "network_alpha 129 is 8 times": {"network_alpha": 129},
    "scale_weight_norms is 0.001": {"scale_weight_norms": 0.001},
    "max_grad_norm is 1e-09": {"max_grad_norm": 1e-9},
    "The learning rate is 1e-06": {"unet_lr": 1e-6},
    "The learning rate is not given, so it is 2e-06": {"learning_rate": None},
    "masked_loss is on": {"masked_loss": True},
    "zero_terminal_snr is on": {"zero_terminal_snr": True},
}


@pytest.mark.parametrize("said", LITTLE)
def test_what_trains_next_to_nothing_is_a_warning(said: str):
    (one,) = found(**LITTLE[said])
    assert (one.code, one.level) == ("LL359", Level.WARNING)
    assert said in one.problem
    assert one.cure


FINE = {
    "half dropout": {"network_dropout": 0.5, "network_args": ["rank_dropout=0.1"]},
    "alpha of 1 for 128": {"network_dim": 128, "network_alpha": 1},
    "alpha not given, rank 200": {"network_dim": 200, "network_alpha": None},
    "alpha 8 times": {"network_alpha": 128},
    "half of the captions": {"caption_dropout_rate": 0.9, "caption_dropout_every_n_epochs": 2},
    "one part at rest": {"unet_lr": 1e-4, "text_encoder_lr": 0},
    "limits": {"scale_weight_norms": 1, "max_grad_norm": 1},
    "no limits": {"scale_weight_norms": 0, "max_grad_norm": 0},
    "masks": {"masked_loss": True, "alpha_mask": True},
    "v": {"zero_terminal_snr": True, "v_parameterization": True},
    "finds its rate": {"optimizer_type": "Adafactor", "learning_rate": None},
    "slow": {"unet_lr": 3e-6},
}


@pytest.mark.parametrize("name", FINE)
def test_what_trains_well_is_not_spoken_of(name: str):
    assert found(**FINE[name]) == []


LATE = {
    "milestones": {"lr_scheduler_args": ["milestones=[30,59]"]},
    "lr_end": {"lr_scheduler_args": ["lr_end=1e-7"]},
    "Prodigy needs the same learning rate": {"optimizer_type": "Prodigy", "unet_lr": 1.0,
        "text_encoder_lr": 0.5, "learning_rate": 1.0},
    "max_timestep is above 1000": {"max_timestep": 1500},
    "clip_skip is more": {"clip_skip": 20},
    "dim_from_weights": {"dim_from_weights": True},
    "needs relative_step": {"lr_scheduler": "adafactor", "optimizer_type": "Adafactor",
        "optimizer_args": ["relative_step=False"]},
}  # fmt: skip


@pytest.mark.parametrize("said", LATE)
def test_what_fails_at_the_first_step_is_an_error(said: str):
    (one,) = found(**LATE[said])
    assert (one.code, one.level) == ("LL357", Level.ERROR)
    assert said in one.problem


@pytest.mark.parametrize(
    "changes",
    [
        {"lr_scheduler": "polynomial", "lr_scheduler_args": ["lr_end=1e-7"]},
        {"lr_scheduler_type": "MultiStepLR", "lr_scheduler_args": ["milestones=[3]"]},
        {"optimizer_type": "AdamWScheduleFree", "lr_scheduler_args": ["milestones=[3]"]},
        {"optimizer_type": "Prodigy", "learning_rate": 1.0, "text_encoder_lr": 0.0},
        {"optimizer_type": "Prodigy", "learning_rate": 1.0, "text_encoder_lr": 0.5,
         "network_train_unet_only": True},
        {"max_timestep": 1000, "clip_skip": 12},
        {"clip_skip": 23, "v2": True},
        {"dim_from_weights": True, "network_weights": "x.safetensors"},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_first_step_takes_is_fine(changes: dict[str, Any]):
    assert found(**changes) == []


def test_timesteps_of_flux_have_no_table():
    assert found("flux_train_network", max_timestep=1500, network_module="networks.lora_flux") == []


PLAN = StepPlan(100, 100, 100, 1, (), ())


@pytest.mark.parametrize(
    ("given", "warns"),
    [(99, 0), (100, 1), (1.0, 1), (0.9, 0), (0, 0), (None, 0), (True, 0)],
)
def test_a_warmup_as_long_as_the_training(given: Any, warns: int):
    assert len(list(check_warmup({"lr_warmup_steps": given}, PLAN))) == warns


def test_a_warmup_of_unknown_steps_is_not_judged():
    assert list(check_warmup({"lr_warmup_steps": 9000}, None)) == []


@pytest.mark.parametrize(
    ("asked", "highest", "alive", "count"),
    [(1e-4, 5e-5, 10, 0), (1e-4, 4.9e-5, 10, 1), (1e-4, 2e-3, 10, 0), (1e-4, 2.1e-3, 10, 1),
     (1e-4, 1e-4, 5, 0), (1e-4, 1e-4, 4, 1), (1e-4, 4e-5, 4, 2), (0.0, 0.0, 0, 1)],
)  # fmt: skip
def test_the_course_of_a_rate(asked: float, highest: float, alive: int, count: int):
    row = {"asked": asked, "highest": highest, "alive": alive, "steps": 10}
    assert len(list(check_course([row]))) == count


def test_a_part_at_rest_beside_one_that_trains_is_fine():
    rest = {"asked": 0.0, "highest": 0.0, "alive": 0, "steps": 10}
    trains = {"asked": 1e-4, "highest": 1e-4, "alive": 10, "steps": 10}
    assert list(check_course([rest, trains])) == []
    assert list(check_course([])) == []
