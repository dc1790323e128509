"""What kind of thing a WD14 tag names, read off its words: place, clothes, framing, style.

Whatever is none of these is taken for the subject itself (hair, ears, fur, face).
"""

from __future__ import annotations

import re
from enum import Enum


class TagKind(str, Enum):
    """What a tag speaks of."""

    PLACE = "place"
    CLOTHES = "clothes"
    FRAMING = "framing"
    STYLE = "style"
    SUBJECT = "subject"


_WORDS: dict[TagKind, str] = {
    TagKind.PLACE: """
        background indoors outdoors sky cloud clouds night sunset sunrise day snow snowing grass
        sand beach ocean sea water river lake forest tree trees mountain mountainous field flower
        flowers city cityscape street road building buildings house room bedroom kitchen
        classroom bathroom library window curtains wall floor door stairs bench chair couch bed
        table desk desert meadow park garden ruins castle bridge rain moon sun star stars
        starry horizon scenery blurry bokeh sunlight shadow fence rock
    """,
    TagKind.CLOTHES: """
        dress shirt skirt pants shorts jacket coat hoodie sweater sweatshirt cardigan vest suit
        uniform kimono yukata hakama robe cape cloak apron bikini swimsuit leotard armor hat cap
        beret helmet hood crown tiara headband ribbon bow bowtie necktie scarf gloves mittens
        socks thighhighs pantyhose stockings boots shoes sneakers sandals heels footwear belt
        glasses sunglasses eyewear goggles earrings necklace choker collar jewelry bracelet ring
        backpack bag mask sleeves clothes clothing costume serafuku headphones headwear neckwear
        buttons pocket turtleneck zipper t-shirt
    """,
    TagKind.FRAMING: """
        full_body upper_body lower_body portrait close-up cowboy_shot from_side from_behind
        from_above from_below headshot profile looking_at_viewer looking_away looking_back
        facing_viewer wide_shot dutch_angle
    """,
    TagKind.STYLE: """
        monochrome greyscale sketch realistic photorealistic photo lineart chibi pixel_art
        watercolor oil_painting traditional_media comic 3d retro_artstyle film_grain painting
        illustration dark bright
    """,
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}


def plain_tag(tag: str) -> str:
    """Return a tag as it is compared: lower case, underscores, no weight around it."""
    text = tag.strip().casefold().replace("\\(", "(").replace("\\)", ")")
    weighted = re.fullmatch(r"[(\[{]*(.*?)(?::[\d.]+)?[)\]}]*", text)
    if weighted and weighted[1] and text[:1] in "([{":
        text = weighted[1]
    return re.sub(r"[\s_]+", "_", text.strip())


def kind_of(tag: str) -> TagKind:
    """Return the kind of a tag in either spelling: `snowy forest` and `night_sky` are places."""
    name = plain_tag(tag)
    if name in _KINDS:
        return _KINDS[name]
    words = name.split("_")
    if words[-1] in _KINDS:
        return _KINDS[words[-1]]
    # "sky_blue_dress" is decided by its last word, "open_clothes_on_bed" by none
    return TagKind.SUBJECT
