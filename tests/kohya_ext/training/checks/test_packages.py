"""Packages are imported for real: what is installed and broken is found, what is fine only once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kohya_ext.training.checks.findings import Level
from kohya_ext.training.checks.machine import ALWAYS_NEEDED, check_environment
from kohya_ext.training.checks.packages import import_problems
from kohya_ext.training.trainer import Environment, Trainer, TrainerSource, probe

VALUES = {"optimizer_type": "AdamW8bit", "network_module": "networks.lora"}


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    """A checkout whose Python finds every needed package beside it, all of them whole."""
    folder = tmp_path / "sd-scripts"
    for name in (*ALWAYS_NEEDED, "bitsandbytes"):
        write(folder, name, "")
    write(folder, "bitsandbytes", "", "cextension")
    return Trainer(folder, Path(sys.executable), TrainerSource.PATH)


def write(folder: Path, name: str, text: str, module: str = "__init__") -> None:
    path = folder / name / f"{module}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def look(trainer: Trainer, *names: str, seconds: float = 60.0) -> dict[str, str]:
    return dict(import_problems(trainer, probe(trainer, names), names, seconds=seconds))


def test_a_broken_package_is_named_with_its_own_error(trainer: Trainer):
    write(trainer.folder, "bitsandbytes", "raise ImportError('libcudart.so.12: no such file')")
    found = [one for one in check_environment(VALUES, trainer, ()) if one.level is Level.ERROR]
    assert [one.code for one in found] == ["LL355"]
    assert "cannot import it: ImportError: libcudart.so.12: no such file." in found[0].problem
    assert "--force-reinstall --no-deps bitsandbytes" in found[0].cure


def test_only_what_is_needed_is_imported(trainer: Trainer):
    write(trainer.folder, "bitsandbytes", "raise ImportError('broken')")
    assert list(check_environment({**VALUES, "optimizer_type": "AdamW"}, trainer, ())) == []


def test_a_missing_library_of_bitsandbytes_is_found(trainer: Trainer):
    """It imports without one, and would fail at the first step."""
    text = "class ErrorHandlerMock:\n    error_msg = 'no CUDA 13 library'\nlib = ErrorHandlerMock()"
    write(trainer.folder, "bitsandbytes", text, "cextension")
    assert look(trainer, "bitsandbytes") == {"bitsandbytes": "ImportError: no CUDA 13 library"}


def test_one_that_ends_its_process_does_not_hide_the_others(trainer: Trainer):
    write(trainer.folder, "torch", "import os; os._exit(7)")
    write(trainer.folder, "toml", "1 / 0")
    assert look(trainer, "accelerate", "torch", "toml") == {
        "torch": "Python ended with exit code 7",
        "toml": "ZeroDivisionError: division by zero",
    }


def test_one_that_never_ends_is_left(trainer: Trainer):
    write(trainer.folder, "torch", "import time; time.sleep(600)")
    assert look(trainer, "torch", seconds=1.0) == {"torch": "it did not finish within 1 s"}


def test_what_a_package_prints_does_no_harm(trainer: Trainer):
    write(trainer.folder, "torch", "print('{'); import sys; sys.stdout.write('no end of line')")
    assert look(trainer, "torch") == {}


def test_what_was_fine_is_not_imported_again(trainer: Trainer):
    seen = trainer.folder / "seen"
    write(trainer.folder, "torch", f"open({str(seen)!r}, 'a').write('x')")
    environment = probe(trainer, ("torch",))
    for _ in range(3):
        assert import_problems(trainer, environment, ("torch",)) == {}
    assert seen.read_text(encoding="utf-8") == "x"
    newer = replace(environment, packages={"torch": "9.9"})
    assert import_problems(trainer, newer, ("torch",)) == {}
    moved = replace(environment, changed={"torch": 1})
    assert import_problems(trainer, moved, ("torch",)) == {}
    assert seen.read_text(encoding="utf-8") == "xxx"


def test_what_failed_is_tried_again(trainer: Trainer):
    write(trainer.folder, "torch", "1 / 0")
    environment = probe(trainer, ("torch",))
    assert import_problems(trainer, environment, ("torch",))
    write(trainer.folder, "torch", "")
    assert import_problems(trainer, environment, ("torch",)) == {}


def test_a_python_that_does_not_start(trainer: Trainer):
    gone = replace(trainer, python=trainer.folder / "no-python")
    environment = Environment("3.11", {"torch": "2.0"}, "v0.10.1")
    (problem,) = import_problems(gone, environment, ("torch", "toml")).values()
    assert "cannot be started" in problem
