"""ADetailer saves some faces and spoils others: both pictures stay, a person chooses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import look_at_pictures, open_page
from promotions import promote_epoch, with_manifest

from a1111_ext.cells import Ledger
from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import read_review
from a1111_ext.showcase.showcase_view import ShowcaseView
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.host import ALWAYS_ON
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.decisions.board import PAGE_NAME, BoardShare
from kohya_ext.project.server import PageServer

MANIFEST = """
showcase:
  template: "{lora} photo of {trigger}, {calm|smiling}"
  checkpoints: [simulated-a]
  count: 2
  picture:
    width: 64
    height: 72
    steps: 2
    scripts: {ADetailer: [true, false, {ad_model: face_yolov8n.pt}]}
"""
NAMES = "[...document.querySelectorAll('#compare canvas')].map((one) => one.ariaLabel)"


@pytest.fixture
def detailing(tmp_path: Path) -> Iterator[SimulatedWebui]:
    with start_webui(tmp_path / "webui", always_on={**ALWAYS_ON, "adetailer": 3}) as running:
        yield running


@pytest.fixture
def shown(project: Project, detailing: SimulatedWebui) -> Project:
    promote_epoch(project)
    project = with_manifest(project, MANIFEST)
    assert main(["showcase", str(project.root), "--webui", detailing.url]) == 0
    return project


def test_both_versions_are_kept(shown: Project):
    album = read_album(shown)
    assert [bool(one.detailed_from) for one in album] == [False, True, False, True]
    before, after = album[:2]
    assert after.detailed_from == before.file
    assert (after.prompt, after.seed) == (before.prompt, before.seed)
    with Ledger(shown.cells_db, shown.cells_dir) as ledger:
        records = [ledger.record(one.key) for one in (before, after)]
    assert [len(one.cell.scripts) for one in records if one] == [0, 1]
    items = ShowcaseView(shown).items()
    assert [one.facets[2] for one in items[:2]] == ["drawn", "ADetailer"]
    assert items[1].pair == items[0].key


def test_pictures_in_which_it_finds_nothing_are_counted(
    project: Project, detailing: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    """Their text names it nevertheless, as that of the real one does."""
    promote_epoch(project)
    certain = MANIFEST.replace("yolov8n.pt}", "yolov8n.pt, ad_confidence: 1.0}")
    words = ["showcase", str(with_manifest(project, certain).root), "--webui", detailing.url]
    assert main(words) == 0
    sentence = "ADetailer found nothing in 2 of 2 pictures: before and after are the same."
    assert sentence in capsys.readouterr().err
    with_manifest(project, MANIFEST)
    assert main(words) == 0
    assert "ADetailer" not in capsys.readouterr().err


@pytest.mark.browser
def test_one_key_chooses_a_version(shown: Project):
    share = BoardShare(ShowcaseView(shown))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as page:
        page.wait_for_selector("body[data-ready]")
        page.keyboard.press("v")
        names: Any = [one.file for one in read_album(shown)]
        assert page.evaluate(NAMES) == names[:2]
        page.keyboard.press("ArrowRight")
        look_at_pictures(page)
        page.keyboard.press("w")
        assert page.evaluate(NAMES) == names[2:]
        look_at_pictures(page)
        page.keyboard.press("w")
        page.evaluate("() => fetch('changes.json?since=0').then((one) => one.text())")
        page.wait_for_timeout(500)
        ratings = read_review(shown).ratings
        page.keyboard.press("Control+z")
        page.wait_for_timeout(500)
        after_undo = read_review(shown).ratings
    share.close()
    assert ratings == {
        names[0]: Rating.DROP,
        names[1]: Rating.SHOWCASE,
        names[2]: Rating.SHOWCASE,
        names[3]: Rating.DROP,
    }
    assert set(after_undo) == set(names[:2])
