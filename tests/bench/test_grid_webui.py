"""A 6 x 8 grid on a real WebUI: our requests against its own X/Y/Z plot with the epochs on X.

LORALOOM_WEBUI_URL names a WebUI with a tiny checkpoint; ratios of medians, ways taken in turn.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.lora_links import find_lora_folder
from a1111_ext.api.payloads import picture_request
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells, with_loras
from a1111_ext.cells.cell import Batch
from a1111_ext.grids.server_side import _NOTHING, Plot, PlotAxis, script_arguments
from kohya_ext.project.lora_file import rewrite_metadata

URL = os.environ.get("LORALOOM_WEBUI_URL", "")
pytestmark = [
    pytest.mark.bench,
    pytest.mark.host,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not URL, reason="LORALOOM_WEBUI_URL names no WebUI"),
]
EPOCHS, SEEDS = 6, 8
ROUNDS = int(os.environ.get("LORALOOM_BENCH_ROUNDS", "3"))


@pytest.fixture
def backend() -> Iterator[HttpBackend]:
    """A WebUI with six LoRA files of their own names, taken away again at the end."""
    client = Client(URL)
    found = fetch_capabilities(client)
    sources = [Path(one.path) for one in found.loras if Path(one.path).is_file()]
    if not sources:
        pytest.skip("the WebUI has no LoRA in a folder of this machine")
    folder = find_lora_folder(found)
    made = [folder / f"loraloom-bench-{number}.safetensors" for number in range(EPOCHS)]
    for number, path in enumerate(made):
        path.unlink(missing_ok=True)
        rewrite_metadata(sources[number % len(sources)], path, {"ss_output_name": path.stem})
    client.post("/sdapi/v1/refresh-loras", seconds=60)
    opened = HttpBackend(client)
    yield opened
    for path in made:
        path.unlink()
    client.post("/sdapi/v1/refresh-loras", seconds=60)
    opened.close()


def cells(backend: HttpBackend, batch: int = 1) -> list[Cell]:
    made = []
    for epoch in range(EPOCHS):
        for seed in range(SEEDS):
            how = Batch("batch_size", batch, seed) if batch > 1 else Batch()
            one = Cell(
                prompt=f"<lora:loraloom-bench-{epoch}:1> a fox",
                seed=100 + seed,
                width=128,
                height=128,
                steps=4,
                sampler="Euler",
                batch=how,
            )
            made.append(pin_cell(with_loras(one, {}), backend.capabilities))
    return made


def test_a_grid_beats_the_plot(backend: HttpBackend, tmp_path: Path):
    pixels: dict[str, dict[tuple[str, int], str]] = {}

    def ours(name: str, batch: int, n_iter: int) -> Callable[[int], None]:
        def draw(turn: int) -> None:
            plan = plan_cells(cells(backend, batch))
            folder = tmp_path / f"{name}-{turn}"
            with Ledger(folder / "cells.db", folder / "cells") as ledger:
                run_cells(plan, ledger, [backend], n_iter=n_iter).require_all()
                found = ledger.pixels()
            pixels[name] = {(one.prompt, one.seed): found[one.key] for one in plan.cells}

        return draw

    def theirs(turn: int) -> None:
        """The usual way: Prompt S/R on X, seeds on Y, grid and cells in the answer."""
        all_cells = cells(backend)
        prompts = tuple(dict.fromkeys(one.prompt for one in all_cells))
        seeds = tuple(dict.fromkeys(str(one.seed) for one in all_cells))
        axes = (
            PlotAxis("Prompt S/R", prompts, lambda one: one.prompt),
            PlotAxis("Seed", seeds, lambda one: str(one.seed)),
            _NOTHING,
        )
        plot = Plot(axes, all_cells[0], tuple(all_cells))
        info = backend.client.get("/sdapi/v1/script-info")
        route, body = picture_request(plot.base, backend.capabilities)
        body |= {"script_name": "x/y/z plot", "script_args": script_arguments(plot, info)}
        answer = backend.client.post(route, body, seconds=1200)
        assert len(answer["images"]) == EPOCHS * SEEDS + 1
        pixels["plot"] = _pixels(answer["images"][1:], prompts, seeds)

    ways = {
        "plot": theirs,
        "single": ours("single", 1, 1),
        "n_iter": ours("n_iter", 1, SEEDS),
        "batch_size": ours("batch_size", SEEDS, 1),
    }
    for draw in ways.values():
        draw(-1)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, draw in ways.items():
            start = time.perf_counter()
            draw(turn)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {seconds:.1f} s, {medians['plot'] / seconds:.2f} x the plot's speed")
    assert pixels["single"] == pixels["n_iter"] == pixels["plot"]
    assert medians["plot"] / min(medians["single"], medians["n_iter"]) >= 1.25
    assert medians["plot"] / medians["batch_size"] >= 1.8


def _pixels(
    images: list[str], prompts: tuple[str, ...], seeds: tuple[str, ...]
) -> dict[tuple[str, int], str]:
    import base64

    from a1111_ext.cells.verify import pixels_digest

    order = [(prompt, int(seed)) for seed in seeds for prompt in prompts]
    digests = (pixels_digest(base64.b64decode(one)) for one in images)
    return dict(zip(order, digests, strict=True))
