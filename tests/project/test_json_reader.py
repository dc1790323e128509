"""Answers with pictures: read without copies, and as usual where their form is another one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from kohya_ext.project.json_reader import (
    ShapeError,
    parse_json,
    parse_with_pictures,
    read_or_set_aside,
)


def as_text(data: dict[str, object]) -> dict[str, object]:
    images = data.get("images")
    if isinstance(images, list):
        data["images"] = [
            bytes(one).decode("ascii") if isinstance(one, memoryview) else one for one in images
        ]
    return data


@pytest.mark.parametrize(
    "text",
    [
        '{"images":["QUJD","REVG"],"parameters":{},"info":"x"}',
        ' { "images" : [ "QUJD" , "REVG" ] , "info" : "a [ \\" ] b" } ',
        '{"images":[""],"info":"x"}',
        '{"images":[],"info":"x"}',
        '{"info":"x","images":["QUJD"]}',
        '{"images":["data:image/png;base64,QUJD"],"info":"x"}',
        '{"images":["QU\\/D"],"info":"x"}',
        '{"images":[null],"info":"x"}',
        '{"images":"QUJD"}',
        '{"parameters":{"images":["QUJD"]}}',
    ],
)
def test_it_says_the_same_as_json(text: str):
    assert as_text(parse_with_pictures(text.encode())) == json.loads(text)


def test_pictures_are_views_of_the_answer():
    content = b'{"images":["QUJD"],"info":""}'
    (picture,) = parse_with_pictures(bytearray(content))["images"]
    assert isinstance(picture, memoryview)
    assert bytes(picture) == b"QUJD"


@pytest.mark.parametrize(
    "content",
    [
        b'{"images":["QUJD',
        b'{"images":["QUJD",]}',
        b'{"images":["QUJD" "REVG"]}',
        b'{"images":["QUJD"]',
        b'{"images":["QUJD"}',
    ],
)
def test_damaged_answers_are_one_error(content: bytes):
    with pytest.raises(ShapeError):
        parse_with_pictures(content)
    with pytest.raises(ShapeError):
        parse_json(content)


def test_a_damaged_file_is_kept_beside_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "book.json"
    assert read_or_set_aside(path, list, []) == []
    path.write_text("[1]", encoding="utf-8")
    assert read_or_set_aside(path, list, []) == [1]
    path.write_text("7", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert read_or_set_aside(path, list, []) == []
    (aside,) = tmp_path.iterdir()
    assert (aside.read_text(encoding="utf-8"), aside.suffix) == ("7", ".json")
    assert f"it is kept as {aside.name}" in caplog.text
