"""The page of the A1111 half: choose a project and a grid, look at it. Widgets only.

It runs in gradio 3.41 (A1111), 4 (Forge) and 6 (standalone), so it uses what all of them have.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohya_ext.project.home import typed_path

from . import markup
from .shelf import Shelf, ShelfSelection, choose, read_shelf

if TYPE_CHECKING:
    from kohya_ext.project.decisions.board import BoardShare

_log = logging.getLogger(__name__)

ID = "loraloom"
"""How the ids of the page's elements begin."""

NOTHING = "none yet"
"""What an empty list shows."""

ReadShelf = Callable[[str], Shelf]
"""Reads the shelf for what is in the box "Folder"; hosts that have no such box get ""."""

Opener = Callable[[str, str], str]
"""Opens the project in a folder, or makes one with a trigger word; returns its name."""

Address = Callable[[Path], str]
"""Gives the address under which the browser finds a file."""


@dataclass(frozen=True)
class ScreenHost:
    """Where the page is: how the shelf is read, how files are reached, how projects get here."""

    read: ReadShelf
    address: Address
    where: str
    open: Opener | None = None
    board: Address | None = None
    """Gives the address of the board of a project's root."""
    wildcards: Callable[[], str] | None = None
    """Gives the address of the page of wildcards."""
    review: Address | None = None
    """Gives the address of the review of a project's showcase."""


@dataclass(frozen=True)
class Widgets:
    """The page's components."""

    folder: Any
    project: Any
    grid: Any
    facts: Any
    frame: Any
    refresh: Any
    was_project: Any
    was_grid: Any

    @property
    def asked(self) -> list[Any]:
        return [self.folder, self.project, self.grid]

    @property
    def shown(self) -> list[Any]:
        return [self.project, self.grid, self.facts, self.frame]


def build_page(project_folder: str) -> None:
    """Build the page inside an open gradio Tab of the standalone GUI."""
    from kohya_ext.project.decisions.boards import PAGE_NAME, Boards
    from kohya_ext.project.server import PageServer

    from ..grids.page.share import share_of

    server, boards = PageServer(), Boards()

    def read(folder: str) -> Shelf:
        return read_shelf([typed_path(folder.strip())] if folder.strip() else [])

    def address(file: Path) -> str:
        return server.url_of(*share_of(file))

    def board(root: Path) -> str:
        return server.url_of(boards.open(root), PAGE_NAME)

    def review(root: Path) -> str:
        return server.url_of(_review_of(root.resolve()), PAGE_NAME)

    where = "Type the folder of a project, or a folder with projects, into the box above."
    place = ScreenHost(read, address, where, board=board, review=review)
    build(place, project_folder, with_folder=True)


@lru_cache(maxsize=64)
def _review_of(root: Path) -> BoardShare:
    """Open the review of a project's showcase once; it draws at the WebUI that is remembered."""
    from kohya_ext.project import open_project
    from kohya_ext.project.decisions.board import BoardShare

    from ..cli.drawing import drawing_over_http
    from ..showcase.desk import DrawingDesk
    from ..showcase.showcase_view import ShowcaseView

    project = open_project(root)
    auth = os.environ.get("LORALOOM_WEBUI_AUTH", "")
    desk = DrawingDesk(project, drawing_over_http(project, (), auth, None))
    return BoardShare(ShowcaseView(project, desk))


def build(place: ScreenHost, folder: str = "", *, with_folder: bool = False) -> Callable[..., Any]:
    """Build the components; return what fills them, to be called with the Blocks around them.

    Only a page with a box for its folder is filled here and now: inside the WebUI this is part of
    the host's start, and what was found then would be old when somebody looks.
    """
    import gradio

    first = _look(place, folder, None, None) if with_folder else ComponentValues()
    with gradio.Row():
        box = gradio.Textbox(label="Folder", value=folder, visible=with_folder, scale=3)
        project = _dropdown(gradio, "Project", first.projects, first.project)
        grid = _dropdown(gradio, "Grid", first.grids, first.grid)
        refresh = gradio.Button("Open" if with_folder else "Refresh", scale=1)
    opener = _opener_boxes(gradio) if place.open is not None else ()
    facts = gradio.HTML(first.facts, elem_id=f"{ID}_facts")
    frame = gradio.HTML(first.frame, elem_id=f"{ID}_frame")
    if place.wildcards is not None:
        gradio.HTML(markup.wildcards(place.wildcards()), elem_id=f"{ID}_wildcards")
    was = gradio.State(None), gradio.State(None)
    widgets = Widgets(box, project, grid, facts, frame, refresh, *was)
    for one in (box, project, grid, refresh):
        one.do_not_save_to_config = True  # A1111 would take what it saw first as default for ever
    fill = _connect(gradio, place, widgets)
    if place.open is not None:
        _connect_opener(gradio, place, opener, widgets)
    return fill


def _opener_boxes(gradio: Any) -> tuple[Any, ...]:
    """Build the boxes by which a project is opened or made from its folder."""
    with gradio.Row():
        folder = gradio.Textbox(
            label="Project folder to open or make", placeholder="~/loras/quillfox", scale=3
        )
        word = gradio.Textbox(label="Trigger word (for a new project)", scale=2)
        button = gradio.Button("Open or make", scale=1)
    said = gradio.HTML("")
    for one in (folder, word, button):
        one.do_not_save_to_config = True
    return folder, word, button, said


def _connect_opener(
    gradio: Any, place: ScreenHost, boxes: tuple[Any, ...], widgets: Widgets
) -> None:
    folder, word, button, said = boxes

    def open_it(named: str, trigger_word: str) -> list[Any]:
        nothing = gradio.update(value=None)
        try:
            assert place.open is not None  # the boxes are there for it
            name = place.open(named, trigger_word)
        except Exception as error:  # noqa: BLE001  # a callback of the host: nobody above can show it
            _log.warning("loraloom: a project could not be opened: %s", error)
            return [markup.problem(str(error)), None, None, nothing, nothing]
        return [markup.notice(f"{name} is open."), name, None, nothing, nothing]

    lists = [widgets.project, widgets.grid]
    were = [widgets.was_project, widgets.was_grid]
    button.click(open_it, [folder, word], [said, *were, *lists]).then(
        lambda *asked: _filled(gradio, place, *asked), [widgets.folder, *were], widgets.shown
    )


def _filled(
    gradio: Any, place: ScreenHost, folder: str, label: str | None, name: str | None
) -> list[Any]:
    """Return what the lists, the facts and the frame are filled with."""
    shown = _look(place, folder, label, name)
    return [
        _choice(gradio, shown.projects, shown.project),
        _choice(gradio, shown.grids, shown.grid),
        shown.facts,
        shown.frame,
    ]


def _dropdown(gradio: Any, label: str, choices: tuple[str, ...], value: str | None) -> Any:
    return gradio.Dropdown(
        list(choices),
        value=value,
        label=label,
        scale=2,
        elem_id=f"{ID}_{label.lower()}",
        allow_custom_value=True,  # gradio 4 to 6 refuse a value of before the server's restart
    )


def _choice(gradio: Any, choices: tuple[str, ...], value: str | None) -> Any:
    """Fill a list; an empty one says so, since gradio 6 would continue showing what was chosen."""
    return gradio.update(choices=list(choices or (NOTHING,)), value=value or NOTHING)


def _connect(gradio: Any, place: ScreenHost, widgets: Widgets) -> Callable[..., Any]:
    def show(folder: str, label: str | None, name: str | None) -> list[Any]:
        return _filled(gradio, place, folder, label, name)

    def let_go(label: str | None, name: str | None) -> list[Any]:
        return [label, name, gradio.update(value=None), gradio.update(value=None)]

    # gradio 4 continues marking the line that was chosen by its number in the old list: with a new
    # grid on top, a click on that one does nothing. So a list is let go before it is filled again,
    # and choosing from a list does not fill that very list.
    chosen, were = [widgets.project, widgets.grid], [widgets.was_project, widgets.was_grid]
    widgets.refresh.click(let_go, chosen, [*were, *chosen]).then(
        show, [widgets.folder, *were], widgets.shown
    )
    widgets.project.input(lambda *asked: show(*asked)[1:], widgets.asked, widgets.shown[1:])
    widgets.grid.input(lambda *asked: show(*asked)[2:], widgets.asked, widgets.shown[2:])
    # By its queue gradio 3.41 gives the browser 5 seconds to say which page asks; one that is still
    # building the host's page needs longer on a slow machine, and shows "Connection errored out".
    return lambda blocks: blocks.load(show, widgets.asked, widgets.shown, queue=False)


@dataclass(frozen=True)
class ComponentValues:
    """What the components show: the two lists with what is chosen in them, facts and frame."""

    projects: tuple[str, ...] = ()
    project: str | None = None
    grids: tuple[str, ...] = ()
    grid: str | None = None
    facts: str = ""
    frame: str = ""


def _look(place: ScreenHost, folder: str, label: str | None, name: str | None) -> ComponentValues:
    """Read the shelf and choose from it; what goes wrong is shown in place of the facts."""
    try:
        choice = choose(place.read(folder), None if label == NOTHING else label, name)
        return ComponentValues(
            choice.labels,
            choice.label,
            choice.grid_labels,
            choice.grid_label,
            markup.gone(choice) + markup.facts(choice, place.where) + _boards(place, choice),
            _frame(place, choice),
        )
    except Exception as error:  # noqa: BLE001  # a callback of the host: nobody above can show it
        _log.error("loraloom: the projects could not be shown", exc_info=error)
        return ComponentValues(facts=markup.problem(f"{type(error).__name__}: {error}"))


def _boards(place: ScreenHost, choice: ShelfSelection) -> str:
    """Show the boards of a project, folded: training pictures, and the showcase once promoted."""
    entry = choice.entry
    if entry is None or entry.project is None or entry.project.problem:
        return ""
    shown = ""
    if place.board is not None and (entry.root / "source").is_dir():
        shown += markup.board(place.board(entry.root))
    if place.review is not None and entry.project.promoted:
        shown += markup.review(place.review(entry.root))
    return shown


def _frame(place: ScreenHost, choice: ShelfSelection) -> str:
    if choice.grid is None:
        return ""
    sheet = place.address(choice.grid.sheet) if choice.grid.sheet else ""
    return markup.frame(choice, place.address(choice.grid.page), sheet)
