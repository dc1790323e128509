"""`loraloom demo`: the whole workflow on the simulated hosts, every step's result verified."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ..project import MachineError, open_project
from ..project.cli import (
    TypedPath,
    emit,
    say,
    say_styled,
)
from ..project.printable import printable
from ..project.shell import (
    shell_path,
)
from ..project.wording import counted
from ..simulator.walk import (
    PICTURES,
    TRIGGER_WORD,
    DemoFolder,
    fill_manifest,
    free_folder,
    newest_grid,
    newest_pack,
    prepare,
    simulated_webui,
    stations,
)

_ABOUT = "A quillfox: an invented creature, half fox, half porcupine."
_REAL_HOSTS = """\
The same with your own pictures and the real programs:
  loraloom trainer install                       or: loraloom trainer use FOLDER
  loraloom init my-lora --trigger WORD
  loraloom import my-lora FOLDER-WITH-PICTURES   subfolders primary and supporting
  loraloom stage my-lora
  loraloom caption my-lora --model FOLDER-OF-A-WD14-TAGGER
  (set base_model.path in my-lora/lora-project.yaml to the checkpoint to train on)
  loraloom config my-lora
  loraloom check my-lora
  loraloom train my-lora
  loraloom grid my-lora --webui http://127.0.0.1:7860
  loraloom promote my-lora EPOCH NAME
  loraloom showcase my-lora
  loraloom select my-lora
  loraloom publish my-lora"""


@click.command()
@click.argument("folder", type=TypedPath(file_okay=False), default="loraloom-demo")
def demo(folder: Path) -> None:
    """Run the whole workflow on simulated hosts, from pictures to a publish pack, in FOLDER.

    Only the two hosts are simulated: the trainer trains nothing, the WebUI draws cards.
    """
    started = time.monotonic()
    place = DemoFolder(free_folder(folder).absolute())
    place.root.mkdir(parents=True, exist_ok=True)
    say(f"SIMULATED in {shell_path(place.root)}: no graphics card, no model, no network.")
    with _own_settings(place):
        _walk(place)
    project = open_project(place.project)
    grid = newest_grid(project)
    say("")
    say(f"Every step was verified. The whole workflow took {time.monotonic() - started:.0f} s.")
    emit(f"contact sheet page: {next(grid.glob('*.html'))}")
    emit(f"publish pack: {newest_pack(project)}")
    say("")
    say(_REAL_HOSTS)


def _walk(place: DemoFolder) -> None:
    webui_command = (sys.executable, "-m", "kohya_ext")
    with simulated_webui(webui_command, place, dict(os.environ)) as url:
        walk = stations(place, url)
        total = len(walk) + 2
        _head(1, total, "draw pictures", f"{PICTURES} pictures of {_ABOUT[2:].rstrip('.')}.")
        say(f"   {counted(prepare(place), 'picture')} in {shell_path(place.pictures)}")
        _head(2, total, "init", "Create a project with its manifest lora-project.yaml.")
        init = ("init", str(place.project), "--trigger", TRIGGER_WORD, "--kind", "creature")
        _run((*init, "--description", _ABOUT))
        fill_manifest(place)
        for number, station in enumerate(walk, start=3):
            _head(number, total, station.command, station.about)
            _run(station.words)
            say(f"   verified: {station.proof(open_project(place.project))}")


def _head(number: int, total: int, name: str, about: str) -> None:
    say("")
    say_styled((f"[{number}/{total}] {name}", "bold cyan"), f": {about}")


def _run(words: tuple[str, ...]) -> None:
    """Run one command as the user would; a command that fails ends the demo."""
    from .dispatch import find_command

    say_styled((printable(f"$ loraloom {' '.join(map(_quoted, words))}"), "dim"))
    result = find_command(words[0]).main(
        args=list(words[1:]), prog_name=f"loraloom {words[0]}", standalone_mode=False
    )
    if result not in (None, 0):
        raise MachineError(
            "LL118",
            f"A step of the demo gave an unexpected result: {words[0]} ended with {result}.",
            "This is a bug in loraloom; please report it with the output above.",
        )


def _quoted(word: str) -> str:
    """Return a word as the user would type it; addresses and options stay as they are."""
    if word.startswith("-") or "://" in word:
        return word
    if os.sep in word:
        return shell_path(Path(word))
    return f'"{word}"' if " " in word else word


@contextmanager
def _own_settings(place: DemoFolder) -> Iterator[None]:
    """Keep the user's own settings as they are: the demo remembers its hosts elsewhere."""
    before = os.environ.get("LORALOOM_HOME")
    os.environ["LORALOOM_HOME"] = str(place.home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["LORALOOM_HOME"]
        else:
            os.environ["LORALOOM_HOME"] = before
