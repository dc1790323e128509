"""What the tab shows of a project, as plain values: no gradio, no HTML.

The same values serve the tab, `--json` and the tests.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from ..dataset.intake import source_pictures
from ..dataset.ratio import choose_repeats, repeats_of, staged_roles
from ..project import InputError, Project
from ..project.decisions import Role
from ..project.decisions.role_plan import read_roles
from ..project.json_reader import read_beginning
from ..project.kept_advice import KeptAdvice, read_advice
from ..project.numbers import repeats_in_name, whole_number
from ..project.pictures import open_upright
from ..project.shell import shell_word
from ..project.status import read_status
from ..training.config.forms import read_data
from ..training.config.kohya_json import GuiVersion, default_values, keys_of, repair
from ..training.config.of_project import plan_config
from ..training.config.presets import preset_values, require_preset

PAGE_SIZE = 24
THUMBNAIL_PIXELS = 160


@dataclass(frozen=True)
class Overview:
    """Where the project stands: rows of name and value, and the next step's command."""

    trigger_word: str
    rows: tuple[tuple[str, str], ...]
    next_command: str
    advice: KeptAdvice | None = None


def view_overview(project: Project) -> Overview:
    """Read where the project stands."""
    status = read_status(project)
    parts = (line.partition("  ") for line in status.lines())
    rows = tuple((name, value.strip()) for name, _, value in parts)
    return Overview(
        status.trigger_word,
        rows,
        status.next_command(shell_word(str(project.root))),
        read_advice(project.root),
    )


@dataclass(frozen=True)
class PictureView:
    """One picture: where it is, what it counts, what its caption says (None: no caption yet)."""

    path: Path
    role: Role
    repeats: int
    is_staged: bool
    caption: str | None


@dataclass(frozen=True)
class PicturesPage:
    """One page of the pictures; `number` counts from 1."""

    pictures: tuple[PictureView, ...]
    number: int
    pages: int
    primary: int
    supporting: int
    is_staged: bool


def view_pictures(project: Project, number: int = 1) -> PicturesPage:
    """Return one page of the staged pictures, or of the imported ones while none is staged."""
    extension = project.manifest.captions.caption_extension
    found = []
    for place, role in staged_roles(project).items():
        path, count = project.images_dir / place, repeats_in_name(place.parts[0])
        found.append(PictureView(path, role, count, True, _caption(path.with_suffix(extension))))
    staged = tuple(sorted(found, key=lambda one: (one.role.value, one.path.name)))
    every = staged or _imported(project)
    pages = max(1, -(-len(every) // PAGE_SIZE))
    at = min(max(1, number), pages)
    shown = every[(at - 1) * PAGE_SIZE : at * PAGE_SIZE]
    primary = sum(1 for one in every if one.role is Role.PRIMARY)
    return PicturesPage(shown, at, pages, primary, len(every) - primary, bool(staged))


def _imported(project: Project) -> tuple[PictureView, ...]:
    roles = read_roles(project, tuple(source_pictures(project)))
    trained = {path: role for path, role in roles.items() if role is not Role.OUT}
    primary = sum(role is Role.PRIMARY for role in trained.values())
    repeats = choose_repeats(project.manifest.dataset, primary, len(trained) - primary)
    found = [
        PictureView(path, role, repeats_of(repeats, role), False, None)
        for path, role in trained.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.role.value, one.path.name)))


def _caption(path: Path) -> str | None:
    try:
        return read_beginning(path).strip()
    except OSError:
        return None


def thumbnail(path: Path) -> bytes:
    """Return a small JPEG of a picture; raises DamagedError for one that does not decode."""
    status = path.stat()
    return _thumbnail(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=512)
def _thumbnail(path: Path, changed_ns: int, size_bytes: int) -> bytes:
    picture = open_upright(path).convert("RGB")
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return stream.getvalue()


@dataclass(frozen=True)
class ConfigRow:
    """One value of the written config, under Kohya's own label and key, and why it is so."""

    label: str
    key: str
    value: object
    reason: str


@dataclass(frozen=True)
class ConfigView:
    """The config as written: steps and epochs are 0 while nobody has counted them."""

    path: Path
    rows: tuple[ConfigRow, ...]
    script: str
    epochs: int
    steps: int
    is_outdated: bool


def view_config(project: Project) -> ConfigView | None:
    """Read the Kohya json that `config` wrote; None before. Raises MissingError, InputError."""
    path = project.config_dir / f"{project.manifest.output_name}.json"
    if not path.is_file():
        return None
    version = GuiVersion(project.manifest.training.kohya_version)
    values = repair(read_data(path)[0], version).values
    reasons = _reasons(project)
    shown = dict.fromkeys((*_MAIN_KEYS, *reasons))
    rows = (_row(key, values[key], reasons) for key in shown if key in values)
    entry = project.journal.last("config")
    facts = entry.facts if entry else {}
    return ConfigView(
        path,
        tuple(rows),
        str(facts.get("script", "")),
        int(facts.get("epochs", 0)),
        int(facts.get("steps", 0)),
        path.stat().st_mtime_ns < project.manifest_path.stat().st_mtime_ns,
    )


_MAIN_KEYS = (
    "pretrained_model_name_or_path",
    "output_name",
    "LoRA_type",
    "network_dim",
    "network_alpha",
    "max_resolution",
    "train_batch_size",
    "max_train_epochs",
    "save_every_n_epochs",
)
"""What everybody asks for first; the preset's other keys follow with their reasons."""


def _reasons(project: Project) -> Mapping[str, tuple[object, str]]:
    """Return the preset's value and reason of each of its keys."""
    manifest = project.manifest
    preset = require_preset(manifest.training.preset, manifest.base_model.family)
    values = preset_values(preset, manifest.subject.kind)
    return {one.key: (values.get(one.key), one.reason) for one in preset.values}


def _row(key: str, value: object, reasons: Mapping[str, tuple[object, str]]) -> ConfigRow:
    """The preset's reason only speaks for the preset's own value."""
    usual, reason = reasons.get(key, (None, ""))
    why = reason if value == usual else "chosen for this project"
    return ConfigRow(label_of(key), key, value, why)


def label_of(key: str) -> str:
    """Return what Kohya's LoRA tab calls a field, or the key itself when it has no label."""
    return str(_labels().get(key, key))


@lru_cache(maxsize=1)
def _labels() -> Mapping[str, str]:
    path = resources.files("kohya_ext.gui") / "data" / "labels.json"
    labels: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))["labels"]
    return labels


@dataclass(frozen=True)
class FolderSteps:
    """One folder of images/: what it gives to one epoch."""

    name: str
    pictures: int
    repeats: int

    @property
    def draws(self) -> int:
        return self.pictures * self.repeats


def view_folders(project: Project) -> tuple[FolderSteps, ...]:
    """Return what each staged folder gives to one epoch."""
    return tuple(
        FolderSteps(one.name, one.pictures, repeats)
        for one in read_status(project).staged
        if (repeats := whole_number(one.name.partition("_")[0])) is not None
    )


def lora_tab_values(project: Project, keys: Sequence[str]) -> Mapping[str, object]:
    """Return what Kohya's own LoRA tab with these fields must hold to train the project.

    Raises what `plan_config` raises, and InputError for a value that they have no field for.
    """
    version = version_of(keys)
    training = replace(project.manifest.training, kohya_version=version.value)
    manifest = replace(project.manifest, training=training)
    values = plan_config(replace(project, manifest=manifest)).values
    usual = default_values(version)
    for key in keys_of(version):
        if key not in keys and values[key] != usual[key]:
            raise InputError(
                "LL302",
                f"This Kohya GUI has no field for {key}, which is {json.dumps(values[key])} here: "
                "its own tab would train something else.",
                "Train here in the loraloom tab, or update the Kohya GUI.",
            )
    return values


def version_of(keys: Sequence[str]) -> GuiVersion:
    """Return the GUI version whose fields are most like `keys`."""
    present = set(keys)
    return min(GuiVersion, key=lambda one: len(present ^ set(keys_of(one))))
