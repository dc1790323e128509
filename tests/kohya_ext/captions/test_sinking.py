"""Imbue or extract: one decision per tag, presets as data, live effect, undo."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.captions.captioning import plan_captions, read_rules, staged_pictures
from kohya_ext.captions.desk import CaptionDesk, Source
from kohya_ext.captions.rules import CaptionRules
from kohya_ext.captions.sinking import (
    EXTRACT,
    IMBUE,
    TagPreset,
    built_in_presets,
    sound_choices,
    tag_presets,
)
from kohya_ext.captions.tag_table import count_tags, tag_table
from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, open_project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board import BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.files import sha256_of
from kohya_ext.project.server import PageRequest
from kohya_ext.project.settings import user_folder
from kohya_ext.project.tagging import Scores, tag_key, write_scores

GENERAL = {"solo": 0.9, "orange_fur": 0.8, "snow": 0.7, "closed_eyes": 0.6}


@pytest.fixture
def scored(project: Project) -> Project:
    folder = project.source_dir / "primary"
    folder.mkdir(parents=True)
    for number, name in enumerate("abc"):
        Image.new("RGB", (40, 40), (number, 3, 9)).save(folder / f"{name}.png")
    apply_layout(project, plan_layout(project))
    for path in project.images_dir.glob("*/*.png"):
        general = dict(GENERAL) if path.stem != "c" else {"solo": 0.9}
        write_scores(project.scores_dir, Scores(sha256_of(path), "m", {}, general, {}))
    return project


class Board:
    """Asks a board as its page does."""

    def __init__(self, share: BoardShare) -> None:
        self.share = share

    def get(self, path: str, **query: str) -> Any:
        return json.loads(self.share.answer(PageRequest(path, query)).body)

    def post(self, path: str, **data: Any) -> Any:
        request = PageRequest(path, {}, json.dumps(data).encode(), "application/json")
        return json.loads(self.share.answer(request).body)


@pytest.fixture
def board(scored: Project) -> Iterator[Board]:
    share = BoardShare(PicturesView(scored), lambda: CaptionDesk(scored))
    made = Board(share)
    made.get("state.json")
    yield made
    share.close()


def texts(project: Project) -> dict[str, str]:
    return {one.stem: one.read_text("utf-8").strip() for one in project.images_dir.glob("*/*.txt")}


def test_tags_are_counted_with_their_fate(board: Board):
    answer = board.get("tags.json")
    assert (answer["word"], answer["pictures"]) == ("Quillfox", 3)
    assert answer["rows"] == [
        ["solo", 3, EXTRACT, ""], ["closed eyes", 2, EXTRACT, ""],
        ["orange fur", 2, EXTRACT, ""], ["snow", 2, EXTRACT, ""],
    ]  # fmt: skip


def test_one_decision_changes_all_captions_and_is_undone(board: Board, scored: Project):
    board.get("captions.json")
    shown = board.post("tags/preview", values={"orange fur": IMBUE})
    assert shown["count"] == 2
    assert shown["shown"][0][1:] == [
        "photo of Quillfox, solo, orange fur, snow, closed eyes",
        "photo of Quillfox, solo, snow, closed eyes",
    ]
    assert texts(scored) == {}
    answer = board.post("tags/apply", values={"orange_fur": IMBUE})
    assert (answer["count"], answer["tags"]) == (1, True)
    assert {one["text"] for one in answer["captions"].values()} == {
        "photo of Quillfox, solo, snow, closed eyes", "photo of Quillfox, solo",
    }  # fmt: skip
    board.share._require_desk().close()
    assert texts(scored)["a"] == "photo of Quillfox, solo, snow, closed eyes"
    assert board.get("tags.json")["rows"][2] == ["orange fur", 2, IMBUE, "hand"]
    assert "orange fur" not in read_rules(scored).kept
    back = board.post("undo")
    assert back["captions"]
    board.share._require_desk().close()
    assert "orange fur" in texts(scored)["a"]
    assert board.post("redo")["count"] == 1


def test_a_later_caption_command_keeps_the_decision(board: Board, scored: Project):
    board.post("tags/apply", values={"snow": IMBUE})
    board.share._require_desk().close()
    scores = {place: Scores("p", "m", {}, GENERAL, {}) for place in staged_pictures(scored)}
    plan = plan_captions(scored, scores, read_rules(scored))
    assert all("snow" not in one.text for one in plan.captions)
    assert plan.edits == 0


def test_a_tag_can_be_kept_against_the_manifest(board: Board, scored: Project):
    text = scored.manifest_path.read_text("utf-8")
    scored.manifest_path.write_text(
        text.replace("undesired_tags: []", "undesired_tags: ['*fur', snow]"), "utf-8"
    )
    project = open_project(scored.root)
    share = BoardShare(PicturesView(project), lambda: CaptionDesk(project))
    other = Board(share)
    other.get("state.json")
    rows = {row[0]: row[2:] for row in other.get("tags.json")["rows"]}
    assert rows["orange fur"] == [IMBUE, "manifest"]
    other.post("tags/apply", values={"orange fur": EXTRACT})
    rows = {row[0]: row[2:] for row in other.get("tags.json")["rows"]}
    assert (rows["orange fur"], rows["snow"]) == ([EXTRACT, "hand"], [IMBUE, "manifest"])
    share.close()


def test_another_window_sees_the_change(board: Board, scored: Project):
    number = board.get("captions.json") and board.get("state.json")["number"]
    with DecisionStore(scored.reviews_db) as store:
        store.decide(DecisionKind.TAG, {"solo": IMBUE}, "other window")
    answer = board.get("changes.json", since=str(number))
    assert answer["tags"]
    assert all("solo" not in one["text"] for one in answer["captions"].values())


@pytest.mark.parametrize("values", [None, [], {}, {"a": "sink"}, {"a": 1}])
def test_what_is_no_decision_is_refused(board: Board, values: Any):
    with pytest.raises(ValueError, match="tag"):
        board.post("tags/apply", values=values)


def test_strange_values_in_the_store_say_nothing():
    assert sound_choices({"a": IMBUE, "b": 3, "c": "x", "d": None}) == {"a": IMBUE}


@pytest.mark.parametrize(
    ("kind", "sunk", "kept"),
    [
        ("person", ["brown eyes", "freckles", "dark skin", "1girl", "mole under eye"],
         ["long hair", "blonde hair", "closed eyes", "dress", "smile"]),
        ("creature", ["fox ears", "orange fur", "no humans"], ["snow", "spread wings", "sitting"]),
        ("object", ["still life", "vehicle focus"], ["table", "food focus"]),
        ("style", ["watercolor (medium)", "sketch"], ["1girl", "sky"]),
        ("character", ["blue eyes", "long hair", "fox ears"], ["skirt", "wet hair", "smile"]),
    ],
)  # fmt: skip
def test_presets_are_data_that_hold(kind: str, sunk: list[str], kept: list[str]):
    preset = next(one for one in built_in_presets() if one.name == kind)
    assert [tag for tag in sunk if not preset.sinks(tag)] == []
    assert [tag for tag in kept if preset.sinks(tag)] == []


def test_the_tutorials_tags_of_a_person_sink():
    from kohya_ext.captions.rules import parse_tags

    tutorial = "solo,small breasts,lips,brown eyes,dark-skinned female,nose,mole on breast,scar," \
               "teeth,thick eyebrows,very dark skin,collarbone,forehead,freckles"  # fmt: skip
    person = next(one for one in built_in_presets() if one.name == "person")
    assert [tag for tag in parse_tags(tutorial) if not person.sinks(tag)] == []


def test_own_lists_stand_beside_the_presets(scored: Project):
    (scored.root / "tag-lists").mkdir()
    (scored.root / "tag-lists" / "mine.txt").write_text("*fur, snow\n!snow", "utf-8")
    (user_folder() / "tag-lists").mkdir(parents=True)
    (user_folder() / "tag-lists" / "always.txt").write_text("solo", "utf-8")
    own = {one.name: one for one in tag_presets(scored)}
    assert {"person", "mine", "always"} <= set(own)
    assert own["mine"].decide(["orange fur", "snow", "sky"]) == {
        "orange fur": IMBUE, "snow": EXTRACT,
    }  # fmt: skip


def test_a_table_is_sorted_by_frequency():
    counts = count_tags([["a_tag", "b"], ["b"], []])
    rows = tag_table(counts, CaptionRules("", frozenset({"b"})), {})
    assert [tuple(one.as_list()) for one in rows] == [
        ("b", 2, IMBUE, "manifest"), ("a tag", 1, EXTRACT, ""),
    ]  # fmt: skip


def test_tokens_of_a_caption_are_counted(board: Board):
    count, is_exact = board.get("tokens.json", q="photo of Quillfox")
    assert (count, is_exact) == (3, False)


def test_ten_thousand_captions_follow_in_two_seconds(scored: Project):
    """Measured against a pass over the same tags in plain Python: a ratio, not a clock."""
    rng = random.Random(1)
    names = [f"tag_{number}_of_many" for number in range(2000)]
    desk = CaptionDesk(scored)
    place = desk._sources[next(iter(desk._sources))].place
    desk._sources = {
        str(number): Source("x", place, (), None, "", Scores(
            "p", "m", {}, dict.fromkeys(rng.sample(names, 30), 0.9), {}
        ))
        for number in range(10_000)
    }  # fmt: skip
    preset = TagPreset("x", "", tuple(f"tag_{number}_*" for number in range(0, 2000, 50)))
    values = preset.decide([*names])
    started = time.process_time()
    for source in desk._sources.values():
        for tag in source.scores.general:  # type: ignore[union-attr]
            tag_key(tag) in values  # noqa: B015
    plain = time.process_time() - started
    started = time.process_time()
    desk.choose_tags(values)
    found = desk.captions({})
    took = time.process_time() - started
    assert len(found) == 10_000
    assert took < 2.0 or took < 25 * plain


def test_the_command_reads_decisions(board: Board, scored: Project, capsys: Any):
    board.post("tags/apply", values={"solo": IMBUE})
    board.share._require_desk().close()
    assert main(["caption", str(scored.root), "--json"]) == 0
    assert "solo" not in capsys.readouterr().out


def test_the_files_lie_beside_their_pictures(board: Board, scored: Project):
    board.post("tags/apply", values={"solo": IMBUE})
    board.share._require_desk().close()
    assert sorted(texts(scored)) == ["a", "b", "c"]
    assert Path(scored.images_dir, ".captions.json").is_file()


@pytest.mark.parametrize("text", ["null", '{"captions": {"a": null}}', '{"a": 7}'])
def test_a_damaged_record_of_captions_is_named(scored: Project, capsys: Any, text: str):
    assert main(["caption", str(scored.root)]) == 0
    record = Path(scored.images_dir, ".captions.json")
    record.write_text(text, encoding="utf-8")
    assert main(["caption", str(scored.root)]) == 1
    assert ".captions.json is damaged" in capsys.readouterr().err
    assert record.read_text(encoding="utf-8") == text
