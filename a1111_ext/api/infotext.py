"""Infotext: the generation parameters that the WebUI writes into a picture, both ways.

infotext = prompt NEWLINE ["Negative prompt: " negative NEWLINE] "Steps: " field ("," field)*
field    = name ": " (value without comma | quoted JSON text)
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Infotext:
    """Generation parameters; `fields` as text, in the WebUI's own names."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]

    def lora_hashes(self) -> dict[str, str]:
        """Return the hashes of the LoRAs that were used, by name."""
        return self.hashes("Lora hashes")

    def hashes(self, field: str) -> dict[str, str]:
        """Return the names and hashes of a field such as `TI hashes`; {} when it is not there."""
        found = {}
        for part in self.fields.get(field, "").split(","):
            name, colon, value = part.strip().rpartition(": ")
            if colon:
                found[name] = value.lower()
        return found


def parse_infotext(text: str) -> Infotext:
    """Read an infotext as the WebUI does; ValueError when it has no line of parameters.

    That line is the last of three fields or more that has Steps, wherever it is in it; lines
    after it, such as `Template:` of Dynamic Prompts, belong to no prompt. Each line is stripped.
    """
    lines = [line.strip() for line in text.strip().split("\n")]
    at, fields = _parameters(lines)
    texts: dict[str, list[str]] = {"prompt": [], _NEGATIVE: [], "template": []}
    into = "prompt"
    for number, line in enumerate(lines[:at]):
        if line.startswith(_NEGATIVE):
            into, line = _NEGATIVE, line.removeprefix(_NEGATIVE).strip()
        elif number and line.startswith(_TEMPLATES):
            into = "template"
        texts[into].append(line)
    prompt, negative = ("\n".join(texts[one]).lstrip("\n") for one in ("prompt", _NEGATIVE))
    return Infotext(prompt, negative, fields)


_NEGATIVE = "Negative prompt:"
_TEMPLATES = ("Template:", "Negative Template:")
"""Dynamic Prompts adds them after the parameters, SD.Next before them."""
_FEWEST_FIELDS = 3
"""So many fields make the WebUI take a line for the parameters."""


def _parameters(lines: Sequence[str]) -> tuple[int, dict[str, str]]:
    """Return the line of parameters and its fields; one of Steps alone does, where no other is."""
    short: tuple[int, dict[str, str]] | None = None
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        if line.startswith((*_TEMPLATES, _NEGATIVE)) or "Steps" not in line:
            continue
        is_plain = line.startswith("Steps:")
        if line.count(":") < _FEWEST_FIELDS and not (is_plain and short is None):
            continue
        pairs = read_fields(line)
        fields = {name.strip(): _unquoted(value) for name, value in pairs}
        fields |= {one: fields[one].lower() for one in ("Model hash", "VAE hash") if one in fields}
        if "Steps" in fields and len(pairs) >= _FEWEST_FIELDS:
            return at, fields
        if is_plain and short is None:
            short = at, fields
    if short is None:
        raise ValueError("there is no line of parameters")
    return short


def read_fields(line: str) -> list[tuple[str, str]]:
    """Return the pairs of `name: value` in a line, in linear time.

    They are those that the WebUI's expression finds,
    `\\s*(\\w[\\w \\-/]+):\\s*("(?:\\\\.|[^\\\\"])+"|[^,]*)(?:,|$)`, which is quadratic.
    """
    found: list[tuple[str, str]] = []
    start = 0  # neither the last field nor the last colon can be part of a name
    colon = line.find(":")
    while colon >= 0:
        name = _name_before(line, start, colon) if colon - start > 1 else ""
        start = colon + 1
        if len(name) > 1:
            value, start = _value_after(line, start)
            found.append((name, value))
        colon = line.find(":", start)
    return found


def _name_before(line: str, start: int, colon: int) -> str:
    """Return the longest name that ends before a colon: it begins with a letter, digit or _."""
    at = colon
    while at > start and (line[at - 1].isalnum() or line[at - 1] in "_ -/"):
        at -= 1
    while at < colon and line[at] in " -/":
        at += 1
    return line[at:colon]


def _value_after(line: str, start: int) -> tuple[str, int]:
    """Return a value and where the next field may begin."""
    while start < len(line) and line[start].isspace():
        start += 1
    quoted_text = _QUOTED.match(line, start)
    if quoted_text:
        return quoted_text.group(1), quoted_text.end()
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return line[start:end], end + 1


_QUOTED = re.compile(r'("(?:\\.|[^\\"])+")(?:,|$)')


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def format_infotext(infotext: Infotext) -> str:
    """Write an infotext as the WebUI does."""
    negative = f"\nNegative prompt: {infotext.negative_prompt}" if infotext.negative_prompt else ""
    fields = ", ".join(f"{name}: {quoted(value)}" for name, value in infotext.fields.items())
    return f"{infotext.prompt}{negative}\n{fields}"


def quoted(value: str) -> str:
    """Return a value as the WebUI writes it: as JSON text where a comma would end it."""
    if "," in value or "\n" in value or ":" in value:
        return json.dumps(value, ensure_ascii=False)
    return value


def read_infotext(picture: bytes | Path) -> str:
    """Return the infotext of a picture without decoding its pixels; "" if there is none.

    PNG keeps it in the text chunk `parameters`; JPEG, WebP and AVIF in the EXIF field UserComment,
    which goes first where a file has both, as in the WebUI. Raises OSError or SyntaxError for what
    is not a picture.
    """
    import io

    from PIL import Image

    with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as opened:
        said = opened.info.get("parameters") or opened.info.get("comment") or ""
        if said and "exif" not in opened.info:  # a PNG would be decoded to look for it
            return said.decode("utf-8", "ignore") if isinstance(said, bytes) else str(said)
        try:
            comment = opened.getexif().get_ifd(_EXIF).get(_USER_COMMENT, b"")
        except _STUMBLES:
            comment = b""
    found = user_comment(comment) if isinstance(comment, bytes) else str(comment)
    return found or (said.decode("utf-8", "ignore") if isinstance(said, bytes) else str(said))


_EXIF, _USER_COMMENT = 0x8769, 0x9286
_STUMBLES = (ValueError, TypeError, SyntaxError, LookupError, ArithmeticError, struct.error)
"""What Pillow raises over damaged EXIF, which says nothing then."""
_CODE_BYTES = 8


def user_comment(raw: bytes) -> str:
    """Decode an EXIF UserComment: 8 bytes name its code, UTF-16 may have either byte order."""
    code, text = raw[:_CODE_BYTES], raw[_CODE_BYTES:]
    if code == b"UNICODE\0":
        # Decode by the byte order mark, else in the order in which more of the text is plain.
        if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return text.decode("utf-16", "ignore").strip("\0")
        big = text[0::2].count(0) >= text[1::2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "ignore").strip("\0")
    if code in (b"ASCII\0\0\0", b"\0" * _CODE_BYTES):
        return text.decode("utf-8", "ignore").strip("\0")
    if code == b"JIS\0\0\0\0\0":
        return text.decode("shift_jis", "ignore").strip("\0")
    return raw.decode("utf-8", "ignore").strip("\0")
