"""Only the grids of shown projects are handed out, and only to who knows the address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from a1111_ext.grids.page.votes import LARGEST_BYTES
from a1111_ext.server.page_server import PageServer, Shares


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


VOTES = '{"votes":[],"choice":"' + "a" * 64 + '"}'


def test_a_page_keeps_its_votes_and_nothing_else(server: PageServer, root: Path):
    page = root / "grids" / "a b" / "grid.html"
    page.write_text('"kept":null', encoding="utf-8")
    address = server.address(page)
    assert requests.post(address, VOTES, timeout=30).status_code == 204
    assert requests.get(address, timeout=30).text == f'"kept":{VOTES}'
    assert requests.post(address, "{}", timeout=30).status_code == 400
    assert requests.post(address, b"\xff", timeout=30).status_code == 400
    assert requests.post(address, "", timeout=30).status_code == 413
    where = urlsplit(address)
    connection = HTTPConnection(where.netloc, timeout=30)
    connection.putrequest("POST", where.path)
    connection.putheader("Content-Length", str(LARGEST_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    beside = address.replace("grid.html", "other.html")
    (root / "grids" / "a b" / "other.html").write_text("", encoding="utf-8")
    stranger = address.replace(urlsplit(address).path.split("/")[1], "x" * 22)
    for wrong in (beside, stranger):
        assert requests.post(wrong, VOTES, timeout=30).status_code == 404
    assert sorted(one.name for one in page.parent.iterdir()) == [
        "grid.html",
        "other.html",
        "votes.json",
    ]


def test_a_page_is_shown_in_a_sandbox(server: PageServer, root: Path):
    """It may come from somebody else's project: it must not read another project's pages."""
    address = server.address(root / "grids" / "a b" / "grid.html")
    for url in (address, address.replace("grid.html", "picture.png")):
        (root / "grids" / "a b" / "picture.png").write_bytes(b"x")
        policy = requests.get(url, timeout=30).headers["content-security-policy"]
        assert policy.startswith("sandbox ")
        assert "allow-same-origin" not in policy


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
