"""Free the graphics card before a training: running WebUIs unload their checkpoint, and load it
again afterwards. A WebUI that is not running holds no memory, so nothing is asked of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kohya_ext.project import ToolError, read_settings

from .client import AnswerTimeout, Client, ConnectionLost, parse_credentials

UNLOAD_SECONDS = 120.0
"""A checkpoint moves out of the card in seconds; a WebUI that draws answers when it is done."""

RELOAD_SECONDS = 600.0

AUTH_VARIABLE = "LORALOOM_WEBUI_AUTH"
"""Where user:password of a WebUI's --api-auth come from; they are kept in no file."""

_log = logging.getLogger(__name__)
Connect = Callable[[str], Client]


def _connect(url: str) -> Client:
    return Client(url, parse_credentials(os.environ.get(AUTH_VARIABLE, "")))


def before_training(
    project: Path, *, urls: Sequence[str] | None = None, connect: Connect = _connect
) -> Callable[[], None]:
    """Ask every remembered WebUI to unload its checkpoint; return what loads them again.

    A plugin of the group `loraloom.before_training`, called when the project's manifest says
    `training.free_webui: true`. Raises HostError for a WebUI that runs but refuses.
    """
    freed: list[str] = []
    for url in read_settings().webuis_of(project) if urls is None else urls:
        with connect(url) as client:
            try:
                client.post("/sdapi/v1/unload-checkpoint", seconds=UNLOAD_SECONDS)
            except AnswerTimeout:  # it runs, and still holds the card
                _give_back(freed, connect)
                raise
            except ConnectionLost:
                continue
            except ToolError:
                _give_back(freed, connect)
                raise
        freed.append(url)
    return lambda: _give_back(freed, connect)


def _give_back(urls: Sequence[str], connect: Connect) -> None:
    """Load the checkpoints again; a WebUI that was closed meanwhile needs nothing."""
    for url in urls:
        with connect(url) as client:
            try:
                client.post("/sdapi/v1/reload-checkpoint", seconds=RELOAD_SECONDS)
            except ToolError as error:
                _log.warning("%s could not load its checkpoint again: %s", url, error)
