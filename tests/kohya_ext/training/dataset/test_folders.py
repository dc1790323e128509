"""Training folders as sd-scripts reads them, and the facts that are kept of their pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path, PureWindowsPath

import pytest
from PIL import Image

from kohya_ext.project import Progress
from kohya_ext.training.dataset import folders
from kohya_ext.training.dataset.folders import (
    CaptionState,
    DecodedPicture,
    Skip,
    caption_of,
    dataset_hash,
    dataset_rows,
    default_cache,
    folders_above,
    inspect_caption,
    inspect_pictures,
    other_extension,
    read_folders,
)


def picture(path: Path, colour: str = "red", *, turned: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    kind = "BMP" if path.suffix == ".bmp" else "PNG"
    Image.new("RGB", (8, 6), colour).save(path, kind, exif=exif)
    return path


@pytest.mark.parametrize(
    ("name", "repeats", "class_tokens"),
    [("1_Mira", 1, "Mira"), ("12_Mira woman_x", 12, "Mira woman_x"), ("5_", 5, "")],
)
def test_repeats_and_class_tokens_are_in_the_name(
    tmp_path: Path, name: str, repeats: int, class_tokens: str
):
    one = picture(tmp_path / name / "one.png")
    reading = read_folders(tmp_path)
    assert reading.folders == (folders.TrainingFolder(one.parent, repeats, class_tokens, (one,)),)
    assert (reading.skipped, reading.pictures) == ((), (one,))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Mira", Skip.NO_NUMBER),
        ("Mira_5", Skip.NO_NUMBER),
        ("_5", Skip.NO_NUMBER),
        ("5", Skip.NO_UNDERSCORE),
        ("5 Mira", Skip.NO_UNDERSCORE),
        ("0_Mira", Skip.ZERO),
        ("-1_Mira", Skip.ZERO),
    ],
)
def test_a_folder_is_skipped_for_its_name(tmp_path: Path, name: str, why: Skip):
    picture(tmp_path / name / "one.png")
    trained = picture(tmp_path / "zz" / "one.png").parent.rename(tmp_path / "9_z")
    reading = read_folders(tmp_path)
    assert reading.skipped == ((tmp_path / name, why),)
    assert [one.path for one in reading.folders] == [trained]


def test_a_folder_without_pictures_of_its_own_is_skipped(tmp_path: Path):
    picture(tmp_path / "1_nested" / "deep" / "er" / "one.png")
    (tmp_path / "2_texts").mkdir()
    (tmp_path / "2_texts" / "one.txt").write_text("a fox", encoding="utf-8")
    (tmp_path / "3_named" / "folder.png").mkdir(parents=True)
    assert read_folders(tmp_path).skipped == (
        (tmp_path / "1_nested", Skip.NESTED),
        (tmp_path / "2_texts", Skip.NO_PICTURES),
        (tmp_path / "3_named", Skip.NO_PICTURES),
    )


def test_pictures_are_loose_or_unread_or_hidden(tmp_path: Path):
    picture(tmp_path / ".5_hidden" / "one.png")
    loose = picture(tmp_path / "1 loose.png")
    (tmp_path / "notes.txt").write_text("a fox", encoding="utf-8")
    folder = tmp_path / "5_Mira"
    picture(folder / ".hidden.png")
    taken = (picture(folder / "LOUD.PNG"), picture(folder / "one.png"))
    unread = (picture(folder / "Mixed.Png"), picture(folder / "two.gif"))
    (folder / "one.txt").write_text("a fox", encoding="utf-8")
    (folder / "a folder.png").mkdir()
    reading = read_folders(tmp_path)
    assert (reading.loose, reading.unread, reading.pictures) == ((loose,), unread, taken)


def test_draws_are_pictures_times_repeats(tmp_path: Path):
    for name in ("5_a/1.png", "5_a/2.png", "1_b/1.png", "1_b/2.png", "1_b/3.png"):
        picture(tmp_path / name)
    assert read_folders(tmp_path).draws == 13


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    read = folders.read_picture

    def reading(path: Path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(folders, "read_picture", reading)
    return names


def test_each_picture_is_decoded_with_its_facts(tmp_path: Path):
    upright = picture(tmp_path / "a.png")
    turned = picture(tmp_path / "b.png", turned=True)
    broken = tmp_path / "c.png"
    broken.write_bytes(b"not a picture")
    facts = inspect_pictures([upright, turned, broken], cache=tmp_path / "facts.json")
    assert [(one.path, one.width, one.height, one.is_upright) for one in facts[:1]] == [
        (upright, 8, 6, True)
    ]
    assert [one.is_upright for one in facts] == [True, False, True]
    assert [bool(one.problem) for one in facts] == [False, False, True]
    assert (facts[2].width, facts[2].height, facts[2].size_bytes) == (0, 0, 13)


def test_progress_counts_every_picture(tmp_path: Path):
    paths = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", "blue")]
    progress: list[Progress] = []
    inspect_pictures(paths, cache=tmp_path / "facts.json", progress=progress.append)
    assert progress == [
        Progress("Looking at pictures", 1, 2, "a.png"),
        Progress("Looking at pictures", 2, 2, "b.png"),
    ]


def test_only_what_changed_is_decoded_again(tmp_path: Path, decoded: list[str]):
    cache = tmp_path / "facts.json"
    names = ("a.bmp", "b.bmp", "c.bmp", "d.bmp")  # all of one size
    colours = ("red", "blue", "green", "grey")
    paths = [picture(tmp_path / name, colour) for name, colour in zip(names, colours, strict=True)]
    first = inspect_pictures(paths, cache=cache)
    assert sorted(decoded) == list(names)
    decoded.clear()
    assert inspect_pictures(paths, cache=cache) == first
    picture(paths[1], "white")
    os.utime(paths[1], (1, 1))  # earlier than before
    picture(paths[2], "black")
    os.utime(paths[2], (9e9, 9e9))  # later
    paths[3].write_bytes(b"another size")
    os.utime(paths[3], ns=(first[3].modified, first[3].modified))
    again = inspect_pictures(paths, cache=cache)
    assert sorted(decoded) == list(names[1:])
    assert again[0] == first[0]


def test_the_same_content_under_another_name_is_known(tmp_path: Path, decoded: list[str]):
    cache = tmp_path / "facts.json"
    (before,) = inspect_pictures([picture(tmp_path / "a.png")], cache=cache)
    moved = before.path.rename(tmp_path / "b.png")
    os.utime(moved, (1, 1))
    (after,) = inspect_pictures([moved], cache=cache)
    assert decoded == ["a.png"]
    assert (after.path, after.modified) == (moved, 1_000_000_000)
    assert (after.sha256, after.size_bytes, after.width) == (before.sha256, before.size_bytes, 8)


def test_facts_are_written_when_a_picture_comes_or_goes(tmp_path: Path):
    cache = tmp_path / "facts.json"
    paths = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", "blue")]

    def kept() -> list[str]:
        return sorted(json.loads(cache.read_text(encoding="utf-8"))["pictures"])

    for wanted in (paths[:1], paths, paths[1:]):
        inspect_pictures(wanted, cache=cache)
        assert kept() == [str(one) for one in wanted]
    os.utime(cache, (1, 1))
    inspect_pictures(paths[1:], cache=cache)
    assert cache.stat().st_mtime == 1  # nothing new, nothing written


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "pictures": []}',
        '{"format": 1, "pictures": {"a.png": 5}}',
        '{"format": 1, "pictures": {"a.png": [5]}}',
    ],
)
def test_facts_that_cannot_be_read_are_made_again(tmp_path: Path, decoded: list[str], content: str):
    cache = tmp_path / "facts.json"
    cache.write_text(content, encoding="utf-8")
    for _ in range(2):
        inspect_pictures([picture(tmp_path / "a.png")], cache=cache)
    assert decoded == ["a.png"]


@pytest.mark.parametrize("age", [0, 2])
def test_facts_of_another_age_are_made_again(tmp_path: Path, decoded: list[str], age: int):
    cache = tmp_path / "facts.json"
    one = picture(tmp_path / "a.png")
    inspect_pictures([one], cache=cache)
    cache.write_text(
        cache.read_text(encoding="utf-8").replace('"format": 1', f'"format": {age}'),
        encoding="utf-8",
    )
    inspect_pictures([one], cache=cache)
    assert decoded == ["a.png", "a.png"]


def test_each_dataset_keeps_its_own_facts(tmp_path: Path):
    mira, oren = tmp_path / "mira", tmp_path / "oren"
    of_mira = default_cache([mira / "1_a" / "one.png", mira / "2_b" / "two.png"])
    assert of_mira == default_cache([mira / "2_b" / "two.png", mira / "1_a" / "three.png"])
    assert of_mira != default_cache([oren / "1_a" / "one.png", oren / "2_b" / "two.png"])
    assert inspect_pictures([]) == ()


def test_a_dataset_may_lie_on_several_drives_of_windows():
    pictures = PureWindowsPath("D:/mira/images")
    found = folders_above(
        [pictures / "5_Mira", pictures / "2_Mira", PureWindowsPath("//nas/loras/women")]
    )
    assert found == (PureWindowsPath("//nas/loras/women"), pictures)


@pytest.mark.parametrize(
    ("name", "captions", "found"),
    [
        ("one.png", ["one.txt"], "one.txt"),
        ("one.png", ["one.caption"], None),
        ("one_2_3_4_5.png", ["one.txt"], "one.txt"),
        ("on_e_2_3_4_5.png", ["on_e.txt"], "on_e.txt"),
        ("one_2_3_4.png", ["one.txt", ".txt"], None),
        ("one_2_3_4_5.png", ["one.txt", "one_2_3_4_5.txt"], "one_2_3_4_5.txt"),
        ("one_2_3_4_5.png", ["one_2.txt"], None),
    ],
)
def test_a_caption_has_the_stem_or_the_stem_less_four_parts(
    tmp_path: Path, name: str, captions: list[str], found: str | None
):
    for one in captions:
        (tmp_path / one).write_text("a fox", encoding="utf-8")
    caption = caption_of(tmp_path / name, ".txt")
    assert (caption.name if caption else None) == found


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, CaptionState.MISSING),
        (b"", CaptionState.EMPTY),
        (b"a fox", CaptionState.FINE),
        (b"a f\xf6x", CaptionState.NOT_UTF8),
        (b"\xef\xbb\xbfa fox", CaptionState.MARKED),
    ],
)
def test_a_caption_is_what_the_trainer_meets(
    tmp_path: Path, content: bytes | None, state: CaptionState
):
    if content is not None:
        (tmp_path / "one.txt").write_bytes(content)
    assert inspect_caption(tmp_path / "one.png", ".txt") is state


def test_captions_with_another_extension_are_noticed(tmp_path: Path):
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    (tmp_path / "one.txt").write_text("a fox", encoding="utf-8")
    assert other_extension(paths, ".txt") is None
    assert other_extension(paths, ".caption") == ".txt"
    (tmp_path / "two.cap").write_text("a fox", encoding="utf-8")
    assert other_extension(paths, ".txt") == ".cap"


def fact(path: Path, sha256: str = "aa") -> DecodedPicture:
    return DecodedPicture(path, 1, 2, sha256, 8, 6, True, "")


def test_the_same_data_has_the_same_hash_anywhere(tmp_path: Path):
    for root in ("here", "there"):
        (tmp_path / root / "5_Mira").mkdir(parents=True)
        (tmp_path / root / "5_Mira" / "b.txt").write_text("a fox", encoding="utf-8")
    here, there = tmp_path / "here" / "5_Mira", tmp_path / "there" / "5_Mira"
    data = [fact(here / "a.png"), fact(here / "b.png")]
    same = dataset_hash(data, ".txt")
    assert same == dataset_hash([fact(there / "b.png"), fact(there / "a.png")], ".txt")
    other_folder = there.rename(there.with_name("6_Mira"))
    for changed in (
        [fact(here / "a.png"), fact(here / "c.png")],
        [fact(here / "a.png"), fact(here / "b.png", "bb")],
        [fact(other_folder / "a.png"), fact(other_folder / "b.png")],
    ):
        assert dataset_hash(changed, ".txt") != same
    (here / "a.txt").write_text("a fox", encoding="utf-8")
    assert dataset_hash(data, ".txt") != same


def test_a_row_of_the_record_has_the_hash_of_its_caption(tmp_path: Path):
    folder = tmp_path / "5_Mira"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"")
    rows = dataset_rows([fact(folder / "a.png"), fact(folder / "b.png")], ".txt")
    of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert rows == [
        {
            "name": f"5_Mira/{name}",
            "width": 8,
            "height": 6,
            "sha256": "aa",
            "caption_sha256": caption,
        }
        for name, caption in (("a.png", of_nothing), ("b.png", None))
    ]
