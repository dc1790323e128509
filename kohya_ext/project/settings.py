"""What loraloom remembers about this machine: trainer, Kohya GUI, addresses of WebUIs.

Kept as settings.json in the user folder (LORALOOM_HOME, else `.loraloom` in the home folder).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .errors import DamagedError, MachineError
from .files import make_folder, write_json_atomic
from .home import home_folder
from .json_reader import read_json


@dataclass(frozen=True)
class Settings:
    """Paths are text as the user gave them, made absolute; empty means not set."""

    trainer: str = ""
    trainer_python: str = ""
    kohya_gui: str = ""
    tagger_model: str = ""
    webui_urls: tuple[str, ...] = ()
    """For what belongs to no project, and for projects that have named none."""
    project_webuis: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Addresses by the absolute folder of the project that named them last."""
    webui_folder: str = ""
    recent_projects: tuple[str, ...] = ()
    gui_projects: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What each GUI had open, by its folder; the last one first."""
    lora_folders: tuple[str, ...] = ()

    def webuis_of(self, project: Path | None) -> tuple[str, ...]:
        """Return the addresses for a project (or for none), else those of this machine."""
        own = self.project_webuis.get(str(project.absolute())) if project else None
        return tuple(own or self.webui_urls)


def user_folder() -> Path:
    """Return the folder for settings, the training queue and installed trainers.

    Raises MachineError where this account has no home folder.
    """
    named = os.environ.get("LORALOOM_HOME")
    home = home_folder()
    if not named and not home.is_absolute():
        raise MachineError(
            "LL122",
            "This account has no home folder, in which loraloom could keep its settings.",
            "Set the variable LORALOOM_HOME to a folder that it may write to.",
        )
    return Path(named) if named else home / ".loraloom"


def settings_path() -> Path:
    """Return where the settings are kept."""
    return user_folder() / "settings.json"


def read_settings() -> Settings:
    """Read the settings; defaults where there are none. Raises DamagedError."""
    path = settings_path()
    if not path.exists():
        return Settings()
    try:
        data = read_json(path)
        if not isinstance(data, dict):
            raise TypeError(f"it contains {type(data).__name__}")
        known = {one.name for one in fields(Settings)}
        values: dict[str, Any] = {name: data[name] for name in data if name in known}
        for name, value in values.items():
            _require_shape(name, value)
    except (ValueError, TypeError) as error:
        raise DamagedError(
            "LL114",
            f"{path} does not contain valid settings: {error}.",
            "Correct it, or delete it and set the paths again.",
        ) from error
    for name in ("webui_urls", "recent_projects", "lora_folders"):
        values[name] = tuple(values.get(name, ()))
    return Settings(**values)


def _require_shape(name: str, value: object) -> None:
    """Raise TypeError for a setting that is not of its default's kind: text, list or table."""
    default = getattr(Settings(), name)
    if isinstance(default, str):
        is_right = isinstance(value, str)
    elif isinstance(default, tuple):
        is_right = _is_texts(value)
    else:
        is_right = isinstance(value, dict) and all(map(_is_texts, value.values()))
    if not is_right:
        raise TypeError(f"{name} is {json.dumps(value)[:60]}")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def remember_webuis(urls: Sequence[str], project: Path | None) -> None:
    """Remember the addresses for a project; for the machine, too, where it has none so far."""
    known = read_settings()
    if project is not None and known.project_webuis.get(str(project.absolute())) != list(urls):
        own = {**known.project_webuis, str(project.absolute()): list(urls)}
        _write(replace(known, project_webuis=own))
    if (project is None or not known.webui_urls) and known.webui_urls != tuple(urls):
        write_setting("webui_urls", tuple(urls))


_MOST_RECENT = 12


def remember_project(root: Path, gui: str) -> None:
    """Put a project first among the recent ones, and among those of a GUI."""
    known = read_settings()

    def ordered(before: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((str(root), *before)))[:_MOST_RECENT]

    recent, own = ordered(known.recent_projects), ordered(known.gui_projects.get(gui, ()))
    if (recent, list(own)) != (known.recent_projects, known.gui_projects.get(gui)):
        guis = {**known.gui_projects, gui: own}
        _write(replace(known, recent_projects=recent, gui_projects=guis))


def write_setting(name: str, value: str | tuple[str, ...]) -> Settings:
    """Change one setting and return them all; ValueError for a name that does not exist."""
    if name not in {one.name for one in fields(Settings)}:
        raise ValueError(f"no setting is called {name!r}")
    changes: dict[str, Any] = {name: value}
    return _write(replace(read_settings(), **changes))


def _write(settings: Settings) -> Settings:
    make_folder(user_folder())
    write_json_atomic(
        settings_path(), {one.name: getattr(settings, one.name) for one in fields(settings)}
    )
    settings_path().chmod(0o600)  # addresses of other machines are nobody else's business
    return settings
