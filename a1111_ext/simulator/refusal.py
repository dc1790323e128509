"""How the simulated WebUI answers without a picture."""

from __future__ import annotations


class Dropped(Exception):
    """The connection ends without an answer, as when a WebUI dies; raised by a fault."""


class HttpRefusal(Exception):
    """An HTTP error with the body that the real WebUI sends."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": kind, "detail": "", "body": "", "errors": f"simulated: {message}"}
