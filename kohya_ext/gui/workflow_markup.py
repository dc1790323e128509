"""HTML for the decisions on the tab: where one is, models, a preset's reasons, tags, losses."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

from ..captions.effect import RulesEffect
from ..project import Project
from ..project.families import Family
from ..project.kept_advice import ALARM_COLOUR, LINE_COLOUR
from ..project.manifest import BaseModel, SubjectKind
from ..project.wording import counted
from ..training.config.presets import require_preset, values_for
from ..training.queue import QueueEntry, QueueState
from ..training.run.report import Report, as_dict
from .fields import Section, numbered
from .live import LiveView
from .markup import problem, remark, table
from .screen_words import on_screen
from .views import label_of

_SAMPLE_PIXELS = 220
_WIDTH, _HEIGHT, _MARGIN = 640, 180, 34
_MOST_TAGS = 60


def rail(done: Mapping[Section, bool], following: Section | None) -> str:
    """Show the steps of the workflow: those done, the next one, those that wait."""
    parts = []
    for section, is_done in done.items():
        mark = "✓" if is_done else "→" if section is following else "·"
        said = "done" if is_done else "next" if section is following else "later"
        weight = "bold" if section is following else "normal"
        parts.append(
            f'<li style="display:inline-block;margin:0 1em .2em 0;font-weight:{weight}">'
            f'<span aria-hidden="true">{mark}</span> {escape(numbered(section))}'
            f'<span style="position:absolute;left:-9999px"> ({said})</span></li>'
        )
    return (
        f'<ol aria-label="Steps" style="list-style:none;padding:0;margin:0">{"".join(parts)}</ol>'
    )


def base(model: BaseModel, root: Path) -> str:
    """Show which base model the project has, and whether it is there."""
    if not model.path:
        return remark("No base model is chosen yet.")
    path = root / model.path
    where = "" if path.is_file() else " It is not a file on this machine."
    return remark(f"{path.name}, {model.family.facts.title}.{where}")


def reasons_of(project: Project) -> str:
    """Show the preset of a project."""
    manifest = project.manifest
    training = manifest.training
    return reasons(
        training.preset, manifest.base_model.family, manifest.subject.kind, training.overrides
    )


def reasons(name: str, family: Family, kind: SubjectKind, overrides: Mapping[str, object]) -> str:
    """Show every value of a preset with its reason, and what it needs of a graphics card."""
    preset = require_preset(name, family)
    changed = [(label_of(key), value, "set by you") for key, value in overrides.items()]
    rows = [
        (label_of(one.key), one.value, one.reason)
        for one in values_for(preset, kind)
        if one.key not in overrides
    ]
    memory = "".join(f"<li>{escape(str(one))}</li>" for one in preset.memory)
    known = f"<ul>{memory}</ul>" if memory else "<p>Its GPU memory use has not been measured.</p>"
    return (
        f"<p><b>{escape(preset.name)}</b>: {escape(preset.title)}</p>"
        f"<details><summary>Its {counted(len(rows), 'value')} with reasons</summary>"
        f"{table([*changed, *rows], ('Field', 'Value', 'Reason'))}{known}</details>"
        + (table(changed, ("Field", "Value", "Reason")) if changed else "")
    )


def effect(found: RulesEffect, trigger_word: str) -> str:
    """Show which tags stay promptable and which become part of the trigger word."""
    if not found.pictures:
        return remark("No picture is tagged yet. Press Caption first, then see the effect here.")
    word = escape(trigger_word)
    rows = [
        (one.tag, f"{one.pictures} of {found.pictures}",
         "stays promptable" if one.stays else f"becomes part of {trigger_word}")
        for one in found.tags[:_MOST_TAGS]
    ]  # fmt: skip
    more = len(found.tags) - len(rows)
    notes = [f"<p>{counted(len(found.sunk), 'tag becomes', 'tags become')} part of {word}; "
             f"{len(found.tags) - len(found.sunk)} stay promptable.</p>"]  # fmt: skip
    if found.unmatched:
        notes.append(problem(f"No picture has these tags: {', '.join(found.unmatched)}."))
    if found.unscored:
        notes.append(
            remark(f"{counted(found.unscored, 'picture is', 'pictures are')} not tagged yet.")
        )
    example = f"<p>Example caption: <code>{escape(found.example)}</code></p>"
    rest = f"<p>… and {more} less frequent tags.</p>" if more > 0 else ""
    shown = table(rows, ("Tag", "Pictures", "With these rules"))
    box = f'<div style="max-height:24em;overflow:auto">{shown}{rest}</div>'
    return "".join(notes) + example + box


def live(view: LiveView | None) -> str:
    """Show the loss so far, and the newest sample pictures."""
    if view is None or not (view.losses or view.samples):
        return ""
    cards = []
    for path in view.samples:
        try:
            data = _sample(path, path.stat().st_mtime_ns)
        except (OSError, ValueError):  # it is being written just now: it comes a second later
            continue
        cards.append(
            f'<figure style="margin:0 .6em .6em 0;width:{_SAMPLE_PIXELS}px">'
            f'<img alt="Sample {escape(path.name)}" style="max-width:100%" '
            f'src="data:image/jpeg;base64,{data}">'
            f'<figcaption style="font-size:.8em;overflow-wrap:anywhere">{escape(path.stem)}'
            "</figcaption></figure>"
        )
    return _curve(view) + (
        f'<div style="display:flex;flex-wrap:wrap">{"".join(cards)}</div>' if cards else ""
    )


def _curve(view: LiveView) -> str:
    if len(view.losses) < 2:
        return ""
    low = min(loss for _, loss in (*view.losses, *view.validations))
    high = max(loss for _, loss in (*view.losses, *view.validations))
    span = high - low or 1.0
    last = max(view.steps, view.losses[-1][0], 1)

    def place(step: int, loss: float) -> str:
        across = _MARGIN + step / last * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - (loss - low) / span * (_HEIGHT - 2 * _MARGIN)
        return f"{across:.1f},{down:.1f}"

    def line(points: Sequence[tuple[int, float]], colour: str) -> str:
        along = " ".join(place(step, loss) for step, loss in points)
        return f'<polyline points="{along}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    step, loss = view.losses[-1]
    text = f"Loss {loss:.3g} at step {step}"
    kept = line(view.validations, ALARM_COLOUR) if len(view.validations) > 1 else ""
    said = f", validation {view.validations[-1][1]:.3g}" if view.validations else ""
    ticks = (
        f'<text x="2" y="{_MARGIN}" font-size="11" fill="currentColor">{high:.3g}</text>'
        f'<text x="2" y="{_HEIGHT - _MARGIN}" font-size="11" fill="currentColor">{low:.3g}</text>'
    )
    return (
        f'<figure style="margin:.6em 0"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{text}{said}" style="max-width:100%;width:{_WIDTH}px">'
        f"{line(view.losses, LINE_COLOUR)}{kept}{ticks}</svg>"
        f"<figcaption>{text}{said}</figcaption></figure>"
    )


@lru_cache(maxsize=64)
def _sample(path: Path, changed_ns: int) -> str:
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((_SAMPLE_PIXELS, _SAMPLE_PIXELS))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def queue(entries: Sequence[QueueEntry]) -> str:
    """Show the queue in its order."""
    if not entries:
        return remark("The queue is empty.")
    rows = []
    for one in entries:
        what = one.problem or (f"{counted(one.files, 'epoch file')}" if one.files else "")
        how = "running" if one.state is QueueState.RUNNING else one.state.value
        rows.append((one.number, one.name, one.epochs or "", how, on_screen(what)))
    return table(rows, ("Entry", "Training", "Epochs", "State", "Result"), drops_empty=True)


def report(found: Report) -> str:
    """Show how the newest training went: outcome, length, epoch files with their losses."""
    facts = as_dict(found)
    verified = ", every epoch file verified" if facts["verified"] else ""
    rows = [
        ("Outcome", f"{facts['outcome']}{verified}"),
        ("Base model", Path(facts["base_model"]).name),
        ("Trainer", f"sd-scripts {facts['trainer_version']}, {facts['script']}"),
        ("Pictures", f"{facts['pictures']}, {facts['draws_per_epoch']} draws per epoch"),
        ("Length", f"{counted(facts['steps'], 'step')} in {counted(facts['epochs'], 'epoch')}"),
    ]
    files = [
        (one["name"], one["epoch"], one["step"], _figure(one["loss"]),
         _figure(one["validation_loss"]))
        for one in facts["files"]
    ]  # fmt: skip
    view = LiveView(
        found.last.run.plan.steps,
        tuple(sorted(found.losses.items())),
        tuple(sorted(found.validations.items())),
    )
    head = ("Epoch file", "Epoch", "Step", "Loss (moving average)", "Validation loss")
    trouble = problem(facts["problem"]) if facts["problem"] else ""
    return table(rows) + trouble + live(view) + table(files, head, drops_empty=True)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
