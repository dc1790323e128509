"""What only Forge Neo has: modules beside the checkpoint, more LoRA folders, sizes in steps of 64.

LORALOOM_WEBUI_DIR names its folder, LORALOOM_BASE_MODEL the checkpoint that its modules are cut
from.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from a1111_server import Server, cut_out, make_data, named, serving, write_epoch

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import Client
from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.size_step import find_size_step
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HiresFix,
    HttpBackend,
    Ledger,
    pin_cell,
    plan_cells,
    run_cells,
    with_loras,
)
from a1111_ext.cells.cell_plan import ignored_schedules
from kohya_ext.project import ToolError

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]

VAE, CLIP = "fox-vae.safetensors", "fox-clip.safetensors"
SMALL = Cell("a fox", 1, width=64, height=64, steps=1, sampler="Euler")


@pytest.fixture(scope="module")
def base() -> Path:
    return named("LORALOOM_BASE_MODEL")


@pytest.fixture(scope="module")
def server(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = named("LORALOOM_WEBUI_DIR")
    if '"--lora-dirs"' not in (folder / "modules" / "cmd_args.py").read_text(encoding="utf-8"):
        pytest.skip("it knows no --lora-dirs, so it is no Forge Neo")
    data = make_data(tmp_path_factory.mktemp("webui"), base)
    models = data / "models"
    cut_out(base, models / "VAE" / VAE, "first_stage_model.")
    cut_out(base, models / "text_encoder" / CLIP, "cond_stage_model.transformer.")
    more = tmp_path_factory.mktemp("more loras")
    write_epoch(more / "Elsewhere.safetensors", base, 2)
    with serving(folder, data, "--lora-dirs", str(more)) as one:
        yield one


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as opened:
        yield opened


@pytest.fixture
def has(client: Client) -> Capabilities:
    return fetch_capabilities(client)


def drawn(client: Client, ledger: Ledger, cell: Cell) -> tuple[str, dict[str, str]]:
    """Draw a cell with what the WebUI has now; return the hash of its pixels, and its fields."""
    backend = HttpBackend(client.another())
    pinned = pin_cell(with_loras(cell, {}), backend.capabilities)
    report = run_cells(plan_cells([pinned]), ledger, [backend])
    backend.close()
    assert report.failed == ()
    record = ledger.record(pinned.key)
    assert record is not None
    text = read_infotext(ledger.picture_path(pinned.key).read_bytes())
    return record.pixels, dict(parse_infotext(text).fields)


def test_modules_are_reported_apart_and_drawn_with(
    client: Client, ledger: Ledger, has: Capabilities
):
    assert {VAE, CLIP} <= set(has.modules or ())
    assert VAE in (has.vaes or ())
    assert CLIP not in (has.vaes or ())
    plain, _ = drawn(client, ledger, SMALL)
    with_them, fields = drawn(client, ledger, replace(SMALL, modules=(CLIP, VAE)))
    assert plain != with_them
    assert {fields["Module 1"], fields["Module 2"]} == {"fox-vae", "fox-clip"}


def test_a_vae_leaves_the_text_encoder_in_place(client: Client, ledger: Ledger):
    """Both are one list there: naming a VAE must not take the encoder off it."""
    client.post("/sdapi/v1/options", {"forge_additional_modules": [CLIP]}, seconds=120)
    try:
        _, fields = drawn(client, ledger, replace(SMALL, vae=VAE))
        after = client.get("/sdapi/v1/options")["forge_additional_modules"]
    finally:
        client.post("/sdapi/v1/options", {"forge_additional_modules": []}, seconds=120)
    assert {fields["Module 1"], fields["Module 2"]} == {"fox-vae", "fox-clip"}
    assert [Path(one).name for one in after] == [CLIP]


def test_the_second_pass_keeps_cfg_scale_and_modules(client: Client, ledger: Ledger):
    """Left out, its CFG scale is 1; no upscaler is named, since Neo has no latent ones."""
    hires = HiresFix(scale=2.0, denoising_strength=0.5, steps=1)
    cell = replace(SMALL, modules=(CLIP, VAE), hires_fix=hires, cfg_scale=5.0)
    plain, fields = drawn(client, ledger, cell)
    assert (fields["CFG scale"], fields["Hires CFG Scale"]) == ("5.0", "5.0")
    other, fields = drawn(client, ledger, replace(cell, hires_fix=replace(hires, cfg_scale=2.0)))
    assert fields["Hires CFG Scale"] == "2.0"
    assert plain != other


def test_a_distilled_cfg_scale_means_nothing_to_sd(client: Client, ledger: Ledger):
    """SD 1.5 has none: nothing is written, and what is not written is unknown."""
    _, fields = drawn(client, ledger, replace(SMALL, distilled_cfg_scale=2.5))
    assert fields.get("Distilled CFG Scale", "2.5") == "2.5"


def test_a_lora_of_another_folder_is_found(client: Client, ledger: Ledger, has: Capabilities):
    assert has.require_lora("Elsewhere").path.endswith("Elsewhere.safetensors")
    plain, _ = drawn(client, ledger, SMALL)
    with_it, fields = drawn(client, ledger, replace(SMALL, prompt="<lora:Elsewhere:1> a fox"))
    assert "Elsewhere" in fields["Lora hashes"]
    assert plain != with_it


def test_a_lora_is_read_again_after_the_checkpoint_was_hashed(
    client: Client, server: Server, base: Path, tmp_path: Path
):
    """The key of a picture changes when the WebUI has hashed its checkpoint."""
    models = server.data / "models"
    shutil.copy2(base, models / "Stable-diffusion" / "unhashed.safetensors")
    client.post("/sdapi/v1/refresh-checkpoints", seconds=120)
    cell = replace(SMALL, checkpoint=CheckpointPin("unhashed.safetensors"))
    path, other = (models / "Lora" / f"{name}.safetensors" for name in ("Exchanged", "Truth"))
    pixels, hashes = [], []
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        for epoch, at in ((1, path), (3, path), (3, other)):
            at.unlink(missing_ok=True)
            write_epoch(at, base, epoch)
            client.post("/sdapi/v1/refresh-loras", seconds=120)
            hashes.append(fetch_capabilities(client).require_checkpoint("unhashed").sha256)
            prompt = f"<lora:{at.stem}:1> a fox"
            pixels.append(drawn(client, ledger, replace(cell, prompt=prompt))[0])
    assert [bool(one) for one in hashes] == [False, True, True]
    assert pixels[1] == pixels[2] != pixels[0]


def test_sizes_that_it_rounds_are_refused(client: Client, has: Capabilities):
    """A build that rounds to 64 is found out; one that does not draws them as they are."""
    odd = replace(SMALL, width=72, height=80)
    found = find_size_step(client, has, [(odd.width, odd.height)], "")
    with pytest.raises(ToolError, match="LL426"):
        pin_cell(replace(odd, width=75), found)
    picture = HttpBackend(client.another(), found).generate(odd)
    size = parse_infotext(picture.infotext).fields["Size"]
    if found.size_step == 64:
        assert size != "72x80"
        with pytest.raises(ToolError, match="LL426"):
            pin_cell(odd, found)
    else:
        assert size == "72x80"
        pin_cell(odd, found)


def test_an_ignored_schedule_type_changes_nothing(
    client: Client, ledger: Ledger, has: Capabilities
):
    """Which sampling methods ignore it is as we say, and the infotext names it anyway."""
    for sampler in ("DDIM", "UniPC"):
        cells = [
            replace(SMALL, sampler=sampler, steps=4, scheduler=one)
            for one in ("Automatic", "Karras")
        ]
        (plain, _), (named_one, fields) = (drawn(client, ledger, one) for one in cells)
        assert fields["Schedule type"] == "Karras"
        assert (plain == named_one) is bool(ignored_schedules(cells, has)), sampler
