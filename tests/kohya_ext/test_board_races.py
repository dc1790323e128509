"""A person at the board is faster than its pictures and answers, and these come in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import kept_chromium, look_at_pictures, open_page
from held import Held, keep_on

from kohya_ext.captions.desk import CaptionDesk
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.server import PageRequest, PageServer

from .test_board_page import NAMES, filled, first_filled, ready, roles

__all__ = ("filled", "first_filled")
pytestmark = pytest.mark.browser
NEWS = "document.dispatchEvent(new Event('visibilitychange'))"
CURSOR = ".tile.cursor:visible canvas"
WIDTH = "one => one.width"


@pytest.fixture
def share(filled: Project) -> Iterator[BoardShare]:
    made = BoardShare(PicturesView(filled), lambda: CaptionDesk(filled))
    yield made
    made.close()


@pytest.fixture
def url(share: BoardShare) -> Iterator[str]:
    with PageServer() as server:
        yield server.url_of(share, PAGE_NAME)


@pytest.fixture
def page(url: str) -> Iterator[Any]:
    with open_page(url) as opened:
        yield ready(opened)


@pytest.fixture
def troubled(url: str) -> Iterator[Any]:
    """A page whose requests may fail."""
    context = kept_chromium().new_context()
    opened = context.new_page()
    opened.goto(url)
    yield ready(opened)
    context.close()


def judged(page: Any) -> str:
    return str(page.text_content("#judged")).split()[0]


# -- what is seen -------------------------------------------------------------------------------


def test_the_zoom_shows_what_the_keys_decide_on(page: Any):
    def zoomed() -> Any:
        return page.get_attribute("#zoom-picture", "aria-label")

    page.keyboard.press("Enter")
    look_at_pictures(page)
    page.keyboard.press(" ")
    keep_on(page, lambda: page.locator("#zoom-picture").evaluate(WIDTH) > 1)
    page.keyboard.press("1")
    assert zoomed() == page.text_content("#one-name") == "fox 01.png"
    page.keyboard.press("Control+z")
    page.wait_for_selector("#said >> text=Undone")
    assert zoomed() == page.text_content("#one-name") == "fox 00.png"
    page.keyboard.press("End")
    assert zoomed() == page.text_content("#one-name") == "fox 39.png"


@pytest.mark.parametrize("view", ["Enter", "v"])
def test_a_picture_that_is_not_seen_yet_is_not_decided_on(page: Any, filled: Project, view: str):
    held = [Held(page, pattern) for pattern in ("**/thumb/*", "**/large/*")]
    page.keyboard.press(view)
    for pressed in ("1", "2"):
        page.keyboard.press(pressed)
    assert judged(page) == "0"
    assert page.text_content("#said") == "fox 00.png is still loading: nothing is decided."
    for one in held:
        one.end()
    look_at_pictures(page)
    page.keyboard.press("2")
    keep_on(page, lambda: roles(filled) == {NAMES[0]: "supporting"})


def test_the_zoom_does_not_show_the_picture_before(page: Any, filled: Project):
    page.keyboard.press("Enter")
    look_at_pictures(page)
    page.keyboard.press(" ")
    keep_on(page, lambda: page.locator("#zoom-picture").evaluate(WIDTH) > 1)
    held = Held(page, "**/picture/*")
    for pressed in ("1", "0"):
        page.keyboard.press(pressed)
    assert page.locator("#zoom-picture").evaluate(WIDTH) == 1
    keep_on(page, lambda: roles(filled) == {NAMES[0]: "primary"})
    keep_on(page, lambda: judged(page) == "1")
    held.end()


def test_a_key_that_is_held_decides_once(page: Any, filled: Project):
    for _ in range(3):
        page.keyboard.down("1")
    page.keyboard.up("1")
    page.keyboard.press("2")
    keep_on(page, lambda: roles(filled) == {NAMES[0]: "primary", NAMES[1]: "supporting"})
    assert judged(page) == "2"


def test_a_filter_leaves_what_is_decided_on_in_sight(page: Any):
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("v")
    page.fill("#filter-name", "fox 3")
    names = [one.get_attribute("aria-label") for one in page.locator("#compare canvas").all()]
    assert names == ["fox 30.png", "fox 31.png"]
    assert page.locator("#compare figure.cursor").count() == 1
    page.fill("#filter-name", "fox 35")
    assert page.locator("#compare figure.cursor canvas").get_attribute("aria-label") == "fox 35.png"


def test_pictures_that_failed_come_with_the_server(troubled: Any):
    page = troubled
    page.route("**/thumb/*", lambda route: route.abort())
    page.keyboard.press("End")
    last = page.locator(CURSOR)
    page.wait_for_timeout(200)
    assert last.evaluate(WIDTH) == 1
    page.unroute("**/thumb/*")
    page.evaluate(NEWS)
    keep_on(page, lambda: last.evaluate(WIDTH) > 1)


# -- decisions ----------------------------------------------------------------------------------


def test_a_late_undo_does_not_call_the_person_back(page: Any):
    page.keyboard.press("1")
    held = Held(page, "**/undo")
    page.keyboard.press("Control+z")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    held.release()
    page.wait_for_selector("#said >> text=Undone")
    assert page.get_attribute(CURSOR, "aria-label") == "fox 04.png"
    page.keyboard.press("1")
    page.keyboard.press("Control+z")
    held.release()
    page.wait_for_selector(f"{CURSOR}[aria-label='fox 04.png']")


def test_an_undo_is_seen_while_another_decision_waits(page: Any, filled: Project):
    page.keyboard.press("1")
    keep_on(page, lambda: bool(roles(filled)))
    undone, decided = Held(page, "**/undo"), Held(page, "**/decide")
    page.keyboard.press("Control+z")
    page.keyboard.press("2")
    undone.release()
    decided.wait()
    assert page.locator(".tile[data-at='0'] .mark").is_hidden()
    assert page.locator(".tile[data-at='1'] .mark").inner_text() == "Supporting"
    decided.release()
    keep_on(page, lambda: roles(filled) == {NAMES[1]: "supporting"})


def test_a_refusal_does_not_hide_what_waits(troubled: Any, filled: Project):
    page = troubled
    refused: list[Any] = []
    held = Held(page, "**/state.json")
    page.route("**/decide", lambda route: refused.append(route))
    for pressed in ("1", "2"):
        page.keyboard.press(pressed)
    keep_on(page, lambda: len(refused) == 1)
    refused[0].fulfill(status=400, body="The disk is full.")
    held.wait()
    page.keyboard.press("0")
    held.release()
    page.wait_for_selector("#said.alarm >> text=The disk is full.")
    assert judged(page) == "2"
    page.unroute("**/decide")
    keep_on(page, lambda: len(refused) == 2)
    refused[1].continue_()
    keep_on(page, lambda: roles(filled) == {NAMES[1]: "supporting", NAMES[2]: "out"})


def test_an_undo_before_the_page_is_there_takes_the_place_of_no_decision(
    troubled: Any, filled: Project
):
    page = troubled
    page.route("**/decide", lambda route: route.abort())
    for pressed in ("1", "2"):
        page.keyboard.press(pressed)
    page.wait_for_selector("#cut:visible")
    page.unroute("**/decide")
    state, undo = Held(page, "**/state.json"), Held(page, "**/undo")
    page.reload(wait_until="commit")
    state.wait()
    page.click("#undo")
    page.wait_for_timeout(100)
    state.release()
    ready(page)
    undo.release()
    keep_on(page, lambda: roles(filled) == {NAMES[0]: "primary"})
    keep_on(page, lambda: judged(page) == "1")


# -- captions and tags --------------------------------------------------------------------------


def send(share: BoardShare, path: str, **body: Any) -> Any:
    content = json.dumps(body).encode("utf-8")
    return json.loads(share.answer(PageRequest(path, {}, content, "application/json")).body)


def open_captions(page: Any) -> None:
    page.keyboard.press("c")
    page.wait_for_selector("#text:enabled")


def test_what_is_typed_while_a_caption_is_saved_stays(page: Any):
    open_captions(page)
    page.fill("#text", "a fox")
    held = Held(page, "**/captions/apply")
    page.click("#text-save")
    page.fill("#text", "a fox in the rain")
    held.release()
    page.wait_for_selector("#said >> text=caption saved")
    assert page.input_value("#text") == "a fox in the rain"
    page.click("#text-reset")
    held.release()
    keep_on(page, lambda: page.input_value("#text") == "photo of Quillfox, solo")


def test_captions_that_come_late_are_not_older_than_news(page: Any, share: BoardShare):
    held = Held(page, "**/captions.json", answered=True)
    page.reload()
    ready(page)
    held.wait()
    key = share.view.items()[0].key
    send(share, "captions/apply", keys=[key], change={"op": "text", "text": "by another window"})
    with page.expect_response("**/changes.json*"):
        page.evaluate(NEWS)
    held.release()
    open_captions(page)
    assert page.input_value("#text") == "by another window"


def test_captions_that_fail_once_are_asked_for_again(troubled: Any):
    page = troubled
    page.route("**/captions.json", lambda route: route.abort())
    page.reload()
    ready(page)
    page.wait_for_timeout(100)
    page.unroute("**/captions.json")
    page.evaluate(NEWS)
    page.click("#captions-open", timeout=3000)
    page.wait_for_selector("#text:enabled")


def test_only_what_was_previewed_is_applied(page: Any):
    open_captions(page)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.fill("#op-tags", "snow")
    held = Held(page, "**/captions/preview")
    page.click("#op-preview")
    page.fill("#op-tags", "fog")
    held.release()
    page.wait_for_timeout(100)
    assert page.is_disabled("#op-apply")
    page.click("#op-preview")
    held.release()
    page.wait_for_selector("#op-apply:enabled")
    page.click(".tile[data-at='4']", modifiers=["Control"])
    assert page.is_disabled("#op-apply")


def test_a_change_of_many_is_applied_once(page: Any):
    open_captions(page)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.fill("#op-tags", "snow")
    page.click("#op-preview")
    page.wait_for_selector("#op-apply:enabled")
    held = Held(page, "**/captions/apply")
    page.click("#op-apply")
    page.evaluate("document.querySelector('#op-apply').click()")
    held.end()
    page.wait_for_selector("#said >> text=3 captions changed")
    page.wait_for_timeout(100)
    assert "3 captions" in page.inner_text("#said")


def test_completions_are_those_of_what_is_typed(page: Any):
    open_captions(page)
    held = Held(page, "**/complete.json*")
    page.fill("#add-tag", "ra")
    held.wait()
    page.fill("#add-tag", "so")
    held.wait(2)
    held.release(1)
    page.wait_for_timeout(50)
    held.release()
    page.wait_for_timeout(150)
    assert page.locator("#tags option").first.get_attribute("value").startswith("so")


def test_the_presets_that_are_applied_are_those_that_are_shown(page: Any):
    page.click("#tags-open")
    page.wait_for_selector("#fates-rows .fate")
    presets = [one.get_attribute("value") for one in page.locator("#fates-preset option").all()]
    page.select_option("#fates-preset", presets[1])
    held = Held(page, "**/tags/preview")
    page.evaluate("document.querySelector('#fates-preview').click()")
    page.wait_for_timeout(50)
    page.select_option("#fates-preset", presets[2])
    held.end()
    page.wait_for_timeout(100)
    assert page.is_disabled("#fates-apply")


def test_tags_show_the_latest_of_two_decisions(page: Any):
    page.click("#tags-open")
    row = page.locator(".fate[data-tag='rain'] .pair button:nth-child(2)")
    row.wait_for()
    held = Held(page, "**/tags.json", answered=True)
    row.click()
    held.wait(1)
    page.locator(".fate[data-tag='solo'] .pair button:nth-child(2)").click()
    held.wait(2)
    held.release(1)
    page.wait_for_timeout(50)
    held.release()
    page.wait_for_timeout(150)
    for tag in ("rain", "solo"):
        pressed = page.locator(f".fate[data-tag='{tag}'] .pair button[aria-pressed='true']")
        assert "in " in pressed.inner_text()
