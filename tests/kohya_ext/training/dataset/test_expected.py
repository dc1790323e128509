"""Steps are the trainer's own, also by max_train_steps, with small pictures skipped, and listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.training.dataset.expected import expected_steps, read_datasets, save_every
from kohya_ext.training.dataset.folders import inspect_pictures
from kohya_ext.training.dataset.listed import read_listed
from kohya_ext.training.dataset.steps import StepPlan

SIZES = {"a": (64, 64), "b": (128, 64), "c": (64, 128), "d": (128, 128)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images" / "5_fox"
    folder.mkdir(parents=True)
    for name, size in SIZES.items():
        Image.new("RGB", size).save(folder / f"{name}.png")
    return folder


def steps_of(images: Path, processes: int = 1, **changes: Any) -> StepPlan | None:
    values = {
        "train_data_dir": str(images.parent),
        "resolution": "64,64",
        "train_batch_size": 2,
        "output_name": "fox",
        **changes,
    }
    datasets, findings = read_datasets(values)
    assert findings == []
    wanted = [path for one in datasets for path in one.trained_pictures if path.is_file()]
    facts = {one.path: one for one in inspect_pictures(wanted)}
    return expected_steps(values, datasets, facts, processes)


def figures(plan: StepPlan | None) -> tuple[int, int, int]:
    assert plan is not None
    return plan.steps, plan.epochs, plan.steps_per_epoch


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"max_train_epochs": 3}, (30, 3, 10)),
        ({"max_train_steps": 16}, (16, 2, 10)),
        ({"max_train_steps": 5}, (5, 1, 10)),
        ({"max_train_steps": 20}, (20, 2, 10)),
        ({"max_train_steps": 16, "max_train_epochs": 1}, (10, 1, 10)),
        ({}, (1600, 160, 10)),
        ({"max_train_steps": 16, "gradient_accumulation_steps": 4}, (16, 6, 3)),
        ({"max_train_steps": 16, "processes": 2}, (16, 4, 5)),
    ],
    ids=["epochs", "steps", "few", "even", "epochs win", "neither", "gathered", "two cards"],
)
def test_steps_are_those_of_the_trainer(images: Path, changes: dict[str, int], wanted):
    assert figures(steps_of(images, **changes)) == wanted


def test_the_last_file_ends_where_the_steps_do(images: Path):
    plan = steps_of(images, max_train_steps=16, save_every_n_epochs=1)
    assert plan is not None
    assert plan.epoch_files == (("fox-000001", 1, 10), ("fox", 2, 16))


@pytest.mark.parametrize(
    ("size", "draws"), [("64", 15), ("64,128", 5), ("63,64", 20), ("", 20), ("x", 20)]
)
def test_small_pictures_are_left_out(images: Path, size: str, draws: int):
    plan = steps_of(images, max_train_epochs=1, skip_image_resolution=size)
    assert plan is not None
    assert plan.draws == draws


def test_pictures_kept_for_validation_are_not_drawn(images: Path):
    plan = steps_of(images, max_train_epochs=1, validation_split=0.5, seed=1)
    assert plan is not None
    assert plan.draws == 10
    assert steps_of(images, max_train_epochs=1, validation_split=0.5) is None


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_metadata_file_is_counted(images: Path, suffix: str):
    rows: list[dict[str, Any]] = [
        {"image_path": "a.png", "caption": "x"},
        {"image_path": "b", "tags": "y"},
        {"image_path": "gone.png", "image_size": [128, 64]},
        {"image_path": "cached"},
    ]
    (images / "cached_0064x0128_sd.npz").write_bytes(b"")
    path = images.parent / f"meta.{suffix}"
    table = {row["image_path"]: row for row in rows}
    text = json.dumps(table) if suffix == "json" else "\n".join(map(json.dumps, rows))
    path.write_text(text, encoding="utf-8")
    values = {"in_json": str(path), "train_data_dir": str(images), "dataset_repeats": 3}
    plan = steps_of(images, max_train_epochs=2, enable_bucket=True, min_bucket_reso=32, **values)
    assert plan is not None
    assert plan.draws == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "it contains a list, not an object"),
        ("{", "is not a metadata file"),
        ('{"a.png": 3}', "is not a metadata file"),
        ('{"none.png": {}}', "which does not exist"),
    ],
    ids=["a list", "cut", "a number", "gone"],
)
def test_a_metadata_file_that_cannot_be_used_is_named(images: Path, text: str, said: str):
    path = images.parent / "meta.json"
    path.write_text(text, encoding="utf-8")
    subset, (finding,) = read_listed(path, str(images), 1)
    assert subset is None
    assert said in finding.problem


def test_a_relative_picture_needs_its_folder(images: Path):
    path = images.parent / "meta.json"
    path.write_text('{"a.png": {}}', encoding="utf-8")
    assert "relative path" in read_listed(path, "", 1)[1][0].problem


def test_no_metadata_file_is_an_error(images: Path):
    found = read_datasets({"in_json": str(images / "no.json"), "resolution": "64"})[1]
    assert [one.code for one in found] == ["LL356", "LL361"]


def test_the_number_of_files_counts_over_every_nth_epoch():
    assert save_every({"save_n_epoch_ratio": 2, "save_every_n_epochs": 1}, 5) == 2
    assert save_every({"save_n_epoch_ratio": 9}, 5) == 1
