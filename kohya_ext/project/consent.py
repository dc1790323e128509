"""The consent of a real person: who agreed, on a day that was, to uses out of one list.

Asked wherever the person is used; no option switches it off. What a consent names beyond the list
is refused, so that nobody reads more into it than was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum

from .errors import RuleError


@dataclass(frozen=True)
class Consent:
    """Who agreed, on which day (ISO date), to what, and where the proof is kept."""

    name: str
    date: str
    scope: str
    evidence: str = ""


class Use(str, Enum):
    """What somebody may agree to."""

    TRAINING = "training"
    PICTURES = "pictures"
    PUBLISHING = "publishing"
    ADULT = "adult pictures"
    """Never part of "all": it has to be named."""


_WORDS = {
    Use.ADULT: r"adult|nud|erotic|intimate|explicit|sexual",
    Use.TRAINING: r"train",
    Use.PICTURES: r"picture|image|photo|drawing|showcase",
    Use.PUBLISHING: r"publi|post|shar",
}
_ALL = frozenset({Use.TRAINING, Use.PICTURES, Use.PUBLISHING})
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_IN_COMMENT = re.compile(
    r"(?:^|; )consent: ((?:(?!consent: ).)*?) agreed on [0-9-]{10} to: .*$", re.DOTALL
)
_REFUSALS = re.compile(r"\b(?:no|not|never|without|except|but)\b", re.IGNORECASE)


def uses_of(consent: Consent) -> frozenset[Use]:
    """Return the uses that a consent names; ValueError with the part that names none."""
    found: set[Use] = set()
    for part in re.split(r"[,;/&+\n]|\band\b", consent.scope):
        text = part.strip().casefold()
        if not text:
            continue
        named = {use for use, words in _WORDS.items() if re.search(rf"\b(?:{words})", text)}
        if Use.ADULT in named:
            named -= {Use.PICTURES}
        if text in ("all", "everything", "all uses"):
            named = set(_ALL)
        if not named or _REFUSALS.search(text):
            raise ValueError(part.strip())
        found |= named
    return frozenset(found)


def require_uses(consent: Consent, uses: Iterable[Use]) -> None:
    """Raise RuleError naming all of these uses that nobody agreed to."""
    lacking = " and ".join(use.value for use in uses if use not in uses_of(consent))
    if lacking:
        raise RuleError(
            "LL220",
            f'{consent.name} agreed on {consent.date} to "{consent.scope}", '
            f"which does not include {lacking}.",
            f"If the person agrees, write {lacking} under subject.consent.scope.",
        )


def latest_day() -> date:
    """Return the latest day that anybody on Earth calls today: who agreed may live far east."""
    return (datetime.now(timezone.utc) + timedelta(hours=14)).date()


def consent_problem(consent: Consent, today: date) -> tuple[str, str, str] | None:
    """Return the key, what is wrong with its value, and a cure; None for a sound consent."""
    try:
        if not _DAY.fullmatch(consent.date):  # newer Pythons read weeks and bare digits as well
            raise ValueError(consent.date)
        day = date.fromisoformat(consent.date)
    except ValueError:
        return "date", f'"{consent.date}" is not a date', "Write it as 2026-01-31."
    if day > today:
        return "date", f'"{consent.date}" is in the future', "Write the day of the agreement."
    if not consent.name.strip():
        return "name", "it is empty", "Write who agreed."
    try:
        uses = uses_of(consent)
    except ValueError as error:
        return "scope", f'"{error}" is not a use that can be agreed to', _LIST
    return None if uses else ("scope", "it contains no use", _LIST)


_LIST = f"Write one or more of: {', '.join(Use)}."


def consent_line(consent: Consent) -> str:
    """Return a consent as the header of a LoRA holds it."""
    said = f"{consent.name} agreed on {consent.date} to: {consent.scope}"
    return " ".join(said.split())


def with_consent(comment: str, consent: Consent | None) -> str:
    """Return a training comment, which a trainer writes into every epoch file, with a consent."""
    own = without_consent(comment)
    return "; ".join(filter(None, (own, f"consent: {consent_line(consent)}" if consent else "")))


def without_consent(comment: str) -> str:
    """Return what else a training comment says."""
    return _IN_COMMENT.sub("", comment)


def agreed_by(comment: str) -> str:
    """Return who agreed according to a training comment; empty where it speaks of nobody."""
    found = _IN_COMMENT.search(comment)
    return found[1] if found else ""
