"""The verdict on a run: what its files, its words and its exit code say, at every edge."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.run.record import Expected, Result, RunOutcome
from kohya_ext.training.run.verify import judge, verify

FOX = Expected("fox", 2, 20)
MEMORY = "RuntimeError: CUDA out of memory"
TRACEBACK = f'Traceback (most recent call last):\n  File "train.py"\n{MEMORY}\n'


def followed(
    folder: Path,
    *expected: Expected,
    suffix: str = ".ckpt",
    saves_states: bool = False,
    **changes: Any,
) -> Any:
    """A run that ended without a word, of which `expected` files should be there."""
    plan = SimpleNamespace(
        expected=expected, output_dir=folder, folder=folder, suffix=suffix, name="fox",
        command=("python", "train.py"), steps_per_epoch=10, saves_states=saves_states,
        has_metadata=True, stderr=folder / "stderr.txt", stdout=folder / "stdout.txt",
    )  # fmt: skip
    (folder / "plan.json").write_text("{}", encoding="utf-8")
    facts = {
        "plan": plan, "announced": None, "done_steps": 0, "done_before": 0, "step": None,
        "last_loss": None, "no_data": False, "first_nan": None, "errors": (),
    }  # fmt: skip
    return SimpleNamespace(**(facts | changes))


def save(folder: Path, name: str = "fox.ckpt", *, age: float = 0.0) -> None:
    """Leave a file that is as many seconds older than the run's plan."""
    (folder / name).write_bytes(b"x")
    began = (folder / "plan.json").stat().st_mtime
    os.utime(folder / name, (began - age, began - age))


def save_lora(folder: Path, epoch: str, steps: str) -> None:
    half = Tensor("F16", (1,), b"\0\0")
    write_lora(folder / "fox.safetensors", {"a": half}, {"ss_epoch": epoch, "ss_steps": steps})


def save_state(folder: Path, epoch: int) -> None:
    state = folder / f"fox-{epoch:06d}-state"
    state.mkdir()
    for name in ("optimizer.bin", "scheduler.bin"):
        with zipfile.ZipFile(state / name, "w") as archive:
            archive.writestr("data", "x")
    for name in ("random_states_0.pkl", "pytorch_model.bin"):
        (state / name).write_bytes(b"x")


def problem_of(folder: Path, suffix: str = ".ckpt") -> str:
    (problem,) = verify(followed(folder, FOX, suffix=suffix))[1]
    return problem


def failed(folder: Path, code: int | None, *, unseen: bool = False, **changes: Any) -> Result:
    return judge(followed(folder, FOX, **changes), None, code, unseen=unseen)


def test_pictures_that_were_not_found_come_before_all_else(tmp_path: Path):
    run = followed(
        tmp_path, no_data=True, first_nan=3, errors=("begun", "more", "no data " + 300 * "x")
    )
    result = judge(run, None, 0)
    assert (result.outcome, result.code) == (RunOutcome.NO_DATA, "LL392")
    words = "The trainer found no pictures to train on: no data " + 192 * "x"
    assert result.problem == words


def test_a_run_without_any_file_is_not_finished(tmp_path: Path):
    result = judge(followed(tmp_path), None, 0)
    assert (result.outcome, result.code) == (RunOutcome.UNVERIFIED, "LL393")


def test_one_good_file_of_two_is_not_finished(tmp_path: Path):
    run = followed(tmp_path, Expected("fox-000001", 1, 10), FOX)
    save(tmp_path)
    result = judge(run, None, 0)
    assert (result.outcome, result.files) == (RunOutcome.UNVERIFIED, (FOX,))


@pytest.mark.parametrize(("first_nan", "good"), [(None, 1), (21, 1), (20, 0), (19, 0)])
def test_a_file_counts_when_it_was_saved_before_the_first_nan(
    tmp_path: Path, first_nan: int | None, good: int
):
    run = followed(tmp_path, FOX, first_nan=first_nan)
    save(tmp_path)
    assert len(verify(run)[0]) == good


def test_a_nan_is_counted_from_the_first_epoch_on(tmp_path: Path):
    result = judge(followed(tmp_path, first_nan=7, done_before=100), None, 0)
    assert (result.outcome, result.code) == (RunOutcome.NAN, "LL391")
    assert result.problem.startswith("The loss became NaN at step 107; ")
    assert result.problem.endswith("Epoch files from before: none.")


@pytest.mark.parametrize(("age", "is_good"), [(0.0, True), (2.0, True), (2.5, False), (-9.0, True)])
def test_a_file_is_of_this_run_when_it_is_no_older(tmp_path: Path, age: float, is_good: bool):
    run = followed(tmp_path, FOX)
    os.utime(tmp_path / "plan.json", (1_000_000.0, 1_000_000.0))
    save(tmp_path, age=age)
    good, problems = verify(run)
    assert good == ((FOX,) if is_good else ())
    assert problems == (() if is_good else ("fox.ckpt is older than this run",))


@pytest.mark.parametrize(("said", "is_good"), [(-600.0, True), (-3600.0, True), (60.0, False)])
def test_a_clock_that_was_set_back_makes_no_file_old(tmp_path: Path, said: float, is_good: bool):
    """`said` is when the trainer wrote its last line, in seconds after the run's plan."""
    run = followed(tmp_path, FOX)
    save(tmp_path, age=900.0)
    run.plan.stdout.write_text("steps: 100%", encoding="utf-8")
    began = (tmp_path / "plan.json").stat().st_mtime
    os.utime(run.plan.stdout, (began + said, began + said))
    assert verify(run)[0] == ((FOX,) if is_good else ())


def test_a_missing_and_an_empty_file_are_named(tmp_path: Path):
    assert problem_of(tmp_path) == "fox.ckpt is missing"
    save(tmp_path)
    (tmp_path / "fox.ckpt").write_bytes(b"")
    assert problem_of(tmp_path) == "fox.ckpt is empty"


@pytest.mark.parametrize(
    ("epoch", "steps"), [("1", "20"), ("3", "20"), ("2", "19"), ("2", "21"), ("2", "2")]
)
def test_a_header_of_another_epoch_or_step_is_no_file_of_ours(
    tmp_path: Path, epoch: str, steps: str
):
    save_lora(tmp_path, epoch, steps)
    assert problem_of(tmp_path, ".safetensors") == (
        f"fox.safetensors says epoch {epoch}, step {steps}, but epoch 2, step 20 was expected"
    )


def test_a_header_as_expected_is_good(tmp_path: Path):
    save_lora(tmp_path, "2", "20")
    assert verify(followed(tmp_path, FOX, suffix=".safetensors")) == ((FOX,), ())


def test_a_damaged_file_says_so(tmp_path: Path):
    (tmp_path / "fox.safetensors").write_bytes(b"x")
    assert "fox.safetensors" in problem_of(tmp_path, ".safetensors")


def test_a_run_without_metadata_is_judged_by_its_files_alone(tmp_path: Path):
    save_lora(tmp_path, "9", "9")
    run = followed(tmp_path, FOX, suffix=".safetensors")
    run.plan.has_metadata = False
    assert verify(run) == ((FOX,), ())


def announced(folder: Path, *expected: Expected) -> Any:
    said = SimpleNamespace(steps=20, epochs=2, steps_per_epoch=10)
    run = followed(folder, *expected, announced=said)
    run.plan.epochs_done, run.plan.save_every, run.plan.keep_last = 0, 1, 0
    return run


def test_without_a_forecast_the_trainers_own_figures_count(tmp_path: Path):
    assert verify(announced(tmp_path))[1] == ("fox-000001.ckpt is missing", "fox.ckpt is missing")
    assert verify(announced(tmp_path, FOX))[1] == ("fox.ckpt is missing",)
    assert judge(announced(tmp_path), None, 0).trainer_steps == 20


def test_a_finished_run_says_how_far_it_came(tmp_path: Path):
    run = followed(tmp_path, FOX, step=SimpleNamespace(total=20), done_steps=20)
    save(tmp_path)
    result = judge(run, None, 0)
    assert (result.outcome, result.files, result.last_step) == (RunOutcome.FINISHED, (FOX,), 20)


def test_three_missing_files_are_named_of_many(tmp_path: Path):
    wanted = [Expected(f"fox-{number}", number, number) for number in range(1, 5)]
    result = judge(followed(tmp_path, *wanted), None, 0)
    assert result.outcome is RunOutcome.UNVERIFIED
    assert "fox-3.ckpt is missing." in result.problem
    assert "fox-4" not in result.problem


@pytest.mark.parametrize(
    ("code", "unseen", "words"),
    [
        (1, False, "with exit code 1"),
        (-9, False, "by signal 9"),
        (-1, False, "by signal 1"),
        (None, True, "while nobody watched"),
    ],
)
def test_an_ended_trainer_says_how(tmp_path: Path, code: int | None, unseen: bool, words: str):
    result = failed(tmp_path, code, unseen=unseen, step=SimpleNamespace(total=20), done_steps=5)
    assert result.problem == f"The trainer was ended {words} at step 5 of 20."
    assert result.outcome is (RunOutcome.LOST if unseen else RunOutcome.FAILED)
    assert (result.code, result.last_step) == ("LL390", 5)


def test_a_trainer_is_watched_unless_it_is_said_otherwise(tmp_path: Path):
    result = judge(followed(tmp_path, FOX), None, 1)
    assert (result.outcome, result.last_step) == (RunOutcome.FAILED, 0)


def test_a_run_that_nobody_watched_is_finished_when_its_files_are_good(tmp_path: Path):
    run = followed(tmp_path, FOX)
    save(tmp_path)
    assert judge(run, None, None, unseen=True).outcome is RunOutcome.FINISHED


def test_the_trainers_own_error_is_quoted(tmp_path: Path):
    (tmp_path / "stderr.txt").write_text(TRACEBACK, encoding="utf-8")
    result = failed(tmp_path, 1)
    assert (result.outcome, result.code) == (RunOutcome.FAILED, "LL390")
    assert result.problem == f"The trainer failed: {MEMORY}."


@pytest.mark.parametrize(("before", "is_read"), [(False, True), (True, False)])
def test_the_end_of_a_long_error_text_is_read(tmp_path: Path, before: bool, is_read: bool):
    talk = "talk\n" * 100_000
    text = f"{TRACEBACK}{talk}" if before else f"{talk}{TRACEBACK}"
    (tmp_path / "stderr.txt").write_text(text, encoding="utf-8")
    assert (MEMORY in failed(tmp_path, 1).problem) is is_read


def test_what_remains_names_files_and_the_newest_state(tmp_path: Path):
    run = followed(tmp_path, FOX)
    cure = judge(run, RunOutcome.STOPPED, None).cure
    assert cure == (
        "Complete epoch files: none. No state was saved to resume from (--save-states saves them)."
    )
    cure = judge(followed(tmp_path, FOX, saves_states=True), RunOutcome.STOPPED, None).cure
    assert cure.endswith("No state was saved to resume from (each comes with an epoch file).")
    save(tmp_path)
    for epoch in (1, 2, 3):
        save_state(tmp_path, epoch)
    result = judge(run, RunOutcome.STOPPED, 1)
    assert result.outcome is RunOutcome.STOPPED
    assert result.cure == "Complete epoch files: fox. Continue from epoch 3 with --resume."


@pytest.mark.parametrize(
    ("processes", "said", "is_alone"),
    [(2, 20, True), (2, 19, True), (2, 18, False), (2, 21, False), (2, 10, False), (1, 20, False),
     (3, 28, True), (3, 27, False)],
)  # fmt: skip
def test_processes_that_trained_alone_are_named(
    tmp_path: Path, processes: int, said: int, is_alone: bool
):
    run = announced(tmp_path, FOX)
    run.announced = SimpleNamespace(epochs=1, steps=said, steps_per_epoch=said)
    run.plan.command = ("-m", "accelerate.commands.launch", "--num_processes", str(processes), "x")
    cure = judge(run, None, 0).cure
    assert cure.startswith("Each process has trained alone") is is_alone
    assert cure.endswith("do not use the epoch files.")
