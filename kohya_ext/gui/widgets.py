"""The tab's components, section by section in the order of the workflow; gradio and nothing else.

It must run in gradio 4, 5 and 6, so it uses nothing that one of them lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

from ..project.manifest import SubjectKind
from ..project.tagging.fetch import TAGGERS
from ..training.config.kohya_json import GuiVersion, keys_of
from . import markup
from .fields import USES, Field, Kind, Section, family_titles, fields_of, keep_label, numbered
from .panels import Panels
from .places import CONFIG_SUFFIXES, MODEL_SUFFIXES
from .views import label_of

Shown = dict[Any, Any]
NARROW = {"min_width": 90}
"""For buttons in a row, which breaks in gradio 5 otherwise."""
_CLASS = "loraloom-tab"
STYLE = f"""<style>
#{_CLASS}-style {{ display: none }}
.{_CLASS} .info-text {{
    position: static !important; opacity: 1 !important; visibility: visible !important;
    pointer-events: auto !important; width: auto !important; min-width: 0 !important;
    max-width: none !important; max-height: none !important; padding: 0 !important;
    border: 0 !important; background: none !important; box-shadow: none !important;
    backdrop-filter: none !important; -webkit-backdrop-filter: none !important;
    color: color-mix(in srgb, var(--body-text-color) 75%, transparent) !important;
}}
@media (max-width: 640px) {{
    .{_CLASS} .row > * {{ flex-basis: 100% !important }}
    .{_CLASS} .row > .form > * {{ min-width: 45% !important; flex-grow: 1 !important }}
    .{_CLASS} td, .{_CLASS} th {{
        max-width: 9em; padding: .2em .4em !important; font-size: 13px; overflow-wrap: break-word;
        word-break: normal;
    }}
    .{_CLASS} td:nth-child(2), .{_CLASS} td:nth-child(3) {{ overflow-wrap: anywhere }}
}}
</style>"""
"""Hints are below their labels: Kohya v26 shows them under a mouse only, which phones lack, and
gradio in a grey that is hard to read on white. On a phone there is no room beside a long name.

Important, because gradio puts a longer selector before the rules of the host.
"""
_PANELS = {
    Section.BASE: "base",
    Section.PRESET: "preset",
    Section.LENGTH: "config",
    Section.TRAIN: "live",
    Section.QUEUE: "queue",
    Section.REPORT: "report",
}
"""Which panel is at the end of a section."""


@dataclass(frozen=True)
class Picker:
    """A box with a path, a button that opens a list of folders, and that list."""

    box: Any
    browse: Any
    panel: Any
    entries: Any
    close: Any
    suffixes: tuple[str, ...] = ()


@dataclass
class Form:
    """The tab's components: what is typed, what is pressed, and a box for each panel."""

    with_sending: bool
    boxes: dict[str, Any] = field(default_factory=dict)
    notes: dict[Section, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    buttons: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, Any] = field(default_factory=dict)
    pickers: list[Picker] = field(default_factory=list)
    consent: Any = None
    sent: Any = None
    board: Any = None

    @property
    def folder(self) -> Any:
        return self.typed["folder"]

    @property
    def page(self) -> Any:
        return self.typed["page"]

    def show(self, panels: Panels) -> Shown:
        """Return what each box gets, by component."""
        return {self.boxes[name]: text for name, text in asdict(panels).items()}

    @property
    def seen(self) -> list[Any]:
        """What a step reads: the folder, the page, and every field of the project."""
        return [self.folder, self.page, *self.fields.values()]

    def typed_of(self, values: Iterable[Any]) -> dict[str, Any]:
        """Return typed values by the fields' names."""
        return dict(zip(self.fields, values, strict=True))

    @property
    def outputs(self) -> list[Any]:
        """All that a step may change."""
        lists = [self.typed[name] for name in ("models", "taggers", "recent")]
        every = (*self.boxes.values(), *self.notes.values(), *self.fields.values(), *lists)
        return [*every, self.consent, self.board, self.typed["trainer"]]


def lay_out(gradio: Any, folder: str, recent: list[str], *, with_sending: bool) -> Form:
    """Build all sections inside the open gradio block."""
    form = Form(with_sending=with_sending)
    with gradio.Column(elem_classes=_CLASS):
        gradio.HTML(STYLE, elem_id=f"{_CLASS}-style")
        _project(gradio, form, folder, recent)
        for section in list(Section)[1:]:
            with _place(gradio, form, section):
                gradio.Markdown(f"## {numbered(section)}")
                _SECTIONS[section](gradio, form)
                form.notes[section] = gradio.HTML()
                if section in _PANELS:
                    form.boxes[_PANELS[section]] = gradio.HTML()
    return form


def _place(gradio: Any, form: Form, section: Section) -> AbstractContextManager[Any]:
    column: AbstractContextManager[Any] = gradio.Column(visible=section is not Section.CONSENT)
    if section is Section.CONSENT:
        form.consent = column
    return column


def _project(gradio: Any, form: Form, folder: str, recent: list[str]) -> None:
    gradio.Markdown(f"## {numbered(Section.PROJECT)}")
    _picker(gradio, form, "folder", "Project folder", value=folder)
    with gradio.Row():
        form.typed["recent"] = gradio.Dropdown(
            recent, value=None, label="Recent projects", scale=4, allow_custom_value=True
        )
        form.buttons["Open project"] = gradio.Button("Open project", variant="primary", scale=1)
    form.boxes["message"] = gradio.HTML(markup.greeting())
    form.boxes["rail"] = gradio.HTML()
    with gradio.Accordion("New project", open=False), gradio.Row():
        form.typed["word"] = gradio.Textbox(label="Trigger word", value="", scale=2)
        form.typed["kind"] = gradio.Dropdown(
            [one.value for one in SubjectKind],
            value=SubjectKind.CHARACTER.value,
            label="What the LoRA is of",
            scale=2,
        )
        _button(gradio, form, "Make a project in the folder above")
    form.notes[Section.PROJECT] = gradio.HTML()
    form.boxes["overview"] = gradio.HTML()


def _base(gradio: Any, form: Form) -> None:
    form.typed["models"] = gradio.Dropdown(
        [], value=None, label="Base models found here", allow_custom_value=True
    )
    base, family = fields_of(Section.BASE)[:2]
    _picker(gradio, form, base.name, base.label, suffixes=MODEL_SUFFIXES, is_field=True)
    _field(gradio, form, family)
    _advanced(gradio, form, Section.BASE, "Use another VAE")
    _keep(gradio, form, Section.BASE)


def _preset(gradio: Any, form: Form) -> None:
    with gradio.Row():
        _fields(gradio, form, Section.PRESET)
        _keep(gradio, form, Section.PRESET)
    with gradio.Accordion("Change single values", open=False), gradio.Row():
        names = [(f"{label_of(key)} ({key})", key) for key in keys_of(GuiVersion.V26)]
        form.typed["key"] = gradio.Dropdown(
            names, value=None, label="Field of Kohya's LoRA tab", scale=3
        )
        form.typed["value"] = gradio.Textbox(label="Value", value="", scale=2)
        _button(gradio, form, "Set value")
        _button(gradio, form, "Back to the preset")
    with gradio.Accordion("Use an existing config", open=False):
        _picker(gradio, form, "config", "Kohya json or toml", suffixes=CONFIG_SUFFIXES)
        _button(gradio, form, "Use its settings")


def _consent(gradio: Any, form: Form) -> None:
    gradio.Markdown("A real person must agree before their pictures are staged or trained.")
    with gradio.Row():
        _fields(gradio, form, Section.CONSENT)
    _keep(gradio, form, Section.CONSENT)


def _pictures(gradio: Any, form: Form) -> None:
    _picker(gradio, form, "source", "Folder with pictures")
    with gradio.Row():
        form.typed["rename"] = gradio.Checkbox(label="Rename pictures whose name already exists")
        _button(gradio, form, "Import")
    form.board = gradio.HTML()
    with gradio.Row():
        _fields(gradio, form, Section.PICTURES)
        _keep(gradio, form, Section.PICTURES)
    _button(gradio, form, "Stage")
    form.boxes["folders"] = gradio.HTML()


def _tagger(gradio: Any, form: Form) -> None:
    form.typed["taggers"] = gradio.Dropdown(
        [], value=None, label="Taggers found here", allow_custom_value=True
    )
    (one,) = fields_of(Section.TAGGER)
    _picker(gradio, form, one.name, one.label, is_field=True, info=one.info)
    _keep(gradio, form, Section.TAGGER)
    with gradio.Row():
        form.typed["repository"] = gradio.Dropdown(
            list(TAGGERS),
            value=TAGGERS[0],
            label="Tagger on the hub",
            scale=4,
            allow_custom_value=True,
        )
        _button(gradio, form, "Fetch from the hub")


def _captions(gradio: Any, form: Form) -> None:
    gradio.Markdown(
        "You can also decide single tags and edit each caption on the board: buttons **Tags** and "
        "**Captions**."
    )
    _fields(gradio, form, Section.CAPTIONS)
    _advanced(gradio, form, Section.CAPTIONS, "More thresholds")
    with gradio.Row():
        _button(gradio, form, "Show the effect")
        _keep(gradio, form, Section.CAPTIONS)
        _button(gradio, form, "Caption")
    form.boxes["effect"] = gradio.HTML()
    form.boxes["pictures"] = gradio.HTML()
    with gradio.Row():
        form.typed["page"] = gradio.Number(label="Page", value=1, precision=0, minimum=1, scale=0)


def _length(gradio: Any, form: Form) -> None:
    every = [one for one in fields_of(Section.LENGTH) if not one.is_advanced]
    for row in (every[:4], every[4:]):
        with gradio.Row():
            for one in row:
                _field(gradio, form, one)
    _advanced(gradio, form, Section.LENGTH, "Validation, seed, continue from a LoRA")
    with gradio.Row():
        _keep(gradio, form, Section.LENGTH)
        _button(gradio, form, "Config")


def _check(gradio: Any, form: Form) -> None:
    _button(gradio, form, "Check")


def _train(gradio: Any, form: Form) -> None:
    with gradio.Row():
        for name, label in (
            ("save_states", "Save states, to resume after a stop"),
            ("resume", "Resume from the newest state"),
            ("move_old", "Move epoch files of an earlier training aside"),
        ):
            form.typed[name] = gradio.Checkbox(label=label)
    with gradio.Row():
        _button(gradio, form, "Train", variant="primary")
        _button(gradio, form, "Stop", variant="stop")
        _button(gradio, form, "Stop after this epoch")
        _button(gradio, form, "Send to LoRA tab", visible=form.with_sending)
    form.sent = gradio.HTML(visible=form.with_sending)
    with gradio.Accordion("Trainer", open=False):
        _picker(gradio, form, "trainer", "Trainer folder")
        _button(gradio, form, "Use this trainer")


def _queue(gradio: Any, form: Form) -> None:
    with gradio.Row():
        _button(gradio, form, "Add to queue")
        _button(gradio, form, "Start queue")
        _button(gradio, form, "Stop the queue after this training")
    with gradio.Row():
        form.typed["entry"] = gradio.Number(label="Entry", value=None, precision=0)
        _button(gradio, form, "Move to the front")
        _button(gradio, form, "Remove")
    with gradio.Accordion("Queue a config without a project", open=False):
        _picker(gradio, form, "queued", "Config to queue", suffixes=CONFIG_SUFFIXES)
        _button(gradio, form, "Add this config to queue")


def _report(gradio: Any, form: Form) -> None:
    _button(gradio, form, "Report")


_SECTIONS = {
    Section.BASE: _base,
    Section.PRESET: _preset,
    Section.CONSENT: _consent,
    Section.PICTURES: _pictures,
    Section.TAGGER: _tagger,
    Section.CAPTIONS: _captions,
    Section.LENGTH: _length,
    Section.CHECK: _check,
    Section.TRAIN: _train,
    Section.QUEUE: _queue,
    Section.REPORT: _report,
}


# Single components.


def _button(gradio: Any, form: Form, label: str, **options: Any) -> None:
    form.buttons[label] = gradio.Button(label, **NARROW, **options)


def _keep(gradio: Any, form: Form, section: Section) -> None:
    _button(gradio, form, keep_label(section))


def _fields(gradio: Any, form: Form, section: Section) -> None:
    for one in fields_of(section):
        if not one.is_advanced:
            _field(gradio, form, one)


def _advanced(gradio: Any, form: Form, section: Section, label: str) -> None:
    with gradio.Accordion(label, open=False), gradio.Row():
        for one in fields_of(section):
            if one.is_advanced:
                _field(gradio, form, one)


def _field(gradio: Any, form: Form, one: Field) -> None:
    form.fields[one.name] = _component(gradio, one)


def _component(gradio: Any, one: Field) -> Any:
    said = {"label": one.label, **({"info": one.info} if one.info else {})}
    if one.kind in (Kind.WHOLE, Kind.NUMBER):
        precision = {"precision": 0} if one.kind is Kind.WHOLE else {}
        return gradio.Number(value=None, **precision, **said)
    if one.kind is Kind.FLAG:
        return gradio.Checkbox(**said)
    if one.kind is Kind.USES:
        return gradio.CheckboxGroup(list(USES), value=[], **said)
    if one.kind in (Kind.FAMILY, Kind.PRESET):
        choices = list(family_titles()) if one.kind is Kind.FAMILY else []
        return gradio.Dropdown(choices, value=None, allow_custom_value=True, **said)
    lines = 3 if one.kind in (Kind.LINES, Kind.TAGS) else 1
    return gradio.Textbox(value="", lines=lines, **said)


def _picker(
    gradio: Any,
    form: Form,
    name: str,
    label: str,
    *,
    value: str = "",
    suffixes: tuple[str, ...] = (),
    is_field: bool = False,
    info: str = "",
) -> None:
    with gradio.Row():
        said = {"info": info} if info else {}
        box = gradio.Textbox(label=label, value=value, scale=5, **said)
        browse = gradio.Button(f"Browse: {label}", scale=1, **NARROW)
    with gradio.Column(visible=False) as panel, gradio.Row():
        entries = gradio.Dropdown(
            [], value=None, label=f"{label}: folder contents", scale=4, allow_custom_value=True
        )
        close = gradio.Button(f"Close the list: {label}", scale=1, **NARROW)
    form.pickers.append(Picker(box, browse, panel, entries, close, suffixes))
    (form.fields if is_field else form.typed)[name] = box
