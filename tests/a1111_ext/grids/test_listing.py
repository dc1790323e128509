"""Grids of a list are distinguished by what differs."""

from __future__ import annotations

import random
from dataclasses import replace
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
from kohya_ext.project.manifest import PictureSettings


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


SETTINGS: tuple[tuple[str, Any, str], ...] = (
    ("clip_skip", 2, "clip skip 2"),
    ("steps", 9, "9 steps"),
    ("cfg_scale", 3.0, "CFG Scale 3"),
    ("height", 768, "512x768"),
    ("sampler", "Euler", "Euler"),
    ("scheduler", "Karras", "Karras"),
    ("scripts", {"ADetailer": [True]}, "with ADetailer"),
    ("distilled_cfg_scale", 3.5, "distilled CFG scale 3.5"),
    ("modules", ("t5", "clip"), "with t5, clip"),
)


def test_each_of_many_grids_says_what_it_alone_has(trained: Project):
    """Not what most of them have: a label of every setting tells nobody anything."""
    plain = PictureSettings()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"picture": replace(plain, **{name: value})}, shown) for name, value, shown in SETTINGS
    ]
    changes += [
        ({"control": False}, "no control"),
        ({"skip": ("Seed = 1",)}, "without Seed = 1"),
        ({"batch_size": 2}, "batch size 2"),
        ({"unlink_seed": True}, "seed unlinked"),
        ({"lora_weights": (0.5, 1.0)}, "LoRA weight 0.5, 1"),
        ({"axes": ("VAE=a.pt,b.pt",)}, "VAE a.pt, b.pt"),
        ({"checkpoint": "tiny-b"}, "tiny-b"),
        ({"negative_prompt": "blurry"}, "without blurry"),
    ]
    folders = [keep(trained, **given) for given, _ in changes]
    assert differences(keep(trained), *folders) == ["", *(one for _, one in changes)]


def test_long_prompts_that_end_otherwise_are_told_apart(trained: Project):
    """Both ends are shown, without the commas where they part."""
    long = "{lora} photo of {trigger}, in the snow on the highest mountain of all, {}"
    folders = [keep(trained, prompt=long.replace("{}", end)) for end in ("at dawn", "at night")]
    assert differences(*folders) == ["… dawn", "… night"]
    first = "in the snow on the highest mountain of all"
    others = [
        keep(trained, prompt=f"{{lora}} {{trigger}}, {first} {end}") for end in ("left", "right")
    ]
    labels = differences(keep(trained, prompt="{lora} {trigger}"), *others)
    assert labels[0] == "nothing more"
    assert [one.partition("…")[0] for one in labels[1:]] == ["in the snow on the"] * 2
    assert [one.rpartition(" ")[2] for one in labels[1:]] == ["left", "right"]
    assert max(map(len, labels)) <= 40


def test_a_grid_that_does_not_describe_itself_keeps_its_name(trained: Project):
    keep(trained, prompt="{lora} a")
    keep(trained, prompt="{lora} b")
    folder = trained.grids_dir / "old"
    folder.mkdir()
    (folder / "grid.html").write_text("x", encoding="utf-8")
    labels = [one.label.partition(" (")[0] for one in find_grids(trained.root)]
    assert sorted(labels) == ["a", "b", "old"]
