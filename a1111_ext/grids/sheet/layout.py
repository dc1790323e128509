"""Where everything stands on a contact sheet: pure arithmetic from labels and picture sizes.

Labels are wrapped, never cut: header and label columns grow until everything fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .lettering import Colour, Lettering

PAPER: Colour = (255, 255, 255)
INK: Colour = (28, 30, 34)
SOFT: Colour = (98, 104, 112)
LINE: Colour = (222, 225, 229)
EMPTY: Colour = (243, 244, 246)
ALARM: Colour = (171, 45, 36)
BADGE: Colour = (255, 214, 102)


@dataclass(frozen=True)
class SheetCell:
    """One place of the sheet: a picture of `size` pixels, or a note why there is none."""

    path: Path | None
    size: tuple[int, int] = (0, 0)
    note: str = ""


@dataclass(frozen=True)
class SheetSection:
    """A table of cells; `cells` has a row for each of `rows`, None where a rule skips a cell."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[SheetCell | None, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """A whole contact sheet: title, sections one under the other, and the legend."""

    title: str
    sections: tuple[SheetSection, ...]
    subtitle: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    column_axis: str = ""
    row_axis: str = ""
    badge: str = ""


@dataclass(frozen=True)
class PlacedText:
    """One line of text; `size` is the letters' height in pixels."""

    x: int
    y: int
    text: str
    size: int
    colour: Colour = INK
    bold: bool = False

    @property
    def bottom(self) -> int:
        return self.y + 2 * self.size


@dataclass(frozen=True)
class PlacedBox:
    """A filled rectangle."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour

    @property
    def bottom(self) -> int:
        return self.y + self.height


@dataclass(frozen=True)
class PlacedPicture:
    """A picture file, drawn `width` x `height` pixels large."""

    x: int
    y: int
    width: int
    height: int
    path: Path

    @property
    def bottom(self) -> int:
        return self.y + self.height


@dataclass(frozen=True)
class SheetPlan:
    """A sheet as drawing orders, all sorted by `y`."""

    width: int
    height: int
    texts: tuple[PlacedText, ...]
    boxes: tuple[PlacedBox, ...]
    pictures: tuple[PlacedPicture, ...]


def plan_sheet(
    sheet: Sheet, *, max_cell_pixels: int | None = None, folders: Sequence[Path] | None = None
) -> SheetPlan:
    """Place title, labels, pictures and legend.

    Pictures larger than `max_cell_pixels` on their longer side are drawn smaller. `folders` are
    the folders to take fonts from (default: the system's).
    """
    return _SheetPlanner(_shrunk(sheet, max_cell_pixels), folders).plan()


def _shrunk(sheet: Sheet, limit: int | None) -> Sheet:
    if limit is None:
        return sheet

    def shrink(cell: SheetCell | None) -> SheetCell | None:
        if cell is None or max(cell.size) <= limit:
            return cell
        factor = limit / max(cell.size)
        width, height = (max(1, round(side * factor)) for side in cell.size)
        return replace(cell, size=(width, height))

    sections = tuple(
        replace(one, cells=tuple(tuple(map(shrink, row)) for row in one.cells))
        for one in sheet.sections
    )
    return replace(sheet, sections=sections)


class _SheetPlanner:
    """Collects drawing orders from top to bottom."""

    def __init__(self, sheet: Sheet, folders: Sequence[Path] | None) -> None:
        self._sheet = sheet
        self._slot = _usual_size(sheet)
        size = round(sum(self._slot) / 2 / 24)
        self._size = max(13, min(44, size))
        self._text = Lettering(self._size, folders=folders)
        self._bold = Lettering(self._size, bold=True, folders=folders)
        self._small = Lettering(max(12, round(self._size * 0.82)), folders=folders)
        self._heading = Lettering(round(self._size * 1.55), bold=True, folders=folders)
        self._folders = folders
        self._gap = max(4, round(min(self._slot) / 64))
        self._margin = max(16, self._size)
        self._texts: list[PlacedText] = []
        self._boxes: list[PlacedBox] = []
        self._pictures: list[PlacedPicture] = []

    def plan(self) -> SheetPlan:
        labels = self._label_width()
        widths = [self._column_widths(one) for one in self._sheet.sections]
        tables = [labels + sum(w) + self._gap * len(w) for w in widths]
        width = 2 * self._margin + max([*tables, 24 * self._size])
        top = self._header(self._margin, width)
        for section, columns in zip(self._sheet.sections, widths, strict=True):
            top = self._section(section, columns, labels, top)
        return SheetPlan(
            width,
            top + self._margin,
            tuple(sorted(self._texts, key=lambda one: one.y)),
            tuple(sorted(self._boxes, key=lambda one: one.y)),
            tuple(sorted(self._pictures, key=lambda one: (one.y, one.x))),
        )

    # -- sizes ----------------------------------------------------------------------------

    def _label_width(self) -> int:
        """Return the width of the column of row labels, with the space to its right."""
        rows = [label for one in self._sheet.sections for label in one.rows]
        lines = [line for label in (*rows, self._sheet.row_axis) for line in label.splitlines()]
        widest = max([self._bold.width(line) for line in lines], default=0)
        if not widest:
            return 0
        limit = max(11 * self._size, round(0.75 * self._slot[0]))
        return min(widest, limit) + 2 * self._gap + self._size // 2

    def _column_widths(self, section: SheetSection) -> list[int]:
        return [
            max(
                self._slot[0] if not section.cells else 0,
                *(_width(row[index]) or self._slot[0] // 2 for row in section.cells),
                min(self._bold.width(label), 7 * self._size),
            )
            for index, label in enumerate(section.columns)
        ]

    # -- parts ----------------------------------------------------------------------------

    def _header(self, top: int, width: int) -> int:
        room = width - 2 * self._margin
        if self._sheet.badge:
            room -= self._badge(top, width)
        top = self._lines(self._heading, self._sheet.title, self._margin, top, room, bold=True)
        top = self._lines(self._text, self._sheet.subtitle, self._margin, top, room, SOFT)
        readable = min(width - 2 * self._margin, max(1200, 60 * self._size))
        if self._sheet.legend:
            top += self._gap
            keys = min(
                max(self._small.width(key) for key, _ in self._sheet.legend), 14 * self._size
            )
            top = self._legend(top, keys + self._size, readable)
        return top + self._size

    def _badge(self, top: int, width: int) -> int:
        wide = self._bold.width(self._sheet.badge) + self._size
        height = round(self._size * 1.7)
        left = width - self._margin - wide
        self._boxes.append(PlacedBox(left, top, wide, height, BADGE))
        self._put(
            self._bold, self._sheet.badge, left + self._size // 2, top + self._size // 5, INK, True
        )
        return wide + self._size

    def _legend(self, top: int, keys: int, width: int) -> int:
        for key, value in self._sheet.legend:
            key_end = self._lines(self._small, key, self._margin, top, keys, SOFT)
            room = max(width - keys, 8 * self._size)
            top = max(key_end, self._lines(self._small, value, self._margin + keys, top, room))
        return top

    def _section(self, section: SheetSection, columns: list[int], labels: int, top: int) -> int:
        if section.title:
            room = max(sum(columns) + labels, 20 * self._size)
            top = self._lines(self._heading, section.title, self._margin, top, room, bold=True)
            top += self._gap
        left = self._margin + labels
        top = self._column_labels(section, columns, labels, top)
        for label, cells in zip(section.rows, section.cells, strict=True):
            top = self._row(label, cells, columns, left, labels, top)
        return top + self._size

    def _column_labels(
        self, section: SheetSection, columns: list[int], labels: int, top: int
    ) -> int:
        wrapped = [
            self._bold.wrap(label, width)
            for label, width in zip(section.columns, columns, strict=True)
        ]
        axes = self._axis_names(labels)
        count = max(len(axes), *(len(lines) for lines in wrapped), 0)
        bottom = top + count * self._bold.line_height
        for index, line in enumerate(axes):
            y = bottom - (len(axes) - index) * self._bold.line_height
            self._put(self._small, line, self._margin, y, SOFT)
        x = self._margin + labels
        for lines, width in zip(wrapped, columns, strict=True):
            for index, line in enumerate(lines):
                y = bottom - (len(lines) - index) * self._bold.line_height
                middle = x + (width - self._bold.width(line)) // 2
                self._put(self._bold, line, max(x, middle), y, INK, True)
            x += width + self._gap
        return bottom + self._gap

    def _axis_names(self, labels: int) -> tuple[str, ...]:
        rows, columns = self._sheet.row_axis, self._sheet.column_axis
        marked = (f"{columns} →" if columns else "", f"{rows} ↓" if rows else "")
        text = "\n".join(filter(None, marked))
        return self._small.wrap(text, max(labels - self._gap, 4 * self._size)) if labels else ()

    def _row(
        self,
        label: str,
        cells: tuple[SheetCell | None, ...],
        columns: list[int],
        left: int,
        labels: int,
        top: int,
    ) -> int:
        wrapped = self._bold.wrap(label, labels - self._gap - self._size // 2) if labels else ()
        height = max(
            [cell.size[1] for cell in cells if cell is not None] or [self._slot[1] // 2],
        )
        if all(cell is None or cell.path is None for cell in cells):
            height = max(height, min(self._slot))
        height = max(height, len(wrapped) * self._bold.line_height)
        self._boxes.append(PlacedBox(self._margin, top - self._gap // 2, labels, 1, LINE))
        for index, line in enumerate(wrapped):
            y = top + index * self._bold.line_height
            self._put(self._bold, line, self._margin, y, INK, True)
        x = left
        for cell, width in zip(cells, columns, strict=True):
            if cell is not None:
                self._cell(cell, x, top, width, height)
            x += width + self._gap
        return top + height + self._gap

    def _cell(self, cell: SheetCell, x: int, y: int, width: int, height: int) -> None:
        if cell.path is not None:
            wide, high = cell.size
            self._pictures.append(PlacedPicture(x + (width - wide) // 2, y, wide, high, cell.path))
            return
        high = min(height, max(self._slot[1], self._size * 4))
        self._boxes.append(PlacedBox(x, y, width, high, EMPTY))
        self._note(cell.note, x, y, width, high)

    def _note(self, note: str, x: int, y: int, width: int, height: int) -> None:
        """Say why a picture is missing, as large as fits; the page has the whole sentence."""
        pad = max(3, self._gap)
        for size in range(self._size, 7, -2):
            face = Lettering(size, folders=self._folders)
            lines = face.wrap(note, width - 2 * pad)
            room = (height - 2 * pad) // face.line_height
            if len(lines) <= room or size <= 9:
                break
        for index, line in enumerate(lines[: max(1, room)]):
            self._put(face, line, x + pad, y + pad + index * face.line_height, ALARM)

    # -- text -----------------------------------------------------------------------------

    def _lines(
        self,
        face: Lettering,
        text: str,
        x: int,
        top: int,
        width: int,
        colour: Colour = INK,
        bold: bool = False,
    ) -> int:
        for line in face.wrap(text, width) if text else ():
            self._put(face, line, x, top, colour, bold)
            top += face.line_height
        return top

    def _put(
        self, face: Lettering, line: str, x: int, y: int, colour: Colour, bold: bool = False
    ) -> None:
        if line.strip():
            self._texts.append(PlacedText(x, y, line, face.size, colour, bold))


def _width(cell: SheetCell | None) -> int:
    return cell.size[0] if cell is not None else 0


def _usual_size(sheet: Sheet) -> tuple[int, int]:
    """Return the commonest picture size, or 256 x 256 when there is no picture."""
    counts: dict[tuple[int, int], int] = {}
    for section in sheet.sections:
        for row in section.cells:
            for cell in row:
                if cell is not None and cell.path is not None:
                    counts[cell.size] = counts.get(cell.size, 0) + 1
    return max(counts, key=lambda size: (counts[size], size)) if counts else (256, 256)
