"""The board tells what is decided, takes what is sent, and refuses the rest."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from until import wait_until

from kohya_ext.project import Project, ToolError
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.decisions.boards import Boards
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.pictures.identity import key_of
from kohya_ext.project.pictures.thumbnails import read_thumbnail
from kohya_ext.project.server import PageAnswer, PageRequest


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied: drawing them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, name in enumerate(("primary/a.png", "supporting/b.jpg", "supporting/c.gif")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((16, 12), 100).resize((400 + number, 300)).convert("RGB")
        noise.save(path)
    return folder


@pytest.fixture
def filled(project: Project, pictures: Path) -> Project:
    shutil.copytree(pictures, project.source_dir, dirs_exist_ok=True)
    return project


@pytest.fixture
def share(filled: Project) -> Iterator[BoardShare]:
    made = BoardShare(PicturesView(filled))
    yield made
    made.close()


def ask(share: BoardShare, path: str, **query: str) -> Any:
    answer = share.answer(PageRequest(path, query))
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


def send(share: BoardShare, path: str, body: object) -> Any:
    answer = post(share, path, json.dumps(body).encode("utf-8"))
    assert answer.status == 200
    return json.loads(answer.body)


def post(share: BoardShare, path: str, body: bytes, kind: str = "application/json") -> PageAnswer:
    return share.answer(PageRequest(path, {}, body, kind))


def keys_of(share: BoardShare) -> dict[str, str]:
    return {row[1]: row[0] for row in ask(share, "state.json")["items"]}


def test_the_state_names_pictures_and_roles(share: BoardShare, filled: Project):
    state = ask(share, "state.json")
    assert state["title"] == "Quillfox"
    assert [one["value"] for one in state["choices"]] == ["primary", "supporting", "out"]
    keys = keys_of(share)
    assert keys["a.png"] == key_of((filled.source_dir / "primary" / "a.png").read_bytes())
    assert state["values"] == {keys["a.png"]: ["primary", "folder in source/"]}


def test_a_decision_is_kept_before_the_answer(share: BoardShare, filled: Project):
    keys = keys_of(share)
    chosen = [keys["a.png"], keys["b.jpg"]]
    answer = send(share, "decide", {"keys": chosen, "value": "out"})
    assert answer["values"] == {key: ["out", "board"] for key in chosen}
    with DecisionStore(filled.reviews_db) as store:
        assert store.values(DecisionKind.ROLE) == dict.fromkeys(chosen, "out")
    answer = send(share, "undo", {})
    assert answer["values"] == {keys["a.png"]: ["primary", "board"], keys["b.jpg"]: [None, "board"]}
    assert send(share, "redo", {})["count"] == 2
    assert send(share, "redo", {})["count"] == 0


def test_two_windows_see_each_other(share: BoardShare, filled: Project):
    other, keys = BoardShare(PicturesView(filled)), keys_of(share)
    number = ask(other, "state.json")["number"]
    send(share, "decide", {"keys": [keys["c.gif"]], "value": "primary"})
    answer = ask(other, "changes.json", since=str(number))
    assert answer["values"] == {keys["c.gif"]: ["primary", "board"]}
    assert ask(other, "changes.json", since=str(answer["number"]))["values"] == {}
    history = ask(other, "history.json", key=keys["c.gif"])
    assert [row[1:] for row in history] == [["board", "primary"]]
    other.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"no json", b'{"keys": [], "value": "out"}', b'{"keys": ["x"], "value": "out"}',
     b'{"keys": [7], "value": "out"}', b'{"keys": "a", "value": "out"}', b"\xff"],
)  # fmt: skip
def test_odd_requests_are_refused(share: BoardShare, body: bytes):
    with pytest.raises(ValueError):
        post(share, "decide", body)


def test_unknown_choices_are_refused(share: BoardShare):
    key = keys_of(share)["a.png"]
    with pytest.raises(ValueError, match="'best' is not a choice"):
        send(share, "decide", {"keys": [key], "value": "best"})
    with pytest.raises(ValueError, match="accepts application/json"):
        post(share, "decide", b"{}", "text/plain")
    with pytest.raises(ValueError, match="since is not a number"):
        ask(share, "changes.json", since="-1")
    with pytest.raises(ToolError, match="LL141"):
        ask(share, "captions.json")
    for path in ("gone.json", "thumb/gone", "../reviews.db", ""):
        assert share.answer(PageRequest(path)).status == 404
    assert post(share, "gone", b"{}").status == 404


def test_the_page_has_no_script_within_it(share: BoardShare):
    for name in (PAGE_NAME, "board.js", "board.css"):
        answer = share.answer(PageRequest(name))
        assert answer.status == 200
        assert "script-src 'self'" in answer.policy
    page = share.answer(PageRequest(PAGE_NAME)).body.decode("utf-8")
    assert "onclick" not in page
    assert "<script>" not in page
    assert "style=" not in page


@pytest.mark.parametrize(("name", "kind"), [("a.png", "image/png"), ("c.gif", "image/gif")])
def test_pictures_are_shown(share: BoardShare, filled: Project, name: str, kind: str):
    key = keys_of(share)[name]
    for folder, shown, side in (("thumb", "image/jpeg", 320), ("large", "image/jpeg", 402)):
        answer = share.answer(PageRequest(f"{folder}/{key}"))
        assert (answer.content_type, answer.max_age_seconds > 0) == (shown, True)
        with Image.open(io.BytesIO(answer.body)) as opened:
            assert side - 3 <= max(opened.size) <= side
    whole = share.answer(PageRequest(f"picture/{key}"))
    assert whole.content_type == kind
    (source,) = filled.source_dir.glob(f"*/{name}")
    assert whole.body == source.read_bytes()


def test_thumbnails_are_made_once(filled: Project, tmp_path: Path):
    picture = filled.source_dir / "primary" / "a.png"
    first = read_thumbnail(tmp_path / "thumbs", "abc", picture)
    (kept,) = (tmp_path / "thumbs").rglob("*.jpg")
    assert kept.read_bytes() == first
    kept.write_bytes(b"as it was kept")
    assert read_thumbnail(tmp_path / "thumbs", "abc", picture) == b"as it was kept"


def test_facts_come_in_the_background(share: BoardShare, filled: Project):
    view = share.view
    assert isinstance(view, PicturesView)
    ask(share, "state.json")  # the first page begins it
    reported = {"items": []}

    def is_found() -> bool:
        reported.update(ask(share, "changes.json", since="0", facts="1"))
        return len(reported["items"]) == 3

    wait_until(is_found)
    assert {row[1]: row[2] for row in reported["items"]} == {
        "a.png": 400,
        "b.jpg": 401,
        "c.gif": 402,
    }
    view.stop()  # what was found is kept with it
    again = BoardShare(PicturesView(filled))
    assert [row[2] for row in ask(again, "state.json")["items"]] == [400, 401, 402]
    again.close()


def test_the_page_goes_before_the_background(share: BoardShare, monkeypatch: pytest.MonkeyPatch):
    view, waited = share.view, list[float]()
    now = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr("kohya_ext.project.decisions.board_view.time", now)
    until = SimpleNamespace(is_set=lambda: bool(waited), wait=waited.append)
    ask(share, "changes.json")  # a poll of an idle page holds nothing up
    view._wait_for_page(until)  # type: ignore[arg-type]
    assert waited == []
    ask(share, "state.json")
    view._wait_for_page(until)  # type: ignore[arg-type]
    assert waited == [0.3]


def test_new_pictures_come_to_an_open_board(share: BoardShare, filled: Project):
    facts = str(ask(share, "state.json")["facts"])
    Image.new("RGB", (30, 20), "teal").save(filled.source_dir / "primary" / "new.png")
    answer = ask(share, "changes.json", since="0", facts=facts)
    assert "new.png" in [row[1] for row in answer["items"]]
    number, key = str(answer["number"]), keys_of(share)["new.png"]
    assert share.answer(PageRequest(f"thumb/{key}")).status == 200
    (filled.source_dir / "out").mkdir()
    ask(share, "changes.json", since="0", facts=str(answer["facts"]))
    Image.new("RGB", (30, 20), "navy").save(filled.source_dir / "out" / "last.png")
    answer = ask(share, "changes.json", since=number, facts=str(answer["facts"]))
    assert "last.png" in [row[1] for row in answer["items"]]
    assert "out" in [value for value, _ in answer["values"].values()]


def test_an_undo_that_is_sent_again_counts_once(share: BoardShare):
    keys = keys_of(share)
    for value in ("primary", "out"):
        send(share, "decide", {"keys": [keys["c.gif"]], "value": value})
    assert send(share, "undo", {"request": "one"})["count"] == 1
    assert send(share, "undo", {"request": "one"})["count"] == 0
    assert ask(share, "state.json")["values"][keys["c.gif"]][0] == "primary"
    assert send(share, "redo", {"request": "two"})["count"] == 1
    assert send(share, "redo", {"request": "two"})["count"] == 0


def test_a_project_without_pictures_has_a_board(project: Project):
    share = BoardShare(PicturesView(project))
    assert ask(share, "state.json")["items"] == []
    share.close()


def test_a_project_has_one_board(filled: Project):
    boards = Boards()
    first = boards.open(filled.root)
    assert boards.open(filled.root / ".." / filled.root.name) is first
    assert ask(first, "captions.json")["prefix"] == "photo of Quillfox"
    boards.close()
    assert boards.open(filled.root) is not first
    boards.close()
