"""`caption`: scores for every staged picture, then one caption file beside each.

What a person changed by hand is found, kept as an edit and applied again; nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..dataset.staged import read_record, read_staged
from ..project import (
    DamagedError,
    MissingError,
    Progress,
    ProgressHandler,
    Project,
    RuleError,
    silent,
)
from ..project.clip_tokens import ClipTokens, find_clip_tokens
from ..project.cluster import spread
from ..project.consent import Use
from ..project.content import cure_for_training, forbidden_picture
from ..project.files import sha256_of, write_json_atomic, write_text_atomic
from ..project.json_reader import read_picture_bytes, read_text, require_texts
from ..project.placeholders import fill_placeholders
from ..project.shell import shell_path
from ..project.tagging import (
    Scores,
    Tagger,
    TaggingTask,
    read_scores,
    score_task,
    tag_key,
    write_scores,
)
from .edits import CaptionEdit, EditBook, apply_edit, find_edit, merge_edits
from .rules import (
    CaptionRules,
    TagOrder,
    caption_tags,
    format_caption,
    parse_tags,
    undesired_keys,
)
from .sinking import split_choices, tag_choices

WRITTEN_NAME = ".captions.json"


@dataclass(frozen=True)
class PlannedCaption:
    """One caption file: its place relative to images/, its text, and a newly found edit."""

    place: PurePosixPath
    text: str
    present: str | None
    edit: CaptionEdit | None
    is_whole_line: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the file on disk must change."""
        return self.present is None or self.present.strip() != self.text


@dataclass(frozen=True)
class CaptionPlan:
    """All captions as they will be, with the counts a person wants to see."""

    captions: tuple[PlannedCaption, ...]
    prefix: str = ""

    @property
    def changed(self) -> int:
        return sum(1 for one in self.captions if one.is_new)

    @property
    def edits(self) -> int:
        return sum(1 for one in self.captions if one.edit)

    @property
    def frozen(self) -> tuple[PlannedCaption, ...]:
        """Captions whose whole line is a hand's and does not begin with the prefix of today."""
        head = parse_tags(self.prefix)
        return tuple(
            one
            for one in self.captions
            if one.is_whole_line and parse_tags(one.text)[: len(head)] != head
        )

    @property
    def frozen_sentence(self) -> str:
        """Say which captions no rule and no prefix reaches any more; "" when there are none."""
        frozen = self.frozen
        if not frozen:
            return ""
        names = ", ".join(one.place.name for one in frozen[:3])
        more = f" and {len(frozen) - 3} more" if len(frozen) > 3 else ""
        return (
            f"{names}{more} {'is' if len(frozen) == 1 else 'are'} completely written by "
            f'hand and {"does" if len(frozen) == 1 else "do"} not get the prefix "{self.prefix}". '
            'Add it by hand, or press "Reset to the rules" on the board.'
        )

    def tag_counts(self) -> dict[str, int]:
        """Return how often each tag is in the captions, the most frequent first."""
        counts: dict[str, int] = {}
        for one in self.captions:
            for tag in parse_tags(one.text):
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def undesired_tags(project: Project) -> tuple[str, ...]:
    """Return the manifest's undesired tags, from list and file. Raises MissingError."""
    settings = project.manifest.captions
    undesired = list(settings.undesired_tags)
    if settings.undesired_tags_file:
        path = project.root / settings.undesired_tags_file
        try:
            undesired += parse_tags(read_text(path))
        except (OSError, ValueError) as error:
            raise MissingError(
                "LL255",
                f"The undesired tags {path} cannot be read: {error}.",
                "Correct captions.undesired_tags_file in the manifest.",
            ) from error
    return tuple(undesired)


def read_rules(project: Project, choices: Mapping[str, str] | None = None) -> CaptionRules:
    """Return the manifest's caption rules with its undesired tags, from list and file.

    Raises MissingError when the file of undesired tags cannot be read.
    """
    settings = project.manifest.captions
    imbued, kept = split_choices(tag_choices(project) if choices is None else choices)
    return CaptionRules(
        prefix=fill_placeholders(
            settings.prefix, trigger_word=project.manifest.trigger_word, lora=""
        ),
        undesired=undesired_keys((*undesired_tags(project), *imbued)),
        kept=frozenset(kept),
        general_threshold=settings.general_threshold,
        character_threshold=settings.character_threshold,
        replacements={tag_key(old): new for old, new in settings.replacements.items()},
        implied={
            tag_key(tag): frozenset(map(tag_key, parse_tags(implied)))
            for tag, implied in settings.implications.items()
        },
        drops_parts=settings.drop_parts,
        order=TagOrder(settings.order),
        first=settings.first_tags,
        most_tokens=settings.max_tokens,
        count_tokens=clip_tokens_of(project).count if settings.max_tokens else len,
    )


def clip_tokens_of(project: Project) -> ClipTokens:
    """Return what counts the tokens of this project's captions."""
    cache = str(project.manifest.training.overrides.get("tokenizer_cache_dir") or "")
    return find_clip_tokens([project.root / cache] if cache else ())


def staged_pictures(project: Project) -> tuple[PurePosixPath, ...]:
    """Return the staged pictures, relative to images/. Raises MissingError when none are."""
    places = tuple(
        sorted(
            place
            for place in read_staged(project.images_dir)
            if (project.images_dir / place).exists()
        )
    )
    if not places:
        raise MissingError(
            "LL256",
            f"{project.images_dir} contains no staged pictures.",
            f"Stage them first: loraloom stage {shell_path(project.root)}",
        )
    return places


def score_pictures(
    project: Project,
    tagger: Tagger | None,
    *,
    progress: ProgressHandler = silent,
    executor: Executor | None = None,
) -> dict[PurePosixPath, Scores]:
    """Return the scores of every staged picture, asking the tagger only for what is not stored.

    Each score is stored at once, so a stopped run continues where it was. `executor` tags elsewhere
    (Dask's has the same interface); the scores are stored here. Raises MissingError (when a
    picture has no scores and there is no tagger) or RuleError (for forbidden content; for a person
    without consent).
    """
    project.require_consent(Use.TRAINING)
    places = staged_pictures(project)
    found: dict[PurePosixPath, Scores] = {}
    if executor and tagger:
        found |= _score_elsewhere(project, tagger, places, executor, progress)
    for number, place in enumerate(one for one in places if one not in found):
        progress(Progress("Tagging", number, len(places), place.name))
        found[place] = _score_one(project, tagger, place)
    found = {place: found[place] for place in places}
    progress(Progress("Tagging", len(places), len(places)))
    _require_decent(project, {place: (one, "") for place, one in found.items()})
    return found


def _score_elsewhere(
    project: Project,
    tagger: Tagger,
    places: tuple[PurePosixPath, ...],
    executor: Executor,
    progress: ProgressHandler,
) -> dict[PurePosixPath, Scores]:
    """Return all scores; what is not stored yet is tagged by the executor, each picture once."""
    found: dict[PurePosixPath, Scores] = {}
    missing: dict[str, list[PurePosixPath]] = {}
    for place in places:
        picture_sha256 = sha256_of(project.images_dir / place)
        stored = read_scores(project.scores_dir, picture_sha256)
        if stored and tagger.accepts(stored.model_sha256):
            found[place] = stored
        else:
            missing.setdefault(picture_sha256, []).append(place)
    tasks = (
        TaggingTask(
            str(tagger.folder.absolute()),
            tagger.mark,
            same[0].name,
            picture_sha256,
            read_picture_bytes(project.images_dir / same[0]),
        )
        for picture_sha256, same in missing.items()
    )
    for task, scores in spread(score_task, tasks, executor):
        write_scores(project.scores_dir, scores)
        found |= dict.fromkeys(missing[task.picture_sha256], scores)
        progress(Progress("Tagging", len(found), len(places), task.name))
    return found


def _score_one(project: Project, tagger: Tagger | None, place: PurePosixPath) -> Scores:
    path = project.images_dir / place
    picture_sha256 = sha256_of(path)
    stored = read_scores(project.scores_dir, picture_sha256)
    if stored and (tagger is None or tagger.accepts(stored.model_sha256)):
        return stored
    if tagger is None:
        raise MissingError(
            "LL257",
            f"{path} is not tagged yet, and no tagger is given.",
            "Give the folder of a WD14 tagger: --model FOLDER, or captions.model in the manifest.",
        )
    scores = tagger.score(path, picture_sha256)
    write_scores(project.scores_dir, scores)
    return scores


def _require_decent(project: Project, pictures: Mapping[PurePosixPath, tuple[Scores, str]]) -> None:
    """Raise RuleError naming every picture whose scores and caption hold both signs."""
    found = {
        place: signs
        for place, (scores, caption) in pictures.items()
        if (signs := forbidden_picture(scores, caption))
    }
    if found:
        named = "; ".join(f"{place} ({one.minor}, {one.sexual})" for place, one in found.items())
        raise RuleError(
            "LL258",
            f"Signs of a minor together with something sexual, in {project.images_dir}: {named}.",
            cure_for_training(shell_path(project.root), (place.name for place in found)),
        )


def plan_captions(
    project: Project, scores: Mapping[PurePosixPath, Scores], rules: CaptionRules
) -> CaptionPlan:
    """Plan every caption: rules over scores, then the edits that a person made."""
    written = read_written(project)
    book = EditBook(project)
    extension = project.manifest.captions.caption_extension
    planned = {
        place: _plan_one(project, place.with_suffix(extension), one, rules, written, book)
        for place, one in scores.items()
    }
    _require_decent(project, {one: (scores[one], planned[one].text) for one in planned})
    return CaptionPlan(tuple(planned.values()), rules.head)


def _plan_one(
    project: Project,
    place: PurePosixPath,
    scores: Scores,
    rules: CaptionRules,
    written: Written,
    book: EditBook,
) -> PlannedCaption:
    tags = caption_tags(scores, rules)
    line = format_caption(rules.prefix, tags)
    stored = book.find(place.stem)
    present = read_caption(project.images_dir / place)
    fresh = None
    if present is not None:
        found = edit_in_file(written, place.stem, present, line, rules.prefix)
        fresh = merge_edits(stored, found) if found else None
    edit = fresh or stored
    text = apply_edit(line, tags, rules.prefix, edit)
    return PlannedCaption(place, text, present, fresh, bool(edit and edit.text))


def edit_in_file(
    written: Written, stem: str, present: str, line: str, prefix: str
) -> CaptionEdit | None:
    """Return what a hand changed in a caption file since we wrote it, or wrote itself.

    `line` is what the rules alone give, `prefix` that of today.
    """
    ours = written.texts.get(stem, ())
    if not ours:
        return _foreign(present, line)
    return _find_edit(ours, present, prefix if written.prefix is None else written.prefix)


def _find_edit(ours: tuple[str, ...], present: str, prefix: str) -> CaptionEdit | None:
    """Compare with the newest text of ours; an older one means that writing was cut off."""
    if present.strip() in ours:
        return None
    return find_edit(ours[-1], present, prefix)


def _foreign(present: str, line: str) -> CaptionEdit | None:
    """A caption that we never wrote is a person's own, as a whole; an empty one is none."""
    text = present.removeprefix("\ufeff").strip()
    return CaptionEdit(text=text) if text and text != line else None


def read_caption(path: Path) -> str | None:
    """Return the text of a caption file; None where there is none. Raises DamagedError.

    With its byte order mark, which would be trained: a file that has one differs from its text.
    """
    try:
        return read_text(path, encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedError(
            "LL259",
            f"The caption {path} cannot be read: {error}.",
            "Save it as UTF-8 text, or delete it.",
        ) from error


@dataclass(frozen=True)
class Written:
    """What we wrote for each stem: one text, or several while writing was cut off.

    `prefix` is the one that they begin with; None in files of an earlier loraloom.
    """

    texts: Mapping[str, tuple[str, ...]]
    prefix: str | None = None


def read_written(project: Project) -> Written:
    """Return what we wrote. Raises DamagedError."""
    return read_record(
        project.images_dir / WRITTEN_NAME,
        _parse_written,
        "Restore it from a backup, or move it away: then captions that differ from the rules "
        "count as written by hand.",
    )


def _parse_written(data: Mapping[str, Any]) -> Written:
    is_flat = not isinstance(data.get("captions"), dict)
    rows, prefix = (data, None) if is_flat else (data["captions"], data.get("prefix"))
    texts = {
        stem: (text,) if isinstance(text, str) else require_texts(text)
        for stem, text in rows.items()
    }
    return Written(texts, prefix if isinstance(prefix, str) else None)


def apply_captions(project: Project, plan: CaptionPlan) -> None:
    """Keep newly found edits, then write the caption files that differ.

    What is about to be written is recorded first, so that a run that was cut off does not take our
    own captions for hand-made ones. Raises MachineError (disk full).
    """
    edits = {one.place.stem: one.edit for one in plan.captions if one.edit}
    EditBook(project).save(edits, "caption file")
    write_captions(project, plan.captions, plan.prefix)
    project.journal.append(
        "caption", pictures=len(plan.captions), changed=plan.changed, edits=plan.edits
    )


def write_captions(project: Project, captions: Iterable[PlannedCaption], prefix: str) -> None:
    """Write the caption files that differ, and what we wrote, before and after.

    Texts of other stems may begin with an earlier prefix; those are the whole set's or none.
    """
    planned = tuple(captions)
    before = read_written(project)
    texts = dict(before.texts)
    for one in planned:
        accounted = (one.present.strip(),) if one.present else ()
        texts[one.place.stem] = tuple(dict.fromkeys((*accounted, one.text)))
    _write_written(project, texts, prefix)
    for one in planned:
        if one.is_new:
            write_text_atomic(project.images_dir / one.place, one.text + "\n")
        texts[one.place.stem] = (one.text,)
    _write_written(project, texts, prefix)


def carry_written(project: Project, stems: Mapping[str, str]) -> None:
    """Note what we wrote under the stems that its captions are about to have.

    Raises MachineError or DamagedError.
    """
    before = read_written(project)
    texts = {stem: text for stem, text in before.texts.items() if stem not in stems.values()}
    texts |= {new: before.texts[old] for old, new in stems.items() if old in before.texts}
    if texts != before.texts and before.prefix is not None:
        _write_written(project, texts, before.prefix)


def _write_written(project: Project, texts: Mapping[str, tuple[str, ...]], prefix: str) -> None:
    rows = {stem: found[0] if len(found) == 1 else list(found) for stem, found in texts.items()}
    data = {"captions": rows, "prefix": prefix}
    write_json_atomic(project.images_dir / WRITTEN_NAME, data, sort_keys=True)
