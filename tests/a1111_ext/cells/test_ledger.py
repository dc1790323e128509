"""The ledger: who may draw a cell, and what is known of it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from drawing import cell

from a1111_ext.cells import Cell, CellState, Ledger, with_loras
from a1111_ext.cells.cell import without_hashes
from a1111_ext.cells.ledger import CellRecord, Claim
from a1111_ext.cells.picture_store import DAMAGED, REJECTED
from kohya_ext.project import DamagedError


def test_two_processes_do_not_draw_one_cell(tmp_path: Path):
    first = Ledger(tmp_path / "a.db", tmp_path / "cells")
    second = Ledger(tmp_path / "a.db", tmp_path / "cells")
    first.add([cell()])
    assert first.claim(cell().key)
    assert not second.claim(cell().key)
    first.release(cell().key)
    assert second.claim(cell().key)
    first.close()
    second.close()


@pytest.mark.parametrize("number", ["!", "~"], ids=["before ours", "behind ours"])
def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path, number: str):
    """It tells where that process asked for the picture: it may lie there."""
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        ledger.add([cell()])
        mine = ledger._owner
        ledger._owner = f"{mine.partition('|')[0]}|{number}|1|dead"
        assert ledger.claim(cell().key, "http://one") == Claim("")
        ledger._owner = mine
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as other:
        assert other.claim(cell().key, "http://two") == Claim("http://one")
        assert other.claim(cell().key, "http://two") == Claim("")  # one's own
        other.fail(cell().key, "cut")
        assert other.claim(cell().key, "http://two") == Claim("")


def test_a_claim_of_another_machine_holds_for_its_time(tmp_path: Path):
    now = [1_000_000.0]
    with Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0]) as ledger:
        ledger.add([cell()])
        for owner in ("!gpu|1|1|x", "~gpu|1|1|x"):  # before and behind ours in the alphabet
            mine, ledger._owner = ledger._owner, owner
            assert ledger.claim(cell().key)
            ledger._owner = mine
            now[0] += 60.0
            assert ledger.claim(cell().key) is None
            now[0] += 4000.0


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def finish(ledger: Ledger, one: Cell, content: bytes = b"a picture", seconds: float = 2.0) -> str:
    """Draw a cell, as far as the ledger sees; return its key."""
    ledger.add([one])
    ledger.keep(one.key, content)
    ledger.finish(one.key, infotext="Steps: 2", pixels="f0", server="one", seconds=seconds)
    return one.key


def state(ledger: Ledger, key: str) -> str | None:
    record = ledger.record(key)
    return record.state.value if record else None


def test_a_finished_cell_is_known_with_its_facts(ledger: Ledger):
    key = finish(ledger, cell())
    assert ledger.record(key) == CellRecord(
        cell().as_json(), CellState.DONE, "Steps: 2", "f0", "one", 2.0, ""
    )
    record = ledger.record(key)
    assert record is not None
    assert record.cell == cell()
    assert ledger.kept(key) == b"a picture"
    assert ledger.hashes([key]) == {key: sha256(b"a picture")}
    assert ledger.pixels() == {key: "f0"}


def test_a_cell_that_is_done_stays_done(ledger: Ledger):
    key = finish(ledger, cell())
    ledger.add([cell(), cell(seed=2)])
    assert (state(ledger, key), state(ledger, cell(seed=2).key)) == ("done", "planned")
    assert ledger.claim(key) is None
    assert ledger.claim("never added") is None


def test_only_ones_own_claim_is_given_back(tmp_path: Path):
    key = cell().key
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as first:
        first.add([cell()])
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as second:
            assert first.claim(key)
            second.release(key)
        assert state(first, key) == "claimed"
        first.release(key)
        assert state(first, key) == "planned"
        first.claim(key)
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as later:
        assert state(later, key) == "planned"


@pytest.mark.parametrize("days", [365, -365])
def test_a_clock_that_jumps_frees_another_machines_claim(tmp_path: Path, days: int):
    now = [1e9]
    with Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0]) as ledger:
        ledger.add([cell()])
        mine, ledger._owner = ledger._owner, "gpu|1|1|x"
        assert ledger.claim(cell().key)
        ledger._owner = mine
        now[0] += days * 86_400
        assert ledger.claim(cell().key)


def test_a_failed_cell_keeps_its_reason_and_may_be_tried(ledger: Ledger):
    ledger.add([cell()])
    ledger.keep(cell().key, b"all black")
    ledger.fail(cell().key, "nothing to see")
    record = ledger.record(cell().key)
    assert record is not None
    assert (record.state, record.reason) == (CellState.FAILED, "nothing to see")
    assert ledger.kept(cell().key) is None
    assert ledger.pictures.aside(cell().key, REJECTED).read_bytes() == b"all black"
    assert ledger.claim(cell().key) == Claim("")


def test_a_picture_of_a_killed_run_gets_its_hash(tmp_path: Path):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as killed:
        killed.add([cell()])
        killed.keep(cell().key, b"a picture")
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        ledger.finish(cell().key, infotext="", pixels="", server="", seconds=0)
        assert ledger.hashes([cell().key]) == {cell().key: sha256(b"a picture")}
        assert ledger.is_done(cell().key)


def test_what_is_gone_or_exchanged_is_planned_again(ledger: Ledger):
    cells = [cell(seed=seed) for seed in range(1, 7)]
    keys = [finish(ledger, one) for one in cells]
    ledger.picture_path(keys[0]).unlink()
    for key in keys[1:4]:
        ledger.picture_path(key).write_bytes(b"a pixture")
    assert ledger.done_among(keys) == set(keys[4:])
    assert ledger.damaged == sorted(keys[1:4])
    assert [state(ledger, key) for key in keys] == ["planned"] * 4 + ["done"] * 2
    assert ledger.pictures.aside(keys[1], DAMAGED).read_bytes() == b"a pixture"
    assert not ledger.is_done(keys[0])
    assert ledger.is_done(keys[4])


def test_of_very_many_only_sizes_are_compared_unless_all_is_asked_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("a1111_ext.cells.picture_store.PROVE_AT_MOST", 1)
    keys = [finish(ledger, cell(seed=seed)) for seed in (1, 2)]
    ledger.picture_path(keys[0]).write_bytes(b"a pixture")
    assert ledger.done_among(keys) == set(keys)
    assert ledger.done_among(keys, whole=True) == {keys[1]}


@pytest.mark.parametrize("unknown", [1, 600], ids=["few", "many"])
def test_of_all_cells_those_asked_for_are_reported(ledger: Ledger, unknown: int):
    first, second = (finish(ledger, cell(seed=seed)) for seed in (1, 2))
    ledger.add([cell(seed=3)])
    keys = [first, cell(seed=3).key, *(f"no-{number}" for number in range(unknown))]
    assert ledger.done_among(keys) == {first}
    assert {key: one.state.value for key, one in ledger.records(keys).items()} == {
        first: "done",
        cell(seed=3).key: "planned",
    }
    assert ledger.records(keys)[first] == ledger.record(first)
    assert set(ledger.hashes(keys)) == {first}
    assert ledger.done_keys() == {first, second}


def test_a_cell_that_was_drawn_once_is_remembered(ledger: Ledger):
    key = finish(ledger, cell())
    ledger.add([cell(seed=2)])
    ledger.picture_path(key).unlink()
    ledger.done_among([key])
    assert (ledger.done_keys(), ledger.pixels()) == (set(), {})
    assert ledger.drawn_keys() == {key}


def test_the_mean_is_that_of_drawn_pictures(ledger: Ledger):
    assert ledger.mean_seconds() is None
    for seed, seconds in ((1, 2.0), (2, 0.0), (3, 4.0)):
        finish(ledger, cell(seed=seed), seconds=seconds)
    assert ledger.mean_seconds() == 3.0


def test_pictures_of_one_request_with_other_files_are_found(ledger: Ledger):
    one = with_loras(cell(prompt="<lora:Mira:1> fox"), {"Mira": "a" * 12})
    other = with_loras(one, {"Mira": "b" * 12})
    assert ledger.last_hash("Mira") == ""
    for drawn, pixels in ((one, "f1"), (other, "f2")):
        finish(ledger, drawn)
        ledger.finish(drawn.key, infotext="", pixels=pixels, server="", seconds=1)
    ledger.add([cell(seed=9)])
    finish(ledger, cell(seed=5))
    found = ledger.pixels_by_request()
    assert found[without_hashes(one.as_json())] == {"f1", "f2"}
    assert sorted(map(sorted, found.values())) == [["f0"], ["f1", "f2"]]


def test_the_last_file_under_a_name_counts(tmp_path: Path):
    now = [1000.0]
    one = with_loras(cell(prompt="<lora:Möwe:1> fox"), {"Möwe": "a" * 12})
    with Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0]) as ledger:
        for hash_, time in (("a" * 12, 3000.0), ("b" * 12, 2000.0)):
            drawn, now[0] = with_loras(one, {"Möwe": hash_}), time
            ledger.add([drawn])
            assert ledger.claim(drawn.key)
            assert ledger.last_hash("Möwe") in ("", "a" * 12)  # a claim is not a picture
            finish(ledger, drawn)
        assert ledger.last_hash("Möwe") == "a" * 12
        assert ledger.last_hash("Möw") == ""


@pytest.mark.parametrize("request_", ["{", "5", "[]", "[1]", '{"prompt": 5}'])
def test_a_damaged_cell_is_named(request_: str):
    record = CellRecord(request_, CellState.DONE, "", "", "", 0.0, "")
    with pytest.raises(DamagedError, match="LL450"):
        record.cell  # noqa: B018  # the property is what fails


def test_the_first_hash_pins_a_checkpoint(ledger: Ledger):
    assert [ledger.pin("fox", one) for one in ("aa", "bb")] == ["aa", "aa"]
    assert ledger.pin("owl", "cc") == "cc"


def test_the_first_note_of_a_webuis_settings_stays(ledger: Ledger):
    assert ledger.saved_settings("one") == {}
    ledger.note_saved_settings("one", {"CLIP_stop_at_last_layers": 1})
    ledger.note_saved_settings("one", {"CLIP_stop_at_last_layers": 2})
    ledger.note_saved_settings("two", {"sd_vae": "None"})
    assert ledger.saved_settings("one") == {"CLIP_stop_at_last_layers": 1}
    ledger.forget_saved_settings("one")
    assert ledger.saved_settings("one") == {}
    assert ledger.saved_settings("two") == {"sd_vae": "None"}


def test_a_pause_counts_in_every_process(tmp_path: Path):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as other:
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
            assert not other.is_paused
            ledger.set_paused(True)
            assert other.is_paused
            other.set_paused(False)
            assert not ledger.is_paused
            ledger.set_paused(True)
        assert not ledger.is_paused  # it is closed: whoever writes next says what is wrong
        assert other.is_paused


def test_every_thread_may_use_a_ledger(ledger: Ledger):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(finish, ledger, cell()).result(60) == cell().key
