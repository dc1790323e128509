"""What a growing grid says of its training, and when it stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
from epoch_curves import evidence_of, usual_course
from loras import save_lora

from a1111_ext.cli import following
from a1111_ext.cli.grid_session import GridSession
from a1111_ext.cli.stopping import stop_after_epoch
from a1111_ext.quality.advice import Advice, advise
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError

OVERTRAINED = advise(evidence_of(usual_course(10, fries_at=0.6)))


@pytest.fixture
def growing(project: Project, webui: SimulatedWebui, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two epochs, whose third and last comes when those are drawn."""
    for epoch in (1, 2):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch)
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("grid:\n", "grid:\n  picture: {width: 64, height: 64, steps: 2}\n")
    project.manifest_path.write_text(text, encoding="utf-8")

    def overtrained(self: GridSession, *arguments: object) -> Advice:
        if project.journal.last("grid") is not None:
            save_lora(project.model_dir, "Quillfox", epoch=3)
        return OVERTRAINED

    monkeypatch.setattr(GridSession, "advise", overtrained)
    return project


def follow(project: Project, webui: SimulatedWebui, *options: str) -> int:
    arguments = ["grid", str(project.root), "--webui", webui.url, "--seeds", "1"]
    return main([*arguments, "--follow", "--every", "0.05", *options])


def test_an_overtrained_training_is_only_reported_of(growing, webui, capsys, monkeypatch):
    monkeypatch.setattr(following, "stop_after_epoch", lambda root: pytest.fail("stopped"))
    assert follow(growing, webui) == 0
    err = capsys.readouterr().err
    assert f"so far: {OVERTRAINED.summary}" in err
    assert "--stop-after-epoch" in err


def test_it_is_stopped_once_when_that_was_asked(growing, webui, capsys, monkeypatch):
    stopped: list[Path] = []
    monkeypatch.setattr(following, "stop_after_epoch", stopped.append)
    assert follow(growing, webui, "--stop-when-overtrained") == 0
    assert stopped == [growing.root]


def test_a_training_of_another_program_continues(growing, webui, capsys):
    """Nothing of ours trains there: the grid says so and follows on."""
    assert follow(growing, webui, "--stop-when-overtrained") == 0
    assert "could not be stopped from here" in capsys.readouterr().err


def test_stopping_needs_a_training_of_ours(project: Project):
    with pytest.raises(ToolError, match="LL"):
        stop_after_epoch(project.root)
