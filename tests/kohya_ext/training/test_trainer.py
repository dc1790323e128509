"""The trainer of this machine: found, named, installed step by step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.project import ToolError, read_settings
from kohya_ext.project.settings import write_setting
from kohya_ext.training.trainer import (
    InstallStep,
    TrainerSource,
    apply_install,
    find_trainer,
    install_folder,
    plan_install,
    require_trainer,
    run_step,
    simulated_trainer,
    trainer_at,
    use_trainer,
)


@pytest.fixture(autouse=True)
def _no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No Kohya GUI in the home folder of whoever runs the tests is found."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def make_scripts(folder: Path, *, environment: str = "venv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_network.py").write_text("", encoding="utf-8")
    if environment:
        inside = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
        python = folder / environment / inside
        python.parent.mkdir(parents=True)
        python.write_text("", encoding="utf-8")
    return folder


def test_no_trainer_is_known():
    assert find_trainer() is None
    with pytest.raises(ToolError, match="LL350"):
        require_trainer()


def test_a_folder_without_scripts(tmp_path: Path):
    with pytest.raises(ToolError, match="LL351"):
        trainer_at(tmp_path)


def test_a_kohya_gui_without_its_trainer_is_told_to_fetch_it(tmp_path: Path):
    """Its zip and a plain clone have an empty folder sd-scripts; "give your GUI's folder" was."""
    (tmp_path / "sd-scripts").mkdir()
    (tmp_path / "kohya_gui.py").write_text("", encoding="utf-8")
    with pytest.raises(ToolError, match="LL351") as caught:
        trainer_at(tmp_path)
    assert "git submodule update --init" in str(caught.value)
    write_setting("kohya_gui", str(tmp_path))
    with pytest.raises(ToolError, match="LL351"):
        require_trainer()


def test_scripts_without_a_python(tmp_path: Path):
    with pytest.raises(ToolError, match="LL352"):
        trainer_at(make_scripts(tmp_path / "sd", environment=""))


def test_a_used_trainer_is_remembered(tmp_path: Path):
    use_trainer(make_scripts(tmp_path / "my sd"))
    found = find_trainer()
    assert found is not None
    assert (found.folder, found.origin) == (tmp_path / "my sd", TrainerSource.SETTINGS)
    assert found.python.is_relative_to(tmp_path / "my sd" / "venv")


def test_the_one_inside_a_kohya_gui_is_found(tmp_path: Path):
    gui = tmp_path / "kohya_ss"
    make_scripts(gui / "sd-scripts", environment="")
    make_scripts(gui, environment=".venv")
    (gui / "train_network.py").unlink()
    write_setting("kohya_gui", str(gui))
    found = require_trainer()
    assert (found.folder, found.origin) == (gui / "sd-scripts", TrainerSource.KOHYA_GUI)


def test_the_simulated_needs_no_environment():
    found = trainer_at(simulated_trainer().folder)
    assert found.is_simulated
    assert found.python == Path(sys.executable)


# Installing.


class Steps:
    """Carry out nothing but what an installation leaves behind; fail where told."""

    def __init__(self, fail: str = "") -> None:
        self.done: list[str] = []
        self._fail = fail

    def __call__(self, step: InstallStep) -> int:
        if self._fail and self._fail in step.title:
            return 128
        self.done.append(step.title)
        if "cloning" in step.title:
            make_scripts(install_folder())
        return 0


def test_an_installation_ends_with_a_known_trainer():
    steps = Steps()
    trainer = apply_install(plan_install(), run=steps)
    assert len(steps.done) == 4
    assert trainer.folder == install_folder()
    assert read_settings().trainer == str(trainer.folder)


def test_a_failed_installation_continues_where_it_ended():
    with pytest.raises(ToolError, match=r"PyTorch.*128.*LL354"):
        apply_install(plan_install(), run=Steps(fail="PyTorch"))
    again = Steps()
    apply_install(plan_install(), run=again)
    assert again.done == ["installing PyTorch", "installing its packages"]


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_sd_scripts_are_really_cloned_at_the_version(tmp_path: Path):
    origin = make_scripts(tmp_path / "origin", environment="")
    commit = "-c user.name=a -c user.email=a@b commit -q -m one"
    for words in ("init -q -b main", "add .", commit, "tag v1.2.3"):
        subprocess.run(["git", *words.split()], cwd=origin, check=True)
    (origin / "train_network.py").unlink()
    plan = plan_install(tag="v1.2.3", repository=str(origin))
    plan.folder.parent.mkdir(parents=True)
    assert run_step(plan.steps[0]) == 0
    assert (install_folder() / "train_network.py").is_file()
    assert "cloning" not in plan_install().steps[0].title


def test_a_machine_without_git(tmp_path: Path):
    step = InstallStep("cloning", (str(tmp_path / "no-git"), "clone"), tmp_path)
    with pytest.raises(ToolError, match="LL354"):
        run_step(step)


def test_the_version_and_the_source_of_pytorch_can_be_named():
    plan = plan_install(tag="v9.9.9", torch_from="https://example.org/cuda")
    clone, _, torch, _ = plan.steps
    assert "v9.9.9" in clone.command
    assert torch.command[-2:] == ("-i", "https://example.org/cuda")


# The commands.


def test_the_commands_use_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = make_scripts(tmp_path / "sd", environment="")
    assert main(["trainer", "use", str(folder), "--python", sys.executable]) == 0
    assert main(["trainer", "show"]) == 0
    out = capsys.readouterr().out
    assert f"{folder} with {sys.executable}" in out
    assert "  torch " in out
    assert main(["trainer", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["folder"], shown["origin"]) == (str(folder), "remembered")


def test_show_without_a_trainer_says_what_to_do(capsys: pytest.CaptureFixture[str]):
    assert main(["trainer", "show"]) == 1
    assert "loraloom trainer install" in capsys.readouterr().err


def test_install_can_be_looked_at_first(capsys: pytest.CaptureFixture[str]):
    assert main(["trainer", "install", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("git clone --depth 1 --branch v")
    assert not install_folder().exists()


def test_a_mirror_can_be_named(capsys: pytest.CaptureFixture[str]):
    assert main(["trainer", "install", "--from", "/srv/sd-scripts", "--dry-run"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.split()[-2] == "/srv/sd-scripts"


def test_an_older_installation_is_brought_to_the_release():
    apply_install(plan_install(tag="v0.10.1"), run=Steps())
    assert [one.title for one in plan_install(tag="v0.10.1").steps] == [
        "installing PyTorch", "installing its packages",
    ]  # fmt: skip
    titles = [one.title for one in plan_install().steps]
    assert titles[:2] == ["fetching sd-scripts v0.11.1", "changing to sd-scripts v0.11.1"]


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_a_clone_really_changes_to_the_release(tmp_path: Path):
    origin = make_scripts(tmp_path / "origin", environment="")
    commit = "-c user.name=a -c user.email=a@b commit -q -m one"
    for words in ("init -q -b main", "add .", commit, "tag v1"):
        subprocess.run(["git", *words.split()], cwd=origin, check=True)
    source = str(origin)
    plan = plan_install(tag="v1", repository=source)
    plan.folder.parent.mkdir(parents=True)
    assert run_step(plan.steps[0]) == 0
    (install_folder() / ".loraloom-installed").write_text("v1", encoding="utf-8")
    (origin / "anima_train_network.py").write_text("new", encoding="utf-8")
    for words in ("add .", commit, "tag v2"):
        subprocess.run(["git", *words.split()], cwd=origin, check=True)
    newer = plan_install(tag="v2", repository=source)
    assert [run_step(one) for one in newer.steps[:2]] == [0, 0]
    assert (install_folder() / "anima_train_network.py").read_text(encoding="utf-8") == "new"


def test_an_sd_scripts_older_than_needed_is_named(tmp_path: Path):
    folder = make_scripts(tmp_path / "old")
    (folder / ".loraloom-installed").write_text("v0.9.1", encoding="utf-8")
    with pytest.raises(ToolError) as caught:
        trainer_at(folder).script("anima_train_network.py")
    assert caught.value.cure == (
        f"anima_train_network.py came with v0.10.1, and v0.9.1 is in {folder}; "
        "`loraloom trainer install` takes v0.11.1."
    )
