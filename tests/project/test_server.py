"""The page server answers this machine's own pages, and hands out nothing else."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from kohya_ext.project import ConflictError, MissingError, ToolError
from kohya_ext.project.cli import serve_until_interrupted, show_qr
from kohya_ext.project.server import (
    LARGEST_BYTES,
    OWN_PAGE,
    FolderShare,
    PageAnswer,
    PageRequest,
    PageServer,
    Shares,
    lan_address,
    package_files,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "my fox #1"
    (made / "grids" / "a b").mkdir(parents=True)
    (made / "grids" / "a b" / "grid.html").write_text("<p>a page</p>", encoding="utf-8")
    (made / "grids" / "a b" / "tool.exe").write_bytes(b"x")
    (made / "page.html").write_text("beside", encoding="utf-8")
    return made


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as made:
        yield made


class Echo:
    """A share that tells what it was asked."""

    def answer(self, request: PageRequest) -> PageAnswer:
        if request.path == "wrong":
            raise ToolError("LL140", "It is wrong.", "Correct it.")
        if request.path == "kept":
            return PageAnswer(200, b"x", "image/png", OWN_PAGE, max_age_seconds=60)
        said = f"{request.path} {dict(request.query)} {request.body!r} {request.is_json}"
        return PageAnswer(200, said.encode("utf-8"))


def test_a_file_is_served(server: PageServer, root: Path):
    address = server.url_of(FolderShare(root, "grids"), "grids/a b/grid.html")
    answer = requests.get(address, timeout=30)
    assert (answer.status_code, answer.text) == (200, "<p>a page</p>")
    assert urlsplit(address).hostname == "127.0.0.1"
    assert requests.head(address, timeout=30).headers["content-length"] == "13"


def test_a_page_of_a_project_is_in_a_sandbox(server: PageServer, root: Path):
    address = server.url_of(FolderShare(root), "page.html")
    headers = requests.get(address, timeout=30).headers
    assert headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["grids", "grids/a%20b", "page.html", "grids/../page.html", "grids/a%20b/tool.exe", "%00", ""],
)
def test_nothing_else_is_served(server: PageServer, root: Path, path: str):
    base = server.url_of(FolderShare(root, "grids"))
    assert requests.get(base + path, timeout=30).status_code == 404


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_link_that_leads_out_is_not_followed(root: Path):
    (root / "grids" / "leak.html").symlink_to(root / "page.html")
    assert FolderShare(root, "grids").find("grids/leak.html") is None


def test_each_share_has_its_own_token(server: PageServer, root: Path):
    one, other = server.url_of(FolderShare(root, "grids")), server.url_of(Echo())
    assert urlsplit(one).path != urlsplit(other).path
    assert server.url_of(FolderShare(root, "grids")) == one


@pytest.mark.parametrize("target", ["", "/", "x", "x/a", "é/a", "//", "\ud800/a"])
def test_strangers_get_nothing(target: str):
    shares = Shares()
    shares.add(Echo())
    assert shares.answer(target).status == 404
    assert shares.answer(target, b"{}").status == 404


def test_a_token_alone_is_nothing():
    shares = Shares()
    assert shares.answer(shares.add(Echo())).status == 404


def test_what_was_asked_arrives(server: PageServer):
    base = server.url_of(Echo())
    assert requests.get(base + "a%2Fb?c=d%20e&f=", timeout=30).text == (
        "a/b {'c': 'd e', 'f': ''} None False"
    )
    assert requests.post(base + "a", json={}, timeout=30).text == "a {} b'{}' True"
    assert requests.post(base + "a", "{}", timeout=30).text == "a {} b'{}' False"


def test_a_sentence_comes_back(server: PageServer):
    answer = requests.get(server.url_of(Echo(), "wrong"), timeout=30)
    assert (answer.status_code, answer.text) == (400, "It is wrong. Correct it. [LL140]")


@pytest.mark.parametrize(("count", "packed"), [(70_000, "gzip"), (70, None)], ids=["long", "short"])
def test_long_text_is_sent_packed(server: PageServer, root: Path, count: int, packed: str | None):
    (root / "page.html").write_text("a" * count, encoding="utf-8")
    answer = requests.get(server.url_of(FolderShare(root), "page.html"), timeout=30)
    assert (answer.headers.get("Content-Encoding"), answer.text) == (packed, "a" * count)
    plain = {"Accept-Encoding": "identity"}
    answer = requests.get(answer.url, headers=plain, timeout=30)
    assert ("Content-Encoding" in answer.headers, len(answer.content)) == (False, count)


def test_pictures_may_be_kept_by_the_browser(server: PageServer):
    answer = requests.get(server.url_of(Echo(), "kept"), timeout=30)
    assert answer.headers["cache-control"] == "private, max-age=60, immutable"
    assert answer.headers["content-security-policy"] == OWN_PAGE


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1:1"])
def test_another_host_name_is_refused(server: PageServer, root: Path, host: str):
    address = server.url_of(FolderShare(root), "page.html")
    answer = requests.get(address, headers={"Host": host}, timeout=30)
    assert answer.status_code == 403
    assert "beside" not in answer.text


def test_localhost_is_this_machine(server: PageServer, root: Path):
    where = urlsplit(server.url_of(FolderShare(root), "page.html"))
    headers = {"Host": f"localhost:{where.port}"}
    assert requests.get(where.geturl(), headers=headers, timeout=30).text == "beside"


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(LARGEST_BYTES + 1), 413), ("-1", 400), ("x", 400), ("²", 400), ("", 400)],
)
def test_a_wrong_length_is_refused_unread(server: PageServer, length: str, status: int):
    where = urlsplit(server.url_of(Echo(), "a"))
    connection = HTTPConnection(where.netloc, timeout=30)
    connection.putrequest("POST", where.path)
    connection.putheader("Content-Length", length.encode("utf-8"))
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


def test_one_connection_serves_many_requests(server: PageServer):
    where = urlsplit(server.url_of(Echo(), "a"))
    connection = HTTPConnection(where.netloc, timeout=30)
    for _ in range(3):
        connection.request("GET", where.path)
        assert connection.getresponse().read() == b"a {} None False"
    connection.close()


def test_a_page_is_shown_as_it_is_rewritten(server: PageServer, root: Path):
    share = FolderShare(root, rewrite=lambda path: path.read_bytes().upper())
    assert requests.get(server.url_of(share, "page.html"), timeout=30).text == "BESIDE"


def test_what_a_page_sends_is_taken(server: PageServer, root: Path):
    taken: list[tuple[str, str]] = []

    def take(path: str, text: str) -> bool:
        if text == "wrong":
            raise ValueError("it contains no votes")
        taken.append((path, text))
        return path == "page.html"

    base = server.url_of(FolderShare(root, take=take))
    assert requests.post(base + "page.html", "ä".encode(), timeout=30).status_code == 204
    assert requests.post(base + "other.html", "b", timeout=30).status_code == 404
    refused = requests.post(base + "page.html", "wrong", timeout=30)
    assert (refused.status_code, refused.text) == (400, "it contains no votes")
    assert requests.post(base + "page.html", b"\xff", timeout=30).status_code == 400
    assert taken == [("page.html", "ä"), ("other.html", "b")]
    silent = server.url_of(FolderShare(root), "page.html")
    assert requests.post(silent, "x", timeout=30).status_code == 404


def test_a_closed_server_gives_its_port_back(root: Path):
    server = PageServer()
    port = urlsplit(server.url_of(FolderShare(root))).port
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port or 0), timeout=5).close()


def test_a_named_share_is_found_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_HOME", str(tmp_path / "home"))
    tokens = [Shares().add(FolderShare(root), name) for name in ("board a", "board a", "board b")]
    assert tokens[0] == tokens[1] != tokens[2]
    secret = tmp_path / "home" / "page-secret"
    if os.name == "posix":
        assert secret.stat().st_mode & 0o77 == 0
    secret.write_bytes(b"cut short")
    assert Shares().add(FolderShare(root), "board a") not in tokens
    monkeypatch.setenv("LORALOOM_HOME", str(secret))
    assert Shares().add(FolderShare(root), "board a") not in tokens


def test_files_of_a_package_are_listed():
    names = [name for name, _ in package_files("a1111_ext.grids.page", "web")]
    assert names == sorted(names)
    assert "page.html" in names


# -- in the network --------------------------------------------------------------------------------


OTHER = "127.0.0.2"
"""Another address of this machine, as one in a network would be."""

needs_another = pytest.mark.skipif(sys.platform == "darwin", reason="it has only one such address")


@needs_another
def test_in_the_network_only_the_printed_address_answers(root: Path):
    with PageServer(host=OTHER) as server:
        url = server.url_of(FolderShare(root), "page.html")
        where = urlsplit(url)
        assert where.hostname == OTHER
        assert requests.get(url, timeout=30).status_code == 200
        for host in ("localhost", "127.0.0.1", "attacker.example"):
            headers = {"Host": f"{host}:{where.port}"}
            assert requests.get(url, headers=headers, timeout=30).status_code == 403
        assert requests.get(f"http://{where.netloc}/page.html", timeout=30).status_code == 404


@needs_another
def test_the_loopback_address_is_left_alone(root: Path):
    with PageServer(host=OTHER) as server:
        port = urlsplit(server.url_of(FolderShare(root), "page.html")).port
        with socket.socket() as one:
            one.settimeout(5)
            assert one.connect_ex(("127.0.0.1", port)) != 0


def test_without_a_network_it_is_said(monkeypatch: pytest.MonkeyPatch):
    class Nowhere(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError("network is unreachable")

    monkeypatch.setattr("kohya_ext.project.server.socket.socket", Nowhere)
    with pytest.raises(MissingError, match="LL183"):
        lan_address()


def test_a_page_for_the_phone_shows_its_address(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def end(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kohya_ext.project.server.lan_address", lambda: "127.0.0.1")
    monkeypatch.setattr("kohya_ext.project.cli.time.sleep", end)
    serve_until_interrupted(FolderShare(root), "page.html", lan=True)
    printed = capsys.readouterr()
    assert printed.out.startswith("http://127.0.0.1:")
    assert "anyone with this address can also look and decide" in printed.err


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp1252", "cp932", "cp936"])
def test_a_terminal_gets_a_code_to_scan(monkeypatch: pytest.MonkeyPatch, encoding: str):
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding=encoding)  # what it lacks would be an error
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("kohya_ext.project.cli._letters_of_terminal", lambda: encoding)
    show_qr("http://192.168.0.5:40123/abcdefghijklmnopqrstuv/grid.html")
    terminal.flush()
    lines = written.getvalue().decode(encoding).splitlines()
    assert len(lines) == (19 if encoding in ("utf-8", "cp437") else 37)
    assert all(line.startswith("\x1b[") for line in lines)


def test_a_port_that_is_taken_is_said(root: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConflictError, match="LL184"):
            serve_until_interrupted(FolderShare(root), "page.html", port=other.getsockname()[1])
