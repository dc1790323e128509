"""A folder of pictures as somebody collected them."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw(tmp_path / "collected" / "primary" / "a.png", "red")
    draw(tmp_path / "collected" / "b.JPG", "green")
    draw(tmp_path / "collected" / "deep" / "supporting" / "c.webp", "blue")
    (tmp_path / "collected" / "notes.txt").write_text("x", encoding="utf-8")
    draw(tmp_path / "collected" / ".hidden" / "d.png", "black")
    return tmp_path / "collected"
