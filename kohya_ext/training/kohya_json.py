"""The Kohya GUI's LoRA json, per GUI version: every key, its type, range and choices.

A value that the GUI cannot hold poisons its browser session, so what we write is checked here;
what others wrote is read with every repair named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..project import ToolError

Value = str | int | float | bool
Values = dict[str, Any]


class GuiVersion(str, Enum):
    """A Kohya GUI line: v24 (gradio 4), v25 (gradio 5), v26 (gradio 6)."""

    V24 = "v24"
    V25 = "v25"
    V26 = "v26"


@dataclass(frozen=True)
class Key:
    """One field of the LoRA tab; `kind` is str, number or bool, as the json holds it."""

    name: str
    kind: str
    widget: str
    default: Value
    choices: tuple[Value, ...]
    custom: bool
    minimum: float | None
    maximum: float | None
    coerced: str

    def problem(self, value: object) -> str | None:
        """Say why the GUI could not hold `value`, or return None."""
        if self.kind == "bool":
            return None if isinstance(value, bool) else "it must be true or false"
        if self.kind == "str":
            if not isinstance(value, str):
                return "it must be a text"
        elif not isinstance(value, (int, float)) or isinstance(value, bool):
            return "it must be a number"
        if self.choices and not self.custom and value not in self.choices:
            return f"it must be one of {', '.join(map(str, self.choices))}"
        return self._range_problem(value) if isinstance(value, (int, float)) else None

    def _range_problem(self, value: float) -> str | None:
        if self.minimum is not None and value < self.minimum:
            return f"it must be at least {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"it must be at most {self.maximum:g}"
        return None


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
            facts.get("maximum"),
            facts.get("coerced", ""),
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
class Problem:
    """One value that the GUI could not hold."""

    key: str
    value: object
    why: str

    def __str__(self) -> str:
        return f"{self.key} is {json.dumps(self.value, default=str)}, but {self.why}"


def find_problems(values: Mapping[str, Any], version: GuiVersion) -> tuple[Problem, ...]:
    """Return every value that the GUI of this version could not hold; missing keys too."""
    keys = keys_of(version)
    found = [
        Problem(name, values[name], why)
        for name, key in keys.items()
        if name in values and (why := key.problem(values[name]))
    ]
    missing = [Problem(name, None, "the key is missing") for name in keys if name not in values]
    return (*found, *missing)


def require_valid(values: Mapping[str, Any], version: GuiVersion) -> None:
    """Raise ToolError LL302 naming the first values that the GUI could not hold."""
    problems = find_problems(values, version)
    if problems:
        shown = "; ".join(map(str, problems[:3]))
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ToolError(
            "LL302",
            f"The Kohya GUI {version.value} cannot hold this config: {shown}{more}.",
            "Correct the values in the manifest under training.overrides, or in the preset.",
        )


def json_schema(version: GuiVersion) -> dict[str, Any]:
    """Return the JSON Schema of the LoRA json of one GUI version; unknown keys are allowed."""
    properties: dict[str, Any] = {}
    for name, key in keys_of(version).items():
        rule: dict[str, Any] = {
            "type": {"str": "string", "bool": "boolean"}.get(key.kind, "number")
        }
        if key.choices and not key.custom:
            rule["enum"] = list(key.choices)
        for word, bound in (("minimum", key.minimum), ("maximum", key.maximum)):
            if bound is not None:
                rule[word] = bound
        properties[name] = {**rule, "default": key.default}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Kohya GUI {version.value} LoRA config",
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
    }


@dataclass(frozen=True)
class Repair:
    """One value that was changed while reading, and why."""

    key: str
    before: object
    after: object
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {json.dumps(self.before)} -> {json.dumps(self.after)} ({self.why})"


@dataclass(frozen=True)
class KohyaConfig:
    """A complete json as read: values of known keys, keys of others' kept, repairs made."""

    version: GuiVersion
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    repairs: tuple[Repair, ...]

    def as_json(self) -> Values:
        """Return what is written: all known keys and the unknown ones, sorted."""
        return dict(sorted({**self.values, **self.unknown}.items()))


def read_kohya_json(path: Path, version: GuiVersion) -> KohyaConfig:
    """Read any Kohya LoRA json. Raises ToolError LL301 when it is no JSON object."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ToolError(
            "LL301", f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ValueError as error:
        raise ToolError(
            "LL301", f"{path} is no JSON: {error}.", "Save it again from the Kohya GUI."
        ) from error
    if not isinstance(data, dict):
        raise ToolError(
            "LL301",
            f"{path} holds a {type(data).__name__}, not a JSON object.",
            "Name a config that the Kohya GUI saved.",
        )
    return repair(data, version)


_RENAMED = {"lora_network_weights": "network_weights"}
_LORA_TYPES = {"LoCon": "LyCORIS/LoCon"}


def repair(data: Mapping[str, Any], version: GuiVersion) -> KohyaConfig:
    """Make a complete config of any json, as the GUI means it, naming each repair."""
    repairs: list[Repair] = []
    given = _follow_renames(dict(data), repairs)
    keys = keys_of(version)
    values: Values = {}
    for name, key in keys.items():
        if given.get(name) is None:
            if name in given:
                repairs.append(Repair(name, None, key.default, "null keeps the browser's value"))
            values[name] = key.default
            continue
        values[name] = _repaired(key, given[name], repairs)
    unknown = {name: value for name, value in given.items() if name not in keys}
    unknown.setdefault(SAVE_AS_BOOL, False)
    values["model_list"] = "custom"
    return KohyaConfig(version, values, unknown, tuple(repairs))


def _follow_renames(given: Values, repairs: list[Repair]) -> Values:
    for old, new in _RENAMED.items():
        if given.get(old) and not given.get(new):
            given[new] = given[old]
            repairs.append(Repair(new, "", given[old], f"renamed from {old}"))
    if given.get("use_wandb") in (True, "True") and not given.get("log_with"):
        given["log_with"] = "wandb"
        repairs.append(Repair("log_with", "", "wandb", "use_wandb of an older GUI"))
    return given


def _repaired(key: Key, value: object, repairs: list[Repair]) -> Value:
    after: Value
    after, why = _coerced(key, value)
    if key.problem(after):
        after, why = _brought_in_range(key, after)
    if why:
        repairs.append(Repair(key.name, value, after, why))
    return after


def _coerced(key: Key, value: object) -> tuple[Any, str]:
    """Return the value in the key's own type, and why it was changed."""
    if key.name == "LoRA_type" and value in _LORA_TYPES:
        return _LORA_TYPES[str(value)], "renamed by the GUI"
    if key.name == "xformers" and isinstance(value, bool):
        return ("xformers" if value else "none"), "a checkbox in older GUIs"
    if key.kind == "bool" and not isinstance(value, bool):
        return str(value).strip().lower() in ("true", "1", "yes"), "it must be true or false"
    if key.kind == "str" and not isinstance(value, str):
        if isinstance(value, list):
            return ",".join(map(str, value)), "a text, not a list"
        return ("" if isinstance(value, bool) else str(value)), "it must be a text"
    if key.kind == "number" and not isinstance(value, (int, float)):
        return _number(key, value)
    if key.kind == "number" and isinstance(value, bool):
        return int(value), "it must be a number"
    return value, ""


def _number(key: Key, value: object) -> tuple[Value, str]:
    text = str(value).strip()
    if not text:
        return key.default if not key.coerced else _number_of_blank(key), "empty"
    try:
        number = float(text)
    except ValueError:
        return key.default, "no number"
    whole = number == int(number) and "e" not in text.lower() and "." not in text
    return (int(number) if whole else number), "a number, not a text"


def _number_of_blank(key: Key) -> Value:
    """Return what the GUI itself makes of an empty text in a coerced field."""
    special = {"lr_scheduler_num_cycles": 1, "lr_scheduler_power": 1.0, "max_token_length": 75}
    return special.get(key.name, 0)


def _brought_in_range(key: Key, value: Any) -> tuple[Value, str]:
    if isinstance(value, (int, float)) and not key.choices:
        if key.minimum is not None and value < key.minimum:
            return _like(value, key.minimum), f"the GUI's minimum is {key.minimum:g}"
        if key.maximum is not None and value > key.maximum:
            return _like(value, key.maximum), f"the GUI's maximum is {key.maximum:g}"
    return key.default, f"{key.problem(value)}"


def _like(value: float, bound: float) -> int | float:
    return int(bound) if isinstance(value, int) else float(bound)
