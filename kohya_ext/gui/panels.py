"""The parts of the tab as HTML texts, read for one project folder; no gradio.

An error becomes a sentence in `message`; the other parts stay empty then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..project import InputError, Project, open_project, user_folder
from ..project.background_jobs import BackgroundJobs, sentence_of
from ..project.home import typed_path
from ..training.queue import read_queue
from . import markup, workflow_markup
from .fields import Section
from .live import LIVE
from .views import view_config, view_folders, view_overview, view_pictures
from .workflow import read_workflow

JOBS = BackgroundJobs()
"""Every step started in this process, from whichever browser window."""

SECTION_OF_STEP = {
    "Import": Section.PICTURES,
    "Stage": Section.PICTURES,
    "Fetch": Section.TAGGER,
    "Caption": Section.CAPTIONS,
    "Config": Section.LENGTH,
    "Check": Section.CHECK,
    "Train": Section.TRAIN,
    "Queue": Section.QUEUE,
}
"""Under which section a running step is shown."""


@dataclass(frozen=True)
class Panels:
    """What is in each part of the tab; the names are those of its components."""

    message: str = ""
    rail: str = ""
    overview: str = ""
    base: str = ""
    preset: str = ""
    folders: str = ""
    pictures: str = ""
    config: str = ""
    live: str = ""
    queue: str = ""


def require_folder_text(text: str | None, what: str) -> Path:
    """Return the folder that the user typed; raises InputError for an empty box.

    gradio 6 sends None, not "", for a box that nobody touched and that has no value of its own.
    """
    typed = text or ""
    if not typed.strip():
        raise InputError("LL708", f"No {what} is given.", "Type its path into the box.")
    return typed_path(typed)


def require_project(folder: str | None) -> Project:
    """Open the project in the folder that the user typed."""
    return open_project(require_folder_text(folder, "project folder"))


def queue_root() -> Path:
    """Return what stands for the queue among the jobs' project folders."""
    return user_folder() / "queue"


def is_checked(project: Project) -> bool:
    """Tell whether the last step of this project was a check that found nothing."""
    job = JOBS.find(project.root)
    view = job.view() if job else None
    return view is not None and view.name == "Check" and view.is_finished and not view.error


def read_panels(folder: str | None, page: int = 1) -> Panels:
    """Read everything that the tab shows of the project in `folder`."""
    try:
        project = require_project(folder)
        workflow = read_workflow(project, is_checked=is_checked(project))
        return Panels(
            message=markup.opened(project.root, workflow.advice),
            rail=workflow_markup.rail(workflow.done, workflow.following),
            overview=markup.overview(view_overview(project)),
            base=workflow_markup.base(project.manifest.base_model, project.root),
            preset=workflow_markup.reasons_of(project),
            folders=markup.folders(view_folders(project)),
            pictures=markup.pictures(view_pictures(project, page)),
            config=markup.config(view_config(project)),
            live=workflow_markup.live(LIVE.find(project.root)),
            queue=workflow_markup.queue(read_queue().entries),
        )
    except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
        return Panels(message=markup.problem(sentence_of(error)))
