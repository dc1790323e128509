"""A grid's page is written: its thumbnails."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from a1111_ext.grids.page import document as grid_page
from a1111_ext.grids.page.document import (
    GridPage,
    PageAxis,
    PageCell,
    PageCellState,
    PageValue,
    write_page,
)


def test_a_picture_in_two_places_has_one_thumbnail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The control stands at every LoRA weight; here both thumbnails are ready at the same time."""
    from PIL import Image

    both, replace = threading.Barrier(2, timeout=60), Path.replace

    def replace_together(path: Path, target: Path) -> Path:
        if target.parent.name == "thumbnails":
            both.wait()
        return replace(path, target)

    monkeypatch.setattr(grid_page, "_THREADS", 2)
    monkeypatch.setattr(Path, "replace", replace_together)
    path = tmp_path / "control.png"
    Image.new("RGB", (64, 64), "red").save(path)
    cells = tuple(
        PageCell((number, 0), "c" * 64, PageCellState.DONE, path, (64, 64), "Steps: 1")
        for number in range(2)
    )
    axes = (
        PageAxis("Weight", (PageValue("0.8"), PageValue("1"))),
        PageAxis("Seed", (PageValue("1"),)),
    )
    page = GridPage("g", "two weights", axes, cells, columns=1)
    folder = tmp_path / "thumbnails"
    write_page(page, tmp_path / "grid.html", href=lambda cell: "x.png", thumbnails=folder)
    assert len(list(folder.iterdir())) == 1
