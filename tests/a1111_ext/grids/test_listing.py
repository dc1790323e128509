"""Grids of a list are distinguished by what differs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora

from a1111_ext.grids.grid import prepare_grid, read_about, subject_of, write_about
from a1111_ext.grids.listing import tell_apart
from a1111_ext.grids.plan import GridRequest
from a1111_ext.screens.projects import find_grids
from kohya_ext.project import Project
from kohya_ext.project.epochs import require_run


@pytest.fixture
def trained(project: Project) -> Project:
    for epoch in (1, 2, 3):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch)
    return project


def keep(project: Project, name: str = "epochs", **changes: Any) -> Path:
    run = require_run(project.model_dir)
    request = GridRequest(**{"prompt": "{lora} photo of {trigger}", "seeds": (1, 2)} | changes)
    subject = subject_of(project, run, request.epochs)
    number = random.Random(1)
    grid = prepare_grid(
        project, request, subject, name=name, draw_number=lambda: number.randrange(9)
    )
    write_about(grid)
    (grid.folder / "grid.html").write_text("<p>a page</p>", encoding="utf-8")
    return grid.folder


def differences(*folders: Path) -> list[str]:
    return tell_apart([read_about(one) for one in folders])


def test_prompts_are_shown_from_where_they_part(trained: Project):
    grids = [
        keep(trained, prompt=f"{{lora}} photo of {{trigger}} in {x}") for x in ("snow", "rain")
    ]
    assert differences(*grids) == ["… snow", "… rain"]


def test_axes_and_epochs_are_shown(trained: Project):
    plain = keep(trained)
    scaled = keep(trained, axes=("CFG Scale=5,7",))
    few = keep(trained, name="few", epochs="2,3")
    assert differences(plain, scaled) == ["", "CFG Scale 5, 7"]
    assert differences(plain, few) == [
        "3 epochs, 1 to 3",
        "2 epochs, 2 to 3",
    ]


def test_equal_grids_keep_their_names(trained: Project):
    keep(trained, "one")
    keep(trained, "two")
    labels = [one.label for one in find_grids(trained.root)]
    assert sorted(label.partition("-")[0] for label in labels) == ["one", "two"]


def test_thirty_grids_have_thirty_labels(trained: Project):
    for number in range(30):
        keep(trained, prompt=f"{{lora}} {{trigger}} with {number} leaves", checkpoint="tiny-a")
    labels = [one.label.partition(" (")[0] for one in find_grids(trained.root)]
    assert sorted(labels) == sorted(f"… {number} leaves" for number in range(30))


def test_a_grid_that_does_not_describe_itself_keeps_its_name(trained: Project):
    keep(trained, prompt="{lora} a")
    keep(trained, prompt="{lora} b")
    folder = trained.grids_dir / "old"
    folder.mkdir()
    (folder / "grid.html").write_text("x", encoding="utf-8")
    labels = [one.label.partition(" (")[0] for one in find_grids(trained.root)]
    assert sorted(labels) == ["a", "b", "old"]
