"""The showcase's board while answers are late: its order, its facts, its buttons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import open_page
from held import Held, keep_on
from showcase_board import ready

from a1111_ext.showcase.review import read_review
from a1111_ext.showcase.showcase_view import ShowcaseView
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.server import PageServer

from .test_board_actions import LastingButton

pytestmark = pytest.mark.browser
NEWS = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def page(url: str) -> Iterator[Any]:
    with open_page(url) as opened:
        yield ready(opened)


def test_the_order_keeps_every_step(page: Any, drawn: Project):
    def shown() -> Any:
        return page.evaluate("[...document.querySelectorAll('#strip img')].map((one) => one.alt)")

    def step() -> None:
        page.click("#strip li:has(img[alt='fox-0000.png']) button[aria-label='Move right']")

    for _ in range(4):
        page.keyboard.press("1")
    page.keyboard.press("o")
    keep_on(page, lambda: len(read_review(drawn).ratings) == 4)
    held = Held(page, "**/order")
    step()
    step()
    twice = [f"fox-000{number}.png" for number in (1, 2, 0, 3)]
    assert shown() == twice
    with page.expect_response("**/order"):
        held.release()
    held.wait()
    assert shown() == twice
    step()
    held.end()
    keep_on(page, lambda: read_review(drawn).order[-1:] == ("fox-0000.png",))
    assert shown() == list(read_review(drawn).order)


def test_a_prompt_is_not_shown_below_another_picture(page: Any):
    page.keyboard.press("Enter")
    page.evaluate("document.querySelector('#facts-box').open = true")
    page.wait_for_selector("#facts dd")
    held = Held(page, "**/facts.json*")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#facts").strip() == ""
    held.release()
    page.wait_for_selector("#facts dd")
    assert "fox-0001.png" in page.inner_text("#one")


def test_the_hit_rate_does_not_come_between_decisions(page: Any, drawn: Project):
    held = Held(page, "**/report.json")
    page.keyboard.press("h")
    held.wait()
    page.keyboard.press("1")
    with page.expect_response("**/report.json"):
        held.release()
    page.wait_for_timeout(50)
    page.keyboard.press("2")
    keep_on(page, lambda: len(read_review(drawn).ratings) == 2)


@pytest.fixture
def desk() -> LastingButton:
    return LastingButton()


@pytest.fixture
def drawing(drawn: Project, desk: LastingButton) -> Iterator[Any]:
    share = BoardShare(ShowcaseView(drawn, desk))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as opened:
        yield ready(opened)
    share.close()


def test_a_double_click_starts_and_does_not_stop(drawing: Any, desk: LastingButton):
    drawing.dblclick("#actions button", delay=150)
    drawing.wait_for_timeout(100)
    assert drawing.inner_text("#actions button") == "Stop drawing"
    assert desk.asked == [""]


def test_what_was_decided_counts_for_what_is_started(drawing: Any, desk: LastingButton):
    held = Held(drawing, "**/decide")
    drawing.keyboard.press("1")
    held.wait()
    drawing.click("#actions button")
    drawing.wait_for_timeout(100)
    assert desk.asked == []
    held.release()
    keep_on(drawing, lambda: desk.asked == [""])


def test_news_from_before_a_start_do_not_hide_it(drawing: Any):
    held = Held(drawing, "**/changes.json*", answered=True)
    drawing.evaluate(NEWS)
    held.wait()
    drawing.click("#actions button")
    held.release(1)
    drawing.wait_for_selector("#actions button >> text=Stop drawing")
    held.release()
    drawing.wait_for_timeout(50)
    assert drawing.inner_text("#actions button") == "Stop drawing"
    held.end()
