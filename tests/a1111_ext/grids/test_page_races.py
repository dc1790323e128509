"""A person at the grid's page is faster than pictures and answers, and these come in any order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import kept_chromium, open_page
from held import Held, keep_on

from a1111_ext.grids.choice import EpochChoice
from a1111_ext.grids.page.share import GridShare
from a1111_ext.grids.page.votes import keep_votes, read_votes
from kohya_ext.project import Project
from kohya_ext.project.server import PageServer

from .test_page_browser import folder_of, project

__all__ = ("project",)
pytestmark = pytest.mark.browser
NOTHING = '{"votes": [], "choice": null}'
NEWS = "dispatchEvent(new Event('focus'))"


@pytest.fixture
def taken() -> list[EpochChoice]:
    return []


@pytest.fixture
def url(project: Project, taken: list[EpochChoice]) -> Iterator[str]:
    share = GridShare(project.root, lambda choice, _: taken.append(choice))
    with PageServer() as server:
        yield server.url_of(share, f"grids/{folder_of(project).name}/grid.html")
    keep_votes(file_of(project), NOTHING)


@pytest.fixture
def page(url: str) -> Iterator[Any]:
    with open_page(url) as opened:
        opened.locator(".cell img").first.wait_for()
        yield opened


@pytest.fixture
def troubled(url: str) -> Iterator[Any]:
    """A page whose requests may fail."""
    context = kept_chromium().new_context()
    opened = context.new_page()
    opened.goto(url)
    opened.locator(".cell img").first.wait_for()
    yield opened
    context.close()


def file_of(project: Project) -> Path:
    return folder_of(project) / "grid.html"


def kept(project: Project) -> dict[str, Any]:
    return read_votes(file_of(project).parent)


def votes(project: Project) -> int:
    return len(kept(project)["votes"])


def told(page: Any, count: int) -> None:
    """Wait until the page tells of so many votes, of a pair that is seen."""
    page.locator("#vote .progress", has_text=re.compile(f"^{count} of")).wait_for()
    page.wait_for_selector("#vote .pair img.late", state="detached")


HOLD = """() => {
  const own = HTMLImageElement.prototype.decode, held = [];
  HTMLImageElement.prototype.decode = function () {
    return new Promise((done) => held.push(() => own.call(this).then(done)));
  };
  window.letPicturesThrough = () => {
    HTMLImageElement.prototype.decode = own;
    held.forEach((one) => one());
  };
}"""


def hold_pictures(page: Any) -> Callable[[], None]:
    """Have no picture ready to be seen until what is returned is called.

    Requests cannot be held for that: of some pictures the page has the file already.
    """
    page.evaluate(HOLD)
    return lambda: page.evaluate("letPicturesThrough()")


def opacity(page: Any, selector: str) -> str:
    """Return what it comes to, whether or not a busy machine draws the frames on the way there."""
    at_once = "one => { one.style.transition = 'none'; return getComputedStyle(one).opacity; }"
    return str(page.locator(selector).evaluate(at_once))


# -- what is seen -------------------------------------------------------------------------------


def test_no_vote_is_cast_on_a_pair_that_is_not_seen_yet(page: Any, project: Project):
    page.click("#vote-button")
    told(page, 0)
    let_through = hold_pictures(page)
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    keep_on(page, lambda: votes(project) == 1)
    assert page.inner_text("#vote .progress").startswith("1 of")
    keep_on(page, lambda: opacity(page, "#vote .pair button:nth-child(1) img") == "0")
    let_through()
    told(page, 1)
    page.keyboard.press("ArrowLeft")
    keep_on(page, lambda: votes(project) == 2)


def test_a_key_that_is_held_votes_once(page: Any, project: Project):
    page.click("#vote-button")
    told(page, 0)
    for _ in range(4):
        page.keyboard.down("ArrowLeft")
        page.wait_for_timeout(60)
    page.keyboard.up("ArrowLeft")
    keep_on(page, lambda: votes(project) == 1)
    assert page.inner_text("#vote .progress").startswith("1 of")


def test_a_picture_is_not_seen_under_the_name_of_the_next(page: Any, project: Project):
    page.locator(".cell").nth(9).click()
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer .stage img:not(.late)")
    let_through = hold_pictures(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    keep_on(page, lambda: opacity(page, "#viewer .stage img") == "0")
    assert page.locator("#choice").is_hidden()
    let_through()
    page.wait_for_selector("#viewer .stage img:not(.late)")
    page.keyboard.press("p")
    page.wait_for_selector("#choice:not(.hidden)", state="attached")


def test_swapped_pictures_are_not_seen_under_each_others_names(page: Any):
    for number in (8, 9):
        page.locator(".cell").nth(number).click(modifiers=["Shift"])
    page.click("#compare-button")
    page.wait_for_selector("#compare img.b:not(.late)")
    let_through = hold_pictures(page)
    page.click('#compare [data-do="swap"]')
    for side in "ab":
        keep_on(page, lambda side=side: opacity(page, f"#compare img.{side}") == "0")
    let_through()
    page.wait_for_selector("#compare img.late", state="detached")


# -- votes --------------------------------------------------------------------------------------


def vote(page: Any, count: int) -> None:
    for number in range(count):
        told(page, number)
        page.keyboard.press("ArrowLeft")


def test_a_vote_that_failed_after_another_is_sent_again(troubled: Any, project: Project):
    page, sent = troubled, []
    page.click("#vote-button")
    page.route("**/grid.html", lambda route: sent.append(route))
    vote(page, 2)
    keep_on(page, lambda: len(sent) == 1)
    sent[0].continue_()
    keep_on(page, lambda: len(sent) == 2)
    assert votes(project) == 1
    sent[1].abort()
    page.wait_for_selector("#toast >> text=Not saved yet")
    page.unroute("**/grid.html")
    page.evaluate(NEWS)
    keep_on(page, lambda: votes(project) == 2)


def test_votes_do_not_wait_for_news(page: Any, project: Project):
    held = Held(page, "**/votes", answered=True)
    page.evaluate(NEWS)
    held.wait()
    page.click("#vote-button")
    vote(page, 2)
    keep_on(page, lambda: votes(project) == 2)
    held.end()
    page.wait_for_timeout(50)
    assert page.inner_text("#vote .progress").startswith("2 of")
    page.evaluate(NEWS)
    page.keyboard.press("ArrowLeft")
    keep_on(page, lambda: votes(project) == 3)


def test_the_last_vote_is_sent_when_the_page_is_left(page: Any, project: Project):
    page.click("#vote-button")
    held = Held(page, "**/grid.html")
    vote(page, 2)
    told(page, 2)
    held.wait()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    held.release(1)
    keep_on(page, lambda: votes(project) == 2)
    held.end()


def test_votes_on_pictures_that_an_older_page_lacks_stay(page: Any, project: Project):
    grown = {"left": "e" * 64, "right": "f" * 64, "answer": "left"}
    page.click("#vote-button")
    told(page, 0)
    keep_votes(file_of(project), json.dumps({"votes": [grown], "choice": None}))
    with page.expect_response("**/votes"):
        page.evaluate(NEWS)
    page.wait_for_timeout(50)
    page.keyboard.press("ArrowLeft")
    keep_on(page, lambda: votes(project) > 1 or kept(project)["votes"] != [grown])
    assert grown in kept(project)["votes"]


def test_undo_takes_back_nobody_elses_vote(page: Any, project: Project):
    page.click("#vote-button")
    vote(page, 1)
    keep_on(page, lambda: votes(project) == 1)
    (own,) = kept(project)["votes"]
    cells = page.evaluate("JSON.parse(document.getElementById('data').textContent).cells")
    keys = [one["key"] for one in cells if one["key"] not in (own["left"], own["right"])]
    other = {"left": keys[0], "right": keys[1], "answer": "right"}
    keep_votes(file_of(project), json.dumps({"votes": [other], "choice": None}))
    with page.expect_response("**/votes"):
        page.evaluate(NEWS)
    page.wait_for_timeout(50)
    for _ in range(2):
        page.click('#vote [data-do="undo"]')
    page.wait_for_timeout(200)
    assert kept(project)["votes"] == [other]


def test_two_windows_of_one_browser_add_up(project: Project):
    context = kept_chromium().new_context()
    windows = [context.new_page() for _ in range(2)]
    for one in windows:
        one.goto(file_of(project).as_uri())
        one.click("#vote-button")
        told(one, 0)
    windows[0].keyboard.press("ArrowLeft")
    told(windows[0], 1)
    told(windows[1], 1)
    windows[1].keyboard.press("ArrowLeft")
    for one in windows:
        told(one, 2)
    context.close()


# -- the choice ---------------------------------------------------------------------------------


def choose(page: Any, number: int) -> None:
    page.locator(".cell").nth(number).click()
    page.keyboard.press("p")


def test_the_last_of_two_saved_choices_holds(page: Any, taken: list[EpochChoice]):
    choose(page, 9)
    held = Held(page, "**/choice")
    page.click("#choice-save")
    held.wait()
    choose(page, 17)
    page.click("#choice-save")
    page.wait_for_timeout(100)
    held.end(newest_first=True)
    keep_on(page, lambda: len(taken) == 2)
    assert page.inner_text("#choice-text") == f"Chosen: {taken[-1].epoch}"


def test_a_growing_page_waits_for_what_is_unsaved_or_typed(page: Any, project: Project):
    news = "loraloomLive({ revision: 'newer', status: 'drawing' })"
    live = '"live":{"file":"live.js","every":60000,"status":"drawing"}'
    content = page.request.get(page.url).text().replace('"live":null', live)
    page.route(
        "**/grid.html",
        lambda route: (
            route.fulfill(body=content, content_type="text/html")
            if route.request.method == "GET"
            else route.fallback()
        ),
    )
    page.reload()
    page.evaluate("window.isSame = true")
    choose(page, 9)
    page.fill("#promote-name", "half a na")
    page.evaluate(news)
    page.wait_for_timeout(100)
    assert page.evaluate("window.isSame") is True
    page.locator("#title").click()
    page.evaluate("document.activeElement.blur()")
    with page.expect_navigation():
        page.evaluate(news)
    assert page.input_value("#promote-name") == "half a na"
    assert kept(project)["choice"]
