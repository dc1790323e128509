"""Captions on the board: rule and hand are told apart, and many are edited at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.captions.captioning import (
    apply_captions,
    plan_captions,
    read_rules,
    score_pictures,
    staged_pictures,
)
from kohya_ext.captions.desk import CaptionDesk
from kohya_ext.captions.edits import EditBook, edit_from_value
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board import BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.files import sha256_of
from kohya_ext.project.server import PageRequest
from kohya_ext.project.tagging import Scores, read_scores, write_scores
from kohya_ext.project.tagging.framing import framing_of


@pytest.fixture
def captioned(project: Project, tmp_path: Path) -> Project:
    """Three staged pictures with scores and captions, and one without scores."""
    for number, name in enumerate(("a", "b", "c", "d")):
        path = tmp_path / "collected" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (number * 60, 9, 9)).save(path)
    apply_import(project, plan_import(project, tmp_path / "collected"))
    apply_layout(project, plan_layout(project))
    for path in sorted(project.images_dir.glob("*/[abc].png")):
        general = {"solo": 0.9, "blue_sky": 0.8, "full_body": 0.7, "rain": 0.1}
        scores = Scores(sha256_of(path), "m", {"general": 0.9}, general, {})
        write_scores(project.scores_dir, scores)
    return project


def keys_of(project: Project) -> dict[str, str]:
    return {place.stem: key for key, place in read_index(project).items()}


def test_the_rules_alone(captioned: Project):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    caption = desk.caption(key, None)
    assert caption.text == "photo of Quillfox, solo, blue sky, full body"
    assert (caption.tags, caption.added, caption.removed) == (
        ("solo", "blue sky", "full body"),
        (),
        (),
    )
    assert (caption.is_by_hand, caption.framing, desk.prefix) == (
        False,
        "full body",
        "photo of Quillfox",
    )
    assert desk.caption(keys_of(captioned)["d"], None).text == ""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"op": "add", "tags": "rain, Solo"}, "solo, blue sky, full body, rain"),
        ({"op": "add", "tags": "rain", "first": True}, "rain, solo, blue sky, full body"),
        ({"op": "remove", "tags": "Blue_Sky, nothing"}, "solo, full body"),
        ({"op": "replace", "tags": "blue sky", "by": "grey sky, clouds"},
         "solo, grey sky, clouds, full body"),
        ({"op": "replace", "tags": "nothing", "by": "grey sky"}, "solo, blue sky, full body"),
        ({"op": "replace", "tags": "solo", "by": "full body"}, "blue sky, full body"),
        ({"op": "first", "tags": "full body, blue sky"}, "full body, blue sky, solo"),
        ({"op": "text", "text": " photo of Quillfox,  full body, solo "}, "full body, solo"),
    ],
)  # fmt: skip
def test_changes_are_differences(captioned: Project, change: dict[str, object], text: str):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    edit = desk.edited(key, None, change)
    caption = desk.caption(key, edit)
    assert caption.text == f"photo of Quillfox, {text}"
    assert not caption.is_whole_line
    assert desk.edited(key, edit, {"op": "reset"}) is None


def test_changes_of_a_change(captioned: Project):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    edit = desk.edited(key, None, {"op": "add", "tags": "rain", "first": True})
    edit = desk.edited(key, edit, {"op": "remove", "tags": "solo"})
    caption = desk.caption(key, edit)
    assert caption.text == "photo of Quillfox, rain, blue sky, full body"
    assert (caption.added, caption.removed) == (("rain",), ("solo",))
    assert (
        desk.edited(
            key, edit, {"op": "text", "text": "photo of Quillfox, solo, blue sky, full body"}
        )
        is None
    )


def test_another_beginning_is_a_whole_line(captioned: Project):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    edit = desk.edited(key, None, {"op": "text", "text": "a drawing, solo"})
    caption = desk.caption(key, edit)
    assert (caption.text, caption.is_whole_line) == ("a drawing, solo", True)
    edit = desk.edited(key, edit, {"op": "add", "tags": "rain"})
    assert desk.caption(key, edit).text == "a drawing, solo, rain"


def test_a_picture_without_scores_gets_tags(captioned: Project):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["d"]
    edit = desk.edited(key, None, {"op": "add", "tags": "solo, rain"})
    assert desk.caption(key, edit).text == "photo of Quillfox, solo, rain"


@pytest.mark.parametrize(
    "change",
    [{}, {"op": "add"}, {"op": "add", "tags": " , "}, {"op": "paint", "tags": "a"},
     {"op": "replace", "tags": "a"}],
)  # fmt: skip
def test_odd_changes_are_refused(captioned: Project, change: dict[str, object]):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    with pytest.raises(ValueError, match=r"tag is given|not a change of captions"):
        desk.edited(key, None, change)


def test_files_follow_and_stay(captioned: Project):
    desk, key = CaptionDesk(captioned), keys_of(captioned)["a"]
    edit = desk.edited(key, None, {"op": "add", "tags": "rain", "first": True})
    with DecisionStore(captioned.reviews_db) as store:
        store.decide(DecisionKind.CAPTION, {key: edit}, "board")
    desk.write({key: edit})
    (path,) = captioned.images_dir.glob("*/a.txt")
    wanted = "photo of Quillfox, rain, solo, blue sky, full body\n"
    assert path.read_text(encoding="utf-8") == wanted
    (captioned.images_dir.glob("*/d.png")).__next__().unlink()
    plan = plan_captions(captioned, score_pictures(captioned, None), read_rules(captioned))
    assert plan.edits == 0
    apply_captions(captioned, plan)
    assert path.read_text(encoding="utf-8") == wanted


def test_edits_of_an_earlier_loraloom_move_in(captioned: Project):
    captioned.captions_dir.mkdir(exist_ok=True)
    (captioned.captions_dir / "a.json").write_text('{"added": ["rain"]}', encoding="utf-8")
    book = EditBook(captioned)
    assert book.find("a") == edit_from_value({"added": ["rain"]})
    book.save({"b": edit_from_value({"removed": ["solo"]})}, "caption file")
    assert [one.name for one in captioned.captions_dir.iterdir()] == ["a.json.moved"]
    again = EditBook(captioned)
    assert (again.find("a"), again.find("b")) == (
        edit_from_value({"added": ["rain"]}),
        edit_from_value({"removed": ["solo"]}),
    )


def test_tags_are_completed(captioned: Project):
    desk = CaptionDesk(captioned)
    assert desk.complete("s", {"solo": 3, "blue sky": 9, "smile": 5}) == [
        "smile",
        "solo",
        "blue sky",
    ]
    assert desk.complete(" ", {"solo": 3}) == []


def test_framing_is_reported_by_scores():
    def framing(**general: float) -> str:
        return framing_of(Scores("", "", {}, general, {}))

    assert framing(portrait=0.9, full_body=0.5) == "portrait"
    assert framing(portrait=0.2) == ""


def send(share: BoardShare, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode("utf-8")
    answer = share.answer(PageRequest(path, {}, data, "application/json"))
    assert answer.status == 200
    return json.loads(answer.body)


def write_beside(project: Project, stem: str, text: str) -> Path:
    """Write a caption in an editor, as another program does."""
    (picture,) = project.images_dir.glob(f"*/{stem}.png")
    path = picture.with_suffix(".txt")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def board(captioned: Project) -> Iterator[BoardShare]:
    """The open board of a project whose captions were written."""
    tagged = [one for one in staged_pictures(captioned) if one.stem != "d"]
    scores = {
        one: read_scores(captioned.scores_dir, sha256_of(captioned.images_dir / one))
        for one in tagged
    }
    apply_captions(captioned, plan_captions(captioned, scores, read_rules(captioned)))
    share = BoardShare(PicturesView(captioned), lambda: CaptionDesk(captioned))
    send(share, "state.json")
    yield share
    share.close()


LINE = "photo of Quillfox, solo, blue sky, full body"


def test_what_another_editor_wrote_survives_an_edit(captioned: Project, board: BoardShare):
    """The board wrote its own line over it, without a word."""
    key = keys_of(captioned)["a"]
    send(board, "captions.json")
    path = write_beside(captioned, "a", f"{LINE}, by hand\n")
    change = {"op": "add", "tags": "mist"}
    reply = send(board, "captions/apply", {"keys": [key], "change": change})
    assert reply["captions"][key]["text"] == f"{LINE}, by hand, mist"
    assert path.read_text("utf-8").strip() == f"{LINE}, by hand, mist"
    send(board, "undo", {})
    assert "by hand" in path.read_text("utf-8")


def test_what_another_editor_wrote_survives_a_choice_of_tags(captioned: Project, board: BoardShare):
    send(board, "captions.json")
    path = write_beside(captioned, "b", f"{LINE}, by hand\n")
    line = write_beside(captioned, "d", "a line of my own\n")
    send(board, "tags/apply", {"values": {"solo": "imbue"}})
    board.close()
    assert path.read_text("utf-8").strip() == "photo of Quillfox, blue sky, full body, by hand"
    assert line.read_text("utf-8").strip() == "a line of my own"


def test_the_board_shows_what_another_editor_wrote(captioned: Project, board: BoardShare):
    write_beside(captioned, "c", f"{LINE}, by hand\n")
    write_beside(captioned, "d", "a line of my own\n")
    keys = keys_of(captioned)
    shown = send(board, "captions.json")["captions"]
    assert shown[keys["c"]]["text"] == f"{LINE}, by hand"
    assert shown[keys["c"]]["hand"] is True
    assert shown[keys["d"]]["text"] == "a line of my own"
    (wrong,) = captioned.images_dir.glob("*/b.txt")
    wrong.write_bytes(b"\xff\xfe\x00")
    assert send(board, "captions.json")["captions"][keys["b"]]["text"] == LINE
