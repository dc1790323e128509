"""A dataset config as sd-scripts reads it: its own toml or json, strict about keys and types.

Subset beats dataset beats general beats the trainer's arguments. What follows from its pictures
is said in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...project.json_reader import parse_json, read_text
from ..checks.findings import Finding, Level, error, warning, wrong_dataset
from ..config.toml import parse_toml
from .bucketed import Subset, TrainingDataset, affixes_of
from .folders import FolderReading, TrainingFolder, pictures_in
from .listed import read_listed
from .steps import rules_of, skipped_area_of

Rows = Mapping[str, str]

_NUMBER, _PAIR, _SIZE = "a number", "two decimal numbers", "a whole number or two of them"
_WHOLE, _POINT, _TEXT, _FLAG, _TABLE = (
    "a whole number", "a decimal number", "a text", "true or false", "a table",
)  # fmt: skip

_ANYWHERE: Rows = {
    "color_aug": _FLAG, "face_crop_aug_range": _PAIR, "flip_aug": _FLAG, "num_repeats": _WHOLE,
    "random_crop": _FLAG, "shuffle_caption": _FLAG, "keep_tokens": _WHOLE,
    "keep_tokens_separator": _TEXT, "secondary_separator": _TEXT, "caption_separator": _TEXT,
    "enable_wildcard": _FLAG, "token_warmup_min": _WHOLE, "token_warmup_step": _NUMBER,
    "caption_prefix": _TEXT, "caption_suffix": _TEXT, "custom_attributes": _TABLE,
    "resize_interpolation": _TEXT, "caption_dropout_every_n_epochs": _WHOLE,
    "caption_dropout_rate": _NUMBER, "caption_tag_dropout_rate": _NUMBER,
}  # fmt: skip
_OF_CAPTION_FILES: Rows = {"caption_extension": _TEXT, "cache_info": _FLAG}
_OF_FOLDERS: Rows = {**_OF_CAPTION_FILES, "class_tokens": _TEXT}
_OF_DATASETS: Rows = {
    "batch_size": _WHOLE, "bucket_no_upscale": _FLAG, "bucket_reso_steps": _WHOLE,
    "enable_bucket": _FLAG, "max_bucket_reso": _WHOLE, "min_bucket_reso": _WHOLE,
    "validation_seed": _WHOLE, "validation_split": _POINT, "resolution": _SIZE,
    "network_multiplier": _POINT, "resize_interpolation": _TEXT, "skip_image_resolution": _SIZE,
}  # fmt: skip
_FOLDER: Rows = {"image_dir": _TEXT, "is_reg": _FLAG, "alpha_mask": _FLAG}
_METADATA: Rows = {"metadata_file": _TEXT, "image_dir": _TEXT, "alpha_mask": _FLAG}
_PAIRED: Rows = {"image_dir": _TEXT, "conditioning_data_dir": _TEXT}
_ALL_KEYS = {*_ANYWHERE, *_OF_FOLDERS, *_OF_DATASETS, *_FOLDER, *_METADATA, *_PAIRED}
"""Keys and types of sd-scripts, library/config_util.py: ConfigSanitizer; a flag is a whole number
there, too."""


def read_dataset_config(
    values: Mapping[str, Any], scripts: Path | None = None
) -> tuple[tuple[TrainingDataset, ...], list[Finding]]:
    """Read the datasets of the config that `values` name; none when something is wrong in it.

    `scripts` is the trainer's folder: relative paths count from there, and what its own version
    knows is no error.
    """
    if not values.get("dataset_config"):
        return (), []
    path = Path(str(values["dataset_config"]))
    if not path.is_file():
        return (), [
            wrong_dataset(f"The dataset config {path} does not exist.", "Correct the path.")
        ]
    if path.suffix.lower() not in (".toml", ".json"):
        problem = f"The dataset config {path} is neither .toml nor .json, as sd-scripts requires."
        return (), [wrong_dataset(problem, "Rename it.")]
    try:
        data = _read(path)
    except ValueError as wrong:
        return (), [wrong_dataset(f"{path} cannot be read: {wrong}.", "Correct that line.")]
    findings = [
        wrong_dataset(f"{path}: {problem}.", "Correct it there.")
        for problem in _problems(data, bool(values.get("masked_loss")), _known_to(scripts))
    ]
    if findings:
        return (), findings
    general = data.get("general") or {}
    found = []
    for number, table in enumerate(data.get("datasets", [])):
        place = f"{path}: datasets[{number}]"
        dataset, more = _dataset(place, {**values, **general}, table, scripts or Path())
        findings += more
        found += [dataset] if dataset else []
    given = any(one.trained_pictures for one in found)
    if not given and not any(one.level is Level.ERROR for one in findings):
        problem = f"The dataset config {path} gives no pictures; sd-scripts would report success."
        findings.append(error("LL361", problem, "Set image_dir to folders with pictures."))
    return tuple(found), findings


def _read(path: Path) -> dict[str, Any]:
    text = read_text(path)
    found = parse_json(text) if path.suffix.lower() == ".json" else parse_toml(text)
    if not isinstance(found, dict):
        raise ValueError("it contains no tables")
    return found


def _known_to(scripts: Path | None) -> str | None:
    """Return the source that says which keys this sd-scripts takes, None without one."""
    source = scripts / "library" / "config_util.py" if scripts else None
    return read_text(source) if source and source.is_file() else None


def _problems(data: Mapping[str, Any], masked: bool, source: str | None) -> Iterator[str]:
    yield from (f"{key} is not a table of it" for key in data if key not in ("general", "datasets"))
    general = data.get("general", {})
    if isinstance(general, dict):
        yield from _table(general, "general", {**_OF_DATASETS, **_ANYWHERE, **_OF_FOLDERS}, source)
    else:
        yield "general is not a table"
    datasets = data.get("datasets", [])
    if not _are_tables(datasets):
        yield "datasets is not a list of tables"
        return
    for number, dataset in enumerate(datasets):
        yield from _of_dataset(dataset, f"datasets[{number}]", masked, source)


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _of_dataset(
    dataset: Mapping[str, Any], place: str, masked: bool, source: str | None
) -> Iterator[str]:
    subsets = dataset.get("subsets", [])
    if not _are_tables(subsets):
        yield f"{place}.subsets is not a list of tables"
        return
    more: Rows
    needed: tuple[str, ...]
    if masked and all("conditioning_data_dir" in one for one in subsets):
        more, own, needed = _OF_CAPTION_FILES, _PAIRED, ("image_dir", "conditioning_data_dir")
    elif all("metadata_file" in one for one in subsets):
        more, own, needed = {}, _METADATA, ("metadata_file",)
    elif any("metadata_file" in one for one in subsets):
        yield f"{place} mixes subsets with and without metadata_file"
        return
    else:
        more, own, needed = _OF_FOLDERS, _FOLDER, ("image_dir",)
    known = {**_ANYWHERE, **more}
    settings = {key: value for key, value in dataset.items() if key != "subsets"}
    yield from _table(settings, place, {**_OF_DATASETS, **known}, source)
    for number, subset in enumerate(subsets):
        where = f"{place}.subsets[{number}]"
        yield from (f"{where} has no {key}" for key in needed if key not in subset)
        yield from _table(subset, where, {**known, **own}, source)


def _table(table: Mapping[str, Any], place: str, known: Rows, source: str | None) -> Iterator[str]:
    for key, value in table.items():
        there = source is None or f'"{key}"' in source
        kind = known.get(key)
        if not there or (kind is None and (source is None or key in _ALL_KEYS)):
            yield f"{place}.{key} is not a key that sd-scripts accepts there"
        elif kind is not None and not _fits(value, kind):
            yield f"{place}.{key} is {value!r}, where sd-scripts expects {kind}"
        elif key in ("batch_size", "bucket_reso_steps") and value < 1:
            yield f"{place}.{key} is {value}, and sd-scripts would divide by it"


def _fits(value: object, kind: str) -> bool:
    if kind == _PAIR:
        return isinstance(value, list) and len(value) == 2 and all(_fits(v, _POINT) for v in value)
    if kind == _SIZE:
        pair = isinstance(value, list) and len(value) == 2 and all(_fits(v, _WHOLE) for v in value)
        return pair or _fits(value, _WHOLE)
    types = {_WHOLE: int, _POINT: float, _TEXT: str, _FLAG: bool, _TABLE: dict}
    return isinstance(value, (int, float) if kind == _NUMBER else types[kind])


def _dataset(
    place: str, above: Mapping[str, Any], table: Mapping[str, Any], base: Path
) -> tuple[TrainingDataset | None, list[Finding]]:
    """Read the folders of one `[[datasets]]` table; None when its steps cannot be expected."""
    own = {key: value for key, value in table.items() if key != "subsets"}
    settings = {**above, "batch_size": above.get("train_batch_size") or 1, **own}
    if "batch_size" in above:
        settings["batch_size"] = own.get("batch_size", above["batch_size"])
    size = settings.get("resolution")
    text = ",".join(map(str, size)) if isinstance(size, list) else str(size or "")
    try:
        rules = rules_of({**settings, "resolution": text})
    except ValueError:
        problem = f"{place} has the resolution {size!r}, which cannot be used."
        return None, [error("LL377", problem, "Give it one such as [512, 512].")]
    found: dict[Path, Subset] = {}
    findings: list[Finding] = []
    for number, subset in enumerate(table.get("subsets", [])):
        where = f"{place}.subsets[{number}]"
        one, finding = _subset(where, {**settings, **subset}, base)
        findings += [finding] if finding else []
        if one:
            found.setdefault(one.reading.root, one)  # sd-scripts takes the first of two alike
    return TrainingDataset(
        tuple(found.values()),
        rules,
        settings["batch_size"],
        settings.get("validation_split") or 0.0,
        settings.get("validation_seed"),
        skipped_area_of(settings.get("skip_image_resolution")),
    ), findings


def _subset(
    place: str, settings: Mapping[str, Any], base: Path
) -> tuple[Subset | None, Finding | None]:
    repeats = settings.get("num_repeats", 1)
    if "metadata_file" in settings:
        images = str(base / str(settings["image_dir"])) if settings.get("image_dir") else ""
        listed, wrong = read_listed(base / str(settings["metadata_file"]), images, repeats)
        if listed is not None:
            listed = replace(listed, affixes=affixes_of(settings))
        return listed, wrong[0] if wrong else None
    folder = base / str(settings["image_dir"])
    if not folder.is_dir():
        problem = (
            f"{place} names {folder}, which does not exist; sd-scripts would train on the rest."
        )
        return None, wrong_dataset(problem, "Correct image_dir.")
    pictures, unread = pictures_in(folder)
    if repeats < 1 or not pictures:
        code, why = ("LL364", "0 repeats") if pictures else ("LL366", "no pictures")
        split = not (pictures or settings.get("is_reg")) and settings.get("validation_split")
        what = "fail, because it keeps some for validation" if split else "skip it"
        problem = f"{place}: {folder} has {why}; sd-scripts would {what}."
        return None, (error if split else warning)(
            code, problem, "Correct it, or remove the subset."
        )
    trained = TrainingFolder(folder, repeats, str(settings.get("class_tokens", "")), pictures)
    reading = FolderReading(folder, (trained,), (), (), tuple(unread))
    extension = str(settings.get("caption_extension", ".caption"))
    is_reg, draws = bool(settings.get("is_reg")), bool(settings.get("enable_wildcard"))
    affixes = affixes_of(settings)
    return Subset(reading, extension, is_reg, draws_variants=draws, affixes=affixes), None
