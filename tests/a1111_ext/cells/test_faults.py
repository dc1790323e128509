"""Everything that a WebUI, a network or a power cut can do to a run: nothing lost, nothing wrong
accepted, nothing drawn twice without need. The simulated WebUI plays the faults."""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora
from PIL import Image
from until import wait_until

from a1111_ext.api.client import Client, ConnectionLost
from a1111_ext.api.infotext import read_infotext
from a1111_ext.cells import (
    Backend,
    Cell,
    CellEvent,
    CellOutcome,
    CheckpointPin,
    HiresFix,
    HttpBackend,
    Ledger,
    Patience,
    RunReport,
    pin_cell,
    plan_cells,
    run_cells,
    verify_picture,
    with_loras,
    without_loras,
)
from a1111_ext.cells.cell import Batch
from a1111_ext.cells.verify import generated_from_png, is_noise
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.cards import encode_png
from a1111_ext.simulator.refusal import Dropped, HttpRefusal
from kohya_ext.project import HostError, ToolError

AT_ONCE = Patience(tries=3, pause_seconds=0.0, return_seconds=30.0)


def cell(**changes: Any) -> Cell:
    return Cell(**{"prompt": "a fox", "seed": 1, "width": 64, "height": 64, "steps": 2} | changes)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


@pytest.fixture
def backend(webui: SimulatedWebui) -> Iterator[HttpBackend]:
    for epoch in (1, 2):
        with_hash(save_lora(webui.host.lora_dir, f"fox-{epoch:06d}", epoch=epoch))
    webui.host.refresh_loras()
    opened = HttpBackend(Client(webui.url), startup_seconds=0.0)
    yield opened
    opened.close()


def pinned(backend: HttpBackend, *cells: Cell) -> list[Cell]:
    return [pin_cell(with_loras(one, {}), backend.capabilities) for one in cells]


def draw(backend: HttpBackend, ledger: Ledger, *cells: Cell, **more: Any) -> RunReport:
    plan = plan_cells(pinned(backend, *cells))
    return run_cells(plan, ledger, [backend], **{"patience": AT_ONCE} | more)


def only_reason(report: RunReport) -> str:
    ((_, reason),) = report.failed
    return reason


def once(action: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Do something at the first request only."""
    left = [action]
    return lambda body: left.pop()(body) if left else None


# -- answers that are wrong, with status 200 ------------------------------------------------------


def picture(draw_it: Callable[[Image.Image], Image.Image]) -> Callable[[bytes], bytes]:
    """Distort the pixels of an answer; its infotext stays right."""

    def change(png: bytes) -> bytes:
        with Image.open(io.BytesIO(png)) as image:
            return encode_png(draw_it(image.convert("RGB")), read_infotext(png))

    return change


def black(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size)


def grey(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, (128, 128, 128))


def noise(image: Image.Image) -> Image.Image:
    import random

    size = image.width * image.height * 3
    return Image.frombytes("RGB", image.size, random.Random(1).randbytes(size))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (picture(black), "a black picture"),
        (picture(grey), "one plain colour"),
        (picture(noise), "nothing but noise"),
        (picture(lambda image: image.resize((32, 64))), "size: asked for 64x64, got 32x64"),
        (lambda png: png[: len(png) // 2], "one that decodes"),
        (lambda png: b"\xff\xd8\xff\xe0JFIF" + png, "a PNG"),
        (lambda png: b"", "a PNG"),
    ],
    ids=["black", "grey", "noise", "other size", "cut short", "a JPEG", "empty"],
)
def test_pictures_that_show_nothing(backend, ledger, webui, fault, words: str):
    webui.host.faults.picture = fault
    assert words in only_reason(draw(backend, ledger, cell()))
    assert ledger.done_keys() == set()
    webui.host.faults.picture = lambda png: png
    assert draw(backend, ledger, cell()).drawn == 1


def infotext(change: Callable[[str], str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Let the WebUI have drawn with other settings than were asked for."""

    def answer(data: dict[str, Any]) -> dict[str, Any]:
        info = json.loads(data["info"])
        info["infotexts"] = [change(text) for text in info["infotexts"]]
        return {**data, "info": json.dumps(info)}

    return answer


FULL = {
    "prompt": "<lora:fox-000001:0.8> a fox",
    "clip_skip": 2,
    "scheduler": "Exponential",
    "hires_fix": HiresFix(scale=1.5, steps=3),
    "subseed": 7,
    "subseed_strength": 0.0,
}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("a fox", "a dog", "prompt"),
        ("Seed: 1,", "Seed: 2,", "seed"),
        ("Steps: 2", "Steps: 3", "steps"),
        ("Sampler: Euler a", "Sampler: DPM++ 2M", "sampling method"),
        ("Schedule type: Exponential", "Schedule type: Karras", "schedule type"),
        ("CFG scale: 7.0", "CFG scale: 7.5", "CFG scale"),
        ("Size: 64x64", "Size: 72x64", "size"),
        ("Model hash: ", "Model hash: f", "checkpoint"),
        ("Clip skip: 2", "Clip skip: 3", "clip skip"),
        ("Denoising strength: 0.35", "Denoising strength: 0.7", "denoising strength"),
        ("Hires upscale: 1.5", "Hires upscale: 2", "hires upscale"),
        ("Hires steps: 3", "Hires steps: 4", "hires steps"),
        ("Hires upscaler: Latent", "Hires upscaler: Lanczos", "hires upscaler"),
        ("fox-000001: ", "fox-000001: f", "LoRA hash"),
        ('Lora hashes: "', 'Other hashes: "', "without it"),
        ("a fox", "a {red|blue} fox", "one that is expanded"),
        ("Steps: 2", "nothing", "infotext"),
    ],
)
def test_every_field_is_compared_with_the_request(
    backend, ledger, webui, old: str, new: str, what: str
):
    seen: list[str] = []

    def change(text: str) -> str:
        seen.append(text)
        if 'Lora hashes: "' not in text:  # one LoRA needs no quotes
            text = text.replace("Lora hashes: fox", 'Lora hashes: "fox').replace(
                ", Version", '", Version'
            )
        return text.replace(old, new)

    webui.host.faults.answer = infotext(change)
    reason = only_reason(draw(backend, ledger, cell(**FULL)))
    assert what in reason, seen


def test_the_same_request_is_right_as_it_is(backend, ledger):
    assert draw(backend, ledger, cell(**FULL)).drawn == 1


def test_a_checkpoint_without_hash_is_pinned_by_the_first(backend, ledger, webui):
    """The pin outlives the run: a file that was swapped under the same title is noticed."""
    unpinned = [cell(seed=seed, checkpoint=CheckpointPin("simulated-a")) for seed in (1, 2)]
    assert run_cells(plan_cells(unpinned[:1]), ledger, [backend]).drawn == 1
    webui.host.faults.answer = lambda data: {
        **data,
        "info": json.dumps({**json.loads(data["info"]), "sd_model_hash": "ffffffffff"}),
    }
    report = run_cells(plan_cells(unpinned[1:]), ledger, [backend])
    assert "now answers with ffffffffff" in only_reason(report)


@pytest.mark.parametrize(
    "answer",
    [
        lambda data: {**data, "images": data["images"] * 2},
        lambda data: {**data, "images": []},
        lambda data: {**data, "images": [None]},
        lambda data: {**data, "images": ["no base64!"]},
        lambda data: {**data, "info": "no JSON"},
        lambda data: {"detail": "?"},
    ],
    ids=["two", "none", "null", "no base64", "no info", "something else"],
)
def test_answers_without_their_one_picture(backend, ledger, webui, answer):
    webui.host.faults.answer = answer
    report = draw(backend, ledger, cell())
    assert only_reason(report)
    assert ledger.done_keys() == set()


def test_a_lora_of_another_kind_is_noticed_at_once(backend, ledger, webui):
    """Status 200, `Lora hashes` is written, and the picture is as it was."""
    save_lora(webui.host.lora_dir, "other", tensor="something_else")
    webui.host.refresh_loras()
    backend.is_back()
    cells = pinned(backend, *(cell(prompt="<lora:other:1> a fox", seed=seed) for seed in (1, 2)))
    controls = {one.key: without_loras(one).key for one in cells}
    plan = plan_cells([*(without_loras(one) for one in cells), *cells], controls)
    report = run_cells(plan, ledger, [backend])
    assert (report.drawn, len(report.failed)) == (2, 2)
    assert ledger.pictures.aside(cells[0].key, "rejected").is_file()
    assert not ledger.picture_path(cells[0].key).exists()


def test_a_control_that_failed_leaves_the_check_open(backend, ledger, webui):
    (one,) = pinned(backend, cell(prompt="<lora:fox-000001:1> a fox"))
    control = without_loras(one)

    def refuse(body: dict[str, Any]) -> None:
        if "<lora" not in body["prompt"]:
            raise HttpRefusal(422, "ValueError", "no")

    webui.host.faults.before = refuse
    report = run_cells(plan_cells([one, control], {one.key: control.key}), ledger, [backend])
    assert (report.drawn, report.unchecked) == (1, 1)


def test_no_picture_of_ours_looks_like_noise(backend):
    for seed in range(5):
        png = backend.generate(cell(seed=seed)).png
        with Image.open(io.BytesIO(png)) as image:
            assert not is_noise(image)


# -- connections, errors, memory ---------------------------------------------------------------


def reset(body: dict[str, Any]) -> None:
    raise Dropped


def test_a_reset_is_asked_for_again(backend, ledger, webui):
    events: list[CellEvent] = []
    webui.host.faults.before = once(reset)
    assert draw(backend, ledger, cell(), cell(seed=2), on_event=events.append).drawn == 2
    (waiting,) = [one for one in events if one.outcome is CellOutcome.WAITING]
    assert "No WebUI answers" in waiting.reason


def test_a_cell_that_always_kills_the_connection_fails(backend, ledger, webui):
    def refuse(body: dict[str, Any]) -> None:
        if body["seed"] == 1:
            raise Dropped

    webui.host.faults.before = refuse
    report = draw(backend, ledger, cell(), cell(seed=2))
    assert (report.drawn, len(report.failed)) == (1, 1)


@pytest.mark.parametrize(("status", "asked"), [(500, 2), (503, 2), (400, 1), (404, 1), (422, 1)])
def test_only_errors_of_the_server_are_tried_again(backend, ledger, webui, status, asked):
    seen: list[int] = []

    def refuse(body: dict[str, Any]) -> None:
        seen.append(body["seed"])
        raise HttpRefusal(status, "NansException", "a tensor with NaNs was produced")

    webui.host.faults.before = refuse
    assert "NaNs" in only_reason(draw(backend, ledger, cell()))
    assert len(seen) == asked


def out_of_memory(body: dict[str, Any]) -> None:
    raise HttpRefusal(500, "OutOfMemoryError", "CUDA out of memory. Tried to allocate 9 GiB")


def test_out_of_memory_unloads_and_asks_once_more(backend, ledger, webui):
    webui.host.faults.before = once(out_of_memory)
    assert draw(backend, ledger, cell()).drawn == 1
    assert webui.host.counters.unloads == 1


def test_memory_that_stays_full_ends_the_run(backend, ledger, webui):
    webui.host.faults.before = out_of_memory
    report = draw(backend, ledger, cell(), cell(seed=2), cell(seed=3))
    assert len(report.failed) == 3
    assert "out of GPU memory" in report.failed[0][1]
    assert webui.host.counters.unloads == 1
    webui.host.faults.before = lambda body: None
    assert draw(backend, ledger, cell(), cell(seed=2), cell(seed=3)).drawn == 3


def test_a_webui_that_is_started_again_continues(tmp_path: Path, ledger: Ledger):
    """It dies in the middle; the same address answers again later."""
    with start_webui(tmp_path / "a") as first:
        backend = HttpBackend(Client(first.url), startup_seconds=0.0)
        port = int(first.url.rpartition(":")[2])
        died = threading.Event()

        def die(body: dict[str, Any]) -> None:
            if body["seed"] == 2:
                died.set()
                raise Dropped

        first.host.faults.before = die
        reports: list[RunReport] = []
        cells = pinned(backend, *(cell(seed=seed) for seed in (1, 2, 3)))
        patience = Patience(tries=10_000, pause_seconds=0.01, return_seconds=60)
        run = threading.Thread(
            target=lambda: reports.append(
                run_cells(plan_cells(cells), ledger, [backend], patience=patience)
            )
        )
        run.start()
        assert died.wait(60)
    from a1111_ext.simulator.host import SimulatedHost

    second = SimulatedWebui(SimulatedHost(tmp_path / "a"), port=port)
    second.start()
    run.join(60)
    backend.close()
    second.stop()
    assert [(one.drawn, one.failed) for one in reports] == [(3, ())]


def test_a_port_that_opens_is_left_alone_first(tmp_path: Path):
    """A request between port and API makes a WebUI start without API permanently."""
    slept: list[float] = []
    with start_webui(tmp_path) as webui:
        backend = HttpBackend(Client(webui.url), sleep=slept.append)
        assert backend.is_back()
        assert slept == []
        port = int(webui.url.rpartition(":")[2])
    assert not backend.is_back()
    from a1111_ext.simulator.host import SimulatedHost

    again = SimulatedWebui(SimulatedHost(tmp_path), port=port)
    again.start()
    assert backend.is_back()
    assert slept == [15.0]
    backend.close()
    again.stop()


def test_a_dead_webui_is_closed_in_peace(tmp_path: Path, ledger: Ledger):
    with start_webui(tmp_path / "a") as webui:
        backend = HttpBackend(Client(webui.url))
        draw(backend, ledger, cell())
    backend.close()


# -- several WebUIs -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SimulatedWebui, SimulatedWebui]]:
    with start_webui(tmp_path / "one") as one, start_webui(tmp_path / "two") as two:
        yield one, two


def painters_of(*webuis: SimulatedWebui) -> list[HttpBackend]:
    return [HttpBackend(Client(one.url), startup_seconds=0.0) for one in webuis]


def test_each_checkpoint_stays_with_one_webui(two, ledger: Ledger):
    both = painters_of(*two)
    for one in two:
        one.host.seconds_per_picture = 0.01
    cells = pinned(
        both[0],
        *(
            cell(seed=seed, checkpoint=CheckpointPin(name))
            for seed in range(6)
            for name in ("simulated-a", "simulated-b")
        ),
    )
    assert run_cells(plan_cells(cells), ledger, both).drawn == 12
    assert sum(one.host.counters.pictures for one in two) == 12
    loads = sum(one.host.counters.checkpoint_loads for one in two)
    assert loads <= 2  # one load at the start; the last cells may be shared
    for one in both:
        one.close()


def test_a_webui_without_the_lora_gets_none_of_it(two, ledger: Ledger):
    save_lora(two[1].host.lora_dir, "fox-000001")
    two[1].host.refresh_loras()
    both = painters_of(*two)
    cells = pinned(both[1], *(cell(prompt="<lora:fox-000001:1> x", seed=s) for s in range(4)))
    report = run_cells(plan_cells(cells), ledger, both)
    assert (report.drawn, report.failed) == (4, ())
    assert two[0].host.counters.pictures == 0
    for one in both:
        one.close()


def test_a_webui_with_another_file_of_that_name(two, ledger: Ledger):
    save_lora(two[0].host.lora_dir, "fox", epoch=1)
    save_lora(two[1].host.lora_dir, "fox", epoch=2)
    for one in two:
        path = one.host.lora_dir / "fox.safetensors"
        with_hash(path)
        one.host.refresh_loras()
    both = painters_of(*two)
    (one,) = pinned(both[0], cell(prompt="<lora:fox:1> x"))
    assert "is another file" in both[1].lacks(one)
    assert both[0].lacks(one) == ""
    assert run_cells(plan_cells([one]), ledger, both[::-1]).drawn == 1
    assert two[1].host.counters.pictures == 0
    for backend in both:
        backend.close()


def with_hash(path: Path) -> None:
    """Write the hash into a LoRA's header, as sd-scripts does."""
    from kohya_ext.project.lora_file import rewrite_metadata, tensor_sha256

    beside = path.with_name("beside.safetensors")
    rewrite_metadata(path, beside, {"sshs_model_hash": tensor_sha256(path)})
    beside.replace(path)


def test_a_dying_webui_loses_nothing(two, ledger: Ledger):
    both = painters_of(*two)
    two[0].host.faults.before = reset
    two[1].host.seconds_per_picture = 0.01
    cells = pinned(both[1], *(cell(seed=seed) for seed in range(8)))
    patience = Patience(tries=10_000, pause_seconds=0.01, return_seconds=1)
    report = run_cells(plan_cells(cells), ledger, both, patience=patience)
    assert (report.drawn, report.failed) == (8, ())
    for backend in both:
        backend.close()


# -- stopping ---------------------------------------------------------------------------------


def test_a_stop_ends_our_job_at_once(backend, ledger, webui):
    webui.host.seconds_per_picture = 600
    stop = threading.Event()
    webui.host.faults.before = lambda body: stop.set()
    report = draw(backend, ledger, cell(), cell(seed=2), stop=stop)
    assert (report.drawn, report.stopped, report.failed) == (0, True, ())
    assert webui.host.counters.interrupts == 1
    webui.host.seconds_per_picture = 0
    webui.host.faults.before = lambda body: None
    assert draw(backend, ledger, cell(), cell(seed=2)).drawn == 2


def test_the_job_of_somebody_else_continues(backend, webui):
    """Theirs is drawn while ours waits, or waits while ours is drawn: no interrupt then."""
    webui.host.seconds_per_picture = 600
    ours = pinned(backend, cell())[0]
    theirs = Client(webui.url)
    began = threading.Event()
    webui.host.faults.before = lambda body: began.set()
    body = {"prompt": "theirs", "width": 64, "height": 64, "steps": 2, "force_task_id": "theirs"}
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(theirs.post("/sdapi/v1/txt2img", body, seconds=60))
    )
    thread.start()
    assert began.wait(60)
    backend.interrupt([ours])
    assert webui.host.counters.interrupts == 0
    webui.host.interrupt()
    thread.join(60)
    theirs.close()
    assert len(answers[0]["images"]) == 1


def test_no_interrupt_while_somebody_waits(backend, webui, monkeypatch):
    monkeypatch.setattr(webui.host, "pending_tasks", lambda: {"size": 1, "tasks": ["theirs"]})
    monkeypatch.setattr(webui.host, "task_progress", lambda task: {"active": True, "queued": False})
    backend.interrupt(pinned(backend, cell()))
    assert webui.host.counters.interrupts == 0


def test_a_pause_draws_nothing_until_it_ends(backend, ledger, webui):
    pause, reports = threading.Event(), []
    pause.set()
    run = threading.Thread(
        target=lambda: reports.append(draw(backend, ledger, cell(), pause=pause))
    )
    run.start()
    run.join(0.5)
    assert run.is_alive()
    assert webui.host.counters.pictures == 0
    pause.clear()
    run.join(60)
    assert reports[0].drawn == 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_pause_of_another_process_ends_our_job(backend, ledger, webui, tmp_path: Path, count):
    """The graphics card is free at once; the picture is drawn when the pause is over."""
    webui.host.seconds_per_picture = 600
    events: list[CellEvent] = []
    reports: list[RunReport] = []
    began = threading.Event()
    webui.host.faults.before = lambda body: began.set()

    def run() -> None:
        cells = (cell(seed=seed) for seed in range(count))
        reports.append(draw(backend, ledger, *cells, on_event=events.append))

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(60)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as other:
        other.set_paused(True)
        wait_until(lambda: webui.host.counters.interrupts == 1)
        webui.host.seconds_per_picture = 0
        wait_until(lambda: webui.host.task_progress("any")["active"] is False)
        assert thread.is_alive()
        assert ledger.done_keys() == set()
        other.set_paused(False)
    thread.join(60)
    assert (reports[0].drawn, reports[0].failed) == (count, ())
    told = [one.outcome for one in events]
    assert told == [CellOutcome.PAUSED, CellOutcome.RESUMED, *[CellOutcome.DRAWN] * count]


def test_a_paused_run_can_be_stopped(backend, ledger, webui):
    ledger.set_paused(True)
    stop = threading.Event()

    def on_event(event: CellEvent) -> None:
        assert event.outcome is CellOutcome.PAUSED
        stop.set()

    report = draw(backend, ledger, cell(), stop=stop, on_event=on_event)
    assert (report.drawn, report.stopped, webui.host.counters.pictures) == (0, True, 0)
    ledger.set_paused(False)
    assert draw(backend, ledger, cell()).drawn == 1


def test_a_picture_that_may_not_be_ended_is_kept(backend, ledger, webui, monkeypatch):
    """Somebody else waits at the WebUI: ours is drawn to its end, and is none the worse."""
    monkeypatch.setattr(webui.host, "pending_tasks", lambda: {"size": 1, "tasks": ["theirs"]})
    webui.host.seconds_per_picture = 1
    stop = threading.Event()
    webui.host.faults.before = lambda body: stop.set()
    report = draw(backend, ledger, cell(), cell(seed=2), stop=stop)
    assert (report.drawn, report.stopped, webui.host.counters.interrupts) == (1, True, 0)


# -- settings of the server ---------------------------------------------------------------------


def test_overrides_do_not_stick(backend, ledger, webui):
    """An option that config.json does not hold keeps the override for all later requests."""
    assert "CLIP_stop_at_last_layers" not in webui.host._data
    draw(backend, ledger, cell(clip_skip=2, checkpoint=CheckpointPin("simulated-b")))
    assert webui.host.options()["CLIP_stop_at_last_layers"] == 1
    assert "simulated-a" in webui.host.options()["sd_model_checkpoint"]


def with_vae(backend: HttpBackend, ledger: Ledger, *vaes: str) -> None:
    """The simulator writes no VAE into its infotexts, so that these cells fail; no matter here."""
    run_cells(plan_cells(pinned(backend, *(cell(vae=one) for one in vaes))), ledger, [backend])


def test_an_unknown_vae_is_noticed_before(backend, ledger, webui, monkeypatch):
    from a1111_ext.simulator import server

    monkeypatch.setitem(
        server._GET, "/sdapi/v1/sd-vae", lambda host, body: [{"model_name": "soft.safetensors"}]
    )
    found = HttpBackend(backend.client)
    assert pin_cell(cell(vae="soft.safetensors"), found.capabilities).vae == "soft.safetensors"
    assert pin_cell(cell(vae="None"), found.capabilities).vae == "None"
    with pytest.raises(
        ToolError, match=r'no VAE "soft"; .* Did you mean soft.safetensors\?.*LL410'
    ):
        pin_cell(cell(vae="soft"), found.capabilities)
    assert 'no VAE "soft"' in found.lacks(cell(vae="soft"))


def test_the_vae_is_put_back_when_a_run_ends(backend, ledger, webui):
    before = webui.host.options()
    with_vae(backend, ledger, "soft.safetensors", "sharp.safetensors")
    assert webui.host.options() == before
    assert ledger.saved_settings(backend.name) == {}


@pytest.mark.parametrize("chosen", [None, "own.safetensors"], ids=["nobody-since", "by-hand"])
def test_the_vae_is_put_back_after_a_kill(backend, ledger, webui, chosen: str | None):
    """The killed run puts nothing back; the next one does, unless somebody chose one since."""
    before = webui.host.options()["sd_vae"]

    def die(png: bytes) -> bytes:
        with ledger._transaction():
            notes.extend(ledger._db.execute("SELECT * FROM saved_settings").fetchall())
        left.append(webui.host.options()["sd_vae"])
        return png

    notes: list[Any] = []
    left: list[str] = []
    webui.host.faults.picture = die
    with_vae(backend, ledger, "soft.safetensors")
    webui.host.faults.picture = lambda png: png
    assert left == ["soft.safetensors"]
    webui.host._data["sd_vae"] = chosen or "soft.safetensors"  # as a kill leaves it
    with ledger._transaction():
        ledger._db.executemany("INSERT INTO saved_settings VALUES (?, ?)", notes)
    with HttpBackend(Client(webui.url)).client as client:
        run_cells(plan_cells(pinned(backend, cell())), ledger, [HttpBackend(client)])
    assert webui.host.options()["sd_vae"] == (chosen or before)


def test_the_stand_in_s_overrides_do_stick(webui: SimulatedWebui):
    """What the backend must cope with: measured on the real one."""
    with Client(webui.url) as client:
        body = {"prompt": "x", "steps": 1, "width": 64, "height": 64}
        settings = {"CLIP_stop_at_last_layers": 3}
        client.post("/sdapi/v1/txt2img", body | {"override_settings": settings})
    assert webui.host.options()["CLIP_stop_at_last_layers"] == 3


@pytest.mark.parametrize("skip", [1, 2, 3, 2.0, 3.0], ids=repr)
def test_a_clip_skip_of_2_0_is_healed(backend, ledger, webui, skip: float):
    """A1111's API tells 2 as 2.0, draws nothing with 2.0, and takes 2 for the same."""
    webui.host._data["CLIP_stop_at_last_layers"] = skip
    backend.forget_loras(backend.capabilities.checkpoints[0].title)
    assert draw(backend, ledger, cell(clip_skip=2), cell(clip_skip=3)).drawn == 2
    assert repr(webui.host._data["CLIP_stop_at_last_layers"]) == repr(int(skip))


def test_settings_are_as_they_were_between_pictures(backend, ledger, webui):
    """Others draw in between, and a run that is killed cleans nothing up."""
    before = webui.host.options()
    seen = []
    webui.host.faults.picture = lambda png: seen.append(webui.host.options()) or png
    backend.generate(pinned(backend, cell(clip_skip=2))[0])
    assert webui.host.options() == before
    assert seen[0]["CLIP_stop_at_last_layers"] == 2


def test_a_run_under_api_auth(tmp_path: Path, ledger: Ledger):
    from a1111_ext.api.client import Credentials

    with start_webui(tmp_path / "locked", auth="mira:geheim") as webui:
        backend = HttpBackend(Client(webui.url, Credentials("mira", "geheim")))
        assert draw(backend, ledger, cell()).drawn == 1
        backend.interrupt([cell()])
        backend.close()


def test_a_webui_without_pages_tells_no_progress(backend, webui, monkeypatch):
    """Under --nowebui the /internal routes are not there."""
    from a1111_ext.simulator import server

    for route in ("/internal/progress", "/internal/pending-tasks"):
        monkeypatch.delitem(server._POST, route, raising=False)
        monkeypatch.delitem(server._GET, route, raising=False)
    backend.interrupt([cell()])
    backend.await_earlier(cell(), threading.Event())
    assert webui.host.counters.interrupts == 0


# -- batches --------------------------------------------------------------------------------------


def test_seeds_of_a_row_in_one_request(backend, ledger, webui):
    """n_iter: the same pictures, bit for bit, with a third of the requests."""
    asked: list[int] = []
    webui.host.faults.before = lambda body: asked.append(body["n_iter"])
    cells = [cell(seed=seed) for seed in (5, 6, 7, 20, 21)]
    assert draw(backend, ledger, *cells, n_iter=8).drawn == 5
    assert asked == [3, 2]
    single = backend.generate(pinned(backend, cell(seed=6))[0])
    kept = ledger.picture_path(pinned(backend, cell(seed=6))[0].key).read_bytes()
    assert kept == single.png


def test_a_backend_for_single_pictures_draws_no_batch(ledger):
    class Single(Backend):
        name = "single"

        def generate(self, one: Cell) -> Any:
            raise AssertionError("not asked for")

    batch = [cell(seed=i, batch=Batch("batch_size", 2, i)) for i in range(2)]
    report = run_cells(plan_cells(batch), ledger, [Single()])
    assert len(report.failed) == 2
    assert "draws single pictures only" in report.failed[0][1]  # LL454


def test_a_batch_is_another_cell(backend, ledger, webui):
    batch = [cell(seed=5 + i, batch=Batch("batch_size", 3, i)) for i in range(3)]
    asked: list[int] = []
    webui.host.faults.before = lambda body: asked.append(body["batch_size"])
    assert draw(backend, ledger, *batch).drawn == 3
    assert draw(backend, ledger, *(cell(seed=5 + i) for i in range(3))).drawn == 3
    assert asked == [3, 1, 1, 1]
    one = pinned(backend, batch[1])[0]
    ledger.picture_path(one.key).unlink()
    assert draw(backend, ledger, *batch).drawn == 1
    assert asked == [3, 1, 1, 1, 3]


# -- kills and power cuts -------------------------------------------------------------------------


def test_a_kept_picture_without_its_row_is_taken_up(backend, ledger, webui):
    (one,) = pinned(backend, cell())
    ledger.add([one])
    ledger.keep(one.key, backend.generate(one).png)
    assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert webui.host.counters.pictures == 1


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\ncut", b"other"])
def test_a_kept_picture_that_is_wrong_is_drawn_again(backend, ledger, webui, content: bytes):
    (one,) = pinned(backend, cell())
    ledger.keep(one.key, content)
    assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert verify_picture(one, generated_from_png(ledger.picture_path(one.key).read_bytes())) == ()


def test_the_picture_of_another_cell_is_not_taken_up(backend, ledger, webui):
    first, second = pinned(backend, cell(seed=1), cell(seed=2))
    ledger.keep(second.key, backend.generate(first).png)
    assert run_cells(plan_cells([second]), ledger, [backend]).drawn == 1
    assert webui.host.counters.pictures == 2


def test_a_lost_ledger_costs_no_picture(backend, tmp_path: Path, webui):
    cells = [cell(seed=seed) for seed in range(4)]
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as first:
        draw(backend, first, *cells)
    (tmp_path / "a.db").unlink()
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as second:
        assert draw(backend, second, *cells).drawn == 4
    assert webui.host.counters.pictures == 4


def test_our_earlier_task_is_waited_for(backend, tmp_path: Path, webui):
    """A killed run left its request with the WebUI: it is not asked for again until it is done."""
    (one,) = pinned(backend, cell())
    states = [{"active": True}, {"queued": True}, {"completed": True}]
    asked: list[str] = []

    def progress(task: str) -> dict[str, Any]:
        asked.append(task)
        return states.pop(0)

    webui.host.task_progress = progress  # type: ignore[method-assign]
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as ledger:
        ledger.add([one])
        dead = ledger._owner.rpartition("|")[0].replace("|", "|9", 1)
        ledger._owner, mine = f"{dead}|dead", ledger._owner
        assert ledger.claim(one.key, backend.name)
        ledger._owner = mine
        assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert len(asked) == 3
    assert set(asked) == {f"loraloom-{one.key[:32]}"}


def test_a_full_disk_stops_and_loses_nothing(backend, ledger, webui, monkeypatch):
    import errno

    from kohya_ext.project import files

    cells = [cell(seed=seed) for seed in range(4)]
    fsync, count = files.os.fsync, []

    def full(handle: int) -> None:
        count.append(handle)
        if len(count) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ToolError, match="LL110"):
        draw(backend, ledger, *cells)
    monkeypatch.setattr(files.os, "fsync", fsync)
    assert not list(ledger.picture_path(cells[0].key).parent.parent.rglob("*.part"))
    before = webui.host.counters.pictures
    report = draw(backend, ledger, *cells)
    assert report.known + report.drawn == 4
    assert webui.host.counters.pictures - before <= 3


def test_a_full_ledger_is_a_full_disk(backend, ledger):
    pages = ledger._row("PRAGMA page_count")[0]
    ledger._rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ToolError, match="LL110"):
        draw(backend, ledger, *(cell(seed=seed, prompt="x" * 3000) for seed in range(50)))


@pytest.mark.parametrize("jump", [-10_000_000.0, 10_000_000.0])
def test_the_clock_may_jump(tmp_path: Path, jump: float):
    """A living process keeps its claim, whatever the clock says."""
    now = [1000.0]
    first = Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0])
    second = Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0])
    first.add([cell()])
    assert first.claim(cell().key)
    now[0] += jump
    assert second.claim(cell().key) is None
    first.close()
    assert second.claim(cell().key)
    second.close()


def test_a_claim_from_another_machine_ends_by_age(tmp_path: Path):
    now = [0.0]
    with Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0]) as ledger:
        ledger.add([cell()])
        mine, ledger._owner = ledger._owner, "gpu-box|1|1|x"
        assert ledger.claim(cell().key)
        ledger._owner = mine
        now[0] = 60.0
        assert ledger.claim(cell().key) is None
        now[0] = 4000.0
        assert ledger.claim(cell().key)


def test_two_runs_share_the_work(backend, tmp_path: Path, webui):
    """Two processes on one project: nothing is drawn twice, both end with everything."""
    webui.host.seconds_per_picture = 0.005
    cells = pinned(backend, *(cell(seed=seed) for seed in range(20)))
    other = HttpBackend(Client(webui.url))
    reports: list[RunReport] = []

    def run(one: HttpBackend) -> None:
        with Ledger(tmp_path / "a.db", tmp_path / "kept") as ledger:
            reports.append(run_cells(plan_cells(cells), ledger, [one]))

    threads = [threading.Thread(target=run, args=(one,)) for one in (backend, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert webui.host.counters.pictures == 20
    assert sum(one.drawn for one in reports) == 20
    assert [one.drawn + one.known for one in reports] == [20, 20]


def test_a_changed_source_picture_is_not_used(backend, ledger, tmp_path: Path):
    import hashlib

    from a1111_ext.cells import SourcePicture

    path = tmp_path / "from.png"
    Image.new("RGB", (64, 64), (9, 99, 200)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = SourcePicture(str(path), digest, 0.4)
    assert draw(backend, ledger, cell(source=source)).drawn == 1
    Image.new("RGB", (64, 64), (200, 9, 9)).save(path)
    assert "has changed" in only_reason(draw(backend, ledger, cell(source=source, seed=2)))
    path.unlink()
    with pytest.raises(ToolError, match="LL455"):
        backend.generate(cell(source=source, seed=3))


def test_always_on_scripts_are_part_of_the_request(backend, webui):
    from a1111_ext.cells.cell import ScriptUse

    webui.host.always_on["adetailer"] = 3
    webui.host.always_on["adetailer"] = 3
    sent: list[dict[str, Any]] = []
    webui.host.faults.before = sent.append
    detail = ScriptUse("ADetailer", json.dumps([True, {"ad_model": "face_yolov8n.pt"}]))
    backend.generate(cell(scripts=(detail,)))
    assert sent[0]["alwayson_scripts"]["ADetailer"]["args"][1]["ad_model"] == "face_yolov8n.pt"
    assert cell(scripts=(detail,)).key != cell().key


def test_pictures_are_sent_as_data_uris_too(backend, webui):
    webui.host.faults.answer = lambda data: {
        **data,
        "images": ["data:image/png;base64," + one for one in data["images"]],
    }
    assert verify_picture(cell(), replace(backend.generate(cell()), png=b"")) != ()
    assert base64.b64encode(backend.generate(cell()).png)[:4] == b"iVBO"


def test_pictures_are_the_same_without_the_quick_decoder(backend, webui, monkeypatch):
    quick = backend.generate(cell()).png
    monkeypatch.setitem(sys.modules, "pybase64", None)
    assert backend.generate(cell()).png == quick
    webui.host.faults.answer = lambda data: {**data, "images": ["abc"]}
    with pytest.raises(HostError) as told:
        backend.generate(cell())
    assert told.value.code == "LL451"


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_lost_cell_is_asked_for_as_often_as_promised(backend, ledger, monkeypatch, tries: int):
    asked: list[str] = []

    def lose(*arguments: Any, **named: Any) -> None:
        asked.append("again")
        raise ConnectionLost("LL401", "No WebUI answers.", "")

    monkeypatch.setattr(backend, "generate", lose)
    monkeypatch.setattr(backend, "generate_row", lose)
    monkeypatch.setattr(backend, "is_back", lambda: True)
    patience = Patience(tries=tries, pause_seconds=0.0, return_seconds=5.0)
    report = draw(backend, ledger, cell(), patience=patience)
    assert (len(asked), len(report.failed)) == (tries, 1)


class Gone(HttpBackend):
    """A WebUI that does not come back."""

    def is_back(self) -> bool:
        return False


def test_a_lost_webui_is_not_waited_for_once_all_is_drawn(ledger: Ledger, tmp_path: Path):
    asked = threading.Event()

    def drop(body: dict[str, Any]) -> None:
        asked.set()
        raise Dropped

    with start_webui(tmp_path / "one") as one, start_webui(tmp_path / "two") as two:
        one.host.faults.before = drop
        two.host.faults.before = lambda body: asked.wait(30) or None
        backends = [Gone(Client(one.url)), HttpBackend(Client(two.url))]
        cells = [pin_cell(cell(seed=seed), backends[1].capabilities) for seed in range(4)]
        for_ever = replace(AT_ONCE, pause_seconds=0.05, return_seconds=1e6)
        report = run_cells(plan_cells(cells), ledger, backends, patience=for_ever)
        for backend in backends:
            backend.close()
    assert asked.is_set()
    assert report.drawn == 4
