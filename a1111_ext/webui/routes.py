"""Our routes under /loraloom/v1, behind --api-auth where that is set; JSON in, JSON out.

Plain Starlette routes: pydantic 1 and 2 disagree, and the hosts have one or the other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohya_ext.project import ConflictError, InputError, MissingError, RuleError, ToolError
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.server import LARGEST_BYTES

from .access import is_allowed
from .request import Call
from .settings import credentials, serves_api

if TYPE_CHECKING:
    from .service import GridService

PREFIX = "/loraloom/v1"
MOST_BYTES = 1 << 20
"""A request is a few hundred bytes."""

_STATUS = {RuleError: 403, MissingError: 404, ConflictError: 409}
_log = logging.getLogger(__name__)


Answer = Callable[[Call], Any]
"""Returns plain values for JSON, or a response of its own."""


def add_routes(app: Any) -> None:
    """Add the tab's page; and the routes, when the user switched the host's API on."""
    add_page_route(app)
    if not serves_api():
        return
    service = LateService()
    known = credentials()
    for method, path, answer in (
        ("GET", "/projects", lambda call: service().list_projects(call)),
        ("GET", "/grids", lambda call: service().list_grids(call)),
        ("POST", "/grids", lambda call: service().start(call)),
        ("GET", "/grids/{grid_id}", lambda call: service().status(call)),
        ("POST", "/grids/{grid_id}/stop", lambda call: service().stop(call)),
        ("POST", "/grids/{grid_id}/pause", lambda call: service().pause(call)),
        ("POST", "/grids/{grid_id}/resume", lambda call: service().resume(call)),
        ("GET", "/grids/{grid_id}/result", lambda call: service().result(call)),
        ("GET", "/grids/{grid_id}/files/{path:path}", lambda call: service().send_file(call)),
    ):
        app.add_route(PREFIX + path, endpoint(answer, known), methods=[method])


class LateService:
    """Gives the one service, imported at the first call: most starts of the host never need it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: GridService | None = None

    def __call__(self) -> GridService:
        from .service import GridService

        with self._lock:
            if self._made is None:
                self._made = GridService()
            return self._made


def add_page_route(app: Any) -> None:
    """Add what the tab's frame shows: files under an address that only the tab knows.

    The address is the credential: the frame's page is another origin, a browser sends no password.
    """
    from fastapi import Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import PlainTextResponse, Response

    from .addresses import PAGES, SHARES

    async def respond(request: Request) -> Response:
        content = None
        if request.method == "POST":
            content = await _read_content(request, LARGEST_BYTES)
            if content is None:
                return PlainTextResponse("The request of the page is too large.", status_code=413)
        target = f"{quote(request.path_params['path'])}?{request.url.query}"
        kind = request.headers.get("content-type", "")
        answer = await run_in_threadpool(SHARES.answer, target, content, kind)
        return Response(answer.body, answer.status, answer.headers)

    app.add_route(f"{PAGES}/{{path:path}}", respond, methods=["GET", "POST"])


async def _read_content(request: Any, limit: int) -> bytes | None:
    """Read a request to its end, or return None as soon as it is longer than `limit` bytes."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > limit:
            return None
    return content


def endpoint(answer: Answer, known: Mapping[str, str]) -> Callable[[Any], Any]:
    """Make `answer` a route: credentials first, errors as the host's API words them."""
    from fastapi import Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import JSONResponse, Response

    async def respond(request: Request) -> Response:
        if not is_allowed(request.headers.get("authorization", ""), known):
            return JSONResponse(
                {"error": "HTTPException", "detail": "Incorrect username or password"},
                status_code=401,
                headers={"WWW-Authenticate": "Basic"},
            )
        try:
            call = Call(dict(request.path_params), await _read_body(request))
            found = await run_in_threadpool(answer, call)
        except ToolError as error:
            return JSONResponse(
                _words(error.code, error.problem, error.cure, str(error)),
                status_code=_status(error),
            )
        except Exception as error:  # noqa: BLE001  # a broken route must not break the host
            _log.error("loraloom: %s failed", request.url.path, exc_info=error)
            return JSONResponse(_words(type(error).__name__, "", "", str(error)), status_code=500)
        return found if isinstance(found, Response) else JSONResponse(found)

    return respond


class NotJson(InputError):
    """The body of a request is not a JSON object, or does not say that it is one."""


def _status(error: ToolError) -> int:
    if isinstance(error, NotJson):
        return 415
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)


def _words(error: str, detail: str, body: str, sentence: str) -> dict[str, str]:
    """Return an error's JSON; A1111 has the sentence as "errors", Forge as "message"."""
    return {
        "error": error,
        "detail": detail,
        "body": body,
        "errors": sentence,
        "message": sentence,
    }


async def _read_body(request: Any) -> Mapping[str, Any]:
    """Read the JSON object of a POST; raises InputError for anything else.

    Asking for the content type keeps pages of other sites from posting: a browser sends them
    without asking only as text or as a form.
    """
    if request.method != "POST":
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = await _read_content(request, MOST_BYTES)
    if content is None:
        raise _no_json("The request is longer than a megabyte.")
    if kind != "application/json":
        raise _no_json(f'The request is "{kind or "nothing"}", not application/json.')
    try:
        body = parse_json(content or b"{}")
    except ValueError as error:
        raise _no_json(f"The request is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise _no_json("The request is JSON, but not an object.")
    return body


def _no_json(problem: str) -> ToolError:
    return NotJson("LL764", problem, 'Send a JSON object, with "Content-Type: application/json".')
