"""HTTP to a WebUI: one session, a timeout on every request, errors as sentences.

Only requests that change nothing are tried again.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from kohya_ext.project import HostError, InputError
from kohya_ext.project.json_reader import ShapeError, parse_json, parse_with_pictures
from kohya_ext.project.limits import limits
from kohya_ext.project.numbers import whole_number

if TYPE_CHECKING:
    import requests

    from .transport import Transport

ANSWER_SECONDS = 15.0
"""How long a request that only asks may take."""

PICTURE_SECONDS = 1800.0
"""How long one picture may take: large ones on a CPU take many minutes."""

_TRIES = 3
_REDIRECTS = 4
_PIECE_BYTES = 1 << 20
"""How much of an answer is read at a time; a picture has some megabytes."""


class ApiError(HostError):
    """A WebUI's refusal; `status` is its HTTP status, 0 when no answer came."""

    def __init__(self, code: str, problem: str, cure: str, status: int = 0) -> None:
        super().__init__(code, problem, cure)
        self.status = status


class ConnectionLost(ApiError):
    """No answer came: refused, reset, or too slow. The request may have been carried out."""


class AnswerTimeout(ConnectionLost):
    """The WebUI runs, but did not answer in time; it may still be at work."""


class OutOfMemory(ApiError):
    """The WebUI ran out of GPU memory."""


@dataclass(frozen=True)
class Credentials:
    """What `--api-auth USER:PASSWORD` of the WebUI asks for."""

    user: str
    password: str


def parse_credentials(text: str) -> Credentials | None:
    """Read `user:password`; None for an empty text. Raises InputError for anything else."""
    if not text:
        return None
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise InputError(
            "LL403",
            "The credentials must have the form user:password.",
            "Give those of the WebUI's --api-auth.",
        )
    return Credentials(user, password)


def split_address(text: str) -> tuple[str, Credentials | None]:
    """Split an address as people type it into a plain URL and the credentials within it.

    Whatever is printed, kept or sent on is the plain URL. Raises InputError for an address that
    holds a user without a password, or cannot be read; the sentence does not repeat it.
    """
    url = (text if "://" in text or not text else f"http://{text}").rstrip("/")
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if "@" not in parts.netloc:
            return url, None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        host, user, password = "", "", ""
    if not (host and user and password):
        raise InputError(
            "LL403",
            "The address of the WebUI cannot be read; it is not shown, because it may "
            "contain a password.",
            "Write it as http://127.0.0.1:7860 and add --auth user:password.",
        )
    return urlunsplit(parts._replace(netloc=host)), Credentials(user, password)


def unexpected(url: str, path: str, error: Exception) -> ApiError:
    """Return the error for an answer of another shape than this route's."""
    return ApiError(
        "LL418",
        f"The WebUI at {url} answered {path} in an unexpected way: {error}.",
        "Check the address, and update the WebUI; an extension may change its answers.",
    )


SERVER_ERROR = 500
"""After such an answer a WebUI ends the connection, without saying so, and a busy one ends it late:
the next request would go into a connection that is being closed, and a POST is not sent twice."""

_CHANGING = "changed size during iteration"
"""What A1111 answers with status 500 to who asks for a list that is just being read again."""

_Parse = Callable[[bytes | bytearray], Any]


class Client:
    """Talk to one WebUI at `url`, for example http://127.0.0.1:7860.

    Credentials within the address count unless others are given; `url` never holds them.
    """

    def __init__(self, url: str, credentials: Credentials | None = None) -> None:
        self.url, within = split_address(url)
        self._credentials = credentials or within
        self._session: Transport | None = None
        self.last_path = ""

    def get(self, path: str, *, seconds: float = ANSWER_SECONDS) -> Any:
        """Return the JSON of a route; tried again when the connection fails.

        So it is while another program lets the WebUI read a list again. Raises HostError.
        """
        for attempt in range(_TRIES):
            try:
                return self._send("GET", path, None, seconds, limits().answer_bytes)
            except ApiError as error:
                if not (isinstance(error, ConnectionLost) or _CHANGING in error.problem):
                    raise
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    def get_bytes(self, path: str, *, most_bytes: int) -> bytes:
        """Return what a route sends as it is, a file for example. Raises ApiError."""
        content: bytes = self._send("GET", path, None, ANSWER_SECONDS, most_bytes, bytes)
        return content

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = ANSWER_SECONDS,
        most_bytes: int | None = None,
        has_pictures: bool = False,
    ) -> Any:
        """Send JSON to a route and return its JSON; never tried again. Raises ApiError.

        An answer of more than `most_bytes` (else `limits().picture_bytes`) is refused. With
        `has_pictures` the texts under "images" may come as views of bytes, never copied.
        """
        most = min(limits().picture_bytes, most_bytes or limits().picture_bytes)
        parse = parse_with_pictures if has_pictures else parse_json
        return self._send("POST", path, dict(body or {}), seconds, most, parse)

    def another(self) -> Client:
        """Return a client of its own for another thread."""
        return Client(self.url, self._credentials)

    def is_listening(self) -> bool:
        """Tell whether something listens at the port, without a request.

        A request in the instant between port and API makes a WebUI start without API permanently.
        """
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            with socket.create_connection((parts.hostname or "", port), ANSWER_SECONDS):
                return True
        except OSError:
            return False

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open connection behind when sent to another process."""
        return {**self.__dict__, "_session": None}

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        seconds: float,
        most: int,
        parse: _Parse = parse_json,
    ) -> Any:
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        from .transport import Transport

        if self._session is None:
            self._session = Transport()
            self._session.verify = _own_certificates() if self.url[:6] == "https:" else True
            self._session.headers["Accept-Encoding"] = "identity"  # its length is its real size
            if self._credentials:
                self._session.auth = (self._credentials.user, self._credentials.password)
        self.last_path = path
        self._session.until = time.monotonic() + seconds
        try:
            answer = self._request(method, self.url + path, body, seconds)
            try:
                content = _content(answer, most)
            finally:
                answer.close()
                if answer.status_code >= SERVER_ERROR:
                    self.close()
        except _TooLong as error:
            raise ApiError(
                "LL416",
                f"The WebUI at {self.url} answered {path} with more than {most} bytes.",
                "Check the address; if the answer is expected, raise the limit (docs/cells.md).",
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise ApiError(
                "LL401",
                f'"{self.url}" is not an address of a WebUI.',
                "Give one such as http://127.0.0.1:7860.",
            ) from error
        except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
            raise AnswerTimeout(
                "LL404",
                f"The WebUI at {self.url} did not answer {path} within {seconds:g} seconds.",
                "Check its console for errors; run the same command again to continue.",
            ) from error
        except requests.exceptions.SSLError as error:
            raise ConnectionLost(
                "LL401",
                f"No WebUI answers at {self.url}: {_reason(error)}.",
                "Set REQUESTS_CA_BUNDLE to the file of its certificate if it is yours, or give "
                "the address with http:// if it has none.",
            ) from error
        except (HTTPError, OSError) as error:  # RequestException is an OSError
            raise ConnectionLost(
                "LL401",
                f"No WebUI answers at {self.url}: {_reason(error)}.",
                "Start it with --api, wait until it is running, and check the address.",
            ) from error
        return self._read(answer, path, content, parse)

    def _request(self, method: str, url: str, body: object, seconds: float) -> requests.Response:
        """Send a request; follow a redirect on the same host only, and never away from https."""
        assert self._session is not None
        for _ in range(_REDIRECTS):
            answer = self._session.request(
                method,
                url,
                json=body if method == "POST" else None,
                timeout=(ANSWER_SECONDS, seconds),
                stream=True,  # a picture is read in large pieces, and no more than its limit
                allow_redirects=False,
            )
            if not answer.is_redirect:
                return answer
            target = _safe_target(url, answer.headers["location"])
            answer.close()
            if target is None:
                break
            url = target
        raise ApiError(
            "LL417",
            f"The WebUI at {self.url} redirects requests to another address.",
            "Give its real address; loraloom sends no prompts to a redirect.",
        )

    def _read(
        self,
        answer: requests.Response,
        path: str,
        body: bytes | bytearray,
        parse: Callable[[bytes | bytearray], Any],
    ) -> Any:
        if answer.status_code == 200:
            try:
                return parse(body)
            except ShapeError as error:
                raise ApiError(
                    "LL406",
                    f"{self.url}{path} is not a WebUI: {error}.",
                    "Check the address and the port.",
                    200,
                ) from error
        held_back = _held_back(answer.status_code, body)
        if held_back is not None:
            return held_back
        message = _message(answer.reason, body)
        if answer.status_code == 401:
            raise ApiError(
                "LL403",
                f"The WebUI at {self.url} refused the credentials: {message}.",
                "Give those of its --api-auth: --auth user:password.",
                401,
            )
        if answer.status_code in (404, 405) and path.startswith("/sdapi/"):
            raise ApiError(
                "LL402",
                f"The WebUI at {self.url} has no {path}: {message}.",
                "Start it with --api.",
                answer.status_code,
            )
        if "out of memory" in message.lower():
            raise OutOfMemory(
                "LL407",
                f"The WebUI at {self.url} ran out of GPU memory: {message}.",
                "Use a smaller size or batch, or close other programs that use the GPU.",
                answer.status_code,
            )
        raise ApiError(
            "LL405",
            f"The WebUI at {self.url} refused {path} with {answer.status_code}: {message}.",
            "See the WebUI's console.",
            answer.status_code,
        )


def _safe_target(url: str, location: str) -> str | None:
    """Return where a redirect leads: to the same host and port, or to its https; else None."""
    try:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
        ports = (here.port, there.port)
    except ValueError:
        return None
    is_upgrade = (here.scheme, there.scheme) == ("http", "https")
    is_same = here.scheme == there.scheme and ports[0] == ports[1]
    if not (is_upgrade or is_same) or there.hostname != here.hostname or "@" in there.netloc:
        return None
    return target


class _TooLong(Exception):
    """An answer is longer than its limit."""


def _content(answer: requests.Response, most: int) -> bytes | bytearray:
    """Read the body in pieces. Raises _TooLong, HTTPError or OSError."""
    raw: Any = answer.raw
    length = whole_number(answer.headers.get("content-length") or "") or 0
    if length > most:
        raise _TooLong
    fill = getattr(getattr(getattr(raw, "_fp", None), "fp", None), "readinto1", None)
    if length > _PIECE_BYTES and fill is not None:
        return _filled(length, fill)
    read1 = getattr(raw, "read1", None) or raw._fp.read1  # urllib3 2, or 1 as in A1111
    from http.client import HTTPException

    pieces, size = [], 0
    try:
        while piece := read1(_PIECE_BYTES):
            size += len(piece)
            if size > most:
                raise _TooLong
            pieces.append(piece)
    except (HTTPException, ValueError) as error:  # as urllib3 1 leaves them
        raise ConnectionResetError(type(error).__name__) from error
    if size < length and "content-encoding" not in answer.headers:  # urllib3 1 says nothing
        raise ConnectionResetError("IncompleteRead")
    return b"".join(pieces)


def _filled(length: int, fill: Callable[[memoryview], int]) -> bytearray:
    """Read a long body of known length straight into its place: pieces would be copied twice."""
    body = bytearray(length)
    rest = memoryview(body)
    while rest:
        size = fill(rest)
        if not size:
            raise ConnectionResetError("IncompleteRead")
        rest = rest[size:]
    return body


def _own_certificates() -> str | bool:
    """Return the file of certificates that REQUESTS_CA_BUNDLE names, as requests reads it."""
    named = os.environ.get("REQUESTS_CA_BUNDLE", "")
    if named and not Path(named).exists():
        raise InputError(
            "LL401",
            f"REQUESTS_CA_BUNDLE names {named}, which does not exist.",
            "Correct that variable, or unset it.",
        )
    return named or True


_REASONS = {
    "Connection refused": "connection refused",
    "10061": "connection refused",  # Windows says it in its own language
    "IncompleteRead": "it stopped in the middle of an answer",
    "Connection reset": "connection reset",
    "10054": "connection reset",
    "Connection aborted": "it closed the connection without an answer",
    "No route to host": "this network has no way to it",
    "10065": "this network has no way to it",
    "Network is unreachable": "this machine has no network to it",
    "10051": "this machine has no network to it",
    "Name or service not known": "no machine with this name was found",
    "nodename nor servname": "no machine with this name was found",
    "getaddrinfo failed": "no machine with this name was found",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
    "WRONG_VERSION_NUMBER": "it uses http, not https",
}


def _reason(error: Exception) -> str:
    text = str(error)
    return next((said for mark, said in _REASONS.items() if mark in text), type(error).__name__)


def _held_back(status: int, body: bytes | bytearray) -> Any:
    """Return the answer that a server's own schema refused; None for any other error.

    Forge started with `--port` answers /sdapi/v1/cmd-flags so: a number where its schema says text.
    """
    if status != 500 or b"ResponseValidationError" not in body[:100]:
        return None
    try:
        return parse_json(body).get("body")
    except (ValueError, AttributeError):
        return None


def _message(reason: str, body: bytes | bytearray) -> str:
    """Find the sentence in any of the WebUI's error shapes."""
    otherwise = reason or "no reason given"
    try:
        data = parse_json(body)
    except ShapeError:
        return otherwise
    if not isinstance(data, dict):
        return otherwise
    for key in ("errors", "message", "detail", "error"):
        value = data.get(key)
        if value:
            return value if isinstance(value, str) else json.dumps(value)[:400]
    return otherwise
