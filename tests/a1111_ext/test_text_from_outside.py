"""Text files that a person brings: too long or not UTF-8 is one sentence that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from a1111_ext.grids.choice import read_choice
from a1111_ext.showcase.ratings import read_ratings
from a1111_ext.showcase.review import is_review_file, read_review_file
from kohya_ext.captions.captioning import read_caption
from kohya_ext.dataset.roles_csv import read_roles_csv
from kohya_ext.project import DamagedError, InputError, ToolError
from kohya_ext.project.json_reader import ShapeError, read_text
from kohya_ext.training.dataset.dataset_config import read_dataset_config
from kohya_ext.training.dataset.listed import read_listed

READERS: dict[str, tuple[Callable[[Path], object], type[ToolError]]] = {
    "choice": (read_choice, InputError),
    "ratings": (read_ratings, InputError),
    "review": (read_review_file, InputError),
    "roles": (read_roles_csv, InputError),
    "caption": (read_caption, DamagedError),
}
DAMAGED = {
    "it is longer than 20 bytes": b"fox.png,1\n" * 3,
    "it is not UTF-8 text (byte 3)": b"fox\xff.png,1\n",
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORALOOM_LIMIT_JSON_BYTES", "20")
    monkeypatch.setenv("LORALOOM_LIMIT_TEXT_BYTES", "20")


@pytest.mark.parametrize("why", DAMAGED)
@pytest.mark.parametrize("name", READERS)
def test_the_sentence_names_file_and_reason(tmp_path: Path, name: str, why: str):
    read, kind = READERS[name]
    path = tmp_path / "brought.csv"
    path.write_bytes(DAMAGED[why])
    with pytest.raises(kind) as caught:
        read(path)
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize("why", DAMAGED)
def test_the_trainers_files_are_findings(tmp_path: Path, why: str):
    path = tmp_path / "brought.toml"
    path.write_bytes(DAMAGED[why])
    _, (finding,) = read_dataset_config({"dataset_config": str(path)})
    assert str(path) in finding.problem
    assert why in finding.problem


def test_metadata_that_is_not_text_is_a_finding(tmp_path: Path):
    path = tmp_path / "brought.json"
    path.write_bytes(b'{"fox\xff.png": {}}')
    _, (finding,) = read_listed(path, "", 1)
    assert f"{path} is not a metadata file" in finding.problem


def test_metadata_as_deep_as_no_json_is_a_finding(tmp_path: Path):
    path = tmp_path / "brought.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    _, (finding,) = read_listed(path, "", 1)
    assert f"{path} is not a metadata file" in finding.problem


def test_a_file_too_long_is_no_review(tmp_path: Path):
    path = tmp_path / "review.json"
    path.write_text('{"kind": "loraloom-review"}', encoding="utf-8")
    assert not is_review_file(path)


def test_line_ends_of_windows_are_line_ends(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(path) == "a\nb\nc\n"
    with pytest.raises(ShapeError):
        read_text(path, 3)


def test_a_field_longer_than_csv_takes_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("LORALOOM_LIMIT_TEXT_BYTES")
    path = tmp_path / "roles.csv"
    path.write_text("fox.png," + "x" * 131_073, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read: field larger than"):
        read_roles_csv(path)
