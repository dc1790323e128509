"""What loraloom remembers about this machine, not about a project: trainer, WebUI addresses.

Kept as settings.json in the user folder (LORALOOM_HOME, else `.loraloom` in the home folder).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .errors import DamagedError
from .files import make_folder, write_json_atomic
from .json_reader import read_json


@dataclass(frozen=True)
class Settings:
    """Paths are text as the user gave them, made absolute; empty means not set."""

    trainer: str = ""
    trainer_python: str = ""
    kohya_gui: str = ""
    tagger_model: str = ""
    webui_urls: tuple[str, ...] = ()
    webui_folder: str = ""


def user_folder() -> Path:
    """Return the folder for settings, the training queue and installed trainers."""
    named = os.environ.get("LORALOOM_HOME")
    return Path(named) if named else Path.home() / ".loraloom"


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
            raise TypeError(f"it holds {type(data).__name__}")
        known = {one.name for one in fields(Settings)}
        values: dict[str, Any] = {name: data[name] for name in data if name in known}
    except (ValueError, TypeError) as error:
        raise DamagedError(
            "LL114",
            f"{path} is not a valid JSON object: {error}.",
            "Correct it, or delete it and name the paths again.",
        ) from error
    values["webui_urls"] = tuple(values.get("webui_urls", ()))
    return Settings(**values)


def write_setting(name: str, value: str | tuple[str, ...]) -> Settings:
    """Change one setting and return them all; ValueError for a name that does not exist."""
    if name not in {one.name for one in fields(Settings)}:
        raise ValueError(f"no setting is called {name!r}")
    changes: dict[str, Any] = {name: value}
    settings = replace(read_settings(), **changes)
    make_folder(user_folder())
    write_json_atomic(
        settings_path(), {one.name: getattr(settings, one.name) for one in fields(settings)}
    )
    settings_path().chmod(0o600)  # addresses of other machines are nobody else's business
    return settings
