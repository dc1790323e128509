"""Forge's modules: the files beside a checkpoint, VAEs and text encoders in one list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Any


def text_encoder_names(modules: Iterable[Mapping[str, Any]], flags: Mapping[str, Any]) -> set[str]:
    """Return the names of Forge's modules that lie in folders of text encoders."""
    more = (flags.get("text_encoder_dirs"), flags.get("text_encoder_dir"))
    named = [one for many in more if many for one in ([many] if isinstance(many, str) else many)]
    folders = [PurePath(str(one)) for one in named]
    found = set()
    for one in modules:
        path = PurePath(str(one.get("filename") or ""))
        inside = any(part.casefold() in _ENCODER_FOLDERS for part in path.parts[:-1])
        if inside or any(folder in path.parents for folder in folders):
            found.add(str(one["model_name"]))
    return found


_ENCODER_FOLDERS = {"text_encoder", "text_encoders", "clip"}


def chosen_among(modules: Any, names: Collection[str]) -> tuple[str, ...]:
    """Return those of the chosen modules, which are paths or names, that are among `names`."""
    chosen = modules if isinstance(modules, list) else ()
    return tuple(str(one) for one in chosen if file_name(str(one)) in names)


def file_name(path: str) -> str:
    """Return the last part of a path of any system: the WebUI may run on another one."""
    return path.rpartition("/")[2].rpartition("\\")[2]
