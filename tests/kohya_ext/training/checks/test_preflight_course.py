"""What preflight does with what its checks found, and what it leaves to its caller."""

from __future__ import annotations

import json

import pytest
from training_desk import Desk, codes, fake_scripts

from kohya_ext.project import ToolError
from kohya_ext.training.checks.ask_trainer import TrainerAnswer
from kohya_ext.training.checks.findings import Level, error, warning
from kohya_ext.training.checks.machine import Gpu
from kohya_ext.training.checks.preflight import run_preflight
from kohya_ext.training.config.arguments import TrainerCall


def test_the_first_of_several_errors_is_raised(desk: Desk):
    desk.toml |= {"save_every_n_epochs": 0, "vae": "missing.pt"}
    preflight = desk.check()
    assert codes(preflight) == ["LL376", "LL381"]
    with pytest.raises(ToolError, match="save_every_n_epochs"):
        preflight.require_ok()


@pytest.mark.parametrize(("pictures", "is_reported"), [(1, True), (49, True), (50, False)])
def test_few_pictures_are_not_for_validation(desk: Desk, pictures: int, is_reported: bool):
    desk.empty()
    for number in range(pictures):
        desk.picture(f"1_fox/{number}.png", caption=f"a fox {number}")
    desk.toml |= {"validation_split": 0.5, "seed": 1}
    assert ("LL359" in codes(desk.check(), Level.WARNING)) is is_reported


def test_pictures_of_a_metadata_file_are_looked_at_where_they_are(desk: Desk):
    broken, gone = desk.images / "5_fox" / "a.png", desk.images / "gone.png"
    broken.write_bytes(broken.read_bytes()[:60])
    rows = {str(one): {"caption": "a fox", "image_size": [64, 64]} for one in (broken, gone)}
    path = desk.root / "meta.json"
    path.write_text(json.dumps(rows), "utf-8")
    desk.toml["in_json"] = str(path)
    (found,) = desk.check().errors
    assert "a.png" in found.problem
    assert "gone.png" not in found.problem


def test_nothing_is_allowed_that_the_caller_does_not_allow(desk: Desk):
    (desk.model / "fox.safetensors").write_bytes(b"")
    card = Gpu("card", 8 << 30, 8 << 30)
    trainer = fake_scripts(desk.root)
    call = TrainerCall(desk.script, desk.toml, (), (), "")
    found = run_preflight(call, trainer, gpus=lambda: (card,), ask=lambda *_, **__: TrainerAnswer())
    assert {"LL385", "LL387"} <= {one.code for one in found.errors}
    desk.trainer, desk.gpus, desk.resuming, desk.may_be_freed = trainer, (card,), True, True
    assert not {"LL385", "LL387"} & set(codes(desk.check()))


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a trainer whose Python has all packages, so that it is asked."""
    monkeypatch.setattr("kohya_ext.training.checks.preflight.check_environment", lambda *_: [])
    desk.trainer, desk.gpus = fake_scripts(desk.root), (Gpu("card", 8 << 30, 0),)
    return desk


def test_what_we_refuse_is_not_said_again_in_the_words_of_the_trainer(asked: Desk):
    theirs = {part: error("LL355", f"{part} failed", "Correct.") for part in ("scheduler", "", "x")}
    asked.answer = TrainerAnswer(tuple(theirs.items()))
    assert set(asked.check().errors) == set(theirs.values())
    asked.toml |= {"lr_scheduler": "cosine", "lr_scheduler_args": ["milestones=3"]}
    ours, *others = asked.check().errors
    assert "milestones" in ours.problem
    assert others == [theirs[""], theirs["x"]]


def test_that_the_trainer_could_not_be_asked_is_said_beside_our_own_errors(asked: Desk):
    """What it says of no part of its own is left out for no error of ours that has none, either."""
    not_asked = warning("LL358", "The trial run in the trainer was not possible", "Check.")
    asked.answer = TrainerAnswer((("", not_asked),))
    asked.toml["learning_rate"] = 0.9
    preflight = asked.check()
    assert codes(preflight) == ["LL359"]
    assert not_asked in preflight.warnings
