"""`loraloom gui` in a browser: both halves in one page, also when one cannot be built."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import kept_chromium
from second_format import write_logits_model

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.gui import markup
from kohya_ext.gui.widgets import STYLE
from kohya_ext.project import Project, user_folder
from kohya_ext.simulator.creature import recipes, write_pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kohya_ext", "dynprompts", "a1111_ext")
PATIENCE = 120


@pytest.fixture
def chromium():
    if importlib.util.find_spec("gradio") is None:
        pytest.skip('gradio is not installed; pip install ".[gui]"')
    return kept_chromium()


@contextmanager
def page_of(chromium, root: Path, *words: str) -> Iterator[tuple[object, list[str]]]:
    """Serve the packages in `root`, open the page, and yield it with what the server said."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = subprocess.Popen(
        (sys.executable, "-m", "kohya_ext", "gui", *words, "--no-open", "--port", str(port)),
        cwd=root,
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(server.stderr), daemon=True)
    reader.start()
    try:
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE * 1000)
        wait_until_up(page, server, port, said)
        page.goto(f"http://127.0.0.1:{port}/")
        yield page, said
        page.close()
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        reader.join(timeout=PATIENCE)
        server.stderr.close()


def wait_until_up(page, server: subprocess.Popen, port: int, said: list[str]) -> None:
    """Ask the port, not the page: the page may be slow, and asking it would make it slower."""
    for _ in range(PATIENCE * 2):
        assert server.poll() is None, "".join(said)
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        page.wait_for_timeout(500)
    raise AssertionError("the page did not come up: " + "".join(said))


def open_tab(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()


def test_both_halves_stand_in_one_page(chromium, project: Project):
    with page_of(chromium, ROOT, str(project.root)) as (page, _):
        page.get_by_text("is open. Next: choose a base model").wait_for()
        assert page.get_by_role("button", name="Train", exact=True).first.is_visible()
        assert page.get_by_role("button", name="Send to LoRA tab").count() == 0
        open_tab(page, "Pictures")
        page.get_by_text("Quillfox").locator("visible=true").first.wait_for()
        page.get_by_role("button", name="Open", exact=True).wait_for()


def test_a_tagger_of_the_second_format_is_chosen_and_run(chromium, project: Project):
    write_pictures(project.source_dir, recipes(3))
    apply_layout(project, plan_layout(project))
    write_logits_model(user_folder() / "taggers" / "second format")
    with page_of(chromium, ROOT, str(project.root)) as (page, _):
        page.get_by_text("is open. Next: choose a base model").wait_for()
        page.get_by_label(re.compile("^\\s*Taggers found here")).locator(
            "visible=true"
        ).first.click()
        page.get_by_role("option", name=re.compile("second format")).first.click()
        page.get_by_role("button", name="Use this tagger", exact=True).first.click()
        page.get_by_text("Tagger: second format.").first.wait_for()
        page.get_by_role("button", name="Caption", exact=True).first.click()
        page.get_by_text("Caption: finished").first.wait_for()
        if os.environ.get("LORALOOM_SHOTS"):
            shot = Path(os.environ["LORALOOM_SHOTS"]) / "second-format.png"
            page.screenshot(path=shot, full_page=True)
    captions = [path.read_text("utf-8") for path in project.images_dir.glob("*/*.txt")]
    assert len(captions) == 3
    assert all("solo" in one for one in captions)


@pytest.mark.parametrize(
    ("broken", "label", "other"),
    [
        ("kohya_ext/gui/tab.py", "Training", "Pictures"),
        ("a1111_ext/screens/page.py", "Pictures", "Training"),
    ],
    ids=["ours", "the-other-half"],
)
def test_a_broken_page_leaves_the_other(
    chromium, tmp_path: Path, broken: str, label: str, other: str
):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    path = tmp_path / broken
    text = path.read_text(encoding="utf-8")
    begin = re.search(r"^def build_page\(.*\n", text, re.MULTILINE)
    assert begin
    broken_text = f"{text[: begin.end()]}    raise RuntimeError('broken on purpose')\n"
    path.write_text(broken_text + text[begin.end() :], encoding="utf-8")
    with page_of(chromium, tmp_path) as (page, said):
        open_tab(page, label)
        page.get_by_text("could not be built: RuntimeError: broken on purpose").wait_for()
        open_tab(page, other)
        page.get_by_role("button", name="Open").locator("visible=true").first.wait_for()
        assert "broken on purpose" in "".join(said)


ROWS = (
    ("Pretrained model name or path", "pretrained_model_name_or_path",
     "/data/stable-diffusion/models/base.safetensors", "chosen for this project"),
    ("Gradient accumulate steps", "gradient_accumulation_steps", 1,
     "the batch size alone decides; larger values divide the steps"),
    ("LoRA type", "LoRA_type", "LyCORIS/LoCon", "regularisation pictures"),
)  # fmt: skip


def test_a_config_fits_a_phone():
    """The reasons were out of sight, and each row as tall as they."""
    head = ("Kohya's field", "in its json", "Value", "Why")
    page = kept_chromium().new_page(viewport={"width": 320, "height": 800})
    page.set_content(f"{STYLE}<div class='loraloom-tab'>{markup.table(ROWS, head)}</div>")
    table = page.locator("table")
    assert table.evaluate("one => one.scrollWidth - one.parentElement.clientWidth") <= 0
    row = page.get_by_role("row", name="Gradient").bounding_box()
    assert row is not None
    assert row["height"] < 150
    page.close()
