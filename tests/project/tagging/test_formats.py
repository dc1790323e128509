"""Both formats of taggers are read and run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from second_format import TAGS, write_logits_model

from kohya_ext.project import DamagedError, open_project
from kohya_ext.project.project import Project
from kohya_ext.project.tagging import Category, open_tagger, read_vocabulary
from kohya_ext.project.tagging.vocabulary import find_vocabulary


def test_a_whole_tagger_is_taken_before_half_a_one(tmp_path: Path):
    folder = write_logits_model(tmp_path)
    (folder / "model.onnx").write_bytes(b"its list is not here")
    assert open_tagger(folder).has_logits


def test_the_second_format_is_read_and_run(tmp_path: Path):
    Image.new("RGB", (50, 50), (255, 0, 0)).save(tmp_path / "red.png")
    Image.new("RGB", (50, 50), (0, 0, 255)).save(tmp_path / "blue.png")
    tagger = open_tagger(write_logits_model(tmp_path / "tagger"))
    red, blue = (tagger.score(tmp_path / name, "x") for name in ("red.png", "blue.png"))
    assert list(red.general.items()) == [("red_fur", 0.982), ("solo", 0.7311), ("a_series", 0.6225)]
    assert "red_fur" not in blue.general
    assert red.character == {"quillfox": 0.8176}
    assert red.ratings == {"general": 0.8808, "explicit": 0.0}
    assert not any("best_quality" in one for one in (red.general, red.character, red.ratings))


def test_exact_scores_also_do_for_a_quick_tagger(tmp_path: Path):
    folder = write_logits_model(tmp_path)
    quick, exact = open_tagger(folder), open_tagger(folder, is_exact=True)
    assert quick.accepts(exact.mark)
    assert quick.accepts(quick.mark)
    assert exact.accepts(exact.mark)
    assert not exact.accepts(quick.mark)


def test_the_other_spelling_of_a_mapping(tmp_path: Path):
    path = tmp_path / "tag_mapping.json"
    data = {"idx_to_tag": {"1": "b_tag", "0": "general"}, "tag_to_category": {"general": "Rating"}}
    path.write_text(json.dumps(data), "utf-8")
    assert [(one.name, one.category) for one in read_vocabulary(path).tags] == [
        ("general", Category.RATING), ("b_tag", Category.GENERAL),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "1", '{"0": 1}', '{"a": {"tag": "x", "category": "y"}}',
             '{"1": {"tag": "x", "category": "General"}}', '{"idx_to_tag": {"0": "a"}}'],
)  # fmt: skip
def test_a_wrong_mapping_is_named(tmp_path: Path, text: str):
    path = tmp_path / "tag_mapping.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DamagedError, match="LL251"):
        read_vocabulary(path)


def test_a_model_of_another_shape_is_named(tmp_path: Path):
    write_logits_model(tmp_path, ("N", 32, 32, 3))
    with pytest.raises(DamagedError, match="LL253"):
        open_tagger(tmp_path)


def test_the_vocabulary_of_a_project(project: Project, tmp_path: Path):
    assert find_vocabulary(project) is None
    write_logits_model(tmp_path / "tagger")
    text = project.manifest_path.read_text("utf-8")
    text = text.replace("model: ''", f"model: {json.dumps(str(tmp_path / 'tagger'))}")
    project.manifest_path.write_text(text, "utf-8")
    found = find_vocabulary(open_project(project.root))
    assert found is not None
    assert len(found.tags) == len(TAGS)
    (tmp_path / "tagger" / "tag_mapping.json").write_text("{}", "utf-8")
    assert find_vocabulary(open_project(project.root)) is None
