"""Captions that lie beside pictures where these are collected: text files, and lists of them.

Lists are `metadata.jsonl`, as on Hugging Face, and the metadata json of sd-scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from ..project.json_reader import ShapeError, parse_json, read_bounded
from ..project.limits import limits

_SUFFIXES = (".txt", ".caption", ".cap")
_LIST_NAME = "metadata.jsonl"
_TEXT_KEYS = ("text", "caption", "prompt")


@dataclass(frozen=True)
class FoundCaption:
    """One caption as one line, and the file that it stands in."""

    text: str
    file: Path


class CaptionFinder:
    """Finds captions below one folder; `unread` collects files that could not be read, and why.

    Of several beside one picture the first counts: the project's own suffix, .txt, .caption, .cap,
    then the lists.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._root = folder
        self._suffixes = tuple(dict.fromkeys((suffix, *_SUFFIXES)))
        self._lists: dict[Path, dict[str, FoundCaption]] = {}
        self.unread: list[tuple[Path, str]] = []

    def find(self, picture: Path) -> FoundCaption | None:
        """Return the caption of a picture, or None; an empty file is none."""
        for suffix in self._suffixes:
            path = picture.with_suffix(suffix)
            if path.is_file() and (text := self._read(path)) and (line := as_line(text)):
                return FoundCaption(line, path)
        for folder in (picture.parent, *picture.parent.parents):
            rows = self._rows(folder)
            relative = picture.relative_to(folder).as_posix().casefold()
            found = rows.get(relative) or rows.get(picture.stem.casefold())
            if found or folder == self._root:
                return found
        return None

    def _rows(self, folder: Path) -> dict[str, FoundCaption]:
        if folder not in self._lists:
            rows: dict[str, FoundCaption] = {}
            for path in (*sorted(folder.glob("*.json")), folder / _LIST_NAME):
                if not path.is_file() or not (text := self._read(path)):
                    continue
                read = _of_jsonl(text) if path.name == _LIST_NAME else _of_metadata(text)
                rows |= {name: FoundCaption(line, path) for name, line in read}
            self._lists[folder] = rows
        return self._lists[folder]

    def _read(self, path: Path) -> str:
        try:
            data = read_bounded(path, limits().json_bytes)
            wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
            return data.decode("utf-16" if wide else "utf-8-sig")
        except OSError as error:
            self.unread.append((path, error.strerror or str(error)))
        except UnicodeDecodeError:
            self.unread.append((path, "it is not text in UTF-8 or UTF-16"))
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


def _of_jsonl(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and caption of each line `{"file_name": "a.png", "text": "a fox"}`."""
    for line in text.splitlines():
        row = _parsed(line)
        name = row.get("file_name")
        caption = next((row[key] for key in _TEXT_KEYS if isinstance(row.get(key), str)), "")
        if isinstance(name, str) and (joined := as_line(caption)):
            yield name.replace("\\", "/").casefold(), joined


def _of_metadata(text: str) -> Iterator[tuple[str, str]]:
    """Yield stem and caption of sd-scripts' `{"a": {"caption": "a fox", "tags": "red, sky"}}`."""
    for name, row in _parsed(text).items():
        if isinstance(row, dict):
            given = (row.get(key) for key in ("caption", "tags"))
            if line := ", ".join(as_line(one) for one in given if isinstance(one, str) and one):
                yield PureWindowsPath(name).stem.casefold(), line


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        data = parse_json(text)
    except ShapeError:
        return {}
    return data if isinstance(data, dict) else {}
