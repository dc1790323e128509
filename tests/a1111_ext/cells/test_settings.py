"""Settings of the WebUI are as they were, after pictures, runs and kills."""

from __future__ import annotations

from typing import Any

import pytest
from drawing import cell, draw, pinned

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    CheckpointPin,
    HttpBackend,
    Ledger,
    pin_cell,
    plan_cells,
    run_cells,
)
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError


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
            notes[:] = ledger._db.execute("SELECT * FROM saved_settings").fetchall()
        left.append(webui.host.options()["sd_vae"])
        return png

    notes: list[Any] = []
    left: list[str] = []
    webui.host.faults.picture = die
    with_vae(backend, ledger, "soft.safetensors")
    webui.host.faults.picture = lambda png: png
    assert left == ["None", "soft.safetensors"]  # first the picture after which it reads the VAE
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
