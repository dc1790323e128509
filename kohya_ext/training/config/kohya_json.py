"""The Kohya GUI's LoRA json, per GUI version: every key, its type, range and choices.

A value that the GUI cannot hold poisons its browser session, so what we write is checked here;
what others wrote is read with every repair named.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from ...project import InputError

Value = str | int | float | bool
Values = dict[str, Any]


class GuiVersion(str, Enum):
    """A Kohya GUI line: v24 (gradio 4), v25 (gradio 5), v26 (gradio 6)."""

    V24 = "v24"
    V25 = "v25"
    V26 = "v26"


@dataclass(frozen=True)
class Key:
    """One field of the LoRA tab; `kind` is str, number or bool, as the json holds it.

    `of_machine` when its maximum is that of this machine.
    """

    name: str
    kind: str
    widget: str
    default: Value
    choices: tuple[Value, ...]
    custom: bool
    minimum: float | None
    maximum: float | None
    coerced: str
    precision: int | None = None
    label: str = ""
    of_machine: bool = False

    def problem(self, value: object) -> str | None:
        """Say why the GUI could not hold `value`, or return None."""
        if self.kind == "bool":
            return None if isinstance(value, bool) else "it must be true or false"
        if self.kind == "str":
            if not isinstance(value, str):
                return "it must be text"
        elif not isinstance(value, (int, float)) or isinstance(value, bool):
            return "it must be a number"
        if (why := self.choice_problem(value)) is not None:
            return why
        return self.range_problem(value) if isinstance(value, (int, float)) else None

    def choice_problem(self, value: object) -> str | None:
        """Say which choices there are, when `value` is none of them."""
        if self.choices and not self.custom and value not in self.choices:
            return f"it must be one of {', '.join(str(one) or '(empty)' for one in self.choices)}"
        return None

    def range_problem(self, value: float) -> str | None:
        """Say which bound `value` oversteps."""
        if self.minimum is not None and value < self.minimum:
            return f"it must be at least {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"it must be at most {self.maximum:g}"
        return None


_THREADS = "num_cpu_threads_per_process"
"""The one slider that ends at the number of cores of the machine that the GUI runs on."""


_EMPTY: Mapping[str, Value] = {"str": "", "number": 0, "bool": False}
SAVE_AS_BOOL = "save_as_bool"
"""A key that every saved json carries, always false."""


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    path = resources.files(__package__) / "data" / "kohya_keys.json"
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


@cache
def keys_of(version: GuiVersion) -> Mapping[str, Key]:
    """Return the fields of the LoRA tab of one GUI version, by name."""
    found = {}
    for name, row in _table()["keys"].items():
        if version.value not in row["in"]:
            continue
        facts = {**row, **row.get("differs", {}).get(version.value, {})}
        default = facts.get("default")
        found[name] = Key(
            name,
            facts["type"],
            facts["widget"],
            # some text boxes default to null, which the v26 GUI itself cannot print: see 9 keys
            _EMPTY[facts["type"]] if default is None else default,
            tuple(facts.get("choices") or ()),
            bool(facts.get("allow_custom_value")),
            facts.get("minimum"),
            max(2, os.cpu_count() or 2) if name == _THREADS else facts.get("maximum"),
            facts.get("coerced", ""),
            facts.get("precision"),
            facts.get("label", ""),
            name == _THREADS,
        )
    return found


def default_values(version: GuiVersion) -> Values:
    """Return a complete json of the GUI's stock defaults, with nothing null."""
    values = {name: key.default for name, key in keys_of(version).items()}
    return {**values, "model_list": "custom", SAVE_AS_BOOL: False}


def complete(values: Mapping[str, Any], version: GuiVersion) -> Values:
    """Return `values` over the defaults, sorted: a missing key would keep what the browser has."""
    return dict(sorted({**default_values(version), **values}.items()))


@dataclass(frozen=True)
class RejectedValue:
    """One value that the GUI could not hold."""

    key: str
    value: object
    why: str

    def __str__(self) -> str:
        return f"{self.key} is {json.dumps(self.value, default=str)}, but {self.why}"


def find_problems(values: Mapping[str, Any], version: GuiVersion) -> tuple[RejectedValue, ...]:
    """Return every value that the GUI of this version could not hold; missing keys too."""
    keys = keys_of(version)
    found = [
        RejectedValue(name, values[name], why)
        for name, key in keys.items()
        if name in values and (why := key.problem(values[name]))
    ]
    missing = [
        RejectedValue(name, None, "the key is missing") for name in keys if name not in values
    ]
    return (*found, *missing)


def require_valid(values: Mapping[str, Any], version: GuiVersion) -> None:
    """Raise InputError naming the first values that the GUI could not hold."""
    problems = find_problems(values, version)
    if problems:
        shown = "; ".join(map(str, problems[:3]))
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise InputError(
            "LL302",
            f"The Kohya GUI {version.value} cannot hold this config: {shown}{more}.",
            "Correct the values in the manifest under training.overrides, or in the preset.",
        )


@dataclass(frozen=True)
class Repair:
    """One value that was changed while reading, and why.

    `only_gui` when the trainer would take the old value: just the GUI's widget cannot hold it.
    """

    key: str
    before: object
    after: object
    why: str
    only_gui: bool = False

    def __str__(self) -> str:
        before, after = (json.dumps(one, ensure_ascii=False) for one in (self.before, self.after))
        return f"{self.key}: {before} -> {after} ({self.why})"


@dataclass(frozen=True)
class KohyaConfig:
    """A complete json as read: values that the GUI holds, keys of others kept, repairs made.

    `meant` are the values without the bounds of the GUI's widgets, as the trainer takes them;
    `missing` are the keys that the json left out and that got the GUI's defaults.
    """

    version: GuiVersion
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    repairs: tuple[Repair, ...]
    meant: Mapping[str, Any]
    missing: tuple[str, ...]

    def as_json(self) -> Values:
        """Return what is written: all known keys and the unknown ones, sorted."""
        return dict(sorted({**self.values, **self.unknown}.items()))


SECRETS: Mapping[str, str] = {"wandb_api_key": "WANDB_API_KEY", "huggingface_token": "HF_TOKEN"}
"""Keys that are never written to a file, and the environment variable that does instead."""

_SECRET_WORD = re.compile(
    r"--(wandb_api_key|huggingface_token)(?:=|\s+)(\"[^\"]*\"|'[^']*'|\S+)\s?"
)
_OF_WORDS = (
    "optimizer_args", "lr_scheduler_args", "additional_parameters", "extra_accelerate_launch_args",
)  # fmt: skip
_FREE_WORDS = ("additional_parameters", "extra_accelerate_launch_args")


def without_secrets(data: Mapping[str, Any]) -> tuple[Values, tuple[str, ...]]:
    """Return a copy with its secrets blanked, also those in free parameters, and their names."""
    kept, found = dict(data), [key for key in SECRETS if data.get(key)]
    kept |= dict.fromkeys(found, "")
    for key in _FREE_WORDS:
        text = kept.get(key)
        if isinstance(text, str) and _SECRET_WORD.search(text):
            found += [match[1] for match in _SECRET_WORD.finditer(text)]
            kept[key] = _SECRET_WORD.sub("", text).strip()
    return kept, tuple(dict.fromkeys(found))


HANDLED = (SAVE_AS_BOOL, "lora_network_weights", "use_wandb", "use_8bit_adam")
"""Keys of older GUIs that are read, or say nothing."""

_RENAMED = {"lora_network_weights": "network_weights"}
_LORA_TYPES = {"LoCon": "LyCORIS/LoCon"}


def repair(data: Mapping[str, Any], version: GuiVersion) -> KohyaConfig:
    """Make a complete config of any json, as its author meant it, naming each repair."""
    kept, secrets = without_secrets(data)
    why = "a secret is never written to a file: set {} in the environment instead"
    repairs = [Repair(key, "(secret)", "", why.format(SECRETS[key])) for key in secrets]
    given = _follow_renames(kept, repairs)
    keys = keys_of(version)
    values: Values = {}
    meant: Values = {}
    for name, key in keys.items():
        if given.get(name) is None:
            if name in given:
                repairs.append(Repair(name, None, key.default, "null keeps the browser's value"))
            values[name] = meant[name] = key.default
            continue
        meant[name], why = _coerced(key, given[name])
        values[name], bound = meant[name], ""
        if key.problem(meant[name]):
            values[name], bound = _brought_in_range(key, meant[name])
        if why or bound:
            both = "; ".join(filter(None, (why, bound)))
            repairs.append(Repair(name, given[name], values[name], both, not why))
    values["model_list"] = meant["model_list"] = meant["model_list"] or "custom"
    unknown = {name: value for name, value in given.items() if name not in keys}
    unknown.setdefault(SAVE_AS_BOOL, False)
    missing = tuple(name for name in keys if name not in given)
    return KohyaConfig(version, values, unknown, tuple(repairs), meant, missing)


def _follow_renames(given: Values, repairs: list[Repair]) -> Values:
    for old, new in _RENAMED.items():
        if given.get(old) and not given.get(new):
            given[new] = given[old]
            repairs.append(Repair(new, "", given[old], f"renamed from {old}"))
    if given.get("use_wandb") in (True, "True") and not given.get("log_with"):
        given["log_with"] = "wandb"
        repairs.append(Repair("log_with", "", "wandb", "use_wandb of an older GUI"))
    if given.get("optimizer") is None:
        is_8bit = given.get("use_8bit_adam")
        given["optimizer"] = "AdamW8bit" if is_8bit else "AdamW"
        why = "use_8bit_adam of an older GUI" if is_8bit else "none is given, so the GUI uses it"
        repairs.append(Repair("optimizer", None, given["optimizer"], why))
    if given.get("max_train_steps") is None and given.get("epoch"):
        given["max_train_steps"] = 0
        why = "it counts by epochs; the 1600 steps of the GUI's page would take precedence"
        repairs.append(Repair("max_train_steps", None, 0, why))
    return given


_LARGEST = 2**63
"""Beyond it no program takes a whole number."""


def _coerced(key: Key, value: object) -> tuple[Any, str]:
    """Return the value in the key's own type, and why it was changed."""
    if key.name == "LoRA_type" and str(value) in _LORA_TYPES:
        return _LORA_TYPES[str(value)], "renamed by the GUI"
    if key.name == "xformers" and isinstance(value, bool):
        return ("xformers" if value else "none"), "a checkbox in older GUIs"
    if key.kind == "bool" and not isinstance(value, bool):
        truth = str(value).strip().lower() in ("true", "1", "1.0", "yes", "on")
        return truth, "it must be true or false; the GUI treats any text as true"
    if key.name == "xformers" and str(value).lower() in ("true", "false"):
        return ("xformers" if str(value).lower() == "true" else "none"), "a checkbox in older GUIs"
    if key.kind == "str" and isinstance(value, (list, tuple)) and key.name in _OF_WORDS:
        return " ".join(map(_text, value)), "it must be text"
    if key.kind == "str" and not isinstance(value, str):
        return _text(value), "it must be text"
    if key.kind == "number" and isinstance(value, int) and abs(value) > _LARGEST:
        raise InputError(
            "LL314", f"{key.name} is a number of {len(str(value))} digits.", "Correct it there."
        )
    if key.kind == "number" and isinstance(value, bool):
        return int(value), "it must be a number"
    if key.kind == "number" and not isinstance(value, (int, float)):
        return _number(key, value)
    if key.kind == "number" and isinstance(value, float) and not math.isfinite(value):
        return key.default, "not a number"
    if key.coerced == "int" and isinstance(value, float) and value != int(value):
        return int(value), "the GUI accepts only whole numbers"
    return value, ""


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_text(one) for one in value)
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def _number(key: Key, value: object) -> tuple[Value, str]:
    text = str(value).strip()
    if text.casefold() in ("", "none", "null"):
        return _OF_BLANK.get(key.name, 0) if key.coerced else key.default, "empty"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            "LL314",
            f"{key.name} is {json.dumps(value)}, not a number.",
            "Correct it in the config.",
        )
    if key.coerced == "int" or key.precision == 0:
        return int(number), "a whole number, not text"
    whole = number == int(number) and "e" not in text.lower() and "." not in text
    return (int(number) if whole else number), "a number, not text"


_OF_BLANK = {"lr_scheduler_num_cycles": 1, "lr_scheduler_power": 1.0, "max_token_length": 75}
"""What the GUI itself makes of an empty text in a coerced field, else 0."""

_OTHER_CAPTIONS = (
    "the GUI knows only .txt, .caption and .cap: rename the caption files, or they are not used"
)


def _brought_in_range(key: Key, value: Any) -> tuple[Value, str]:
    if isinstance(value, (int, float)) and not key.choices:
        if key.minimum is not None and value < key.minimum:
            return _like(value, key.minimum), f"the GUI's minimum is {key.minimum:g}"
        if key.maximum is not None and value > key.maximum:
            return _like(value, key.maximum), f"the GUI's maximum is {key.maximum:g}"
    if key.name == "caption_extension":
        return key.default, _OTHER_CAPTIONS
    return key.default, f"{key.problem(value)}"


def _like(value: float, bound: float) -> int | float:
    return int(bound) if isinstance(value, int) else float(bound)
