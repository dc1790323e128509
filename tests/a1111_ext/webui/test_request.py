"""The body of a request is checked field by field."""

from __future__ import annotations

from typing import Any

import pytest

from a1111_ext.webui.request import DrawRequest, parse_request
from kohya_ext.project import ToolError


def test_an_empty_request_has_the_usual_values():
    assert parse_request({}) == DrawRequest()


def test_lists_of_numbers_are_taken():
    request = parse_request({"seeds": [1, 2], "epochs": [4, "last"], "cfg_scale": 7})
    assert (request.seeds, request.epochs, request.cfg_scale) == ("1, 2", "4, last", 7.0)


def test_what_was_given_is_remembered():
    assert parse_request({"project": "x", "prompt": "a fox"}).given == ("prompt",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"widht": 512}, '"widht" is not a field of a grid'),
        ({"width": "512"}, "It must be a whole number"),
        ({"width": True}, "It must be a whole number"),
        ({"steps": 0}, "It must be between 1 and 1000"),
        ({"cfg_scale": 31.0}, "It must be between 1 and 30"),
        ({"control": 1}, "It must be true or false"),
        ({"prompt": None}, "It must be a text"),
        ({"project": "x", "width": 64}, "decided by the manifest"),
        ({"given": ["x"]}, '"given" is not a field'),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:20],
)
def test_a_wrong_field_is_named(body: dict[str, Any], says: str):
    with pytest.raises(ToolError) as caught:
        parse_request(body)
    assert caught.value.code == "LL761"
    assert says in str(caught.value)
