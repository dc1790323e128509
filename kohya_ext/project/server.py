"""The one page server: pages and their JSON on one address of this machine, standard library only.

Each share has an address that cannot be guessed. `Shares.answer` knows no sockets, so that a host
program may give the same answers from its own routes. What a page may do is said by its policy.
"""

from __future__ import annotations

import base64
import gzip
import hmac
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .errors import MissingError, ToolError
from .files import make_folder
from .settings import user_folder

LARGEST_BYTES = 5_000_000
"""The most that a page may send at once."""

_PACKED_BYTES = 50_000
"""Text from this size on is sent packed: a phone's network is slower than packing it."""

IDLE_SECONDS = 30
"""After so long without a word a connection is closed."""

SANDBOX = "sandbox allow-scripts allow-downloads allow-popups allow-modals"
"""For pages of a project, which may be somebody else's: no common origin with anything here."""

OWN_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""For pages that come with loraloom: nothing but their own files, no script within the page."""

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""What is handed out, and as what; files of other kinds are not there."""

LOOPBACK = "127.0.0.1"
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageRequest:
    """What a page asks for: `path` is decoded and inside its share; `body` is None for GET."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = ""

    @property
    def is_json(self) -> bool:
        """Whether JSON was sent; pages of other sites cannot send that without permission."""
        return self.content_type.partition(";")[0].strip().lower() == "application/json"


@dataclass(frozen=True)
class PageAnswer:
    """What a page gets; `max_age_seconds` above 0 lets the browser keep it."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    policy: str = SANDBOX
    max_age_seconds: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """Return all headers but the length."""
        kept = f"private, max-age={self.max_age_seconds}, immutable"
        return {
            "Content-Type": self.content_type,
            "Content-Security-Policy": self.policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": kept if self.max_age_seconds else "no-store",
            # a page in a sandbox has no origin of its own; knowing the token is what counts
            **({"Access-Control-Allow-Origin": "null"} if self.policy == SANDBOX else {}),
        }


NOT_FOUND = PageAnswer(404, b"There is no such page.")


class Share(Protocol):
    """Something that answers requests below its own address.

    ValueError and ToolError become 400 with their sentence.
    """

    def answer(self, request: PageRequest) -> PageAnswer: ...


Taker = Callable[[str, str], bool]
"""Takes what a page sends: its path and the text; False when there is no such page."""

Rewriter = Callable[[Path], bytes]
"""Returns an HTML file as it is shown."""


@dataclass(frozen=True)
class FolderShare:
    """The files below a folder, of known types only; `inside` narrows it to one folder in it."""

    root: Path
    inside: str = ""
    rewrite: Rewriter = Path.read_bytes
    take: Taker | None = None
    policy: str = SANDBOX

    def answer(self, request: PageRequest) -> PageAnswer:
        """Return a file, or hand what was sent to `take`."""
        if request.body is not None:
            if self.take is None or not self.take(request.path, request.body.decode("utf-8")):
                return NOT_FOUND
            return PageAnswer(204)
        path = self.find(request.path)
        if path is None:
            return NOT_FOUND
        is_page = path.suffix.lower() == ".html"
        content = self.rewrite(path) if is_page else path.read_bytes()
        return PageAnswer(200, content, TYPES[path.suffix.lower()], self.policy)

    def find(self, path: str) -> Path | None:
        """Return the file at a path of this share; links that lead out are not followed."""
        try:
            root = self.root.resolve()
            true = (root / path).resolve()
            allowed = true.is_relative_to(root / self.inside) and true.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that no file can have
            return None
        return true if allowed and true.suffix.lower() in TYPES else None


class Shares:
    """What may be looked at, each share under a token of its own."""

    def __init__(self) -> None:
        self._shares: dict[str, Share] = {}
        self._lock = threading.Lock()

    def add(self, share: Share, name: str = "") -> str:
        """Share something and return its token; an equal share keeps its token.

        A share with a `name` gets the same one the next time, so that its page finds it again.
        """
        with self._lock:
            for token, other in self._shares.items():
                if other == share:
                    return token
            token = lasting_token(name) if name else secrets.token_urlsafe(16)
            self._shares[token] = share
            return token

    def answer(self, target: str, body: bytes | None = None, content_type: str = "") -> PageAnswer:
        """Answer a request for `target`: "TOKEN/path?query", without the first "/"."""
        parts = urlsplit("/" + target)
        token, slash, path = parts.path[1:].partition("/")
        share = self._find(token)
        if share is None or not slash:
            return NOT_FOUND
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            return share.answer(PageRequest(unquote(path), query, body, content_type))
        except (ValueError, ToolError) as error:
            return PageAnswer(400, str(error).encode("utf-8"))
        except FileNotFoundError:
            return NOT_FOUND
        except OSError as error:
            _log.warning("%s could not be answered: %s", parts.path, error)
            return PageAnswer(500, b"The file cannot be read.")

    def _find(self, token: str) -> Share | None:
        found = None
        for known, share in list(self._shares.items()):
            if secrets.compare_digest(known.encode(), token.encode("utf-8", "replace")):
                found = share
        return found


class PageServer:
    """Shares on the loopback address, on a port that the system chooses unless one is named.

    The port is taken with the first address; `url_of` starts a thread that answers. With another
    `host` only requests for that very address are answered, and only those that know the token.
    """

    def __init__(
        self, shares: Shares | None = None, *, port: int = 0, host: str = LOOPBACK
    ) -> None:
        self.shares = shares or Shares()
        self._port = port
        self._host = host
        self._server: _PageServer | None = None
        self._lock = threading.Lock()

    def url_of(self, share: Share, path: str = "", name: str = "") -> str:
        """Return the address of a path in a share; see `Shares.add` for the name.

        OSError when the port is taken.
        """
        token = self.shares.add(share, name)
        return f"http://{self._host}:{self._started().server_port}/{token}/{quote(path)}"

    def _started(self) -> _PageServer:
        with self._lock:
            if self._server is None:
                self._server = _PageServer((self._host, self._port), self.shares)
                serve = self._server.serve_forever
                threading.Thread(target=serve, args=(0.1,), daemon=True).start()
            return self._server

    def close(self) -> None:
        """Stop answering and give the port back."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> PageServer:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


class _PageServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows two servers would share one port
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], shares: Shares) -> None:
        super().__init__(address, _PageHandler)
        self.shares = shares
        self.hosts = _HOSTS if address[0] == LOOPBACK else (address[0],)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle of an answer is nothing to report."""
        _log.debug("a request was interrupted", exc_info=True)


class _PageHandler(BaseHTTPRequestHandler):
    server: _PageServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond(None)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        is_number = length.isascii() and length.isdigit()
        if not is_number or int(length) > LARGEST_BYTES:
            self.close_connection = True
            if is_number:
                self._send(PageAnswer(413, b"The request of the page is too large."))
            else:
                self._send(PageAnswer(400, b"Content-Length is missing or not a number."))
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._respond(body)

    def _respond(self, body: bytes | None) -> None:
        # A page of another site that points its name at this machine sends its own Host.
        port = self.server.server_port
        host = (self.headers.get("Host") or "").lower()
        if host not in {f"{name}:{port}" for name in self.server.hosts}:
            self._send(PageAnswer(403, b"Only the address that loraloom has printed is answered."))
            return
        target = self.path.removeprefix("/")
        kind = self.headers.get("Content-Type") or ""
        self._send(self.server.shares.answer(target, body, kind))

    def _send(self, answer: PageAnswer) -> None:
        body = answer.body
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self._is_worth_packing(answer):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(body)

    def _is_worth_packing(self, answer: PageAnswer) -> bool:
        accepted = self.headers.get("Accept-Encoding") or ""
        is_text = not answer.content_type.startswith("image/")
        return is_text and len(answer.body) >= _PACKED_BYTES and "gzip" in accepted

    def version_string(self) -> str:
        """Tell nobody which Python answers."""
        return "loraloom"

    def log_message(self, format: str, *arguments: object) -> None:
        """Stay silent: the console belongs to the command or the GUI."""


def lasting_token(name: str) -> str:
    """Return a token that only this user's processes know, the same for a name every time."""
    path = user_folder() / "page-secret"
    try:
        make_folder(path.parent)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with suppress(FileExistsError), os.fdopen(os.open(path, flags, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(32))
        secret = path.read_bytes()
    except (OSError, ToolError):
        secret = b""
    if len(secret) < 32:  # it cannot be kept here: this page is found again only while it lasts
        return secrets.token_urlsafe(16)
    digest = hmac.digest(secret, name.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode("ascii")


def lan_address() -> str:
    """Return this machine's address in its network, by the way out; nothing is sent.

    Raises MissingError without a network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("10.255.255.255", 9))
            found = str(one.getsockname()[0])
        except OSError:
            found = LOOPBACK
    if found.startswith(("127.", "0.")):
        raise MissingError(
            "LL183",
            "This machine has no network address.",
            "Connect it to the phone's network, or leave out --lan.",
        )
    return found


def package_files(package: str, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files that come with a package, in a stable order."""
    from importlib import resources

    for one in sorted((resources.files(package) / folder).iterdir(), key=lambda one: one.name):
        if one.is_file() and Path(one.name).suffix in TYPES:
            yield one.name, one.read_bytes()
