"""Styles: the WebUI's styles.csv, read and put round a prompt by us.

The WebUI reads the file only when its page is opened and ignores unknown styles with status 200,
so it never gets a style from us.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from kohya_ext.project import InputError

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
    """Read a styles.csv, also one of the old form `name,text`. Raises InputError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "LL611",
            f"The styles file {path} cannot be read: {error}.",
            "Name the styles.csv of your WebUI under showcase.styles_file.",
        ) from error
    if rows and not {"prompt", "text"} & set(rows[0]):
        raise InputError(
            "LL611",
            f"{path} is no styles file: it has no column prompt.",
            "Its first line is: name,prompt,negative_prompt",
        )
    return tuple(
        Style(
            (row.get("name") or "").strip(),
            row.get("prompt") or row.get("text") or "",
            row.get("negative_prompt") or "",
        )
        for row in rows
    )


def require_style(path: Path, name: str) -> Style:
    """Return the style called exactly `name`. Raises InputError."""
    styles = read_styles(path)
    found = next((one for one in styles if one.name == name), None)
    if found is None:
        names = [one.name for one in styles]
        close = get_close_matches(name, names, n=1)
        known = f'Did you mean "{close[0]}"?' if close else f"It has {', '.join(names) or 'none'}."
        raise InputError("LL611", f'{path} has no style "{name}".', known)
    return found
