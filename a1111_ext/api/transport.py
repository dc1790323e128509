"""HTTP below the client: the whole answer has one deadline, and no redirect is followed by itself.

The timeout of requests counts between two bytes: an answer of one byte a second would never end.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter

Clock = Callable[[], float]


class Transport(requests.Session):
    """A session whose answers are read to their end by `until`, in seconds of the clock."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self.trust_env = False  # a proxy is no way to a WebUI on this network
        self.until = 0.0
        adapter = _Adapter(lambda: self.until - clock())
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none: requests would read the body of a redirect, however long it is."""


class _Adapter(HTTPAdapter):
    def __init__(self, seconds_left: Clock) -> None:
        self._seconds_left = seconds_left
        super().__init__()

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        """Let each connection read its answers through `_TimedResponse`."""
        super().init_poolmanager(*args, **named)
        pools = self.poolmanager.pool_classes_by_scheme
        answer = partial(_TimedResponse, self._seconds_left)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _with_response(pool, answer) for scheme, pool in pools.items()
        }


def _with_response(pool: Any, answer: Callable[..., HTTPResponse]) -> Any:
    connection = type("TimedConnection", (pool.ConnectionCls,), {"response_class": answer})
    return type("TimedPool", (pool,), {"ConnectionCls": connection})


class _TimedResponse(HTTPResponse):
    """Status line, headers and body come from a file that ends at the deadline."""

    def __init__(self, seconds_left: Clock, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_TimedFile(self.fp.detach(), sock, seconds_left))


class _TimedFile(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, seconds_left: Clock) -> None:
        self._raw, self._socket, self._seconds_left = raw, sock, seconds_left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._seconds_left()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        found: int | None = self._raw.readinto(buffer)
        return found

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()
