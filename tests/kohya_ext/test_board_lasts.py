"""Nothing that was decided on a board gets lost: two windows, a killed server, a reload."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chromium import kept_chromium, open_page
from PIL import Image
from until import wait_until

from kohya_ext.project import Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.server import PageServer

pytestmark = pytest.mark.browser
COUNT = 12


@pytest.fixture
def filled(project: Project) -> Project:
    project.source_dir.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        draw(project, number)
    return project


def draw(project: Project, number: int) -> None:
    picture = Image.new("RGB", (60, 40), (20 * number % 250, 90, 9))
    picture.save(project.source_dir / f"fox {number:02}.png")


def roles(project: Project) -> dict[str, str]:
    names = {row.key: row.name for row in PicturesView(project).items()}
    with DecisionStore(project.reviews_db) as store:
        values = store.values(DecisionKind.ROLE)
    return {names[key].removeprefix("fox ")[:2]: value for key, value in values.items()}


def ready(page: Any) -> Any:
    page.wait_for_selector("body[data-ready]")
    return page


@contextmanager
def window() -> Iterator[Any]:
    context = kept_chromium().new_context()
    try:
        yield context
    finally:
        context.close()


@contextmanager
def served(project: Project, port: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `loraloom board`; SIGKILL ends it, as a power cut would."""
    command = [sys.executable, "-m", "kohya_ext", "board", str(project.root), "--no-open"]
    with subprocess.Popen(
        [*command, "--port", port],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def free_port() -> str:
    with PageServer() as server:
        return server.url_of(BoardShare.__new__(BoardShare)).split(":")[2].split("/")[0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_a_killed_server_loses_nothing(filled: Project):
    port = free_port()
    with window() as browser:
        with served(filled, port) as (process, url):
            page = browser.new_page()
            ready(page.goto(url) and page)
            for pressed in ("1", "2"):
                page.keyboard.press(pressed)
            process.kill()
            process.wait()
            for pressed in ("0", "1", "Control+z", "2", "1"):
                page.keyboard.press(pressed)
            page.wait_for_selector("#cut:visible")
            assert "will be sent" in page.inner_text("#cut")
        with served(filled, port) as (_, again):
            assert again == url
            page.wait_for_selector("#cut", state="hidden")
            expected = {"00": "primary", "01": "supporting", "02": "out", "04": "primary"}
            wait_until(lambda: roles(filled).get("05") == "primary" or roles(filled) == expected)
            kept = roles(filled)
            page.reload()
            ready(page)
            assert page.text_content("#judged") == f"{len(kept)} of {COUNT} judged"
    assert kept["00"] == "primary"
    assert kept["01"] == "supporting"
    assert kept["02"] == "out"
    assert "03" not in kept or kept["03"] == "supporting"  # the undo took its "primary" back
    assert list(kept.values()).count("primary") == 2


def test_what_waits_outlives_a_reload(filled: Project):
    share = BoardShare(PicturesView(filled))
    with PageServer() as server, window() as browser:
        page = browser.new_page()
        page.goto(server.url_of(share, PAGE_NAME))
        ready(page)
        page.route("**/decide", lambda route: route.abort())
        for pressed in ("1", "2", "0"):
            page.keyboard.press(pressed)
        page.wait_for_selector("#cut:visible")
        assert "3 changes wait in this tab" in page.inner_text("#cut")
        page.unroute("**/decide")
        page.reload()
        ready(page)
        assert page.get_attribute(".tile.cursor canvas", "aria-label") == "fox 03.png"
        wait_until(lambda: len(roles(filled)) == 3)
        wait_until(lambda: page.text_content("#judged") == f"3 of {COUNT} judged")
    assert roles(filled) == {"00": "primary", "01": "supporting", "02": "out"}
    share.close()


def test_two_windows_decide_together(filled: Project):
    share = BoardShare(PicturesView(filled))
    with PageServer() as server, window() as browser:
        url = server.url_of(share, PAGE_NAME)
        first, second = browser.new_page(), browser.new_page()
        for page in (first, second):
            page.goto(url)
            ready(page)
        second.keyboard.press("End")
        for _ in range(4):  # by turns, faster than either window asks for news
            first.keyboard.press("1")
            second.keyboard.press("0")
            second.keyboard.press("ArrowLeft")
            second.keyboard.press("ArrowLeft")
        for page in (first, second):
            wait_until(lambda page=page: page.text_content("#judged") == "8 of 12 judged")
        first.keyboard.press("Control+z")
        wait_until(lambda: second.text_content("#judged") == "7 of 12 judged")
    assert len(roles(filled)) == 7
    share.close()


def test_a_refused_decision_is_not_shown_as_kept(filled: Project):
    share = BoardShare(PicturesView(filled))
    refusal = {"status": 400, "body": "The disk is full."}
    with PageServer() as server, window() as browser:
        page = browser.new_page()
        page.goto(server.url_of(share, PAGE_NAME))
        ready(page)
        page.route("**/decide", lambda route: route.fulfill(**refusal))
        page.keyboard.press("1")
        page.wait_for_selector("#said.alarm >> text=The disk is full.")
        assert page.text_content("#judged") == f"0 of {COUNT} judged"
    share.close()


def test_an_import_reaches_the_open_board(filled: Project):
    share = BoardShare(PicturesView(filled))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        ready(page)
        page.keyboard.press("1")
        before = page.locator(".tile.cursor").bounding_box()
        draw(filled, COUNT)
        page.keyboard.press("2")
        page.wait_for_selector(f".tile canvas[aria-label='fox {COUNT}.png']")
        assert page.text_content("#judged") == f"2 of {COUNT + 1} judged"
        page.keyboard.press("ArrowLeft")
        assert page.locator(".tile.cursor").bounding_box() == before
    assert roles(filled) == {"00": "primary", "01": "supporting"}
    share.close()
