"""Drawing in this WebUI beside the page: the queue lock for each picture, no other scripts.

People at the page wait for one picture, not for all; several jobs share one order of checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from ..api.payloads import read_source
from ..cells.cell import Cell
from .backend import InProcessBackend


class AloneBackend(InProcessBackend):
    """Draws cells, img2img ones too, in a thread of its own."""

    takes_turns = True

    def __init__(self) -> None:
        super().__init__(begin_alone)

    @property
    def turn_name(self) -> str:
        """Turns are taken among the jobs of this process: two WebUIs do not wait for each other."""
        return f"{self.name} {os.getpid()}"

    def begin(self, cell: Cell) -> Any:
        """Begin a txt2img picture, or an img2img one from the cell's own source."""
        return begin_alone(cell)


@contextmanager
def begin_alone(cell: Cell | None = None) -> Iterator[Any]:
    """Begin one picture outside of the page. Raises DamagedError for a source that has changed."""
    from modules import scripts, shared
    from modules.call_queue import queue_lock

    with queue_lock:
        shared.state.begin(job="loraloom")
        try:
            p = _processing(cell)
            with closing(p):
                p.is_api = True
                p.scripts = scripts.ScriptRunner()
                p.script_args = ()
                yield p
        finally:
            shared.state.end()
            shared.total_tqdm.clear()


def _processing(cell: Cell | None) -> Any:
    from modules import processing, shared

    usual = {"sd_model": shared.sd_model, "do_not_save_samples": True, "do_not_save_grid": True}
    if cell is None or cell.source is None:
        return processing.StableDiffusionProcessingTxt2Img(**usual)
    return processing.StableDiffusionProcessingImg2Img(
        **usual,
        init_images=[_opened(read_source(cell.source))],
        denoising_strength=cell.source.denoising_strength,
        resize_mode=0,
    )


def _opened(content: bytes) -> Any:
    """Return a picture as the host's API would decode it."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB")
