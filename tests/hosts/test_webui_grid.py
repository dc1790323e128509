"""Cells and grids on a real WebUI: LORALOOM_WEBUI_URL names one with a checkpoint and LoRAs.

Small pictures of few steps; made for the tiny checkpoints of a simulation, fine with real ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawing import without_loras
from loras import save_lora

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import Client, parse_credentials
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.api.lora_links import find_lora_folder
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HiresFix,
    HttpBackend,
    Ledger,
    pin_cell,
    plan_cells,
    run_cells,
    verify_picture,
    with_loras,
)
from a1111_ext.cells.cell import Batch
from a1111_ext.grids.server_side import XyzPlotBackend
from kohya_ext.project import ToolError

URL = os.environ.get("LORALOOM_WEBUI_URL", "")
pytestmark = [
    pytest.mark.host,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not URL, reason="LORALOOM_WEBUI_URL names no WebUI"),
]
SMALL = {"width": 128, "height": 128, "steps": 2, "sampler": "Euler"}


def cell(**changes: Any) -> Cell:
    return Cell(**{"prompt": "a fox", "seed": 1, **SMALL} | changes)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(URL, parse_credentials(os.environ.get("LORALOOM_WEBUI_AUTH", ""))) as opened:
        yield opened


@pytest.fixture
def backend(client: Client) -> Iterator[HttpBackend]:
    opened = HttpBackend(client)
    yield opened
    opened.close()


@pytest.fixture
def loras(backend: HttpBackend) -> list[str]:
    """Up to three LoRAs that the WebUI has."""
    names = [one.name for one in backend.capabilities.loras][:3]
    if len(names) < 2:
        pytest.skip("the WebUI has fewer than two LoRAs")
    return names


def pinned(backend: HttpBackend, *cells: Cell) -> list[Cell]:
    return [pin_cell(with_loras(one, {}), backend.capabilities) for one in cells]


def table(backend: HttpBackend, loras: list[str]) -> list[Cell]:
    """The control and some LoRAs x three seeds x two CFG scales."""
    prompts = ["a fox", *(f"<lora:{name}:1> a fox" for name in loras)]
    return pinned(
        backend,
        *(
            cell(prompt=prompt, seed=seed, cfg_scale=cfg)
            for cfg in (5.0, 7.0)
            for prompt in prompts
            for seed in (3, 1234567, 42)
        ),
    )


def test_our_pictures_are_the_plot_s_bit_for_bit(backend, loras, tmp_path: Path):
    cells = table(backend, loras)
    plan = plan_cells(cells)
    with Ledger(tmp_path / "ours.db", tmp_path / "ours") as ledger:
        run_cells(plan, ledger, [backend]).require_all()
        ours = ledger.pixels()
    with Ledger(tmp_path / "theirs.db", tmp_path / "theirs") as ledger:
        run_cells(plan, ledger, [XyzPlotBackend(backend, cells)]).require_all()
        theirs = ledger.pixels()
    assert len(ours) == len(cells)
    assert ours == theirs


def test_checkpoints_in_the_plot_and_in_ours(backend, client, tmp_path: Path):
    names = [one.title for one in backend.capabilities.checkpoints][:2]
    for name in names:
        backend.capabilities = fetch_hashed(client, backend.capabilities, name)
    cells = pinned(
        backend,
        *(cell(checkpoint=CheckpointPin(name), seed=seed) for name in names for seed in (1, 2)),
    )
    pixels = []
    for number, one in enumerate((backend, XyzPlotBackend(backend, cells))):
        with Ledger(tmp_path / f"{number}.db", tmp_path / str(number)) as ledger:
            run_cells(plan_cells(cells), ledger, [one]).require_all()
            pixels.append(ledger.pixels())
    assert pixels[0] == pixels[1]
    assert len(set(pixels[0].values())) == len(cells)


WRONG = [
    ({"checkpoint": CheckpointPin("no-such-checkpoint")}, "LL408", "checkpoint"),
    ({"prompt": "<lora:no-such-lora:1> a fox"}, "LL409", "a picture without it"),
    ({"sampler": "euler"}, "LL410", "sampling method"),
    ({"sampler": "No Such Sampler"}, "LL410", "sampling method"),
    ({"scheduler": "no such schedule"}, "LL410", "schedule type"),
    ({"hires_fix": HiresFix(upscaler="no such upscaler")}, "LL410", "upscaler"),
    ({"vae": "no-such-vae.safetensors"}, "LL410", "VAE: asked for 'no-such-vae', got 'none'"),
    ({"vae": "no-such-vae.safetensors"}, "LL410", "VAE"),
]


@pytest.mark.parametrize(("changes", "code", "words"), WRONG)
def test_wrong_names_are_noticed_before_and_after(backend, changes, code: str, words: str):
    """Status 200 for most of them: the names are checked first, the answer afterwards."""
    wrong = with_loras(cell(**changes), {})
    with pytest.raises(ToolError, match=code):
        pin_cell(wrong, backend.capabilities)
    assert words in what_is_wrong(backend, wrong)


def what_is_wrong(backend: HttpBackend, wrong: Cell) -> str:
    """Return what the WebUI itself refuses, or what its answer shows."""
    try:
        return "; ".join(map(str, verify_picture(wrong, backend.generate(wrong))))
    except ToolError as error:
        return str(error)


def test_other_cases_of_names_are_noticed(backend, loras):
    checkpoint = backend.capabilities.checkpoints[0].name.swapcase()
    lora = loras[0].swapcase()
    for changes, code in (
        ({"checkpoint": CheckpointPin(checkpoint)}, "LL408"),
        ({"prompt": f"<lora:{lora}:1> a fox"}, "LL409"),
        ({"prompt": f"<lora:{loras[0]}:abc> a fox"}, "LL414"),
    ):
        with pytest.raises(ToolError, match=code):
            pin_cell(with_loras(cell(**changes), {}), backend.capabilities)
        wrong = with_loras(cell(**changes), {})
        assert verify_picture(wrong, backend.generate(wrong)) != ()


def test_a_lora_of_another_architecture_is_noticed(backend, client, ledger):
    """Its hash stands in the infotext and the picture is as it was, with status 200."""
    folder = find_lora_folder(backend.capabilities)
    path = save_lora(folder, "loraloom-test-other", tensor="lora_unet_no_such_layer.lora_up.weight")
    try:
        client.post("/sdapi/v1/refresh-loras", seconds=60)
        backend.capabilities = fetch_capabilities(client)
        (one,) = pinned(backend, cell(prompt="<lora:loraloom-test-other:1> a fox"))
        control = without_loras(one)
        plan = plan_cells([control, one], {one.key: control.key})
        report = run_cells(plan, ledger, [backend])
    finally:
        path.unlink()
        client.post("/sdapi/v1/refresh-loras", seconds=60)
    assert report.drawn == 1
    ((failed, reason),) = report.failed
    assert failed == one
    assert "changed nothing" in reason or "without it" in reason


def test_every_lora_differs_from_its_control(backend, loras, ledger):
    cells = table(backend, loras)
    controls = {one.key: without_loras(one).key for one in cells if one.loras}
    report = run_cells(plan_cells(cells, controls), ledger, [backend])
    assert (report.failed, report.unchecked) == ((), 0)


def options(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/sdapi/v1/options")
    return found


def test_the_webui_s_settings_are_as_they_were(client: Client, ledger: Ledger):
    before = options(client)
    backend = HttpBackend(client)
    names = [one.title for one in backend.capabilities.checkpoints]
    cells = pinned(backend, cell(clip_skip=2, checkpoint=CheckpointPin(names[-1])))
    run_cells(plan_cells(cells), ledger, [backend])
    between = options(client)
    backend.close()
    assert {key for key in before if before[key] != between[key]} <= {"sd_checkpoint_hash"}
    after = options(client)
    assert {key for key in before if before[key] != after[key]} <= {"sd_checkpoint_hash"}


def test_hires_and_clip_skip_are_verified(backend, ledger):
    hires = HiresFix(scale=1.5, denoising_strength=0.4, steps=3)
    cells = pinned(backend, cell(hires_fix=hires), cell(clip_skip=2), cell(subseed=7))
    run_cells(plan_cells(cells), ledger, [backend]).require_all()


def test_seeds_in_one_request_are_the_same_pictures(backend, ledger):
    cells = pinned(backend, *(cell(seed=seed) for seed in (5, 6, 7)))
    run_cells(plan_cells(cells), ledger, [backend], n_iter=3).require_all()
    for one in cells:
        assert backend.generate(one).png == ledger.picture_path(one.key).read_bytes()


def test_a_batch_comes_whole_and_verified(backend, ledger):
    batch = [cell(seed=5 + i, batch=Batch("batch_size", 3, i)) for i in range(3)]
    cells = pinned(backend, *batch)
    run_cells(plan_cells(cells), ledger, [backend]).require_all()
    assert len(ledger.done_keys()) == 3


def test_a_stop_ends_our_job_at_once(backend, ledger):
    """A long picture: the run returns while the WebUI would still draw for a long time."""
    stop = threading.Event()
    (one,) = pinned(backend, cell(steps=150, width=512, height=512))
    timer = threading.Timer(3.0, stop.set)
    timer.start()
    report = run_cells(plan_cells([one]), ledger, [backend], stop=stop)
    timer.cancel()
    assert (report.drawn, report.stopped) == (0, True)
    assert not ledger.picture_path(one.key).exists()
    assert backend.client.get("/sdapi/v1/progress")["state"]["job_count"] in (0, -1)


def test_capabilities_of_a_real_webui(client: Client):
    found: Capabilities = fetch_capabilities(client)
    assert not found.is_simulated
    assert "Automatic" in found.schedulers
    assert found.require_checkpoint("").title
    assert replace(found, loras=()).loras == ()
