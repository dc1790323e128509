"""Checks on content: the rule on minors first, then the category, which a person decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kohya_ext.project import RuleError
from kohya_ext.project.consent import Use, uses_of
from kohya_ext.project.content import (
    PUBLISHING_RATINGS,
    forbidden_picture,
    forbidden_words,
    minor_sign,
)
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.tagging import Scores
from kohya_ext.project.wording import counted

from .check import Check, CheckState, passed, refused, to_do
from .content import PackContent, PictureContent, subject_words
from .material import Material

Seen = Mapping[str, Scores]
"""What a tagger saw, by the pictures' SHA-256; those that it never saw are absent."""

_NEVER = "Such a picture is never published. This rule cannot be switched off."


def check_content(
    material: Material, content: PackContent, seen: Seen, tagger_note: str
) -> Iterator[Check]:
    """Yield the checks on content."""
    yield _check_words(material)
    yield _check_sight(material, content, seen, tagger_note)
    yield _check_category(material, content)


def _check_words(material: Material) -> Check:
    what = "Content: words of the prompts"
    about = subject_words(material.manifest)
    pair = forbidden_words(about)
    if pair is not None:
        return refused(
            what,
            "LL616",
            f'What the manifest says of the subject has "{pair[0]}" and "{pair[1]}" together.',
            _NEVER,
            RuleError,
        )
    for one in material.every_picture:
        pair = forbidden_words(one.prompt)
        if pair is not None:
            return refused(
                what,
                "LL616",
                f'The prompt of {one.path.name} has "{pair[0]}" and "{pair[1]}" together.',
                _NEVER,
                RuleError,
            )
    return passed(what, "No prompt combines a minor with anything sexual.")


def _check_sight(material: Material, content: PackContent, seen: Seen, tagger_note: str) -> Check:
    """Compare what a tagger sees with the rule on minors; report pictures that it never saw."""
    what = "Content: the pictures themselves"
    about = subject_words(material.manifest)
    for one in material.every_picture:
        # The two signs may stand apart: one in the picture, one in its prompt or the subject.
        scores = seen.get(one.sha256)
        signs = forbidden_picture(scores, one.prompt, PUBLISHING_RATINGS)
        if signs is None and minor_sign(None, about):
            signs = forbidden_picture(scores, f"{one.prompt}\n{about}", PUBLISHING_RATINGS)
        if signs is not None:
            return refused(
                what,
                "LL628",
                f"{one.path.name} looks like a minor ({signs.minor}) together with something "
                f"sexual ({signs.sexual}).",
                "Such a picture is never published: drop it with `loraloom select --drop`.",
                RuleError,
            )
    if content.unscored:
        why = tagger_note or "No tagger is given under captions.model in the manifest."
        return Check(
            what,
            CheckState.NOT_CHECKED,
            f"Not checked by a tagger: {len(content.unscored)} of "
            f"{counted(len(content.pictures), 'picture')}. {why} Check each one yourself: nobody "
            "may look like a minor, especially together with anything sexual.",
        )
    note = f" {tagger_note}" if tagger_note else ""
    return passed(what, f"The tagger sees no minor together with anything sexual.{note}")


def _check_category(material: Material, content: PackContent) -> Check:
    what, judged, decided = "Content: category", content.judged, content.decided
    if material.manifest.subject.kind is SubjectKind.PERSON and content.level.is_for_adults:
        consent = material.manifest.subject.consent
        if consent is None or Use.ADULT not in uses_of(consent):
            return refused(
                what,
                "LL671",
                f"The subject is a real person, the pictures are {content.level.value} "
                f"({_examples(content.worst)}), and the recorded consent does not include this.",
                "Drop those pictures: loraloom select PROJECT --drop FILE",
                RuleError,
            )
    if decided is not None and decided.rank < judged.rank:
        return to_do(
            what,
            f"You decided {decided.value}; rated {judged.value}: {_examples(content.worst)}. "
            "Sites decide for themselves.",
        )
    if decided is not None:
        return passed(what, f"{decided.value}, as you decided; rated: {judged.value}.")
    if judged.is_for_adults:
        return refused(
            what,
            "LL670",
            f"{len(content.worst)} of {counted(len(content.pictures), 'picture')} rated "
            f"{judged.value}, and nobody has decided: {_examples(content.worst)}.",
            "Look at them, then drop them (loraloom select PROJECT --drop FILE) or decide: "
            f"loraloom publish PROJECT --content {judged.value}, or Content on the board's page.",
        )
    if content.unscored:
        return Check(
            what,
            CheckState.NOT_CHECKED,
            f"By the prompts alone {judged.value}; no tagger has rated "
            f"{counted(len(content.unscored), 'picture')}.",
        )
    worst = "" if judged.rank == 0 else f": {_examples(content.worst)}"
    return passed(what, f"{judged.value}, by ratings, tags and prompts{worst}.")


_MOST_EXAMPLES = 3


def _examples(pictures: tuple[PictureContent, ...]) -> str:
    reported = [
        f"{one.picture.path.name} ({', '.join(one.judgement.reasons[:3])})"
        for one in pictures[:_MOST_EXAMPLES]
    ]
    more = len(pictures) - _MOST_EXAMPLES
    return "; ".join([*reported, f"and {more} more"] if more > 0 else reported)
