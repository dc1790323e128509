"""The page of the A1111 half works in every gradio that a host may have.

LORALOOM_GRADIO_PYTHONS names Pythons with gradio 3.41, 4, 5 or 6 (and pyyaml, jsonschema, psutil),
separated as in PATH; LORALOOM_CHROMIUM the browser, LORALOOM_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a1111_server import ROOT, free_port

from kohya_ext.project import apply_init, plan_init

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

PYTHONS = [one for one in os.environ.get("LORALOOM_GRADIO_PYTHONS", "").split(os.pathsep) if one]
APP = ROOT / "tests" / "fixtures" / "screen_app.py"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = os.environ.get("LORALOOM_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no Chromium; LORALOOM_CHROMIUM names one")
    sync_api = pytest.importorskip("playwright.sync_api")
    words = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=words)
        yield browser
        browser.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two projects, one with an old and a new grid."""
    root = tmp_path / "my loras"
    apply_init(plan_init(root / "fox", "Quillfox"))
    apply_init(plan_init(root / "heron", "Heron"))
    for number, name in enumerate(("old", "new")):
        add_grid(root, name, number)
    return root


def add_grid(root: Path, name: str, number: int) -> None:
    page = root / "fox" / "grids" / name / "grid.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<p>the {name} page</p>", encoding="utf-8")
    os.utime(page, (1_700_000_000 + number, 1_700_000_000 + number))


def start(python: str, mode: str, shelf: Path, port: int) -> subprocess.Popen[str]:
    """Start the page; it says its address when it is there."""
    process = subprocess.Popen(
        [python, str(APP), mode, str(shelf), str(port)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Running on local URL" in line:
            return process
    raise AssertionError("the page ended:\n" + "".join(said))


def choose(page: Any, box: str, text: str) -> None:
    page.locator(f"#loraloom_{box} input").click()
    page.locator("[data-testid=dropdown-option]", has_text=text).first.click()


@pytest.mark.skipif(not PYTHONS, reason="LORALOOM_GRADIO_PYTHONS names no Python with a gradio")
@pytest.mark.parametrize("mode", ["host", "standalone"])
@pytest.mark.parametrize("python", PYTHONS or [""])
def test_projects_and_grids_can_be_chosen(chromium: Any, shelf: Path, python: str, mode: str):
    port = free_port()
    process = start(python, mode, shelf, port)
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    try:
        page.goto(f"http://127.0.0.1:{port}/")
        frame = page.frame_locator("#loraloom_frame iframe")
        frame.get_by_text("the new page").wait_for()
        choose(page, "grid", "old (")
        frame.get_by_text("the old page").wait_for()
        choose(page, "project", "heron")
        page.get_by_text("none yet; train first").first.wait_for()
        choose(page, "project", "fox")
        frame.get_by_text("the new page").wait_for()
        add_grid(shelf, "newest", 2)
        page.get_by_role("button", name="Refresh" if mode == "host" else "Open").click()
        page.wait_for_timeout(3000)
        choose(page, "grid", "newest (")
        frame.get_by_text("the newest page").wait_for()
        if folder := os.environ.get("LORALOOM_SHOTS"):
            name = f"screen-{PYTHONS.index(python)}-{mode}.png"
            page.screenshot(path=Path(folder) / name)
    finally:
        page.close()
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()
    assert problems == []
