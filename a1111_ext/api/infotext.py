"""Infotext: the generation parameters that the WebUI writes into a picture, both ways.

infotext = prompt NEWLINE ["Negative prompt: " negative NEWLINE] "Steps: " field ("," field)*
field    = name ": " (value without comma | quoted JSON text)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_FIELD = re.compile(r'\s*([\w ./+-]+?):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Infotext:
    """Generation parameters; `fields` as text, in the WebUI's own names."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]

    def lora_hashes(self) -> dict[str, str]:
        """Return the hashes of the LoRAs that were used, by name."""
        found = {}
        for part in self.fields.get("Lora hashes", "").split(","):
            name, colon, value = part.strip().rpartition(": ")
            if colon:
                found[name] = value
        return found


def parse_infotext(text: str) -> Infotext:
    """Read an infotext; ValueError when it has no parameter line."""
    lines = text.strip("\n").split("\n")
    start = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].startswith("Steps: ")), None)
    if start is None:
        raise ValueError("there is no line of parameters")
    fields = {
        name.strip(): _unquoted(value) for name, value in _FIELD.findall(" ".join(lines[start:]))
    }
    prompt: list[str] = []
    negative: list[str] = []
    in_negative = False
    for line in lines[:start]:
        if line.startswith("Negative prompt:"):
            in_negative, line = True, line.removeprefix("Negative prompt:").lstrip(" ")
        (negative if in_negative else prompt).append(line)
    return Infotext("\n".join(prompt), "\n".join(negative), fields)


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


def read_infotext(png: bytes) -> str:
    """Return the `parameters` text chunk of a PNG without decoding its pixels; "" if none."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return str(picture.info.get("parameters", ""))
