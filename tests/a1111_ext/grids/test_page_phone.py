"""The grid's page on a phone: fingers enlarge, move and turn, and every button fits a thumb."""

from __future__ import annotations

import pytest
from chromium import Fingers, open_phone, too_small_for_a_thumb
from until import wait_until

from kohya_ext.project import Project

from .test_page_browser import folder_of, project

__all__ = ("project",)
pytestmark = pytest.mark.browser


def url_of(project: Project) -> str:
    return (folder_of(project) / "grid.html").as_uri()


SCALE = "parseInt(document.querySelector('#viewer .scale').textContent)"
TITLE = "document.querySelector('#viewer .title').textContent"
LEFT = "document.querySelector('#viewer .stage img').getBoundingClientRect().x"


def test_two_fingers_enlarge_and_one_moves_or_turns(project: Project):
    with open_phone(url_of(project)) as page:
        page.locator(".cell img").first.tap()
        page.locator("#details img").tap()
        wait_until(lambda: page.evaluate(f"{SCALE} > 0"))
        fingers, first, fitted = Fingers(page), page.evaluate(TITLE), page.evaluate(SCALE)
        fingers.spread((195, 500), 40, 120)
        wait_until(lambda: page.evaluate(f"Math.abs({SCALE} - {3 * fitted}) < 10"))
        left = page.evaluate(LEFT)
        fingers.drag((300, 500), (200, 500))  # enlarged: it moves the picture
        wait_until(lambda: page.evaluate(f"Math.abs({LEFT} - {left - 100}) < 2"))
        assert page.evaluate(TITLE) == first

        def fits_after_a_tap() -> bool:  # Chromium takes one just after a drag for a part of it
            page.locator('#viewer [data-do="fit"]').tap()
            page.wait_for_timeout(200)
            return bool(page.evaluate(f"{SCALE} === {fitted}"))

        wait_until(fits_after_a_tap)
        fingers.drag((300, 500), (100, 510))  # the whole picture is in sight: the next one
        wait_until(lambda: page.evaluate(TITLE) != first)
        wait_until(lambda: page.evaluate(f"{SCALE} === {fitted}"))
        fingers.drag((100, 500), (300, 510))
        wait_until(lambda: page.evaluate(TITLE) == first)
        wait_until(lambda: page.evaluate(f"{SCALE} === {fitted}"))
        fingers.drag((200, 400), (210, 600))
        wait_until(lambda: page.evaluate(f"{SCALE} === {fitted}"))
        assert page.evaluate(TITLE) == first


PRESSED = """document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));"""
SWIPED = """for (const [kind, x] of [["down", 300], ["move", 200], ["up", 100]])
  document.querySelector("#viewer .stage").dispatchEvent(new PointerEvent("pointer" + kind, {
    pointerId: 1, pointerType: "touch", isPrimary: true, clientX: x, clientY: 500 }));"""
HELD = "Element.prototype.setPointerCapture = () => {};"  # no real finger is down


@pytest.mark.parametrize("turned", [PRESSED, SWIPED], ids=["a key", "a finger"])
def test_turning_faster_than_pictures_load_skips_none(project: Project, turned: str):
    with open_phone(url_of(project)) as page:
        page.locator(".cell img").first.tap()
        page.locator("#details img").tap()
        wait_until(lambda: page.evaluate(f"{SCALE} > 0"))
        fitted, picture = page.evaluate(SCALE), page.locator("#viewer .stage img")
        slowly: list[tuple[str, str]] = []
        for _ in range(3):
            page.evaluate(f"() => {{ {HELD} {turned} }}")
            wait_until(lambda: bool(picture.evaluate("one => one.complete && one.naturalWidth")))
            slowly.append((page.evaluate(TITLE), picture.evaluate("one => one.src")))
        page.reload()
        page.locator(".cell img").first.tap()
        page.locator("#details img").tap()
        wait_until(lambda: page.evaluate(SCALE) == fitted)
        page.evaluate(f"() => {{ {HELD} {turned} {turned} {turned} }}")
        page.wait_for_timeout(500)  # what came too late would have been shown by now
        assert (page.evaluate(TITLE), picture.evaluate("one => one.src")) == slowly[-1]
        assert page.evaluate(SCALE) == fitted


@pytest.mark.parametrize("size", [(390, 844), (844, 390)], ids=["upright", "on its side"])
def test_every_button_fits_a_thumb(project: Project, size: tuple[int, int]):
    with open_phone(url_of(project), width=size[0], height=size[1]) as page:
        page.locator(".cell img").first.wait_for()
        assert too_small_for_a_thumb(page) == []
        page.locator("#filter-button").tap()
        assert too_small_for_a_thumb(page) == []
        page.locator("#filter-button").tap()
        for number in (0, 1):
            page.locator(".cell img").nth(number).tap()
            assert too_small_for_a_thumb(page) == []
            page.locator("#details button", has_text="Mark to compare").tap()
            page.locator("#details button", has_text="close").tap()
        page.locator("#compare-button").tap()
        assert too_small_for_a_thumb(page) == []
        page.locator('#compare [data-mode="flicker"]').tap()
        page.locator("#compare .stage").tap()  # it stops, and shows the other one
        shown = "document.querySelector('#compare img.b').style.visibility"
        before = page.evaluate(shown)
        page.wait_for_timeout(700)
        assert page.evaluate(shown) == before
        page.locator("#compare .stage").tap()
        assert page.evaluate(shown) != before
        page.locator('#compare [data-do="close"]').tap()
        page.locator("#vote-button").tap()
        assert too_small_for_a_thumb(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_back_closes_what_is_in_front_and_then_leaves(project: Project):
    with open_phone("about:blank") as page:
        page.goto(url_of(project))
        for button in ("#help-button", "#vote-button"):
            page.locator(button).tap()
            page.locator("dialog[open]").wait_for()
            page.evaluate("history.back()")
            page.locator("dialog[open]").wait_for(state="detached")
        page.locator(".cell img").first.tap()
        page.locator("#details img").tap()
        page.locator("#viewer").wait_for()
        page.evaluate("history.back()")
        page.locator("#viewer").wait_for(state="hidden")
        page.locator("#details img").tap()
        page.locator('#viewer [data-do="close"]').tap()  # by other means: no "back" is left over
        page.locator("#viewer").wait_for(state="hidden")
        wait_until(lambda: page.evaluate("history.state") is None)
        page.locator("#help-button").tap()
        page.reload()
        wait_until(lambda: page.evaluate("history.state") is None)
        assert page.url == url_of(project)
        page.go_back()
        assert page.url == "about:blank"


@pytest.mark.parametrize("size", [(390, 844), (844, 390)], ids=["upright", "on its side"])
def test_a_choice_is_seen_at_once_and_pictures_have_half_the_screen(
    project: Project, size: tuple[int, int]
):
    with open_phone(url_of(project), width=size[0], height=size[1]) as page:
        page.locator(".cell img").first.wait_for()
        top = page.evaluate("document.querySelector('main').getBoundingClientRect().top")
        assert top <= 0.5 * max(size)
        page.locator(".cell:has(img)").last.tap()
        page.locator("#details .primary").tap()
        page.locator("#choice-text", has_text="Chosen:").wait_for()
        for button in ("#choice-save", "#choice-clear"):
            box = page.locator(button).bounding_box()
            assert 0 <= box["y"] <= size[1] - box["height"], button
