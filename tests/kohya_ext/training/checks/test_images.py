"""Folders, pictures and captions that would end a run, or train as nobody meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from training_desk import Desk, codes

from kohya_ext.training.checks.findings import Level


def nothing_there(desk: Desk) -> None:
    desk.toml["train_data_dir"] = str(desk.root / "nowhere")


def empty_folder(desk: Desk) -> None:
    desk.empty()


def loose_pictures(desk: Desk) -> None:
    desk.empty()
    desk.picture("a.png")


def folder_called(name: str) -> Callable[[Desk], None]:
    def arrange(desk: Desk) -> None:
        desk.empty()
        desk.picture(f"{name}/a.png")

    return arrange


def folder_without_pictures(desk: Desk) -> None:
    desk.empty()
    (desk.images / "5_fox").mkdir()


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (nothing_there, "LL360"),
        (empty_folder, "LL361"),
        (loose_pictures, "LL362"),
        (folder_called("fox"), "LL363"),
        (folder_called("0_fox"), "LL364"),
        (folder_called("5fox"), "LL365"),
        (folder_without_pictures, "LL366"),
        (folder_called("5_fox/inner"), "LL367"),
    ],
    ids=["missing", "empty", "loose", "no number", "zero", "no underscore", "bare", "nested"],
)
def test_no_data_is_an_error_in_all_eight_ways(desk: Desk, arrange, code: str):
    arrange(desk)
    assert code in codes(desk.check())


def test_a_skipped_folder_beside_good_ones_is_a_warning(desk: Desk):
    desk.picture("fox/d.png")
    preflight = desk.check()
    assert codes(preflight) == []
    assert codes(preflight, Level.WARNING) == ["LL363"]


def test_an_empty_folder_ends_a_run_with_validation(desk: Desk):
    (desk.images / "3_fox").mkdir()
    assert codes(desk.check(), Level.WARNING) == ["LL366"]
    desk.toml["validation_split"] = 0.5
    assert codes(desk.check()) == ["LL366"]


def test_regularisation_pictures_double_the_draws(desk: Desk):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    for name in ("a", "b", "c"):
        desk.picture(f"../reg/1_fox/{name}.png")
    preflight = desk.check()
    assert codes(preflight) == []
    assert preflight.steps is not None
    assert (preflight.steps.draws, preflight.steps.steps_per_epoch) == (12, 12)


def test_captions_of_regularisation_pictures_are_read(desk: Desk):
    """One that is empty ends the run, as a real one did; none at all is usual."""
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    caption = desk.picture("../reg/1_fox/a.png").with_suffix(".txt")
    caption.write_bytes(b"")
    assert codes(desk.check()) == ["LL372"]
    caption.unlink()
    assert desk.check().findings == ()


def test_broken_regularisation_pictures_are_found(desk: Desk):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    desk.picture("../reg/1_fox/a.png").write_bytes(b"no picture")
    assert codes(desk.check()) == ["LL202"]


@pytest.mark.parametrize(("make", "code"), [(False, "LL360"), (True, "LL361")])
def test_a_regularisation_folder_without_pictures(desk: Desk, make: bool, code: str):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    if make:
        (desk.root / "reg").mkdir()
    assert codes(desk.check()) == [code]


def broken(desk: Desk) -> None:
    path = desk.picture("5_fox/d.png", (64, 64))
    path.write_bytes(path.read_bytes()[:60])


def text_called_png(desk: Desk) -> None:
    desk.picture("5_fox/d.png").write_text("no picture", encoding="utf-8")


def too_large_without_buckets(desk: Desk) -> None:
    desk.toml["enable_bucket"] = False
    desk.picture("5_fox/d.png", (200, 64))


def smaller_than_a_step(desk: Desk) -> None:
    desk.toml |= {"bucket_no_upscale": True}
    desk.picture("5_fox/d.png", (40, 64))


def too_flat_when_shrunk(desk: Desk) -> None:
    """576 x 448 at 64 x 64: sd-scripts would divide by zero, as a real run did."""
    desk.toml |= {"bucket_no_upscale": True}
    desk.picture("5_fox/d.png", (576, 448))


def empty_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes(b"")


def latin_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes("für".encode("latin-1"))


def other_captions(desk: Desk) -> None:
    desk.toml["caption_extension"] = ".caption"


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (broken, "LL202"),
        (text_called_png, "LL202"),
        (too_large_without_buckets, "LL369"),
        (smaller_than_a_step, "LL370"),
        (too_flat_when_shrunk, "LL370"),
        (empty_caption, "LL372"),
        (latin_caption, "LL259"),
        (other_captions, "LL374"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_picture_or_caption_that_would_end_the_run(desk: Desk, arrange, code: str):
    arrange(desk)
    assert codes(desk.check()) == [code]


def odd_suffix(desk: Desk) -> None:
    desk.picture("5_fox/d.PnG")


def sideways(desk: Desk) -> None:
    path = desk.images / "5_fox" / "d.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 64), (9, 9, 9)).save(path, exif=exif)
    path.with_suffix(".txt").write_text("a fox", encoding="utf-8")


def no_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").unlink()


def marked_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes(b"\xef\xbb\xbfa fox")


def shared_stem(desk: Desk) -> None:
    desk.picture("5_fox/a.bmp")


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (odd_suffix, "LL368"),
        (sideways, "LL371"),
        (no_caption, "LL373"),
        (marked_caption, "LL375"),
        (shared_stem, "LL203"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_still_trains_is_a_warning(desk: Desk, arrange, code: str):
    arrange(desk)
    preflight = desk.check()
    assert codes(preflight) == []
    assert codes(preflight, Level.WARNING) == [code]


def test_unchanged_pictures_are_not_decoded_again(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    desk.check()

    def decode(path: Path) -> None:
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("kohya_ext.training.dataset.folders.read_picture", decode)
    assert desk.check().findings == ()


@pytest.mark.parametrize(("count", "kept"), [(4, 1), (49, 12), (50, None), (51, None)])
def test_a_small_set_is_reported_what_validation_keeps_back(
    desk: Desk, count: int, kept: int | None
):
    desk.empty()
    for number in range(count):
        desk.picture(f"1_fox/{number}.png")
    desk.toml["validation_split"] = 0.25
    said = [one.problem for one in desk.check().warnings if one.code == "LL359"]
    assert [one.partition(" will")[0] for one in said] == (
        [f"{kept} of {count} pictures"] if kept else []
    )


def test_of_no_pictures_none_are_kept_back(desk: Desk):
    desk.empty()
    desk.toml["validation_split"] = 0.25
    assert "LL359" not in codes(desk.check(), Level.WARNING)


def test_regularisation_pictures_are_not_kept_back(desk: Desk):
    desk.toml |= {"reg_data_dir": str(desk.root / "reg"), "validation_split": 0.5}
    for name in ("a", "b", "c", "d"):
        desk.picture(f"../reg/1_fox/{name}.png")
    (said,) = (one.problem for one in desk.check().warnings if one.code == "LL359")
    assert said.startswith("1 of 3 pictures will be used for validation")
