"""Toml texts: read, written for the trainer, and written letter by letter as the GUI does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a toml text. Raises ValueError with line and column."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found: dict[str, Any] = tomllib.loads(text)
    return found


def format_toml(toml: Mapping[str, Any]) -> str:
    """Return a flat toml text, keys sorted; texts are quoted as JSON, which toml reads."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in sorted(toml.items())) or "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(member) for member in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def format_dataset(data: Mapping[str, Any]) -> str:
    """Return a dataset config as toml: `[general]`, `[[datasets]]` and their subsets."""
    parts = [("[general]", data.get("general") or {})]
    for dataset in data.get("datasets") or ():
        own = {key: value for key, value in dataset.items() if key != "subsets"}
        parts.append(("[[datasets]]", own))
        parts += [("[[datasets.subsets]]", one) for one in dataset.get("subsets") or ()]
    return "\n".join(f"{head}\n{format_toml(rows).lstrip()}" for head, rows in parts)


def format_gui_toml(toml: Mapping[str, Any]) -> str:
    """Return the toml text letter by letter as the GUI writes it."""
    return "".join(f"{key} = {_gui_value(value)}\n" for key, value in toml.items())


def _gui_value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + "".join(f" {_gui_value(member)}," for member in value) + "]"
    if isinstance(value, float):
        return str(value).replace("e+0", "e+").replace("e-0", "e-")
    return _value(value)
