"""The showcase in the tab: img2img in this process, and what was started survives a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from promotions import promote_epoch, with_manifest
from until import wait_until

from a1111_ext.cells.cell import Cell, CheckpointPin, SourcePicture
from a1111_ext.cells.verify import verify_picture
from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.desk import DRAW, UPSCALE
from a1111_ext.webui.alone import AloneBackend
from a1111_ext.webui.reviews import Reviews
from a1111_ext.webui.settings import FOLDERS
from kohya_ext.project import Project, ToolError
from kohya_ext.project.files import sha256_of
from kohya_ext.project.server import PageRequest

CELL = Cell("a fox", 5, width=64, height=72, steps=2, checkpoint=CheckpointPin("tiny-b"))
MANIFEST = """
showcase:
  template: "{lora} photo of {trigger}, {calm|smiling}"
  checkpoints: [tiny-a, tiny-b]
  count: 2
  picture: {width: 64, height: 64, steps: 2}
"""


@pytest.fixture
def known(host: Any, project: Project) -> Project:
    host.shared.opts.data[FOLDERS] = str(project.root)
    promote_epoch(project)
    return with_manifest(project, MANIFEST)


def act(reviews: Reviews, root: Path, name: str) -> str:
    answer = reviews.open(root).answer(PageRequest(f"act/{name}", {}, b"{}", "application/json"))
    said: str = json.loads(answer.body)["said"]
    return said


def state(reviews: Reviews, root: Path) -> Any:
    return json.loads(reviews.open(root).answer(PageRequest("state.json")).body)


@pytest.mark.usefixtures("host")
def test_a_picture_is_drawn_from_another(tmp_path: Path):
    path = tmp_path / "small.png"
    Image.effect_noise((32, 36), 90).convert("RGB").save(path)
    source = SourcePicture(str(path), sha256_of(path), 0.4)
    cell = Cell(**{**vars(CELL), "source": source})
    generated = AloneBackend().generate(cell)
    assert verify_picture(cell, generated) == ()
    assert "Denoising strength: 0.4" in generated.infotext
    path.write_bytes(path.read_bytes() + b"changed")
    with pytest.raises(ToolError, match="LL455"):
        AloneBackend().generate(cell)


def test_jobs_of_one_process_share_their_turns(host: Any):
    backend = AloneBackend()
    assert backend.takes_turns
    assert not backend.is_remote
    assert backend.turn_name != backend.name


def test_what_was_started_survives_a_restart(host: Any, known: Project, tmp_path: Path):
    book = tmp_path / "started-reviews.json"
    before = Reviews(book)
    assert act(before, known.root, UPSCALE) == "Kept pictures are now upscaled."
    assert json.loads(book.read_text(encoding="utf-8")) == {str(known.root): [UPSCALE]}
    before.open(known.root).close()  # the WebUI ends
    book.write_text(json.dumps({str(known.root): [DRAW], "/gone": [DRAW]}), encoding="utf-8")
    after = Reviews(book)
    after.resume()
    wait_until(lambda: len(read_album(known)) == 4)
    wait_until(lambda: json.loads(book.read_text(encoding="utf-8")) == {"/gone": [DRAW]})
    answer = state(after, known.root)
    assert answer["status"]["text"] == "4 pictures are drawn"
    after.open(known.root).close()


def test_a_damaged_book_is_begun_again(host: Any, tmp_path: Path):
    book = tmp_path / "started-reviews.json"
    for text in ("{", "[]", '{"a": 3}'):
        book.write_text(text, encoding="utf-8")
        Reviews(book).resume()


def test_projects_elsewhere_are_not_entered(host: Any, project: Project, tmp_path: Path):
    with pytest.raises(ToolError, match="LL755"):
        Reviews(tmp_path / "book.json").open(project.root)
