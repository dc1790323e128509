"""How much of the subject a picture shows, as far as the tagger's scores tell."""

from __future__ import annotations

from .scores import Scores

_FRAMINGS = (
    ("close-up", ("close-up", "eye_focus", "macro")),
    ("portrait", ("portrait",)),
    ("upper body", ("upper_body",)),
    ("cowboy shot", ("cowboy_shot",)),
    ("lower body", ("lower_body",)),
    ("full body", ("full_body",)),
    ("wide shot", ("wide_shot", "very_wide_shot", "scenery")),
    ("without face", ("head_out_of_frame", "faceless", "from_behind")),
)
_THRESHOLD = 0.3


def framing_of(scores: Scores) -> str:
    """Return the framing of the highest probability; "" when none is sure."""
    best, name = _THRESHOLD, ""
    for framing, tags in _FRAMINGS:
        for tag in tags:
            found = scores.general.get(tag, scores.general.get(tag.replace("_", " "), 0.0))
            if found >= best:
                best, name = found, framing
    return name
