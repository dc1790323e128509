"""The grid as one HTML page: thumbnails inside, full pictures linked beside it, works offline.

Plain JavaScript without libraries or requests; every text reaches the page as data, never as
markup. A single file with the full pictures inside is made up to a stated size.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kohya_ext.project.errors import DamagedError, InputError
from kohya_ext.project.files import explained, part_beside, replacing, write_text_atomic
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.kept_advice import KeptAdvice, describe_curve, sparkline
from kohya_ext.project.progress import Progress, ProgressHandler, silent

CHUNK = 40
"""Thumbnails in one script element; the page unpacks a chunk when its first cell is seen."""

_THREADS = max(1, min(4, os.cpu_count() or 1))
_WEBP_QUALITY = 80


class PageCellState(str, Enum):
    """How far one cell of the page is."""

    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class PageValue:
    """One value of an axis; `file` is the epoch file that it stands for, if any."""

    label: str
    note: str = ""
    file: str = ""
    control: bool = False


@dataclass(frozen=True)
class PageAxis:
    """An axis with its values in order; a control does not depend on one `about_lora`."""

    name: str
    values: tuple[PageValue, ...]
    about_lora: bool = False


@dataclass(frozen=True)
class PageCell:
    """A picture at its place: one index per axis; `size` in pixels."""

    at: tuple[int, ...]
    key: str
    state: PageCellState
    path: Path | None = None
    size: tuple[int, int] = (0, 0)
    infotext: str = ""
    note: str = ""
    warning: str = ""


@dataclass(frozen=True)
class LiveState:
    """A grid that still grows: what it is doing, and how often the page looks for news."""

    status: str
    seconds: float = 3.0


@dataclass(frozen=True)
class GridPage:
    """Everything that the page shows; `columns` and `judged` are indices of axes."""

    grid_id: str
    title: str
    axes: tuple[PageAxis, ...]
    cells: tuple[PageCell, ...]
    subtitle: str = ""
    badge: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    columns: int = 0
    judged: int = 0
    judged_word: str = "epoch"
    choice_file: str = "grid-choice.json"
    choice_command: str = ""
    live: LiveState | None = None
    advice: KeptAdvice | None = None

    @property
    def revision(self) -> str:
        """A hash of what is shown, so that an open page knows when it is old."""
        seen = [(one.at, one.key, one.state.value, one.note) for one in self.cells]
        text = json.dumps([self.title, seen, self.live is None, self._advised])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

    @property
    def _advised(self) -> str:
        return "" if self.advice is None else repr(self.advice)


def thumbnail_side(count: int) -> int:
    """Return the longer side of a thumbnail in pixels, smaller the more there are."""
    return 320 if count <= 120 else 224 if count <= 600 else 160


def write_page(
    page: GridPage,
    path: Path,
    *,
    href: Callable[[PageCell], str],
    thumbnails: Path | None = None,
    single_file_bytes: int | None = None,
    on_progress: ProgressHandler = silent,
) -> Path:
    """Write the page to `path`.

    `href` gives a cell's link relative to the page. Thumbnails are kept in the folder
    `thumbnails` for the next time. With `single_file_bytes` the pictures are put inside, up to
    so many bytes in all: raises InputError above it.
    """
    if single_file_bytes is not None:
        _require_size(page, single_file_bytes)
    side = thumbnail_side(len(page.cells))
    thumbs = _thumbnails(page, side, thumbnails, on_progress)
    kind = thumbs[0][0] if thumbs else "webp"
    news_name = path.with_suffix(".live.js").name
    data = _data(page, href, side, kind, news_name, inside=single_file_bytes is not None)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        for text in _document(page, data, [body for _, body in thumbs], single_file_bytes):
            stream.write(text.encode("utf-8"))
    write_news(page, path)
    return path


def write_news(page: GridPage, path: Path) -> None:
    """Write or remove the small file beside the page by which an open page learns of news."""
    beside = path.with_suffix(".live.js")
    if page.live is None and not beside.exists():
        return
    status = page.live.status if page.live else "complete"
    news = json.dumps({"revision": page.revision, "status": status}).replace("<", "\\u003c")
    write_text_atomic(beside, f"window.loraloomLive && loraloomLive({news});\n")


def _require_size(page: GridPage, limit: int) -> None:
    total = sum(one.path.stat().st_size for one in page.cells if one.path is not None)
    if total > limit:
        raise InputError(
            "LL503",
            f"The pictures are {total / 1e6:.0f} MB together, more than the "
            f"{limit / 1e6:.0f} MB allowed in a single file.",
            "Allow more with --single-file MB, draw fewer cells, or send the folder instead.",
        )


# -- the document -----------------------------------------------------------------------------


_BOARD = "kohya_ext.project.decisions"
"""Whose page shares a script with ours."""


def _asset(name: str, package: str = __package__) -> str:
    return (resources.files(package) / "web" / name).read_text(encoding="utf-8")


def _document(
    page: GridPage, data: str, thumbs: Sequence[str], single_file_bytes: int | None
) -> Iterator[str]:
    """Give the parts of the page: shell and first thumbnails, script, the rest."""
    nonce = hashlib.sha256(f"{page.grid_id}{page.revision}{data}".encode()).hexdigest()[:24]
    chunks = list(_chunks(thumbs))
    fillings: dict[str, Iterable[str]] = {
        "title": [html.escape(page.title)],
        "css": [_asset("page.css")],
        "data": [data],
        "first": chunks[:1],
        "js": [_asset("back.js", _BOARD), _asset("page.js")],
        "rest": chunks[1:]
        if single_file_bytes is None
        else itertools.chain(chunks[1:], _full_pictures(page)),
    }
    for number, part in enumerate(re.split(r"@(\w+)@", _asset("page.html"))):
        if number % 2 == 0:
            yield part
        else:
            yield from [nonce] if part == "nonce" else fillings[part]


def _chunks(thumbs: Sequence[str]) -> Iterator[str]:
    for number, start in enumerate(range(0, len(thumbs), CHUNK)):
        body = json.dumps(list(thumbs[start : start + CHUNK]), separators=(",", ":"))
        yield f'<script type="application/json" id="thumbs-{number}">{body}</script>\n'


def _full_pictures(page: GridPage) -> Iterator[str]:
    for index, cell in enumerate(page.cells):
        if cell.path is not None:
            with explained(cell.path, reading=True):
                content = read_picture_bytes(cell.path)
            body = base64.b64encode(content).decode("ascii")
            yield f'<script type="text/plain" id="full-{index}">{body}</script>\n'


def _data(
    page: GridPage,
    href: Callable[[PageCell], str],
    side: int,
    kind: str,
    news_name: str,
    *,
    inside: bool,
) -> str:
    """Return the page's JSON, safe inside a script element."""
    done = [one.size for one in page.cells if one.state is PageCellState.DONE and all(one.size)]
    data: dict[str, Any] = {
        "grid_id": page.grid_id,
        "revision": page.revision,
        "title": page.title,
        "subtitle": page.subtitle,
        "badge": page.badge,
        "legend": page.legend,
        "axes": [_axis(one) for one in page.axes],
        "columns": page.columns,
        "judged": page.judged,
        "judged_word": page.judged_word,
        "cells": [_cell(one, "" if inside else href(one)) for one in page.cells],
        "chunk": CHUNK,
        "thumb": side,
        "thumb_type": f"data:image/{kind};base64,",
        "ratio": max((high / wide for wide, high in done), default=1.0),
        "choice_file": page.choice_file,
        "choice_command": page.choice_command,
        "served": "",  # with the next, filled in by the server that shows the page
        "kept": None,
        "live": None,
        "advice": None if page.advice is None else _advice(page.advice),
    }
    if page.live is not None:
        data["live"] = {
            "status": page.live.status,
            "file": quote(news_name),
            "every": round(1000 * page.live.seconds),
        }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # "<" never reaches the parser: no prompt can end the script element
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _advice(advice: KeptAdvice) -> Mapping[str, Any]:
    """Return the advice for the page; each curve as the address of a picture."""
    return {
        "verdict": advice.verdict,
        "summary": advice.summary,
        "simulated": advice.is_simulated,
        "picks": [{"place": one.place, "reasons": one.reasons} for one in advice.picks],
        "curves": [
            {
                "name": one.name,
                "picture": "data:image/svg+xml;base64,"
                + base64.b64encode(sparkline(one).encode("ascii")).decode("ascii"),
                "text": describe_curve(one, advice.epochs),
            }
            for one in advice.curves
        ],
        "not_measured": advice.not_measured,
    }


def _axis(axis: PageAxis) -> Mapping[str, Any]:
    values = [
        {
            "label": one.label,
            **({"note": one.note} if one.note else {}),
            **({"file": one.file} if one.file else {}),
            **({"control": True} if one.control else {}),
        }
        for one in axis.values
    ]
    return {"name": axis.name, "values": values, "about_lora": axis.about_lora}


def _cell(cell: PageCell, link: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {"at": cell.at, "key": cell.key, "state": cell.state.value}
    if cell.state is PageCellState.DONE:
        found["file"] = link
    for name, text in (("note", cell.note), ("info", cell.infotext), ("warning", cell.warning)):
        if text:
            found[name] = text
    return found


# -- thumbnails -------------------------------------------------------------------------------


def _thumbnails(
    page: GridPage, side: int, folder: Path | None, on_progress: ProgressHandler
) -> list[tuple[str, str]]:
    """Return (image type, base64) for each cell; empty text where there is no picture."""
    from PIL import features

    kind = "webp" if features.check("webp") else "jpeg"
    made: list[tuple[str, str]] = []

    def one(cell: PageCell) -> str:
        if cell.path is None or cell.state is not PageCellState.DONE:
            return ""
        return base64.b64encode(_thumbnail(cell.path, cell.key, side, kind, folder)).decode("ascii")

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnails") as pool:
        for number, body in enumerate(pool.map(one, page.cells), start=1):
            made.append((kind, body))
            on_progress(Progress("Page", number, len(page.cells)))
    return made


def _thumbnail(path: Path, key: str, side: int, kind: str, folder: Path | None) -> bytes:
    kept = folder / f"{key[:32]}-{side}.{kind}" if folder is not None else None
    if kept is not None and kept.is_file():
        return read_picture_bytes(kept)
    body = _shrink(path, side, kind)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # a control may be in several places of a page, whose thumbnails are made side by side
        beside = part_beside(kept)
        beside.write_bytes(body)
        try:
            beside.replace(kept)
        except PermissionError:  # on Windows, while another thread has the same one open
            beside.unlink(missing_ok=True)
    return body


def _shrink(path: Path, side: int, kind: str) -> bytes:
    import io

    from PIL import Image

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise DamagedError(
            "LL502",
            f"The picture {path} cannot be read: {error}.",
            "Run the grid again; missing pictures are drawn again.",
        ) from error
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    options: Mapping[str, Any] = {"quality": _WEBP_QUALITY} | (
        {"method": 3} if kind == "webp" else {}
    )
    image.save(stream, format=kind.upper(), **options)
    return stream.getvalue()
