"""What the showcase's board can start, and how it says what is in progress."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from chromium import open_page
from showcase_board import keep_up, ready, send

from a1111_ext.showcase.desk import ReviewDesk
from a1111_ext.showcase.review import read_review
from a1111_ext.showcase.showcase_view import ShowcaseView
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, Action, BoardShare
from kohya_ext.project.decisions.board_view import STOP, BoardStatus
from kohya_ext.project.server import PageServer


class OneButton(ReviewDesk):
    def actions(self) -> Sequence[Action]:
        return (Action("draw", "Draw"),)

    def act(self, name: str, choice: str = "") -> str:
        raise AssertionError("a page in the network has started something")


@pytest.mark.browser
def test_a_page_in_the_network_only_decides(drawn: Project):
    share = BoardShare(ShowcaseView(drawn, OneButton()), may_act=False)
    with pytest.raises(ValueError, match="look and decide"):
        send(share, "act/draw")
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        ready(page)
        assert page.locator("#actions button").count() == 0
        assert "Draw and publish on the project's machine" in page.inner_text("#note")
        page.keyboard.press("1")
        keep_up(page)
    assert len(read_review(drawn).ratings) == 1
    share.close()


class LastingButton(ReviewDesk):
    """A desk that draws until it is stopped."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def actions(self) -> Sequence[Action]:
        return (Action("draw", "Draw", stop_label="Stop drawing"),)

    def act(self, name: str, choice: str = "") -> str:
        self.asked.append(choice)
        return "Done."

    def status(self) -> BoardStatus:
        return BoardStatus(running=("draw",) if self.asked[-1:] == [""] else ())


@pytest.mark.browser
def test_a_button_says_what_it_does_next(drawn: Project):
    desk = LastingButton()
    share = BoardShare(ShowcaseView(drawn, desk))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        ready(page)
        for label in ("Draw", "Stop drawing", "Draw"):
            page.get_by_role("button", name=label, exact=True).click()
        page.get_by_role("button", name="Stop drawing").wait_for()
    assert desk.asked == ["", STOP, ""]
    share.close()


def test_odd_actions_are_refused(share: BoardShare):
    with pytest.raises(ValueError, match="not an action"):
        send(share, "act/format-the-disk")


class TalkativeDesk(ReviewDesk):
    """A desk that has much to say, and one button."""

    def actions(self) -> Sequence[Action]:
        return (Action("draw", "Draw"),)

    def status(self) -> BoardStatus:
        return BoardStatus("4 pictures are drawn; " * 8 + "the pack is made: /loras/fox/publish")


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_the_end_of_what_is_said_can_be_read(drawn: Project, width: int):
    """It stood on one line, cut off where the place of the pack follows."""
    share = BoardShare(ShowcaseView(drawn, TalkativeDesk()))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        page.set_viewport_size({"width": width, "height": 900})
        ready(page)
        text = page.locator("#status-text", has_text="the pack is made")
        text.wait_for()
        wide, shown = text.evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert wide <= shown
        assert text.evaluate("one => getComputedStyle(one).overflowY") == "auto"
    share.close()
