"""In which steps a WebUI draws sizes: some builds of Forge Neo silently round them to 64 pixels."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from kohya_ext.project.json_reader import parse_json

from .capabilities import SIZE_STEP, Capabilities
from .client import PICTURE_SECONDS, ApiError, Client, ConnectionLost
from .payloads import small_picture

_LARGE_STEP = 64
_PROBE = _LARGE_STEP + SIZE_STEP


def find_size_step(
    client: Client, found: Capabilities, sizes: Iterable[tuple[int, int]], checkpoint: str
) -> Capabilities:
    """Return capabilities that tell in which steps a Forge draws widths and heights.

    No answer tells it, so a small picture is drawn with the `checkpoint` that the next one wants,
    and only where a size would be rounded.
    """
    if not found.is_forge or not any(one % _LARGE_STEP for size in sizes for one in size):
        return found
    body = small_picture(checkpoint, width=_PROBE, height=_PROBE)
    try:
        answer = client.post("/sdapi/v1/txt2img", body, seconds=PICTURE_SECONDS)
    except ConnectionLost:
        raise
    except ApiError:
        return found  # the pictures themselves will say what is wrong
    with suppress(KeyError, TypeError, ValueError):
        if parse_json(answer["info"])["width"] != _PROBE:
            return replace(found, size_step=_LARGE_STEP)
    return found
