"""The trainer is asked with its own code: what it refuses is a finding, before any model loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from little_trainer import make_little_trainer
from PIL import Image

from kohya_ext.training.checks.ask_trainer import TrainerAnswer, ask_trainer
from kohya_ext.training.checks.findings import Level
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.run.events import in_english
from kohya_ext.training.run.failures import cure_of
from kohya_ext.training.trainer import Trainer, simulated_trainer


class Desk:
    """A little trainer, four pictures, and the call that would train them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trainer = make_little_trainer(root / "sd-scripts")
        self.images = root / "images" / "5_fox"
        self.images.mkdir(parents=True)
        for name in "abcd":
            Image.new("RGB", (64, 64)).save(self.images / f"{name}.png")
        self.toml: dict[str, Any] = {
            "train_data_dir": str(root / "images"),
            "network_module": "networks.lora",
            "train_batch_size": 3,
            "max_train_epochs": 5,
            "learning_rate": 1e-4,
        }

    def ask(self, *, trainer: Trainer | None = None, **changes: Any) -> TrainerAnswer:
        processes = changes.pop("processes", 1)
        seconds = changes.pop("seconds", 60.0)
        additional = changes.pop("additional", ())
        call = TrainerCall("train_network", {**self.toml, **changes}, (), additional, "")
        return ask_trainer(call, trainer or self.trainer, processes, seconds=seconds)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_good_config_gives_the_trainers_own_steps(desk: Desk):
    answer = desk.ask()
    assert answer.findings == ()
    assert answer.figures is not None
    assert (answer.figures.batches_per_epoch, answer.figures.epochs) == (2, 5)
    assert answer.figures.steps == 10


def test_steps_of_two_processes_are_the_trainers(desk: Desk):
    answer = desk.ask(processes=2)
    assert answer.figures is not None
    assert (answer.figures.batches_per_epoch, answer.figures.steps) == (1, 5)


@pytest.mark.parametrize(
    ("changes", "said", "cure"),
    [
        ({"adaptive_noise_scale": 0.1, "noise_offset": 0.0}, "adaptive_noise_scale requires",
         "Set noise_offset"),
        ({"bucket_reso_steps": 16}, "bucket_reso_steps is 16", "bucket_reso_steps to 64"),
        ({"optimizer_args": ["weight_decays=0.1"]}, "unexpected keyword argument 'weight_decays'",
         "Correct its name"),
        ({"optimizer_args": ["weight_decay"]}, "dictionary update sequence", "of the trainer"),
        ({"lr_scheduler": "constant", "lr_warmup_steps": 10}, "does not require",
         "Set the warmup to 0"),
        ({"network_args": ["conv_dim=100"]}, "conv_dim is too large", "of the trainer"),
        ({"full_bf16": True, "mixed_precision": "fp16"}, "full_bf16 requires", "mixed_precision"),
    ],
    ids=["arguments", "settings", "optimizer", "split", "scheduler", "network", "precision"],
)  # fmt: skip
def test_what_the_trainer_refuses_is_found(desk: Desk, changes, said: str, cure: str):
    (found,) = desk.ask(**changes).findings
    assert (found.code, found.level) == ("LL357", Level.ERROR)
    assert said in found.problem
    assert cure in found.cure
    assert not any("\u3040" <= letter <= "\u9fff" for letter in str(found))


def test_two_mistakes_are_found_at_once(desk: Desk):
    answer = desk.ask(bucket_reso_steps=16, optimizer_args=["foo=1"])
    assert [part for part, _ in answer.said] == ["settings", "optimizer"]


def test_optimizer_and_scheduler_are_asked_without_data(desk: Desk):
    for picture in desk.images.iterdir():
        picture.unlink()
    said = [one.problem for one in desk.ask(lr_scheduler="constant", lr_warmup_steps=5).findings]
    assert len(said) == 2
    assert "No data found" in said[0]
    assert "num_warmup_steps" in said[1]


def test_a_misspelt_network_argument_is_found(desk: Desk):
    (found,) = desk.ask(network_args=["conv_dims=8"]).findings
    assert found.code == "LL359"
    assert "conv_dims" in found.problem
    assert found.cure == "Did you mean conv_dim?"


def test_an_argument_that_an_optimizer_swallows_is_found(desk: Desk):
    answer = desk.ask(optimizer_type="Prodigy", optimizer_args=["d_coeff=2"])
    assert [one.code for one in answer.findings] == ["LL359"]
    assert desk.ask(optimizer_type="Prodigy", optimizer_args=["d_coef=2"]).findings == ()


@pytest.mark.parametrize(
    ("scheduler", "level", "said"),
    [
        ("nothing", Level.ERROR, "is 0 in each of 10 steps"),
        ("dies", Level.WARNING, "in 2 of 10 steps"),
        ("rises", Level.WARNING, "up to 0.0901, while 0.0001 is asked"),
        ("warms", Level.WARNING, "never brings the learning rate above 2.25e-06 of the 0.0001"),
    ],
)
def test_a_learning_rate_that_goes_astray(desk: Desk, scheduler: str, level: Level, said: str):
    (found,) = desk.ask(lr_scheduler=scheduler).findings
    assert (found.code, found.level) == ("LL359", level)
    assert said in found.problem


def test_a_rate_that_falls_to_the_end_is_fine(desk: Desk):
    assert desk.ask(lr_scheduler="cosine").findings == ()


def test_a_scheduler_that_runs_out_is_found(desk: Desk):
    (found,) = desk.ask(lr_scheduler="ends").findings
    assert (found.code, found.level) == ("LL357", Level.ERROR)
    assert "while it trains: at step 3 of 10" in found.problem


def test_what_fails_at_the_first_step_is_found(desk: Desk):
    changes = {"optimizer_type": "Prodigy", "unet_lr": 1.0, "network_args": ["texts=1"]}
    (found,) = desk.ask(**changes).findings
    assert found.code == "LL357"
    assert "at its first step" in found.problem


def test_a_step_that_needs_a_card_is_not_judged(desk: Desk):
    assert desk.ask(optimizer_type="OnCards").findings == ()


def test_a_network_with_nothing_to_train_is_found(desk: Desk):
    (found,) = desk.ask(unet_lr=0.0).findings
    assert "empty parameter list" in found.problem
    assert "LoRA modules" in found.cure


def test_the_trainers_own_warning_is_passed_on(desk: Desk):
    (found,) = desk.ask(lr_scheduler="polynomial").findings
    assert (found.code, found.level) == ("LL330", Level.WARNING)
    assert "polynomial is odd" in found.problem


def test_what_fails_before_the_scheduler_is_one_finding(desk: Desk):
    script = desk.trainer.folder / "train_network.py"
    text = script.read_text(encoding="utf-8")
    loader = "loader = torch.utils.data.DataLoader(group)"
    fails = 'raise ValueError("persistent_workers option needs num_workers > 0")'
    script.write_text(text.replace(loader, fails), encoding="utf-8")
    (found,) = desk.ask().findings
    assert "when it prepares the pictures" in found.problem


def test_an_unknown_option_is_the_parsers_error(desk: Desk):
    found = desk.ask(additional=("--no_such_option=1",)).findings
    assert "unrecognized arguments: --no_such_option=1" in found[0].problem


def test_nothing_is_written_by_a_question(desk: Desk):
    target = desk.root / "written.txt"
    before = sorted(desk.root.rglob("*"))
    (found,) = desk.ask(write_here=str(target)).findings
    assert (found.code, found.level) == ("LL358", Level.WARNING)
    assert sorted(desk.root.rglob("*")) == before


def test_a_question_that_hangs_is_ended(desk: Desk):
    networks = desk.trainer.folder / "networks" / "lora.py"
    networks.write_text("import threading\nthreading.Event().wait()\n", encoding="utf-8")
    (found,) = desk.ask(seconds=2.0).findings
    assert (found.code, found.level) == ("LL358", Level.WARNING)
    assert "not finish within 2 s" in found.problem


def test_a_launcher_of_somebodys_own_is_not_run(desk: Desk):
    script = desk.trainer.folder / "train_network.py"
    script.write_text("raise SystemExit('it trains at once')\n", encoding="utf-8")
    (found,) = desk.ask().findings
    assert found.code == "LL358"
    assert "not a script of sd-scripts" in found.problem


def test_a_python_that_is_gone_cannot_be_asked(desk: Desk):
    gone = Trainer(desk.trainer.folder, desk.root / "python", desk.trainer.origin)
    (found,) = desk.ask(trainer=gone).findings
    assert (found.code, found.level) == ("LL358", Level.WARNING)


def test_the_simulator_is_not_asked(desk: Desk):
    assert desk.ask(trainer=simulated_trainer()) == TrainerAnswer()


def test_the_second_language_is_left_out():
    assert in_english("do not cache / \u30ad\u30e3\u30c3\u30b7\u30e5") == "do not cache"
    assert in_english("it is 1. divide by 32. x\u304c1\u3067\u3059") == "it is 1. divide by 32"
    assert in_english("a / b") == "a / b"


def test_an_unknown_error_has_no_cure_of_ours():
    assert cure_of("SomethingElse: odd") == ""
