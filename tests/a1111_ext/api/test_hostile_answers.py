"""Whatever answers in place of a WebUI: one sentence, quickly, and no secret in it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from a1111_ext.api.client import (
    AnswerTimeout,
    ApiError,
    Client,
    ConnectionLost,
    Credentials,
    split_address,
)
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cli.webui import open_webuis
from a1111_ext.simulator import start_webui
from kohya_ext.project import InputError, ToolError, read_settings
from kohya_ext.project.limits import ReadLimits, limits
from kohya_ext.project.settings import settings_path, write_setting

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def host(answer: Answer) -> Iterator[str]:
    """A server on the loopback address that answers every request by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with suppress(OSError):  # the client went away, as it should
                answer(self)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def sends(body: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b"[" * 65536)


def redirects(target: str, seen: list[str]) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.path)
        length = int(request.headers.get("Content-Length") or 0)
        request.rfile.read(length)
        request.send_response(307)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_LIMIT_ANSWER_BYTES", "2000000")
    with host(endless) as url, pytest.raises(ApiError, match=r"more than 2000000 bytes.*LL416"):
        Client(url).get("/sdapi/v1/options")


def test_a_picture_is_no_longer_than_its_pixels_can_be():
    with host(endless) as url, pytest.raises(ApiError, match=r"more than 500000 bytes.*LL416"):
        Client(url).post("/sdapi/v1/txt2img", most_bytes=500_000)


def test_an_answer_of_exactly_the_limit_is_read(monkeypatch: pytest.MonkeyPatch):
    body = b'"' + b"x" * 98 + b'"'
    monkeypatch.setenv("LORALOOM_LIMIT_ANSWER_BYTES", "100")
    with host(sends(body)) as url:
        assert Client(url).get("/x") == "x" * 98
    monkeypatch.setenv("LORALOOM_LIMIT_ANSWER_BYTES", "99")
    with host(sends(body)) as url, pytest.raises(ApiError, match="LL416"):
        Client(url).get("/x")


def test_an_answer_that_drips_ends_in_time():
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(200):
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.02)

    with host(drip) as url, pytest.raises(AnswerTimeout, match="LL404"):
        Client(url).post("/sdapi/v1/txt2img", seconds=0.2)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"\xff\xfe{", b"", b"{", b"NaN,"],
    ids=["deep", "not utf-8", "empty", "cut off", "rubbish"],
)
def test_anything_but_json_is_one_sentence(body: bytes):
    with host(sends(body)) as url, pytest.raises(ApiError, match=r"is not a WebUI.*406"):
        Client(url).get("/sdapi/v1/options")


ROUTES = (
    "options", "sd-vae", "cmd-flags", "scripts", "upscalers", "latent-upscale-modes", "sd-models",
    "samplers", "schedulers", "extensions", "script-info", "loras",
)  # fmt: skip


@pytest.mark.parametrize("wrong", [None, "text", [], {}, 7, [None], [[]], [{}], {"a": None}])
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_may_answer_anything(route: str, wrong: Any, tmp_path, monkeypatch):
    with start_webui(tmp_path) as webui:
        real = Client.get

        def get(self: Client, path: str, **named: Any) -> Any:
            found = real(self, path, **named)
            return wrong if path == f"/sdapi/v1/{route}" else found

        monkeypatch.setattr(Client, "get", get)
        with Client(webui.url) as client, suppress(ToolError):  # anything else fails the test
            fetch_capabilities(client)


def test_a_prompt_is_not_sent_on_to_another_host():
    seen: list[str] = []
    with (
        host(sends(b"{}")) as elsewhere,
        host(redirects(elsewhere.replace("127.0.0.1", "localhost") + "/x", seen)) as url,
        pytest.raises(ApiError, match=r"another address.*LL417"),
    ):
        Client(url).post("/sdapi/v1/txt2img", {"prompt": "a fox"})
    assert seen == ["/sdapi/v1/txt2img"]


def test_a_redirect_on_the_same_host_is_followed():
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/"):
            sends(b'{"ok": 1}')(request)
        else:
            redirects(request.path + "/", [])(request)

    with host(answer) as url:
        assert Client(url).get("/x") == {"ok": 1}


def test_redirects_without_end_are_refused():
    with host(redirects("/again", [])) as url, pytest.raises(ApiError, match="LL417"):
        Client(url).get("/x")


@pytest.mark.parametrize(
    ("text", "url", "found"),
    [
        ("http://h:7860/", "http://h:7860", None),
        ("h:7860", "http://h:7860", None),
        ("http://mira:pa%3Ass@h:7860", "http://h:7860", Credentials("mira", "pa:ss")),
        ("mira:secret@h:7860", "http://h:7860", Credentials("mira", "secret")),
        ("https://a:b@[::1]:1/sub", "https://[::1]:1/sub", Credentials("a", "b")),
        ("http://a:b@c@h:1", "http://h:1", Credentials("a", "b@c")),
    ],
)
def test_credentials_leave_the_address_at_once(text: str, url: str, found: object):
    assert split_address(text) == (url, found)


@pytest.mark.parametrize(
    "text",
    ["http://secretword@h:1", "http://:secretword@h", "http://a:b@", "http://a:secretword@[::1"],
)
def test_an_address_that_may_hold_a_secret_is_not_repeated(text: str):
    with pytest.raises(InputError, match="LL403") as caught:
        split_address(text)
    assert "secretword" not in str(caught.value)


def test_a_password_is_used_and_never_kept(tmp_path, capsys: pytest.CaptureFixture[str]):
    with start_webui(tmp_path / "webui", auth="mira:hidden-word") as webui:
        address = webui.url.replace("://", "://mira:hidden-word@")
        with open_webuis((address,), "") as opened:
            assert opened[0][1].url == webui.url
    assert read_settings().webui_urls == (webui.url,)
    assert "hidden-word" not in settings_path().read_text(encoding="utf-8")
    assert "hidden-word" not in "".join(capsys.readouterr())


@pytest.mark.skipif(os.name == "nt", reason="a user's own folder is private there")
def test_settings_are_readable_by_their_owner_only():
    write_setting("trainer", "x")
    assert settings_path().stat().st_mode & 0o077 == 0


def test_limits_can_be_raised_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_LIMIT_JSON_BYTES", "7")
    assert limits() == ReadLimits(json_bytes=7)
    monkeypatch.setenv("LORALOOM_LIMIT_JSON_BYTES", "much")
    with pytest.raises(ValueError, match="LORALOOM_LIMIT_JSON_BYTES is 'much'"):
        limits()


def test_the_defaults_of_json_are_plain():
    assert json.dumps(vars(ReadLimits())).isascii()


HEAD = b"HTTP/1.1 200 OK\r\n"
SHORT = HEAD + b"Content-Length: 100\r\n\r\n{"
LONG = HEAD + b"Content-Length: 3000000\r\n\r\n{"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Send = Callable[[socket.socket], None]


@contextmanager
def plain_host(send: Send) -> Iterator[str]:
    """A server that sends what it likes, whatever HTTP says, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.recv(65536)
                    send(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):  # Linux needs it, Windows and macOS refuse it: closing is enough
            listener.shutdown(socket.SHUT_RDWR)


def says(content: bytes) -> Send:
    return lambda connection: connection.sendall(content)


def drips(begin: bytes, letter: bytes) -> Send:
    def send(connection: socket.socket) -> None:
        connection.sendall(begin)
        for _ in range(200):
            connection.sendall(letter)
            time.sleep(0.02)

    return send


@pytest.mark.parametrize(
    "send",
    [
        drips(HEAD, b"X"),
        drips(HEAD + b"Content-Length: 400\r\n\r\n", b"1"),
        drips(LONG, b"1"),
        drips(CHUNKED, b"0"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers", "body", "long body", "length of a chunk", "continue"],
)
def test_a_drip_ends_in_time_wherever_it_is(send: Send):
    with plain_host(send) as url, pytest.raises(AnswerTimeout, match="LL404"):
        Client(url).post("/sdapi/v1/txt2img", seconds=0.2)


@pytest.mark.parametrize(
    "content",
    [SHORT, LONG, CHUNKED + b"5\r\n{", CHUNKED + b"zz\r\n", b"hello\r\n\r\n", b""],
    ids=["short", "long", "chunk", "no chunk", "no HTTP", "nothing"],
)
def test_an_answer_that_breaks_off_is_a_lost_connection(content: bytes):
    with plain_host(says(content)) as url, pytest.raises(ConnectionLost, match="LL401"):
        Client(url).post("/sdapi/v1/txt2img", seconds=5)


@pytest.mark.parametrize("length", [b"abc", b"-5", b"9" * 5000], ids=["letters", "below 0", "long"])
def test_a_length_that_is_none_does_not_count(length: bytes):
    with plain_host(says(HEAD + b"Content-Length: " + length + b"\r\n\r\n{}")) as url:
        assert Client(url).get("/x") == {}


@pytest.mark.parametrize(
    "target", ["http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:1/x", "\xff", "ftp:/x"]
)
def test_a_redirect_that_leads_elsewhere_is_refused(target: str):
    with host(redirects(target, [])) as url, pytest.raises(ApiError, match="LL417"):
        Client(url).get("/x")


def test_the_body_of_a_redirect_is_not_read(monkeypatch: pytest.MonkeyPatch):
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(307)
        request.send_header("Location", "/again")
        request.end_headers()
        while True:
            request.wfile.write(b"[" * 65536)

    with host(answer) as url, pytest.raises(ApiError, match="LL417"):
        Client(url).get("/x")
