"""The board on a phone: fingers look and turn pages, and only buttons decide."""

from __future__ import annotations

import pytest
from chromium import Fingers, open_phone, too_small_for_a_thumb
from until import wait_until

from kohya_ext.project import Project

from . import test_board_page as at_a_desk
from .test_board_page import NAMES, filled, first_filled, ready, roles, url

__all__ = ("filled", "first_filled", "url")
pytestmark = pytest.mark.browser
SIZES = pytest.mark.parametrize("size", [(390, 844), (844, 390)], ids=["upright", "on its side"])


@SIZES
def test_every_button_of_the_board_fits_a_thumb(url: str, size: tuple[int, int]):
    with open_phone(url, width=size[0], height=size[1]) as page:
        ready(page)
        assert too_small_for_a_thumb(page) == []
        page.locator("#filter-open").tap()
        assert too_small_for_a_thumb(page) == []
        page.locator("#filter-open").tap()
        for mode in ("two", "four", "grid"):
            page.locator(f"#mode-{mode}").tap()
            assert too_small_for_a_thumb(page) == []
        page.locator('.tile[data-at="0"]').tap()
        page.locator("#one").wait_for()
        for panel in ("captions", "tags"):
            page.locator(f"#{panel}-open").tap()
            assert too_small_for_a_thumb(page) == []
            page.locator(f"#{panel}-open").tap()
        letters = "[...document.querySelectorAll('input, select, textarea')].map("
        letters += "(one) => parseFloat(getComputedStyle(one).fontSize))"
        assert min(page.evaluate(letters)) >= 16  # else the phone enlarges the page
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


@SIZES
def test_pictures_have_most_of_the_screen(url: str, size: tuple[int, int]):
    with open_phone(url, width=size[0], height=size[1]) as page:
        ready(page)
        page.locator('.tile[data-at="0"]').tap()
        box = page.locator("#stage").bounding_box()
        assert box["width"] * box["height"] >= 0.5 * size[0] * size[1]


@SIZES
def test_fingers_decide_nothing(url: str, filled: Project, size: tuple[int, int]):
    with open_phone(url, width=size[0], height=size[1]) as page:
        ready(page)
        page.locator('.tile[data-at="0"]').tap()
        page.locator("#one").wait_for()
        box = page.locator("#stage").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers, name = Fingers(page), page.locator("#one-name")
        assert name.inner_text() == f"{NAMES[0]}.png"
        fingers.spread((x, y), 40, 100)
        wait_until(lambda: page.evaluate("visualViewport.scale > 1.5"))
        fingers.drag((x + 80, y), (x - 80, y))  # enlarged: it moves what is seen
        assert name.inner_text() == f"{NAMES[0]}.png"
        fingers.spread((x, y), 100, 20)
        wait_until(lambda: page.evaluate("visualViewport.scale < 1.05"))
        fingers.drag((x + 80, y), (x - 80, y + 5))
        wait_until(lambda: name.inner_text() == f"{NAMES[1]}.png")
        fingers.drag((x, y - 60), (x + 5, y + 60))
        assert name.inner_text() == f"{NAMES[1]}.png"
        assert roles(filled) == {}
        page.locator(".choice", has_text="Out").tap()
        page.locator("#undo").tap()
        page.locator("#redo").tap()
        at_a_desk.settle(page)
        assert roles(filled) == {NAMES[1]: "out"}


def test_turning_the_screen_keeps_the_place(url: str):
    with open_phone(url) as page:
        ready(page)
        page.locator('.tile[data-at="5"]').tap()
        before = page.inner_text("#one-name")
        page.set_viewport_size({"width": 844, "height": 390})
        assert page.inner_text("#one-name") == before
        assert page.locator(".choice").first.bounding_box()["x"] > 600
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.locator(".choice").first.bounding_box()["y"] > 600


def test_back_goes_from_the_enlarged_picture_to_the_grid_and_then_leaves(url: str):
    with open_phone("about:blank") as page:
        page.goto(url)
        ready(page)
        page.locator('.tile[data-at="3"]').tap()
        page.locator("#one").wait_for()
        page.locator("#stage").tap()
        page.locator("#zoom").wait_for()
        page.evaluate("history.back()")
        page.locator("#zoom").wait_for(state="hidden")
        page.locator("#one").wait_for()
        page.evaluate("history.back()")
        page.locator('.tile[data-at="3"]').wait_for()
        wait_until(lambda: page.evaluate("history.state") is None)
        page.locator('.tile[data-at="4"]').tap()
        page.locator("#mode-grid").tap()  # by other means: no "back" is left over
        wait_until(lambda: page.evaluate("history.state") is None)
        page.go_back()
        assert page.url == "about:blank"
