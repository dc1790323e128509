"""The pages of grids as the page server hands them out, with votes and choices coming back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from loras import save_lora

from a1111_ext.grids.choice import EpochChoice
from a1111_ext.grids.page.share import GridShare, PromotionHost, share_of
from a1111_ext.publish.promote import PromotePlan
from kohya_ext.project import ConflictError, Project
from kohya_ext.project.server import PageServer

VOTES = '{"votes":[],"choice":"' + "a" * 64 + '"}'
CHOICE = (
    '{"kind":"loraloom-grid-choice","format":1,"grid":"a b","epoch":"fox-000002",'
    '"epoch_file":"fox-000002.safetensors","cell":"abc","values":{},"votes":[]}'
)


@pytest.fixture
def page(project: Project) -> Path:
    save_lora(project.model_dir, "fox-000002", epoch=2)
    folder = project.grids_dir / "a b"
    folder.mkdir(parents=True)
    (folder / "grid.json").write_text("{}", encoding="utf-8")
    (folder / "other.html").write_text("", encoding="utf-8")
    (folder / "grid.html").write_text('"served":"","kept":null', encoding="utf-8")
    return folder / "grid.html"


@pytest.fixture
def address(page: Path) -> Iterator[str]:
    with PageServer() as server:
        yield server.url_of(*share_of(page))


def send(address: str, text: str | bytes) -> int:
    return requests.post(address, text, timeout=30).status_code


def test_a_page_keeps_its_votes_and_nothing_else(address: str, page: Path):
    assert send(address, VOTES) == 200
    assert f'"kept":{VOTES}' in requests.get(address, timeout=30).text
    assert [send(address, wrong) for wrong in ("{}", b"\xff", "")] == [400, 400, 400]
    assert send(address.replace("grid.html", "other.html"), VOTES) == 404
    assert send(address.replace("grid.html", "gone.html"), VOTES) == 404
    assert {one.name for one in page.parent.iterdir()} == {
        "grid.html",
        "grid.json",
        "other.html",
    }


def test_a_page_of_a_project_sends_its_choice(address: str, project: Project):
    assert '"served":"choice"' in requests.get(address, timeout=30).text
    beside = address.replace("grid.html", "choice")
    answer = requests.post(beside, CHOICE, headers={"Origin": "null"}, timeout=30)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "null")
    entry = project.journal.last("grid-choice")
    assert entry is not None
    assert entry.facts["epoch"] == "fox-000002"
    assert send(beside, CHOICE.replace("fox-000002", "gone")) == 400


def test_a_page_in_the_network_promotes_nothing(address: str, project: Project):
    share = GridShare(project.root, may_promote=False)
    with PageServer() as server:
        url = server.url_of(share, "grids/a b/grid.html")
        page = requests.get(url, timeout=30).text
        assert '"served":"choice"' in page
        assert '"promote":' not in page
        answer = requests.post(url.replace("grid.html", "promote"), "{}", timeout=30)
    assert answer.status_code == 404


def test_an_epoch_is_promoted_from_the_page(address: str, project: Project):
    page = requests.get(address, timeout=30).text
    assert f'"promote":"promote","promote_name":"{project.manifest.trigger_word}-v1"' in page
    beside = address.replace("grid.html", "promote")
    body = f'{{"name": "fox-v1", "choice": {CHOICE}}}'
    answer = requests.post(beside, body, timeout=30)
    assert (answer.status_code, answer.text) == (
        200,
        "fox-000002.safetensors is promoted as fox-v1.",
    )
    assert (project.publish_dir / "fox-v1.safetensors").is_file()
    for name in ("grid-choice", "promote"):
        assert project.journal.last(name) is not None
    assert send(beside, body.replace("fox-v1", "no name")) == 400
    assert send(beside, f'{{"name": 5, "choice": {CHOICE}}}') == 400
    assert send(beside, "[]") == 400
    with PageServer() as server:
        share = GridShare(project.root, host=TakenName())
        answer = requests.post(
            server.url_of(share, "grids/a b/promote"), body.replace("v1", "v2"), timeout=30
        )
    assert (answer.status_code, answer.text) == (400, "It is taken. [LL605]")
    assert not (project.publish_dir / "fox-v2.safetensors").exists()


class TakenName(PromotionHost):
    """A WebUI that has another LoRA of the name."""

    def check(self, plan: PromotePlan) -> None:
        raise ConflictError("LL605", "It is taken.")


def test_whoever_serves_it_learns_of_the_choice(page: Path, project: Project):
    taken: list[EpochChoice] = []
    with PageServer() as server:
        address = server.url_of(
            GridShare(project.root, lambda choice, _: taken.append(choice)), "grids/a b/choice"
        )
        assert send(address, CHOICE) == 204
    assert [one.epoch for one in taken] == ["fox-000002"]


def test_a_grid_of_no_project_takes_no_choice(tmp_path: Path):
    folder = tmp_path / "own" / "grids" / "x"
    folder.mkdir(parents=True)
    (folder / "grid.html").write_text('"served":"","kept":null', encoding="utf-8")
    with PageServer() as server:
        address = server.url_of(*share_of(folder / "grid.html"))
        assert '"served":""' in requests.get(address, timeout=30).text
        assert send(address.replace("grid.html", "choice"), CHOICE) == 404


def test_only_the_grids_are_served(address: str, project: Project):
    root = address[: address.index("/grids/")]
    assert requests.get(f"{root}/lora-project.yaml", timeout=30).status_code == 404
    assert requests.get(f"{root}/grids/../lora-project.yaml", timeout=30).status_code == 404


def test_a_page_keeps_its_address(address: str, page: Path):
    with PageServer() as server:
        first = server.url_of(*share_of(page))
        server.url_of(GridShare(page.parent), "x")
        assert server.url_of(*share_of(page)) == first
