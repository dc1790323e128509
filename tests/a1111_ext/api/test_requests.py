"""What a client asks and how it reads the answer, without a server: the session answers."""

from __future__ import annotations

import io
import json
import pickle
import socket
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

from a1111_ext.api.client import (
    ANSWER_SECONDS,
    AnswerTimeout,
    ApiError,
    Client,
    ConnectionLost,
    Credentials,
    OutOfMemory,
    _message,
    _reason,
    _safe_target,
    unexpected,
)

URL = "http://h:7860"
PIECE = 1 << 20


@dataclass
class Asked:
    """A session that notes its requests and answers with what it is given, the last again."""

    answers: list[Any] = field(default_factory=lambda: [b"{}"])
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    sessions: list[requests.Session] = field(default_factory=list)

    def request(self, session: requests.Session, method: str, url: str, **words: Any) -> Any:
        self.sessions.append(session)
        self.requests.append((method, url, words))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, requests.Response) else answered(200, answer)

    @property
    def urls(self) -> list[str]:
        return [url for _, url, _ in self.requests]


def answered(status: int, body: bytes = b"", **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = status, HTTPStatus(status).phrase
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
    response.raw.read1 = io.BytesIO(body).read1
    return response


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(requests.Session, "request", lambda *a, **k: made.request(*a, **k))
    return made


def refused(asked: Asked, answer: Any, path: str = "/sdapi/v1/options") -> ApiError:
    asked.answers = [answer]
    with pytest.raises(ApiError) as caught:
        Client(URL).post(path)
    return caught.value


def test_a_lost_question_is_asked_three_times(asked: Asked):
    asked.answers = [OSError("one"), OSError("two"), b"[5]"]
    client = Client(URL)
    assert client.get("/x") == [5]
    asked.answers = [OSError("Connection refused")]
    with pytest.raises(ConnectionLost, match="connection refused"):
        client.get("/x")
    assert len(asked.requests) == 6
    assert client.last_path == "/x"


def test_what_changes_something_is_asked_once(asked: Asked):
    refused(asked, OSError("Connection reset"))
    assert [method for method, _, _ in asked.requests] == ["POST"]


def test_a_refusal_is_no_reason_to_ask_again(asked: Asked):
    asked.answers = [answered(500)]
    with pytest.raises(ApiError):
        Client(URL).get("/x")
    assert len(asked.requests) == 1


def test_each_request_has_its_time(asked: Asked):
    client = Client(URL)
    client.get("/x")
    client.get("/x", seconds=3)
    client.post("/x", {"a": 1}, seconds=60)
    client.post("/x")
    assert [words["timeout"] for _, _, words in asked.requests] == [
        (ANSWER_SECONDS, seconds) for seconds in (ANSWER_SECONDS, 3, 60, ANSWER_SECONDS)
    ]
    assert [words["json"] for _, _, words in asked.requests] == [None, None, {"a": 1}, {}]
    assert all(words["stream"] for _, _, words in asked.requests)
    assert not any(words["allow_redirects"] for _, _, words in asked.requests)


def test_the_deadline_counts_from_now(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("a1111_ext.api.client.time.monotonic", lambda: 1000.0)
    Client(URL).get("/x", seconds=3)
    assert asked.sessions[0].until == 1003.0


def test_a_session_serves_all_requests_until_it_is_closed(asked: Asked):
    client = Client(URL)
    client.close()
    client.get("/x")
    client.get("/x")
    client.close()
    client.close()
    with client:
        client.get("/x")
    first, second, third = asked.sessions
    assert first is second
    assert third is not first


def test_a_session_asks_for_plain_bytes_with_the_password(asked: Asked):
    Client("http://mira:hidden@h:7860").get("/x")
    Client(URL, Credentials("oren", "other")).get("/x")
    Client(URL).get("/x")
    assert [one.auth for one in asked.sessions] == [("mira", "hidden"), ("oren", "other"), None]
    assert asked.sessions[0].headers["Accept-Encoding"] == "identity"
    assert asked.urls == ["http://h:7860/x"] * 3


def test_given_credentials_count_over_those_of_the_address(asked: Asked):
    client = Client("http://mira:hidden@h:7860", Credentials("oren", "other"))
    client.another().get("/x")
    assert asked.sessions[0].auth == ("oren", "other")


def test_ones_own_certificates_count_with_https_alone(asked: Asked, monkeypatch, tmp_path):
    own = tmp_path / "own.pem"
    own.write_text("", encoding="utf-8")
    for url in ("https://h", "http://h"):
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        Client(url).get("/x")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
        Client(url).get("/x")
    assert [one.verify for one in asked.sessions] == [True, str(own), True, True]


def test_a_client_travels_without_its_connection(asked: Asked):
    client = Client("http://mira:hidden@h:7860")
    client.get("/x")
    there = pickle.loads(pickle.dumps(client))
    there.get("/y")
    assert asked.urls == ["http://h:7860/x", "http://h:7860/y"]
    assert asked.sessions[1] is not asked.sessions[0]
    assert asked.sessions[1].auth == ("mira", "hidden")


@pytest.mark.parametrize(
    ("url", "address"),
    [("http://h", ("h", 80)), ("https://h", ("h", 443)), ("https://h:7860/x", ("h", 7860))],
)
def test_the_port_is_looked_at_without_a_request(monkeypatch, url: str, address: tuple[str, int]):
    asked: list[object] = []

    def connect(*given: object) -> Any:
        asked.append(given)
        return nullcontext()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert Client(url).is_listening()
    assert asked == [(address, ANSWER_SECONDS)]

    def refuse(*given: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert not Client(url).is_listening()


def test_bytes_come_as_they_are(asked: Asked):
    asked.answers = [b"\x89PNG"]
    assert Client(URL).get_bytes("/file", most_bytes=4) == b"\x89PNG"
    with pytest.raises(ApiError, match=r"more than 3 bytes.*LL416"):
        Client(URL).get_bytes("/file", most_bytes=3)


def test_the_limit_of_pictures_is_never_passed(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_LIMIT_PICTURE_BYTES", "10")
    asked.answers = [b'"' + b"x" * 8 + b'"']
    client = Client(URL)
    assert client.post("/x") == client.post("/x", most_bytes=20) == "x" * 8
    asked.answers = [b'"' + b"x" * 9 + b'"']
    for most in (None, 20):
        with pytest.raises(ApiError, match="more than 10 bytes"):
            client.post("/x", most_bytes=most)
    with pytest.raises(ApiError, match="more than 5 bytes"):
        client.post("/x", most_bytes=5)


def test_pictures_come_as_views_only_when_asked_for(asked: Asked):
    asked.answers = [b'{"images": ["abc"]}']
    plain, views = (Client(URL).post("/x", has_pictures=one) for one in (False, True))
    assert plain == {"images": ["abc"]}
    assert [type(views["images"][0]), bytes(views["images"][0])] == [memoryview, b"abc"]
    assert Client(URL).post("/x") == plain


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_long_answer_is_read_whole(asked: Asked, size: int, is_known: bool):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    answer = answered(200, body, **({"content_length": str(size)} if is_known else {}))
    if is_known:
        answer.raw._fp = type("Response", (), {"fp": io.BufferedReader(io.BytesIO(body))})()
    asked.answers = [answer]
    assert Client(URL).get_bytes("/file", most_bytes=size) == body


def test_a_length_over_the_limit_is_not_read(asked: Asked):
    asked.answers = [answered(200, b"", content_length="11")]
    with pytest.raises(ApiError, match=r"more than 10 bytes.*LL416"):
        Client(URL).get_bytes("/file", most_bytes=10)


@pytest.mark.parametrize(
    ("raised", "kind", "code", "words"),
    [
        (requests.exceptions.InvalidURL("x"), ApiError, "LL401", "not an address"),
        (requests.exceptions.MissingSchema("x"), ApiError, "LL401", "not an address"),
        (requests.exceptions.ConnectTimeout("x"), AnswerTimeout, "LL404", "within 15 seconds"),
        (ReadTimeoutError(None, "", "x"), AnswerTimeout, "LL404", "within 15 seconds"),
        (TimeoutError("x"), AnswerTimeout, "LL404", "did not answer /sdapi"),
        (requests.exceptions.SSLError("x"), ConnectionLost, "LL401", "REQUESTS_CA_BUNDLE"),
        (HTTPError("x"), ConnectionLost, "LL401", "--api"),
        (requests.exceptions.ConnectionError("x"), ConnectionLost, "LL401", "--api"),
        (ConnectionResetError("x"), ConnectionLost, "LL401", "ConnectionResetError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_way_to_fail_has_its_sentence(
    asked: Asked, raised: Exception, kind: type, code: str, words: str
):
    error = refused(asked, raised)
    assert (type(error), error.code, error.status) == (kind, code, 0)
    assert words in str(error)
    assert error.__cause__ is raised


@pytest.mark.parametrize(
    ("status", "body", "path", "kind", "code"),
    [
        (200, b"<html>", "/x", ApiError, "LL406"),
        (401, b"", "/x", ApiError, "LL403"),
        (404, b"", "/sdapi/v1/x", ApiError, "LL402"),
        (405, b"", "/sdapi/v1/x", ApiError, "LL402"),
        (404, b"", "/loraloom/x", ApiError, "LL405"),
        (400, b"", "/sdapi/v1/x", ApiError, "LL405"),
        (403, b"", "/x", ApiError, "LL405"),
        (500, b'{"errors": "CUDA Out Of Memory"}', "/x", OutOfMemory, "LL407"),
        (500, b"", "/x", ApiError, "LL405"),
        (201, b"{}", "/x", ApiError, "LL405"),
    ],
)
def test_each_status_has_its_code(
    asked: Asked, status: int, body: bytes, path: str, kind: type, code: str
):
    error = refused(asked, answered(status, body), path)
    assert (type(error), error.code, error.status) == (kind, code, status)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "the phrase"),
        (b"[]", "the phrase"),
        (b"{}", "the phrase"),
        (b'{"detail": "d", "error": "e"}', "d"),
        (b'{"message": "m", "detail": "d"}', "m"),
        (b'{"errors": "es", "message": "m"}', "es"),
        (b'{"errors": "", "error": "e"}', "e"),
        (b'{"detail": [1, 2]}', "[1, 2]"),
        (json.dumps({"detail": ["x" * 500]}).encode(), '["' + "x" * 398),
    ],
)
def test_a_refusal_tells_the_hosts_own_words(body: bytes, message: str):
    assert _message("the phrase", body) == message
    assert _message("", b"") == "no reason given"


def held_back(body: object) -> bytes:
    return json.dumps({"error": "ResponseValidationError", "body": body}).encode()


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (500, held_back({"port": 7861}), {"port": 7861}),
        (500, held_back(None), None),
        (500, held_back(5)[:-1], None),
        (500, b'["ResponseValidationError"]', None),
        (500, b'{"a": "%s", "error": "ResponseValidationError", "body": 5}' % (b"x" * 99), None),
        (422, held_back(5), None),
        (501, held_back(5), None),
    ],
)
def test_only_what_a_hosts_own_schema_refused_is_read(
    asked: Asked, status: int, body: bytes, found: object
):
    asked.answers = [answered(status, body)]
    if found is None:
        assert refused(asked, answered(status, body)).code == "LL405"
    else:
        assert Client(URL).get("/x") == found


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://h:1/x", "/y", "http://h:1/y"),
        ("http://h:1/x", "http://h:1/y", "http://h:1/y"),
        ("http://h:1/x", "http://h:2/y", None),
        ("http://h:2/x", "http://h:1/y", None),
        ("http://h:1/x", "http://g:1/y", None),
        ("http://h:1/x", "http://z:1/y", None),
        ("http://h/x", "https://h/y", "https://h/y"),
        ("http://h:1/x", "https://h:2/y", "https://h:2/y"),
        ("https://h/x", "http://h/y", None),
        ("https://h/x", "/y", "https://h/y"),
        ("http://h:1/x", "http://a:b@h:1/y", None),
        ("http://h:1/x", "http://[::1", None),
        ("http://h:1/x", "http://h:99999/", None),
        ("ftp://h/x", "https://h/y", None),
    ],
)
def test_a_redirect_stays_with_the_host(url: str, location: str, target: str | None):
    assert _safe_target(url, location) == target


def chain(length: int) -> Callable[..., Any]:
    return lambda session, method, url, **words: (
        answered(307, location=f"/{int(url[-1]) + 1}")
        if int(url[-1]) < length
        else answered(200, b"5")
    )


@pytest.mark.parametrize("length", [0, 1, 3, 4])
def test_three_redirects_are_followed(monkeypatch: pytest.MonkeyPatch, length: int):
    monkeypatch.setattr(requests.Session, "request", chain(length))
    if length < 4:
        assert Client(URL).get("/0") == 5
    else:
        with pytest.raises(ApiError, match="LL417"):
            Client(URL).get("/0")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("[Errno 111] Connection refused", "connection refused"),
        ("IncompleteRead(0 bytes read)", "it stopped in the middle of an answer"),
        ("[WinError 10054] x", "connection reset"),
        ("[Errno 11001] getaddrinfo failed", "no machine with this name was found"),
        ("SSL: WRONG_VERSION_NUMBER", "it uses http, not https"),
        ("something else", "OSError"),
    ],
)
def test_a_lost_connection_has_a_plain_reason(words: str, reason: str):
    assert _reason(OSError(words)) == reason


def test_an_answer_of_another_shape_is_named():
    error = unexpected(URL, "/x", KeyError("a"))
    assert (error.code, error.status) == ("LL418", 0)
    assert "http://h:7860 answered /x in an unexpected way: 'a'" in str(error)
