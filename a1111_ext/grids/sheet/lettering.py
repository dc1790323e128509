"""Text on a picture in any script: system fonts where they have the letters, GNU Unifont where not.

Owns finding fonts, choosing one per stretch of text, measuring, breaking lines, drawing. Letters
that join or reorder (Arabic, Devanagari) are shaped where Pillow has Raqm; elsewhere they stand
side by side, legible but unjoined.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kohya_ext.project.home import home_folder

from .font_coverage import Ranges, read_coverage

if TYPE_CHECKING:
    from PIL import Image, ImageFont

Colour = tuple[int, int, int]

_PREFERRED = (
    "notosans-{}",
    "dejavusans{}",
    "segoeui{}",
    "sfns",
    "helveticaneue",
    "arial{}",
    "liberationsans-{}",
)
_STYLED = re.compile(
    r"bold|italic|oblique|mono|serif|condensed|light|thin|black|narrow|extra|medium|semi|display"
)
_NOT_LETTERS = re.compile(r"symbol|emoji|icon|math|dingbat|webdings|wingding|lastresort", re.I)
_SMALLEST_PIXELS = 8
_JOINERS = {"‌", "‍"}


class Face(Protocol):
    """One font at one size, able to draw some characters."""

    def covers(self, text: str) -> bool:
        """Tell whether every character of `text` can be drawn."""

    def length(self, text: str) -> float:
        """Return the width of `text` in pixels."""

    def draw(self, image: Image.Image, x: float, baseline: float, text: str, fill: Colour) -> None:
        """Draw `text` with its first letter at `x`."""


@dataclass(frozen=True)
class Stretch:
    """Characters of one line that one face draws."""

    face: Face
    text: str


class Lettering:
    """Measures and draws lines of text at one size; `size` is the letters' height in pixels."""

    def __init__(
        self, size: int, *, bold: bool = False, folders: Sequence[Path] | None = None
    ) -> None:
        self.size = max(_SMALLEST_PIXELS, size)
        self.line_height = round(self.size * 1.3)
        self._faces = _Faces(self.size, bold, font_folders() if folders is None else folders)

    def width(self, line: str) -> int:
        """Return the width of one line in pixels, rounded up."""
        return -int(-sum(one.face.length(one.text) for one in self._stretches(line)) // 1)

    def draw(self, image: Image.Image, x: float, top: float, line: str, fill: Colour) -> None:
        """Draw one line with its left upper corner at (x, top)."""
        baseline = top + self.size * 1.02
        for one in self._stretches(line):
            one.face.draw(image, x, baseline, one.text, fill)
            x += one.face.length(one.text)

    def wrap(self, text: str, width: int) -> tuple[str, ...]:
        """Break `text` into lines of at most `width` pixels: at spaces, else between letters.

        Nothing is left out; a single letter wider than `width` keeps a line of its own.
        """
        return tuple(
            line for part in text.splitlines() or [""] for line in self._wrap_line(part, width)
        )

    def _wrap_line(self, text: str, width: int) -> Iterator[str]:
        line = ""
        for piece in re.findall(r"\s*\S+", text) or [""]:
            if self.width(line + piece) <= width:
                line += piece
                continue
            if line:
                yield line
            line = piece.lstrip()
            while self.width(line) > width and len(_clusters(line)) > 1:
                head = self._longest_head(line, width)
                yield head
                line = line[len(head) :]
        yield line

    def _longest_head(self, text: str, width: int) -> str:
        """Return the longest start of `text` that fits, preferring to break after punctuation."""
        clusters = _clusters(text)
        low, high = 1, len(clusters) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.width("".join(clusters[:middle])) <= width:
                low = middle
            else:
                high = middle - 1
        for count in range(low, max(low - 8, 1), -1):
            if clusters[count - 1] in "-_.,:;/\\|>)]":
                return "".join(clusters[:count])
        return "".join(clusters[:low])

    @lru_cache(maxsize=4096)  # noqa: B019 - a Lettering lives as long as one sheet
    def _stretches(self, line: str) -> tuple[Stretch, ...]:
        line = unicodedata.normalize("NFC", line.expandtabs(2))
        line = "".join(c for c in line if unicodedata.category(c) != "Cc")
        whole = self._faces.for_all(line)
        if whole is not None:
            return (Stretch(whole, line),)
        stretches: list[Stretch] = []
        for cluster in _clusters(line):
            face = self._faces.for_cluster(cluster, stretches[-1].face if stretches else None)
            if stretches and stretches[-1].face is face:
                stretches[-1] = Stretch(face, stretches[-1].text + cluster)
            else:
                stretches.append(Stretch(face, cluster))
        return tuple(stretches)


def _clusters(text: str) -> list[str]:
    """Split into letters with their marks, so that no accent is torn from its letter."""
    clusters: list[str] = []
    for char in text:
        sticks = unicodedata.category(char).startswith("M") or char in _JOINERS
        if clusters and (sticks or clusters[-1][-1] in _JOINERS):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


# -- which fonts there are --------------------------------------------------------------------


def font_folders() -> tuple[Path, ...]:
    """Return the folders in which this system keeps its fonts."""
    home = home_folder()
    if os.name == "nt":
        windows = Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"
        own = os.environ.get("LOCALAPPDATA", str(home / "AppData/Local"))
        return (windows, Path(own) / "Microsoft/Windows/Fonts")
    if sys.platform == "darwin":
        return (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    shared = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    return (*shared, home / ".local/share/fonts", home / ".fonts")


@lru_cache(maxsize=8)
def _font_files(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    found = {
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in {".ttf", ".otf", ".ttc"}
    }
    return tuple(sorted(found))


def _rank(path: Path, bold: bool) -> tuple[int, int, str]:
    """Order fonts: the well-known plain ones first, then upright ones, symbols last."""
    name = path.stem.lower().replace(" ", "")
    for index, pattern in enumerate(_PREFERRED):
        regular = {pattern.format(end) for end in ("", "regular")}
        heavy = {pattern.format(end) for end in ("bold", "-bold", "b", "bd")}
        if name in (heavy if bold else regular):
            return (0, index, name)
    if _NOT_LETTERS.search(name):
        return (4, 0, name)
    if "cjk" in name and _STYLED.search(name.replace("notosans", "")) is None:
        return (1, 0, name)
    return (3 if _STYLED.search(name) else 2, 0, name)


@lru_cache(maxsize=4096)
def _coverage(path: Path) -> Ranges:
    return read_coverage(path)


def _has(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, 0x110000)) - 1
    return index >= 0 and ranges[index][0] <= code <= ranges[index][1]


class _Faces:
    """The faces of one size in order of preference; the last one has every letter or a box."""

    def __init__(self, size: int, bold: bool, folders: Iterable[Path]) -> None:
        files = _font_files(tuple(folders))
        self._files = sorted(files, key=lambda path: _rank(path, bold))
        self._size = size
        self._open: dict[Path, Face | None] = {}
        self._plain = _plain_face(size)
        self._last = UnifontFace(size)

    def for_all(self, text: str) -> Face | None:
        """Return one face for the whole text, so that it is shaped as one."""
        return next((face for face in self._candidates() if face.covers(text)), None)

    def for_cluster(self, cluster: str, previous: Face | None) -> Face:
        """Return a face for one letter, the previous one where it serves."""
        plain = previous is not None and not isinstance(previous, UnifontFace)
        if plain and previous is not None and previous.covers(cluster):
            return previous
        return self.for_all(cluster) or self._last

    def _candidates(self) -> Iterator[Face]:
        for path in self._files:
            if path not in self._open:
                self._open[path] = _open_face(path, self._size)
            face = self._open[path]
            if face is not None:
                yield face
        if self._plain is not None:
            yield self._plain


def _open_face(path: Path, size: int) -> Face | None:
    from PIL import ImageFont

    ranges = _coverage(path)
    if not ranges:
        return None
    try:
        return OutlineFace(ImageFont.truetype(str(path), size), ranges)
    except (OSError, ValueError):
        return None


def _plain_face(size: int) -> Face | None:
    """Return Pillow's own outline font (Pillow 10.1 and later), which has printable ASCII."""
    from PIL import ImageFont

    try:
        font = ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1, as in the WebUI, has a bitmap font only
        return None
    return OutlineFace(font, ((32, 126),)) if hasattr(font, "getlength") else None


class OutlineFace:
    """A TrueType or OpenType font."""

    def __init__(self, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, ranges: Ranges) -> None:
        self._font = font
        self._ranges = ranges

    def covers(self, text: str) -> bool:
        return all(_has(self._ranges, ord(char)) or char in _JOINERS for char in text)

    def length(self, text: str) -> float:
        return float(self._font.getlength(text))

    def draw(self, image: Image.Image, x: float, baseline: float, text: str, fill: Colour) -> None:
        from PIL import ImageDraw

        ImageDraw.Draw(image).text((x, baseline), text, font=self._font, fill=fill, anchor="ls")


class UnifontFace:
    """GNU Unifont as bitmaps, scaled by whole numbers: every letter of Unicode, plain but there."""

    _HEIGHT = 16
    _BASELINE = 14

    def __init__(self, size: int) -> None:
        self._scale = max(1, round(size / self._HEIGHT))

    def covers(self, text: str) -> bool:
        return all(unifont_glyph(ord(char)) is not None for char in text)

    def length(self, text: str) -> float:
        return sum(self._advance(char) for char in text)

    def _advance(self, char: str) -> int:
        if unicodedata.category(char) == "Cf":
            return 0
        glyph = unifont_glyph(ord(char)) or _BOX
        return 0 if glyph.is_mark else glyph.width * self._scale

    def draw(self, image: Image.Image, x: float, baseline: float, text: str, fill: Colour) -> None:
        from PIL import Image

        top = round(baseline) - self._BASELINE * self._scale
        for char in text:
            if unicodedata.category(char) == "Cf":
                continue
            glyph = unifont_glyph(ord(char)) or _BOX
            left = round(x) - (glyph.width * self._scale if glyph.is_mark else 0)
            mask = Image.frombytes("1", (glyph.width, self._HEIGHT), glyph.rows).convert("L")
            size = (glyph.width * self._scale, self._HEIGHT * self._scale)
            image.paste(fill, (left, top), mask.resize(size, Image.Resampling.NEAREST))
            x += self._advance(char)


@dataclass(frozen=True)
class Glyph:
    """One bitmap, 8 or 16 pixels wide, 16 high; a mark stands over the pixels before it."""

    width: int
    rows: bytes
    is_mark: bool = False


_MARK = 128
_BOX = Glyph(16, b"\x00\x00" + b"\x7f\xfe" + b"\x40\x02" * 11 + b"\x7f\xfe" + b"\x00\x00" * 2)


@lru_cache(maxsize=1)
def _unifont() -> tuple[bytes, array[int], array[int]]:
    """Return the glyph data, the sorted code points and where each glyph's rows begin."""
    import lzma

    packed = (resources.files(__package__) / "fonts" / "unifont.xz").read_bytes()
    data = lzma.decompress(packed)
    codes, places = array("I"), array("I")
    at = 0
    while at < len(data):
        codes.append(int.from_bytes(data[at : at + 3], "big"))
        places.append(at + 3)
        at += 4 + 2 * (data[at + 3] & ~_MARK)
    return data, codes, places


def unifont_glyph(code: int) -> Glyph | None:
    """Return a character's bitmap; None where Unifont has none."""
    data, codes, places = _unifont()
    index = bisect_right(codes, code) - 1
    if index < 0 or codes[index] != code:
        return None
    at = places[index]
    width = data[at] & ~_MARK
    return Glyph(width, data[at + 1 : at + 1 + 2 * width], bool(data[at] & _MARK))
