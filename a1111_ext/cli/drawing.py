"""What the commands share that draw: backends, progress, events as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kohya_ext.project import Progress
from kohya_ext.project.cli import emit, progress_bar, say
from kohya_ext.project.progress import ProgressHandler, silent

from ..api.capabilities import Capabilities, fetch_hashed
from ..api.client import Client
from ..cells.backend import HttpBackend
from ..cells.events import CellEvent, EventHandler, Outcome
from ..grids.facts import format_seconds
from ..publish.promoted import Promoted, link_promoted

LinkLoras = Callable[[Client, Capabilities], Capabilities]
"""Puts LoRA files where a WebUI sees them and tells what it has then."""


@contextmanager
def open_backends(
    link_loras: LinkLoras, webuis: Iterable[tuple[Client, Capabilities]], titles: Iterable[str]
) -> Iterator[tuple[HttpBackend, ...]]:
    """Hand the LoRAs over, let each WebUI hash the checkpoints, put its settings back after."""
    wanted = tuple(dict.fromkeys(titles))
    with ExitStack() as stack:
        backends = []
        for client, capabilities in webuis:
            found = link_loras(client, capabilities)
            backend = HttpBackend(client, fetch_hashed(client, found, *wanted))
            stack.callback(backend.close)
            backends.append(backend)
        yield tuple(backends)


def linking_promoted(promoted: Promoted, lora_folder: Path | None) -> LinkLoras:
    """Return how the promoted file is lent to each WebUI."""
    return lambda client, found: link_promoted(promoted, client, found, lora_folder)


@contextmanager
def shown_events(as_json: bool) -> Iterator[tuple[EventHandler, ProgressHandler]]:
    """Show each settled picture, and other progress: as a bar, or pictures as lines of JSON."""
    if as_json:
        yield _json_event, silent
        return
    is_plain = not sys.stderr.isatty()
    last = ""
    with progress_bar() as show:

        def tell(event: CellEvent) -> None:
            nonlocal last
            said = f"{event.outcome.value} {event.reason}"
            if is_plain and event.outcome in _TOLD and said != last:  # a log keeps every line
                say(_message(event))
            last = said
            show(_progress(event))

        yield tell, show


@contextmanager
def picture_events(as_json: bool) -> Iterator[EventHandler]:
    """Show each settled picture: as a progress bar, or as one line of JSON."""
    with shown_events(as_json) as (on_event, _):
        yield on_event


_TOLD = (
    Outcome.WAITING,
    Outcome.FAILED,
    Outcome.DAMAGED,
    Outcome.PAUSED,
    Outcome.RESUMED,
)


def _progress(event: CellEvent) -> Progress:
    return Progress("Pictures", event.done, event.total, _message(event))


def _message(event: CellEvent) -> str:
    """Say beside the bar what just happened, or how far the run is."""
    if event.outcome is Outcome.PAUSED:
        return "paused; on with: loraloom pause PROJECT --resume"
    if event.outcome is Outcome.RESUMED:
        return "resumed"
    if event.outcome in (Outcome.FAILED, Outcome.WAITING, Outcome.DAMAGED):
        return f"{event.outcome.value}: {event.cell.called}: {event.reason}"
    loads = f"{event.loads} checkpoint load{'' if event.loads == 1 else 's'}"
    left = "" if event.left_seconds is None else f", {format_seconds(event.left_seconds)} left"
    return f"{loads}{left}" if event.loads else ""


def _json_event(event: CellEvent) -> None:
    emit_line(
        {
            "event": event.outcome.value,
            "key": event.cell.key,
            "cell": event.cell.called,
            "done": event.done,
            "total": event.total,
            "server": event.server,
            "seconds": round(event.seconds, 3),
            "reason": event.reason,
            "loads": event.loads,
            "left_seconds": None if event.left_seconds is None else round(event.left_seconds, 1),
        }
    )


def emit_line(data: object) -> None:
    """Print one JSON object on one line."""
    emit(json.dumps(data, ensure_ascii=False, default=str))
