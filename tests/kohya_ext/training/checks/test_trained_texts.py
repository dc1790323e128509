"""The rule on minors reads every text that sd-scripts trains with a picture, wherever it is."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
from training_desk import Desk, codes

from kohya_ext.dataset.staged import write_staged
from kohya_ext.project import Project
from kohya_ext.training.checks.captions import check_words
from kohya_ext.training.checks.findings import Level

FORBIDDEN = "child, nude"


def metadata(desk: Desk, **row: Any) -> dict[str, Any]:
    path = desk.root / "meta.json"
    path.write_text(json.dumps({str(desk.images / "5_fox" / "a.png"): row}), "utf-8")
    return {"in_json": str(path)}


def dataset_config(desk: Desk, subset: dict[str, Any], **general: Any) -> dict[str, Any]:
    path = desk.root / "data.json"
    folder = str(desk.images / "5_fox")
    table = {"resolution": 64, "subsets": [{"image_dir": folder, **subset}]}
    path.write_text(json.dumps({"general": general, "datasets": [table]}), "utf-8")
    return {"dataset_config": str(path)}


@pytest.mark.parametrize(
    ("row", "is_refused"),
    [
        ({"caption": FORBIDDEN}, True),
        ({"tags": FORBIDDEN}, True),
        ({"caption": "a child", "tags": "nude"}, True),
        ({"caption": FORBIDDEN, "image_size": [64, 64]}, True),
        ({"caption": "a child"}, False),
        ({"tags": None}, False),
    ],
)
def test_a_metadata_file(desk: Desk, row: dict[str, Any], is_refused: bool):
    desk.toml |= metadata(desk, **row)
    assert ("LL258" in codes(desk.check())) is is_refused
    config = dataset_config(desk, {"metadata_file": desk.toml.pop("in_json")})
    desk.toml |= config
    assert ("LL258" in codes(desk.check())) is is_refused


def test_class_tokens_are_the_caption_of_a_picture_without_one(desk: Desk):
    desk.picture(f"3_{FORBIDDEN}/d.png", caption="a fox")
    assert "LL258" not in codes(desk.check())
    desk.picture(f"3_{FORBIDDEN}/e.png", caption="")
    (found,) = (one for one in desk.check().errors if one.code == "LL258")
    assert "e.png" in found.problem
    assert "d.png" not in found.problem


@pytest.mark.parametrize("key", ["caption_prefix", "caption_suffix"])
def test_prefix_and_suffix_are_trained_with_every_caption(desk: Desk, key: str):
    desk.picture("5_fox/a.png", caption="a child")
    for changes in (
        {key: "nude,"},
        dataset_config(desk, {"caption_extension": ".txt", key: "nude,"}),
        dataset_config(desk, {"caption_extension": ".txt"}, **{key: "nude,"}),
        {**metadata(desk, caption="a child"), key: "nude,"},
    ):
        before = dict(desk.toml)
        desk.toml |= changes
        assert "LL258" in codes(desk.check()), changes
        desk.toml = before
    assert "LL258" not in codes(desk.check())


def test_regularisation_pictures_are_trained_too(desk: Desk):
    desk.toml["reg_data_dir"] = str(desk.root / "regular")
    picture = desk.picture("../regular/1_fox/r.png", caption=FORBIDDEN)
    (found,) = (one for one in desk.check().errors if one.code == "LL258")
    assert picture.name in found.problem


def test_words_are_checked_of_captions_that_people_wrote_beside_pictures(desk: Desk):
    text = "a fox, a fox"
    desk.toml["reg_data_dir"] = str(desk.root / "regular")
    desk.picture("../regular/1_fox/r.png", caption=text)
    assert codes(desk.check(), Level.WARNING) == []
    desk.picture("5_fox/a.png", caption=text)
    (found,) = desk.check().warnings
    assert "a.png" in found.problem
    desk.toml |= metadata(desk, caption="a fox", image_size=[64, 64])
    assert codes(desk.check(), Level.WARNING) == []


def test_a_picture_that_stage_did_not_make_is_named(project: Project):
    """A cloud drive's "a (1).png" was trained without a word; only `stage` refused it."""
    folder = project.images_dir / "5_Quillfox"
    folder.mkdir(parents=True)
    pictures = [(folder / name, ".txt") for name in ("a.png", "a (1).png")]
    words = [one for one in check_words(pictures, project) if one.code == "LL207"]
    assert words == []  # a folder of one's own, without `stage`
    write_staged(project.images_dir, {PurePosixPath("5_Quillfox", "a.png"): ""})
    (found,) = [one for one in check_words(pictures, project) if one.code == "LL207"]
    assert "a (1).png: not staged by loraloom, but trained." in found.problem
