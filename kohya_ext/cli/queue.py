"""`loraloom queue`: several trainings overnight, one after the other."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..project.cli import TypedPath, emit, emit_json, json_option, next_step, say
from ..project.wording import counted
from .closing import when_closed
from .training_options import duration, named_trainer, trainer_option, training_bar, version_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..training.queue import QueueEntry


@click.group()
def queue() -> None:
    """Train several projects one after the other, with a summary in the morning.

    The queue is saved on disk: after a reboot, `loraloom queue run` continues.
    """


_number = click.argument("number", type=int)


@queue.command()
@click.argument("sources", nargs=-1, required=True, type=TypedPath())
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="Total number of epochs.")
@click.option("--gpu", default="", metavar="N", help="Number of the GPU to train on.")
@click.option("--resume", is_flag=True, help="Resume from the newest state, as train --resume.")
@version_option
def add(
    sources: tuple[Path, ...], epochs: int | None, gpu: str, resume: bool, version: str
) -> None:
    """Add projects, or configs of the Kohya GUI or sd-scripts, to the queue."""
    from ..training.queue import add_all

    for entry in add_all(sources, version=version, epochs=epochs or 0, gpu=gpu, resume=resume):
        emit(_line(entry))
    next_step("loraloom queue run")


@queue.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show the queue: finished trainings, the running one, waiting ones."""
    from ..training.queue import QueueState, read_queue

    found = read_queue()
    if as_json:
        emit_json([asdict(one) for one in found.entries])
        return
    for one in found.entries:
        emit(_line(one))
    if not found.entries:
        emit("The queue is empty.")
    waits = any(one.state is QueueState.WAITING for one in found.entries)
    next_step("loraloom queue run" if waits else "loraloom queue add PROJECT")


@queue.command()
@_number
@click.argument("place", type=click.IntRange(min=1))
def move(number: int, place: int) -> None:
    """Move entry NUMBER to PLACE among the waiting ones; 1 is next."""
    from ..training.queue import move as move_one

    for one in move_one(number, place):
        emit(_line(one))
    next_step("loraloom queue list")


@queue.command()
@_number
def remove(number: int) -> None:
    """Remove entry NUMBER from the queue."""
    from ..training.queue import remove as remove_one

    emit(f"removed: {remove_one(number).name}")
    next_step("loraloom queue list")


@queue.command()
def clear() -> None:
    """Remove all finished entries."""
    from ..training.queue import clear as clear_ended

    emit(f"{clear_ended()} removed")
    next_step("loraloom queue list")


@queue.command()
@trainer_option
@click.option("--gpu", default="", metavar="N", help="Train on this GPU; one runner per GPU.")
@json_option
def run(trainer: str | None, gpu: str, as_json: bool) -> int:
    """Train all waiting entries, including those added meanwhile.

    A training that fails does not stop the next. Exit code 1: at least one failed.
    """
    from ..training.queue import FIRST_CARD, QueueState, leave_to_watcher, run_queue
    from ..training.trainer import require_trainer

    chosen = named_trainer(trainer) or require_trainer()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    card = gpu or FIRST_CARD
    with when_closed(partial(leave_to_watcher, card)), training_bar() as handler:
        ended = run_queue(chosen, gpu=card, tell=lambda one: say(_line(one)), handler=handler)
    if as_json:
        emit_json([asdict(one) for one in ended])
    else:
        _summary(ended)
    next_step("loraloom queue list")
    return 0 if all(one.state is QueueState.DONE for one in ended) else 1


@queue.command()
def stop() -> None:
    """Stop the queue after the running training."""
    from ..training.queue import halt

    halt()
    emit("The queue ends after the current training.")
    next_step("loraloom train PROJECT --stop, to stop that one too")


def _summary(ended: Sequence[QueueEntry]) -> None:
    from ..training.queue import QueueState

    for one in ended:
        emit(_line(one))
    done = sum(one.state is QueueState.DONE for one in ended)
    emit(f"{done} of {len(ended)} trained and verified")


def _line(entry: QueueEntry) -> str:
    from datetime import datetime

    words = [f"{entry.number}. {entry.name}: {entry.state.value}"]
    if entry.files:
        words.append(counted(entry.files, "epoch file"))
    if entry.started and entry.ended:
        began, end = (datetime.fromisoformat(one) for one in (entry.started, entry.ended))
        words.append(f"in {duration((end - began).total_seconds())}")
    if entry.problem:
        words.append(entry.problem)
    return ", ".join(words)
