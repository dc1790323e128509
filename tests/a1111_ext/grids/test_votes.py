"""A page's votes are kept beside it, and nothing but votes gets back into its script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a1111_ext.grids.page.votes import FILE_NAME, keep_votes, with_votes

A, B, C = "a" * 64, "b" * 64, "c" * 64
VOTES = {"votes": [{"left": A, "right": B, "answer": "same"}], "choice": B}
NONE: dict[str, Any] = {"votes": [], "choice": None}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "grid.html"
    path.write_text('{"title":"\\"kept\\":null","kept":null,"live":null}', encoding="utf-8")
    return path


def kept(page: Path) -> Any:
    return json.loads(with_votes(page))["kept"]


def test_votes_come_back(page: Path):
    assert kept(page) == NONE
    keep_votes(page, json.dumps(VOTES))
    assert kept(page) == VOTES
    keep_votes(page, json.dumps(NONE))
    assert kept(page) == NONE


def test_a_page_of_an_older_version_stays_as_it_is(page: Path):
    page.write_text("<p>an old page</p>", encoding="utf-8")
    keep_votes(page, json.dumps(VOTES))
    assert with_votes(page) == b"<p>an old page</p>"


def test_two_windows_add_up(page: Path):
    one = {"left": A, "right": B, "answer": "left"}
    other = {"left": A, "right": C, "answer": "right"}
    keep_votes(page, json.dumps({**NONE, "votes": [one], "known": NONE}))
    answer = keep_votes(page, json.dumps({"votes": [other], "choice": C, "known": NONE}))
    assert answer == kept(page) == {"votes": [one, other], "choice": C}
    answer = keep_votes(page, json.dumps({**NONE, "known": {"votes": [one], "choice": None}}))
    assert answer == {"votes": [other], "choice": C}
    again = keep_votes(page, json.dumps({"votes": [other], "choice": C, "known": NONE}))
    assert again == answer
    with pytest.raises(ValueError, match="no votes"):
        keep_votes(page, json.dumps({**NONE, "known": 7}))


HOSTILE = {
    "no-json": "{",
    "no-object": "[1]",
    "no-votes": "{}",
    "markup": json.dumps({"votes": [], "choice": "</script><script>alert(1)</script>"}),
    "odd-key": json.dumps({"votes": [{"left": "../x", "right": B, "answer": "left"}]}),
    "odd-answer": json.dumps({"votes": [{"left": A, "right": B, "answer": "<b>"}]}),
    "odd-vote": json.dumps({"votes": [7]}),
    "number": json.dumps({"votes": [], "choice": 7}),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_only_votes_are_kept(page: Path, text: str):
    with pytest.raises(ValueError):  # the words are Python's own for bad JSON
        keep_votes(page, text)
    assert not page.with_name(FILE_NAME).exists()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_somebody_elses_votes_are_read_with_care(page: Path, text: str):
    page.with_name(FILE_NAME).write_text(text, encoding="utf-8")
    assert kept(page) == NONE
    (aside,) = page.parent.glob("votes.damaged-*.json")
    assert aside.read_text(encoding="utf-8") == text
    keep_votes(page, json.dumps(VOTES))
    assert kept(page) == VOTES


def test_damaged_votes_are_set_aside_by_the_next_vote(page: Path):
    page.with_name(FILE_NAME).write_text("{", encoding="utf-8")
    keep_votes(page, json.dumps(VOTES))
    assert kept(page) == VOTES
    assert list(page.parent.glob("votes.damaged-*.json"))


def test_votes_of_an_earlier_loraloom_move_in(page: Path):
    page.with_name(FILE_NAME).write_text(json.dumps(VOTES), encoding="utf-8")
    assert kept(page) == VOTES
    more = {**VOTES, "votes": [*VOTES["votes"], {"left": B, "right": A, "answer": "left"}]}
    keep_votes(page, json.dumps(more))
    assert kept(page) == more
    assert sorted(one.name for one in page.parent.iterdir())[-1] == "votes.json.moved"


def test_grids_of_one_project_share_a_store(tmp_path: Path):
    pages = [tmp_path / "grids" / name / "grid.html" for name in ("one", "two")]
    for path in pages:
        path.parent.mkdir(parents=True)
        path.write_text('"kept":null', encoding="utf-8")
    keep_votes(pages[0], json.dumps(VOTES))
    assert with_votes(pages[1]) == b'"kept":{"votes":[],"choice":null}'
    assert (tmp_path / "reviews.db").is_file()
