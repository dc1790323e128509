"""Serve the grids' own pages on this machine for the standalone GUI; gradio serves no HTML files.

Standard library; files of allowed projects only, under an address that cannot be guessed.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kohya_ext.project import ToolError

from ..grids.page.votes import LARGEST_BYTES, PAGE_NAME, keep_votes, with_votes

HEADERS: Mapping[str, str] = {
    # A page from somebody else's project must not reach what is around it: no common origin.
    "Content-Security-Policy": "sandbox allow-scripts allow-downloads allow-popups allow-modals",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
SERVED = "grids"
"""The folder of a project that its pages and their pictures are in."""


class Shares:
    """The projects whose pages may be looked at, each by a number in the address."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(16)
        self._roots: dict[str, Path] = {}
        self._lock = threading.Lock()

    def allow(self, roots: Iterable[Path]) -> None:
        """Let the pages and pictures of these projects be looked at."""
        with self._lock:
            for root in roots:
                if root.resolve() not in self._roots.values():
                    self._roots[str(len(self._roots))] = root.resolve()

    def path_of(self, file: Path) -> str:
        """Return the path of an address for a file of an allowed project, without the first "/".

        ValueError for a file of another folder.
        """
        true = file.resolve()
        for number, root in self._roots.items():
            if true.is_relative_to(root):
                return f"{self.token}/{number}/{quote(true.relative_to(root).as_posix())}"
        raise ValueError(f"{file} is in no project that is shown")

    def find(self, path: str) -> Path | None:
        """Return the file of an address' path, or None for one that is not handed out."""
        token, _, rest = path.partition("/")
        number, _, inside = unquote(rest).partition("/")
        root = self._roots.get(number)
        if root is None or not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        try:
            true = (root / inside).resolve()
            return true if true.is_relative_to(root / SERVED) and true.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None

    def keep(self, path: str, text: str) -> bool:
        """Keep the votes that the page at an address sent; False when there is no such page.

        ValueError for anything but votes; ToolError LL110 or LL111 of the disk.
        """
        page = self.find(path)
        if page is None or page.name != PAGE_NAME:
            return False
        keep_votes(page, text)
        return True


class PageServer:
    """A small server on 127.0.0.1, started when the first page is shown."""

    def __init__(self) -> None:
        self._shares = Shares()
        self._server: ThreadingHTTPServer | None = None

    def allow(self, roots: Iterable[Path]) -> None:
        """Let the pages and pictures of these projects be looked at."""
        self._shares.allow(roots)

    def address(self, file: Path) -> str:
        """Return the address of a file of an allowed project."""
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, self._shares))
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/{self._shares.path_of(file)}"

    def close(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Files(SimpleHTTPRequestHandler):
    """Answers GET and HEAD with a file that the shares hand out; a page's POST with its votes."""

    def __init__(self, shares: Shares, *arguments: Any) -> None:
        self._shares = shares
        super().__init__(*arguments)

    def do_GET(self) -> None:
        found = self._shares.find(self._inside(self.path))
        if found is None or found.name != PAGE_NAME:
            super().do_GET()
            return
        content = with_votes(found)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LARGEST_BYTES:
            self.send_error(413)
            return
        try:
            text = self.rfile.read(length).decode("utf-8")
            self.send_response(204 if self._shares.keep(self._inside(self.path), text) else 404)
        except (ValueError, ToolError):
            self.send_response(400)
        self.end_headers()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    @staticmethod
    def _inside(path: str) -> str:
        return urlsplit(path).path.removeprefix("/")

    def translate_path(self, path: str) -> str:
        found = self._shares.find(self._inside(path))
        return str(found) if found else ""

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Stay silent: the console belongs to the GUI."""
