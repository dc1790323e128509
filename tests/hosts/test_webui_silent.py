"""Wrong results of status 200 on a real WebUI: LORALOOM_WEBUI_URL names it, on this machine.

LORALOOM_BASE_MODEL is the checkpoint that it draws with. LoRAs and an embedding are put into its
folders for a moment.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from a1111_server import cut_out, write_epoch

from a1111_ext.api.client import ApiError, Client
from a1111_ext.api.forgetting import IN_MEMORY
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.upscalers import needs_weights, prove_upscalers
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells, with_loras
from a1111_ext.cells.cell import HiresFix
from kohya_ext.project.lora_file import Tensor, read_header, write_lora

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
NAME = "loraloom-live-check"
SMALL = Cell("a fox", 1, width=64, height=64, steps=1, sampler="Euler")


def drawn(client: Client, ledger: Ledger, cell: Cell, checkpoint: Path) -> str:
    """Draw a cell with what the WebUI has now; return the hash of its pixels."""
    backend = HttpBackend(client.another())
    wanted = replace(cell, checkpoint=replace(cell.checkpoint, title=checkpoint.name))
    pinned = pin_cell(wanted, backend.capabilities)
    report = run_cells(plan_cells([pinned]), ledger, [backend])
    backend.close()
    assert report.failed == ()
    record = ledger.record(pinned.key)
    assert record is not None
    return record.pixels


def test_every_listed_upscaler_is_proved(live_webui: Client):
    found = fetch_capabilities(live_webui)
    names = [one for one in found.upscalers if needs_weights(one)]
    if not names:
        pytest.skip("it lists no upscaler that needs weights")
    found = prove_upscalers(live_webui, found, found.upscalers)
    assert sorted((*found.proved_upscalers, *found.without_weights)) == sorted(names)
    assert found.unchecked_upscalers == ()


def test_a_replaced_lora_is_read_again(live_webui: Client, ledger: Ledger, base: Path):
    folder = Path(fetch_capabilities(live_webui).lora_dir)
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    path = folder / f"{NAME}.safetensors"
    cell = with_loras(replace(SMALL, prompt=f"<lora:{NAME}:1> a fox"), {})
    pixels = []
    try:
        for epoch in (1, 3):
            path.unlink(missing_ok=True)
            write_epoch(path, base, epoch)
            live_webui.post("/sdapi/v1/refresh-loras", seconds=120)
            pixels.append(drawn(live_webui, ledger, cell, base))
    finally:
        path.unlink(missing_ok=True)
        live_webui.post("/sdapi/v1/refresh-loras", seconds=120)
    assert len(set(pixels)) == 2


def test_a_replaced_vae_is_read_again(live_webui: Client, tmp_path: Path, base: Path):
    """A1111 writes the hash of the file that is there, whatever it has loaded."""
    found = fetch_capabilities(live_webui)
    folder = Path(found.lora_dir).parent / "VAE"
    if not folder.parent.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    path = folder / f"{NAME}.safetensors"
    pixels = []
    try:
        for shade in (-0.4, 0.4):
            path.unlink(missing_ok=True)
            cut_out(base, path, "first_stage_model.", shade)
            _refresh_vaes(live_webui)
            if path.name not in (fetch_capabilities(live_webui).vaes or ()):
                pytest.skip("it lists the VAEs of its start")
            with Ledger(tmp_path / f"{shade}.db", tmp_path / f"cells {shade}") as ledger:
                pixels.append(drawn(live_webui, ledger, replace(SMALL, vae=path.name), base))
    finally:
        path.unlink(missing_ok=True)
        _refresh_vaes(live_webui)
    assert len(set(pixels)) == 2


def _refresh_vaes(client: Client) -> None:
    for path in ("/sdapi/v1/refresh-vae", "/sdapi/v1/refresh-checkpoints"):
        with suppress(ApiError):  # Forge has no route for them
            client.post(path, seconds=120)


def test_both_passes_are_made_of_the_new_file(live_webui: Client, ledger: Ledger, base: Path):
    """Another seed, so that the picture itself tells nothing."""
    found = fetch_capabilities(live_webui)
    if not Path(found.lora_dir).is_dir():
        pytest.skip(f"{found.lora_dir} is not on this machine")
    hires = HiresFix(found.upscalers[0], 2.0, 0.7)
    memory = live_webui.get("/sdapi/v1/options").get(IN_MEMORY)
    path, other = (Path(found.lora_dir) / f"{NAME}{end}.safetensors" for end in ("", "-truth"))
    pixels = {}
    try:
        if memory is not None:
            live_webui.post("/sdapi/v1/options", {IN_MEMORY: 3})
        for epoch, seed, at in ((3, 1, path), (1, 2, path), (1, 2, other)):
            at.unlink(missing_ok=True)
            write_epoch(at, base, epoch)
            live_webui.post("/sdapi/v1/refresh-loras", seconds=120)
            prompt = f"<lora:{at.stem}:1> a fox"
            cell = replace(SMALL, prompt=prompt, seed=seed, steps=2, hires_fix=hires)
            pixels[at.stem] = drawn(live_webui, ledger, with_loras(cell, {}), base)
    finally:
        path.unlink(missing_ok=True)
        other.unlink(missing_ok=True)
        live_webui.post("/sdapi/v1/refresh-loras", seconds=120)
        if memory is not None:
            live_webui.post("/sdapi/v1/options", {IN_MEMORY: memory})
    assert pixels[path.stem] == pixels[other.stem]


def test_an_embedding_leaves_its_hash(live_webui: Client, ledger: Ledger, base: Path):
    """Drawn twice: the second time the WebUI has the prompt in memory."""
    folder = Path(str(live_webui.get("/sdapi/v1/cmd-flags").get("embeddings_dir") or ""))
    if not folder.is_absolute() or not folder.parent.is_dir():
        pytest.skip(f"{folder} is not here")
    folder.mkdir(exist_ok=True)
    path = folder / f"{NAME}.safetensors"
    plain = drawn(live_webui, ledger, replace(SMALL, negative_prompt="blurry"), base)
    cell = replace(SMALL, negative_prompt=f"blurry, ({NAME}:1.2)")
    noise = random.Random(1)
    shapes = {one.name: one.shape for one in read_header(base).tensors}
    block = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0"
    wide = shapes[f"{block}.attn2.to_k.weight"][1]
    numbers = [noise.uniform(-1, 1) for _ in range(2 * wide)]
    data = struct.pack(f"<{2 * wide}e", *numbers)
    write_lora(path, {"emb_params": Tensor("F16", (2, wide), data)}, {})
    try:
        live_webui.post("/sdapi/v1/refresh-embeddings", seconds=120)
        assert len(fetch_capabilities(live_webui).embeddings[NAME]) == 12
        pixels = [drawn(live_webui, ledger, replace(cell, seed=seed), base) for seed in (1, 2)]
    finally:
        path.unlink(missing_ok=True)
        live_webui.post("/sdapi/v1/refresh-embeddings", seconds=120)
    assert plain not in pixels
