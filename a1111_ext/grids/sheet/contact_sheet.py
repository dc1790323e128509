"""The contact sheet as a file: PNG of any size within bounded memory; JPEG and WebP in parts.

A PNG is composed and compressed band by band; at most one row of cells is decoded at a time, in
memory while it is small and in a temporary file when it is not. JPEG and WebP need their whole
canvas in memory and end at 65,535 and 16,383 pixels a side: a larger sheet becomes several files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kohya_ext.project.errors import DamagedError, InputError
from kohya_ext.project.files import replacing
from kohya_ext.project.progress import Progress, ProgressHandler, silent

from .layout import PAPER, PlacedPicture, Sheet, SheetPlan, SheetSection, plan_sheet
from .lettering import Lettering
from .png_stream import PngStream

if TYPE_CHECKING:
    from PIL import Image

_BAND_BYTES = 2 << 20
_ROW_IN_MEMORY_BYTES = 32 << 20
_CANVAS_PIXELS = 120_000_000
_THREADS = max(1, min(4, os.cpu_count() or 1))


class SheetFormat(str, Enum):
    """The file formats of a contact sheet."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def suffix(self) -> str:
        return ".jpg" if self is SheetFormat.JPEG else f".{self.value}"

    @property
    def max_side(self) -> int:
        """Return the format's limit for width and height in pixels."""
        return {"png": 2**31 - 1, "jpeg": 65_535, "webp": 16_383}[self.value]


def write_sheet(
    sheet: Sheet,
    path: Path,
    *,
    form: SheetFormat = SheetFormat.PNG,
    quality: int = 90,
    max_cell_pixels: int | None = None,
    on_progress: ProgressHandler = silent,
    font_folders: Sequence[Path] | None = None,
) -> tuple[Path, ...]:
    """Write `sheet` to `path` (its suffix is set by `form`) and return the files written.

    JPEG and WebP become `NAME-1.jpg`, `NAME-2.jpg`, ... where one file cannot hold the sheet.
    Raises InputError for a cell that is too large for the format, DamagedError for a cell's
    picture that cannot be read, MachineError while writing.
    """
    path = path.with_suffix(form.suffix)

    def plan(part: Sheet) -> SheetPlan:
        return plan_sheet(part, max_cell_pixels=max_cell_pixels, folders=font_folders)

    if form is SheetFormat.PNG:
        _write_png(plan(sheet), path, sheet, on_progress, font_folders)
        return (path,)
    parts = _parts(sheet, lambda part: _fits(plan(part), form))
    written = []
    for number, part in enumerate(parts, start=1):
        name = path.name
        if len(parts) > 1:
            name = f"{path.stem}-{number}{form.suffix}"
            part = replace(part, title=f"{part.title} ({number} of {len(parts)})")
        _write_canvas(plan(part), path.with_name(name), form, quality, font_folders)
        written.append(path.with_name(name))
        on_progress(Progress("Contact sheet", number, len(parts)))
    return tuple(written)


# -- one band after the other -----------------------------------------------------------------


def _write_png(
    plan: SheetPlan,
    path: Path,
    sheet: Sheet,
    on_progress: ProgressHandler,
    folders: Sequence[Path] | None,
) -> None:
    lines = max(8, min(256, _BAND_BYTES // (3 * plan.width)))
    text = {"Title": sheet.title, "Software": "loraloom"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as stream,
        _Composer(plan, folders) as composer,
        PngStream(stream, plan.width, plan.height, text=text, threads=_THREADS) as png,
    ):
        for top, bottom in _bands(plan, lines):
            png.write(composer.band(top, bottom))
            on_progress(Progress("Contact sheet", bottom, plan.height))


def _bands(plan: SheetPlan, lines: int) -> Iterator[tuple[int, int]]:
    """Yield bands of at most `lines` that end where a row of pictures does.

    So no band touches two rows, and one row is in memory at a time.
    """
    ends = {max(one.bottom for one in row) for row in _rows_of(plan)} | {plan.height}
    top = 0
    for end in sorted(ends):
        while top < end:
            bottom = min(end, top + lines)
            yield top, bottom
            top = bottom


class _Composer:
    """Composes bands from top to bottom; holds the decoded rows that the band touches."""

    def __init__(self, plan: SheetPlan, folders: Sequence[Path] | None) -> None:
        self._plan = plan
        self._folders = folders
        self._faces: dict[tuple[int, bool], Lettering] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="decode")
        self._rows = _rows_of(plan)
        self._open: dict[int, _SheetRow] = {}

    def __enter__(self) -> _Composer:
        return self

    def __exit__(self, *_: object) -> None:
        for row in self._open.values():
            row.close()
        self._pool.shutdown(cancel_futures=True)

    def band(self, top: int, bottom: int) -> Image.Image:
        """Return the lines from `top` up to (not including) `bottom`."""
        from PIL import Image

        band = Image.new("RGB", (self._plan.width, bottom - top), PAPER)
        for box in self._plan.boxes:
            if box.y < bottom and box.bottom > top:
                area = (box.x, box.y - top, box.x + box.width, box.bottom - top)
                band.paste(box.colour, area)
        for index, pictures in enumerate(self._rows):
            self._paste_row(band, index, pictures, top, bottom)
        for text in self._plan.texts:
            if text.y - text.size < bottom and text.bottom > top:
                self._face(text.size, text.bold).draw(
                    band, text.x, text.y - top, text.text, text.colour
                )
        return band

    def _face(self, size: int, bold: bool) -> Lettering:
        if (size, bold) not in self._faces:
            self._faces[size, bold] = Lettering(size, bold=bold, folders=self._folders)
        return self._faces[size, bold]

    def _paste_row(
        self, band: Image.Image, index: int, pictures: list[PlacedPicture], top: int, bottom: int
    ) -> None:
        start, end = pictures[0].y, max(one.bottom for one in pictures)
        if end <= top:
            if index in self._open:
                self._open.pop(index).close()
                give_memory_back()
            return
        if start >= bottom:
            return
        if index not in self._open:
            self._open[index] = _SheetRow(pictures, self._pool)
        for picture, lines, first in self._open[index].lines(top, bottom):
            band.paste(lines, (picture.x, picture.y + first - top))  # what is outside is cut off


def _rows_of(plan: SheetPlan) -> list[list[PlacedPicture]]:
    rows: dict[int, list[PlacedPicture]] = {}
    for picture in plan.pictures:
        rows.setdefault(picture.y, []).append(picture)
    return [rows[y] for y in sorted(rows)]


class _SheetRow:
    """The decoded pictures of one row: in memory, or in a temporary file when they are many."""

    def __init__(self, pictures: list[PlacedPicture], pool: ThreadPoolExecutor) -> None:
        self._pictures = pictures
        self._images: list[Image.Image] = []
        self._file: BinaryIO | None = None
        size = sum(3 * one.width * one.height for one in pictures)
        if size <= _ROW_IN_MEMORY_BYTES:
            self._images = list(pool.map(_decode, pictures))
            return
        self._file = tempfile.TemporaryFile(prefix="loraloom-")  # noqa: SIM115 - closed by close()
        for start in range(0, len(pictures), _THREADS):
            for image in pool.map(_decode, pictures[start : start + _THREADS]):
                self._file.write(image.tobytes())
            give_memory_back()

    def close(self) -> None:
        self._images = []
        if self._file is not None:
            self._file.close()

    def lines(self, top: int, bottom: int) -> Iterator[tuple[PlacedPicture, Image.Image, int]]:
        """Give each picture, or its lines between `top` and `bottom`, and the first line's number.

        A picture in memory is given whole: cutting it would be one more copy.
        """
        offset = 0
        for index, one in enumerate(self._pictures):
            first, last = max(0, top - one.y), min(one.height, bottom - one.y)
            if first < last:
                if self._file is None:
                    yield one, self._images[index], 0
                else:
                    yield one, self._cut(one, offset, first, last), first
            offset += 3 * one.width * one.height

    def _cut(self, one: PlacedPicture, offset: int, first: int, last: int) -> Image.Image:
        from PIL import Image

        assert self._file is not None
        stride = 3 * one.width
        self._file.seek(offset + first * stride)
        data = self._file.read((last - first) * stride)
        return Image.frombytes("RGB", (one.width, last - first), data)


def give_memory_back() -> None:
    """Let the C library return freed pages: glibc keeps those of every decoding thread for long.

    Elsewhere there is nothing to do.
    """
    trim = _trimmer()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _trimmer() -> Callable[[int], int] | None:
    import ctypes

    if not sys.platform.startswith("linux"):
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library, such as musl
        return None
    return trim


def _decode(picture: PlacedPicture) -> Image.Image:
    """Decode one picture at the size that it has on the sheet, transparency on white."""
    from PIL import Image

    try:
        with Image.open(picture.path) as opened:
            opened.load()
            image = _opaque(opened)
    except (OSError, ValueError, SyntaxError) as error:
        raise DamagedError(
            "LL502",
            f"The picture {picture.path} cannot be read: {error}.",
            "Run the grid again; missing pictures are drawn again.",
        ) from error
    if image.size == (picture.width, picture.height):
        return image
    return image.resize((picture.width, picture.height), Image.Resampling.LANCZOS)


def _opaque(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, (*PAPER, 255))
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


# -- formats that need the whole canvas -------------------------------------------------------


def _fits(plan: SheetPlan, form: SheetFormat) -> bool:
    within = max(plan.width, plan.height) <= form.max_side
    return within and plan.width * plan.height <= _CANVAS_PIXELS


def _write_canvas(
    plan: SheetPlan,
    path: Path,
    form: SheetFormat,
    quality: int,
    folders: Sequence[Path] | None,
) -> None:
    from PIL import Image

    canvas = Image.new("RGB", (plan.width, plan.height), PAPER)
    lines = max(8, _BAND_BYTES // (3 * plan.width))
    with _Composer(plan, folders) as composer:
        for top in range(0, plan.height, lines):
            canvas.paste(composer.band(top, min(plan.height, top + lines)), (0, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    options: Mapping[str, object] = {"quality": quality}
    with replacing(path) as stream:
        canvas.save(stream, format=form.value.upper(), **options)


def _parts(sheet: Sheet, fits: Callable[[Sheet], bool]) -> list[Sheet]:
    """Split a sheet into parts that fit: by sections, then rows, then columns."""
    if fits(sheet):
        return [sheet]
    halves = _halves(sheet)
    if not halves:
        raise InputError(
            "LL501",
            "One cell of the contact sheet is too large for the file format.",
            "Write the sheet as PNG, or with smaller cells: --cell-pixels 1024.",
        )
    return [part for half in halves for part in _parts(half, fits)]


def _halves(sheet: Sheet) -> list[Sheet]:
    sections = sheet.sections
    if len(sections) > 1:
        middle = len(sections) // 2
        return [replace(sheet, sections=some) for some in (sections[:middle], sections[middle:])]
    if not sections:
        return []
    section = sections[0]
    if len(section.rows) > 1:
        return [replace(sheet, sections=(half,)) for half in _row_halves(section)]
    if len(section.columns) > 1:
        return [replace(sheet, sections=(half,)) for half in _column_halves(section)]
    return []


def _row_halves(section: SheetSection) -> tuple[SheetSection, SheetSection]:
    middle = len(section.rows) // 2
    first = replace(section, rows=section.rows[:middle], cells=section.cells[:middle])
    return first, replace(section, rows=section.rows[middle:], cells=section.cells[middle:])


def _column_halves(section: SheetSection) -> tuple[SheetSection, SheetSection]:
    middle = len(section.columns) // 2

    def half(part: slice) -> SheetSection:
        cells = tuple(row[part] for row in section.cells)
        return replace(section, columns=section.columns[part], cells=cells)

    return half(slice(None, middle)), half(slice(middle, None))
