"""The simulated WebUI's HTTP server: one picture at a time, as the real one.

Routes that we never call answer 501. Whatever it makes says "simulated".
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kohya_ext.project.process import is_held

from .host import SimulatedHost
from .refusal import Dropped, HttpRefusal

_LOOK_SECONDS = 1.0

Route = Callable[[SimulatedHost, dict[str, Any]], Any]

_GET: dict[str, Route] = {
    "/sdapi/v1/options": lambda host, body: host.options(),
    "/sdapi/v1/cmd-flags": lambda host, body: host.cmd_flags(),
    "/sdapi/v1/scripts": lambda host, body: host.scripts(),
    "/sdapi/v1/upscalers": lambda host, body: host.upscalers(),
    "/sdapi/v1/sd-vae": lambda host, body: host.sd_vae(),
    "/sdapi/v1/hypernetworks": lambda host, body: host.hypernetworks(),
    "/sdapi/v1/embeddings": lambda host, body: host.loaded_embeddings(),
    "/sdapi/v1/sd-modules": lambda host, body: host.sd_modules(),
    "/sdapi/v1/latent-upscale-modes": lambda host, body: host.latent_upscale_modes(),
    "/sdapi/v1/sd-models": lambda host, body: host.sd_models(),
    "/sdapi/v1/samplers": lambda host, body: host.samplers(),
    "/sdapi/v1/schedulers": lambda host, body: host.schedulers(),
    "/sdapi/v1/loras": lambda host, body: host.loras(),
    "/sdapi/v1/progress": lambda host, body: host.progress(),
    "/sdapi/v1/script-info": lambda host, body: host.script_info(),
    "/sdapi/v1/extensions": lambda host, body: host.extensions(),
    "/internal/pending-tasks": lambda host, body: host.tasks.pending(),
}
_POST: dict[str, Route] = {
    "/sdapi/v1/options": lambda host, body: host.set_options(body),
    "/sdapi/v1/refresh-loras": lambda host, body: host.refresh_loras(),
    "/sdapi/v1/refresh-checkpoints": lambda host, body: host.files.refresh(),
    "/sdapi/v1/unload-checkpoint": lambda host, body: host.unload_checkpoint(),
    "/sdapi/v1/reload-checkpoint": lambda host, body: host.reload_checkpoint(),
    "/sdapi/v1/interrupt": lambda host, body: host.interrupt(),
    "/sdapi/v1/extra-single-image": lambda host, body: host.enlarge(body),
    "/internal/progress": lambda host, body: host.tasks.state_of(str(body.get("id_task") or "")),
    "/sdapi/v1/txt2img": lambda host, body: host.draw(body, None),
    "/sdapi/v1/img2img": lambda host, body: host.draw(body, body.get("init_images")),
}


_LACKING = ("/sdapi/v1/sd-vae", "/sdapi/v1/hypernetworks", "/agent-scheduler/v1/queue")
"""Of other versions and of an extension: we ask for them, and it has none of them."""


class SimulatedWebui:
    """A running simulator: its address and its host, whose counters tests read."""

    def __init__(self, host: SimulatedHost, *, port: int = 0, auth: str = "") -> None:
        self.host = host
        self._server = _SimulatedServer(("127.0.0.1", port), _ApiHandler)
        self._server.host = host
        self._server.authorization = (
            "Basic " + base64.b64encode(auth.encode("utf-8")).decode("ascii") if auth else ""
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen in a thread of its own."""
        self._thread.start()

    def serve(self) -> None:
        """Listen in this thread until interrupted."""
        self._server.serve_forever()

    def stop_with(self, lock: Path) -> None:
        """Stop listening when no program holds the lock file any more, however its holder ended."""

        def watch() -> None:
            while is_held(lock):
                time.sleep(_LOOK_SECONDS)
            self._server.shutdown()

        threading.Thread(target=watch, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def start_webui(
    folder: Path, *, auth: str = "", kind: type[SimulatedHost] = SimulatedHost, **settings: Any
) -> Iterator[SimulatedWebui]:
    """Run a simulated WebUI whose models are in `folder` while the block lasts."""
    webui = SimulatedWebui(kind(folder, **settings), auth=auth)
    webui.start()
    try:
        yield webui
    finally:
        webui.stop()


class _SimulatedServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows two servers would share one port
    host: SimulatedHost
    authorization: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client was killed; show anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _ApiHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for the headers' acknowledgement
    server: _SimulatedServer

    def do_GET(self) -> None:
        self._answer(_GET, {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            self._send(422, {"detail": "simulated: the body is not valid JSON"})
            return
        self._answer(_POST, body)

    def _answer(self, routes: dict[str, Route], body: dict[str, Any]) -> None:
        path = urlsplit(self.path).path
        if self._is_locked(path):
            self._send(401, {"error": "HTTPException", "detail": "Not authenticated"})
            return
        route = routes.get(path)
        if route is None and path in _LACKING:
            self._send(404, {"detail": "Not Found"})  # unlike 501, it leaves the connection open
            return
        if route is None:
            self._send(501, {"detail": f"simulated: {self.command} {path} is not simulated"})
            return
        try:
            self._send(200, route(self.server.host, body))
        except HttpRefusal as refusal:
            self._send(refusal.status, refusal.body)
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        except (BrokenPipeError, ConnectionResetError):  # the client went away
            self.close_connection = True

    def _is_locked(self, path: str) -> bool:
        """As in the real one, two routes are open to everyone."""
        wanted = self.server.authorization
        is_open = path in ("/sdapi/v1/loras", "/sdapi/v1/refresh-loras")
        return bool(wanted) and not is_open and self.headers.get("Authorization") != wanted

    def _send(self, status: int, data: Any) -> None:
        content = json.dumps(data).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # http.server's name
        """Say nothing: the demo's own lines are enough."""
