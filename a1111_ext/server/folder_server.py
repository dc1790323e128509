"""A tiny server on the loopback address: shows one folder and takes back what its page sends.

Only this machine reaches it, and only with the secret in the address.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kohya_ext.project.errors import ToolError

from ..grids.choice import Choice, parse_choice
from ..grids.page.votes import keep_votes, with_votes

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
}
_LARGEST_BYTES = 5_000_000
_NOT_SERVED, _SERVED = b'"served":""', b'"served":"choice"'
"""How a page learns that it is served, and where its choice goes."""


Taker = Callable[[str], None]
"""Takes what a page sends; ValueError or ToolError refuse it."""


class PageServer:
    """Serve `folder`; `takers` take what is sent to their names; `url` opens `page_name`."""

    def __init__(
        self, folder: Path, page_name: str, takers: Mapping[str, Taker], *, port: int = 0
    ) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.folder = folder.resolve()
        self._server.secret = secrets.token_urlsafe(16)
        self._server.takers = dict(takers)
        self._page_name = page_name

    @property
    def url(self) -> str:
        """The page's address, with the secret."""
        return f"{self._root}/{self._page_name}"

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._server.secret}"

    def serve(self) -> None:
        """Answer until `stop` or an interrupt."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End `serve`, called from another thread."""
        self._server.shutdown()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


class GridServer(PageServer):
    """Serve a grid's folder, keep the votes there, and hand each choice to `on_choice`."""

    def __init__(
        self, folder: Path, page_name: str, on_choice: Callable[[Choice], None], *, port: int = 0
    ) -> None:
        page = folder / page_name
        takers: dict[str, Taker] = {
            "choice": lambda text: on_choice(parse_choice(text)),
            page_name: lambda text: keep_votes(page, text),
        }
        super().__init__(folder, page_name, takers, port=port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows two servers would share one port
    folder: Path
    secret: str
    takers: dict[str, Taker]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self._path()
        if path is None or not path.is_file() or path.suffix.lower() not in _TYPES:
            self._answer(HTTPStatus.NOT_FOUND, b"not found")
            return
        if path.suffix == ".html":
            body = with_votes(path).replace(_NOT_SERVED, _SERVED, 1)
        else:
            body = path.read_bytes()
        self._answer(HTTPStatus.OK, body, _TYPES[path.suffix.lower()])

    def do_POST(self) -> None:
        taker = self.server.takers.get(self._name() or "")
        if taker is None:
            self._answer(HTTPStatus.NOT_FOUND, b"not found")
            return
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= _LARGEST_BYTES:
            self._answer(HTTPStatus.BAD_REQUEST, b"nothing, or too much")
            return
        try:
            taker(self.rfile.read(length).decode("utf-8"))
        except (ValueError, ToolError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode("utf-8"))
            return
        self._answer(HTTPStatus.OK, b"written")

    def _name(self) -> str | None:
        """Return the part of the address after the secret; None for a stranger."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        secret, _, name = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        known = secrets.compare_digest(secret.encode(), self.server.secret.encode())
        return name if known and host in {"127.0.0.1", "localhost"} else None

    def _path(self) -> Path | None:
        name = self._name()
        if not name:
            return None
        path = (self.server.folder / name).resolve()
        return path if path.is_relative_to(self.server.folder) else None

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the command shows what matters."""
