"""The parts of the tab as HTML texts, read for one project folder; no gradio.

An error becomes a sentence in `message`; the other parts stay empty then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..project import InputError, Project, open_project
from ..project.jobs import Jobs, sentence_of
from . import markup
from .views import view_config, view_folders, view_overview, view_pictures

JOBS = Jobs()
"""Every step started in this process, from whichever browser window."""

BUTTONS = ("Import", "Stage", "Caption", "Config", "Check", "Train")
"""The tab's buttons, called like the commands that do the same."""


@dataclass(frozen=True)
class Panels:
    """What stands in each part of the tab; the names are those of its components."""

    message: str = ""
    overview: str = ""
    pictures: str = ""
    folders: str = ""
    config: str = ""
    job: str = ""


def require_folder_text(text: str | None, what: str) -> Path:
    """Return the folder that the user typed; raises InputError for an empty box.

    gradio 6 sends None, not "", for a box that nobody touched and that has no value of its own.
    """
    typed = (text or "").strip()
    if not typed:
        raise InputError("LL708", f"No {what} is named.", "Type its path into the box.")
    return Path(typed).expanduser()


def require_project(folder: str) -> Project:
    """Open the project in the folder that the user typed."""
    return open_project(require_folder_text(folder, "project folder"))


def read_panels(folder: str, page: int = 1) -> Panels:
    """Read everything that the tab shows of the project in `folder`."""
    try:
        project = require_project(folder)
        standing = view_overview(project)
        job = JOBS.find(project.root)
        return Panels(
            message=markup.opened(project.root, standing.next_command, BUTTONS),
            overview=markup.overview(standing),
            pictures=markup.pictures(view_pictures(project, page)),
            folders=markup.folders(view_folders(project)),
            config=markup.config(view_config(project)),
            job=markup.job(job.view() if job else None),
        )
    except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
        return Panels(message=markup.problem(sentence_of(error)))
