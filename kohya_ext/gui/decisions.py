"""What the tab's buttons decide: each changes the project and returns what is shown of it.

Plain values in, HTML out; no gradio. An error is raised, or shown where the button has its own box.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..captions.captioning import read_rules
from ..captions.effect import effect_of, stored_scores
from ..dataset.intake import source_pictures
from ..dataset.ratio import choose_repeats, ratio_of, repeats_of
from ..project import InputError, MissingError, Project, ToolError
from ..project.background_jobs import sentence_of
from ..project.decisions import Role
from ..project.decisions.role_plan import read_roles
from ..project.home import expand_home, typed_path_text
from ..project.manifest_edit import edit_manifest
from ..project.tagging import holds_tagger
from ..training import queue
from ..training.config.of_project import plan_config
from ..training.config.overrides import drop_override, set_override
from ..training.config.paths import is_hub_name
from ..training.config.take import apply_take, plan_take
from ..training.dataset.steps import length_line
from ..training.run.job import runs_dir_of
from ..training.run.report import read_report
from ..training.trainer import use_trainer
from . import markup, workflow_markup
from .actions import find_own_trainer
from .bridge import find_host_folder
from .fields import USUAL_PRESET, Field, Section, Typed, changed_values, fields_of, keep
from .panels import require_folder_text, require_project
from .places import look_at_model


def keeping(section: Section) -> Callable[[Project, Typed], str]:
    """Return what the button does that keeps a section's fields."""
    own = {
        Section.BASE: _keep_base,
        Section.PICTURES: _keep_balance,
        Section.TAGGER: _keep_tagger,
        Section.LENGTH: _keep_length,
    }

    def usual(project: Project, typed: Typed) -> str:
        keep(project, section, typed)
        return markup.remark(f"{section.value}: saved.")

    return own.get(section, usual)


def changed_fields(section: Section) -> tuple[Field, ...]:
    """Return which fields show something new after a decision: a config touches several."""
    if section is Section.PRESET:
        parts = (Section.BASE, Section.PRESET, Section.LENGTH)
        return tuple(one for part in parts for one in fields_of(part))
    if section is Section.BASE:
        return (*fields_of(section), *fields_of(Section.PRESET))
    return fields_of(section)


def _keep_base(project: Project, typed: Typed) -> str:
    """Look at the model first: what its file is counts more than what the box says."""
    text = typed_path_text(str(typed.get("base_path") or ""))
    if not text:
        raise InputError("LL708", "No base model is given.", "Choose one of the list, or Browse.")
    path = project.root / expand_home(text)
    is_hub = is_hub_name("pretrained_model_name_or_path", text, project.root)
    found = None if is_hub else look_at_model(path)
    if found is not None and found.what.endswith("not a base model"):
        raise InputError(
            "LL241", f"{path.name} is {found.what}.", "Choose the checkpoint to train on."
        )
    values = dict(typed)
    note = "as chosen (its family could not be detected)"
    if found is not None and found.family is not None:
        values["base_family"] = found.family.facts.title
        note = "detected"
    before = project.manifest.base_model.family
    changed = keep(project, Section.BASE, values)
    family = changed.manifest.base_model.family
    if family is not before and changed.manifest.training.preset:
        edit_manifest(changed, {("training", "preset"): ""})  # it was for the other family
    return markup.remark(f"{path.name}: {family.facts.title}, {note}.")


def _keep_tagger(project: Project, typed: Typed) -> str:
    text = typed_path_text(str(typed.get("tagger") or ""))
    folder = project.root / expand_home(text)
    if text and not holds_tagger(folder):
        raise MissingError(
            "LL250",
            f"{folder} contains no tagger: neither model.onnx with selected_tags.csv nor "
            "model_optimized.onnx with tag_mapping.json is there.",
            "Choose one of the list, or fetch one from the hub.",
        )
    keep(project, Section.TAGGER, typed)
    return markup.remark(f"Tagger: {folder.name}." if text else "The project has no tagger.")


def _keep_length(project: Project, typed: Typed) -> str:
    """Keep the length, and count the steps exactly where pictures are staged already."""
    changed = keep(project, Section.LENGTH, typed)
    try:
        steps = plan_config(changed).steps
    except MissingError as error:
        return markup.remark(f"Saved. The steps are not counted yet: {error}")
    return markup.remark(f"Saved: {length_line(steps.steps, steps.epochs, steps.steps_per_epoch)}.")


def set_value(project: Project, key: str | None, text: str | None) -> str:
    """Set one field of Kohya's LoRA tab in place of the preset's value."""
    changed = set_override(project, _chosen(key), text or "")
    value = changed.manifest.training.overrides[_chosen(key)]
    return markup.remark(f"{key} is now {value}.")


def drop_value(project: Project, key: str | None) -> str:
    """Let the preset say a value again."""
    drop_override(project, _chosen(key))
    return markup.remark(f"{key} has the preset's value again.")


def _chosen(key: str | None) -> str:
    if not key:
        raise InputError("LL708", "No field is chosen.", "Choose one from the list.")
    return key


def take_config(project: Project, text: str | None) -> str:
    """Take the settings of a json or toml that somebody has already."""
    path = require_folder_text(text, "config")
    plan = plan_take(project, path)
    apply_take(project, plan)
    notes = "".join(markup.remark(one) for one in plan.notes)
    return (
        markup.remark(f"Settings of {path.name} ({plan.conversion.form.value}) are saved.") + notes
    )


def _keep_balance(project: Project, typed: Typed) -> str:
    """Keep influence or repeats, and say what they make of the roles as they are now."""
    changed = keep(project, Section.PICTURES, typed)
    roles = read_roles(changed, tuple(source_pictures(changed)))
    counts = {role: sum(1 for one in roles.values() if one is role) for role in Role}
    settings = changed.manifest.dataset
    found = choose_repeats(settings, counts[Role.PRIMARY], counts[Role.SUPPORTING])
    shown = [(role, repeats_of(found, role)) for role in roles.values() if role is not Role.OUT]
    ratio = f" {ratio_of(settings, shown)}." if shown else ""
    return markup.remark(f"Saved.{ratio} Press Stage to apply it.")


def use(project: Project, text: str | None) -> str:
    """Remember the trainer's folder for this machine; its Python may be the one we run in."""
    folder = require_folder_text(text, "trainer folder")
    try:
        found = use_trainer(folder)
    except MissingError:
        if find_host_folder() is None:
            raise
        found = use_trainer(folder, Path(sys.executable))
    return markup.remark(f"Trainer: {found.folder}, run by {found.python}.")


def trainer_text() -> str:
    """Return the folder of the trainer that would be used; empty where none is known."""
    try:
        found = find_own_trainer()
    except ToolError:
        return ""
    return str(found.folder) if found else ""


def preset_reasons(project: Project, name: str | None) -> str:
    """Show a preset before it is used."""
    manifest = project.manifest
    chosen = "" if name in (None, USUAL_PRESET) else str(name)
    return workflow_markup.reasons(
        chosen, manifest.base_model.family, manifest.subject.kind, manifest.training.overrides
    )


def effect(project: Project, typed: Typed) -> str:
    """Show what the typed caption rules would do, beside what the board decided of single tags."""
    manifest = project.manifest
    asked = changed_values(Section.CAPTIONS, typed)
    captions = replace(manifest.captions, **{place[1]: value for place, value in asked.items()})
    trial = replace(project, manifest=replace(manifest, captions=captions))
    scores, unscored = stored_scores(project)
    found = effect_of(scores, read_rules(trial), unscored)
    return workflow_markup.effect(found, manifest.trigger_word)


def report(folder: str) -> str:
    """Show how the newest training went."""
    return message_of(
        lambda project: workflow_markup.report(read_report(runs_dir_of(project))), folder
    )


def message_of(act: Callable[[Project], str], folder: str) -> str:
    """Run something on a project for a box; an error becomes the box's text."""
    try:
        said = act(require_project(folder))
    except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
        return markup.problem(sentence_of(error))
    return said if said.startswith("<") else markup.remark(said)


# The queue.


def queue_text() -> str:
    """Show the queue as it is."""
    try:
        return workflow_markup.queue(queue.read_queue().entries)
    except ToolError as error:
        return markup.problem(str(error))


def _queued(act: Callable[[], str]) -> list[str]:
    try:
        said = markup.remark(act())
    except Exception as error:  # noqa: BLE001  # a host callback: the page must stay usable
        said = markup.problem(sentence_of(error))
    return [said, queue_text()]


def add_project(folder: str) -> list[str]:
    """Put the project at the end of the queue."""
    return _queued(lambda: f"Added as entry {queue.add(require_project(folder).root).number}.")


def add_config(text: str | None) -> list[str]:
    """Put any config at the end of the queue."""
    return _queued(
        lambda: f"Added as entry {queue.add(require_folder_text(text, 'config')).number}."
    )


def move_entry(number: float | None) -> list[str]:
    """Let a waiting entry be the next one."""

    def move() -> str:
        queue.move(_entry(number), 1)
        return f"Entry {_entry(number)} is next."

    return _queued(move)


def remove_entry(number: float | None) -> list[str]:
    """Take an entry out."""
    return _queued(lambda: f"Removed: {queue.remove(_entry(number)).name}.")


def end_queue() -> list[str]:
    """Let the queue end after its present training."""

    def end() -> str:
        queue.halt()
        return "The queue ends after the training that is running."

    return _queued(end)


def _entry(number: Any) -> int:
    if not number:
        raise InputError("LL708", "No entry is given.", 'Type its number into "Entry".')
    return int(number)
