"""Painters: whoever turns a cell into a picture. The WebUI over HTTP is one."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from kohya_ext.project import ToolError

from ..api.capabilities import Capabilities, fetch_capabilities
from ..api.client import PICTURE_SECONDS, Client
from ..api.payloads import OVERRIDDEN, picture_request
from .cell import Cell
from .verify import Painted


class Painter(Protocol):
    """Draws one cell at a time; `name` says where, for people."""

    name: str

    def paint(self, cell: Cell) -> Painted:
        """Draw a cell. Raises ToolError when no picture comes."""
        ...

    def close(self) -> None:
        """End the work: put back what was changed."""
        ...


class WebuiPainter:
    """The WebUI at the other end of a client; its settings are put back by `close`."""

    def __init__(
        self,
        client: Client,
        capabilities: Capabilities | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.name = client.url
        self.capabilities = capabilities or fetch_capabilities(client)
        self._clock = clock
        self._before: dict[str, Any] | None = None

    def paint(self, cell: Cell) -> Painted:
        """Draw a cell over the API.

        Raises ApiError LL401 to LL407, or ToolError LL451 for an answer without a picture.
        """
        self._remember_settings()
        route, body = picture_request(cell, self.capabilities)
        started = self._clock()
        answer = self.client.post(route, body, seconds=PICTURE_SECONDS)
        return _read_answer(answer, self._clock() - started, self.name)

    def _remember_settings(self) -> None:
        """Write our options' present values into the WebUI's own config.

        Only options that its config.json holds are put back by the WebUI; others stick.
        """
        if self._before is not None:
            return
        options = self.client.get("/sdapi/v1/options")
        self._before = {name: options[name] for name in OVERRIDDEN if name in options}

    def close(self) -> None:
        """Put the WebUI's settings back and close the connection."""
        if self._before is not None:
            before = {key: value for key, value in self._before.items() if value is not None}
            self._before = None
            self.client.post("/sdapi/v1/options", before, seconds=120)
        self.client.close()


def _read_answer(answer: Any, seconds: float, where: str) -> Painted:
    try:
        info = json.loads(answer["info"])
        (picture, *others) = answer["images"]
        png = base64.b64decode(picture.rpartition(",")[2], validate=True)
        infotext = str(info["infotexts"][0])
    except (KeyError, TypeError, ValueError, IndexError, binascii.Error) as error:
        raise ToolError(
            "LL451",
            f"The WebUI at {where} answered without a usable picture.",
            "See its own window; an extension may be in the way.",
        ) from error
    if others:
        raise ToolError(
            "LL451",
            f"The WebUI at {where} sent {len(others) + 1} pictures for one.",
            "Switch off the extension that adds pictures.",
        )
    return Painted(png, infotext, str(info.get("sd_model_hash") or ""), seconds)
