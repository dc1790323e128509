"""The edges of what guards a night's training: each would survive a small wrong change unseen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kohya_ext.project import DamagedError, Project
from kohya_ext.training.dataset.folders import caption_of
from kohya_ext.training.run.launch import environment_of
from kohya_ext.training.run.record import (
    find_process,
    read_ask,
    read_facts,
    read_plan,
    read_result,
)
from kohya_ext.training.trainer import simulated_trainer


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
