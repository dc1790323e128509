"""Captions that lie beside pictures where these are collected: text files, and lists of them.

Lists are `metadata.jsonl` and `metadata.csv`, as on Hugging Face, and sd-scripts' metadata json.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from ..project.json_reader import ShapeError, parse_json, read_bounded
from ..project.limits import limits
from ..project.pictures import CAPTION_SUFFIXES

_LIST_NAMES = ("metadata.jsonl", "metadata.csv")
_TEXT_KEYS = ("text", "caption", "prompt")


@dataclass(frozen=True)
class FoundCaption:
    """One caption as one line, and the file that it is in."""

    text: str
    file: Path


class CaptionFinder:
    """Finds captions below one folder; `unread` collects files that could not be read, and why.

    Of several beside one picture the first counts: the project's own suffix, .txt, .caption, .cap,
    in capitals or not, `a.txt` before `a.png.txt`; then the lists.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._root = folder
        self._suffixes = tuple(dict.fromkeys((suffix, *CAPTION_SUFFIXES)))
        self._above: dict[Path, list[tuple[Path, dict[str, FoundCaption]]]] = {}
        self._names: dict[Path, dict[str, Path]] = {}
        self.unread: list[tuple[Path, str]] = []

    def find(self, picture: Path) -> FoundCaption | None:
        """Return the caption of a picture, or None; an empty file is none."""
        names = self._names_in(picture.parent)
        for stem in (picture.stem, picture.name):
            for suffix in self._suffixes:
                path = names.get((stem + suffix).casefold())
                if path and (text := self._read(path)) and (line := as_line(text)):
                    return FoundCaption(line, path)
        for folder, rows in self._lists_above(picture.parent):
            relative = picture.relative_to(folder).as_posix().casefold()
            if found := rows.get(relative) or rows.get(picture.stem.casefold()):
                return found
        return None

    def _lists_above(self, folder: Path) -> list[tuple[Path, dict[str, FoundCaption]]]:
        """Return what the lists of a folder and of those above it say; without lists nothing."""
        if folder not in self._above:
            above = [] if folder == self._root else self._lists_above(folder.parent)
            rows = self._rows(folder)
            self._above[folder] = [(folder, rows), *above] if rows else above
        return self._above[folder]

    def _names_in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._names:
            files = sorted((one for one in folder.iterdir() if one.is_file()), reverse=True)
            self._names[folder] = {one.name.casefold(): one for one in files}
        return self._names[folder]

    def _rows(self, folder: Path) -> dict[str, FoundCaption]:
        rows: dict[str, FoundCaption] = {}
        names = self._names_in(folder)
        maps = (path for name, path in sorted(names.items()) if name.endswith(".json"))
        for path in (*maps, *(names[name] for name in _LIST_NAMES if name in names)):
            read, problems = _READERS[path.suffix.casefold()], list[str]()
            found = read(self._read(path), problems)
            rows |= {name: FoundCaption(line, path) for name, line in found}
            self.unread += [(path, why) for why in problems[:1]]
        return rows

    def _read(self, path: Path) -> str:
        try:
            data = read_bounded(path, limits().json_bytes)
            wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
            return data.decode("utf-16" if wide else "utf-8-sig")
        except OSError as error:
            self.unread.append((path, error.strerror or str(error)))
        except UnicodeDecodeError:
            self.unread.append((path, "it is not UTF-8 or UTF-16 text"))
        except ShapeError as error:
            self.unread.append((path, str(error)))
        return ""


def as_line(text: str) -> str:
    """Join a caption's lines to one: the trainer reads the first only."""
    line = ""
    for part in (" ".join(one.split()) for one in text.splitlines()):
        between = "" if not line or not part else " " if line.endswith(tuple(",.;:!?")) else ", "
        line += between + part
    return line


def _of_jsonl(text: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and caption of each line `{"file_name": "a.png", "text": "a fox"}`."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield from _of_row(_parsed(line, problems, f"in line {number}, "))


def _of_csv(text: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and caption of each line below the heading `file_name,text`."""
    try:
        for row in csv.DictReader(text.splitlines(keepends=True), strict=True):
            yield from _of_row(row)
    except csv.Error as error:
        problems.append(f"it is not valid CSV: {error}")


def _of_row(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = row.get("file_name")
    caption = next((row[key] for key in _TEXT_KEYS if isinstance(row.get(key), str)), "")
    if isinstance(name, str) and (joined := as_line(caption)):
        yield name.replace("\\", "/").casefold(), joined


def _of_metadata(text: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield stem and caption of sd-scripts' `{"a": {"caption": "a fox", "tags": "red, sky"}}`."""
    for name, row in _parsed(text, problems).items() if text else ():
        if isinstance(row, dict):
            given = (row.get(key) for key in ("caption", "tags"))
            if line := ", ".join(as_line(one) for one in given if isinstance(one, str) and one):
                yield PureWindowsPath(name).stem.casefold(), line


def _parsed(text: str, problems: list[str], where: str = "") -> Mapping[str, Any]:
    """Return an object, or an empty one for anything else that JSON can hold."""
    try:
        data = parse_json(text)
    except ShapeError as error:
        problems.append(where + str(error))
        return {}
    return data if isinstance(data, dict) else {}


_READERS = {".json": _of_metadata, ".jsonl": _of_jsonl, ".csv": _of_csv}
