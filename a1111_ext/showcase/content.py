"""The one content rule, in prompts: who is shown as a minor never goes with anything sexual.

Negative prompts do not count: they name what must not be seen.
"""

from __future__ import annotations

import re

_MINOR = re.compile(
    r"\b(?:child(?:ren)?|kids?|toddlers?|bab(?:y|ies)(?! (?:blue|pink))|infants?|lolis?|lolicons?"
    r"|shotas?|shotacons?|pre-?teens?|tweens?|underage[d]?|minors?|adolescents?|teenage(?:d|rs?)?"
    r"|(?:little|young|small) (?:girls?|boys?)|school ?girls?|school ?boys?|kindergart\w+"
    r"|elementary school\w*|middle school\w*|primary school\w*|aged down"
    r"|(?:[1-9]|1[0-7])[ -]?(?:yo|y\.o\.?|years?[ -]old))(?![\w])",
    re.IGNORECASE,
)
_SEXUAL = re.compile(
    r"\b(?:nsfw|nudes?|nudity|naked|topless|bottomless|sex|sexual|sexy|erotic\w*|porn\w*|hentai"
    r"|lewd|explicit|nipples?|areolae?|pussy|vagina|penis|genitals?|cum|cameltoe|cleavage"
    r"|lingerie|underwear|panties|bikini|see-through|seductive|spread legs|groin|masturbat\w*"
    r"|(?:wearing|wears) nothing|no clothes|unclothed|without clothes"
    r"|orgasm\w*|fetish\w*|bdsm|undress\w*)\b",
    re.IGNORECASE,
)


def forbidden_words(prompt: str) -> tuple[str, str] | None:
    """Return the pair of words that must not stand in one prompt, or None."""
    plain = prompt.replace("_", " ")
    minor, sexual = _MINOR.search(plain), _SEXUAL.search(plain)
    if minor is None or sexual is None:
        return None
    return minor.group(0), sexual.group(0)
