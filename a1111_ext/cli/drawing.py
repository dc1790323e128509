"""What the commands share that draw the promoted LoRA: painters, progress, events as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kohya_ext.project import Progress
from kohya_ext.project.cli import emit, progress_bar

from ..api.capabilities import Capabilities, fetch_hashed
from ..api.client import Client
from ..cells.events import CellEvent, EventHandler, Outcome
from ..cells.painters import WebuiPainter
from ..publish.promoted import Promoted, lend_promoted


@contextmanager
def open_painters(
    promoted: Promoted,
    webuis: Iterable[tuple[Client, Capabilities]],
    titles: Iterable[str],
    lora_folder: Path | None,
) -> Iterator[tuple[WebuiPainter, ...]]:
    """Hand the LoRA over, let each WebUI hash the checkpoints, put its settings back after."""
    wanted = tuple(dict.fromkeys(titles))
    with ExitStack() as stack:
        painters = []
        for client, capabilities in webuis:
            found = lend_promoted(promoted, client, capabilities, lora_folder)
            painter = WebuiPainter(client, fetch_hashed(client, found, *wanted))
            stack.callback(painter.close)
            painters.append(painter)
        yield tuple(painters)


@contextmanager
def picture_events(as_json: bool) -> Iterator[EventHandler]:
    """Show each settled picture: as a progress bar, or as one line of JSON."""
    if as_json:
        yield _json_event
        return
    with progress_bar() as show:
        yield lambda event: show(_progress(event))


def _progress(event: CellEvent) -> Progress:
    message = f"failed: {event.reason}" if event.outcome is Outcome.FAILED else ""
    return Progress("Pictures", event.done, event.total, message)


def _json_event(event: CellEvent) -> None:
    emit_line(
        {
            "event": event.outcome.value,
            "key": event.cell.key,
            "done": event.done,
            "total": event.total,
            "server": event.server,
            "seconds": round(event.seconds, 3),
            "reason": event.reason,
        }
    )


def emit_line(data: object) -> None:
    """Print one JSON object on one line."""
    emit(json.dumps(data, ensure_ascii=False, default=str))
