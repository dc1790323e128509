"""Model files replaced under their names on a real WebUI: LORALOOM_WEBUI_URL names it, here.

LORALOOM_BASE_MODEL is a checkpoint in its folder; another one lies beside it. Files are put into
its folders for a moment, and taken out again.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from a1111_server import cut_out

from a1111_ext.api.client import ApiError, Client
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HttpBackend,
    Ledger,
    RunReport,
    pin_cell,
    plan_cells,
    run_cells,
    with_loras,
)
from a1111_ext.cells.model_files import know_first_files
from kohya_ext.project import ToolError
from kohya_ext.project.lora_file import Tensor, read_header, write_lora

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
NAME = "loraloom-live-check"
SMALL = Cell("a fox", 1, width=64, height=64, steps=1, sampler="Euler")


@pytest.fixture
def other(live_webui: Client, base: Path) -> Path:
    """Another checkpoint of the same folder."""
    rows = fetch_capabilities(live_webui).checkpoints
    paths = [Path(one.path) for one in rows if Path(one.path).name != base.name]
    if not paths or not paths[0].is_file():
        pytest.skip("it has no second checkpoint on this machine")
    return paths[0]


def put(source: Path, target: Path, days_ago: float = 0.0) -> None:
    """Put a file in the place of another, as a download does."""
    beside = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, beside)
    date = time.time() - days_ago * 86400
    os.utime(beside, (date, date))
    beside.replace(target)


def refresh(client: Client) -> None:
    for what in ("checkpoints", "vae", "loras", "embeddings"):
        with suppress(ApiError):  # Forge has no route for VAEs
            client.post(f"/sdapi/v1/refresh-{what}", seconds=120)


def draw(client: Client, ledger: Ledger, *cells: Cell) -> RunReport:
    """Draw as a command does: it asks the WebUI what it has, and pins the cells to that."""
    titles = dict.fromkeys(one.checkpoint.title for one in cells)
    found = fetch_hashed(client, fetch_capabilities(client), *titles)
    backend = HttpBackend(client.another(), know_first_files(found, ledger))
    try:
        plan = plan_cells(pin_cell(with_loras(one, {}), backend.capabilities) for one in cells)
        return run_cells(plan, ledger, [backend])
    finally:
        backend.close()


def counts(report: RunReport) -> tuple[int, int, int]:
    assert not report.failed, report.failed
    return report.drawn, report.known, len(report.failed)


def pixels(client: Client, folder: Path, cell: Cell) -> set[str]:
    """Draw without any ledger of before: what the picture is in truth."""
    with Ledger(folder / "truth.db", folder / "truth") as ledger:
        draw(client, ledger, cell).require_all()
        return set(ledger.pixels().values())


@pytest.fixture
def swapped(live_webui: Client, base: Path, other: Path) -> Iterator[Path]:
    """A checkpoint of our own that is the WebUI's own setting, and loaded.

    Its name is new, since the WebUI remembers hashes by names and dates.
    """
    path = other.with_name(f"{NAME}-{secrets.token_hex(4)}.safetensors")
    before = fetch_capabilities(live_webui).loaded
    put(base, path, days_ago=2)
    for one in (base, other):
        if one.with_suffix(".yaml").is_file():
            shutil.copyfile(one.with_suffix(".yaml"), path.with_suffix(".yaml"))
    refresh(live_webui)
    live_webui.post("/sdapi/v1/options", {"sd_model_checkpoint": path.name}, seconds=600)
    try:
        yield path
    finally:
        live_webui.post("/sdapi/v1/options", {"sd_model_checkpoint": before}, seconds=600)
        path.unlink()
        path.with_suffix(".yaml").unlink(missing_ok=True)
        refresh(live_webui)


@pytest.mark.parametrize("is_named", [False, True], ids=["loaded", "named"])
@pytest.mark.parametrize("seen", [False, True], ids=["not refreshed", "refreshed"])
def test_a_replaced_checkpoint_is_drawn_again(
    live_webui: Client,
    ledger: Ledger,
    swapped: Path,
    other: Path,
    is_named: bool,
    seen: bool,
    tmp_path: Path,
):
    """It is loaded, and stays so: the WebUI itself would continue drawing with the earlier file."""
    cell = replace(SMALL, checkpoint=CheckpointPin(swapped.name if is_named else ""))
    beside = replace(SMALL, checkpoint=CheckpointPin(other.name))
    assert counts(draw(live_webui, ledger, cell, beside)) == (2, 0, 0)
    put(other, swapped, days_ago=1)
    if seen:
        refresh(live_webui)
    assert counts(draw(live_webui, ledger, cell, beside)) == (1, 1, 0)
    truth = pixels(live_webui, tmp_path, beside)
    assert truth < set(ledger.pixels().values())
    assert len(set(ledger.pixels().values())) == 2
    assert counts(draw(live_webui, ledger, cell, replace(cell, seed=2))) == (1, 1, 0)
    loaded = live_webui.get("/sdapi/v1/options")["sd_model_checkpoint"]
    assert loaded.startswith(swapped.name)


def test_a_checkpoint_with_an_older_date_is_refused(
    live_webui: Client, ledger: Ledger, swapped: Path, base: Path, other: Path
):
    """A1111 keeps the hash of the file before, and would write it into every picture."""
    if fetch_capabilities(live_webui).is_forge:
        pytest.skip("Forge's list is hashed here")
    cell = replace(SMALL, checkpoint=CheckpointPin(swapped.name))
    draw(live_webui, ledger, cell).require_all()
    put(other, swapped, days_ago=30)
    with pytest.raises(ToolError, match="LL427"):
        draw(live_webui, ledger, cell)
    put(other, swapped)
    assert counts(draw(live_webui, ledger, cell)) == (1, 0, 0)


def width_of(base: Path) -> int:
    """Return how wide the prompts are of which a checkpoint draws."""
    shapes = {one.name: one.shape for one in read_header(base).tensors}
    block = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0"
    return shapes[f"{block}.attn2.to_k.weight"][1]


@pytest.fixture
def vae(live_webui: Client, base: Path) -> Iterator[Path]:
    flags = live_webui.get("/sdapi/v1/cmd-flags")
    folder = Path(flags.get("vae_dir") or Path(flags["lora_dir"]).parent / "VAE")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    path = folder / f"{NAME}-{secrets.token_hex(4)}.safetensors"
    cut_out(base, path, "first_stage_model.", -0.4)
    refresh(live_webui)
    try:
        if path.name not in (fetch_capabilities(live_webui).vaes or ()):
            pytest.skip("it lists the VAEs of its start")
        yield path
    finally:
        path.unlink(missing_ok=True)
        refresh(live_webui)


def brighten(vae: Path, base: Path, days_ago: float = 0.0) -> None:
    """Put a VAE of brighter pictures in the place of another."""
    beside = vae.with_suffix(".brighter")
    cut_out(base, beside, "first_stage_model.", 0.4)
    put(beside, vae, days_ago)
    beside.unlink()


@pytest.mark.parametrize("days_ago", [0, 30], ids=["newer", "older"])
def test_a_replaced_vae_is_drawn_again(
    live_webui: Client, ledger: Ledger, base: Path, vae: Path, days_ago: int
):
    """Whatever hash the WebUI writes: A1111 keeps one for all VAEs, going by dates."""
    cell = replace(SMALL, vae=vae.name, checkpoint=CheckpointPin(base.name))
    plain = replace(cell, vae="None")
    before = vae.read_bytes()
    assert counts(draw(live_webui, ledger, cell, plain)) == (2, 0, 0)
    brighten(vae, base, days_ago)
    assert counts(draw(live_webui, ledger, cell, plain)) == (1, 1, 0)
    assert len(set(ledger.pixels().values())) == 3
    assert counts(draw(live_webui, ledger, cell, replace(cell, seed=2), plain)) == (1, 2, 0)
    vae.write_bytes(before)
    assert counts(draw(live_webui, ledger, cell, plain)) == (0, 2, 0)


def test_a_vae_replaced_while_it_is_drawn_with(
    live_webui: Client, ledger: Ledger, base: Path, vae: Path
):
    cells = [replace(SMALL, seed=one, vae=vae.name, steps=8, width=128) for one in range(12)]
    cells = [replace(one, checkpoint=CheckpointPin(base.name)) for one in cells]
    timer = threading.Timer(1.0, brighten, (vae, base))
    timer.start()
    report = draw(live_webui, ledger, *cells)
    timer.join()
    reasons = {reason for _, reason in report.failed}
    assert reasons == {f"the VAE {vae.name} was replaced while this command ran"}
    first = set(ledger.pixels().values())
    assert counts(draw(live_webui, ledger, *cells)) == (12, 0, 0)
    assert len(set(ledger.pixels().values())) == 12 + len(first)


def test_two_vaes_of_two_runs_are_not_mixed(
    live_webui: Client, tmp_path: Path, base: Path, vae: Path
):
    """One names its VAE, the other none: it gets the one that the WebUI is set to."""
    cell = replace(SMALL, checkpoint=CheckpointPin(base.name))
    cells = [replace(cell, seed=seed) for seed in range(8)]
    with Ledger(tmp_path / "alone.db", tmp_path / "alone") as ledger:
        draw(live_webui, ledger, *cells).require_all()
        alone = set(ledger.pixels().values())
    found: dict[str, set[str]] = {}

    def run(name: str, named: str) -> None:
        with Ledger(tmp_path / f"{name}.db", tmp_path / name) as ledger:
            draw(live_webui.another(), ledger, *(replace(one, vae=named) for one in cells))
            found[name] = set(ledger.pixels().values())

    threads = [
        threading.Thread(target=run, args=args) for args in (("ours", ""), ("other", vae.name))
    ]
    for one in reversed(threads):
        one.start()
    for one in threads:
        one.join()
    assert found["ours"] == alone
    assert not found["other"] & alone


def test_a_replaced_hypernetwork_is_drawn_again(live_webui: Client, ledger: Ledger, base: Path):
    """The WebUI keeps those that the picture before was drawn with."""
    name = f"{NAME}-{secrets.token_hex(4)}"
    fields = {
        "name": name,
        "enable_sizes": [width_of(base)],
        "overwrite_old": True,
        "layer_structure": [1, 2, 1],
        "activation_func": "linear",
        "weight_init": "XavierUniform",
    }
    cell = replace(SMALL, prompt=f"a fox <hypernet:{name}:1>")
    path = None
    try:
        for drawn in ((2, 0, 0), (1, 1, 0)):
            with suppress(ApiError):
                live_webui.post("/sdapi/v1/create/hypernetwork", fields, seconds=120)
            has = fetch_capabilities(live_webui)
            if has.hypernetworks is None:  # as of Forge, and of reForge, which lists them
                with pytest.raises(ToolError, match="LL424"):
                    draw(live_webui, ledger, cell)
                return
            found = has.files["hypernetwork"].get(name)
            if found is None:
                pytest.skip("it makes no hypernetwork on this machine")
            path = Path(found)
            assert counts(draw(live_webui, ledger, cell, SMALL)) == drawn
        assert len(set(ledger.pixels().values())) == 3
    finally:
        if path is not None:
            path.unlink()


def test_an_embedding_written_over_is_drawn_again(live_webui: Client, ledger: Ledger, base: Path):
    """A1111 looks at the date of the folder, which stays."""
    folder = Path(str(live_webui.get("/sdapi/v1/cmd-flags").get("embeddings_dir") or ""))
    if not folder.is_absolute() or not folder.parent.is_dir():
        pytest.skip(f"{folder} is not here")
    folder.mkdir(exist_ok=True)  # Neo makes it with the first one
    path = folder / f"{NAME}.safetensors"
    cell = replace(SMALL, negative_prompt=f"blurry, {NAME}")
    wide = width_of(base)
    try:
        for seed, drawn in ((1, (2, 0, 0)), (2, (1, 1, 0))):
            noise = random.Random(seed)
            numbers = [noise.uniform(-1, 1) for _ in range(2 * wide)]
            data = struct.pack(f"<{2 * wide}e", *numbers)
            beside = folder.parent / path.name
            write_lora(beside, {"emb_params": Tensor("F16", (2, wide), data)}, {})
            path.write_bytes(beside.read_bytes())
            beside.unlink()
            if seed == 1:
                refresh(live_webui)
            assert counts(draw(live_webui, ledger, cell, SMALL)) == drawn
        assert len(set(ledger.pixels().values())) == 3
    finally:
        path.unlink(missing_ok=True)
        refresh(live_webui)
