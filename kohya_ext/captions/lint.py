"""What is wrong with captions as they lie on disk: each slip once, with the pictures it is in.

Nothing is changed. A slip is no error: people may mean it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise

from ..project import Project, ToolError
from ..project.tagging import read_all_scores, tag_key
from ..project.tagging.vocabulary import find_vocabulary
from ..project.wording import counted
from .captioning import read_rules, undesired_tags
from .prompt_text import PromptText, find_prompt_text
from .rules import is_undesired, parse_tags, undesired_keys

_SHOWN = 3
_SHOWN_TAGS = 8
_FEW_CAPTIONS = 10
_NEAR = 0.75


@dataclass(frozen=True)
class CaptionProblem:
    """One kind of slip: what is wrong where, and what to do."""

    code: str
    problem: str
    cure: str


@dataclass(frozen=True)
class LintRules:
    """What captions are compared with; an empty `trigger_word` is not looked for."""

    trigger_word: str = ""
    prefix: str = ""
    undesired: tuple[str, ...] = ()
    known_tags: Collection[str] = field(default_factory=frozenset)
    """Every tag that was scored or that the tagger has, by key."""
    kept: Collection[str] = ()
    """Tags that a person wants in captions, by key, although a list calls them undesired."""
    understood: Collection[PromptText] = ()
    """What of the prompt language the trainer is told to read in captions."""


def lint_rules(project: Project) -> LintRules:
    """Return what this project's captions are compared with. Raises MissingError."""
    known: set[str] = set()
    if project.scores_dir.is_dir():
        for one in read_all_scores(project.scores_dir).values():
            known |= {tag_key(tag) for tag in (*one.general, *one.character)}
    own, vocabulary = read_rules(project), find_vocabulary(project)
    if vocabulary:
        known |= {tag_key(tag.name) for tag in vocabulary.tags}
    return LintRules(
        project.manifest.trigger_word,
        own.head,
        undesired_tags(project),
        frozenset(known),
        own.kept,
    )


def lint_captions(captions: Mapping[str, str], rules: LintRules) -> tuple[CaptionProblem, ...]:
    """Return the slips in captions, each text under the name of its picture."""
    return tuple(_find(captions, rules)) if captions else ()


def _find(captions: Mapping[str, str], rules: LintRules) -> Iterator[CaptionProblem]:
    yield from _lines(captions)
    yield from _placeholders(captions)
    yield from _prompt_text(captions, rules)
    if rules.trigger_word:
        yield from _trigger(captions, rules.trigger_word)
    yield from _duplicates(captions, rules)
    yield from _lonely(captions, rules)
    yield from _undesired(captions, rules)


def _lines(captions: Mapping[str, str]) -> Iterator[CaptionProblem]:
    long = [name for name, text in captions.items() if len(text.strip().splitlines()) > 1]
    if long:
        yield CaptionProblem(
            "LL214",
            f"{_many(long)} more than one line, but the trainer reads only the first: "
            f"{_names(long)}.",
            "Join the lines with commas.",
        )


_PLACEHOLDER = re.compile(r"\$?\{ *(?:trigger|lora|prompt|subject)[^{}]*\}", re.IGNORECASE)


def _placeholders(captions: Mapping[str, str]) -> Iterator[CaptionProblem]:
    found = {name: one[0] for name, text in captions.items() if (one := _PLACEHOLDER.search(text))}
    if found:
        shown = next(iter(found.values()))
        yield CaptionProblem(
            "LL218",
            f'"{shown}" is plain text in {_names(found)}; it is not replaced in captions.',
            "Write the trigger word instead; only captions.prefix replaces {trigger}, in lower "
            "case.",
        )


_TRAINED = {
    PromptText.WEIGHT: (
        "is trained letter by letter, not as a weight",
        "Write the words alone, or set weighted_captions in the trainer's config.",
    ),
    PromptText.ESCAPE: (
        "is trained with its backslashes",
        "Write it without them; prompts need them, captions do not.",
    ),
    PromptText.LORA: (
        "loads no LoRA in a caption; its letters are trained",
        "Remove it.",
    ),
    PromptText.BREAK: (
        "divides nothing in a caption; it is trained as a word",
        "Remove it.",
    ),
    PromptText.ALTERNATION: (
        "changes nothing in a caption; its letters are trained",
        "Write what the picture shows.",
    ),
    PromptText.VARIANT: (
        "is drawn from in prompts only; its letters are trained",
        "Write what the picture shows, or set enable_wildcard in the trainer's dataset config.",
    ),
    PromptText.WILDCARD: (
        "is filled in prompts only; its letters are trained",
        "Write what the picture shows.",
    ),
}


def _prompt_text(captions: Mapping[str, str], rules: LintRules) -> Iterator[CaptionProblem]:
    for one in find_prompt_text(captions, rules.known_tags, rules.understood):
        becomes, cure = _TRAINED[one.kind]
        yield CaptionProblem("LL223", f'"{one.example}" {becomes}: {_names(one.names)}.', cure)


def _trigger(captions: Mapping[str, str], word: str) -> Iterator[CaptionProblem]:
    wanted = tag_key(word)
    pattern = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    counts = {name: len(pattern.findall(tag_key(text))) for name, text in captions.items()}
    twice = [name for name, count in counts.items() if count > 1]
    missing = [name for name, count in counts.items() if not count]
    near = {name: one for name in missing if (one := _misspelt(captions[name], wanted))}
    absent = [name for name in missing if name not in near]
    for spelling in dict.fromkeys(near.values()):
        names = [name for name, one in near.items() if one == spelling]
        yield CaptionProblem(
            "LL212",
            f'"{spelling}" probably means the trigger word "{word}": {_names(names)}.',
            f'Write "{word}".',
        )
    if absent:
        yield CaptionProblem(
            "LL211",
            f'{_many(absent)} no trigger word "{word}": {_names(absent)}.',
            "Put it first, or caption again with captions.prefix.",
        )
    if twice:
        yield CaptionProblem(
            "LL213",
            f'{_many(twice)} the trigger word "{word}" more than once: {_names(twice)}.',
            "Keep one; a tag of that name belongs under captions.undesired_tags.",
        )


def _misspelt(text: str, wanted: str) -> str:
    """Return a word or pair of words that is nearly the trigger word, or ""."""
    words = re.findall(r"\w+", tag_key(text))
    length = len(wanted.split())
    groups = [" ".join(words[at : at + length]) for at in range(len(words) - length + 1)]
    joined = [one + other for one, other in pairwise(words)]
    close = get_close_matches(wanted.replace(" ", ""), [*groups, *joined], n=1, cutoff=0.8)
    return close[0] if close and len(wanted) > _SHOWN else ""


def _duplicates(captions: Mapping[str, str], rules: LintRules) -> Iterator[CaptionProblem]:
    found: dict[str, list[str]] = {}
    for name, text in captions.items():
        keys = Counter(tag_key(tag) for tag in parse_tags(text))
        for key, count in keys.items():
            if count > 1 and key != tag_key(rules.prefix):
                found.setdefault(key, []).append(name)
    if found:
        tags = ", ".join(f'"{tag}" in {_names(names)}' for tag, names in [*found.items()][:_SHOWN])
        more = f"; and {counted(len(found) - _SHOWN, 'more tag')}" if len(found) > _SHOWN else ""
        yield CaptionProblem(
            "LL215",
            f"Tags are repeated in one caption: {tags}{more}.",
            "Keep one of each.",
        )


def _lonely(captions: Mapping[str, str], rules: LintRules) -> Iterator[CaptionProblem]:
    if len(captions) < _FEW_CAPTIONS:
        return
    counts = Counter(tag_key(tag) for text in captions.values() for tag in {*parse_tags(text)})
    lonely = [tag for tag, count in counts.items() if count == 1 and tag != tag_key(rules.prefix)]
    common = [tag for tag, count in counts.items() if count > 1]
    unknown = [tag for tag in lonely if rules.known_tags and tag not in rules.known_tags]
    slips = {tag: close[0] for tag in unknown if (close := get_close_matches(tag, common, 1, 0.85))}
    if lonely:
        meant = "".join(f'; "{tag}" may mean "{other}"' for tag, other in slips.items())
        shown = ", ".join(sorted(lonely)[:_SHOWN_TAGS])
        more = f" and {len(lonely) - _SHOWN_TAGS} more" if len(lonely) > _SHOWN_TAGS else ""
        yield CaptionProblem(
            "LL216",
            f"{len(lonely)} {'tag is' if len(lonely) == 1 else 'tags are'} in only one "
            f"picture: {shown}"
            f"{more}{meant}.",
            "The LoRA hardly learns them; ignore this if they describe only that picture.",
        )


def _undesired(captions: Mapping[str, str], rules: LintRules) -> Iterator[CaptionProblem]:
    if not rules.known_tags:
        return
    for tag in rules.undesired:
        wanted = undesired_keys([tag])
        if any(is_undesired(known, wanted) for known in rules.known_tags):
            continue
        close = get_close_matches(tag_key(tag), sorted(rules.known_tags), 1, _NEAR)
        meant = f' Did you mean "{close[0]}"?' if close else ""
        yield CaptionProblem(
            "LL217",
            f'The undesired tag "{tag}" matches no tag that the tagger has or found.',
            f"Correct it under captions.undesired_tags, or remove it.{meant}",
        )
    unwanted = undesired_keys(rules.undesired)
    left = {
        tag_key(tag)
        for text in captions.values()
        for tag in parse_tags(text)
        if is_undesired(tag, unwanted) and tag_key(tag) not in rules.kept
    } - {tag_key(tag) for tag in parse_tags(rules.prefix)}
    if left:
        names = [
            name for name, text in captions.items() if left & {*map(tag_key, parse_tags(text))}
        ]
        yield CaptionProblem(
            "LL219",
            f"Undesired tags are still in captions: {', '.join(sorted(left)[:_SHOWN_TAGS])} "
            f"({_names(names)}).",
            "Run `loraloom caption` again; remove those that you wrote by hand yourself.",
        )


def _many(names: Collection[str]) -> str:
    return f"{len(names)} caption{' has' if len(names) == 1 else 's have'}"


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def lint_project(project: Project, captions: Mapping[str, str]) -> tuple[CaptionProblem, ...]:
    """Return the slips of a project's captions; unreadable rules are reported elsewhere."""
    try:
        return lint_captions(captions, lint_rules(project))
    except ToolError:
        return ()
