"""The contact sheet: streamed PNG, JPEG and WebP in parts, labels that are never cut."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from a1111_ext.grids.sheet import contact_sheet, png_stream
from a1111_ext.grids.sheet.contact_sheet import SheetFormat, write_sheet
from a1111_ext.grids.sheet.layout import PAPER, Sheet, SheetCell, SheetSection, plan_sheet
from a1111_ext.grids.sheet.png_stream import PngStream
from kohya_ext.project import ToolError


def picture(folder: Path, name: str, colour: tuple[int, int, int], size=(64, 64)) -> SheetCell:
    path = folder / f"{name}.png"
    if not path.exists():
        Image.new("RGB", size, colour).save(path)
    return SheetCell(path, size)


@pytest.fixture
def sheet(tmp_path: Path) -> Sheet:
    red, blue = picture(tmp_path, "r", (200, 0, 0)), picture(tmp_path, "b", (0, 0, 200))
    failed = SheetCell(None, (64, 64), "the WebUI was gone")
    return Sheet(
        title="Quillfox: LoRA epoch × Seed",
        sections=(
            SheetSection(
                "CFG Scale 5", ("1", "2"), ("no LoRA", "fox-1"), ((red, blue), (blue, failed))
            ),
            SheetSection("CFG Scale 7", ("1", "2"), ("no LoRA",), ((red, None),)),
        ),
        legend=(("Prompt", "a photo of a fox"),),
        column_axis="Seed",
        row_axis="LoRA epoch",
        badge="simulated",
    )


def test_every_picture_stands_at_its_place(sheet: Sheet, tmp_path: Path):
    (path,) = write_sheet(sheet, tmp_path / "sheet.png")
    plan = plan_sheet(sheet)
    with Image.open(path) as image:
        assert image.size == (plan.width, plan.height)
        assert image.getpixel((0, 0)) == PAPER
        colours = [
            image.getpixel((one.x + one.width // 2, one.y + one.height // 2))
            for one in plan.pictures
        ]
    assert colours == [(200, 0, 0), (0, 0, 200), (0, 0, 200), (200, 0, 0)]


def test_parts_of_a_png_are_as_one(sheet: Sheet, tmp_path: Path, monkeypatch):
    """The band's height and a row kept on disk change nothing."""
    (whole,) = write_sheet(sheet, tmp_path / "a.png")
    monkeypatch.setattr(contact_sheet, "_BAND_BYTES", 1)
    monkeypatch.setattr(contact_sheet, "_ROW_IN_MEMORY_BYTES", 0)
    (parts,) = write_sheet(sheet, tmp_path / "b.png")
    with Image.open(whole) as one, Image.open(parts) as other:
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("form", [SheetFormat.JPEG, SheetFormat.WEBP])
def test_a_sheet_too_large_comes_in_parts(sheet, tmp_path, monkeypatch, form):
    plan = plan_sheet(sheet)
    monkeypatch.setattr(contact_sheet, "_CANVAS_PIXELS", plan.width * plan.height - 1)
    parts = write_sheet(sheet, tmp_path / "many.png", form=form)
    assert [path.name for path in parts] == [
        f"many-{number}{form.suffix}" for number in range(1, len(parts) + 1)
    ]
    assert len(parts) > 1


def test_a_cell_larger_than_the_format(sheet: Sheet, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "_CANVAS_PIXELS", 100)
    with pytest.raises(ToolError, match="LL501"):
        write_sheet(sheet, tmp_path / "x.png", form=SheetFormat.WEBP)
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\ncut"])
def test_a_damaged_picture_is_named(sheet: Sheet, tmp_path: Path, content: bytes):
    (tmp_path / "r.png").write_bytes(content)
    with pytest.raises(ToolError, match=r"r\.png cannot be read.*LL502"):
        write_sheet(sheet, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    "label",
    [
        "a very long label without end " * 12,
        "einsehrlangeswortohneleerzeichen" * 8,
        "狐の写真、夕日の中で" * 12,
        "صورة ثعلب عند الغروب " * 8,
        "смешной лис 🦊 на закате " * 8,
    ],
    ids=["long", "one word", "japanese", "arabic", "cyrillic"],
)
def test_labels_are_never_cut(tmp_path: Path, label: str):
    cell = picture(tmp_path, "r", (9, 9, 9))
    sheet = Sheet(label, (SheetSection(label, (label, "2"), (label,), ((cell, cell),)),))
    plan = plan_sheet(sheet)
    written = "".join(one.text for one in plan.texts).replace(" ", "")
    assert written.count(label.replace(" ", "")) >= 4
    assert max(one.bottom for one in plan.texts) <= plan.height + 2 * max(
        one.size for one in plan.texts
    )
    write_sheet(sheet, tmp_path / "sheet.png")


def test_smaller_cells_on_request(tmp_path: Path):
    cell = picture(tmp_path, "r", (9, 9, 9), (256, 128))
    sheet = Sheet("t", (SheetSection("", ("1",), ("a",), ((cell,),)),))
    (placed,) = plan_sheet(sheet, max_cell_pixels=64).pictures
    assert (placed.width, placed.height) == (64, 32)


def test_a_large_png_needs_little_memory(tmp_path: Path):
    """Sixteen times the cells, hardly more memory: Python's own part, without the decoder's."""

    def peak(count: int) -> int:
        cell = picture(tmp_path, "big", (1, 2, 3), (512, 512))
        row = (cell,) * count
        sheet = Sheet("t", (SheetSection("", ("x",) * count, ("y",) * count, (row,) * count),))
        tracemalloc.start()
        try:
            write_sheet(sheet, tmp_path / f"{count}.png")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(8) < 8 * peak(2)


def test_filters_with_and_without_numpy_say_the_same(monkeypatch: pytest.MonkeyPatch):
    noise = Image.effect_noise((60, 41), 80).convert("RGB")
    stripes = Image.new("RGB", (60, 41))
    for x in range(60):
        stripes.paste((x * 4, 9, 200 - x), (x, 0, x + 1, 41))

    def written(picture: Image.Image) -> bytes:
        stream = io.BytesIO()
        with PngStream(stream, 60, 41) as png:
            for top in (0, 1, 17, 40):
                bottom = {0: 1, 1: 17, 17: 40, 40: 41}[top]
                png.write(picture.crop((0, top, 60, bottom)))
        return stream.getvalue()

    for picture in (noise, stripes, stripes.rotate(90, expand=True).resize((60, 41))):
        with monkeypatch.context() as patch:
            quick = written(picture)
            patch.setattr(png_stream, "_numpy", lambda: None)
            plain = written(picture)
        for content in (quick, plain):
            with Image.open(io.BytesIO(content)) as opened:
                assert opened.tobytes() == picture.tobytes()
