"""What lies on this machine for the tab to offer: folders, base models, taggers. It only reads.

Models are looked for where the Kohya GUI and a WebUI keep them; nothing is searched beyond that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..project import InputError, ToolError, read_settings
from ..project.families import Family
from ..project.home import home_folder, typed_path
from ..project.json_reader import read_text
from ..project.lora_file import read_header
from ..project.lora_kind import read_facts
from ..project.manifest import MANIFEST_NAME
from ..project.pictures.picture import can_read
from ..project.tagging import holds_tagger
from ..project.wording import counted
from ..training.config.toml import parse_toml

MODEL_SUFFIXES = (".safetensors", ".ckpt")
CONFIG_SUFFIXES = (".json", ".toml")
PARENT = ".."
_MOST_SHOWN = 500
_MOST_MODELS = 300
_DEEPEST = 4
_TAGGER_FOLDERS = ("wd14_tagger_model", "sd-scripts/wd14_tagger_model", "models")
"""Where the Kohya GUI's own tagger tab and sd-scripts keep what they fetched."""


@dataclass(frozen=True)
class FolderEntry:
    """One line of a folder list: what is shown, and the path that it stands for."""

    label: str
    path: Path


@dataclass(frozen=True)
class FolderList:
    """A folder, and what a person may choose in it: the parent first, folders, then files."""

    folder: Path
    entries: tuple[FolderEntry, ...]


def list_folder(text: str | None, suffixes: tuple[str, ...] = ()) -> FolderList:
    """List a folder; a path that does not exist stands for the nearest one above that does.

    Folders say what they hold; files with one of `suffixes` are listed after them.
    """
    folder = _nearest(typed_path((text or "").strip() or "~").absolute())
    inside, files = [], []
    with suppress(OSError):
        for one in sorted(os.scandir(folder), key=lambda each: each.name.casefold()):
            if one.name.startswith("."):
                continue
            with suppress(OSError):
                if one.is_dir():
                    inside.append(
                        FolderEntry(f"{one.name}/{_holds(Path(one.path))}", Path(one.path))
                    )
                elif Path(one.name).suffix.lower() in suffixes:
                    files.append(FolderEntry(one.name, Path(one.path)))
    above = [FolderEntry(PARENT, folder.parent)] if folder.parent != folder else []
    found = (*above, *inside, *files)
    return FolderList(folder, found[:_MOST_SHOWN])


def _nearest(path: Path) -> Path:
    for one in (path, *path.parents):
        with suppress(OSError):
            if one.is_dir():
                return one
    return home_folder()


def _holds(folder: Path) -> str:
    """Say in a word what a folder holds, looking at the first names only."""
    if (folder / MANIFEST_NAME).is_file():
        return "  (LoRA project)"
    count = 0
    with suppress(OSError), os.scandir(folder) as names:
        for number, one in enumerate(names):
            count += can_read(Path(one.name).suffix.lower())
            if number > _MOST_SHOWN:
                break
    return f"  ({counted(count, 'picture')})" if count else ""


@dataclass(frozen=True)
class FoundModel:
    """A base model on this machine; `family` is None where its header does not tell."""

    path: Path
    family: Family | None
    what: str = ""

    @property
    def label(self) -> str:
        """Name and family, as a list shows it."""
        return f"{self.path.name} ({self.family.facts.title if self.family else self.what})"


def find_models(host: Path | None) -> tuple[FoundModel, ...]:
    """Return the base models in the model folders of the Kohya GUI and of a WebUI."""
    found = []
    for path in _model_files(_model_folders(host)):
        try:
            model = look_at_model(path)
        except ToolError:
            continue
        if model.family is not None or path.suffix == ".ckpt":
            found.append(model)
    return tuple(found)


def look_at_model(path: Path) -> FoundModel:
    """Detect the family of a base model by its header. Raises ToolError for what is none."""
    if not path.is_file():
        raise InputError(
            "LL241",
            f"{path} is not a file.",
            "Choose a checkpoint with Browse, or type its path.",
        )
    if path.suffix != ".safetensors":
        return FoundModel(path, None, "its kind cannot be read")
    facts = read_facts(read_header(path))
    if facts.kind is not None:
        return FoundModel(path, None, f"a {facts.kind.value}, not a base model")
    family = facts.families[0] if facts.families else None
    return FoundModel(path, family, facts.what or "unknown")


def _model_folders(host: Path | None) -> Iterator[Path]:
    if host is not None:
        yield host / "models"
        with suppress(Exception):  # the user's own file, in whatever state
            yield host / str(parse_toml(read_text(host / "config.toml"))["model"]["models_dir"])
    webui = read_settings().webui_folder
    if webui:
        yield Path(webui) / "models" / "Stable-diffusion"


def _model_files(folders: Iterable[Path]) -> Iterator[Path]:
    seen = set()
    for folder in folders:
        for path in _below(folder.absolute(), _DEEPEST):
            if path.suffix.lower() in MODEL_SUFFIXES and path not in seen:
                seen.add(path)
                yield path
                if len(seen) >= _MOST_MODELS:
                    return


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files below a folder, by name, no deeper than `depth` folders."""
    try:
        names = sorted(folder.iterdir())
    except OSError:
        return
    for one in names:
        with suppress(OSError):
            if one.is_file():
                yield one
            elif depth and one.is_dir():
                yield from _below(one, depth - 1)


def find_taggers(host: Path | None, cache: Path | None = None) -> tuple[Path, ...]:
    """Return the taggers that are here: the GUI's, the remembered one, those fetched, the hub's."""
    found = []
    remembered = read_settings().tagger_model
    if remembered:
        found.append(Path(remembered))
    for name in _TAGGER_FOLDERS if host is not None else ():
        found += _children(host / name) if host is not None else []
    found += _children(taggers_folder())
    for model in _children(cache or hub_cache()):
        found += _children(model / "snapshots")
    return tuple(dict.fromkeys(one for one in found if holds_tagger(one)))


def taggers_folder() -> Path:
    """Return where fetched taggers are kept."""
    from ..project import user_folder

    return user_folder() / "taggers"


def hub_cache() -> Path:
    """Return where the hub's own client keeps what it fetched."""
    home = os.environ.get("HF_HOME")
    default = Path(home) if home else home_folder() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or default / "hub")


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_dir())
    except OSError:
        return []


def tagger_label(folder: Path) -> str:
    """Call a tagger as its makers do."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.name
