"""Selection and order: people win, framings never stand side by side, files stay."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from promotions import promote_epoch

from a1111_ext.publish.promoted import require_promoted
from a1111_ext.showcase.album import Landing, ShowPicture, read_album
from a1111_ext.showcase.arrangement import (
    arrange,
    can_be_arranged,
    neighbours_alike,
    neighbours_of_one_checkpoint,
)
from a1111_ext.showcase.ratings import Rating, read_ratings, require_known
from a1111_ext.showcase.review import Review, write_review
from a1111_ext.showcase.selection import SelectionOptions, plan_selection, read_selection
from kohya_ext.cli import main
from kohya_ext.project import InputError, MissingError, Project, ToolError
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.status import read_status

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


def picture(number: int, framing: str = "", checkpoint: str = "a", lora: str = "q") -> ShowPicture:
    return ShowPicture(f"{number}.png", number, checkpoint, "p", framing=framing, lora=lora)


def album(*framings: str) -> list[ShowPicture]:
    return [picture(number, framing) for number, framing in enumerate(framings)]


def has_neighbours_alike(pictures: tuple[ShowPicture, ...]) -> bool:
    return any(one.framing and one.framing == other.framing for one, other in pairwise(pictures))


# -- order --------------------------------------------------------------------------------------


def clashes(pictures: Sequence[ShowPicture]) -> tuple[int, int]:
    return len(neighbours_alike(pictures)), len(neighbours_of_one_checkpoint(pictures))


@calm
@given(st.lists(st.sampled_from(["", "head", "upper", "full", "behind"]), max_size=24))
def test_equal_framings_touch_only_where_they_must(framings: list[str]):
    pictures = album(*framings)
    ordered = arrange(pictures)
    assert sorted(ordered, key=lambda one: one.seed) == pictures
    assert has_neighbours_alike(ordered) == (not can_be_arranged(framings))


KINDS = st.tuples(st.sampled_from(["", "head", "head", "full"]), st.sampled_from("aab"))


@calm
@given(st.lists(KINDS, max_size=6))
def test_no_order_has_fewer_clashes(kinds: list[tuple[str, str]]):
    pictures = [picture(n, framing, name) for n, (framing, name) in enumerate(kinds)]
    assert clashes(arrange(pictures)) == min(clashes(order) for order in permutations(pictures))


def test_many_pictures_are_arranged_in_time():
    kinds = [(("head", "head", "full")[n % 3], "aaab"[n % 4]) for n in range(24)]
    pictures = [picture(n, framing, name) for n, (framing, name) in enumerate(kinds)]
    assert clashes(arrange(pictures)) == (7, 11)


@calm
@given(st.lists(st.sampled_from(["head", "full", ""]), min_size=1, max_size=7))
def test_an_order_is_found_where_one_exists(framings: list[str]):
    exists = any(
        all(not a or a != b for a, b in pairwise(order)) for order in permutations(framings)
    )
    assert can_be_arranged(framings) == exists


def test_checkpoints_alternate_where_they_can():
    pictures = [picture(n, "", "ab"[n // 3]) for n in range(6)]
    assert "".join(one.checkpoint for one in arrange(pictures)) == "ababab"


def test_likeness_breaks_ties():
    distances = {("1.png", "0.png"): 0.1, ("2.png", "0.png"): 0.9}
    ordered = arrange(album("", "", ""), lambda one, other: distances.get((one, other), 0.5))
    assert [one.file for one in ordered] == ["0.png", "2.png", "1.png"]


# -- choice -------------------------------------------------------------------------------------


def choose(pictures: list[ShowPicture], **options: object):
    return plan_selection(pictures, "q", "", SelectionOptions(**options))  # type: ignore[arg-type]


def test_a_post_has_at_most_twenty():
    pictures = [picture(n, "hufb"[n % 4], "ab"[n % 2]) for n in range(60)]
    selection = choose(pictures)
    assert len(selection.chosen) == 18
    assert not has_neighbours_alike(tuple(one.picture for one in selection.chosen))
    assert selection.left_out == {"not needed": 42}


def test_all_checkpoints_and_framings_are_shown():
    pictures = [picture(n, "head", "a") for n in range(30)]
    pictures += [picture(40, "full", "b"), picture(41, "upper", "c")]
    chosen = choose(pictures).chosen
    assert {one.picture.file for one in chosen} >= {"40.png", "41.png"}
    assert len(chosen) == 5


def test_kept_pictures_are_in_and_dropped_ones_out():
    pictures = [picture(n, "hf"[n % 2]) for n in range(40)]
    selection = choose(pictures, kept=("39.png",), dropped=("0.png", "1.png"))
    assert "39.png" in selection.files
    assert not {"0.png", "1.png"} & set(selection.files)
    assert next(c.reason for c in selection.chosen if c.picture.file == "39.png") == "kept"
    assert selection.left_out["dropped"] == 2


def test_ratings_decide():
    pictures = [picture(n, "hfu"[n % 3]) for n in range(10)]
    ratings = {"0.png": Rating.FOLLOW_UP, "1.png": Rating.PLACED, "2.png": Rating.SHOWCASE}
    selection = choose(pictures, ratings=ratings, most=3)
    assert "2.png" in selection.files
    assert not {"0.png", "1.png"} & set(selection.files)
    assert selection.left_out["for a follow-up post"] == 1
    assert selection.left_out["already posted"] == 1


def test_the_command_line_goes_before_ratings():
    ratings = {"0.png": Rating.SHOWCASE}
    selection = choose(album("h", "f"), ratings=ratings, dropped=("0.png",))
    assert selection.files == ("1.png",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lora_weight": "0"}, "drawn with a weight of 0"),
        ({"lora_weight": "te=0:unet=0.0"}, "drawn with a weight of 0"),
        ({"prompt": "", "lora": ""}, "without generation data"),
        ({"is_grid": True}, "a grid of many pictures"),
    ],
    ids=["weight-0", "both-weights-0", "no-generation-data", "a-grid"],
)
def test_pictures_that_show_nothing_of_the_file_are_left_out(change: dict[str, Any], reason: str):
    pictures = [picture(0), replace(picture(1), **change)]
    assert choose(pictures).left_out == {reason: 1}
    if reason != "a grid of many pictures":
        with pytest.raises(ToolError, match="LL641"):
            choose(pictures, kept=("1.png",))
    else:
        assert choose(pictures, kept=("1.png",)).files == ("1.png", "0.png")


def test_a_weight_on_the_network_alone_counts():
    assert len(choose([replace(picture(0), lora_weight="0:0.8"), picture(1)]).chosen) == 2


def test_pictures_of_another_file_are_left_out():
    pictures = [picture(0), picture(1, lora="older")]
    assert choose(pictures).left_out == {"drawn with another file": 1}
    with pytest.raises(ToolError, match="LL617"):
        choose([picture(1, lora="older")])


def test_too_many_kept_are_refused():
    pictures = [picture(n, str(n)) for n in range(25)]
    with pytest.raises(ToolError, match="LL620"):
        choose(pictures, kept=tuple(one.file for one in pictures[:21]))


@pytest.mark.parametrize("rating", [Rating.SHOWCASE, None])
def test_eight_portraits_are_a_selection(rating: Rating | None):
    pictures = album(*["head"] * 8)
    ratings = {one.file: rating for one in pictures} if rating else {}
    assert len(choose(pictures, ratings=ratings).chosen) == 8


def test_kept_pictures_of_one_framing_are_all_in():
    selection = choose(album("head", "head", "head", "full"), kept=("0.png", "1.png", "2.png"))
    ordered = [one.picture for one in selection.chosen]
    assert len(ordered) == 4
    assert clashes(ordered)[0] == 1


@pytest.mark.parametrize("options", [{"kept": ("1.png",)}, {"ratings": {"1.png": Rating.SHOWCASE}}])
def test_a_kept_picture_of_another_file_ends_the_choice(options: dict[str, object]):
    with pytest.raises(InputError, match=r"1\.png.*\[LL641\]") as caught:
        choose([picture(0), picture(1, lora="older")], **options)
    assert "it has older" in str(caught.value)


def test_one_picture_is_not_kept_and_dropped():
    with pytest.raises(InputError, match=r"0\.png is in both --keep and --drop"):
        choose(album("head"), kept=("0.png",), dropped=("0.png",))


def test_the_file_is_known_by_its_hash():
    ours = replace(picture(0, lora="Quillfox-000003"), lora_hash="abc")
    others = [replace(picture(1), lora_hash="def")]
    kept = plan_selection([ours, *others], "q", "abc", SelectionOptions(kept=("0.png",)))
    assert kept.files == ("0.png",)
    with pytest.raises(MissingError, match="1 drawn under another name"):
        plan_selection([ours], "q", "abc", SelectionOptions())


def test_a_small_picture_rated_1_stays_when_its_large_one_is_dropped():
    large = replace(picture(1), upscaled_from="0.png")
    ratings = {"0.png": Rating.SHOWCASE, "1.png": Rating.DROP}
    assert choose([picture(0), large], ratings=ratings).files == ("0.png",)


def test_near_copies_are_chosen_once():
    pictures = album("", "", "")
    selection = plan_selection(
        pictures,
        "q",
        "",
        SelectionOptions(),
        lambda a, b: 0.01 if {a, b} == {"0.png", "1.png"} else 0.9,
    )
    assert set(selection.files) == {"0.png", "2.png"}
    assert selection.left_out == {"looks like another": 1}


# -- ratings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "picture,rating\na.png,1\nfolder/b.png,drop\nc.png,\n",
        "a.png,keep\nb.png,-1\n",
        '{"a.png": 1, "b.png": "x"}',
        '{"ratings": {"a.png": "1", "b.png": "reject"}, "other": 3}',
    ],
)
def test_ratings_are_read(tmp_path: Path, text: str):
    path = tmp_path / "ratings"
    path.write_text(text, encoding="utf-8-sig")
    assert read_ratings(path) == {"a.png": Rating.SHOWCASE, "b.png": Rating.DROP}


@pytest.mark.parametrize("text", ["a.png\n", "a.png,great\n", "{broken", '{"ratings": 3}'])
def test_unreadable_ratings_are_named(tmp_path: Path, text: str):
    path = tmp_path / "ratings"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL618"):
        read_ratings(path)


def test_pictures_are_found_by_path_or_stem():
    assert require_known(["showcase/a.png", "b"], ["a.png", "b.png"]) == ("a.png", "b.png")
    with pytest.raises(ToolError, match="LL619"):
        require_known(["c"], ["a.png"])


# -- the album and the command ------------------------------------------------------------------


def save_picture(project: Project, name: str, hash_: str, words: str = "portrait") -> None:
    stream = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text(
        "parameters",
        f"<lora:quillfox-v1:0.7> {words} of Quillfox\nNegative prompt: blurry\nSteps: 4, "
        f"Sampler: Euler a, Seed: 12, Size: 64x64, Model hash: 6ee29fced1, Model: tinyA, "
        f'Lora hashes: "quillfox-v1: {hash_}", Version: v1.10.1',
    )
    noise = random.Random(name).randbytes(16 * 16 * 3)
    Image.frombytes("RGB", (16, 16), noise).save(stream, "PNG", pnginfo=info)
    project.showcase_dir.mkdir(exist_ok=True)
    (project.showcase_dir / name).write_bytes(stream.getvalue())


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_pictures_of_other_formats_count(project: Project, form: str):
    save_picture(project, "mine.png", "abc123abc123")
    source = project.showcase_dir / "mine.png"
    with Image.open(source) as picture:
        exif = picture.getexif()
        text = str(picture.info["parameters"])
        exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode("utf-16-be")}
        picture.save(project.showcase_dir / f"mine.{form.lower()}", form, exif=exif)
    source.unlink()
    Image.new("RGB", (8, 8)).save(project.showcase_dir / "silent.jpg")
    mine, silent = read_album(project)
    assert (mine.file, mine.seed, mine.lora) == (f"mine.{form.lower()}", 12, "quillfox-v1")
    assert (silent.file, silent.prompt) == ("silent.jpg", "")
    assert read_status(project).showcase_pictures == 2


def test_pictures_that_the_user_put_there_count(project: Project):
    save_picture(project, "mine.png", "abc123abc123")
    (project.showcase_dir / "bare.png").write_bytes(b"no picture")
    (one,) = read_album(project)
    assert (one.file, one.seed, one.checkpoint, one.framing) == (
        "mine.png",
        12,
        "tinyA",
        "headshot",
    )
    assert (one.lora, one.lora_hash, one.lora_weight) == ("quillfox-v1", "abc123abc123", "0.7")


def test_a_landed_picture_is_noted_once(project: Project, tmp_path: Path):
    source = tmp_path / "cell.png"
    source.write_bytes(b"bytes")
    for _ in range(2):
        Landing(project).land(picture(1, "full"), source)
    assert read_album(project) == (picture(1, "full"),)
    assert (
        len((project.showcase_dir / "pictures.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    )


def test_a_landed_picture_has_its_thumbnail(project: Project, tmp_path: Path):
    Image.new("RGB", (640, 480)).save(tmp_path / "cell.png")
    one = replace(picture(2, "full"), key="ab12")
    Landing(project).land(one, tmp_path / "cell.png")
    (kept,) = (project.cache_dir / "thumbs").glob("*/*.jpg")
    assert kept.stem == one.key
    with Image.open(kept) as opened:
        assert opened.size == (320, 240)


def retell(project: Project, name: str, old: str, new: str) -> None:
    """Put other words into a picture's infotext."""
    path = project.showcase_dir / name
    with Image.open(path) as picture:
        text = str(picture.info["parameters"])
        picture.load()
        info = PngImagePlugin.PngInfo()
        assert old in text
        info.add_text("parameters", text.replace(old, new))
        picture.save(path, pnginfo=info)


def test_our_lora_is_found_behind_another(shown: Project, capsys: pytest.CaptureFixture[str]):
    retell(shown, "0.png", "<lora:quill", "<lora:detail:0.4> <lora:quill")
    retell(shown, "0.png", 'Lora hashes: "', 'Lora hashes: "detail: aaaabbbbcccc, ')
    assert main(["select", str(shown.root), "--keep", "0.png"]) == 0
    assert "0.png" in {one.file for one in read_selection(shown)}
    capsys.readouterr()


def test_a_kept_picture_without_our_hash_is_named(
    shown: Project, capsys: pytest.CaptureFixture[str]
):
    retell(shown, "0.png", "Lora hashes", "Other hashes")
    assert main(["select", str(shown.root), "--keep", "0.png"]) == 1
    said = capsys.readouterr().err
    assert "0.png" in said
    assert "the WebUI ignored it" in said


@pytest.fixture
def shown(project: Project) -> Project:
    promote_epoch(project)
    digest = require_promoted(project).autov3
    for number, words in enumerate(["portrait", "full body", "portrait", "from behind"]):
        save_picture(project, f"{number}.png", digest, words)
    return project


def test_select_writes_the_order(shown: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["select", str(shown.root), "--keep", "3", "--drop", "2.png"]) == 0
    with DecisionStore(shown.reviews_db) as store:
        data = store.values(DecisionKind.SELECTION)["showcase"]
    assert [one["file"] for one in data["pictures"]] == [one.file for one in read_selection(shown)]
    assert {one.file for one in read_selection(shown)} == {"0.png", "1.png", "3.png"}
    assert (shown.showcase_dir / "2.png").exists()
    entry = shown.journal.last("select")
    assert entry is not None
    assert entry.facts["pictures"] == 3
    assert "Next: loraloom publish" in capsys.readouterr().err


def test_a_drop_holds_until_somebody_decides_otherwise(
    shown: Project, capsys: pytest.CaptureFixture[str]
):
    def select(*words: str) -> set[str]:
        assert main(["select", str(shown.root), *words]) == 0
        return {one.file for one in read_selection(shown)}

    every = {"0.png", "1.png", "2.png", "3.png"}
    assert select("--drop", "2.png") == every - {"2.png"}
    assert "rating: 2.png: unrated -> drop" in capsys.readouterr().err
    assert select() == every - {"2.png"}
    assert select("--keep", "2.png") == every
    assert "rating: 2.png: drop -> unrated" in capsys.readouterr().err
    assert select() == every
    write_review(shown, Review({"1.png": Rating.DROP}))
    assert select() == every - {"1.png"}
    assert select("--keep", "1.png") == every
    assert select() == every


def test_a_dry_selection_writes_nothing(shown: Project, capsys: pytest.CaptureFixture[str]):
    def last_decision() -> int:
        with DecisionStore(shown.reviews_db) as store:
            return store.last_number()

    before = last_decision()
    assert main(["select", str(shown.root), "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pictures"]) == 4
    assert last_decision() == before


def test_unknown_names_are_refused(shown: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["select", str(shown.root), "--keep", "nothing"]) == 1
    assert "LL619" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        '{"kind": "other"}',
        '{"kind": "loraloom-selection"}',
        '{"kind": "loraloom-selection", "pictures": [{"file": "../x.png"}]}',
    ],
)
def test_an_unusable_selection_is_named(project: Project, text: str | None):
    if text is not None:
        project.showcase_dir.mkdir()
        (project.showcase_dir / "selection.json").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL622"):
        read_selection(project)
