from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kohya_ext.project.manifest_reader import manifest_schema, parse_manifest
from kohya_ext.project.schema_check import Fault, find_faults

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

FULL: dict[str, Any] = {
    "format": 1,
    "trigger_word": "Quillfox",
    "subject": {
        "kind": "person",
        "consent": {"name": "Mira", "date": "2026-01-31", "scope": "all", "evidence": "a letter"},
    },
    "dataset": {"ratings": {"3": "primary", "-1": "out"}},
    "training": {"max_train_epochs": 10},
    "grid": {"seeds": [1, -1], "lora_weights": [0.8, 1], "picture": {"width": 512, "steps": 20}},
}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(["", "x", "primary", "style", "-1", "2026-01-31", "quillfox", ".png"]),
    st.lists(st.one_of(st.integers(-2, 2), st.text(max_size=2)), max_size=2),
    st.dictionaries(st.sampled_from(["1", "9", "width", "x"]), st.integers(-1, 1), max_size=2),
)


def places(schema: Any, place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, inner in schema.get("properties", {}).items():
        found += [(*place, key), *places(inner, (*place, key))]
    return found


PLACES = places(manifest_schema())


def changed(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    data = copy.deepcopy(FULL)
    here: Any = data
    for key in place[:-1]:
        if not isinstance(here.get(key), dict):
            here[key] = {}
        here = here[key]
    here[place[-1]] = value
    return data


@pytest.fixture(params=["jsonschema", "a host without it"], autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "jsonschema":
            patch.setitem(sys.modules, "jsonschema", None)
        yield


def first(value: Any, schema: dict[str, Any]) -> Fault | None:
    return next(find_faults(value, schema), None)


def test_the_whole_example_is_sound():
    assert list(find_faults(FULL, manifest_schema())) == []


def test_only_faults_load_jsonschema(monkeypatch: pytest.MonkeyPatch):
    """That took 45 of the 195 ms that `loraloom show` needed."""
    monkeypatch.setitem(sys.modules, "jsonschema", ModuleType("jsonschema"))
    assert list(find_faults(FULL, manifest_schema())) == []
    with pytest.raises(ImportError, match="Draft202012Validator"):
        list(find_faults({}, manifest_schema()))


@calm
@given(st.sampled_from([*PLACES, ("unknown",), ("grid", "widht")]), values)
def test_faults_are_where_jsonschema_finds_them(place: tuple[str, ...], value: Any):
    data = changed(place, value)
    ours = {one.place for one in find_faults(data, manifest_schema())}
    theirs = set()
    for error in Draft202012Validator(manifest_schema()).iter_errors(data):
        at = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            unknown = set(error.instance) - set(error.schema["properties"])
            theirs |= {(*at, key) for key in unknown}
        else:
            theirs.add(at)
    assert ours == theirs


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "integer"}, True, "true is not a whole number."),
        ({"type": "integer"}, 1.5, "1.5 is not a whole number."),
        ({"type": ["array", "null"]}, "x", '"x" is not a list or nothing.'),
        ({"enum": [1, 2]}, True, "true is not one of 1, 2."),
        ({"minimum": 3}, 2, "2 is less than the minimum of 3."),
        ({"exclusiveMinimum": 3}, 3, "3 is not more than 3."),
        ({"maximum": 3}, 4, "4 is more than the maximum of 3."),
        ({"minLength": 1}, "", "it is empty."),
        ({"minItems": 1}, [], "it is empty."),
        ({"required": ["a"]}, {}, 'the key "a" is missing.'),
        (
            {"pattern": "^a$", "description": "An a."},
            "b",
            "does not have the expected form (An a).",
        ),
    ],
)
def test_a_fault_is_a_sentence(schema: dict[str, Any], value: Any, words: str):
    fault = first(value, schema)
    assert fault is not None
    assert fault.problem.startswith("the manifest: ")
    assert words in fault.problem


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 2.0),
        ({"minimum": 3}, 3),
        ({"maximum": 3}, 3),
        ({"maximum": 3}, "x"),
        ({"exclusiveMinimum": 3}, 4),
        ({"minLength": 1}, []),
        ({"minItems": 1}, ""),
        ({"required": ["a"]}, {"a": None}),
        ({"required": ["a"]}, []),
        ({"pattern": "a", "description": "An a."}, "xax"),
    ],
)
def test_what_is_allowed_is_no_fault(schema: dict[str, Any], value: Any):
    assert first(value, schema) is None


def test_an_unknown_key_names_its_neighbours():
    schema = {"properties": {"steps": {}, "width": {}}, "additionalProperties": False}
    fault = first({"setps": 1}, schema)
    assert fault == Fault(
        ("setps",),
        'the key "setps" is not known.',
        'Did you mean "steps"? Known keys here: steps, width.',
    )


def test_a_word_of_the_schema_that_is_not_known_is_no_silent_pass():
    with pytest.raises(KeyError):
        first(1, {"multipleOf": 2})


def test_a_manifest_is_read():
    assert parse_manifest(json.dumps({"trigger_word": "Quillfox"}), Path("x")).trigger_word
