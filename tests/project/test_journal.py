"""The journal remembers, and survives a power cut."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from kohya_ext.project import Journal, ToolError
from kohya_ext.project import journal as journal_module


def at_noon() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl", clock=at_noon)


def test_entries_come_back_in_order(journal: Journal):
    journal.append("stage", pictures=3)
    journal.append("train", name="狐")
    journal.append("stage", pictures=4)
    assert [entry.kind for entry in journal.entries()] == ["stage", "train", "stage"]
    assert [entry.facts["pictures"] for entry in journal.entries("stage")] == [3, 4]
    last = journal.last("train")
    assert last is not None
    assert (last.at, last.facts) == ("2026-01-31T12:00:00.000+00:00", {"name": "狐"})


def test_an_empty_journal_has_no_last_entry(journal: Journal):
    assert journal.entries() == []
    assert journal.last("train") is None


@pytest.mark.parametrize("torn", [b'{"at": "x", "ki', b"{", b"\x00\x00\x00"])
def test_a_torn_last_line_does_not_count(journal: Journal, torn: bytes):
    journal.append("stage")
    with journal.path.open("ab") as stream:
        stream.write(torn)
    assert len(journal.entries()) == 1
    journal.append("train")
    assert [entry.kind for entry in journal.entries()] == ["stage", "train"]


def test_a_whole_line_without_its_end_is_kept(journal: Journal):
    journal.append("stage")
    journal.path.write_bytes(journal.path.read_bytes().rstrip(b"\n"))
    journal.append("train")
    assert [entry.kind for entry in journal.entries()] == ["stage", "train"]


def test_a_damaged_line_in_the_middle_is_named(journal: Journal):
    journal.append("stage")
    journal.path.write_bytes(b"nonsense\n" + journal.path.read_bytes())
    with pytest.raises(ToolError, match=r"Line 1 of .*LL115"):
        journal.entries()


def test_what_is_no_entry_is_not_cut_away(journal: Journal):
    content = "a note by hand".encode("utf-16")
    journal.path.write_bytes(content)
    journal.append("stage")
    assert journal.path.read_bytes().startswith(content)
    with pytest.raises(ToolError, match="LL115"):
        journal.entries()


@pytest.mark.parametrize(
    "line", [b"[1]", b'"x"', b"5", b"{}", b'{"at": 1, "kind": "x"}', b"[" * 99_999]
)
def test_a_line_of_another_shape_is_named(journal: Journal, line: bytes):
    journal.append("stage")
    journal.path.write_bytes(line + b"\n" + journal.path.read_bytes())
    with pytest.raises(ToolError, match=r"Line 1 .*LL115"):
        journal.entries()


def test_an_endless_line_is_refused(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_LIMIT_TEXT_BYTES", "1000")
    journal.append("stage", name="x" * 1000)
    with pytest.raises(ToolError, match=r"longer than 1000 bytes.*LL115"):
        journal.entries()


def test_a_long_last_line_is_found_from_the_end(journal: Journal):
    journal.append("stage")
    with journal.path.open("ab") as stream:
        stream.write(b'{"at": "' + b"x" * 300_000)
    journal.append("train")
    assert [entry.kind for entry in journal.entries()] == ["stage", "train"]


def test_a_full_disk_is_one_sentence(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "fsync", refuse)
    with pytest.raises(ToolError, match="LL110"):
        journal.append("stage")
