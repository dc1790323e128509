"""The page of the A1111 half: choose a project and a grid, look at it. Widgets only.

It runs in gradio 3.41 (A1111), 4 (Forge) and 6 (standalone), so it uses what all of them have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import markup
from .shelf import Choice, Shelf, choose, read_shelf

ReadShelf = Callable[[str], Shelf]
"""Reads the shelf for what stands in the box "Folder"; hosts that have no such box get ""."""

Address = Callable[[Path], str]
"""Gives the address under which the browser finds a file."""


@dataclass(frozen=True)
class Place:
    """Where the page is: how the shelf is read, how files are reached, how projects get here."""

    read: ReadShelf
    address: Address
    where: str


@dataclass(frozen=True)
class Widgets:
    """The page's components."""

    folder: Any
    project: Any
    grid: Any
    facts: Any
    frame: Any
    refresh: Any

    @property
    def shown(self) -> list[Any]:
        return [self.project, self.grid, self.facts, self.frame]


def build_page(project_folder: str) -> None:
    """Build the page inside an open gradio Tab of the standalone GUI."""
    from .page_server import PageServer

    server = PageServer()

    def read(folder: str) -> Shelf:
        shelf = read_shelf([Path(folder.strip()).expanduser()] if folder.strip() else [])
        server.allow(one.root for one in shelf.entries)
        return shelf

    where = "Write the folder of a project, or one that holds projects, into the box above."
    build(Place(read, server.address, where), project_folder, with_folder=True)


def build(place: Place, folder: str = "", *, with_folder: bool = False) -> Callable[..., Any]:
    """Build the components; return what fills them anew, for the host's load event."""
    import gradio

    first = _values(place, choose(place.read(folder), None, None))
    with gradio.Row():
        box = gradio.Textbox(label="Folder", value=folder, visible=with_folder, scale=3)
        project = gradio.Dropdown(label="Project", choices=first[0][1], value=first[0][0], scale=2)
        grid = gradio.Dropdown(label="Grid", choices=first[1][1], value=first[1][0], scale=2)
        refresh = gradio.Button("Open" if with_folder else "Refresh", scale=1)
    widgets = Widgets(box, project, grid, gradio.HTML(first[2]), gradio.HTML(first[3]), refresh)
    return _connect(gradio, place, widgets)


def _connect(gradio: Any, place: Place, widgets: Widgets) -> Callable[..., Any]:
    def show(folder: str, label: str | None, name: str | None) -> list[Any]:
        chosen, names, facts, frame = _values(place, choose(place.read(folder), label, name))
        return [
            gradio.update(choices=chosen[1], value=chosen[0]),
            gradio.update(choices=names[1], value=names[0]),
            facts,
            frame,
        ]

    asked = [widgets.folder, widgets.project, widgets.grid]
    widgets.refresh.click(show, asked, widgets.shown)
    widgets.project.input(show, asked, widgets.shown)
    widgets.grid.input(show, asked, widgets.shown)
    return lambda blocks: blocks.load(show, asked, widgets.shown)


Listed = tuple[str | None, list[str]]


def _values(place: Place, choice: Choice) -> tuple[Listed, Listed, str, str]:
    """Return what each component shows: the two lists with what is chosen, facts, frame."""
    page = place.address(choice.grid.page) if choice.grid else ""
    sheet = place.address(choice.grid.sheet) if choice.grid and choice.grid.sheet else ""
    return (
        (choice.label, list(choice.labels)),
        (choice.grid_name, list(choice.grid_names)),
        markup.facts(choice, place.where),
        markup.frame(choice, page, sheet),
    )
