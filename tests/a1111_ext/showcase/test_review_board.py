"""The showcase on the board: what it tells, what is decided there, and in a browser by keys."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from chromium import kept_chromium, look_at_pictures, open_page
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from showcase_board import FRAMINGS, ask, draw, keep_up, key, ready, send
from until import wait_until

from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import Review, read_review, write_review
from a1111_ext.showcase.showcase_view import ShowcaseView
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.server import PageRequest, PageServer

# -- what it tells ------------------------------------------------------------------------------


def test_the_state_holds_no_prompts(share: BoardShare):
    state = ask(share, "state.json")
    assert [one["value"] for one in state["choices"]] == ["1", "2", "5", "drop"]
    assert [one["key"] for one in state["marks"]] == ["u"]
    assert state["facets"] == ["Checkpoint", "Template", "Picture"]
    row = state["items"][1]
    assert row[:2] == [key(1), "fox-0001.png"]
    assert row[8:] == [["model-b", "prompt 1", "drawn"], ["light: night"], ""]
    assert "a fox" not in json.dumps(state)
    facts = dict(ask(share, "facts.json", key=key(1)))
    assert (facts["Prompt"], facts["light"]) == ("a fox", "night (showcase.template)")
    assert ask(share, "facts.json", key="gone") == []


def test_a_batch_sends_only_what_is_new(share: BoardShare, drawn: Project):
    facts = str(ask(share, "state.json")["facts"])
    assert ask(share, "changes.json", since="0", facts=facts)["items"] == []
    draw(drawn, 8)
    answer = ask(share, "changes.json", since="0", facts=facts)
    assert [row[1] for row in answer["items"]] == ["fox-0008.png"]
    again = ask(share, "changes.json", since="0", facts=str(answer["facts"]))
    assert again["items"] == []


def test_thumbnails_are_made_beside_the_page(share: BoardShare, drawn: Project):
    ask(share, "state.json")
    thumbs = drawn.cache_dir / "thumbs"
    wait_until(lambda: len(list(thumbs.glob("*/*.jpg"))) == 8)
    answer = share.answer(PageRequest(f"thumb/{key(3)}"))
    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    draw(drawn, 8)
    ask(share, "changes.json", since="0", facts="1")
    wait_until(lambda: len(list(thumbs.glob("*/*.jpg"))) == 9)


def test_a_picture_by_hand_is_shown_as_an_equal(share: BoardShare, drawn: Project):
    text = PngInfo()
    text.add_text("parameters", "a fox, close up\nSteps: 2, Seed: 77, Model: mine")
    for name in ("by hand.png", "copy of it.png"):
        Image.new("RGB", (40, 30)).save(drawn.showcase_dir / name, pnginfo=text)
    rows = {row[1]: row for row in ask(share, "state.json")["items"]}
    own = rows["by hand.png"]
    assert own[8] == ["mine", "none", "by hand"]
    assert own[0] != rows["copy of it.png"][0]
    send(share, "decide", keys=[own[0]], value="1")
    assert read_review(drawn).ratings == {"by hand.png": Rating.SHOWCASE}


@pytest.mark.parametrize("seed", ["²", "9" * 5000, "-", "1,5"])
def test_a_seed_that_is_not_a_number_costs_no_picture(share: BoardShare, drawn: Project, seed: str):
    text = PngInfo()
    text.add_text("parameters", f"a fox, close up\nSteps: 2, Seed: {seed}, Model: mine")
    Image.new("RGB", (40, 30)).save(drawn.showcase_dir / "by hand.png", pnginfo=text)
    assert "by hand.png" in [row[1] for row in ask(share, "state.json")["items"]]


# -- what is decided ----------------------------------------------------------------------------


def test_ratings_and_marks_are_the_reviews(share: BoardShare, drawn: Project):
    ask(share, "state.json")
    answer = send(share, "decide", keys=[key(0), key(1)], value="2")
    assert answer["values"] == {key(0): ["2", "review"], key(1): ["2", "review"]}
    answer = send(share, "mark", keys=[key(1)], mark="u", value=True)
    assert answer["marked"] == [{key(1): True}]
    review = read_review(drawn)
    assert review.ratings == dict.fromkeys(("fox-0000.png", "fox-0001.png"), Rating.FOLLOW_UP)
    assert review.upscale == ("fox-0001.png",)
    assert ask(share, "state.json")["marked"] == [[key(1)]]
    assert send(share, "undo")["marked"] == [{key(1): None}]
    assert read_review(drawn).upscale == ()
    with pytest.raises(ValueError, match="not a mark"):
        send(share, "mark", keys=[key(1)], mark="z", value=True)


def test_an_order_follows_the_ratings(share: BoardShare, drawn: Project):
    ask(share, "state.json")
    send(share, "decide", keys=[key(0), key(1), key(2)], value="1")
    assert read_review(drawn).order == ()
    answer = send(share, "order", keys=[key(2), key(0), key(1)])
    assert answer["order"] == [key(2), key(0), key(1)]
    send(share, "decide", keys=[key(5)], value="1")
    send(share, "decide", keys=[key(0)], value="drop")
    assert read_review(drawn).order == ("fox-0002.png", "fox-0001.png", "fox-0005.png")
    answer = send(share, "undo")
    assert answer["order"] == [key(2), key(0), key(1), key(5)]


def test_arranging_parts_equal_framings(share: BoardShare, drawn: Project):
    ask(share, "state.json")
    answer = send(share, "arrange", keys=[key(0), key(3), key(1), key(4)])
    framings = [FRAMINGS[int(one, 16) % 3] for one in answer["order"]]
    assert all(one != other for one, other in pairwise(framings))
    assert read_review(drawn).order == tuple(
        f"fox-{int(one, 16):04}.png" for one in answer["order"]
    )


def test_an_earlier_review_file_is_taken_over(drawn: Project):
    write_review(drawn, Review({"fox-0001.png": Rating.PLACED}))
    old = {"kind": "loraloom-review", "format": 1, "ratings": {"fox-0002.png": "1"}}
    path = drawn.showcase_dir / "review.json"
    path.write_text(json.dumps(old), encoding="utf-8")
    share = BoardShare(ShowcaseView(drawn))
    assert ask(share, "state.json")["values"] == {key(1): ["5", "review"], key(2): ["1", "review"]}
    assert not path.exists()
    share.close()


# -- in a browser -------------------------------------------------------------------------------


@pytest.mark.browser
def test_keys_rate_and_mark(url: str, drawn: Project):
    with open_page(url) as page:
        ready(page)
        for pressed in ("u", "1", "x", "2", "5"):
            page.keyboard.press(pressed)
        keep_up(page)
        review = read_review(drawn)
        assert [review.ratings[f"fox-{n:04}.png"].value for n in range(4)] == [
            "1",
            "drop",
            "2",
            "5",
        ]
        assert review.upscale == ("fox-0000.png",)
        page.keyboard.press("Control+z")
        keep_up(page)
        assert "fox-0003.png" not in read_review(drawn).ratings


@pytest.mark.browser
def test_new_pictures_move_nothing(url: str, drawn: Project):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("x")
        before = page.locator(".tile[data-at='5']").bounding_box()
        draw(drawn, 8)
        page.wait_for_selector(".tile[data-at='8'] canvas[aria-label='fox-0008.png']")
        assert page.locator(".tile[data-at='5']").bounding_box() == before
        assert page.get_attribute(".tile.cursor canvas", "aria-label") == "fox-0001.png"


@pytest.mark.browser
def test_pictures_are_filtered_by_what_made_them(url: str):
    with open_page(url) as page:
        ready(page)
        page.select_option("#facet-0", "model-b")
        assert page.text_content("#shown") == "4 shown"
        page.select_option("#filter-option", "light: dawn")
        assert page.text_content("#shown") == "0 shown"
        page.select_option("#facet-0", "")
        page.select_option("#filter-framing", "headshot")
        assert page.text_content("#shown") == "2 shown"
        page.select_option("#filter-option", "")
        page.select_option("#filter-framing", "")
        page.keyboard.press("1")
        page.select_option("#filter-value", "=1")
        assert page.text_content("#shown") == "1 shown"


@pytest.mark.browser
def test_two_and_four_are_compared(url: str, drawn: Project):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("v")
        shown = "[...document.querySelectorAll('#compare canvas')].map((one) => one.ariaLabel)"
        assert page.evaluate(shown) == ["fox-0000.png", "fox-0001.png"]
        look_at_pictures(page)
        page.keyboard.press("1")
        page.keyboard.press("x")
        assert page.evaluate(shown) == ["fox-0002.png", "fox-0003.png"]
        page.keyboard.press("f")
        assert page.locator("#compare figure").count() == 4
        page.keyboard.press("Escape")
        page.click(".tile[data-at='1']")
        page.click(".tile[data-at='6']", modifiers=["Control"])
        page.click(".tile[data-at='4']", modifiers=["Control"])
        page.keyboard.press("v")
        assert page.evaluate(shown) == ["fox-0004.png", "fox-0006.png"]
        page.click("#compare figure:nth-child(2)")
        look_at_pictures(page)
        page.keyboard.press("2")
        keep_up(page)
    ratings = {name: one.value for name, one in read_review(drawn).ratings.items()}
    assert ratings == {"fox-0000.png": "1", "fox-0001.png": "drop", "fox-0006.png": "2"}


@pytest.mark.browser
def test_the_order_is_made_on_the_page(url: str, drawn: Project):
    with open_page(url) as page:
        ready(page)
        for pressed in ("1", "x", "x", "1", "1"):
            page.keyboard.press(pressed)
        page.keyboard.press("o")
        assert page.locator("#strip li.alike").count() == 1
        assert "1 picture has the same framing as the one before" in page.inner_text("#order-note")
        page.click("#arrange")
        page.wait_for_selector("#strip li.alike", state="detached")
        page.click("#strip li:nth-child(2) button[aria-label='Move left']")
        keep_up(page)
    assert read_review(drawn).order[0] == "fox-0004.png"
    assert {one.file for one in read_album(drawn)} >= set(read_review(drawn).order)


@pytest.mark.browser
def test_one_thumb_rates_on_a_phone(url: str, drawn: Project, tmp_path: Path):
    with open_page(url, width=390, height=844) as page:
        ready(page)
        page.click('.tile[data-at="0"]')
        for button in page.query_selector_all(".choice"):
            box = button.bounding_box()
            assert box["height"] >= 44
            assert box["width"] >= 44
            assert box["y"] > 844 * 0.75
        for answer in ("Showcase", "Reject"):
            look_at_pictures(page)
            page.click(f".choice >> text={answer}")
        page.click("#mode-two")
        assert page.locator("#compare figure").count() == 2
        keep_up(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert [one.value for one in read_review(drawn).ratings.values()] == ["1", "drop"]


@pytest.mark.browser
def test_the_hit_rate_is_shown(url: str, drawn: Project):
    with open_page(url) as page:
        ready(page)
        for pressed in ("1", "x", "2", "x"):
            page.keyboard.press(pressed)
        keep_up(page)
        page.keyboard.press("h")
        page.wait_for_selector("#report[open] table")
        text = page.inner_text("#report-tables")
    assert "2 of 4\t50%\t15% to 85%" in text
    assert "model-a" in text
    assert "light: night" in text


@pytest.mark.browser
def test_the_better_version_is_taken_by_thumb(project: Project):
    for number in range(0, 6, 2):
        small = draw(project, number)
        draw(project, number + 1, detailed_from=small.file)
    share = BoardShare(ShowcaseView(project))
    shown = "[...document.querySelectorAll('#compare canvas')].map((one) => one.ariaLabel)"
    with PageServer() as server:
        context = kept_chromium().new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        page = context.new_page()
        page.goto(server.url_of(share, PAGE_NAME))
        ready(page)
        page.tap("#mode-two")
        page.tap("#compare figure:nth-child(2)")
        look_at_pictures(page)
        page.tap("#winner")
        assert page.evaluate(shown) == ["fox-0002.png", "fox-0003.png"]
        look_at_pictures(page)
        page.tap("#winner")
        keep_up(page)
        page.tap("#mode-one")
        page.tap("#stage")
        assert page.is_visible("#zoom")
        page.tap("#zoom")
        assert not page.is_visible("#zoom")
        context.close()
    ratings = {name: one.value for name, one in read_review(project).ratings.items()}
    assert ratings == {
        "fox-0000.png": "drop", "fox-0001.png": "1", "fox-0002.png": "1", "fox-0003.png": "drop"
    }  # fmt: skip
    share.close()
