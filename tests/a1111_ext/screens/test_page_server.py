"""Only the grids of shown projects are handed out, and only to who knows the address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from a1111_ext.screens.page_server import PageServer, Shares


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "my fox #1"
    (made / "grids" / "a b").mkdir(parents=True)
    (made / "grids" / "a b" / "grid.html").write_text("<p>a page</p>", encoding="utf-8")
    (made / "lora-project.yaml").write_text("secret", encoding="utf-8")
    return made


@pytest.fixture
def server(root: Path) -> Iterator[PageServer]:
    made = PageServer()
    made.allow([root])
    yield made
    made.close()


def test_a_page_is_served(server: PageServer, root: Path):
    address = server.address(root / "grids" / "a b" / "grid.html")
    answer = requests.get(address, timeout=30)
    assert (answer.status_code, answer.text) == (200, "<p>a page</p>")
    assert urlsplit(address).hostname == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    ["grids", "grids/a%20b", "lora-project.yaml", "grids/../lora-project.yaml", "grids/gone.html"],
)
def test_nothing_else_is_served(server: PageServer, root: Path, path: str):
    page = server.address(root / "grids" / "a b" / "grid.html")
    base = page[: page.index("/grids/")]
    assert requests.get(f"{base}/{path}", timeout=30).status_code == 404


def test_a_stranger_gets_nothing(server: PageServer, root: Path):
    page = server.address(root / "grids" / "a b" / "grid.html")
    parts = urlsplit(page)
    guess = "/".join(["", "x" * 22, *parts.path.split("/")[2:]])
    wrong = parts._replace(path=guess).geturl()
    assert requests.get(wrong, timeout=30).status_code == 404


@pytest.mark.parametrize("path", ["", "x/0/grids/a b/grid.html", "é/0/a", "/", "x", "0/a"])
def test_odd_addresses_find_nothing(root: Path, path: str):
    shares = Shares()
    shares.allow([root])
    assert shares.find(path) is None
    for number in ("7", "-1", "²", "00"):
        assert shares.find(f"{shares.token}/{number}/grids/a b/grid.html") is None
    for name in ("a\0b", "x" * 5000, ""):
        assert shares.find(f"{shares.token}/0/grids/{name}") is None


def test_a_project_keeps_its_address(root: Path, tmp_path: Path):
    shares = Shares()
    page = root / "grids" / "a b" / "grid.html"
    shares.allow([root])
    first = shares.path_of(page)
    shares.allow([tmp_path / "another", root])
    assert shares.path_of(page) == first
    with pytest.raises(ValueError, match="in no project that is shown"):
        shares.path_of(tmp_path / "elsewhere.html")


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_link_out_of_the_grids_is_not_followed(root: Path):
    (root / "grids" / "leak.html").symlink_to(root / "lora-project.yaml")
    shares = Shares()
    shares.allow([root])
    path = shares.path_of(root / "grids" / "a b" / "grid.html")
    leak = path.replace("a%20b/grid.html", "leak.html")
    assert shares.find(leak) is None
