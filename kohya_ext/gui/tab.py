"""The tab: the workflow from a folder of pictures to a verified training, a button per step.

Widgets only: components are `layout`'s, texts come from `panels` and `markup`, values from
`fields`, every step from `actions`. It must run in gradio 4, 5 and 6.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..project import Project, ToolError, apply_init, plan_init
from ..project.background_jobs import BackgroundJob, sentence_of
from ..project.manifest import SubjectKind
from . import actions, decisions, markup, workflow_markup
from .board_frame import board_frame
from .bridge import LoraTab, find_differences, find_host_folder, find_lora_tab, missing_keys
from .fields import NUMBERS, Section, keep_label, preset_names, require_kept, shown_values
from .last_project import first_folder, keep_js, kept_js, recent_projects, remember
from .live import LIVE
from .panels import (
    JOBS,
    SECTION_OF_STEP,
    queue_root,
    read_panels,
    require_folder_text,
    require_project,
)
from .places import find_models, find_taggers, list_folder, tagger_label
from .views import lora_tab_values
from .widgets import Form, Picker, Shown, lay_out

STEPS: tuple[tuple[str, actions.Step], ...] = (
    ("Stage", actions.stage),
    ("Caption", actions.caption),
    ("Config", actions.config),
    ("Check", actions.check),
)
"""The steps that need nothing but the project, in the order of the workflow."""

KEEPS = (
    Section.BASE,
    Section.PRESET,
    Section.CONSENT,
    Section.PICTURES,
    Section.TAGGER,
    Section.CAPTIONS,
    Section.LENGTH,
)
"""The sections whose fields are kept by a button."""

LOOKS = 3
PAUSE_SECONDS = 1.0
"""How often, and after how long, sent values are looked at again before the last reading back."""

_LONG = {"concurrency_limit": None, "show_progress": "hidden"}
_QUIET = {"show_progress": "hidden"}


def build_page(folder: str = "") -> None:
    """Build the tab's contents inside the open gradio block.

    `folder` is opened first; without one, the project that was last used here.
    """
    import gradio
    from gradio.context import Context

    lora_tab = find_lora_tab(Context.root_block)
    form = lay_out(
        gradio, first_folder("", folder), recent_projects(), with_sending=lora_tab is not None
    )
    tab = _Tab(gradio, form, folder)
    tab.connect()
    if lora_tab is not None:
        _connect_sending(gradio, form, lora_tab)
    # a page that is loaded again shows what was opened last, whatever stood here at the start
    Context.root_block.load(
        tab.load,
        [form.folder],
        [form.folder, *form.outputs, form.typed["entry"]],
        js=kept_js(),
        **_QUIET,
    ).then(tab.follow, [form.folder, form.page], form.outputs, **_LONG)


class _Tab:
    """Connects the components of one form."""

    def __init__(self, gradio: Any, form: Form, folder: str) -> None:
        self._gradio, self._form, self._folder = gradio, form, folder

    # -- what is shown ------------------------------------------------------------------------

    def everything(self, folder: str | None, page: float | None = 1) -> Shown:
        """Show a project whole: panels, fields, lists, the board."""
        form, update = self._form, self._gradio.update
        shown = form.show(read_panels(folder, int(page or 1)))
        shown |= dict.fromkeys(form.notes.values(), "")
        shown |= {form.boxes["effect"]: "", form.boxes["report"]: ""}
        try:
            project = require_project(folder)
            remember(project.root)
            shown |= self.fields(project)
        except Exception:  # noqa: BLE001  # the panels' message says it already
            shown[form.consent] = update(visible=False)
            return shown
        shown[form.board] = board_frame(str(project.root))
        job = JOBS.find(project.root)
        if job is not None:
            shown[form.notes[SECTION_OF_STEP[job.name]]] = markup.job(job.view())
        return shown

    def fields(self, project: Project) -> Shown:
        """Show what the project says in its fields, and what may be chosen."""
        form, update = self._form, self._gradio.update
        values = shown_values(project.manifest)
        names = preset_names(project.manifest.base_model.family)
        host = find_host_folder()
        models = [(one.label, str(one.path)) for one in find_models(host)]
        taggers = [(tagger_label(one), str(one)) for one in find_taggers(host)]
        is_person = project.manifest.subject.kind is SubjectKind.PERSON
        shown: Shown = {form.fields[name]: update(value=value) for name, value in values.items()}
        shown[form.fields["preset"]] = update(choices=list(names), value=values["preset"])
        shown[form.typed["models"]] = update(choices=models, value=None)
        shown[form.typed["taggers"]] = update(choices=taggers, value=None)
        shown[form.typed["recent"]] = update(choices=recent_projects(), value=None)
        shown[form.typed["trainer"]] = update(value=decisions.trainer_text())
        shown[form.consent] = update(visible=is_person)
        return shown

    def load(self, kept: str) -> Shown:
        """Begin a page with the project that was last used in its window, browser or GUI."""
        form, update = self._form, self._gradio.update
        folder = first_folder(kept, self._folder)
        numbers = {
            component: update(value=None)  # gradio 6 shows 0 where a page begins with None
            for component in (form.typed["entry"], *map(form.fields.__getitem__, NUMBERS))
        }
        if not folder:
            return {form.folder: update(), **numbers}  # maybe somebody types a folder already
        return {form.folder: folder, **numbers, **self.everything(folder)}

    # -- buttons ------------------------------------------------------------------------------

    def connect(self) -> None:
        """Give every button what it does."""
        form = self._form
        for event in (form.buttons["Open project"].click, form.folder.submit):
            self._keep_open(
                event(self.everything, [form.folder, form.page], form.outputs, **_QUIET)
            )
        chosen, outputs = form.typed["recent"], [form.folder, *form.outputs]
        self._keep_open(chosen.input(self._open_recent, [chosen], outputs, **_QUIET))
        form.page.change(
            lambda folder, page: form.show(read_panels(folder, int(page or 1))),
            [form.folder, form.page],
            list(form.boxes.values()),
        )
        for picker in form.pickers:
            self._connect_picker(picker)
        for name in ("models", "taggers"):
            target = form.fields["base_path" if name == "models" else "tagger"]
            form.typed[name].input(self._or_nothing, [form.typed[name]], [target], **_QUIET)
        for label, step in STEPS:
            self._run(label, label, lambda step=step: step)
        for section in KEEPS:
            self._decide(keep_label(section), section, decisions.keeping(section), form.seen[2:])
        self._connect_decisions()
        self._connect_training()

    def _keep_open(self, opened: Any) -> None:
        """After an opening: the browser keeps the project, and its running step is followed."""
        form = self._form
        kept = opened.then(None, [form.folder], None, js=keep_js(), **_QUIET)
        kept.then(self.follow, [form.folder, form.page], form.outputs, **_LONG)

    def _connect_decisions(self) -> None:
        typed, every = self._form.typed, self._form.seen[2:]
        self._keep_open(self._form.buttons["Make a project in the folder above"].click(
            self._make, [self._form.folder, typed["word"], typed["kind"]], self._form.outputs
        ))  # fmt: skip
        chosen = [typed["key"], typed["value"]]
        self._decide("Set value", Section.PRESET, decisions.set_value, chosen)
        self._decide("Back to the preset", Section.PRESET, decisions.drop_value, chosen[:1])
        self._decide("Use its settings", Section.PRESET, decisions.take_config, [typed["config"]])
        self._decide("Use this trainer", Section.TRAIN, decisions.use, [typed["trainer"]])
        self._form.fields["preset"].input(
            self._show_preset,
            [self._form.folder, self._form.fields["preset"]],
            [self._form.boxes["preset"]],
            **_QUIET,
        )
        self._form.buttons["Show the effect"].click(
            self._show_effect,
            [self._form.folder, *every],
            [self._form.boxes["effect"]],
            **_QUIET,
        )

    def _connect_training(self) -> None:
        form, typed = self._form, self._form.typed
        self._run("Import", "Import", self._importing, [typed["source"], typed["rename"]])
        self._run("Fetch from the hub", "Fetch", actions.fetching, [typed["repository"]])
        asked = [typed[name] for name in ("save_states", "resume", "move_old")]
        self._run("Train", "Train", _training, asked)
        note = [form.notes[Section.TRAIN]]
        form.buttons["Stop"].click(lambda folder: stop_job(folder), [form.folder], note)
        form.buttons["Stop after this epoch"].click(
            lambda folder: decisions.message_of(actions.stop_after_epoch, folder),
            [form.folder],
            note,
        )
        for label, act, inputs in (
            ("Add to queue", decisions.add_project, [form.folder]),
            ("Add this config to queue", decisions.add_config, [typed["queued"]]),
            ("Move to the front", decisions.move_entry, [typed["entry"]]),
            ("Remove", decisions.remove_entry, [typed["entry"]]),
            ("Stop the queue after this training", decisions.end_queue, []),
        ):
            outputs = [form.notes[Section.QUEUE], form.boxes["queue"]]
            form.buttons[label].click(act, inputs, outputs, **_QUIET)
        form.buttons["Start queue"].click(
            self._start_queue, None, [form.notes[Section.QUEUE], form.boxes["queue"]], **_LONG
        )
        form.buttons["Report"].click(
            decisions.report, [form.folder], [form.boxes["report"]], **_QUIET
        )

    def _connect_picker(self, picker: Picker) -> None:
        update = self._gradio.update

        def listed(text: str | None) -> list[Any]:
            found = list_folder(text, picker.suffixes)
            choices = [(one.label, str(one.path)) for one in found.entries]
            return [
                update(visible=True),
                update(choices=choices, value=None, label=f"In {found.folder}"),
            ]

        def choose(path: str | None) -> list[Any]:
            if not path:
                return [update(), update(), update()]
            if Path(path).is_file():
                return [update(value=path), update(visible=False), update()]
            return [update(value=str(path)), *listed(path)]

        both = [picker.panel, picker.entries]
        picker.browse.click(listed, [picker.box], both, **_QUIET)
        picker.entries.input(choose, [picker.entries], [picker.box, *both], **_QUIET)
        picker.close.click(lambda: update(visible=False), None, [picker.panel], **_QUIET)

    def _or_nothing(self, chosen: str | None) -> Any:
        """Leave a list's box alone when nothing was chosen: Tab through a list says so, too."""
        return chosen or self._gradio.update()

    def _open_recent(self, chosen: str | None) -> Shown:
        if not chosen:
            return {self._form.folder: self._gradio.update()}
        return {self._form.folder: chosen, **self.everything(chosen)}

    def _make(self, folder: str, word: str | None, kind: str) -> Shown:
        try:
            make_project(folder, word, kind)
        except ToolError as error:
            return {self._form.notes[Section.PROJECT]: markup.problem(str(error))}
        return self.everything(folder)

    def _decide(
        self, label: str, section: Section, act: Callable[..., str], inputs: list[Any]
    ) -> None:
        """Let a button change the project; the sentence that comes back is in its section."""
        form = self._form

        def decide(folder: str, page: float, *values: Any) -> Shown:
            try:
                project = require_project(folder)
                given = (form.typed_of(values),) if len(values) == len(form.fields) else values
                said = act(project, *given)
                shown = self.fields(require_project(folder))
            except Exception as error:  # noqa: BLE001  # a host callback: the page stays usable
                return {form.notes[section]: markup.problem(sentence_of(error))}
            # what was typed in other sections and not kept yet is left alone
            own = {form.fields[one.name] for one in decisions.changed_fields(section)}
            kept = {key: value for key, value in shown.items() if key in own}
            others = {key: value for key, value in shown.items() if key not in set(
                form.fields.values())}  # fmt: skip
            panels = form.show(read_panels(folder, int(page or 1)))
            return {**panels, **others, **kept, form.notes[section]: said}

        form.buttons[label].click(decide, [form.folder, form.page, *inputs], form.outputs, **_QUIET)

    def _show_preset(self, folder: str, name: str) -> str:
        return decisions.message_of(lambda project: decisions.preset_reasons(project, name), folder)

    def _show_effect(self, folder: str, *values: Any) -> str:
        typed = self._form.typed_of(values)
        return decisions.message_of(lambda project: decisions.effect(project, typed), folder)

    # -- steps --------------------------------------------------------------------------------

    def _run(
        self,
        label: str,
        name: str,
        make: Callable[..., actions.Step],
        inputs: list[Any] | None = None,
    ) -> None:
        """Let a button run a step; what is typed and not kept is reported first."""
        form, own = self._form, inputs or []

        def run(folder: str, page: float, *values: Any) -> Iterator[Shown]:
            """Be a generator function: gradio streams nothing else."""
            count = len(form.fields)
            section = SECTION_OF_STEP[name]
            try:
                project = require_project(folder)
                require_kept(project, form.typed_of(values[:count]))
                step = make(*values[count:])
                job = JOBS.start(project.root, name, actions.work_of(step, project))
            except ToolError as error:
                yield {form.notes[section]: markup.problem(str(error))}
                return
            yield from self._watch(folder, page, job)

        form.buttons[label].click(run, [*form.seen, *own], form.outputs, **_LONG)

    def _importing(self, pictures: str, rename: bool) -> actions.Step:
        return actions.importing(
            require_folder_text(pictures, "folder with pictures"), rename=bool(rename)
        )

    def _watch(self, folder: str, page: float, job: BackgroundJob) -> Iterator[Shown]:
        form = self._form
        note = form.notes[SECTION_OF_STEP[job.name]]
        root = require_project(folder).root
        for view in job.follow():
            message = markup.going_on(folder.strip(), job.name, is_stopping=job.is_stopping)
            shown: Shown = {form.boxes["message"]: message, note: markup.job(view)}
            if job.name == "Train":
                shown[form.boxes["live"]] = workflow_markup.live(LIVE.find(root))
            yield shown
        shown = form.show(read_panels(folder, int(page or 1))) | {note: markup.job(job.view())}
        if job.name == "Fetch":
            shown |= self.fields(require_project(folder))
        yield shown

    def follow(self, folder: str, page: float) -> Iterator[Shown]:
        """Show the step that is running in a project, to its end."""
        message = self._form.boxes["message"]
        yield {message: self._gradio.update()}  # gradio 6 empties what a silent generator fills
        if not (folder or "").strip():
            return
        try:
            job = find_running(require_project(folder))
        except ToolError:  # said already by what opened it
            return
        except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
            yield {message: markup.problem(sentence_of(error))}
            return
        if job is not None:
            yield from self._watch(folder, page, job)

    def _start_queue(self) -> Iterator[list[str]]:
        try:
            job = JOBS.start(queue_root(), "Queue", lambda progress, say, stop: (
                actions.run_the_queue(None, progress, say, stop)))  # fmt: skip
        except ToolError as error:
            yield [markup.problem(str(error)), decisions.queue_text()]
            return
        for view in job.follow():
            yield [markup.job(view), decisions.queue_text()]


def _training(save_states: bool, resume: bool, move_old: bool) -> actions.Step:
    return actions.training(
        save_states=bool(save_states), resume=bool(resume), move_old=bool(move_old)
    )


def make_project(folder: str | None, trigger_word: str | None, kind: str) -> Project:
    """Make a project in `folder`. Raises InputError, ConflictError."""
    root = require_folder_text(folder, "project folder")
    return apply_init(plan_init(root, (trigger_word or "").strip(), SubjectKind(kind)))


def find_running(project: Project) -> BackgroundJob | None:
    """Return the step that continues in a project; a training started elsewhere becomes one."""
    job = JOBS.find(project.root)
    if job is not None and not job.view().is_finished:
        return job
    running = actions.find_training_of(project)
    if running is None:
        return None
    return JOBS.start(
        project.root, "Train", actions.work_of(actions.follow_training(running), project)
    )


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
        return [*changes, markup.remark("Sent. Reading each value back …")]

    def read_back(folder: str, *shown: Any) -> str:
        try:
            values = lora_tab_values(require_project(folder), lora_tab.keys)
        except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
            return markup.problem(sentence_of(error))
        return markup.sent(len(fields), find_differences(lora_tab.keys, values, shown))

    seen, outputs = [form.folder, *fields], [*fields, form.sent]
    step = form.buttons["Send to LoRA tab"].click(
        send, [form.folder], outputs, show_progress="hidden"
    )
    for _ in range(LOOKS):
        step = step.then(_pause, None, None, show_progress="hidden")
        step = step.then(send, seen, outputs, show_progress="hidden")
    step = step.then(_pause, None, None, show_progress="hidden")
    step.then(read_back, seen, [form.sent], show_progress="hidden")


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)
