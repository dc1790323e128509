"""The content of a pack by category: judged from scores and prompts, decided by a person.

What follows from it (tags, fields of forms) is asked here by card, form and record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kohya_ext.project import Project
from kohya_ext.project.content import ContentLevel, Judgement, judge, minor_sign
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.manifest import Manifest
from kohya_ext.project.tagging import Scores

from .pack_picture import PackPicture

_SUBJECT = "publish"
_SITE_RATINGS = {
    ContentLevel.GENERAL: "PG",
    ContentLevel.SENSITIVE: "PG-13",
    ContentLevel.QUESTIONABLE: "R",
    ContentLevel.EXPLICIT: "X",
}
_FORBIDS = re.compile(
    r"(?<!\w)(?:no|not|never|without|don['’]?t|forbid\w*|prohibit\w*|kein\w*|nicht|sans|sin|нет)(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class PictureContent:
    """One picture with what was judged of it."""

    picture: PackPicture
    judgement: Judgement
    minor: str = ""


@dataclass(frozen=True)
class PackContent:
    """The pictures' content; `decided` is a person's word on these very pictures, or None."""

    pictures: tuple[PictureContent, ...]
    decided: ContentLevel | None = None

    @property
    def judged(self) -> ContentLevel:
        """The worst category of any picture."""
        levels = (one.judgement.level for one in self.pictures)
        return max(levels, key=lambda one: one.rank, default=ContentLevel.GENERAL)

    @property
    def level(self) -> ContentLevel:
        """What the pack carries: the person's word, else what was judged."""
        return self.decided or self.judged

    @property
    def site_rating(self) -> str:
        """The rating of the whole on Civitai."""
        return _SITE_RATINGS[self.level]

    @property
    def unscored(self) -> tuple[PictureContent, ...]:
        """Pictures that no tagger has rated."""
        return tuple(one for one in self.pictures if not one.judgement.is_scored)

    @property
    def worst(self) -> tuple[PictureContent, ...]:
        """The pictures of the worst category."""
        return tuple(one for one in self.pictures if one.judgement.level is self.judged)

    @property
    def minor(self) -> str:
        """The first sign of a minor in any picture, or ""."""
        return next((one.minor for one in self.pictures if one.minor), "")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "level": self.level.value,
            "judged": self.judged.value,
            "decided": self.decided.value if self.decided else None,
            "pictures": [
                {
                    "file": one.picture.path.name,
                    "judged": one.judgement.level.value,
                    "reasons": list(one.judgement.reasons),
                    "scored": one.judgement.is_scored,
                }
                for one in self.pictures
            ],
        }


def judge_content(
    pictures: Iterable[PackPicture], seen: Mapping[str, Scores], decided: ContentLevel | None = None
) -> PackContent:
    """Judge all pictures; those that are not in `seen` by their prompts alone."""
    found = []
    for one in pictures:
        scores = seen.get(one.sha256)
        found.append(PictureContent(one, judge(scores, one.prompt), minor_sign(scores, one.prompt)))
    return PackContent(tuple(found), decided)


def subject_words(manifest: Manifest) -> str:
    """Return what the manifest says of the subject, for the content rule.

    Sentences of the description that forbid something are left out: they name what must not be.
    """
    publish = manifest.publish
    sentences = re.split(r"[.!?\n]+", publish.description)
    kept = (one for one in sentences if not _FORBIDS.search(one))
    parts = (
        manifest.trigger_word,
        manifest.class_word,
        manifest.subject.description,
        publish.title,
        *publish.tags,
        *kept,
    )
    return "\n".join(filter(None, parts))


# -- the decision -------------------------------------------------------------------------------


def decide_content(project: Project, pictures: Iterable[PackPicture], level: ContentLevel) -> None:
    """Keep a person's word on the content of these pictures in reviews.db."""
    value = {"level": level.value, "pictures": sorted(one.sha256 for one in pictures)}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.CONTENT, {_SUBJECT: value}, "publish")


def read_decision(project: Project, pictures: Iterable[PackPicture]) -> ContentLevel | None:
    """Return a person's word, None when it was given for other pictures."""
    with DecisionStore(project.reviews_db) as store:
        kept = store.find(DecisionKind.CONTENT, _SUBJECT)
    try:
        decided_on = set(kept.value["pictures"]) if kept else set()
        level = ContentLevel(kept.value["level"]) if kept else None
    except (KeyError, TypeError, ValueError):
        return None
    return level if {one.sha256 for one in pictures} <= decided_on else None
