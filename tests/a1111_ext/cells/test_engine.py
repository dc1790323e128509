"""Cells are drawn once, in the cheapest order, and every answer is verified."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from drawing import cell, pinned, without_loras
from loras import save_lora

from a1111_ext.api.client import Client, ConnectionLost, OutOfMemory
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import (
    Backend,
    Cell,
    CellEvent,
    CellOutcome,
    CellState,
    CheckpointPin,
    Generated,
    HiresFix,
    HttpBackend,
    Patience,
    plan_cells,
    run_cells,
    verify_picture,
    with_loras,
)
from a1111_ext.cells.cell import EmbeddingUse
from a1111_ext.cli.drawing import shown_events
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError


@pytest.fixture
def backend(webui: SimulatedWebui):
    for epoch in (1, 2, 3):
        save_lora(webui.host.lora_dir, f"fox-{epoch:06d}", epoch=epoch)
    webui.host.refresh_loras()
    opened = HttpBackend(Client(webui.url))
    yield opened
    opened.close()


def test_everything_is_drawn_once(backend, ledger, webui):
    cells = pinned(backend, *(cell(seed=seed) for seed in range(3)))
    first = run_cells(plan_cells(cells), ledger, [backend])
    assert (first.drawn, first.known, first.failed) == (3, 0, ())
    events = []
    second = run_cells(plan_cells(cells), ledger, [backend], on_event=events.append)
    assert (second.drawn, second.known) == (0, 3)
    assert [event.outcome for event in events] == [CellOutcome.KNOWN] * 3
    assert webui.host.counters.pictures == 3


def test_pictures_are_kept_byte_for_byte(backend, ledger):
    (one,) = pinned(backend, cell())
    run_cells(plan_cells([one]), ledger, [backend])
    generated = backend.generate(one)
    assert ledger.picture_path(one.key).read_bytes() == generated.png


def test_loads_and_swaps_are_the_fewest(backend, ledger, webui):
    cells = [
        cell(seed=seed, prompt=f"<lora:fox-{epoch:06d}:1> fox", checkpoint=CheckpointPin(name))
        for seed in (1, 2)
        for epoch in (1, 2, 3)
        for name in ("simulated-a", "simulated-b")
    ]
    plan = plan_cells(pinned(backend, *cells))
    assert (plan.checkpoint_loads, plan.lora_swaps) == (2, 6)
    run_cells(plan, ledger, [backend]).require_all()
    assert webui.host.counters.checkpoint_loads == 1
    assert webui.host.counters.lora_swaps == 1 + 6  # the first lets it forget other files


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoint": CheckpointPin("nonsense")}, "checkpoint: asked for nonsense"),
        ({"prompt": "<lora:nonsense:1> fox"}, "a picture without it"),
        ({"sampler": "euler"}, "sampling method: asked for 'euler', got 'DPM"),
        ({"scheduler": "nonsense"}, "schedule type"),
        ({"width": 60}, ""),
        ({"prompt": "a {red|blue} fox"}, "one that is expanded"),
    ],
)
def test_silent_mistakes_are_noticed_after(backend, ledger, changes: dict[str, Any], words: str):
    """The WebUI answers each of these with status 200."""
    report = run_cells(plan_cells([with_loras(cell(**changes), {})]), ledger, [Blind(backend)])
    if not words:
        assert report.drawn == 1
        return
    ((_, reason),) = report.failed
    assert words in reason
    with pytest.raises(ToolError, match="LL452"):
        report.require_all()


def test_a_lora_of_another_kind_changes_nothing(backend, ledger, webui):
    save_lora(webui.host.lora_dir, "other", tensor="something_else")
    webui.host.refresh_loras()
    backend.capabilities = fetch_capabilities(backend.client)
    (with_lora,) = pinned(backend, cell(prompt="<lora:other:1> a fox"))
    control = without_loras(with_lora)
    plan = plan_cells([with_lora, control], {with_lora.key: control.key})
    report = run_cells(plan, ledger, [backend])
    ((failed, reason),) = report.failed
    assert failed == with_lora
    assert "changed nothing" in reason


def test_a_lora_that_works_differs_from_its_control(backend, ledger):
    (with_lora,) = pinned(backend, cell(prompt="<lora:fox-000003:1> a fox"))
    control = without_loras(with_lora)
    plan = plan_cells([with_lora, control], {with_lora.key: control.key})
    run_cells(plan, ledger, [backend]).require_all()


def test_hires_pictures_have_their_final_size(backend, ledger):
    (one,) = pinned(backend, cell(hires_fix=HiresFix(scale=1.5)))
    run_cells(plan_cells([one]), ledger, [backend]).require_all()
    assert one.final_size == (96, 96)


def test_settings_are_put_back(backend, ledger, webui):
    before = webui.host.options()
    other = pinned(backend, cell(checkpoint=CheckpointPin("simulated-b"), clip_skip=2))
    run_cells(plan_cells(other), ledger, [backend]).require_all()
    backend.close()
    assert webui.host.options() == before


def test_dynamic_prompts_is_switched_off(webui, ledger):
    webui.host.dynamic_prompts = True
    backend = HttpBackend(Client(webui.url))
    sent: list[dict[str, Any]] = []
    post = backend.client.post
    backend.client.post = lambda path, body=None, **more: (
        sent.append(body) or post(path, body, **more)
    )
    generated = backend.generate(cell(prompt="a (red|blue) fox"))
    assert sent[-1]["alwayson_scripts"] == {"dynamic prompts v2.17.1": {"args": [False]}}
    assert verify_picture(cell(prompt="a (red|blue) fox"), generated) == ()
    literal = backend.generate(cell(prompt="a {red|blue} fox"))
    assert "one that is expanded" in str(verify_picture(cell(prompt="a {red|blue} fox"), literal))
    backend.close()


class Blind(Backend):
    """Draws whatever it is asked for, without a look at what the WebUI has."""

    def __init__(self, backend: HttpBackend) -> None:
        self.name, self.generate = backend.name, backend.generate


def test_what_no_webui_has_is_not_asked_for(backend, ledger, webui):
    wrong = with_loras(cell(prompt="<lora:nonsense:1> fox"), {})
    ((_, reason),) = run_cells(plan_cells([wrong]), ledger, [backend]).failed
    assert 'has no LoRA "nonsense"' in reason
    assert webui.host.counters.pictures == 0


class FakeBackend(Backend):
    """Answers with what it is given, one after the other."""

    name = "fake"

    def __init__(self, *answers: Generated | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def generate(self, cell: Cell) -> Generated:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def lost() -> ConnectionLost:
    return ConnectionLost("LL401", "No WebUI answers.", "")


class Keeping(FakeBackend):
    """Draws with the LoRA file of before, under the new one's hash, until it has to forget."""

    def __init__(self, backend: HttpBackend, earlier: Generated) -> None:
        super().__init__()
        self.backend, self.earlier, self.forgotten = backend, earlier, 0

    def generate(self, cell: Cell) -> Generated:
        self.asked += 1
        drawn = self.backend.generate(cell)
        return drawn if self.forgotten else replace(drawn, png=self.earlier.png)

    def may_keep(self, name: str) -> bool:
        return True

    def forget_loras(self, checkpoint: str) -> None:
        self.forgotten += 1
        self.backend.forget_loras(checkpoint)


@pytest.mark.parametrize("is_known", [False, True])
def test_the_picture_of_an_earlier_file_is_drawn_again(backend, ledger, webui, is_known: bool):
    """A WebUI may learn the checkpoint's hash between the two."""
    wanted = with_loras(cell(prompt="<lora:fox-000001:1> fox"), {})
    (first,) = pinned(backend, wanted)
    if not is_known:
        title = first.checkpoint.title.partition(" [")[0]
        first = replace(first, checkpoint=CheckpointPin(title))
    assert run_cells(plan_cells([first]), ledger, [backend]).drawn == 1
    earlier = backend.generate(first)
    save_lora(webui.host.lora_dir, "fox-000001", epoch=3)
    webui.host.refresh_loras()
    fresh = HttpBackend(Client(webui.url))
    (second,) = pinned(fresh, wanted)
    assert second.loras != first.loras
    keeping = Keeping(fresh, earlier)
    assert run_cells(plan_cells([second]), ledger, [keeping]).drawn == 1
    fresh.close()
    assert (keeping.forgotten, keeping.asked) == (1, 1)


def test_the_picture_of_a_file_whose_hash_was_not_known_is_drawn_again(backend, ledger, webui):
    wanted = with_loras(cell(prompt="<lora:fox-000001:1> fox"), {})
    (first,) = pinned(backend, wanted)
    (use,) = first.loras
    unknown = replace(first, loras=(replace(use, hash=""),))
    assert run_cells(plan_cells([unknown]), ledger, [backend]).drawn == 1
    keeping = Keeping(backend, backend.generate(first))
    assert run_cells(plan_cells([first]), ledger, [keeping]).drawn == 1
    assert (keeping.forgotten, keeping.asked) == (2, 2)  # at the start, and for the proof


HASHES = ("1" * 12, "2" * 12)


class Forge(Keeping):
    """Reads an embedding again only with another checkpoint, which it may not have."""

    def __init__(self, backend: HttpBackend, earlier: Generated, *, has_another: bool) -> None:
        super().__init__(backend, earlier)
        self.has_another, self.read = has_another, 0

    def generate(self, cell: Cell) -> Generated:
        drawn = self.backend.generate(replace(cell, prompt="another fox"))
        drawn = replace(drawn, infotext=drawn.infotext.replace("another fox", cell.prompt))
        return drawn if self.read and self.has_another else replace(drawn, png=self.earlier.png)

    def forget_embeddings(self, title: str) -> bool:
        self.read += 1
        return self.has_another


@pytest.mark.parametrize("is_remembered", [True, False])
@pytest.mark.parametrize("has_another", [True, False])
def test_a_replaced_embedding_is_read_again_or_nothing_is_kept(
    backend, ledger, has_another: bool, is_remembered: bool
):
    (wanted,) = pinned(backend, cell(prompt="a mossy fox"))
    first, second = (replace(wanted, embeddings=(EmbeddingUse("mossy", one),)) for one in HASHES)
    if not is_remembered:  # it was drawn before the embedding's hash was known
        first = replace(first, embeddings=(EmbeddingUse("mossy"),))
    assert run_cells(plan_cells([first]), ledger, [backend]).drawn == 1
    forge = Forge(backend, backend.generate(first), has_another=has_another)
    report = run_cells(plan_cells([second]), ledger, [forge])
    assert report.drawn == int(has_another)
    assert forge.read == 1 + (is_remembered and not has_another)
    if not has_another:
        assert "restart it, then run this again" in str(report.failed)


def test_a_host_forgets_once_before_a_name_is_known(backend, ledger, webui):
    """Somebody may have drawn with another file of that name in the WebUI's own page."""
    forgotten = []
    backend.forget_loras = forgotten.append
    for seed in (3, 4):
        cells = pinned(
            backend,
            *(
                with_loras(cell(prompt=f"<lora:{name}:1> fox", seed=seed), {})
                for name in ("fox-000001", "fox-000002")
            ),
        )
        run_cells(plan_cells(cells), ledger, [backend]).require_all()
    assert forgotten == [cells[0].checkpoint.title]


def test_a_vae_is_read_again_before_its_first_picture(backend, ledger):
    """A file that replaced another under its name is drawn with the one that is loaded."""
    forgotten = []
    backend.forget_vae = forgotten.append
    vae = "fox.pt"
    cells = pinned(backend, *(cell(seed=seed, vae=name) for seed in (1, 2) for name in ("", vae)))
    run_cells(plan_cells(cells), ledger, [backend]).require_all()
    assert forgotten == [cells[0].checkpoint.title]


def test_a_file_that_we_linked_is_no_others(backend, ledger, webui):
    forgotten = []
    backend.forget_loras = forgotten.append
    save_lora(webui.host.lora_dir / "loraloom", "fox-abc-000001", epoch=1)
    webui.host.refresh_loras()
    backend.capabilities = fetch_capabilities(backend.client)
    cells = pinned(backend, with_loras(cell(prompt="<lora:fox-abc-000001:1> fox"), {}))
    run_cells(plan_cells(cells), ledger, [backend]).require_all()
    assert forgotten == []


def test_what_was_last_drawn_under_a_name_is_known(backend, ledger):
    (first,) = pinned(backend, with_loras(cell(prompt="<lora:fox-000001:1> fox"), {}))
    assert ledger.last_hash("fox-000001") == ""
    assert run_cells(plan_cells([first]), ledger, [backend]).drawn == 1
    assert ledger.last_hash("fox-000001") == first.loras[0].hash
    assert ledger.last_hash("fox-00000") == ""


def test_out_of_memory_is_tried_once_more(backend, ledger):
    (one,) = pinned(backend, cell())
    good = backend.generate(one)
    fake = FakeBackend(OutOfMemory("LL407", "out of memory", ""), good)
    assert run_cells(plan_cells([one]), ledger, [fake]).drawn == 1


def test_a_second_server_draws_what_the_first_lost(backend, ledger):
    cells = pinned(backend, cell(seed=1), cell(seed=2))
    report = run_cells(plan_cells(cells), ledger, [FakeBackend(lost(), lost()), backend])
    assert (report.drawn, report.failed) == (2, ())


def test_a_cell_of_a_lost_server_waits_again(backend, ledger):
    """The other server has nothing left to do when the first one is lost."""
    first, second = pinned(backend, cell(seed=1), cell(seed=2))
    second_is_drawn = threading.Event()
    good = backend.generate(second)

    class Waiting(FakeBackend):
        def generate(self, cell: Cell) -> Generated:
            assert second_is_drawn.wait(60)
            raise lost()

    class Other(FakeBackend):
        def generate(self, cell: Cell) -> Generated:
            if cell == second:
                second_is_drawn.set()
                return good
            return backend.generate(cell)

    report = run_cells(plan_cells([first, second]), ledger, [Waiting(), Other()])
    assert (report.drawn, report.failed) == (2, ())


def test_many_backends_share_one_ledger(backend, ledger):
    cells = pinned(backend, *(cell(seed=seed) for seed in range(120)))
    picture = backend.generate(cells[0])

    class Quick(FakeBackend):
        def generate(self, one: Cell) -> Generated:
            return replace(
                picture, infotext=picture.infotext.replace("Seed: 0", f"Seed: {one.seed}")
            )

    report = run_cells(plan_cells(cells), ledger, [Quick() for _ in range(12)])
    assert (report.drawn, report.failed) == (120, ())
    assert ledger.done_keys() == {one.key for one in cells}


def test_waiting_for_a_lost_server_is_reported(backend, ledger, capsys):
    """Also where the output is a pipe, whose lines do not change."""
    (one,) = pinned(backend, cell())
    fake = FakeBackend(lost())
    fake.is_remote = True
    messages: list[str] = []
    patience = Patience(return_seconds=0)
    with shown_events(as_json=False) as (show, _):

        def on_event(event: CellEvent) -> None:
            messages.append(event.reason)
            show(event)

        run_cells(plan_cells([one]), ledger, [fake], on_event=on_event, patience=patience)
    assert messages[0] == "No WebUI answers. Waiting up to 0 s for it to come back."
    assert f": {messages[0]}\n" in capsys.readouterr().err


def test_a_lost_server_fails_what_waits(backend, ledger):
    cells = pinned(backend, cell(seed=1), cell(seed=2))
    report = run_cells(plan_cells(cells), ledger, [FakeBackend(lost())])
    assert len(report.failed) == 2
    record = ledger.record(cells[0].key)
    assert record is not None
    assert record.state is CellState.PLANNED


def test_a_stop_leaves_the_rest(backend, ledger):
    cells = pinned(backend, *(cell(seed=seed) for seed in range(5)))
    stop = threading.Event()
    report = run_cells(
        plan_cells(cells), ledger, [backend], on_event=lambda event: stop.set(), stop=stop
    )
    assert report.stopped
    assert 1 <= report.drawn <= 2  # one was in progress, and its answer came
    with pytest.raises(ToolError, match="LL453"):
        report.require_all()
    assert run_cells(plan_cells(cells), ledger, [backend]).drawn == 5 - report.drawn


@pytest.mark.parametrize(
    ("png", "what"), [(b"JFIF", "a PNG"), (b"\x89PNG\r\n\x1a\n1", "one that decodes")]
)
def test_damaged_pictures_are_refused(png: bytes, what: str):
    found = verify_picture(cell(), Generated(png, "", "", 0.0))
    assert what in str(found[0])
    assert found[-1].what == "infotext"


def test_an_all_black_picture_is_refused(backend):
    import io

    from PIL import Image

    (one,) = pinned(backend, cell())
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "PNG")
    good = backend.generate(one)
    found = verify_picture(one, replace(good, png=stream.getvalue()))
    assert [mismatch.asked for mismatch in found] == ["something to see"]


def test_a_picture_that_is_gone_is_drawn_again(backend, ledger):
    (one,) = pinned(backend, cell())
    run_cells(plan_cells([one]), ledger, [backend])
    ledger.picture_path(one.key).unlink()
    assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1


def test_an_answer_without_picture(backend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backend.client, "post", lambda *a, **k: {"images": [], "info": "{}"})
    with pytest.raises(ToolError, match="LL451"):
        backend.generate(cell())
