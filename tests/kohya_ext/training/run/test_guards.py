"""The edges of what guards a night's training: each would survive a small wrong change unseen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kohya_ext.project import DamagedError, Project
from kohya_ext.training.dataset.folders import caption_of
from kohya_ext.training.run.launch import environment_of
from kohya_ext.training.run.record import (
    Expected,
    RunOutcome,
    find_process,
    read_ask,
    read_facts,
    read_plan,
    read_result,
)
from kohya_ext.training.run.verify import judge, verify
from kohya_ext.training.trainer import simulated_trainer


def ended(tmp_path: Path, **changes: Any) -> Any:
    """What was followed of a run that said nothing, and of which no file was expected."""
    plan = SimpleNamespace(
        expected=(), output_dir=tmp_path, folder=tmp_path, suffix=".ckpt", has_metadata=False
    )
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    facts = {
        "plan": plan, "announced": None, "done_steps": 0, "step": None, "last_loss": None,
        "no_data": False, "first_nan": None, "errors": (),
    }  # fmt: skip
    return SimpleNamespace(**(facts | changes))


def test_a_run_without_any_file_is_not_finished(tmp_path: Path):
    result = judge(ended(tmp_path), None, 0)
    assert result.outcome is not RunOutcome.FINISHED
    assert result.code == "LL393"


@pytest.mark.parametrize(("first_nan", "good"), [(None, 1), (11, 1), (10, 0), (9, 0)])
def test_a_file_counts_when_it_was_saved_before_the_first_nan(
    tmp_path: Path, first_nan: int | None, good: int
):
    follow = ended(tmp_path, first_nan=first_nan)
    follow.plan.expected = (Expected("fox", 1, 10),)
    (tmp_path / "fox.ckpt").write_bytes(b"x")
    assert len(verify(follow)[0]) == good


def test_the_trainer_writes_its_last_words_at_once(project: Project):
    job = SimpleNamespace(call=SimpleNamespace(launch=()))
    environment = dict(environment_of(job, simulated_trainer()))
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["PYTHONUTF8"] == "1"


@pytest.mark.parametrize(
    ("stem", "caption", "is_found"),
    [
        ("a_b_c_d_e", "a.txt", True),  # four parts less
        ("x_a_b_c_d", "x.txt", True),
        ("x_y_a_b_c_d", "x_y.txt", True),
        ("a_b_c_d", "a.txt", False),  # of four parts nothing would be left
        ("a_b_c_d", ".txt", False),
        ("a_b_c_d", "a_b_c_d.txt", True),
    ],
)
def test_a_caption_of_a_shorter_stem_is_the_trainers_own_rule(
    tmp_path: Path, stem: str, caption: str, is_found: bool
):
    picture = tmp_path / f"{stem}.png"
    (tmp_path / caption).write_text("x", encoding="utf-8")
    found = caption_of(picture, ".txt")
    assert (found is not None) is is_found


@pytest.mark.parametrize("content", [b"x", b"null", b"[]", b'"x"', b"7", b"[" * 50_000, b"\xff"])
@pytest.mark.parametrize("name", ["plan", "process", "request", "result"])
def test_a_damaged_record_of_a_run_is_one_sentence(tmp_path: Path, name: str, content: bytes):
    (tmp_path / f"{name}.json").write_bytes(content)
    read = {
        "plan": read_plan,
        "process": find_process,
        "request": read_ask,
        "result": read_result,
    }[name]
    with pytest.raises(DamagedError, match="LL344"):
        read(tmp_path)
    with pytest.raises(DamagedError, match="LL344"):
        read_facts(tmp_path / f"{name}.json")
