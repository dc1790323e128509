"""Styles: the WebUI's styles.csv, read, written, and put round a prompt by us.

The WebUI reads the file only when its page is opened and ignores unknown styles with status 200,
so it never gets a style from us.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from kohya_ext.project import ConflictError, InputError
from kohya_ext.project.json_reader import read_bounded
from kohya_ext.project.limits import limits

PLACE = "{prompt}"


@dataclass(frozen=True)
class Style:
    """One style; its texts hold `{prompt}` where the prompt goes, else they are appended."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""

    def apply(self, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """Return prompt and negative prompt with the style round them, as the WebUI does it."""
        return _around(self.prompt, prompt), _around(self.negative_prompt, negative_prompt)


def _around(style: str, prompt: str) -> str:
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(filter(None, (prompt.strip(), style.strip())))


def read_styles(path: Path) -> tuple[Style, ...]:
    """Read a styles.csv as the WebUI does; `path` may be a pattern such as `styles*.csv`.

    Blanks after commas do not count, rows whose name begins with "#" are comments, the later of
    two equal names stands, and old files have the columns name and text. Raises InputError.
    """
    found: dict[str, Style] = {}
    for one in _files_of(path):
        found |= {style.name: style for style in _styles_of(one)}
    return tuple(found.values())


def _files_of(path: Path) -> list[Path]:
    if not set("*?") & set(path.name):
        return [path]
    files = sorted(path.parent.glob(path.name))
    if files:
        return files
    raise InputError(
        "LL611",
        f"There is no styles file {path.name} in {path.parent}.",
        "Set showcase.styles_file to the styles.csv of your WebUI.",
    )


def _styles_of(path: Path) -> Iterator[Style]:
    try:
        reader = csv.DictReader(_text_of(path), skipinitialspace=True)
        rows, columns = list(reader), set(reader.fieldnames or ())
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            "LL611",
            f"The styles file {path} cannot be read: {error}.",
            "Set showcase.styles_file to the styles.csv of your WebUI.",
        ) from error
    text = "prompt" if "prompt" in columns else "text"
    missing = [one for one in (text, "name") if one not in columns]
    if rows and missing:
        name = "prompt" if missing[0] == "text" else missing[0]
        raise InputError(
            "LL611",
            f"{path} is not a styles file: it has no column {name}.",
            "Its first line is: name,prompt,negative_prompt",
        )
    for row in rows:
        name = row["name"] or ""
        if not name.startswith("#"):
            yield Style(name, row[text] or "", row.get("negative_prompt") or "")


def _text_of(path: Path) -> io.StringIO:
    """Open a file's text with its line ends as they are. Raises OSError, ValueError."""
    content = read_bounded(path, limits().text_bytes)
    return io.StringIO(content.decode("utf-8-sig"), newline="")


def require_style(path: Path, name: str) -> Style:
    """Return the style called `name`. Raises InputError."""
    styles = {one.name: one for one in read_styles(path)}
    found = styles.get(name) or {one.strip(): style for one, style in styles.items()}.get(name)
    if found is None:
        names = list(styles)
        close = get_close_matches(name, names, n=1)
        known = f'Did you mean "{close[0]}"?' if close else f"It has {', '.join(names) or 'none'}."
        raise InputError("LL611", f'{path} has no style "{name}".', known)
    return found


_COLUMNS = ("name", "prompt", "negative_prompt")


def write_style(path: Path, style: Style, *, replace: bool = False) -> None:
    """Put a style into a styles.csv, made where there is none; all other rows stay.

    Written as the WebUI writes it, with the old file beside it as `.bak`. Raises InputError (not a
    styles file) or ConflictError (the name is taken).
    """
    from kohya_ext.project.files import explained, write_bytes_atomic

    rows = _rows_of(path) if path.exists() else []
    old = next((one for one in rows if one["name"] == style.name), None)
    new = {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
    if old == new:
        return
    if old is not None and not replace:
        raise ConflictError(
            "LL675",
            f'{path} has another style called "{style.name}".',
            "Choose another name with --style-name, or replace it with --replace.",
        )
    rows = [new if one is old else one for one in rows] + ([] if old else [new])
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    if path.exists():
        with explained(path, reading=True):
            before = read_bounded(path, limits().text_bytes)
        write_bytes_atomic(path.with_name(f"{path.name}.bak"), before)
    write_bytes_atomic(path, stream.getvalue().encode("utf-8-sig"))


def _rows_of(path: Path) -> list[dict[str, str]]:
    """Return all rows, comments included, in the columns of today."""
    tuple(_styles_of(path))  # refuses what is not a styles file
    rows = csv.DictReader(_text_of(path), skipinitialspace=True)
    return [
        {
            "name": row["name"] or "",
            "prompt": row.get("prompt", row.get("text")) or "",
            "negative_prompt": row.get("negative_prompt") or "",
        }
        for row in rows
    ]
