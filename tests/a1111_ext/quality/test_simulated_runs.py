"""Whole runs on the simulated WebUI, each with a course of its own: does advice find the answer?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.simulator import SimulatedWebui
from a1111_ext.simulator.cards import Course
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model

EPOCHS = 6


@pytest.fixture
def trained(project: Project) -> Project:
    """Six epochs of an invented creature, and its training pictures."""
    for epoch in range(1, EPOCHS + 1):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch, epochs=EPOCHS)
    write_pictures(project.source_dir, recipes(12))
    tagger = write_tagger_model(project.root / "tagger")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("grid:\n", "grid:\n  picture: {width: 256, height: 256, steps: 2}\n")
    text = text.replace("  model: ''", f"  model: {json.dumps(tagger.name)}")
    project.manifest_path.write_text(text, encoding="utf-8")
    return project


def advice_on(project: Project, webui: SimulatedWebui, capsys, *seeds: int) -> dict:
    arguments = ["grid", str(project.root), "--webui", webui.url, "--json"]
    assert main([*arguments, "--seeds", ",".join(map(str, seeds))]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    found: dict = last["advice"]
    return found


@pytest.mark.parametrize(
    ("course", "right"),
    [
        (Course(), {3, 4}),
        (Course(noise=0.04), {3, 4}),
        (Course(knows_at=0.4, fries_from=0.55, forgets_from=0.55), {2}),
        (Course(knows_at=1.1, fries_from=9, forgets_from=9), {5, 6}),
        (Course(order=(0.2, 0.5, 1.2, 1.3, 0.85, 0.88)), {5, 6}),
    ],
    ids=["usual", "noisy", "early", "late", "worse-and-better-again"],
)
def test_the_right_epoch_comes_first(
    trained: Project, webui: SimulatedWebui, capsys, course: Course, right: set[int]
):
    webui.host.course = course
    advice = advice_on(trained, webui, capsys, 11, 12, 13)
    assert advice["verdict"] == "take"
    assert advice["picks"][0]["epoch"] in right


def test_a_run_that_learns_nothing_trains_on(trained: Project, webui: SimulatedWebui, capsys):
    webui.host.course = Course(knows_at=6, fries_from=9, forgets_from=9)
    assert advice_on(trained, webui, capsys, 11, 12, 13)["verdict"] == "train-on"


def test_epochs_that_were_not_drawn_are_not_named(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "11,12,13"]
    assert main([*arguments, "--epochs", "2,3,4", "--json"]) == 0
    advice = json.loads(capsys.readouterr().out.splitlines()[-1])["advice"]
    assert {one["epoch"] for one in advice["picks"]} <= {2, 3, 4}
    assert [one["score"] is None for one in advice["epochs"]] == [True, False, False, False] + [
        True
    ] * 2


def test_the_page_of_such_a_run_is_whole(trained: Project, webui: SimulatedWebui, capsys):
    advice = advice_on(trained, webui, capsys, 11, 12)
    (page,) = Path(trained.grids_dir).glob("*/grid.html")
    assert json.dumps(advice["summary"])[1:-1] in page.read_text(encoding="utf-8")
