"""The tab: a project's parts, a button per step, and "Send to LoRA tab".

Widgets only: every text comes from `panels` and `markup`, every step from `steps`. It must run in
gradio 4, 5 and 6, so it uses nothing that one of them lacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..project import Project, ToolError, apply_init, plan_init
from ..project.jobs import Job, sentence_of
from ..project.manifest import SubjectKind
from . import markup, steps
from .board import board_frame
from .bridge import LoraTab, find_differences, find_lora_tab, missing_keys
from .panels import JOBS, Panels, read_panels, require_folder_text, require_project
from .views import lora_tab_values

STEPS: tuple[tuple[str, steps.Step], ...] = (
    ("Stage", steps.stage),
    ("Caption", steps.caption),
    ("Config", steps.config),
    ("Check", steps.check),
)
"""The steps that need nothing but the project, in the order of the road."""

LOOKS = 3
PAUSE_SECONDS = 1.0
"""How often, and after how long, sent values are looked at again before the last reading back."""

Shown = dict[Any, str]


@dataclass(frozen=True)
class Beginning:
    """The components of a new project and of an import."""

    word: Any
    kind: Any
    make: Any
    source: Any
    rename: Any
    bring: Any


@dataclass(frozen=True)
class Training:
    """The components of a training: its button, and what may be asked of it."""

    train: Any
    save_states: Any
    resume: Any
    move_old: Any


@dataclass(frozen=True)
class Form:
    """The tab's components: what is typed, what is pressed, and a box for each panel."""

    folder: Any
    open: Any
    page: Any
    boxes: dict[str, Any]
    buttons: tuple[tuple[Any, steps.Step], ...]
    training: Training
    stop: Any
    send: Any
    sent: Any
    beginning: Beginning
    board: Any

    def show(self, panels: Panels) -> Shown:
        """Return what each box gets, by component."""
        return {self.boxes[name]: text for name, text in asdict(panels).items()}

    @property
    def outputs(self) -> list[Any]:
        return list(self.boxes.values())


def build_page(folder: str = "") -> None:
    """Build the tab's contents inside the open gradio block; `folder` is opened first."""
    import gradio
    from gradio.context import Context

    lora_tab = find_lora_tab(Context.root_block)
    form = _lay_out(gradio, folder, with_sending=lora_tab is not None)
    _connect(form)
    if lora_tab is not None:
        _connect_sending(gradio, form, lora_tab)
    if folder:
        Context.root_block.load(board_frame, [form.folder], [form.board], show_progress="hidden")
        Context.root_block.load(
            _follower(form), [form.folder, form.page], form.outputs, show_progress="hidden"
        )


def _lay_out(gradio: Any, folder: str, with_sending: bool) -> Form:
    with gradio.Row():
        path = gradio.Textbox(label="Project folder", value=folder, scale=5)
        opener = gradio.Button("Open project", variant="primary", scale=1)
    boxes = {"message": gradio.HTML(markup.greeting())}
    beginning = _lay_out_beginning(gradio)
    with gradio.Row():
        narrow = {"min_width": 90}  # else the row breaks in gradio 5
        buttons = tuple((gradio.Button(label, **narrow), step) for label, step in STEPS)
        train = gradio.Button("Train", **narrow)
        stop = gradio.Button("Stop", variant="stop", **narrow)
        send = gradio.Button("Send to LoRA tab", visible=with_sending, **narrow)
    training = _lay_out_training(gradio, train)
    boxes["job"] = gradio.HTML()
    sent = gradio.HTML(visible=with_sending)
    with gradio.Row():
        with gradio.Column():
            gradio.Markdown("### Where it stands")
            boxes["overview"] = gradio.HTML()
        with gradio.Column():
            gradio.Markdown("### Steps")
            boxes["folders"] = gradio.HTML()
    gradio.Markdown("### Pictures")
    board = gradio.HTML()
    boxes["pictures"] = gradio.HTML()
    with gradio.Row():
        page = gradio.Number(label="Page", value=1, precision=0, minimum=1, scale=0)
    gradio.Markdown("### Config")
    boxes["config"] = gradio.HTML()
    return Form(path, opener, page, boxes, buttons, training, stop, send, sent, beginning, board)


def _lay_out_beginning(gradio: Any) -> Beginning:
    """New project and import: the two steps that need something typed."""
    with gradio.Accordion("New project, or more pictures", open=False):
        with gradio.Row():
            word = gradio.Textbox(label="Trigger word", value="", scale=2)
            kind = gradio.Dropdown(
                [one.value for one in SubjectKind],
                value=SubjectKind.CHARACTER.value,
                label="What the LoRA is of",
                scale=2,
            )
            maker = gradio.Button("Make a project in the folder above", scale=1)
        with gradio.Row():
            source = gradio.Textbox(label="Folder with pictures", value="", scale=4)
            importer = gradio.Button("Import", scale=1)
        with gradio.Row():
            rename = gradio.Checkbox(label="Number pictures whose name exists already")
    return Beginning(word, kind, maker, source, rename, importer)


def _lay_out_training(gradio: Any, train: Any) -> Training:
    with gradio.Accordion("Training: states, going on, earlier files", open=False), gradio.Row():
        save = gradio.Checkbox(
            label="Save states, so that it can go on after a stop (--save-states)"
        )
        resume = gradio.Checkbox(label="Go on from the newest state (--resume)")
        move = gradio.Checkbox(label="Move epoch files of an earlier training aside (--move-old)")
    return Training(train, save, resume, move)


def make_project(folder: str, trigger_word: str | None, kind: str) -> Panels:
    """Make a project in `folder` and show it; an error becomes the message."""
    try:
        root = require_folder_text(folder, "project folder")
        apply_init(plan_init(root, (trigger_word or "").strip(), SubjectKind(kind)))
    except ToolError as error:
        return Panels(message=markup.problem(str(error)))
    return read_panels(folder)


def _connect(form: Form) -> None:
    seen = [form.folder, form.page]
    _connect_beginning(form)
    _connect_training(form)
    for event in (form.open.click, form.folder.submit):
        # first, for following may last as long as a training; refreshed boxes leave it in place
        event(board_frame, [form.folder], [form.board], show_progress="hidden")
        event(_follower(form), seen, form.outputs, concurrency_limit=None, show_progress="hidden")
    form.page.change(
        lambda folder, page: form.show(read_panels(folder, int(page or 1))), seen, form.outputs
    )
    for button, step in form.buttons:
        button.click(
            _runner(form, button.value, step),
            seen,
            form.outputs,
            concurrency_limit=None,
            show_progress="hidden",
        )
    form.stop.click(lambda folder: stop_job(folder), [form.folder], [form.boxes["message"]])


def _connect_beginning(form: Form) -> None:
    def importing(folder: str, page: float, pictures: str, rename: bool) -> Iterator[Shown]:
        try:
            source = require_folder_text(pictures, "folder with pictures")
        except ToolError as error:
            yield {form.boxes["message"]: markup.problem(str(error))}
            return
        step = steps.importing(source, rename=rename)
        yield from _run(form, folder, page, "Import", step)

    begin = form.beginning
    begin.make.click(
        lambda folder, word, kind: form.show(make_project(folder, word, kind)),
        [form.folder, begin.word, begin.kind],
        form.outputs,
    ).then(board_frame, [form.folder], [form.board], show_progress="hidden")
    begin.bring.click(
        importing,
        [form.folder, form.page, begin.source, begin.rename],
        form.outputs,
        concurrency_limit=None,
        show_progress="hidden",
    ).then(board_frame, [form.folder], [form.board], show_progress="hidden")


def _connect_training(form: Form) -> None:
    def train(
        folder: str, page: float, save_states: bool, resume: bool, move_old: bool
    ) -> Iterator[Shown]:
        step = steps.training(save_states=save_states, resume=resume, move_old=move_old)
        yield from _run(form, folder, page, "Train", step)

    asked = form.training
    asked.train.click(
        train,
        [form.folder, form.page, asked.save_states, asked.resume, asked.move_old],
        form.outputs,
        concurrency_limit=None,
        show_progress="hidden",
    )


def _follower(form: Form) -> Callable[[str, float], Iterator[Shown]]:
    def follow(folder: str, page: float) -> Iterator[Shown]:
        """Show the project, and the step that is going on in it, to its end."""
        panels = read_panels(folder, int(page or 1))
        yield form.show(panels)
        if not panels.overview:
            return
        try:
            job = find_running(require_project(folder))
        except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
            yield {form.boxes["message"]: markup.problem(sentence_of(error))}
            return
        if job is not None:
            yield from _watch(form, folder, page, job)

    return follow


def find_running(project: Project) -> Job | None:
    """Return the step that goes on in a project; a training started elsewhere becomes one."""
    job = JOBS.find(project.root)
    if job is not None and not job.view().is_finished:
        return job
    running = steps.find_training_of(project)
    if running is None:
        return None
    return JOBS.start(project.root, "Train", steps.work_of(steps.looking_on(running), project))


def _runner(form: Form, name: str, step: steps.Step) -> Callable[[str, float], Iterator[Shown]]:
    def run(folder: str, page: float) -> Iterator[Shown]:
        """Be a generator function: gradio streams nothing else."""
        yield from _run(form, folder, page, name, step)

    return run


def _run(form: Form, folder: str, page: float, name: str, step: steps.Step) -> Iterator[Shown]:
    try:
        project = require_project(folder)
        job = JOBS.start(project.root, name, steps.work_of(step, project))
    except ToolError as error:
        yield {form.boxes["message"]: markup.problem(str(error))}
        return
    yield from _watch(form, folder, page, job)


def _watch(form: Form, folder: str, page: float, job: Job) -> Iterator[Shown]:
    for view in job.follow():
        message = markup.going_on(folder.strip(), job.name, is_stopping=job.is_stopping)
        yield {form.boxes["message"]: message, form.boxes["job"]: markup.job(view)}
    yield form.show(read_panels(folder, int(page or 1)))


def stop_job(folder: str) -> str:
    """Ask the project's running step to stop, and say what happens now."""
    try:
        job = JOBS.find(require_project(folder).root)
    except ToolError as error:
        return markup.problem(str(error))
    if job is None or job.view().is_finished:
        return markup.remark("Nothing is running.")
    job.stop()
    return markup.going_on(folder.strip(), job.name, is_stopping=True)


def _connect_sending(gradio: Any, form: Form, lora_tab: LoraTab) -> None:
    """Send every value, then look again and again whether they stayed.

    Kohya v26 answers a sending with its own change handlers, which bring back what stood in a few
    fields before (seen: lr_warmup, conv_dim), as long as its "Parameters" was never opened. They
    come a moment later than the sending's end, so each look waits first and fixes what it finds.
    """
    fields = list(lora_tab.components)

    def send(folder: str, *shown: Any) -> list[Any]:
        """Send all values; given what is shown, only those that are not there."""
        try:
            values = lora_tab_values(require_project(folder), lora_tab.keys)
        except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
            return [*(gradio.update() for _ in fields), markup.problem(sentence_of(error))]
        missing = missing_keys(lora_tab.keys, values, shown)
        changes = [
            gradio.update(value=values[key]) if key in missing else gradio.update()
            for key in lora_tab.keys
        ]
        return [*changes, markup.remark("Sent; now each value is read back …")]

    def read_back(folder: str, *shown: Any) -> str:
        try:
            values = lora_tab_values(require_project(folder), lora_tab.keys)
        except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
            return markup.problem(sentence_of(error))
        return markup.sent(len(fields), find_differences(lora_tab.keys, values, shown))

    seen, outputs = [form.folder, *fields], [*fields, form.sent]
    step = form.send.click(send, [form.folder], outputs, show_progress="hidden")
    for _ in range(LOOKS):
        step = step.then(_pause, None, None, show_progress="hidden")
        step = step.then(send, seen, outputs, show_progress="hidden")
    step = step.then(_pause, None, None, show_progress="hidden")
    step.then(read_back, seen, [form.sent], show_progress="hidden")


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)
