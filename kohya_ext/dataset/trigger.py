"""Whether a trigger word is free: no other LoRA has it, no model knows it, no caption holds it.

Only headers of LoRA files are read. Nothing here stops anything; a word that cannot be one at all
is `kohya_ext.project.trigger_word`'s.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from ..project import Project, ToolError, read_settings
from ..project.clip_tokens import ClipTokens, find_clip_tokens
from ..project.consent import without_consent
from ..project.files import sha256_of
from ..project.json_reader import parse_json, read_beginning
from ..project.lora_file import read_header
from ..project.tagging import Scores, read_all_scores
from ..project.tagging.vocabulary import find_vocabulary
from ..project.trigger_word import trigger_word_problem
from ..project.wording import counted
from ..project.yaml_reader import packaged_yaml
from .staged import read_staged

_SUFFIXES = ("fern", "wyn", "brook", "quill", "vale", "thorn", "moss", "lark", "reed", "wick")
_SUGGESTED = 3
_MANY_TOKENS = 6
_SHORT = 3
_SURE = 0.35


@dataclass(frozen=True)
class TriggerFinding:
    """One thing that speaks against a word; `kind` is lora, word, tokens, tag, caption or form."""

    kind: str
    text: str


@dataclass(frozen=True)
class TriggerReport:
    """What was found on a word, other words that are free, and what was looked at."""

    word: str
    findings: tuple[TriggerFinding, ...]
    suggestions: tuple[str, ...]
    tokens: int
    is_exact: bool
    loras: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "word": self.word,
            "free": not self.findings,
            "findings": [{"kind": one.kind, "text": one.text} for one in self.findings],
            "suggestions": list(self.suggestions),
            "tokens": self.tokens,
            "tokens_exact": self.is_exact,
            "loras_read": self.loras,
        }


@dataclass(frozen=True)
class KnownLora:
    """What the header of a LoRA says that it is called by: words, and tags with their counts."""

    path: Path
    session: str
    names: Mapping[str, str]
    """Each text by the field of the header that it is in."""
    tags: Mapping[str, int]


@dataclass(frozen=True)
class Surroundings:
    """What a word is compared with: other LoRAs, captions and tags of the set, models' words."""

    loras: tuple[KnownLora, ...] = ()
    captions: tuple[str, ...] = ()
    tags: Mapping[str, int] | None = None
    vocabulary: Collection[str] = ()
    clip: ClipTokens = field(default_factory=ClipTokens)


def check_trigger(word: str, around: Surroundings) -> TriggerReport:
    """Return what speaks against a word, and up to three that are free."""
    findings = tuple(_find(word, around))
    tokens = around.clip.count(word)
    free = _suggest(word, around) if findings else ()
    return TriggerReport(word, findings, free, tokens, around.clip.is_exact, len(around.loras))


def trigger_report(
    project: Project, word: str = "", lora_folders: Sequence[Path] = ()
) -> TriggerReport:
    """Check a word, that of the manifest without one, against all that this project can know.

    The project's own epoch files do not count. Raises MissingError (a folder).
    """
    asked = word or project.manifest.trigger_word
    return check_trigger(asked, surroundings_of(project, asked, lora_folders))


def surroundings_of(project: Project, word: str, lora_folders: Sequence[Path] = ()) -> Surroundings:
    """Read what a trigger word of this project is compared with. Raises MissingError."""
    own = {one.session for one in read_loras([project.model_dir]) if one.session}
    loras = [one for one in read_loras(lora_folders, needed=True) if one.session not in own]
    vocabulary = find_vocabulary(project)
    overrides = project.manifest.training.overrides
    cache = str(overrides.get("tokenizer_cache_dir") or "")
    return Surroundings(
        tuple(loras),
        tuple(_captions(project)),
        _tags_of_the_set(project, word),
        frozenset(one.name.casefold() for one in vocabulary.tags) if vocabulary else (),
        find_clip_tokens([project.root / cache] if cache else ()),
    )


def _tags_of_the_set(project: Project, word: str) -> Counter[str]:
    """Count the tags of the pictures that are trained on; those that were drawn have scores, too.

    Pictures are read, for their hashes, only where some tag has the word.
    """
    found = read_all_scores(project.scores_dir) if project.scores_dir.is_dir() else {}
    counts = _counted_tags(found.values())
    if not any(_has_word(tag, word) for tag in counts):
        return counts
    paths = (project.images_dir / place for place in read_staged(project.images_dir))
    keys = {sha256_of(path) for path in paths if path.is_file()}
    return _counted_tags(one for key, one in found.items() if key in keys) if keys else counts


def _counted_tags(scores: Iterable[Scores]) -> Counter[str]:
    sure = ([_key(tag) for tag, found in one.general.items() if found >= _SURE] for one in scores)
    return Counter(tag for tags in sure for tag in tags)


def _captions(project: Project) -> Iterator[str]:
    extension = project.manifest.captions.caption_extension
    for place in read_staged(project.images_dir):
        path = (project.images_dir / place).with_suffix(extension)
        if path.is_file():
            yield read_beginning(path)


def read_loras(folders: Iterable[Path], *, needed: bool = False) -> Iterator[KnownLora]:
    """Read the headers of all LoRAs in folders and below; what is not one is passed over.

    Raises MissingError for a folder that is not there, when it is `needed`.
    """
    from ..project.files import require_folder

    for folder in folders:
        if needed:
            require_folder(folder)
        for path in sorted(folder.rglob("*.safetensors")) if folder.is_dir() else ():
            try:
                metadata = read_header(path).metadata
            except ToolError:
                continue
            yield _known_lora(path, metadata)


_NAMES = ("ss_output_name", "modelspec.title", "modelspec.trigger_phrase", "ss_training_comment")


def _known_lora(path: Path, metadata: Mapping[str, str]) -> KnownLora:
    names = {name: without_consent(metadata[name]) for name in _NAMES if metadata.get(name)}
    names["its file name"] = path.stem
    tags: Counter[str] = Counter()
    for folder, counts in _object(metadata.get("ss_tag_frequency", "")).items():
        names.setdefault("ss_tag_frequency", "")
        names["ss_tag_frequency"] += " " + folder.partition("_")[2]
        for tag, count in counts.items() if isinstance(counts, dict) else ():
            tags[_key(tag)] += count if isinstance(count, int) else 0
    for folder in _object(metadata.get("ss_dataset_dirs", "")):
        names["ss_dataset_dirs"] = f"{names.get('ss_dataset_dirs', '')} {folder.partition('_')[2]}"
    return KnownLora(path, metadata.get("ss_session_id", ""), names, tags)


def _object(text: str) -> dict[str, Any]:
    try:
        found = parse_json(text.encode("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# What speaks against a word.


def _find(word: str, around: Surroundings) -> Iterator[TriggerFinding]:
    problem = trigger_word_problem(word)
    if problem:
        yield TriggerFinding("form", problem)
        return
    for lora in around.loras:
        said = _clash(word, lora)
        if said:
            yield TriggerFinding("lora", f'{lora.path} already uses "{word}": {said}.')
    why = known_words().get(_key(word))
    if why:
        yield TriggerFinding("word", f'"{word}" {why}.')
    if _key(word) in {_key(one) for one in around.vocabulary}:
        yield TriggerFinding("tag", f'"{word}" is a tag of the tagger\'s own vocabulary.')
    yield from _tokens(word, around.clip)
    yield from _in_the_set(word, around)


def _clash(word: str, lora: KnownLora) -> str:
    for name, text in lora.names.items():
        if _has_word(text, word):
            return f'{name} says "{text.strip()}"'
    found = [(count, tag) for tag, count in lora.tags.items() if _has_word(tag, word)]
    if found:
        count, tag = max(found)
        return f'{count} of its captions say "{tag}"'
    return ""


def _tokens(word: str, clip: ClipTokens) -> Iterator[TriggerFinding]:
    if clip.knows_word(word) and _key(word) not in known_words():
        yield TriggerFinding(
            "tokens",
            f'"{word}" is one token of CLIP, so models may already draw something for it. '
            "Draw it once without a LoRA, or choose another word.",
        )
    count = clip.count(word)
    if count > _MANY_TOKENS:
        about = "" if clip.is_exact else "about "
        yield TriggerFinding(
            "tokens",
            f'"{word}" takes {about}{count} of 75 tokens in every prompt: choose a shorter one.',
        )
    if len(word) < _SHORT:
        yield TriggerFinding("form", f'"{word}" is short: it is often a part of other words.')


def _in_the_set(word: str, around: Surroundings) -> Iterator[TriggerFinding]:
    tags = around.tags or {}
    own = tags.get(_key(word), 0)
    if own:
        yield TriggerFinding(
            "tag",
            f'The tagger finds "{_key(word)}" in {counted(own, "picture")} of the set, so captions '
            f'would say "photo of {word}, {_key(word)}".',
        )
    doubled = sum(1 for text in around.captions if _doubled(text, word))
    if doubled and not own:
        yield TriggerFinding(
            "caption",
            f'{counted(doubled, "caption")} of the set would contain "{word}" twice, once in the '
            "prefix.",
        )
    others = sorted(tag for tag in tags if tag != _key(word) and _has_word(tag, word))
    if others:
        yield TriggerFinding(
            "tag", f'"{word}" is part of the set\'s own tags: {", ".join(others[:3])}.'
        )


def _doubled(text: str, word: str) -> bool:
    return sum(1 for tag in re.split(r"[,\n]", text) if _has_word(tag, word)) > 1


def _has_word(text: str, word: str) -> bool:
    """Tell whether a text holds the word, whatever joins its parts: MiraFox, mira_fox, Mira-fox."""
    wanted = _key(word)
    plain = _key(text)
    if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain):
        return True
    return wanted.replace(" ", "") in re.split(r"[^\w]+", plain)


def _key(text: str) -> str:
    return re.sub(r"[\s_\-.]+", " ", text).strip().casefold()


@lru_cache(maxsize=1)
def known_words() -> Mapping[str, str]:
    """Return what is wrong with words that everybody knows, by word in lower case."""
    groups = packaged_yaml(__package__, "known_words.yaml")
    return {str(word): group["why"] for group in groups.values() for word in group["words"]}


def _suggest(word: str, around: Surroundings) -> tuple[str, ...]:
    """Return longer words that begin as this one does, each of them free."""
    stem = re.sub(r"[^\w]", "", word).strip("_0123456789") or "Quill"
    stem = stem[:1].upper() + stem[1:8]
    found = (f"{stem}{suffix}" for suffix in _SUFFIXES)
    free = (one for one in found if not any(_find(one, around)))
    return tuple(islice(free, _SUGGESTED))


def lora_folders_of(project: Project) -> tuple[Path, ...]:
    """Return the folders of LoRAs that are remembered, and that of the WebUI, where there."""
    settings = read_settings()
    named = [Path(one) for one in settings.lora_folders]
    if settings.webui_folder:
        named.append(Path(settings.webui_folder, "models", "Lora"))
    own = project.root.resolve()
    return tuple(one for one in named if one.is_dir() and not one.resolve().is_relative_to(own))
