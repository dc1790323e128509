"""A grid on Forge Neo, simulated with the silent mistakes that were measured on neo-2.26."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loras import save_lora
from promotions import promote_epoch, with_manifest

from a1111_ext.api.client import Client
from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells, with_loras
from a1111_ext.cells.cell import HiresFix
from a1111_ext.cells.verify import pixels_digest
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.neo import SimulatedNeo
from kohya_ext.cli import main
from kohya_ext.project import InputError, Project
from kohya_ext.project.files import sha256_of

MODULES = ("VAE/soft.safetensors", "VAE/sharp.safetensors", "text_encoder/clip.safetensors")


@pytest.fixture
def neo(tmp_path: Path) -> Iterator[SimulatedWebui]:
    more = (tmp_path / "more",)
    with start_webui(
        tmp_path / "neo", kind=SimulatedNeo, modules=MODULES, more_lora_dirs=more
    ) as running:
        yield running


@pytest.fixture
def backend(neo: SimulatedWebui) -> Iterator[HttpBackend]:
    backend = HttpBackend(Client(neo.url))
    yield backend
    backend.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


def small(prompt: str = "a fox", **changes: object) -> Cell:
    settings = {"seed": 1, "width": 64, "height": 64, "steps": 2, "sampler": "Euler a"}
    return with_loras(Cell(**{"prompt": prompt, **settings, **changes}), {})  # type: ignore[arg-type]


def drawn(backend: HttpBackend, ledger: Ledger, *cells: Cell) -> list[str]:
    """Draw cells; return why each of them failed."""
    pinned = [pin_cell(cell, backend.capabilities) for cell in cells]
    return [reason for _, reason in run_cells(plan_cells(pinned), ledger, [backend]).failed]


@pytest.mark.parametrize("clip_skip", [1, 2])
@pytest.mark.parametrize("is_sd1", [True, False], ids=["sd1", "others"])
def test_right_pictures_are_not_refused(backend, ledger, neo, clip_skip: int, is_sd1: bool):
    neo.host.is_sd1 = is_sd1
    hires = HiresFix(scale=1.5, denoising_strength=0.3)
    cells = [small(clip_skip=clip_skip), small(clip_skip=clip_skip, hires_fix=hires)]
    assert drawn(backend, ledger, *cells) == []
    assert backend.capabilities.is_forge


def test_latent_upscalers_are_not_assumed(backend, ledger):
    with pytest.raises(InputError, match=r'no upscaler "Latent".*LL410'):
        drawn(backend, ledger, small(hires_fix=HiresFix("Latent")))


def test_a_vae_leaves_the_text_encoders_alone(backend, ledger, neo):
    """A model such as Flux draws nothing without them."""
    folder = neo.host.folder.absolute() / "models"
    encoder = str(folder / "text_encoder" / "clip.safetensors")
    chosen = [str(folder / "VAE" / "sharp.safetensors"), encoder]
    neo.host.set_options({"forge_additional_modules": chosen})
    with Client(neo.url) as client:
        found = fetch_capabilities(client)
    assert found.vaes == ("soft.safetensors", "sharp.safetensors")
    assert found.text_encoders == (encoder,)
    asked = []
    neo.host.faults.before = lambda body: asked.append(
        body["override_settings"]["forge_additional_modules"]
    )
    fresh = HttpBackend(Client(neo.url))
    assert drawn(fresh, ledger, small(vae="soft.safetensors"), small(vae="None")) == []
    fresh.close()
    before = [encoder]  # it is let draw without a VAE, so that it reads the next one
    assert sorted(asked, key=len) == [before, [encoder], [encoder, "soft.safetensors"]]
    assert neo.host.options()["forge_additional_modules"] == chosen  # put back
    with pytest.raises(InputError, match=r'no VAE "clip\.safetensors"'):
        found.require_vae("clip.safetensors")


def test_loras_of_further_folders_are_seen(backend, ledger, neo, tmp_path: Path):
    save_lora(tmp_path / "more", "Lantern", epoch=2)
    neo.host.refresh_loras()
    fresh = HttpBackend(Client(neo.url))
    assert drawn(fresh, ledger, small("<lora:Lantern:1> a fox")) == []
    fresh.close()


@pytest.mark.parametrize("is_promoted", [True, False], ids=["by-promote", "behind-our-back"])
def test_another_file_under_one_name_is_read_again(
    neo, ledger, project: Project, is_promoted: bool
):
    """Measured: the pixels of epoch 1 with the hash of epoch 3 in the infotext, and accepted."""
    cell = small("<lora:Lantern:1> a fox")
    pictures = []
    for epoch in (1, 3):
        for old in neo.host.lora_dir.glob("*.safetensors"):
            old.unlink()
        save_lora(neo.host.lora_dir, "Lantern", epoch=epoch)
        neo.host.refresh_loras()
        if is_promoted:
            neo.host.draw({"prompt": "", "send_images": False}, None)
        backend = HttpBackend(Client(neo.url))
        pinned = pin_cell(cell, backend.capabilities)
        assert drawn(backend, ledger, cell) == []
        backend.close()
        record = ledger.record(pinned.key)
        assert record is not None
        pictures.append(record.pixels)
    assert len(set(pictures)) == 2
    assert neo.host.counters.pictures == 2


@pytest.mark.parametrize("seed", [1, 2])
def test_the_second_pass_is_made_of_the_new_file(neo, ledger, seed: int):
    """Neo and A1111 keep what the text encoder made for Hires. fix, by the names of LoRAs."""
    hires = HiresFix("None", 2.0, 0.3)
    for epoch, number in ((1, 1), (3, seed)):
        for old in neo.host.lora_dir.glob("*.safetensors"):
            old.unlink()
        save_lora(neo.host.lora_dir, "Lantern", epoch=epoch)
        neo.host.refresh_loras()
        backend = HttpBackend(Client(neo.url))
        cell = small("<lora:Lantern:1> a fox", hires_fix=hires, seed=number)
        assert drawn(backend, ledger, cell) == []
        backend.close()
    record = ledger.record(pin_cell(cell, backend.capabilities).key)
    neo.host._second_pass = ((), "")
    again = backend.generate(pin_cell(cell, backend.capabilities))
    assert record is not None
    assert record.pixels == pixels_digest(again.png)


def test_the_second_pass_has_the_cfg_scale_of_the_first(neo, backend, ledger):
    """The API's own default is 1, which ignores the negative prompt."""
    cell = small(hires_fix=HiresFix("None", 2.0, 0.3), cfg_scale=6.0)
    assert drawn(backend, ledger, cell) == []
    record = ledger.record(pin_cell(cell, backend.capabilities).key)
    assert record is not None
    assert parse_infotext(record.infotext).fields["Hires CFG Scale"] == "6.0"
    neo.host.faults.before = lambda body: body.update(hr_cfg=1.0)
    (problem,) = drawn(backend, ledger, replace(cell, seed=2))
    assert problem == "hires CFG scale: asked for '6', got '1'"


def test_modules_are_asked_for_by_their_whole_names(neo, backend, ledger):
    """Others are dropped by Neo, which names them without their suffix."""
    assert drawn(backend, ledger, small(modules=("soft", "clip.safetensors"))) == []
    with pytest.raises(InputError, match=r'no module "soff"; it would silently draw without it'):
        pin_cell(small(modules=("soff",)), backend.capabilities)


def test_an_embedding_that_was_not_used_is_noticed(neo, ledger):
    neo.host.embeddings = ("FastNegative", "Mossy")
    backend = HttpBackend(Client(neo.url))
    assert drawn(backend, ledger, small(negative_prompt="FastNegative")) == []
    wanted = pin_cell(small(negative_prompt="FastNegative", seed=2), backend.capabilities)
    neo.host.embeddings = ("Mossy",)
    cell = replace(wanted, prompt="a fox, Mossy", embeddings=wanted.embeddings)
    ((_, problem),) = run_cells(plan_cells([cell]), ledger, [backend]).failed
    backend.close()
    assert problem == "embedding: asked for FastNegative, got a picture without it"


def test_one_file_under_two_hashes_is_drawn_twice_at_most(neo, ledger):
    """Two files with the same weights give the same picture, rightly."""
    first = save_lora(neo.host.lora_dir, "Lantern", epoch=1, epochs=4)
    neo.host.refresh_loras()
    backend = HttpBackend(Client(neo.url))
    assert drawn(backend, ledger, small("<lora:Lantern:0> a fox")) == []
    first.unlink()
    save_lora(neo.host.lora_dir, "Lantern", epoch=2, epochs=4)
    neo.host.refresh_loras()
    fresh = HttpBackend(Client(neo.url))
    assert drawn(fresh, ledger, small("<lora:Lantern:0> a fox")) == []
    assert neo.host.counters.pictures == 3  # the second of them twice, as the proof


def test_a_promoted_file_is_not_drawn_from_memory(neo: SimulatedWebui, project: Project, capsys):
    showcase = (
        "showcase:\n  template: '{lora} photo of {trigger}'\n  checkpoints: [simulated-a]\n"
        "  count: 1\n  picture: {width: 64, height: 64, steps: 2}\n"
    )
    seen = []
    for epoch in (1, 3):
        path = promote_epoch(project, "quillfox", epoch)
        project = with_manifest(project, showcase)
        words = ["showcase", str(project.root), "--webui", neo.url]
        assert main(words) == 0, capsys.readouterr().err
        seen.append({one.read_bytes() for one in project.showcase_dir.glob("*.png")})
        path.unlink()
        for old in neo.host.lora_dir.rglob("quillfox.safetensors"):
            old.unlink()
        neo.host.refresh_loras()
    assert len(seen[1] - seen[0]) == 1


def test_the_simulator_makes_the_mistake(neo: SimulatedWebui):
    """Else the tests above would prove nothing."""
    body = {"prompt": "<lora:Lantern:1> a fox", "seed": 1, "steps": 2, "width": 64, "height": 64}
    hashes, pixels = [], []
    for epoch in (1, 3):
        save_lora(neo.host.lora_dir, "Lantern", epoch=epoch)
        neo.host.refresh_loras()
        answer = neo.host.draw(body, None)
        png = base64.b64decode(answer["images"][0])
        pixels.append(pixels_digest(png))
        hashes.append(parse_infotext(read_infotext(png)).lora_hashes()["Lantern"])
    assert len(set(hashes)) == 2
    assert len(set(pixels)) == 1


def test_a_checkpoint_without_a_hash_is_hashed_before_it_is_drawn_with(tmp_path: Path):
    """Choosing a checkpoint loads none there: a file is hashed here, another is drawn with."""
    with (
        start_webui(tmp_path / "neo", kind=SimulatedNeo, hashes_late=True) as running,
        Client(running.url) as client,
    ):
        found = fetch_capabilities(client)
        known = found.checkpoints[0]
        assert [one.sha256 for one in found.checkpoints] == ["", ""]
        path = Path(known.path)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        hashed = fetch_hashed(client, found, known.name, found.checkpoints[1].name)
        assert hashed.checkpoints[0].sha256 == sha256_of(path)
        assert len(hashed.checkpoints[1].sha256) == 64
        assert fetch_capabilities(client).checkpoints[0].sha256 == ""  # it was not drawn with
