"""Whole runs on the simulated WebUI, each with a course of its own: does advice find the answer?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.quality.gathering import MEASURES
from a1111_ext.quality.measures import Measures
from a1111_ext.simulator import SimulatedWebui
from a1111_ext.simulator.cards import Course
from kohya_ext.cli import main
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.project.files import sha256_of
from kohya_ext.project.tagging.scores import write_scores
from kohya_ext.project.tagging.tagger import open_tagger
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model

EPOCHS = 6


@pytest.fixture(scope="module")
def first_trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six epochs of an invented creature and its training pictures, measured: to be copied."""
    project = apply_init(plan_init(tmp_path_factory.mktemp("runs") / "quillfox", "Quillfox"))
    for epoch in range(1, EPOCHS + 1):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch, epochs=EPOCHS)
    tagger = write_tagger_model(project.root / "tagger")
    measures, opened = Measures(project.cells_dir / MEASURES), open_tagger(tagger)
    for path in write_pictures(project.source_dir, recipes(12)):
        measures.training(sha256_of(path), path)
        write_scores(project.scores_dir, opened.score(path, sha256_of(path)))
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("grid:\n", "grid:\n  picture: {width: 256, height: 256, steps: 2}\n")
    text = text.replace("  model: ''", f"  model: {json.dumps(tagger.name)}")
    project.manifest_path.write_text(text, encoding="utf-8")
    return project


@pytest.fixture
def trained(first_trained: Project, tmp_path: Path) -> Project:
    return open_project(shutil.copytree(first_trained.root, tmp_path / "my quillfox"))


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
