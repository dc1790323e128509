"""HTML for what the tab shows: tables, thumbnails, a progress bar.

Every text of a user or a file is escaped here. Pictures travel inside the page, so that no gradio
version has to be allowed to read the project's folder.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from ..project import ToolError
from ..project.background_jobs import JobView
from ..project.kept_advice import KeptAdvice, sparkline
from ..project.wording import counted
from .bridge import Difference
from .screen_words import on_screen
from .views import ConfigView, FolderSteps, Overview, PicturesPage, PictureView, label_of, thumbnail

_CELL = "padding:.2em .8em;vertical-align:top"
_CARD = "width:170px;margin:0 .6em .8em 0;font-size:.85em;line-height:1.3"
_SHOWN_CAPTION = 160
_SHOWN_LINES = 100


def table(
    rows: Iterable[Sequence[object]], head: Sequence[str] = (), *, drops_empty: bool = False
) -> str:
    """Return a plain table; the first column is the name.

    `drops_empty` leaves out columns in which no row says anything: a phone has no room for them.
    """
    rows = list(rows)
    if drops_empty and rows:
        kept = [at for at in range(len(head)) if any(row[at] != "" for row in rows)]
        rows = [[row[at] for at in kept] for row in rows]
        head = [head[at] for at in kept]
    top = "".join(f'<th style="{_CELL};text-align:left">{escape(one)}</th>' for one in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    inner = f"<tr>{top}</tr>{body}" if top else body
    return f'<div style="overflow-x:auto"><table>{inner}</table></div>'


def _cell(value: object) -> str:
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    return f'<td style="{_CELL}">{escape(text)}</td>'


def greeting() -> str:
    """Say what to do on a page that shows no project yet."""
    return (
        "<p>Type or choose the folder of a LoRA project above and press <b>Open project</b>. "
        "To create one, open <b>New project</b> below.</p>"
    )


def going_on(folder: str, name: str, *, is_stopping: bool) -> str:
    """Say which project is open and which step is running."""
    how = "is stopping" if is_stopping else "is running"
    return f"<p>{escape(folder)} is open; <b>{escape(name)}</b> {how}.</p>"


def opened(root: Path, advice: str) -> str:
    """Say which project is open and what comes next."""
    return f"<p>{escape(str(root))} is open. Next: {escape(advice)}.</p>"


def overview(view: Overview) -> str:
    """Show a project's status."""
    return table(view.rows) + ("" if view.advice is None else advice(view.advice))


def advice(given: KeptAdvice) -> str:
    """Show the newest advice on the epochs: in words, as curves, and what was not measured."""
    note = " (simulated)" if given.is_simulated else ""
    picks = "".join(
        f"<li><b>{escape(one.place)}</b> {escape(on_screen(' '.join(one.reasons)))}</li>"
        for one in given.picks
    )
    curves = "".join(
        f'<figure style="margin:0 1em 0 0">{sparkline(one)}'
        f"<figcaption>{escape(one.name)}</figcaption></figure>"
        for one in given.curves
    )
    missing = "".join(
        f"<li>Not measured, {escape(name)}: {escape(on_screen(why))}</li>"
        for name, why in given.not_measured
    )
    return (
        f"<p><b>Advice{note}:</b> {escape(on_screen(given.summary))}</p><ol>{picks}</ol>"
        f'<div style="display:flex;flex-wrap:wrap">{curves}</div><ul>{missing}</ul>'
    )


def pictures(page: PicturesPage) -> str:
    """Show one page of pictures with role, repeats and caption."""
    total = page.primary + page.supporting
    if not total:
        return "<p>No pictures yet. Import a folder of pictures first.</p>"
    kind = "staged" if page.is_staged else "imported, not staged yet"
    head = (
        f"{total} {kind}: {page.primary} primary, {page.supporting} supporting. "
        f"Page {page.number} of {page.pages}."
    )
    cards = "".join(map(_card, page.pictures))
    return f'<p>{head}</p><div style="display:flex;flex-wrap:wrap">{cards}</div>'


def _card(one: PictureView) -> str:
    if one.caption is None:
        caption = "<i>no caption yet</i>" if one.is_staged else ""
    else:
        more = " …" if len(one.caption) > _SHOWN_CAPTION else ""
        caption = escape(one.caption[:_SHOWN_CAPTION] + more)
    return (
        f'<div style="{_CARD}">{_image(one)}<br><b>{escape(one.path.name)}</b><br>'
        f"{one.role.value}, {counted(one.repeats, 'time')} per epoch<br>{caption}</div>"
    )


def _image(one: PictureView) -> str:
    try:
        data = base64.b64encode(thumbnail(one.path)).decode("ascii")
    except (ToolError, OSError) as error:
        return f"<i>{escape(str(error))}</i>"
    return f'<img alt="{escape(one.path.name)}" src="data:image/jpeg;base64,{data}">'


def problem(sentence: str) -> str:
    """Show an error as a sentence that cannot be overlooked."""
    style = "border-left:4px solid #c33;padding:.4em .8em"
    return f'<div role="alert" style="{style}">{escape(on_screen(sentence))}</div>'


def remark(sentence: str) -> str:
    """Show a sentence that is no error."""
    return f"<p>{escape(on_screen(sentence))}</p>"


def job(view: JobView | None) -> str:
    """Show a step: how far it is, what it said last, how it ended."""
    if view is None:
        return ""
    text = escape("\n".join(map(on_screen, view.lines[-_SHOWN_LINES:])))
    style = "white-space:pre-wrap;max-height:22em;overflow:auto"
    lines = f'<pre style="{style}">{text}</pre>' if text else ""
    return "".join((_headline(view), _bar(view), lines))


def _headline(view: JobView) -> str:
    if view.error:
        return problem(f"{view.name}: {view.error}")
    how = "running" if not view.is_finished else "stopped" if view.is_stopped else "finished"
    return f"<p><b>{escape(view.name)}</b>: {how}</p>"


def _bar(view: JobView) -> str:
    progress = view.progress
    if progress is None or view.is_finished:
        return ""
    amount = f"{progress.done}/{progress.total}" if progress.total else f"{progress.done}"
    text = escape(f"{progress.phase} {amount} {progress.message}".strip())
    top = f' max="{progress.total}" value="{progress.done}"' if progress.total else ""
    return f'<progress style="width:100%"{top}></progress><p>{text}</p>'


def folders(rows: Sequence[FolderSteps]) -> str:
    """Show what each folder gives to one epoch."""
    if not rows:
        return "<p>Nothing is staged yet.</p>"
    head = ("Folder", "Pictures", "Repeats", "Per epoch")
    body = [(one.name, one.pictures, one.repeats, one.draws) for one in rows]
    total = ("total", sum(one.pictures for one in rows), "", sum(one.draws for one in rows))
    return table([*body, total], head)


def config(view: ConfigView | None) -> str:
    """Show the written config with the reason of each value."""
    if view is None:
        return "<p>No config is written yet.</p>"
    late = "The project was changed after the config was written: press Config again."
    warning = problem(late) if view.is_outdated else ""
    head = (
        f"<p><b>{escape(view.path.name)}</b> for {escape(view.script)}: "
        f"{counted(view.epochs, 'epoch')}, {counted(view.steps, 'step')}.</p>"
    )
    rows = [(one.label, one.key, one.value, one.reason) for one in view.rows]
    return warning + head + table(rows, ("Kohya's field", "Key in its json", "Value", "Reason"))


def sent(count: int, differences: Sequence[Difference]) -> str:
    """Say whether Kohya's LoRA tab holds what was sent."""
    if not differences:
        return (
            f"<p>{counted(count, 'value is', 'values are')} in the LoRA tab; each was read "
            "back.</p>"
        )
    rows = [(label_of(one.key), one.sent, one.shown) for one in differences]
    text = (
        f"{len(differences)} of {counted(count, 'value')} did not arrive. Reload this page and "
        "send again."
    )
    return problem(text) + table(rows, ("Kohya's field", "Sent", "Shown"))
