"""Signs of a minor and of something sexual, in a tagger's scores, a caption or a prompt.

The words are in words.yaml. Thresholds lie far below those of captions: rather one alarm too
many. No option switches the rule off. Negative prompts do not count: they name what must not be.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from ..tagging.scores import Scores
from ..tagging.vocabulary import tag_key
from ..yaml_reader import packaged_yaml

MINOR_THRESHOLD = 0.15
SEXUAL_THRESHOLD = 0.15
RATING_THRESHOLD = 0.25
_NAMED = 20
_LATIN = str.maketrans("аеорсухіѕАЕОРСУХІ", "aeopcyxisAEOPCYXI")
_WORD = re.compile(r"\w+")
_SPELT_OUT = re.compile(r"(?<!\w)\w(?:[ .*-]\w){2,}(?!\w)")
_YEAR = re.compile(r"(?<![\w.])(?:19|20)\d\d(?! ?(?:px|pixel|x ?\d)|\d)")
_GROWN_UP = 18

TRAINING_RATINGS = ("sensitive", "questionable", "explicit")
PUBLISHING_RATINGS = TRAINING_RATINGS
"""The tagger's ratings that count as sexual beside a sign of a minor."""


class Signs(NamedTuple):
    """The two signs that must not stand together, each as it was found."""

    minor: str
    sexual: str


@dataclass(frozen=True)
class _Words:
    tags: frozenset[str]
    parts: frozenset[str]
    harmless: frozenset[str]
    kinds: re.Pattern[str]
    pattern: re.Pattern[str]
    births: re.Pattern[str]

    def in_tag(self, tag: str) -> bool:
        """Whether a tag of a tagger or a caption is such a word."""
        plain = tag_key(tag)
        if plain in self.harmless:
            return False
        parts = {*plain.split(" "), *re.split(r"[ \-()/:]+", plain)}
        return bool(
            plain in self.tags or not self.parts.isdisjoint(parts) or self.kinds.fullmatch(plain)
        )

    def all_in_text(self, text: str) -> tuple[str, ...]:
        """Return every such word of a text."""
        return tuple(dict.fromkeys(found.group(0) for found in self.pattern.finditer(text)))

    def in_text(self, text: str) -> str:
        """Return the first such word of a text, or ""."""
        found = self.pattern.search(text) or self.pattern.search(_spelt_out(text))
        return found.group(0) if found else self._birth_in(text)

    def _birth_in(self, text: str) -> str:
        """Return a birth less than 18 years before the latest other year that the text names."""
        for birth in self.births.finditer(text):
            years = _YEAR.findall(text[: birth.start()] + text[birth.end() :])
            born = int(birth["after"] or birth["before"])
            if years and 0 <= int(max(years)) - born < _GROWN_UP:
                return f"{birth.group(0)}, {max(years)}"
        return ""


@lru_cache(maxsize=1)
def _words() -> tuple[_Words, _Words]:
    data = packaged_yaml(__package__, "words.yaml")
    return _read(data["minor"]), _read(data["sexual"])


def _read(data: dict[str, Any]) -> _Words:
    words = "|".join(data["words"])
    letters = "|".join(map(re.escape, data["letters"]))  # scripts that part no words
    return _Words(
        frozenset(data["tags"]),
        frozenset(data["parts"]),
        frozenset(data["harmless"]),
        re.compile("|".join(f"(?:{kind})" for kind in data["patterns"])),
        re.compile(rf"(?<!\w)(?:{words})(?!\w)|{letters}", re.IGNORECASE),
        re.compile("|".join(data.get("births", ("(?!)",))), re.IGNORECASE),
    )


def forbidden_picture(
    scores: Scores | None, caption: str = "", ratings: Sequence[str] = TRAINING_RATINGS
) -> Signs | None:
    """Return the pair of signs in a picture's scores and caption together, or None."""
    minor_words, sexual_words = _words()
    general = scores.general if scores else {}
    tags = [part.strip() for part in re.split(r"[,\n]", caption)]
    minor = _first(general, minor_words, MINOR_THRESHOLD) or _in_caption(caption, tags, minor_words)
    if not minor:
        return None
    for rating in ratings if scores else ():
        if scores and scores.ratings.get(rating, 0.0) >= RATING_THRESHOLD:
            return Signs(minor, f"rating {rating}")
    sexual = _first(general, sexual_words, SEXUAL_THRESHOLD)
    sexual = sexual or _in_caption(caption, tags, sexual_words)
    return Signs(minor, sexual) if sexual else None


def forbidden_words(prompt: str) -> Signs | None:
    """Return the pair of words that must not be in one prompt, or None."""
    minor_words, sexual_words = _words()
    plain = in_one_spelling(prompt)
    minor, sexual = minor_words.in_text(plain), sexual_words.in_text(plain)
    return Signs(minor, sexual) if minor and sexual else None


def minor_sign(scores: Scores | None, text: str = "") -> str:
    """Return what speaks of a minor in scores or a text, or ""; alone it forbids nothing."""
    minor_words, _ = _words()
    found = _first(scores.general if scores else {}, minor_words, MINOR_THRESHOLD)
    return found or minor_words.in_text(in_one_spelling(text))


def sexual_words(text: str) -> tuple[str, ...]:
    """Return the sexual words of a text that `in_one_spelling` returned."""
    return _words()[1].all_in_text(text)


def sexual_tags(scores: Scores, threshold: float = SEXUAL_THRESHOLD) -> tuple[str, ...]:
    """Return the sexual tags that a tagger saw."""
    _, words = _words()
    return tuple(
        tag for tag, score in scores.general.items() if score >= threshold and words.in_tag(tag)
    )


def cure_for_training(project: str, pictures: Iterable[str]) -> str:
    """Say how pictures are taken out so that no later step brings them back."""
    named = list(pictures)
    words = " ".join(f'--out "{name}"' for name in named[:_NAMED])
    more = f" and so on for {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return (
        "Set each to Out on the board (key 0), or run: "
        f"loraloom stage {project} {words}{more}. This rule cannot be switched off."
    )


def _first(general: Mapping[str, float], words: _Words, threshold: float) -> str:
    return next(
        (tag for tag, score in general.items() if score >= threshold and words.in_tag(tag)), ""
    )


def _in_caption(caption: str, tags: Sequence[str], words: _Words) -> str:
    whole = next((tag for tag in tags if tag and words.in_tag(tag)), "")
    return whole or words.in_text(in_one_spelling(caption))


def _spelt_out(text: str) -> str:
    """Return words whose letters stand apart ("c h i l d"), with and without a letter before."""
    runs = (re.sub(r"\W", "", found.group()) for found in _SPELT_OUT.finditer(text))
    return ", ".join(word for run in runs for word in (run, run[1:]))


def in_one_spelling(text: str) -> str:
    """Return text for the patterns: one spelling of each letter, and no mark inside a word."""
    plain = unicodedata.normalize("NFKC", text).replace("_", " ")
    plain = re.sub("[\u200b-\u200f\u2060\ufeff\u00ad]", "", plain)
    if plain.isascii():
        return plain
    plain = re.sub(r"\d", lambda digit: str(unicodedata.decimal(digit.group())), plain)
    return _WORD.sub(_in_one_script, plain)


def _in_one_script(word: re.Match[str]) -> str:
    """Return a word of Latin letters without Cyrillic ones among them that look the same."""
    text = word.group()
    return text.translate(_LATIN) if re.search("[a-zA-Z]", text) else text
