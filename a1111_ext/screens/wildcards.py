"""The page of wildcards: names are searched, draws previewed, files edited with lint and saved.

Nothing outside of the wildcard folders is read or written, wherever a link leads.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from dynprompts import PromptError, WildcardLibrary, lint_text, parse
from dynprompts.findings import ERRORS
from kohya_ext.project import ConflictError, InputError, RuleError
from kohya_ext.project.files import make_folder, strange_on_windows, write_text_atomic
from kohya_ext.project.json_reader import parse_json, read_bounded
from kohya_ext.project.limits import limits
from kohya_ext.project.printable import shortened
from kohya_ext.project.server import OWN_PAGE, TYPES, PageAnswer, PageRequest, package_files

PAGE_NAME = "wildcards.html"
SUFFIXES = (".txt", ".yaml", ".yml", ".json")
_MOST_NAMES = 200
_MOST_FINDINGS = 100
_MOST_VALUES = 5_000
_DRAWS = 8
_BOM = "\ufeff"

Roots = Callable[[], tuple[Path, ...]]
"""Returns the wildcard folders; a later one counts before an earlier one."""

Switch = Callable[[], bool]
"""Returns whether links among the wildcards are followed; files behind them are only read."""


def search(library: WildcardLibrary, words: str) -> dict[str, Any]:
    """Return the names that have all words in them, each with its file."""
    wanted = words.casefold().split()
    found = [name for name in library.names if all(one in name.casefold() for one in wanted)]
    rows = [[name, library.givers(name)[-1]] for name in found[:_MOST_NAMES]]
    return {"names": rows, "total": len(found)}


def preview(library: WildcardLibrary, template: str, seed: int) -> dict[str, Any]:
    """Return what a template draws with some seeds from `seed` on, or why it draws nothing.

    `hints` tell what in it is probably not intended.
    """
    try:
        read = parse(template, library)
        seeds = range(seed, seed + _DRAWS)
        drawn = zip(seeds, read.randoms(seeds), strict=True)
        prompts = [[one, sample.text] for one, sample in drawn]
    except PromptError as error:
        return {"prompts": [], "problem": str(error), "hints": []}
    found = lint_text(template, library, follow=False)
    hints = [[one.severity, str(one)] for one in found[:_MOST_FINDINGS]]
    return {"prompts": prompts, "problem": "", "hints": hints}


def lint_file(library: WildcardLibrary, file: str, text: str) -> list[list[str]]:
    """Return severity and sentence of what is to be said about a file's text."""
    own = WildcardLibrary(texts={file: text}, sort=False, dedup=False)
    found = [
        ["error" if code in ERRORS else "warning", f"{where}: {message} [{code}]"]
        for code, message, where in own.problems()
    ]
    left = _MOST_VALUES
    for name in own.names:
        values = own.collection(name)
        if values is None:
            continue
        for index, value in enumerate(values.texts[:left]):
            for one in lint_text(value, library, follow=False):
                message = str(one._replace(where=values.where(index)))
                found.append([one.severity, message])
            if len(found) >= _MOST_FINDINGS:
                return found[:_MOST_FINDINGS]
        left -= min(left, len(values.texts))
    return found


def find_file(roots: tuple[Path, ...], file: str) -> Path:
    """Return the true path of a file, there or not yet. Raises InputError, RuleError."""
    pure = PurePosixPath(file)
    parts = file.split("/")
    is_bad = any(not one.strip() or one.startswith(".") or set(one) & set("\\:\0") for one in parts)
    is_bad = is_bad or bool(strange_on_windows(Path(file)))
    if is_bad or pure.suffix.lower() not in SUFFIXES or not roots:
        raise InputError(
            "LL785",
            f'"{shortened(file)}" cannot be a wildcard file.',
            f"Write a path inside the wildcard folder that ends in {', '.join(SUFFIXES)}.",
        )
    root = next((one for one in reversed(roots) if (one / pure).exists()), roots[-1])
    true = (root / pure).resolve()
    if not true.is_relative_to(root.resolve()) or true.suffix.lower() not in SUFFIXES:
        raise RuleError(
            "LL786",
            f'"{shortened(file)}" leads out of the wildcard folder {root}.',
            "Edit that file elsewhere: only files in the wildcard folders can be opened here.",
        )
    return true


def open_file(roots: tuple[Path, ...], file: str) -> dict[str, Any]:
    """Return a file's text, and the stamp by which a later save knows that it is the same."""
    path = find_file(roots, file)
    content = read_bounded(path, limits().text_bytes) if path.is_file() else None
    text = "" if content is None else _decoded(content, file)
    shown = text.removeprefix(_BOM).replace("\r\n", "\n")
    return {"file": file, "text": shown, "stamp": _stamp(content)}


def save_file(roots: tuple[Path, ...], file: str, text: str, stamp: str) -> dict[str, Any]:
    """Write a file as one step, with its line ends and byte order mark as they were.

    Raises ConflictError when it is no longer what was opened.
    """
    path = find_file(roots, file)
    content = read_bounded(path, limits().text_bytes) if path.exists() else None
    if _stamp(content) != stamp:
        raise ConflictError(
            "LL787",
            f'"{shortened(file)}" was changed, created or removed by someone else in the meantime.',
            "Copy your text, open the file again, and repeat your change.",
        )
    before = "" if content is None else _decoded(content, file)
    if "\r\n" in before:
        text = text.replace("\n", "\r\n")
    if before.startswith(_BOM):
        text = _BOM + text
    make_folder(path.parent)
    write_text_atomic(path, text)
    return {"stamp": _stamp(text.encode("utf-8"))}


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "LL785", f'"{shortened(file)}" is not UTF-8.', "Save it as UTF-8 with an editor first."
        ) from error


def _stamp(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


@dataclass
class WildcardShare:
    """Answers what the page asks; equal for the same folders, so that it keeps its address."""

    roots: Roots
    follow_links: Switch = bool
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False)
    _known: tuple[tuple[tuple[Path, ...], bool], WildcardLibrary] | None = field(
        default=None, init=False, compare=False
    )

    def answer(self, request: PageRequest) -> PageAnswer:
        """Answer one request; ValueError and ToolError are the server's to word."""
        if request.body is None:
            content = _assets().get(request.path)
            if content is None:
                return PageAnswer(404, b"There is no such page.")
            return PageAnswer(200, content, TYPES[Path(request.path).suffix], OWN_PAGE)
        if not request.is_json:
            raise ValueError("The page of wildcards accepts application/json.")
        data = parse_json(request.body)
        if not isinstance(data, dict):
            raise ValueError("The page of wildcards accepts a JSON object.")
        with self._lock:
            found = self._found(request.path, data)
        if found is None:
            return PageAnswer(404, b"There is no such page.")
        text = json.dumps(found, ensure_ascii=False)
        return PageAnswer(200, text.encode("utf-8"), TYPES[".json"], OWN_PAGE)

    def _found(self, path: str, data: Mapping[str, Any]) -> dict[str, Any] | None:
        roots = self.roots()
        if path == "names":
            return search(self._library(roots), _text(data, "words"))
        if path == "draw":
            return preview(self._library(roots), _text(data, "template"), _whole(data, "seed"))
        if path == "open":
            return open_file(roots, _text(data, "file"))
        if path == "lint":
            file, text = _text(data, "file"), _text(data, "text")
            return {"findings": lint_file(self._library(roots), file, text)}
        if path == "save":
            return save_file(roots, *(_text(data, key) for key in ("file", "text", "stamp")))
        return None

    def _library(self, roots: tuple[Path, ...]) -> WildcardLibrary:
        there = tuple(one for one in roots if one.is_dir())
        wanted = there, self.follow_links()
        if self._known is None or self._known[0] != wanted:
            self._known = wanted, WildcardLibrary(*there, follow_links=wanted[1])
        self._known[1].refresh()
        return self._known[1]


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text.")
    return value


def _whole(data: Mapping[str, Any], key: str) -> int:
    value = data.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ValueError(f"{key} is not a whole number from 0 on.")
    return value


@lru_cache(maxsize=1)
def _assets() -> Mapping[str, bytes]:
    return dict(package_files(__package__ or "", "web"))
