"""What the commands share that draw: backends, progress, events as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from kohya_ext.project import Progress, Project
from kohya_ext.project.cli import emit, progress_bar, say
from kohya_ext.project.progress import ProgressHandler, silent
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import Client
from ..api.embeddings import find_embeddings, words_like_embeddings
from ..api.inventory import fetch_hashed, unread_checkpoints
from ..api.size_step import find_size_step
from ..api.upscalers import prove_upscalers
from ..cells.adetailer import prompts_of_adetailer
from ..cells.backend import Backend, HttpBackend
from ..cells.cell import Cell
from ..cells.cell_plan import ignored_schedules
from ..cells.events import CellEvent, CellOutcome, EventHandler
from ..cells.model_files import upscaler_of
from ..cells.scheduler import SchedulerBackend
from ..grids.facts import format_seconds
from ..publish.promoted import Promoted, link_promoted
from ..showcase.upscale_queue import OpenDrawing
from .webui import open_webuis

LinkLoras = Callable[[Client, Capabilities], Capabilities]
"""Puts LoRA files where a WebUI sees them and tells what it has then."""


@contextmanager
def open_backends(
    link_loras: LinkLoras,
    webuis: Iterable[tuple[Client, Capabilities]],
    cells: Iterable[Cell],
    *,
    is_scheduled: bool = False,
) -> Iterator[tuple[HttpBackend, ...]]:
    """Hand the LoRAs over, let each WebUI hash the checkpoints and show that upscalers work.

    `is_scheduled`: pictures go through the queue of the Agent Scheduler there. A WebUI's settings
    are put back after. Raises MissingError for an upscaler without weights.
    """
    wanted = tuple(cells)
    titles = titles_of(wanted)
    sizes = {(cell.width, cell.height) for cell in wanted}
    with ExitStack() as stack:
        backends = []
        for client, capabilities in webuis:
            linked = link_loras(client, capabilities)
            say_what_is_read(linked, titles)
            found = fetch_hashed(client, linked, *titles)
            found = replace(found, first_files=capabilities.first_files)
            found = find_size_step(client, found, sizes, titles[0] if titles else "")
            found = _with_proved_upscalers(client, found, wanted)
            kind = SchedulerBackend if is_scheduled else HttpBackend
            backend = kind(client, found)
            stack.callback(backend.close)
            backends.append(backend)
        yield tuple(backends)


def titles_of(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the checkpoints that cells ask for, each once; "" is the loaded one."""
    return tuple(dict.fromkeys(cell.checkpoint.title for cell in cells))


_LARGE_BYTES = 1_000_000_000
"""A file of this size takes seconds to read."""


def say_what_is_read(capabilities: Capabilities, titles: Iterable[str]) -> None:
    """Say which checkpoints are read for their hashes now, where that takes a while."""
    for path, size in unread_checkpoints(capabilities, *titles):
        if size >= _LARGE_BYTES:
            say(f"reading {path.name} ({size / 1e9:.1f} GB), once, for its hash")


def _with_proved_upscalers(
    client: Client, found: Capabilities, cells: Iterable[Cell]
) -> Capabilities:
    names = dict.fromkeys(upscaler_of(cell, found) for cell in cells)
    found = prove_upscalers(client, found, names)
    for name in names:
        found.require_weights(name)
        if name in found.unchecked_upscalers:
            say(f"the WebUI at {found.url} could not show whether it has the upscaler {name}")
    return found


def describe_embeddings(
    cells: Iterable[Cell], trigger_word: str, capabilities: Capabilities | None
) -> dict[str, str]:
    """Return what to tell of embeddings in prompts: those that are there, and words like one.

    A word whose embedding is not installed is an ordinary word to the WebUI: nobody else says so.
    """
    prompts = {
        text: None
        for cell in cells
        for pair in ((cell.prompt, cell.negative_prompt), *prompts_of_adetailer(cell))
        for text in pair
    }
    known = trigger_word.split()
    names = capabilities.embeddings if capabilities else {}
    found = {one: None for text in prompts for one in find_embeddings(text, names)}
    skipped = capabilities.skipped_embeddings if capabilities else ()
    like = words_like_embeddings(prompts, [*names, *known, *skipped])
    about = {"embeddings": ", ".join(found) or "none"}
    if no_fit := {one: None for text in prompts for one in find_embeddings(text, skipped)}:
        about["embedding that does not fit the loaded checkpoint"] = ", ".join(no_fit)
    if like:
        about["looks like an embedding, but the WebUI has none of that name"] = ", ".join(like)
    return about


def say_what_counts(cells: Sequence[Cell], trigger_word: str, capabilities: Capabilities) -> None:
    """Say before pictures are drawn what there is of embeddings, and what will be ignored."""
    for name, value in describe_embeddings(cells, trigger_word, capabilities).items():
        if value != "none":
            say(f"{name}: {value}")
    for sentence in ignored_schedules(cells, capabilities):
        say(sentence)


def linking_promoted(promoted: Promoted, lora_folder: Path | None) -> LinkLoras:
    """Return how the promoted file is linked into each WebUI."""
    return lambda client, found: link_promoted(promoted, client, found, lora_folder)


def drawing_over_http(
    project: Project,
    urls: tuple[str, ...],
    auth: str,
    lora_folder: Path | None,
    *,
    is_scheduled: bool = False,
) -> OpenDrawing:
    """Return how pictures are drawn at the WebUIs that were named, now or earlier."""

    @contextmanager
    def open_drawing(
        promoted: Promoted, cells: Sequence[Cell]
    ) -> Iterator[tuple[Capabilities, Sequence[Backend]]]:
        link_loras = linking_promoted(promoted, lora_folder)
        with (
            open_webuis(urls, auth, project.root, needs_all=False) as webuis,
            open_backends(link_loras, webuis, cells, is_scheduled=is_scheduled) as backends,
        ):
            yield backends[0].capabilities, backends

    return open_drawing


@contextmanager
def shown_events(as_json: bool) -> Iterator[tuple[EventHandler, ProgressHandler]]:
    """Show each finished picture, and other progress: as a bar, or pictures as lines of JSON."""
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
            show(Progress("Pictures", event.done, event.total, _message(event)))

        yield tell, show


@contextmanager
def picture_events(as_json: bool) -> Iterator[EventHandler]:
    """Show each finished picture: as a progress bar, or as one line of JSON."""
    with shown_events(as_json) as (on_event, _):
        yield on_event


_TOLD = (
    CellOutcome.WAITING,
    CellOutcome.FAILED,
    CellOutcome.DAMAGED,
    CellOutcome.PAUSED,
    CellOutcome.RESUMED,
)


def _message(event: CellEvent) -> str:
    """Say beside the bar what just happened, or how far the run is."""
    if event.outcome is CellOutcome.PAUSED:
        return "paused; resume with: loraloom pause PROJECT --resume"
    if event.outcome is CellOutcome.RESUMED:
        return "resumed"
    if event.outcome in (CellOutcome.FAILED, CellOutcome.WAITING, CellOutcome.DAMAGED):
        return f"{event.outcome.value}: {event.cell.called}: {event.reason}"
    loads = counted(event.loads, "checkpoint load")
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
