"""JSON Schemas of the Kohya GUI's LoRA json, one per GUI version, for editors and for checks.

`scripts/make-training-data` writes them beside the tables that they are made from.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ...project.yaml_reader import packaged_yaml
from .kohya_json import GuiVersion, Key, keys_of


def schema_path(version: GuiVersion) -> Path:
    """Return where the schema of a version lies, to be named in an editor's settings."""
    data = Path(str(resources.files(__package__))) / "data"
    return data / f"kohya-lora.{version.value}.schema.json"


@lru_cache(maxsize=1)
def descriptions() -> dict[str, str]:
    """Return what each field does, in our own words, by key."""
    found: dict[str, str] = packaged_yaml(__package__, "data/kohya_descriptions.yaml")
    return found


def json_schema(version: GuiVersion) -> dict[str, Any]:
    """Return the JSON Schema of one GUI version; every key is required, unknown ones may stand."""
    keys = keys_of(version)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Kohya GUI {version.value}: LoRA config",
        "description": "Every key is required; for a missing key the GUI keeps the value on its "
        "page.",
        "type": "object",
        "properties": {name: _property(key) for name, key in sorted(keys.items())},
        "required": sorted(keys),
    }


def _property(key: Key) -> dict[str, Any]:
    rule: dict[str, Any] = {"description": descriptions()[key.name]}
    if key.label:
        rule["title"] = key.label
    whole = key.coerced == "int" or key.precision == 0
    number = "integer" if whole else "number"
    rule["type"] = {"str": "string", "bool": "boolean"}.get(key.kind, number)
    if key.choices:
        rule["examples" if key.custom else "enum"] = list(key.choices)
    for word, bound in (("minimum", key.minimum), ("maximum", key.maximum)):
        if bound is not None and not key.of_machine:
            rule[word] = bound
    return {**rule, "default": key.default}
