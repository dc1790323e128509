"""The trainer, its packages and the graphics card are looked at before a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_desk import HALF, Desk, codes, fake_scripts

from kohya_ext.training.checks.ask_trainer import TrainerAnswer
from kohya_ext.training.checks.findings import Finding, Level, error
from kohya_ext.training.checks.machine import Gpu, find_gpus, needed_packages
from kohya_ext.training.trainer import Environment, Trainer

CARD = Gpu("Card", 8 << 30, 0)


def test_a_missing_package_is_named_with_its_cure(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.gpus = (CARD,)
    desk.toml["optimizer_type"] = "no_such_optimizer.Best"
    errors = {one.problem: one for one in desk.check().errors}
    (found,) = (one for problem, one in errors.items() if "no_such_optimizer" in problem)
    assert found.code == "LL353"
    assert "-m pip install no-such-optimizer" in found.cure


@pytest.mark.parametrize(
    ("values", "package"),
    [
        ({"optimizer_type": "AdamW8bit"}, "bitsandbytes"),
        ({"optimizer_type": "PagedLion8bit"}, "bitsandbytes"),
        ({"optimizer_type": "Prodigy"}, "prodigyopt"),
        ({"optimizer_type": "DAdaptAdam"}, "dadaptation"),
        ({"network_module": "lycoris.kohya"}, "lycoris"),
        ({"xformers": True}, "xformers"),
        ({"logging_dir": "log"}, "tensorboard"),
        ({"log_with": "wandb"}, "wandb"),
    ],
    ids=str,
)
def test_only_what_is_chosen_is_needed(values: dict[str, Any], package: str):
    assert package in needed_packages(values)
    assert package not in needed_packages({"optimizer_type": "AdamW"})


def test_what_the_trainer_says_is_a_finding(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def check(*words: object, **options: object) -> list[Finding]:
        return list(missing)

    missing: list[Finding] = []
    monkeypatch.setattr("kohya_ext.training.checks.preflight.check_environment", check)
    desk.trainer, desk.gpus = fake_scripts(desk.root), (CARD,)
    refused = error("LL357", "The trainer refuses this config: x.", "Change it.")
    desk.answer = TrainerAnswer((("dataset", refused),))
    assert desk.check().findings == (refused,)
    (desk.images / "5_fox" / "a.txt").write_text("", encoding="utf-8")
    assert refused not in desk.check().findings  # the empty caption is the reason
    (desk.images / "5_fox" / "a.txt").write_text("a fox", encoding="utf-8")
    missing.append(error("LL353", "It has no torch.", "Install it."))
    assert desk.check().findings == tuple(missing)  # it cannot be asked then


def test_a_pytorch_for_the_processor_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def probe(trainer: Trainer, packages: tuple[str, ...]) -> Environment:
        found = {**dict.fromkeys(packages, "1.0"), "torch": "2.13.0+cpu"}
        return Environment("3.11.7", found, "v0.10.1")

    monkeypatch.setattr("kohya_ext.training.checks.machine.probe", probe)
    monkeypatch.setattr("kohya_ext.training.checks.machine.import_problems", lambda *_, **__: {})
    desk.trainer, desk.gpus = fake_scripts(desk.root), (CARD,)
    (finding,) = desk.check().findings
    assert (finding.code, "+cpu" in finding.problem) == ("LL387", True)


def test_an_older_trainer_lacks_the_script(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.script = "sdxl_train_network"
    desk.weights("base.safetensors", {"conditioner.x": HALF})
    assert "LL351" in codes(desk.check())


def test_an_older_trainer_lacks_the_network(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.toml["network_module"] = "networks.loha"
    assert "LL378" in codes(desk.check())


@pytest.mark.parametrize(
    ("gpus", "level"),
    [
        ((), Level.WARNING),
        ((replace(CARD, used_bytes=7 << 30),), Level.ERROR),
        ((replace(CARD, used_bytes=3 << 30),), Level.WARNING),
    ],
    ids=["no card", "full card", "card in use"],
)
def test_the_graphics_card_is_looked_at(desk: Desk, gpus: tuple[Gpu, ...], level: Level):
    desk.trainer, desk.gpus = fake_scripts(desk.root), gpus
    assert "LL387" in codes(desk.check(), level)


def test_a_full_card_that_will_be_freed_is_no_error(desk: Desk):
    desk.trainer, desk.gpus = fake_scripts(desk.root), (replace(CARD, used_bytes=7 << 30),)
    desk.may_be_freed = True
    assert "LL387" not in codes(desk.check())
    assert "LL387" in codes(desk.check(), Level.WARNING)


def test_the_card_that_is_meant_is_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    desk.trainer, desk.gpus = fake_scripts(desk.root), (replace(CARD, used_bytes=7 << 30), CARD)
    desk.launch = ("--gpu_ids", "1")
    assert "LL387" not in codes(desk.check())
    desk.launch = ("--gpu_ids", "2")
    (error,) = (one for one in desk.check().errors if one.code == "LL387")
    assert "no GPU 2" in error.problem


def test_a_machine_without_the_drivers_tool_has_no_card(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert find_gpus() == ()


def test_a_python_that_gives_no_answer(desk: Desk, tmp_path: Path):
    desk.trainer = replace(fake_scripts(desk.root), python=tmp_path / "no-python")
    assert "LL352" in codes(desk.check())
