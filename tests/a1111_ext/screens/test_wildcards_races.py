"""The page of wildcards while its answers are late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import open_page
from held import Held, keep_on

from a1111_ext.screens.wildcards import PAGE_NAME, WildcardShare
from kohya_ext.project.server import PageServer

pytestmark = pytest.mark.browser
TEXTS = {"fox": "red\n", "hen": "brown\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def page(root: Path) -> Iterator[Any]:
    share = WildcardShare(lambda: (root,))
    with PageServer() as server, open_page(server.url_of(share, PAGE_NAME)) as opened:
        opened.wait_for_selector("#names button")
        yield opened


def pick(page: Any, name: str) -> None:
    page.click(f"#names button:text-is('{name}')")


def read(root: Path, name: str) -> str:
    return (root / f"{name}.txt").read_text(encoding="utf-8")


def test_the_name_that_was_picked_last_is_open(page: Any):
    draws = Held(page, "**/draw")
    pick(page, "fox")
    draws.wait()
    pick(page, "hen")
    draws.end(newest_first=True)
    page.wait_for_timeout(150)
    assert page.input_value("#text") == TEXTS["hen"]
    opened = Held(page, "**/open")
    pick(page, "fox")
    opened.wait()
    pick(page, "hen")
    page.wait_for_timeout(50)
    opened.end(newest_first=True)
    page.wait_for_timeout(150)
    assert page.input_value("#text") == TEXTS["hen"]


def test_two_clicks_on_save_are_no_conflict(page: Any, root: Path):
    pick(page, "fox")
    page.wait_for_selector("#said:has-text('fox.txt is open')")
    page.fill("#text", "grey\n")
    saves = Held(page, "**/save")
    for _ in range(2):
        page.click("#save")
    saves.end()
    page.wait_for_timeout(150)
    assert page.inner_text("#said") == "fox.txt is saved."
    assert read(root, "fox") == "grey\n"


def test_a_file_that_is_opened_while_another_is_saved_can_be_saved(page: Any, root: Path):
    pick(page, "fox")
    page.wait_for_selector("#said:has-text('fox.txt is open')")
    page.fill("#text", "grey\n")
    saves = Held(page, "**/save")
    page.click("#save")
    saves.wait()
    page.once("dialog", lambda dialog: dialog.accept())
    pick(page, "hen")
    page.wait_for_timeout(50)
    saves.end()
    keep_on(page, lambda: page.input_value("#text") == TEXTS["hen"])
    page.wait_for_timeout(50)
    page.fill("#text", "white\n")
    page.click("#save")
    page.wait_for_selector("#said:has-text('hen.txt is saved')", timeout=3000)
    assert (read(root, "fox"), read(root, "hen")) == ("grey\n", "white\n")


def test_what_is_typed_while_a_file_opens_is_not_lost(page: Any):
    pick(page, "fox")
    page.wait_for_selector("#said:has-text('fox.txt is open')")
    opened = Held(page, "**/open")
    pick(page, "hen")
    opened.wait()
    page.fill("#text", "grey\n")
    page.once("dialog", lambda dialog: dialog.dismiss())
    opened.end()
    page.wait_for_timeout(100)
    assert page.input_value("#text") == "grey\n"
