"""The board in a browser: judged by keys alone, captioned, undone, and the same after a reload."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import look_at_pictures, open_page
from PIL import Image

from kohya_ext.captions.desk import CaptionDesk
from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.files import sha256_of
from kohya_ext.project.server import PageServer
from kohya_ext.project.tagging import Scores, write_scores

pytestmark = pytest.mark.browser
NAMES = [f"fox {number:02}" for number in range(40)]


@pytest.fixture(scope="module")
def first_filled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """To be copied: forty pictures that are looked at for copies of each other take a second."""
    place = tmp_path_factory.mktemp("board")
    project = apply_init(plan_init(place / "my quillfox", "Quillfox"))
    folder = place / "collected"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        size = (60 + number, 40)
        Image.effect_noise((9, 7), 90).resize(size).convert("RGB").save(folder / f"{name}.png")
    apply_import(project, plan_import(project, folder))
    apply_layout(project, plan_layout(project))
    for path in project.images_dir.glob("*/*.png"):
        general = {"solo": 0.9, "rain": 0.9 if path.stem == NAMES[1] else 0.0}
        write_scores(project.scores_dir, Scores(sha256_of(path), "m", {}, general, {}))
    return project


@pytest.fixture
def filled(first_filled: Project, tmp_path: Path) -> Project:
    return open_project(shutil.copytree(first_filled.root, tmp_path / "my quillfox"))


@pytest.fixture
def url(filled: Project) -> Iterator[str]:
    share = BoardShare(PicturesView(filled), lambda: CaptionDesk(filled))
    with PageServer() as server:
        yield server.url_of(share, PAGE_NAME)
    share.close()


def roles(project: Project) -> dict[str, str]:
    names = {row.key: row.name for row in PicturesView(project).items()}
    with DecisionStore(project.reviews_db) as store:
        values = store.values(DecisionKind.ROLE)
    return {names[key].removesuffix(".png"): value for key, value in values.items()}


def ready(page: Any) -> Any:
    page.wait_for_selector("body[data-ready]")
    return page


def settle(page: Any) -> None:
    """Wait until the page has sent everything: its next request is answered after the others."""
    page.evaluate("() => fetch('changes.json?since=0').then((one) => one.text())")
    page.wait_for_timeout(300)


def test_keys_alone_judge_pictures(url: str, filled: Project):
    with open_page(url) as page:
        ready(page)
        for key in ("1", "2", "0", "ArrowRight", "1"):
            page.keyboard.press(key)
        assert page.text_content("#judged") == "4 of 40 judged"
        settle(page)
        assert roles(filled) == {
            NAMES[0]: "primary", NAMES[1]: "supporting", NAMES[2]: "out", NAMES[4]: "primary"
        }  # fmt: skip
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")
        settle(page)
        assert roles(filled) == {NAMES[0]: "primary", NAMES[1]: "supporting"}
        page.keyboard.press("Control+y")
        settle(page)
        page.reload()
        assert ready(page).text_content("#judged") == "3 of 40 judged"


def test_several_are_judged_at_once(url: str, filled: Project):
    with open_page(url) as page:
        ready(page)
        for _ in range(4):
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("0")
        settle(page)
        assert roles(filled) == dict.fromkeys(NAMES[:5], "out")
        page.select_option("#filter-value", "none")
        assert page.text_content("#shown") == "35 shown"
        page.keyboard.press("Control+a")
        page.keyboard.press("1")
        settle(page)
        assert len(roles(filled)) == 40
        page.keyboard.press("Control+z")
        settle(page)
        assert len(roles(filled)) == 5


def test_one_picture_zooms_and_moves(url: str):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("Enter")
        assert page.is_visible("#one")
        page.keyboard.press("Space")
        assert page.is_visible("#zoom")
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#zoom-picture", "aria-label") == f"{NAMES[1]}.png"
        page.keyboard.press("Space")
        page.keyboard.press("Escape")
        assert page.is_visible("#grid")
        page.keyboard.press("End")
        assert page.get_attribute(".tile.cursor canvas", "aria-label") == f"{NAMES[-1]}.png"


def test_pictures_are_sorted_by_the_names_that_are_shown(tmp_path: Path):
    """They were sorted by folders that the board does not show, and 10 came before 2."""
    folder = tmp_path / "collected"
    for place in ("primary/fox 10", "primary/fox 1", "fox 2", "supporting/fox 3"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((64, 48), 90).convert("RGB").save(folder / f"{place}.png")
    project = apply_init(plan_init(tmp_path / "my fox", "Quillfox"))
    apply_import(project, plan_import(project, folder))
    share = BoardShare(PicturesView(project), lambda: CaptionDesk(project))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        ready(page)
        tiles = page.locator(".tile canvas")
        tiles.nth(3).wait_for()
        shown = {
            tiles.nth(at).evaluate("one => { const box = one.getBoundingClientRect();"
                                   " return box.top * 1e4 + box.left; }"):
            tiles.nth(at).get_attribute("aria-label")
            for at in range(4)
        }  # fmt: skip
    share.close()
    assert [shown[at] for at in sorted(shown)] == [f"fox {one}.png" for one in (1, 2, 3, 10)]


def test_pictures_are_sorted_and_filtered(url: str):
    with open_page(url) as page:
        ready(page)
        page.wait_for_selector("#filter-tag:visible")
        page.select_option("#sort", "large")
        assert page.get_attribute('.tile[data-at="0"] canvas', "aria-label") == f"{NAMES[-1]}.png"
        page.keyboard.press("c")
        page.wait_for_selector("#chips .chip.prefix")
        page.fill("#filter-tag", "rain")
        assert page.text_content("#shown") == "1 shown"
        page.fill("#filter-tag", "")
        page.select_option("#filter-value", "uncaptioned")
        assert page.text_content("#shown") == "0 shown"


def test_captions_are_edited_and_undone(url: str, filled: Project):
    (caption,) = filled.images_dir.glob(f"*/{NAMES[0]}.png")
    caption = caption.with_suffix(".txt")
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("c")
        page.wait_for_selector("#chips .chip.prefix")
        page.fill("#add-tag", "mist")
        page.keyboard.press("Enter")
        page.wait_for_selector(".chip.hand >> text=mist")
        page.click("[aria-label='Remove solo']")
        page.wait_for_selector(".chip.gone >> text=solo")
        settle(page)
        assert caption.read_text(encoding="utf-8") == "photo of Quillfox, mist\n"
        page.click("#undo")
        page.click("#undo")
        settle(page)
        assert caption.read_text(encoding="utf-8") == "photo of Quillfox, solo\n"


def test_captions_need_no_pointer(url: str, filled: Project):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("c")
        page.wait_for_selector("#chips .chip.prefix")
        page.keyboard.press("e")
        page.keyboard.type("mist")
        page.keyboard.press("Enter")
        page.wait_for_selector(".chip.hand >> text=mist")
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        assert page.text_content("#judged") == "1 of 40 judged"
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("e")
        page.keyboard.type("dusk")
        page.keyboard.press("Enter")
        page.wait_for_selector("#preview ins >> text=dusk")
        settle(page)


def test_many_captions_are_previewed_first(url: str, filled: Project):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("c")
        page.wait_for_selector("#chips .chip.prefix")
        page.click('.tile[data-at="0"]')
        page.click('.tile[data-at="3"]', modifiers=["Shift"])
        page.select_option("#op", "replace")
        page.fill("#op-tags", "solo")
        page.fill("#op-by", "alone")
        page.click("#op-preview")
        page.wait_for_selector("#preview ins")
        assert page.text_content("#preview p") == "4 of 4 captions would change"
        assert list(filled.images_dir.glob("*/*.txt")) == []
        page.click("#op-apply")
        settle(page)
        texts = {one.read_text(encoding="utf-8") for one in filled.images_dir.glob("*/*.txt")}
        assert texts == {"photo of Quillfox, alone\n", "photo of Quillfox, alone, rain\n"}


def test_one_thumb_suffices_on_a_phone(url: str, filled: Project):
    with open_page(url, width=390, height=844) as page:
        ready(page)
        page.click('.tile[data-at="0"]')
        assert page.is_visible("#one")
        for button in page.query_selector_all(".choice"):
            box = button.bounding_box()
            assert box["height"] >= 44
            assert box["y"] > 844 * 0.75
        for answer in ("Out", "Primary"):
            look_at_pictures(page)
            page.click(f".choice >> text={answer}")
        settle(page)
        assert roles(filled) == {NAMES[0]: "out", NAMES[1]: "primary"}
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_tag_sinks_with_one_click(url: str, filled: Project):
    with open_page(url) as page:
        ready(page)
        page.keyboard.press("t")
        row = page.locator('.fate[data-tag="solo"]')
        row.get_by_role("button", name="in Quillfox").click()
        page.wait_for_selector('.fate.sunk[data-tag="solo"]')
        settle(page)
        assert page.text_content("#fates-count") == "2 tags, 1 part of Quillfox"
        with DecisionStore(filled.reviews_db) as store:
            assert store.values(DecisionKind.TAG) == {"solo": "imbue"}
        page.keyboard.press("Control+z")
        page.wait_for_selector('.fate:not(.sunk)[data-tag="solo"]')
        page.select_option("#fates-preset", "creature")
        page.click("#fates-preview")
        page.wait_for_selector("#fates-apply:enabled")
        assert "40 captions would change" in page.text_content("#fates-shown")
        page.click("#fates-apply")
        page.wait_for_selector('.fate.sunk[data-tag="solo"]')
        page.click('.fate[data-tag="rain"] .tag')
        assert page.text_content("#shown") == "1 shown"
        settle(page)


PRESSED = """async (key) => {
  const space = document.querySelector('#space'), touched = new Set();
  let begun = 0;
  const watched = new MutationObserver((all) => all.forEach((one) => {
    const tile = one.target.parentElement?.closest('.tile') || one.target.closest('.tile');
    if (tile) touched.add(tile);
  }));
  const fetched = window.fetch;
  window.fetch = (...words) => {
    begun += String(words[0]).startsWith('thumb/');
    return fetched(...words);
  };
  watched.observe(space, { subtree: true, childList: true, attributes: true, characterData: true });
  const press = new KeyboardEvent('keydown', { key, bubbles: true });
  document.querySelector('#grid').dispatchEvent(press);
  const now = begun;
  await new Promise((done) => setTimeout(done, 400));
  watched.disconnect();
  window.fetch = fetched;
  return { touched: touched.size, now, later: begun - now };
}"""


def test_a_key_touches_two_tiles_and_waits_for_no_row(url: str):
    """The grid writes only what changed, and brings rows beyond sight after the key's frame."""
    with open_page(url, width=900, height=700) as page:
        ready(page)
        page.evaluate("document.querySelector('#mode-grid').click()")
        settle(page)
        assert page.locator(".tile").count() > 6
        told = [page.evaluate(PRESSED, key) for key in ("1", "2", "ArrowLeft", "1")]
        assert all(one["touched"] <= 2 and not one["now"] for one in told), told
        beyond = [page.evaluate(PRESSED, "ArrowDown") for _ in range(6)]
        assert any(one["later"] for one in beyond), beyond
        assert not any(one["now"] for one in beyond), beyond
