"""HTTP to a WebUI: one session, a timeout on every request, errors as sentences.

Only requests that change nothing are tried again.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kohya_ext.project import HostError, InputError

if TYPE_CHECKING:
    import requests

ANSWER_SECONDS = 15.0
"""How long a request that only asks may take."""

PICTURE_SECONDS = 1800.0
"""How long one picture may take: large ones on a CPU take many minutes."""

_TRIES = 3
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
            "The credentials are not of the form user:password.",
            "Give them as the WebUI's --api-auth has them.",
        )
    return Credentials(user, password)


class Client:
    """Talk to one WebUI at `url`, for example http://127.0.0.1:7860."""

    def __init__(self, url: str, credentials: Credentials | None = None) -> None:
        self.url = (url if "://" in url or not url else f"http://{url}").rstrip("/")
        self._credentials = credentials
        self._session: requests.Session | None = None

    def get(self, path: str, *, seconds: float = ANSWER_SECONDS) -> Any:
        """Return the JSON of a route; tried again when the connection fails.

        Raises HostError.
        """
        for attempt in range(_TRIES):
            try:
                return self._send("GET", path, None, seconds)
            except ConnectionLost:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Send JSON to a route and return its JSON; never tried again. Raises ApiError."""
        return self._send("POST", path, dict(body or {}), seconds)

    def another(self) -> Client:
        """Return a client of its own for another thread."""
        return Client(self.url, self._credentials)

    def is_listening(self) -> bool:
        """Tell whether something listens at the port, without a request.

        A request in the instant between port and API makes a WebUI start without API for good.
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

    def _send(self, method: str, path: str, body: object, seconds: float) -> Any:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # a proxy is no way to a WebUI on this network
            if self._credentials:
                self._session.auth = (self._credentials.user, self._credentials.password)
        try:
            answer = self._session.request(
                method,
                self.url + path,
                json=body if method == "POST" else None,
                timeout=(ANSWER_SECONDS, seconds),
                stream=True,  # else requests reads a picture in pieces of 10 kB
            )
            return self._read(answer, path)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise ApiError(
                "LL401",
                f'"{self.url}" is not an address of a WebUI.',
                "Give one such as http://127.0.0.1:7860.",
            ) from error
        except requests.exceptions.Timeout as error:
            raise AnswerTimeout(
                "LL404",
                f"The WebUI at {self.url} did not answer {path} within {seconds:g} seconds.",
                "See in its window whether it still works; run the same command again to go on.",
            ) from error
        except requests.exceptions.RequestException as error:
            raise ConnectionLost(
                "LL401",
                f"No WebUI answers at {self.url}: {_reason(error)}.",
                "Start it with --api, wait until its window says that it runs, and check the "
                "address.",
            ) from error

    def _read(self, answer: requests.Response, path: str) -> Any:
        if answer.status_code == 200:
            body = b"".join(answer.iter_content(_PIECE_BYTES))
            try:
                return json.loads(body)
            except ValueError as error:
                raise ApiError(
                    "LL406",
                    f"{self.url}{path} did not answer with JSON: that is no WebUI.",
                    "Check the address and the port.",
                    200,
                ) from error
        held_back = _held_back(answer)
        if held_back is not None:
            return held_back
        message = _message(answer)
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
            "Its own window says more.",
            answer.status_code,
        )


_REASONS = {
    "Connection refused": "connection refused",
    "10061": "connection refused",  # Windows says it in its own language
    "Connection reset": "connection reset",
    "10054": "connection reset",
    "Name or service not known": "no machine of that name is known",
    "nodename nor servname": "no machine of that name is known",
    "getaddrinfo failed": "no machine of that name is known",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
    "WRONG_VERSION_NUMBER": "it speaks http, not https",
}


def _reason(error: Exception) -> str:
    text = str(error)
    return next((said for mark, said in _REASONS.items() if mark in text), type(error).__name__)


def _held_back(answer: requests.Response) -> Any:
    """Return the answer that a server's own schema refused; None for any other error.

    Forge started with `--port` answers /sdapi/v1/cmd-flags so: a number where its schema says text.
    """
    if answer.status_code != 500 or b"ResponseValidationError" not in answer.content[:100]:
        return None
    try:
        return answer.json().get("body")
    except (ValueError, AttributeError):
        return None


def _message(answer: requests.Response) -> str:
    """Find the sentence in any of the WebUI's error shapes."""
    try:
        data = answer.json()
    except ValueError:
        return answer.reason or "no reason given"
    if not isinstance(data, dict):
        return answer.reason or "no reason given"
    for key in ("errors", "message", "detail", "error"):
        value = data.get(key)
        if value:
            return value if isinstance(value, str) else json.dumps(value)[:400]
    return answer.reason or "no reason given"
