"""Reads `lora-project.yaml`: checked against the schema; messages name file, line and key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from .consent import Consent, consent_problem, latest_day
from .errors import InputError, MachineError, MissingError
from .files import is_portable_name, require_folder, unreadable
from .json_reader import read_text
from .manifest import FORMAT, MANIFEST_NAME, Manifest, PictureSettings
from .schema_check import Place, dotted, find_faults
from .trigger_word import trigger_word_problem
from .yaml_reader import quick_loader

if TYPE_CHECKING:
    import yaml


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From format N to N + 1, by N; a migration is never edited once it was released."""


_PATHS: tuple[Place, ...] = (
    ("base_model", "path"),
    ("base_model", "vae"),
    ("captions", "model"),
    ("captions", "undesired_tags_file"),
    ("training", "network_weights"),
    ("training", "resume"),
    ("showcase", "styles_file"),
    ("showcase", "wildcards"),
)


_SINGLE_QUOTES = 'In double quotes a "\\" begins an escape: put the path in single quotes.'


_YAML_CURES = {
    "found unknown escape character": _SINGLE_QUOTES,
    "found character '\\t'": "YAML is indented with spaces: replace the tab.",
}


_MOST_PLACES = 100_000  # aliases of aliases would make millions
_EXPLAINED_LETTERS = 100_000
"""A longer text gets libyaml's own words for a fault: PyYAML's better ones take it seconds."""


@lru_cache(maxsize=1)
def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of the manifest (draft 2020-12)."""
    text = (resources.files(__package__) / "manifest.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises MissingError (missing) or InputError (wrong, with file:line and key; trigger word; newer
    format).
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise MissingError(
            "LL101", f"{path.parent} has no {MANIFEST_NAME}.", _nearest_project(path.parent)
        ) from error
    except ValueError as error:
        raise MachineError(
            "LL104", f"{path} cannot be read: {error}.", "It must be a UTF-8 text file."
        ) from error
    except OSError as error:
        require_folder(path.parent)
        raise unreadable(path, error) from error
    return parse_manifest(text, path)


def _nearest_project(folder: Path) -> str:
    """Say where a project is when `folder` lies inside one, as a shell's current folder may."""
    for parent in folder.resolve().parents:
        if (parent / MANIFEST_NAME).is_file():
            return f"It is inside the project {parent}: give that folder."
    return "Give the project's folder, or make one with `loraloom init`."


def parse_manifest(text: str, path: Path) -> Manifest:
    """Make a manifest of yaml text; `path` is for the messages."""
    data, lines = _load_yaml(text, path)
    data = _with_text_keys(_migrate(data, path))
    faults = find_faults(data, manifest_schema())
    fault = min(faults, key=lambda one: _line_of(one.place, lines), default=None)
    if fault is not None:
        line = _line_of(fault.place, lines)
        raise InputError("LL102", f"{path}:{line}: {fault.problem}", fault.cure)
    _check_paths(data, lines, path)
    manifest: Manifest = _with_familys_settings(_build(Manifest, data), data)
    problem = trigger_word_problem(manifest.trigger_word)
    if problem:
        where = f"{path}:{lines.get(('trigger_word',), 1)}"
        raise InputError("LL105", f"{where}: {problem}", "Choose another trigger word.")
    _check_names(manifest, lines, path)
    _check_consent(manifest.subject.consent, lines, path)
    return manifest


def _with_familys_settings(manifest: Manifest, data: Mapping[str, Any]) -> Manifest:
    """Fill in what a base model family wants of a picture where the manifest does not say it."""
    drawing = manifest.base_model.family.facts.drawing
    usual: dict[str, Any] = {"cfg_scale": drawing.cfg}
    if drawing.shift is not None:  # the API of Forge draws all of them with 3.5
        usual["distilled_cfg_scale"] = drawing.shift
    sizes = {"width": drawing.size, "height": drawing.size}

    def filled(picture: PictureSettings, section: str) -> PictureSettings:
        given = (data.get(section) or {}).get("picture") or {}
        has_size = any(given.get(name) is not None for name in sizes)
        wanted = usual if has_size else usual | sizes
        return replace(
            picture, **{name: one for name, one in wanted.items() if given.get(name) is None}
        )

    grid, showcase = manifest.grid, manifest.showcase
    return replace(
        manifest,
        grid=replace(grid, picture=filled(grid.picture, "grid")),
        showcase=replace(showcase, picture=filled(showcase.picture, "showcase")),
    )


def _with_text_keys(data: dict[str, Any]) -> dict[str, Any]:
    """Read the ratings 1 and -1, which are numbers for YAML, as the texts that JSON has."""
    dataset = data.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("ratings"), dict):
        dataset["ratings"] = {str(key): value for key, value in dataset["ratings"].items()}
    return data


def _check_paths(data: Mapping[str, Any], lines: dict[Place, int], path: Path) -> None:
    r"""Refuse `"D:\new\train"`, which YAML reads as a line break and a tab."""
    for place in _PATHS:
        value = (data.get(place[0]) or {}).get(place[1]) or ""
        if any(ord(letter) < 32 for letter in value):
            raise InputError(
                "LL102",
                f"{path}:{_line_of(place, lines)}: {dotted(place)}: {json.dumps(value)} contains a "
                "line break or tab.",
                _SINGLE_QUOTES,
            )


def _check_names(manifest: Manifest, lines: dict[Place, int], path: Path) -> None:
    """Refuse names of folders and files that some system cannot have."""
    names = {
        ("class_word",): manifest.class_word,
        ("training", "output_name"): manifest.training.output_name,
    }
    for place, name in names.items():
        if name and not is_portable_name(name):
            raise InputError(
                "LL102",
                f'{path}:{_line_of(place, lines)}: {dotted(place)}: "{name}" cannot be the name '
                "of a file or folder on every system.",
                "Use letters, digits, spaces, hyphens and underscores.",
            )


def _check_consent(consent: Consent | None, lines: dict[Place, int], path: Path) -> None:
    problem = consent_problem(consent, latest_day()) if consent else None
    if problem:
        key, what, cure = problem
        place = ("subject", "consent", key)
        raise InputError(
            "LL221", f"{path}:{_line_of(place, lines)}: {dotted(place)}: {what}.", cure
        )


def _load_yaml(text: str, path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    import yaml

    try:
        try:
            data, lines = _load_by(quick_loader(), text, path)
        except (yaml.YAMLError, UnicodeError) as error:
            if "nesting depth" in str(error) or len(text) > _EXPLAINED_LETTERS:
                raise
            data, lines = _load_by(yaml.SafeLoader, text, path)  # it says what is wrong
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or ""
        cures = (cure for start, cure in _YAML_CURES.items() if problem.startswith(start))
        raise InputError(
            "LL102",
            f"{path}:{line}: it is not valid YAML: {problem}.",
            next(cures, "Correct that line."),
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise InputError(
            "LL102", f"{path}: it is not valid YAML: {error}.", "Correct the file."
        ) from error
    if not isinstance(data, dict):
        raise InputError(
            "LL102",
            f"{path}:1: a manifest consists of `key: value` lines.",
            "See docs/manifest.md for an example.",
        )
    return data, lines


def _load_by(kind: Any, text: str, path: Path) -> tuple[Any, dict[Place, int]]:
    lines: dict[Place, int] = {}
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _collect_lines(node, (), lines, path)
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _collect_lines(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> None:
    import yaml

    lines.setdefault(place, node.start_mark.line + 1)
    if len(lines) > _MOST_PLACES:
        raise ValueError("too many values, or aliases that contain each other")

    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(
                    "LL102",
                    f"{path}:{line}: there is a list or a mapping instead of a key.",
                    "Write `key: value`; put a text that begins with ?, [ or { in quotes.",
                )
            if key.value in seen:
                raise InputError(
                    "LL102",
                    f'{path}:{line}: the key "{key.value}" occurs twice.',
                    "Keep one of the two.",
                )
            seen.add(key.value)
            here = (*place, key.value)
            lines[here] = line
            _collect_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*place, index), lines, path)
    elif node.tag == "tag:yaml.org,2002:timestamp":  # 2026-01-02 is the text that it looks like
        node.tag = "tag:yaml.org,2002:str"


def _migrate(data: dict[str, Any], path: Path) -> dict[str, Any]:
    number = data.get("format", FORMAT)
    if not isinstance(number, int) or isinstance(number, bool):
        return data  # the schema says so better
    if number > FORMAT:
        raise InputError(
            "LL107",
            f"{path} is of format {number}; this loraloom reads up to format {FORMAT}.",
            "Install the newest loraloom.",
        )
    while number < FORMAT and number in MIGRATIONS:
        data = MIGRATIONS[number](data)
        number += 1
        data["format"] = number
    return data


def _line_of(place: Place, lines: dict[Place, int]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _build(kind: Any, data: Mapping[str, Any]) -> Any:
    """Make a dataclass of checked values: nested groups, enums and tuples by its annotations."""
    hints = _hints_of(kind)
    values = {
        one.name: _convert(hints[one.name], data[one.name])
        for one in fields(kind)
        if data.get(one.name) is not None
    }
    return kind(**values)


@cache
def _hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _convert(hint: Any, value: Any) -> Any:
    for kind in (hint, *getattr(hint, "__args__", ())):
        if isinstance(value, dict) and is_dataclass(kind):
            return _build(kind, value)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(value)
    return tuple(value) if isinstance(value, list) else value
