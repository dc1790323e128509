"""Answers with pictures: read without copies, and as usual where their form is another one."""

from __future__ import annotations

import json
import logging
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from kohya_ext.project.json_reader import (
    ShapeError,
    parse_json,
    parse_with_pictures,
    read_beginning,
    read_bounded,
    read_json,
    read_lines,
    read_or_set_aside,
    read_picture_bytes,
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


def test_lines_are_read_one_by_one_within_their_limit(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"one\ntwo\n" + b"x" * 50)
    lines = read_lines(path, 40)
    assert (next(lines), next(lines)) == (b"one\n", b"two\n")
    with pytest.raises(ShapeError, match="longer than 40 bytes"):
        next(lines)


def test_memory_is_taken_for_what_a_file_holds(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    tracemalloc.start()
    try:
        assert read_picture_bytes(path) == b"picture"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_grew_is_read_to_its_end_or_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.json"
    path.write_bytes(b"0123456789")
    monkeypatch.setattr("os.fstat", lambda _: SimpleNamespace(st_size=3))
    assert read_bounded(path, 10) == b"0123456789"
    with pytest.raises(ShapeError, match="longer than 9 bytes"):
        read_bounded(path, 9)


def test_the_beginning_of_any_file_is_text(tmp_path: Path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xfffox" + b"x" * 50)
    assert read_beginning(path, 4) == "\ufffdfox"


@pytest.mark.skipif(os.name != "posix", reason="there are no pipes in folders")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for read in (
        read_json,
        read_beginning,
        read_picture_bytes,
        lambda one: next(read_lines(one, 9)),
    ):
        with pytest.raises(OSError, match="it is not a regular file"):
            read(path)


def test_half_a_letter_becomes_one_that_can_be_written():
    found = parse_json(r'{"a\ud83e": ["\ud83e\udd8a", "x\uDD8A", 3]}')
    assert found == {"a\ufffd": ["\U0001f98a", "x\ufffd", 3]}
