"""The hands-on way: a page to rate and arrange, larger pictures with their own checkpoint."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from shown import copied, draw_showcase

from a1111_ext.api.infotext import read_infotext
from a1111_ext.cells import Generated, Ledger, verify_picture
from a1111_ext.showcase.album import ShowPicture, read_album
from a1111_ext.showcase.picture_distance import make_distance
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import (
    Review,
    parse_review,
    read_review,
    write_review,
)
from a1111_ext.showcase.selection import SelectionOptions, plan_selection, read_selection
from a1111_ext.showcase.upscaling import UpscaleRequest, plan_upscales
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError
from kohya_ext.project.pictures import look_of, unlikeness

MANIFEST = """
showcase:
  template: "${framing={headshot|full body|close range}}{lora} photo of {trigger}, ${framing}"
  checkpoints: [simulated-a, simulated-b]
  count: 3
  picture: {width: 64, height: 72, steps: 2}
"""


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def first_shown(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_showcase(_first_project, tmp_path_factory.mktemp("shown"), MANIFEST)


@pytest.fixture
def shown(first_shown: Path, webui: SimulatedWebui, tmp_path: Path) -> Project:
    """A project whose showcase has six small pictures of two checkpoints."""
    return copied(first_shown, tmp_path, webui.url)


# -- what is kept -------------------------------------------------------------------------------

REVIEW = Review({"a.png": Rating.SHOWCASE, "b.png": Rating.DROP}, ("a.png",), ("a.png",))


def test_a_review_survives_its_file(project: Project):
    assert read_review(project) == Review()
    write_review(project, REVIEW)
    assert read_review(project) == REVIEW
    entry = project.journal.last("review")
    assert entry is not None
    assert entry.facts["order"] == ["a.png"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"kind": "other", "format": 1}',
        '{"kind": "loraloom-review", "format": 1, "ratings": {"../a": "1"}}',
        '{"kind": "loraloom-review", "format": 1, "ratings": {"a.png": "good"}}',
        '{"kind": "loraloom-review", "format": 1, "order": "a.png"}',
        '{"kind": "loraloom-review", "format": 1, "upscale": [3]}',
    ],
)
def test_reviews_that_are_refused(project: Project, text: str):
    with pytest.raises(ValueError, match=r"."):
        parse_review(text)
    project.showcase_dir.mkdir()
    (project.showcase_dir / "review.json").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL618"):
        read_review(project)


def pictures(*names: str, **changes: str) -> list[ShowPicture]:
    return [ShowPicture(f"{name}.png", 1, "a", "p", **changes) for name in names]


def test_a_persons_order_is_kept():
    """Even with two of one framing side by side: people win."""
    ratings = dict.fromkeys(("c.png", "a.png", "b.png"), Rating.SHOWCASE)
    options = SelectionOptions(ratings=ratings, order=("c.png", "a.png", "b.png"))
    selection = plan_selection(pictures("a", "b", "c", framing="head"), "", "", options)
    assert selection.files == ("c.png", "a.png", "b.png")


def test_an_order_without_all_kept_ones_is_made_again():
    album = [replace(one, framing=str(n)) for n, one in enumerate(pictures("a", "b", "c"))]
    options = SelectionOptions(
        ratings={"a.png": Rating.SHOWCASE}, order=("a.png",), kept=("c.png",)
    )
    assert set(plan_selection(album, "", "", options).files) == {"a.png", "c.png"}


def test_rated_ones_are_enough_unless_filled():
    ratings = {"a.png": Rating.SHOWCASE}
    album = [replace(one, framing=str(n)) for n, one in enumerate(pictures("a", "b", "c"))]
    rated = plan_selection(album, "", "", SelectionOptions(ratings=ratings))
    assert (rated.files, rated.left_out) == (("a.png",), {"not rated 1": 2})
    filled = plan_selection(album, "", "", SelectionOptions(ratings=ratings, fill=True))
    assert len(filled.files) == 3


def test_an_upscaled_picture_stands_for_its_small_one():
    album = pictures("small", "other", framing="x")
    album += [replace(album[0], file="large.png", upscaled_from="small.png", framing="y")]
    ratings = {"small.png": Rating.SHOWCASE}
    options = SelectionOptions(ratings=ratings, order=("small.png",))
    selection = plan_selection(album, "", "", options)
    assert selection.files == ("large.png",)
    assert selection.left_out == {"not rated 1": 1, "an upscaled version exists": 1}


# -- the command --------------------------------------------------------------------------------


def test_the_command_tells_the_review(shown: Project, capsys: pytest.CaptureFixture[str]):
    write_review(shown, REVIEW)
    capsys.readouterr()
    assert run("review", shown.root, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["pictures"], data["review"]["ratings"]) == (6, {"a.png": "1", "b.png": "drop"})
    assert data["hit_rate"]["total"]["rated"] == 0
    names = [one.file for one in read_album(shown)]
    write_review(shown, Review({names[0]: Rating.SHOWCASE, names[1]: Rating.DROP}))
    capsys.readouterr()
    assert run("review", shown.root, "--report") == 0
    assert "all  1 of 2  50%  9% to 91%  undecided" in capsys.readouterr().out


def test_without_pictures_there_is_nothing_to_tell(
    project: Project, capsys: pytest.CaptureFixture[str]
):
    assert run("review", project.root, "--json") == 1
    assert "LL617" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("select",), ("review", "--report"), ("publish",)])
def test_pictures_in_subfolders_are_named(
    shown: Project, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
):
    """But not those that we moved aside ourselves, and not hidden ones."""
    pictures = sorted(shown.showcase_dir.glob("*.png"))
    for place in ("damaged", ".cache", "best", "best/old", "c", "d"):
        folder = shown.showcase_dir / place
        folder.mkdir()
        (folder / "one.png").write_bytes(pictures[0].read_bytes())
    run(command[0], shown.root, *command[1:])
    assert "left out: 4 pictures in subfolders" in capsys.readouterr().err
    (shown.showcase_dir / "best" / "two.jpg").write_bytes(b"\xff\xd8")
    run(command[0], shown.root, *command[1:])
    said = capsys.readouterr().err
    assert f"left out: 5 pictures in subfolders of {shown.showcase_dir} (2 in best, " in said
    assert ", more in 1 other folder); move those to be shown into showcase itself" in said


def test_no_subfolder_no_sentence(shown: Project, capsys: pytest.CaptureFixture[str]):
    (shown.showcase_dir / "damaged").mkdir()
    (shown.showcase_dir / "damaged" / "one.png").write_bytes(b"\x89PNG")
    (shown.showcase_dir / "empty").mkdir()
    run("select", shown.root)
    assert "subfolders" not in capsys.readouterr().err


def test_a_saved_review_is_taken(shown: Project, tmp_path: Path):
    names = [one.file for one in read_album(shown)][:2]
    review = Review(dict.fromkeys(names, Rating.SHOWCASE), (), (names[1], names[0]))
    path = tmp_path / "review (1).json"
    data = {"kind": "loraloom-review", "format": 1, **review.as_dict()}
    path.write_text(json.dumps(data), encoding="utf-8")
    assert run("select", shown.root, "--ratings", path) == 0
    assert read_review(shown) == review
    assert [one.file for one in read_selection(shown)] == [names[1], names[0]]
    assert run("select", shown.root) == 0  # the project has kept it
    assert [one.file for one in read_selection(shown)] == [names[1], names[0]]


# -- larger pictures ----------------------------------------------------------------------------


def test_marked_pictures_are_drawn_larger(shown: Project, webui: SimulatedWebui):
    small = next(one for one in read_album(shown) if "simulated-b" in one.checkpoint)
    write_review(shown, Review({small.file: Rating.SHOWCASE}, (small.file,)))
    assert run("upscale", shown.root, "--scale", 1.5) == 0
    large = next(one for one in read_album(shown) if one.upscaled_from)
    assert large.upscaled_from == small.file
    assert (large.prompt, large.seed, large.framing) == (small.prompt, small.seed, small.framing)
    content = (shown.showcase_dir / large.file).read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (96, 112)
    infotext = read_infotext(content)
    assert f"Model hash: {small.checkpoint_sha256[:10]}" in infotext
    assert "Denoising strength: 0.3" in infotext
    with Ledger(shown.cells_db, shown.cells_dir) as ledger:
        record = ledger.record(large.key)
    assert record is not None
    asked = replace(record.cell, width=128)
    assert "size" in {
        one.what for one in verify_picture(asked, Generated(content, infotext, "", 0))
    }
    drawn = webui.host.counters.pictures
    assert run("upscale", shown.root, "--scale", 1.5) == 0
    assert webui.host.counters.pictures == drawn
    assert run("select", shown.root) == 0
    assert [one.file for one in read_selection(shown)] == [large.file]


def test_a_moved_project_upscales_nothing_twice(
    shown: Project, webui: SimulatedWebui, tmp_path: Path
):
    file = read_album(shown)[0].file
    assert run("upscale", shown.root, file) == 0
    moved = shown.root.rename(tmp_path / "moved")
    drawn = webui.host.counters.pictures
    assert run("upscale", moved, file) == 0
    assert webui.host.counters.pictures == drawn


def test_upscales_load_each_checkpoint_once(shown: Project, webui: SimulatedWebui):
    files = [one.file for one in read_album(shown)]
    before = webui.host.counters.checkpoint_loads
    mixed = [files[n] for n in (0, 3, 1, 4, 2, 5)]
    assert run("upscale", shown.root, *mixed) == 0
    assert webui.host.counters.checkpoint_loads - before <= 2
    assert sum(bool(one.upscaled_from) for one in read_album(shown)) == 6


def test_a_dry_run_shows_each_checkpoint(shown: Project, capsys: pytest.CaptureFixture[str]):
    file = read_album(shown)[0].file
    capsys.readouterr()
    assert run("upscale", shown.root, file, "--dry-run") == 0
    assert f"{file}: to 128x144 with simulated-a" in capsys.readouterr().out


def test_nothing_marked_is_said(shown: Project, capsys: pytest.CaptureFixture[str]):
    assert run("upscale", shown.root) == 1
    assert "LL629" in capsys.readouterr().err


def test_a_pictures_own_checkpoint_is_held_to(shown: Project, capsys: pytest.CaptureFixture[str]):
    """The WebUI has a file of the same name, but with another content."""
    one = read_album(shown)[0]
    records = shown.showcase_dir / "pictures.jsonl"
    text = records.read_text(encoding="utf-8").replace(one.checkpoint_sha256, "0" * 64)
    records.write_text(text, encoding="utf-8")
    assert run("upscale", shown.root, one.file) == 1
    assert "LL630" in capsys.readouterr().err


def test_an_unknown_upscaler_is_noticed(shown: Project, capsys: pytest.CaptureFixture[str]):
    file = read_album(shown)[0].file
    assert run("upscale", shown.root, file, "--upscaler", "Magic") == 1
    assert "LL410" in capsys.readouterr().err


def test_a_picture_of_the_users_is_read_off_its_infotext(shown: Project):
    """One that was drawn in the WebUI itself and put into showcase/ by hand."""
    known = read_album(shown)[0]
    (shown.showcase_dir / known.file).rename(shown.showcase_dir / "mine.png")
    mine = next(one for one in read_album(shown) if one.file == "mine.png")
    with Ledger(shown.cells_db, shown.cells_dir) as ledger:
        (by_hand,) = plan_upscales(shown, [mine], ledger, UpscaleRequest())
        record = ledger.record(known.key)
    assert record is not None
    for name in ("prompt", "negative_prompt", "seed", "steps", "cfg_scale", "sampler"):
        assert getattr(by_hand.cell, name) == getattr(record.cell, name)
    assert by_hand.cell.checkpoint.title == "simulated-a"


def test_a_picture_without_infotext_is_not_upscaled(shown: Project):
    bare = ShowPicture("bare.png", 1, "", "")
    Image.new("RGB", (8, 8)).save(shown.showcase_dir / "bare.png")
    with (
        Ledger(shown.cells_db, shown.cells_dir) as ledger,
        pytest.raises(ToolError, match="LL624"),
    ):
        plan_upscales(shown, [bare], ledger, UpscaleRequest())


# -- likeness -----------------------------------------------------------------------------------


def scene(path: Path, seed: int) -> Image.Image:
    patches = random.Random(seed).randbytes(6 * 6 * 3)
    picture = Image.frombytes("RGB", (6, 6), patches).resize((96, 96), Image.Resampling.BICUBIC)
    picture.save(path)
    return picture


def test_copies_are_alike_and_others_are_not(tmp_path: Path):
    picture = scene(tmp_path / "a.png", 1)
    picture.resize((192, 192)).save(tmp_path / "large.png")
    picture.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "soft.png")
    scene(tmp_path / "other.png", 2)
    look = look_of(tmp_path / "a.png")
    assert unlikeness(look, look_of(tmp_path / "large.png")) < 0.05
    assert unlikeness(look, look_of(tmp_path / "soft.png")) < 0.05
    assert unlikeness(look, look_of(tmp_path / "other.png")) > 0.15


def test_each_picture_is_looked_at_once(tmp_path: Path):
    for number in range(3):
        scene(tmp_path / f"{number}.png", number)
    (tmp_path / "broken.png").write_bytes(b"")
    seen: list[int] = []
    distance = make_distance(tmp_path, 4, on_progress=lambda progress: seen.append(progress.done))
    for one in ("0.png", "1.png", "2.png", "broken.png"):
        for other in ("0.png", "1.png", "2.png"):
            distance(one, other)
    assert len(seen) == 4
    assert distance("broken.png", "0.png") == 1.0


def test_a_review_of_an_earlier_loraloom_moves_in(project: Project):
    project.showcase_dir.mkdir()
    data = {"kind": "loraloom-review", "format": 1, **REVIEW.as_dict()}
    (project.showcase_dir / "review.json").write_text(json.dumps(data), encoding="utf-8")
    assert read_review(project) == REVIEW
    newer = Review({"b.png": Rating.SHOWCASE}, (), ("b.png",))
    write_review(project, newer)
    assert read_review(project) == newer
    assert not (project.showcase_dir / "review.json").exists()
