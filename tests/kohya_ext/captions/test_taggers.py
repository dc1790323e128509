"""Taggers: what they must be, and the same tags from the workers of a cluster."""

from __future__ import annotations

import socket
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest
from elsewhere import Elsewhere

from kohya_ext.captions.captioning import score_pictures
from kohya_ext.project import Project, ToolError
from kohya_ext.project.tagging import open_tagger, read_vocabulary


def test_the_simulated_tagger_is_small_and_says_so(model: Path):
    assert 60_000 < (model / "model.onnx").stat().st_size < 150_000
    assert open_tagger(model).is_simulated


def test_a_missing_tagger(tmp_path: Path):
    with pytest.raises(ToolError, match="LL250"):
        open_tagger(tmp_path)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_a_wrong_tag_list(tmp_path: Path, text: str):
    (tmp_path / "selected_tags.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL251"):
        read_vocabulary(tmp_path / "selected_tags.csv")


def test_a_file_that_is_no_model(model: Path, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "selected_tags.csv").write_bytes((model / "selected_tags.csv").read_bytes())
    with pytest.raises(ToolError, match="LL253"):
        open_tagger(tmp_path)


def test_a_tag_list_of_another_model(model: Path, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes((model / "model.onnx").read_bytes())
    (tmp_path / "selected_tags.csv").write_text("name,category\na,0\n", encoding="utf-8")
    with pytest.raises(ToolError, match=r"outputs.*LL253"):
        open_tagger(tmp_path)


def test_without_onnxruntime(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ToolError, match="LL252"):
        open_tagger(model)


def test_transparent_pictures_get_a_white_background(model: Path, tmp_path: Path):
    from PIL import Image

    Image.new("RGBA", (50, 80), (0, 0, 0, 0)).save(tmp_path / "a.png")
    Image.new("RGB", (80, 50), "white").save(tmp_path / "b.png")
    tagger = open_tagger(model)
    first, second = (tagger.score(tmp_path / name, "x") for name in ("a.png", "b.png"))
    assert first == second


# -- tagged by the workers of a cluster --------------------------------------------------------


def test_a_cluster_tags_the_same(staged: Project, model: Path):
    tagger = open_tagger(model)
    elsewhere = score_pictures(staged, tagger, executor=Elsewhere())
    assert len(elsewhere) == 3
    for path in staged.scores_dir.glob("*.json"):
        path.unlink()
    assert score_pictures(staged, tagger) == elsewhere


def test_what_a_lost_cluster_has_tagged_is_kept(staged: Project, model: Path):
    lost = Elsewhere(dies_after=1, loss=CancelledError())
    with pytest.raises(ToolError, match="LL180"):
        score_pictures(staged, open_tagger(model), executor=lost)
    second = Elsewhere()
    score_pictures(staged, open_tagger(model), executor=second)
    assert second.done == 2


def test_another_tagger_on_a_machine_is_refused(staged: Project, model: Path):
    other = replace(open_tagger(model), model_sha256="0" * 64)
    with pytest.raises(ToolError, match=r"a different tagger in .* than this machine.*LL181"):
        score_pictures(staged, other, executor=Elsewhere())


def test_a_machine_without_the_tagger_is_named(staged: Project, model: Path, tmp_path: Path):
    gone = replace(open_tagger(model), folder=tmp_path / "gone")
    with pytest.raises(ToolError, match=rf"On {socket.gethostname()}: .*gone.* contains no tagger"):
        score_pictures(staged, gone, executor=Elsewhere())


def test_a_broken_picture_keeps_its_name_elsewhere(staged: Project, model: Path):
    victim = next(staged.images_dir.glob("*/*.png"))
    victim.unlink()
    victim.write_bytes(b"no picture")
    with pytest.raises(ToolError) as caught:
        score_pictures(staged, open_tagger(model), executor=Elsewhere())
    assert victim.name in caught.value.problem
