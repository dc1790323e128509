"""A kept picture is proved before it is used: damage is moved aside and drawn again."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from elsewhere import Elsewhere
from PIL import Image

from a1111_ext.api.client import Client
from a1111_ext.cells import Cell, CellOutcome, Ledger, picture_store, run_cells
from a1111_ext.cells.backend import HttpBackend
from a1111_ext.cells.cell import CheckpointPin
from a1111_ext.cells.cell_plan import plan_cells
from a1111_ext.cells.picture_store import DAMAGED, PROVE_AT_MOST, REJECTED, PictureStore
from kohya_ext.project.errors import MachineError


def cells(backend: HttpBackend, count: int = 3) -> list[Cell]:
    title = backend.capabilities.checkpoints[0].title
    base = Cell(
        checkpoint=CheckpointPin(title), prompt="a fox", seed=1, width=64, height=64, steps=1
    )
    return [replace(base, seed=seed) for seed in range(1, count + 1)]


def other_picture(key: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "PNG")
    return stream.getvalue()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another": lambda path: path.write_bytes(other_picture("")),
    "one bit": lambda path: path.write_bytes(
        path.read_bytes()[:-20] + bytes([path.read_bytes()[-20] ^ 1]) + path.read_bytes()[-19:]
    ),
}


@pytest.fixture
def backend(client: Client):
    opened = HttpBackend(client)
    yield opened
    opened.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_picture_is_kept_aside_and_drawn_again(
    backend: HttpBackend, tmp_path: Path, damage: Callable[[Path], None]
):
    wanted = cells(backend)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as first:
        run_cells(plan_cells(wanted), first, [backend])
        path = first.picture_path(wanted[1].key)
        right = path.read_bytes()
    damage(path)
    events = []
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as again:
        report = run_cells(plan_cells(wanted), again, [backend], on_event=events.append)
        assert again.pictures.aside(wanted[1].key, DAMAGED).exists()
    assert [one.outcome for one in events].count(CellOutcome.DAMAGED) == 1
    assert report.failed == ()
    assert path.read_bytes() == right


def test_a_picture_that_only_got_a_new_time_is_right(ledger: Ledger, backend: HttpBackend):
    wanted = cells(backend, 1)
    run_cells(plan_cells(wanted), ledger, [backend])
    os.utime(ledger.picture_path(wanted[0].key), (1, 1))
    assert ledger.done_among([wanted[0].key]) == {wanted[0].key}
    assert ledger.damaged == []


KEY = "ab12" * 16


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "cells")


@pytest.mark.parametrize("content", [b"longer", b"less"])
def test_of_very_many_only_the_size_is_compared(store: PictureStore, content: bytes):
    digest = store.write(KEY, b"right")
    known = {KEY: (digest, 5), **{f"zz{n}": ("x", 1) for n in range(PROVE_AT_MOST)}}
    gone, differs = store.wrong_among(known)
    assert (len(gone), differs) == (PROVE_AT_MOST, set())
    store.path(KEY).write_bytes(content)
    assert store.wrong_among(known)[1] == {KEY}
    store.path(KEY).write_bytes(b"wrong")
    assert store.wrong_among(known)[1] == set()
    assert store.wrong_among(known, whole=True)[1] == {KEY}
    known.pop("zz0")
    assert store.wrong_among(known)[1] == {KEY}


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 64], ids=["below", "above"])
def test_any_other_hash_is_another_picture(store: PictureStore, digest: str):
    store.write(KEY, b"right")
    assert store.wrong_among({KEY: (digest, 5)}) == (set(), {KEY})


@pytest.mark.parametrize("content", [b"less", b"wrong"], ids=["shorter", "older"])
def test_a_picture_changed_after_its_proof_is_noticed(store: PictureStore, content: bytes):
    known = {KEY: (store.write(KEY, b"right"), 5)}
    assert store.wrong_among(known) == (set(), set())
    store.path(KEY).write_bytes(content)
    os.utime(store.path(KEY), (1, 1))
    assert store.wrong_among(known) == (set(), {KEY})


def test_a_proved_picture_is_not_read_again(store: PictureStore, monkeypatch: pytest.MonkeyPatch):
    known = {key: (store.write(key, b"right"), 5) for key in (KEY, "cd34")}
    store.wrong_among({KEY: known[KEY]})
    store.read_elsewhere([*known, "gone"], Elsewhere())
    monkeypatch.setattr(picture_store, "read_picture_bytes", None)
    assert store.wrong_among(known) == (set(), set())


def test_what_was_moved_aside_is_not_kept(store: PictureStore):
    assert store.sizes() == {}
    for key in (KEY, "ab34", "cd56"):
        store.write(key, b"right")
    store.move_aside("ab34", REJECTED)
    store.move_aside("cd56", REJECTED)
    store.move_aside("gone", REJECTED)
    assert store.sizes() == {KEY: 5}
    assert [store.aside(key, REJECTED).read_bytes() for key in ("ab34", "cd56")] == [b"right"] * 2


def test_a_picture_that_cannot_be_moved_is_explained(store: PictureStore):
    store.write(KEY, b"right")
    (store.folder / REJECTED).write_bytes(b"a file in the folder's place")
    with pytest.raises(MachineError, match=REJECTED):
        store.move_aside(KEY, REJECTED)


def test_a_broken_disk_is_explained(store: PictureStore, monkeypatch: pytest.MonkeyPatch):
    known = {KEY: (store.write(KEY, b"right"), 5)}

    def broken(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(picture_store, "read_picture_bytes", broken)
    for read in (lambda: store.read(KEY), lambda: store.wrong_among(known)):
        with pytest.raises(MachineError, match=rf"{KEY}\.png cannot be read: .*LL104"):
            read()


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes a folder by itself")
def test_a_new_pictures_name_is_flushed_too(store: PictureStore, monkeypatch: pytest.MonkeyPatch):
    flushed = []

    def flush(handle: int) -> None:
        flushed.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", flush)
    store.write(KEY, b"right")
    assert flushed[-1] == store.path(KEY).parent.stat().st_ino

    def full(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="disk is full"):
        store.write(KEY, b"right")


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes a folder by itself")
def test_a_share_that_cannot_flush_folders_keeps_pictures(
    store: PictureStore, monkeypatch: pytest.MonkeyPatch
):
    """As some network shares answer; the picture itself is flushed there, too."""
    fsync = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    store.write(KEY, b"right")
    assert store.path(KEY).read_bytes() == b"right"


def test_pictures_rebuild_a_damaged_ledger(tmp_path: Path, backend: HttpBackend):
    wanted = cells(backend)
    db = tmp_path / "cells.db"
    with Ledger(db, tmp_path / "cells") as first:
        run_cells(plan_cells(wanted), first, [backend])
    content = bytearray(db.read_bytes())
    content[4096:8192] = os.urandom(4096)
    db.write_bytes(content)
    drawn = backend.client.get("/sdapi/v1/progress")  # the server is there, and is not asked
    assert drawn
    events = []
    with Ledger(db, tmp_path / "cells") as again:
        assert again.set_aside is not None
        report = run_cells(plan_cells(wanted), again, [backend], on_event=events.append)
        assert again.done_among([one.key for one in wanted]) == {one.key for one in wanted}
    assert report.failed == ()
    assert {one.seconds for one in events if one.outcome is CellOutcome.DRAWN} == {0.0}
