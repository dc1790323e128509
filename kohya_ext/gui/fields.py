"""The project's values that a person sets on the tab: a label, a section and a place each.

Plain values only. What a screen shows is read from the manifest, what was typed becomes changes
of it; a field that says another thing than the manifest is found before a step runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from ..project import InputError, Project
from ..project.consent import Consent, Use, consent_problem, latest_day, uses_of
from ..project.families import Family, trained
from ..project.home import typed_path_text
from ..project.manifest import Manifest, SubjectKind
from ..project.manifest_edit import Place, edit_manifest
from ..training.config.presets import presets


class Section(str, Enum):
    """The parts of the tab, in the order of the workflow; the value is the heading."""

    PROJECT = "Project"
    BASE = "Base model"
    PRESET = "Preset"
    CONSENT = "Consent"
    PICTURES = "Pictures"
    TAGGER = "Tagger"
    CAPTIONS = "Captions"
    LENGTH = "Epochs and steps"
    CHECK = "Check"
    TRAIN = "Train"
    QUEUE = "Queue"
    REPORT = "Report"


def numbered(section: Section) -> str:
    """Return a section's heading with its number; consent, which few need, has none."""
    others = [one for one in Section if one is not Section.CONSENT]
    return (
        section.value if section not in others else f"{others.index(section) + 1} {section.value}"
    )


class Kind(str, Enum):
    """How a value is typed."""

    TEXT = "text"
    PATH = "path"
    WHOLE = "whole"
    NUMBER = "number"
    FLAG = "flag"
    LINES = "lines"
    TAGS = "tags"
    FAMILY = "family"
    PRESET = "preset"
    USES = "uses"


@dataclass(frozen=True)
class Field:
    """One value: its name in code, its label, where it is in the manifest, what it means."""

    name: str
    label: str
    section: Section
    place: Place
    kind: Kind = Kind.TEXT
    info: str = ""
    is_advanced: bool = False
    is_optional: bool = False


USES = tuple(one.value for one in Use)
"""What a person may agree to."""
USUAL_PRESET = "default"

FIELDS = (
    Field("base_path", "Base model file", Section.BASE, ("base_model", "path"), Kind.PATH),
    Field("base_family", "Base model family", Section.BASE, ("base_model", "family"), Kind.FAMILY,
          "Detected when you use the model."),
    Field("vae", "VAE file", Section.BASE, ("base_model", "vae"), Kind.PATH,
          "Empty: the model's own.", is_advanced=True),
    Field("preset", "Preset", Section.PRESET, ("training", "preset"), Kind.PRESET),
    Field("consent_name", "Who agreed", Section.CONSENT, ("subject", "consent", "name")),
    Field("consent_date", "Date, as 2026-01-31", Section.CONSENT,
          ("subject", "consent", "date")),
    Field("consent_scope", "Agreed to", Section.CONSENT, ("subject", "consent", "scope"),
          Kind.USES),
    Field("consent_evidence", "Where the proof is kept", Section.CONSENT,
          ("subject", "consent", "evidence"), is_optional=True),
    Field("influence", "Influence of primaries", Section.PICTURES, ("dataset", "influence"),
          Kind.NUMBER, "Ratio of steps, primaries to supporting pictures.",
          is_optional=True),
    Field("repeats_primary", "Repeats of a primary picture", Section.PICTURES,
          ("dataset", "repeats", "primary"), Kind.WHOLE, "Empty: chosen by the influence.",
          is_optional=True),
    Field("repeats_supporting", "Repeats of a supporting picture", Section.PICTURES,
          ("dataset", "repeats", "supporting"), Kind.WHOLE, "Empty: chosen by the influence.",
          is_optional=True),
    Field("tagger", "Tagger folder", Section.TAGGER, ("captions", "model"), Kind.PATH,
          "With model.onnx and selected_tags.csv, or model_optimized.onnx and "
          "tag_mapping.json."),
    Field("prefix", "Prefix to add to WD14 caption", Section.CAPTIONS, ("captions", "prefix"),
          info="{trigger} is replaced by the trigger word."),
    Field("undesired_tags", "Undesired tags", Section.CAPTIONS, ("captions", "undesired_tags"),
          Kind.TAGS, "They become part of the trigger word. Separate them with commas."),
    Field("general_threshold", "General threshold", Section.CAPTIONS,
          ("captions", "general_threshold"), Kind.NUMBER),
    Field("character_threshold", "Character threshold", Section.CAPTIONS,
          ("captions", "character_threshold"), Kind.NUMBER, is_advanced=True),
    Field("epochs", "Max train epoch", Section.LENGTH, ("training", "max_train_epochs"),
          Kind.WHOLE),
    Field("save_every", "Save every N epochs", Section.LENGTH,
          ("training", "save_every_n_epochs"), Kind.WHOLE),
    Field("batch", "Train batch size", Section.LENGTH, ("training", "train_batch_size"),
          Kind.WHOLE, "Empty: the preset's.", is_optional=True),
    Field("resolution", "Max resolution", Section.LENGTH, ("training", "resolution"),
          info="For example 512,512. Empty: the preset's.", is_optional=True),
    Field("sample_prompts", "Sample prompts", Section.LENGTH, ("training", "sample_prompts"),
          Kind.LINES, "One per line; drawn during training. {trigger} becomes the trigger word."),
    Field("sample_every", "Sample every N epochs", Section.LENGTH,
          ("training", "sample_every_n_epochs"), Kind.WHOLE),
    Field("validation_split", "Validation split", Section.LENGTH,
          ("training", "validation_split"), Kind.NUMBER,
          "Share of the pictures that is not trained but used to measure a loss, which rises when "
          "a LoRA overtrains. 0: train all. Not recommended for small sets.", is_advanced=True),
    Field("validate_every", "Validate every N epochs", Section.LENGTH,
          ("training", "validate_every_n_epochs"), Kind.WHOLE, is_advanced=True),
    Field("seed", "Seed", Section.LENGTH, ("training", "seed"), Kind.WHOLE,
          "Empty: the preset's.", is_advanced=True, is_optional=True),
    Field("network_weights", "Continue from this LoRA file", Section.LENGTH,
          ("training", "network_weights"), Kind.PATH, is_advanced=True, is_optional=True),
    Field("free_webui", "Unload the WebUI's model before training", Section.LENGTH,
          ("training", "free_webui"), Kind.FLAG, is_advanced=True),
)  # fmt: skip

Typed = Mapping[str, Any]
"""What is in the fields, by name; None for one that the page has not shown yet."""


NUMBERS = tuple(one.name for one in FIELDS if one.kind in (Kind.WHOLE, Kind.NUMBER))


def fields_of(section: Section) -> tuple[Field, ...]:
    """Return the fields of a section in their order."""
    return tuple(one for one in FIELDS if one.section is section)


def family_titles() -> tuple[str, ...]:
    """Return what the families are called that can be trained."""
    return tuple(one.facts.title for one in trained())


def preset_names(family: Family) -> tuple[str, ...]:
    """Return the presets for a family, the usual one first."""
    named = tuple(one.name for one in presets() if one.family is family)
    return (USUAL_PRESET, *named)


# From the manifest to the screen.


def shown_values(manifest: Manifest) -> dict[str, Any]:
    """Return what each field shows of a manifest."""
    return {one.name: _shown(one.kind, _value_at(manifest, one.place)) for one in FIELDS}


_SCOPE = ("subject", "consent", "scope")


def _value_at(manifest: Manifest, place: Place) -> Any:
    value: Any = manifest
    if place == _SCOPE:
        consent = manifest.subject.consent
        return uses_of(consent) if consent else ()
    for key in place:
        value = getattr(value, key) if value is not None else None
    return value


def _shown(kind: Kind, value: Any) -> Any:
    if kind is Kind.LINES:
        return "\n".join(value)
    if kind is Kind.TAGS:
        return ", ".join(value)
    if kind is Kind.FAMILY:
        return value.facts.title
    if kind is Kind.PRESET:
        return value or USUAL_PRESET
    if kind is Kind.USES:
        return [use for use in USES if use in value]
    return "" if value is None and kind in (Kind.TEXT, Kind.PATH) else value


# From the screen to the manifest.


def keep(project: Project, section: Section, typed: Typed) -> Project:
    """Write what was typed in a section into the manifest. Raises InputError, MachineError."""
    if section is Section.CONSENT:
        return edit_manifest(project, {("subject", "consent"): _consent(typed)})
    held = shown_values(project.manifest)
    changes = {
        one.place: _typed_value(one, typed[one.name])
        for one in fields_of(section)
        if _was_shown(one, typed) and not _same(one, typed[one.name], held[one.name])
    }
    by_hand = [one for one in _REPEATS if typed.get(one) not in (None, 0)]
    if section is Section.PICTURES and len(by_hand) == 1:
        raise InputError(
            "LL243", "Only one of the two repeats is set.", "Set both, or leave both empty."
        )
    if section is Section.PICTURES and not by_hand and set(_REPEATS) <= set(typed):
        changes = {place: one for place, one in changes.items() if place[1] != "repeats"}
        changes[("dataset", "repeats")] = None
    return edit_manifest(project, changes)


_REPEATS = ("repeats_primary", "repeats_supporting")


def changed_values(section: Section, typed: Typed) -> dict[Place, Any]:
    """Return what was typed in a section as the manifest's dataclasses hold it."""
    return {
        one.place: tuple(value) if isinstance(value, list) else value
        for one in fields_of(section)
        if _was_shown(one, typed)
        for value in (_typed_value(one, typed[one.name]),)
    }


def _was_shown(one: Field, typed: Typed) -> bool:
    """Take None for a value only where a number may be left empty: folded fields send it, too."""
    is_number = one.kind in (Kind.WHOLE, Kind.NUMBER)
    may_be_empty = is_number and not one.is_advanced
    return one.name in typed and (typed[one.name] is not None or may_be_empty)


def unkept(project: Project, typed: Typed) -> tuple[str, ...]:
    """Return the labels of fields that say another thing than the project.

    None where no project was shown yet: each has a number of epochs.
    """
    if typed.get("epochs") is None:
        return ()
    held = shown_values(project.manifest)
    is_person = project.manifest.subject.kind is SubjectKind.PERSON
    return tuple(
        one.label
        for one in FIELDS
        if (is_person or one.section is not Section.CONSENT)
        and typed.get(one.name) is not None
        and not _same(one, typed[one.name], held[one.name])
    )


def require_kept(project: Project, typed: Typed) -> None:
    """Raise InputError when a field was changed and not kept, before a step uses the old value."""
    labels = unkept(project, typed)
    if labels:
        sections = dict.fromkeys(one.section for one in FIELDS if one.label in labels)
        keeps = " and ".join(f'"{keep_label(one)}"' for one in sections)
        raise InputError(
            "LL242",
            f"Not saved yet: {', '.join(labels)}.",
            f'Press {keeps}, or "Open project" to see the saved values.',
        )


def keep_label(section: Section) -> str:
    """Return what the button is called that keeps a section's fields."""
    return {
        Section.BASE: "Use this base model",
        Section.PRESET: "Use this preset",
        Section.CONSENT: "Save consent",
        Section.PICTURES: "Save influence",
        Section.TAGGER: "Use this tagger",
        Section.CAPTIONS: "Save caption rules",
        Section.LENGTH: "Save epochs and steps",
    }[section]


def _typed_value(one: Field, value: Any) -> Any:
    if one.kind in (Kind.WHOLE, Kind.NUMBER):
        if _is_empty(one, value):
            if one.is_optional:
                return None
            raise InputError("LL243", f"{one.label} is empty.", "Type a number.")
        number = float(value)
        if one.kind is Kind.WHOLE:
            if number != int(number):
                raise InputError("LL243", f"{one.label} is {value:g}.", "Type a whole number.")
            return int(number)
        return number
    if one.kind is Kind.FLAG:
        return bool(value)
    text = str(value).strip()
    if one.kind is Kind.PATH:
        return typed_path_text(str(value))
    if one.kind is Kind.LINES:
        return [line.strip() for line in str(value).splitlines() if line.strip()]
    if one.kind is Kind.TAGS:
        return list(dict.fromkeys(_tags(text)))
    if one.kind is Kind.FAMILY:
        return next((one for one in trained() if one.facts.title == text), Family.SD15).value
    if one.kind is Kind.PRESET:
        return "" if text == USUAL_PRESET else text
    return text


def _tags(text: str) -> list[str]:
    return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]


def _is_empty(one: Field, value: Any) -> bool:
    """Tell whether a number was left out; gradio 6 may show 0 in a box that had the focus."""
    return value is None or value == "" or (one.is_optional and value == 0)


def _consent(typed: Typed) -> dict[str, str]:
    """Return a consent as the manifest holds it. Raises InputError for what is missing or wrong."""
    name, day, proof = (
        str(typed.get(f"consent_{key}") or "").strip() for key in ("name", "date", "evidence")
    )
    uses: Sequence[str] = typed.get("consent_scope") or ()
    found = Consent(name, day, ", ".join(one for one in USES if one in uses), proof)
    problem = consent_problem(found, latest_day())
    if problem:
        key, what, cure = problem
        (label,) = (one.label for one in FIELDS if one.name == f"consent_{key}")
        raise InputError("LL244", f'"{label}": {what}.', cure)
    return {key: value for key, value in asdict(found).items() if value}


def _same(one: Field, typed: Any, held: Any) -> bool:
    if one.kind is Kind.USES:
        return set(typed or ()) == set(held or ())
    if one.kind is Kind.FLAG:
        return bool(typed) == bool(held)
    if one.kind in (Kind.WHOLE, Kind.NUMBER):
        if _is_empty(one, typed) or held is None:
            return _is_empty(one, typed) and held is None
        return float(typed) == float(held)
    if one.kind is Kind.TAGS:
        return _tags(str(typed or "")) == _tags(str(held or ""))
    if one.kind is Kind.PATH:
        return typed_path_text(str(typed or "")) == str(held or "")
    lines = [line.strip() for line in str(typed or "").strip().splitlines()]
    return lines == [line.strip() for line in str(held or "").strip().splitlines()]
