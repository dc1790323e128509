"""Decisions hold until they are changed; the newest wins, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from kohya_ext.project import ToolError, databases
from kohya_ext.project.decisions import DecisionKind, DecisionStore, Statement
from kohya_ext.project.decisions.reviews_db import explained

ROLE, RATING = DecisionKind.ROLE, DecisionKind.RATING
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DecisionStore]:
    with DecisionStore(tmp_path / "reviews.db", clock=Clock()) as made:
        yield made


def test_reading_makes_no_file(store: DecisionStore):
    assert store.values(ROLE) == {}
    assert store.find(ROLE, "a") is None
    assert (store.history(ROLE, "a"), store.since(0), store.last_number()) == ((), (), 0)
    assert not store.path.exists()


def test_the_newest_decision_holds(store: DecisionStore):
    store.decide(ROLE, {"a": "primary", "b": "out"}, "folder")
    (change,) = store.decide(ROLE, {"a": "supporting", "b": "out"}, "board")
    assert (change.subject, change.before, change.value) == ("a", "primary", "supporting")
    assert (change.way, change.at) == ("board", "2026-03-01T12:02:00.000+00:00")
    assert store.values(ROLE) == {"a": "supporting", "b": "out"}
    assert [one.value for one in store.history(ROLE, "a")] == ["primary", "supporting"]


def test_decisions_outlive_the_process(store: DecisionStore):
    store.decide(ROLE, {"a": "primary"}, "board")
    store.close()
    with DecisionStore(store.path) as again:
        assert again.values(ROLE) == {"a": "primary"}


def test_one_taken_back_is_gone(store: DecisionStore):
    store.decide(ROLE, {"a": "primary"}, "board")
    store.decide(ROLE, {"a": None}, "board")
    assert store.values(ROLE) == {}
    assert store.find(ROLE, "a") is None


def test_undo_has_no_end(store: DecisionStore):
    for number in range(50):
        store.decide(RATING, {"a": number, "b": number}, "board")
    for number in reversed(range(49)):
        assert {one.value for one in store.undo("board")} == {number}
    assert [one.value for one in store.undo("board")] == [None, None]
    assert store.undo("board") == ()
    for number in range(50):
        assert {one.value for one in store.redo("board")} == {number}
    assert store.redo("board") == ()
    assert store.values(RATING) == {"a": 49, "b": 49}
    store.undo("board")
    assert store.values(RATING) == {"a": 48, "b": 48}


def test_a_new_decision_ends_redo(store: DecisionStore):
    store.decide(ROLE, {"a": "primary"}, "board")
    store.undo("board")
    store.decide(ROLE, {"b": "out"}, "board")
    assert store.redo("board") == ()
    assert store.values(ROLE) == {"b": "out"}


def test_undo_keeps_newer_words_of_others(store: DecisionStore):
    store.decide(ROLE, {"a": "primary", "b": "primary"}, "board")
    store.decide(ROLE, {"a": "out"}, "roles.csv")
    assert [one.subject for one in store.undo("board")] == ["b"]
    assert store.values(ROLE) == {"a": "out"}


def test_kinds_of_one_action_are_undone_together(store: DecisionStore):
    store.decide_together({ROLE: {"a": "primary"}, RATING: {"a": 1}}, "board")
    assert len(store.undo("board")) == 2
    assert store.values(ROLE) == store.values(RATING) == {}


def test_a_folder_speaks_when_it_changes(store: DecisionStore):
    def notice(word: str | None) -> list[str]:
        return [one.value for one in store.notice(ROLE, "folder", {"a": Statement(word)})]

    assert notice("primary") == ["primary"]
    store.decide(ROLE, {"a": "out"}, "board")
    assert notice("primary") == []  # it still lies where it lay
    assert notice("supporting") == ["supporting"]  # it was moved
    assert notice(None) == []
    assert store.values(ROLE) == {"a": "supporting"}


def test_an_older_statement_does_not_win(store: DecisionStore):
    store.decide(RATING, {"a": 1}, "board")  # at 12:01
    assert store.notice(RATING, "file", {"a": Statement(2, NOON)}) == ()
    later = NOON + timedelta(hours=1)
    (change,) = store.notice(RATING, "file", {"a": Statement(3, later), "b": Statement(None)})
    assert (change.before, change.value) == (1, 3)


def test_what_was_seen_is_no_news(store: DecisionStore):
    store.note_seen("folder", {"a": "supporting"})
    assert store.notice(ROLE, "folder", {"a": Statement("supporting")}) == ()
    assert store.values(ROLE) == {}


def test_an_earlier_store_moves_in_once(store: DecisionStore):
    store.decide(ROLE, {"a": "out"}, "board")
    moved = store.move_in("old.json", [(ROLE, {"a": "primary", "b": "primary"})], NOON)
    assert [(one.subject, one.way) for one in moved] == [("b", "old.json")]
    assert store.move_in("old.json", [(ROLE, {"c": "primary"})], NOON) == ()
    assert store.values(ROLE) == {"a": "out", "b": "primary"}


def test_a_window_sees_what_another_decides(store: DecisionStore):
    with DecisionStore(store.path) as other:
        other.decide(ROLE, {"a": "primary"}, "board")
        number = store.last_number()
        other.decide(ROLE, {"b": "out"}, "board")
        assert [(one.subject, one.value) for one in store.since(number)] == [("b", "out")]


def test_threads_lose_nothing(store: DecisionStore):
    def write(name: str) -> None:
        for number in range(30):
            store.decide(ROLE, {f"{name}{number}": "primary"}, "board")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(store.values(ROLE)) == 120


def _write_apart(path: str, name: str) -> None:
    with DecisionStore(Path(path)) as store:
        for number in range(20):
            store.decide(ROLE, {f"{name}{number}": "primary"}, "board")


def test_processes_lose_nothing(tmp_path: Path):
    path = tmp_path / "reviews.db"
    spawn = multiprocessing.get_context("spawn")
    found = [spawn.Process(target=_write_apart, args=(str(path), name)) for name in "ab"]
    for one in found:
        one.start()
    for one in found:
        one.join()
    with DecisionStore(path) as store:
        assert len(store.values(ROLE)) == 40


def test_a_failed_action_leaves_nothing(store: DecisionStore):
    with pytest.raises(TypeError):
        store.decide(ROLE, {"a": "primary", "b": object()}, "board")
    assert store.values(ROLE) == {}
    assert store.decide(ROLE, {"a": "out"}, "board")


def test_to_look_at_decisions_writes_nothing(store: DecisionStore):
    store.decide(ROLE, {"a": "out"}, "board")
    store.close()
    os.utime(store.path, (1, 1))
    assert store.values(ROLE) == {"a": "out"}
    store.close()
    assert store.path.stat().st_mtime == 1


def test_a_table_that_is_gone_is_made_again(store: DecisionStore):
    store.decide(ROLE, {"a": "out"}, "board")
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DROP TABLE seen")
    assert store.seen("folder") == {}


def test_a_damaged_file_is_named(tmp_path: Path):
    path = tmp_path / "reviews.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ToolError, match=r"reviews\.db cannot be used.*LL140"):
        DecisionStore(path).values(ROLE)


def test_a_newer_format_is_refused(tmp_path: Path):
    path = tmp_path / "reviews.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ToolError, match=r"of format 99.*LL140"):
        DecisionStore(path).decide(ROLE, {"a": "out"}, "board")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("value", '"no role"'), ("value", "5"), ("value", "[" * 99_999), ("value", b"\xff\xfe\x00"),
        ("before", "{"), ("kind", "none"),
    ],
)  # fmt: skip
def test_a_row_of_another_shape_is_one_sentence(store: DecisionStore, column: str, value: object):
    store.decide(ROLE, {"a": "primary"}, "board")
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute(f"UPDATE decisions SET {column} = ?", (value,))
    with pytest.raises(ToolError, match=r"decisions in .* cannot be used.*LL140"):
        store.since(0)


@pytest.mark.parametrize("at", ["yesterday", "2026-11-28T10:00:00", b"x"])
def test_a_time_that_is_none_is_one_sentence(store: DecisionStore, at: object):
    store.decide(ROLE, {"a": "primary"}, "board")
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE actions SET at = ?", (at,))
    with pytest.raises(ToolError, match="LL140"):
        store.current(ROLE)


@pytest.mark.parametrize(("free", "code"), [(1000, "LL110"), (10**9, "LL140")])
def test_no_room_for_the_log_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, code: str
):
    monkeypatch.setattr(databases, "free_bytes", lambda path: free)
    with pytest.raises(ToolError, match=code), explained(tmp_path / "reviews.db"):
        raise sqlite3.OperationalError("disk I/O error")
