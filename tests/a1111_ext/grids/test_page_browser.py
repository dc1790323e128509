"""The grid's page in a real browser: keys, zoom, comparing, filters, blind vote, the choice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import kept_chromium
from loras import save_lora
from until import wait_until

from a1111_ext.grids.choice import EpochChoice, read_choice, write_choice
from a1111_ext.grids.page.share import GridShare, share_of
from a1111_ext.grids.page.votes import FILE_NAME, keep_votes, read_votes
from a1111_ext.simulator import start_webui
from kohya_ext.cli import main
from kohya_ext.project import Project, apply_init, plan_init
from kohya_ext.project.server import PageServer

pytestmark = pytest.mark.browser


@pytest.fixture
def browser() -> Any:
    return kept_chromium()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a drawn grid: three epochs and the control x four seeds x two CFG scales."""
    folder = tmp_path_factory.mktemp("grid page")
    made = apply_init(plan_init(folder / "my quillfox", "Quillfox"))
    for epoch in (1, 2, 3):
        save_lora(made.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch)
    text = made.manifest_path.read_text(encoding="utf-8")
    small = "grid:\n  picture: {width: 128, height: 128, steps: 2}\n"
    made.manifest_path.write_text(text.replace("grid:\n", small), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, start_webui(folder / "webui") as webui:
        patch.setenv("LORALOOM_HOME", str(folder / "home"))
        arguments = ["grid", str(made.root), "--webui", webui.url, "--seeds", "1-4"]
        assert main([*arguments, "--axis", "CFG Scale=5,7"]) == 0
    return made


def folder_of(project: Project) -> Path:
    (folder,) = project.grids_dir.iterdir()
    return folder


@pytest.fixture
def page(browser: Any, project: Project) -> Iterator[Any]:
    """The page, opened as a file; every error that it makes fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    opened.goto((folder_of(project) / "grid.html").as_uri())
    opened.locator(".cell img").first.wait_for()
    yield opened
    context.close()
    assert errors == []


def test_the_advice_stands_above_the_pictures(page: Any):
    panel = page.locator("#advice")
    assert panel.locator("> summary").inner_text().startswith("Advice: ")
    panel.evaluate("one => { one.open = true; }")
    assert panel.locator("li").count() >= 2
    curves = panel.locator("figure img")
    assert curves.count() >= 2
    assert all(curves.nth(n).evaluate("one => one.naturalWidth") for n in range(curves.count()))
    assert "Quillfox-000002: " in (curves.first.get_attribute("alt") or "")


def test_every_picture_has_its_place(page: Any):
    assert page.locator("#subtitle").inner_text() == (
        "(3 epochs and no LoRA) × 2 values of CFG Scale × 4 seeds: 32 pictures"
    )
    assert "simulated" in page.locator("#badge").inner_text()
    assert page.locator(".cell").count() >= 8  # those in sight, beneath the advice
    assert page.evaluate("document.querySelectorAll('.cell img').length > 0")


def test_the_heads_stay_when_it_is_scrolled(page: Any):
    for _ in range(6):
        page.keyboard.press("+")
    page.locator("#scroller").evaluate("one => one.scrollTo(300, 400)")
    box = page.locator("#scroller").bounding_box()
    heads = page.locator(".head, .column-head, [role=columnheader]")

    def are_there() -> bool:
        boxes = (heads.nth(i).bounding_box() for i in range(heads.count()))
        tops = [one["y"] for one in boxes if one]
        return bool(tops) and box["y"] - 2 <= min(tops) <= box["y"] + 60

    wait_until(are_there)


def select_first(page: Any) -> None:
    page.locator(".cell").first.click()
    page.locator("#details").wait_for(state="visible")


def test_a_picture_tells_about_itself(page: Any):
    select_first(page)
    text = page.locator("#details").inner_text()
    assert "Seed: 1" in text
    assert "Sampler: " in text


def test_keys_move_enlarge_and_zoom(page: Any):
    select_first(page)
    before = page.locator("#details").inner_text()
    page.keyboard.press("ArrowRight")
    wait_until(lambda: page.locator("#details").inner_text() != before)
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    viewer.wait_for(state="visible")
    wait_until(lambda: page.locator("#viewer img").evaluate("one => one.naturalWidth") == 128)
    wait_until(lambda: page.locator("#viewer .scale").inner_text() != "")
    fitted = page.locator("#viewer .scale").inner_text()
    page.keyboard.press("+")
    assert page.locator("#viewer .scale").inner_text() != fitted
    page.keyboard.press("Escape")
    viewer.wait_for(state="hidden")


def test_two_pictures_are_compared(page: Any):
    cells = page.locator(".cell")
    cells.nth(0).click()
    page.keyboard.press("c")
    cells.nth(5).click()
    page.keyboard.press("c")
    page.locator("#compare-button").click()
    compare = page.locator("#compare")
    compare.wait_for(state="visible")
    for mode in ("flicker", "difference", "both", "slider"):
        compare.locator(f"[data-mode={mode}]").click()
        page.wait_for_timeout(100)
    page.keyboard.press(" ")
    page.keyboard.press("Escape")
    compare.wait_for(state="hidden")


def test_values_can_be_filtered(page: Any):
    before = page.locator("#count").inner_text()
    page.locator("#filter-button").click()
    boxes = page.locator("#filters input[type=checkbox]")
    assert boxes.count() >= 10
    boxes.nth(1).uncheck()
    wait_until(lambda: page.locator("#count").inner_text() != before)


def test_the_columns_can_be_another_axis(page: Any):
    page.locator("#columns").select_option(label="LoRA epoch")
    wait_until(lambda: "Quillfox-000003" in page.locator("#canvas").inner_text())


def vote(page: Any, count: int) -> None:
    page.locator("#vote-button").click()
    page.locator("#vote").wait_for(state="visible")
    for number in range(count):
        page.keyboard.press("ArrowLeft" if number % 3 else "ArrowRight")
        page.wait_for_timeout(30)


def test_a_blind_vote_hides_labels_and_ranks(page: Any):
    page.locator("#vote-button").click()
    dialog = page.locator("#vote")
    dialog.wait_for(state="visible")
    assert "Quillfox-00000" not in dialog.inner_text()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(30)
    dialog.locator("[data-do=undo]").click()
    dialog.locator("[data-do=ranking]").click()
    ranking = page.locator("#ranking")
    ranking.wait_for(state="visible")
    text = ranking.inner_text()
    assert "Quillfox-00000" in text
    assert "no LoRA" not in text


def wilson(wins: float, count: int) -> float:
    """The lower end of the Wilson interval at 95 %, by its closed formula."""
    z, share = 1.959964, wins / count
    middle = share + z * z / (2 * count)
    spread = z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5
    return (middle - spread) / (1 + z * z / count)


def test_the_choice_is_saved_and_read_back(page: Any, project: Project, tmp_path: Path):
    vote(page, 4)
    page.keyboard.press("Escape")
    page.locator(".cell").nth(9).click()
    page.keyboard.press("p")
    page.locator("#choice").wait_for(state="visible")
    with page.expect_download() as waiting:
        page.locator("#choice-save").click()
    waiting.value.save_as(tmp_path / "choice.json")
    choice = read_choice(tmp_path / "choice.json")
    assert choice.epoch.startswith("Quillfox-00000")
    counted = [one for one in choice.votes if one.better + one.draw + one.worse]
    assert counted
    for one in counted:
        count = one.better + one.draw + one.worse
        expected = wilson(one.better + one.draw / 2, count)
        assert one.wilson_lower == pytest.approx(expected, abs=0.005)
    assert write_choice(project, choice).path.is_file()
    assert json.loads((tmp_path / "choice.json").read_text(encoding="utf-8"))["format"] == 1


def test_a_served_page_sends_the_choice(browser: Any, project: Project):
    taken: list[EpochChoice] = []
    server = PageServer()
    path = f"grids/{folder_of(project).name}/grid.html"
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    try:
        page = context.new_page()
        page.goto(
            server.url_of(GridShare(project.root, lambda choice, _: taken.append(choice)), path)
        )
        page.locator(".cell img").first.wait_for()
        page.locator(".cell").nth(9).click()
        page.keyboard.press("p")
        page.locator("#choice-save").click()
        page.locator("#toast").filter(has_text="project").wait_for()
        assert [one.epoch.startswith("Quillfox") for one in taken] == [True]
        page.locator("#promote-name").fill("CON")
        page.locator("#promote-now").click()
        refused = page.locator("#toast.on").filter(has_text="Windows does not allow this file name")
        refused.wait_for()
        page.wait_for_timeout(4000)  # a sentence so long cannot be read in less
        assert refused.is_visible()
        page.locator("#promote-name").fill("Quillfox-p1")
        page.locator("#promote-now").click()
        page.locator("#toast").filter(has_text="is promoted as Quillfox-p1.").wait_for()
        assert (project.publish_dir / "Quillfox-p1.safetensors").is_file()
    finally:
        context.close()
        server.close()


FRAME = '<iframe style="width:1200px;height:800px" src="{}"></iframe>'


def test_votes_in_a_tab_are_there_the_next_day(browser: Any, project: Project):
    """The tab's frame is a sandbox without storage: the server keeps votes and choice."""
    page_path = folder_of(project) / "grid.html"

    def open_tab(server: PageServer) -> tuple[Any, Any]:
        context = browser.new_context(viewport={"width": 1300, "height": 900})
        page = context.new_page()
        page.set_content(FRAME.format(server.url_of(*share_of(page_path))))
        frame = page.frame_locator("iframe")
        frame.locator(".cell img").first.wait_for()
        return context, frame

    try:
        today = PageServer()
        context, frame = open_tab(today)
        frame.locator("#vote-button").click()
        for number in range(3):
            frame.locator("#vote .progress", has_text=re.compile(f"^{number} of")).wait_for()
            frame.locator('.answers [data-vote="left"]').click()
        frame.locator('#vote [data-do="undo"]').click()
        frame.locator('#vote [data-do="close"]').click()
        frame.locator(".cell").nth(9).click()
        frame.locator("body").press("p")
        frame.locator("#choice-text", has_text="Chosen: Quillfox").wait_for()
        frame.locator("#vote-button").click()  # whatever was sent before has arrived by then
        frame.locator("#vote .progress", has_text=re.compile("^2 of")).wait_for()
        wait_until(lambda: '"choice": "' in votes_of(page_path))
        context.close()
        today.close()

        tomorrow = PageServer()
        context, frame = open_tab(tomorrow)
        frame.locator("#choice-text", has_text="Chosen: Quillfox").wait_for()
        frame.locator("#vote-button").click()
        frame.locator("#vote .progress", has_text=re.compile("^2 of")).wait_for()
        context.close()
        tomorrow.close()
    finally:
        page_path.with_name(FILE_NAME).unlink(missing_ok=True)


@pytest.mark.parametrize("size", [(316, 790), (390, 844), (844, 390)])
def test_a_phone_has_room_for_the_pictures(browser: Any, project: Project, size: tuple[int, int]):
    """With long advice, and a choice at the foot of the page."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto((folder_of(project) / "grid.html").as_uri())
    page.locator(".cell img").first.wait_for()
    page.evaluate(
        "() => { const advice = document.getElementById('advice');"
        " advice.classList.remove('hidden'); advice.open = true;"
        " advice.querySelector('summary').textContent = 'Look at epoch 2 first. '.repeat(60); }"
    )
    page.evaluate("() => document.querySelector('footer').classList.remove('hidden')")
    box = page.locator("#scroller").bounding_box()
    assert box["height"] >= 0.6 * size[1]
    page.locator("#scroller").scroll_into_view_if_needed()
    assert page.locator("#scroller").bounding_box()["y"] < size[1] / 2
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    context.close()


def test_two_windows_share_their_votes(browser: Any, project: Project):
    page_path = folder_of(project) / "grid.html"
    keep_votes(page_path, '{"votes": [], "choice": null}')
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    with PageServer() as server:
        windows = [context.new_page(), context.new_page()]
        for one in windows:
            one.goto(server.url_of(*share_of(page_path)))
            one.locator("#vote-button").tap()
            one.locator("#vote .progress", has_text="saved in reviews.db, shared").wait_for()
        for one, answer in zip(windows, ("left", "right"), strict=True):
            one.locator(f'.answers [data-vote="{answer}"]').tap()
        for one in windows:
            one.locator("#vote .progress", has_text=re.compile("^2 of")).wait_for()
        boxes = [one.bounding_box() for one in windows[0].locator(".answers button").all()]
        assert min(box["height"] for box in boxes) >= 44
        windows[0].locator('#vote [data-do="undo"]').tap()  # only its own
        windows[1].locator("#vote .progress", has_text=re.compile("^1 of")).wait_for()
        windows[1].locator('#vote [data-do="ranking"]').tap()
        choose = windows[1].locator("#ranking td button").first
        box = choose.bounding_box()
        assert box["x"] + box["width"] <= 390
        choose.tap()
        windows[0].locator("#choice-text", has_text="Chosen: Quillfox").wait_for(state="attached")
        (left,) = read_votes(page_path.parent)["votes"]
        assert left["answer"] == "right"
        for one in windows:
            assert one.evaluate("document.documentElement.scrollWidth") == 390
    keep_votes(page_path, '{"votes": [], "choice": null}')
    context.close()


def votes_of(page: Path) -> str:
    return json.dumps(read_votes(page.parent))


def test_a_growing_page_shows_news_by_itself(browser: Any, project: Project, tmp_path: Path):
    """The page of a grid that grows looks at a small file beside it, also without a server."""
    from a1111_ext.grids.page.document import (
        GridPage,
        LiveState,
        PageAxis,
        PageCell,
        PageCellState,
        PageValue,
    )
    from a1111_ext.grids.page.document import write_page as write

    picture = next((folder_of(project) / "pictures").iterdir())

    def grid(count: int, live: LiveState | None) -> GridPage:
        values = tuple(PageValue(f"epoch {number}") for number in range(count))
        cells = tuple(
            PageCell(
                (number, 0), f"{number:064x}", PageCellState.DONE, picture, (128, 128), "Steps: 1"
            )
            for number in range(count)
        )
        axes = (PageAxis("LoRA epoch", values), PageAxis("Seed", (PageValue("1"),)))
        return GridPage("g", "growing", axes, cells, columns=1, live=live)

    def show(count: int, live: LiveState | None) -> None:
        write(grid(count, live), tmp_path / "grid.html", href=lambda cell: picture.as_uri())

    show(1, LiveState("following", seconds=0.2))
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "grid.html").as_uri())
    page.locator(".cell").first.wait_for()
    assert page.locator(".cell").count() == 1
    show(3, None)
    page.locator(".cell").nth(2).wait_for(timeout=30_000)
    context.close()
