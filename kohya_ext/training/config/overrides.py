"""One field of Kohya's LoRA tab set by a person in place of the preset's value."""

from __future__ import annotations

from typing import Any

from ...project import InputError, Project
from ...project.manifest_edit import edit_manifest
from .kohya_json import GuiVersion, Key, keys_of

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


def require_key(project: Project, name: str) -> Key:
    """Find a field by its key in Kohya's json. Raises InputError."""
    from difflib import get_close_matches

    known = keys_of(GuiVersion(project.manifest.training.kohya_version))
    if name not in known:
        close = get_close_matches(name, list(known), n=1)
        raise InputError(
            "LL308",
            f'"{name}" is not a field of the Kohya GUI.',
            f'Did you mean "{close[0]}"?' if close else "Choose one from the list.",
        )
    return known[name]


def value_of(key: Key, text: str) -> Any:
    """Read a typed value as the field holds it. Raises InputError."""
    value: Any = text.strip()
    if key.kind == "bool":
        plain = value.casefold()
        value = True if plain in _YES else False if plain in _NO else value
    elif key.kind == "number":
        try:
            number = float(value)
            value = int(number) if number == int(number) else number
        except (ValueError, OverflowError):
            pass
    problem = key.problem(value)
    if problem:
        raise InputError("LL243", f'{key.name} cannot be "{text}": {problem}.', "Correct it.")
    return value


def set_override(project: Project, name: str, text: str) -> Project:
    """Set one field in place of the preset's value. Raises InputError."""
    key = require_key(project, name)
    return edit_manifest(project, {("training", "overrides", name): value_of(key, text)})


def drop_override(project: Project, name: str) -> Project:
    """Let the preset say a field's value again. Raises InputError."""
    require_key(project, name)
    return edit_manifest(project, {("training", "overrides", name): None})
