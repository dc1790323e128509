"""HTML of the page: a project's facts, and the frame that shows a grid's own page.

Every text of a user or a file is escaped here.
"""

from __future__ import annotations

from html import escape

from kohya_ext.project.page_frame import page_frame
from kohya_ext.project.printable import shortened

from .shelf import ShelfSelection

_CELL = "padding:.2em .8em;vertical-align:top"
FRAME_PIXELS = 900


def problem(sentence: str) -> str:
    """Show an error as a sentence that cannot be overlooked."""
    style = "border-left:4px solid #c33;padding:.4em .8em"
    return f'<div role="alert" style="{style}">{escape(sentence)}</div>'


def notice(sentence: str) -> str:
    """Show what was done."""
    return f'<div role="status" style="padding:.4em .8em">{escape(sentence)}</div>'


def facts(choice: ShelfSelection, where: str) -> str:
    """Show what is known of the chosen project; `where` says how projects get onto the list."""
    if choice.entry is None:
        return f"<p>There is no project in these folders yet. {escape(where)}</p>"
    row = choice.entry.project
    if row is None:
        alone = f"<p>There is no project in these folders yet. {escape(where)}</p>"
        return _own(choice) + (alone if len(choice.labels) == 1 else "")
    if row.problem:
        return problem(row.problem)
    return _table(
        ("Folder", str(row.root)),
        ("Trigger word", row.trigger_word),
        ("Epoch files", str(row.epoch_files) if row.epoch_files else "none yet; train first"),
        ("Promoted", row.promoted or "none yet"),
        ("Grids", str(len(row.grids)) if row.grids else "none yet"),
    )


def _own(choice: ShelfSelection) -> str:
    assert choice.entry is not None
    if choice.entry.grids:
        return _table(("Folder", str(choice.entry.root)), ("Grids", str(len(choice.entry.grids))))
    return (
        "<p>No grid yet. In txt2img write a LoRA into the prompt, choose the script "
        "<b>LoRA epoch grid</b> at the bottom of the page, and press Generate.</p>"
    )


def _table(*rows: tuple[str, str]) -> str:
    body = "".join(
        f'<tr><td style="{_CELL}"><b>{escape(name)}</b></td>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table>{body}</table>"


def frame(choice: ShelfSelection, page: str, sheet: str) -> str:
    """Show the chosen grid in a frame; `page` and `sheet` are addresses, "" for none."""
    if choice.grid is None:
        return ""
    links = [f'<a href="{escape(page)}" target="_blank">Open it in a separate window</a>']
    if sheet:
        links.append(f'<a href="{escape(sheet)}" target="_blank">Contact sheet as a picture</a>')
    return (
        f"<p>Drawn {escape(choice.grid.made_at)}. {' | '.join(links)}</p>"
        f"{page_frame(page, choice.grid.name, FRAME_PIXELS)}"
    )


def gone(choice: ShelfSelection) -> str:
    """Say that the project which was chosen is no longer there; "" where it is."""
    if not choice.gone:
        return ""
    return problem(
        f'The project "{shortened(choice.gone)}" is no longer in these folders: it was moved, '
        f"renamed or removed. {choice.label or 'Nothing'} is shown instead."
    )


def board(page: str) -> str:
    """Show a project's board, folded."""
    return _folded("Sort and caption the training pictures", "Board", page)


def review(page: str) -> str:
    """Show the review of a project's showcase, folded."""
    return _folded("Draw, review, upscale, select and publish the showcase", "Review", page)


def wildcards(page: str) -> str:
    """Show the page of wildcards, folded."""
    return _folded("Search and edit wildcards", "Wildcards", page)


def _folded(words: str, title: str, page: str) -> str:
    """Return a frame that is loaded when somebody opens it."""
    return (
        f"<details><summary><b>{escape(words)}</b></summary>"
        f'<p><a href="{escape(page)}" target="_blank">Open it in a separate window</a></p>'
        f"{page_frame(page, title, FRAME_PIXELS)}</details>"
    )
