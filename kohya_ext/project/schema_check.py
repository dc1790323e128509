"""Check plain values against the manifest's JSON Schema, and say what is wrong in a sentence.

We look ourselves first, for the words of JSON Schema that the manifest's schema uses: to load
jsonschema takes a command longer than to look. It finds the faults where there are some, and
where it is: Forge Neo's Python lacks it, and gets no package of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

Place = tuple[Any, ...]
_Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the place of the value, what is wrong, and what to do."""

    place: Place
    problem: str
    cure: str = "Correct that line."


def find_faults(value: Any, schema: _Schema) -> Iterator[Fault]:
    """Yield everything in which a value is not as its schema has it.

    A word of the schema that has no sentence here is an error: KeyError.
    """
    ours = list(_look(value, schema, ()))
    if not ours:
        return
    try:
        from jsonschema import Draft202012Validator
    except ModuleNotFoundError:
        yield from ours
        return
    for error in Draft202012Validator(schema).iter_errors(value):
        yield from _faults_of(
            str(error.validator), error.instance, error.schema, tuple(error.absolute_path)
        )


def _look(value: Any, schema: _Schema, place: Place) -> Iterator[Fault]:
    for word in schema:
        yield from _faults_of(word, value, schema, place)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key, one in value.items():
            yield from _look(key, schema.get("propertyNames", {}), place)
            if key in known or others:
                yield from _look(one, known.get(key, others), (*place, key))
    elif isinstance(value, list) and "items" in schema:
        for index, one in enumerate(value):
            yield from _look(one, schema["items"], (*place, index))


def _faults_of(word: str, value: Any, schema: _Schema, place: Place) -> Iterator[Fault]:
    if word == "additionalProperties" and schema[word] is False:
        known = schema["properties"]
        for key in value if isinstance(value, dict) else ():
            if key not in known:
                here = (*place, key)
                close = get_close_matches(key, known, n=1)
                hint = f'Did you mean "{close[0]}"? ' if close else ""
                yield Fault(
                    here,
                    f'the key "{dotted(here)}" is not known.',
                    f"{hint}Known keys here: {', '.join(sorted(known))}.",
                )
    elif problem := _WORDS[word](value, schema):
        yield Fault(place, f"{dotted(place) or 'the manifest'}: {problem}")


def dotted(place: Place) -> str:
    """Return a place as people write it: `grid.picture.steps`."""
    return ".".join(str(part) for part in place)


_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", lambda value: _is_number(value) and value % 1 == 0),
    "number": ("a number", lambda value: _is_number(value)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "array": ("a list", lambda value: isinstance(value, list)),
    "object": ("a group of keys", lambda value: isinstance(value, dict)),
    "null": ("nothing", lambda value: value is None),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _wrong_type(value: Any, schema: _Schema) -> str:
    wanted = schema["type"]
    kinds = [_KINDS[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted)]
    if any(fits(value) for _, fits in kinds):
        return ""
    return f"{_shown(value)} is not {' or '.join(name for name, _ in kinds)}."


def _not_among(value: Any, schema: _Schema) -> str:
    known = schema["enum"]
    if any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in known):
        return ""
    return f"{_shown(value)} is not one of {', '.join(map(str, known))}."


def _out_of_range(value: Any, schema: _Schema) -> str:
    if not _is_number(value):
        return ""
    above, least, most = (schema.get(one) for one in ("exclusiveMinimum", "minimum", "maximum"))
    if least is not None and value < least:
        return f"{_shown(value)} is less than the minimum of {least}."
    if above is not None and value <= above:
        return f"{_shown(value)} is not more than {above}."
    if most is not None and value > most:
        return f"{_shown(value)} is more than the maximum of {most}."
    return ""


def _too_short(value: Any, schema: _Schema) -> str:
    kind, word = (list, "minItems") if "minItems" in schema else (str, "minLength")
    return "it is empty." if isinstance(value, kind) and len(value) < schema[word] else ""


def _of_another_form(value: Any, schema: _Schema) -> str:
    if not isinstance(value, str) or re.search(schema["pattern"], value):
        return ""
    wanted = schema["description"].rstrip(".")
    return f"{_shown(value)} does not have the expected form ({wanted})."


def _incomplete(value: Any, schema: _Schema) -> str:
    if not isinstance(value, dict):
        return ""
    missing = next((key for key in schema["required"] if key not in value), None)
    return f'the key "{missing}" is missing.' if missing else ""


def _nothing(value: Any, schema: _Schema) -> str:
    return ""


_WORDS: Mapping[str, Callable[[Any, _Schema], str]] = {
    "type": _wrong_type,
    "enum": _not_among,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), _out_of_range),
    **dict.fromkeys(("minLength", "minItems"), _too_short),
    "pattern": _of_another_form,
    "required": _incomplete,
    **dict.fromkeys(("properties", "additionalProperties", "propertyNames", "items"), _nothing),
    **dict.fromkeys(("$schema", "title", "description"), _nothing),
}
