"""The desk beside the board: it draws, upscales what is kept, selects, publishes, and resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import pytest
from chromium import open_page
from PIL import Image
from promotions import promote_epoch, with_manifest
from until import wait_until

from a1111_ext.cells.ledger import Ledger
from a1111_ext.cli.drawing import drawing_over_http
from a1111_ext.publish.content import read_decision
from a1111_ext.publish.material import gather
from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.desk import CONTENT, DRAW, PUBLISH, SELECT, UPSCALE, DrawingDesk
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import Review, write_review
from a1111_ext.showcase.selection import read_selection
from a1111_ext.showcase.showcase_view import ShowcaseView
from a1111_ext.showcase.upscale_queue import wanted_upscales
from a1111_ext.showcase.upscaling import UpscaleRequest, plan_upscales
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.content import ContentLevel
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.decisions.board_view import STOP
from kohya_ext.project.server import PageRequest, PageServer

MANIFEST = """
showcase:
  template: "${framing={headshot|full body|close range}}{lora} photo of {trigger}, ${framing}"
  checkpoints: [simulated-a, simulated-b]
  count: 3
  picture: {width: 64, height: 72, steps: 2}
"""


@pytest.fixture
def ready(project: Project) -> Project:
    promote_epoch(project)
    return with_manifest(project, MANIFEST)


class Notes:
    """What is to be resumed, as the host keeps it."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def __call__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def desk(ready: Project, webui: SimulatedWebui, notes: Notes) -> Iterator[DrawingDesk]:
    made = DrawingDesk(ready, drawing_over_http(ready, (webui.url,), "", None), note=notes)
    yield made
    made.close()


def drawn(desk: DrawingDesk) -> None:
    assert desk.act(DRAW) == "Drawing has started."
    wait_until(lambda: DRAW not in desk.status().running)


def test_a_showcase_is_drawn_from_the_page(desk: DrawingDesk, ready: Project, notes: Notes):
    drawn(desk)
    status = desk.status()
    assert (status.text, status.done, status.is_alarm) == ("6 pictures are drawn", 6, False)
    assert len(read_album(ready)) == 6
    assert notes.names == ()


def test_a_second_draw_does_not_stop_the_first(
    desk: DrawingDesk, ready: Project, webui: SimulatedWebui, notes: Notes
):
    """As after a restart, when the host resumes drawing before anybody presses the button."""
    webui.host.seconds_per_picture = 0.5
    assert desk.act(DRAW) == "Drawing has started."
    assert desk.act(DRAW) == "Drawing is in progress."
    assert (desk.status().running, notes.names) == ((DRAW,), (DRAW,))
    assert desk.act(DRAW, STOP) == "Drawing is stopping; finished pictures are kept."
    assert notes.names == ()
    webui.host.seconds_per_picture = 0
    wait_until(lambda: DRAW not in desk.status().running)
    assert desk.act(DRAW, STOP) == "Drawing is stopping; finished pictures are kept."
    drawn(desk)
    assert len(read_album(ready)) == 6


ONLY_TRAINING = """
subject:
  kind: person
  consent: {name: "Ida Brook", date: "2026-02-28", scope: training}
"""


def test_a_person_who_agreed_to_no_pictures_is_not_drawn(desk: DrawingDesk, ready: Project):
    """Nor upscaled; the manifest counts as it is now, not as the board found it."""
    drawn(desk)
    (first, *_), before = read_album(ready), len(read_album(ready))
    narrowed = with_manifest(ready, ONLY_TRAINING, section="subject")
    with pytest.raises(ToolError, match=r"does not include pictures.*LL220"):
        desk.act(DRAW)
    with (
        Ledger(narrowed.cells_db, narrowed.cells_dir) as ledger,
        pytest.raises(ToolError, match=r"does not include pictures.*LL220"),
    ):
        plan_upscales(narrowed, [first], ledger, UpscaleRequest())
    assert len(read_album(ready)) == before


def test_kept_pictures_are_upscaled_at_once(
    desk: DrawingDesk, ready: Project, webui: SimulatedWebui, notes: Notes
):
    drawn(desk)
    small = read_album(ready)
    assert desk.act(UPSCALE) == "Kept pictures are now upscaled."
    assert notes.names == (UPSCALE,)
    write_review(ready, Review({small[0].file: Rating.SHOWCASE, small[1].file: Rating.DROP}))
    wait_until(lambda: len(read_album(ready)) == 7)
    write_review(ready, Review({small[4].file: Rating.FOLLOW_UP}, (small[4].file,)))
    wait_until(lambda: len(read_album(ready)) == 8)
    large = read_album(ready)[6:]
    assert [one.upscaled_from for one in large] == [small[0].file, small[4].file]
    assert [one.checkpoint for one in large] == [small[0].checkpoint, small[4].checkpoint]
    wait_until(lambda: "2 done, waiting" in desk.status().text)
    assert desk.act(UPSCALE, STOP) == "Upscaling is stopped."
    assert (notes.names, desk.status().running) == ((), ())


def test_what_cannot_be_upscaled_stops_no_other(desk: DrawingDesk, ready: Project):
    drawn(desk)
    first, *_, last = read_album(ready)
    hand = ready.showcase_dir / "bare.png"

    Image.effect_noise((64, 72), 90).convert("RGB").save(hand)
    write_review(ready, Review(dict.fromkeys((hand.name, last.file), Rating.SHOWCASE)))
    desk.act(UPSCALE)
    wait_until(lambda: any(one.upscaled_from == last.file for one in read_album(ready)))
    assert first.file not in {one.upscaled_from for one in read_album(ready)}


def test_the_post_is_selected_and_packed(desk: DrawingDesk, ready: Project):
    drawn(desk)
    first, second, *_ = read_album(ready)
    write_review(ready, Review(dict.fromkeys((first.file, second.file), Rating.SHOWCASE)))
    assert desk.act(SELECT) == "Selected: 2 pictures (4 not rated 1)."
    assert {one.file for one in read_selection(ready)} == {first.file, second.file}
    desk.act(PUBLISH)
    wait_until(lambda: PUBLISH not in desk.status().running)
    text = desk.status().text
    assert "checklist.html" in text or "[LL" in text


def test_content_is_decided_on_the_page_and_the_pack_outlives_the_host(
    desk: DrawingDesk, ready: Project, webui: SimulatedWebui, notes: Notes
):
    with_manifest(ready, MANIFEST.replace("${framing}", "${framing}, nude"))
    drawn(desk)
    desk.act(SELECT)
    desk.act(PUBLISH)
    wait_until(lambda: PUBLISH not in desk.status().running)
    assert "LL670" in desk.status().text
    with pytest.raises(ValueError, match="kind of"):
        desk.act(CONTENT, "kind of")
    assert "pictures are explicit, as you decided." in desk.act(CONTENT, "explicit")
    desk.act(PUBLISH)
    assert notes.names == (PUBLISH,)
    wait_until(lambda: PUBLISH not in desk.status().running)
    assert notes.names == ()
    made = desk.status().text.partition("made: ")[2].partition(" lists")[0]
    later = DrawingDesk(ready, drawing_over_http(ready, (webui.url,), "", None))
    assert later.status().text.endswith(made)


def test_a_pack_that_was_cut_off_is_made(desk: DrawingDesk, ready: Project, notes: Notes):
    drawn(desk)
    desk.act(SELECT)
    desk.resume([PUBLISH])
    wait_until(lambda: "the pack is made" in desk.status().text)


def test_what_was_cut_off_continues(
    ready: Project, webui: SimulatedWebui, desk: DrawingDesk, notes: Notes
):
    desk.resume([DRAW, "format-the-disk"])
    wait_until(lambda: len(read_album(ready)) == 6)
    wait_until(lambda: notes.names == ())


def test_errors_are_reported_on_the_page(project: Project, webui: SimulatedWebui):
    desk = DrawingDesk(project, drawing_over_http(project, (webui.url,), "", None))
    with pytest.raises(ToolError, match="LL604"):
        desk.act(DRAW)
    share = BoardShare(ShowcaseView(project, desk))
    with pytest.raises(ToolError, match="LL604"):
        share.answer(PageRequest("act/upscale", {}, b"{}", "application/json"))
    state = json.loads(share.answer(PageRequest("state.json")).body)
    assert [one["name"] for one in state["actions"]] == [DRAW, UPSCALE, SELECT, CONTENT, PUBLISH]
    share.close()


def test_a_missing_checkpoint_ends_the_drawing(desk: DrawingDesk, ready: Project):
    path = ready.manifest_path
    text = path.read_text(encoding="utf-8").replace("simulated-b", "gone")
    path.write_text(text, encoding="utf-8")  # read again when it is needed
    drawn(desk)
    assert desk.status().is_alarm
    assert 'no checkpoint "gone"' in desk.status().text


def test_only_small_ones_without_a_large_one_are_wanted(desk: DrawingDesk, ready: Project):
    drawn(desk)
    album = read_album(ready)
    review = Review({album[0].file: Rating.SHOWCASE}, (album[1].file, "gone.png"))
    assert wanted_upscales(album, review) == [album[0], album[1]]
    assert wanted_upscales(album, review, takes_kept=False) == [album[1]]


@pytest.mark.browser
def test_the_page_offers_the_categories_of_content(desk: DrawingDesk, ready: Project):
    drawn(desk)
    desk.act(SELECT)
    share = BoardShare(ShowcaseView(ready, desk))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME), width=390) as page:
        page.wait_for_selector("body[data-ready]")
        page.select_option("#actions select[aria-label=Content]", "sensitive")
        page.wait_for_selector("text=pictures are sensitive, as you decided")
        assert page.input_value("#actions select") == ""
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        if folder := os.environ.get("LORALOOM_SHOTS"):
            page.screenshot(path=f"{folder}/content-390.png")
    share.close()
    project = open_project(ready.root)
    assert read_decision(project, gather(project).every_picture) is ContentLevel.SENSITIVE
