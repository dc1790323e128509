"""Probe prompts from the training set itself: what a good epoch can draw, and what it must not.

Tags that the set shows often give the framings to ask for; what it never shows, but the tagger
knows well, tells whether the LoRA still follows a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kohya_ext.project import Project
from kohya_ext.project.tagging import read_scores

from .tag_kinds import TagKind, kind_of, plain_tag
from .training_set import read_training_set

_SHOWN = 0.35
MOST = 10

_FRAMINGS = ("full body", "close-up")
_PLACES = ("snow", "beach", "forest", "city street", "indoors", "night")
_CLOTHES = ("red scarf", "raincoat", "straw hat", "armor", "hoodie")
_STYLES = ("oil painting", "sketch", "pixel art", "watercolor")
_UNSEEN = ("umbrella", "holding flower", "sitting", "jumping", "from behind", "smile", "crown")


@dataclass(frozen=True)
class Probe:
    """One prompt, with `{lora}` and `{trigger}` to be filled, and what it is for."""

    about: str
    prompt: str


def plan_probes(project: Project) -> tuple[Probe, ...]:
    """Return 6 to 10 probes; without stored scores every tag counts as unseen."""
    shares: dict[str, list[float]] = {}
    for one in read_training_set(project):
        scores = read_scores(project.scores_dir, one.sha256)
        if scores is not None:
            for tag, value in scores.general.items():
                shares.setdefault(plain_tag(tag), []).append(value)
    counts = {tag: sum(value >= _SHOWN for value in found) for tag, found in shares.items()}
    return make_probes(counts, project.manifest.captions.prefix)


def make_probes(
    counts: Mapping[str, int], prefix: str = "photo of {trigger},"
) -> tuple[Probe, ...]:
    """Make the probes; `counts` says in how many training pictures each tag is."""
    base = f"{{lora}} {prefix.strip().rstrip(',').strip() or '{trigger}'}"
    if "{trigger}" not in base:
        base += " {trigger}"
    probes = [Probe("trigger only", base)]
    probes += [Probe(f"framing: {one}", f"{base}, {one}") for one in _FRAMINGS]
    for about, words, amount in (
        ("never seen with it", _UNSEEN, 2),
        ("another place", _PLACES, 1),
        ("another outfit", _CLOTHES, 1),
        ("another style", _STYLES, 1),
    ):
        chosen = sorted(words, key=lambda word: counts.get(plain_tag(word), 0))[:amount]
        probes += [Probe(f"{about}: {one}", f"{base}, {one}") for one in chosen]
    frequent = _frequent(counts, TagKind.PLACE)
    if frequent:
        probes.append(Probe(f"a place of the set: {frequent}", f"{base}, {frequent}"))
    return tuple(probes[:MOST])


def probe_axis(probes: Sequence[Probe]) -> str:
    """Return the probes as a grid's axis, in the csv that axes are written in."""
    quoted = ('"' + one.prompt.replace('"', '""') + '"' for one in probes)
    return f"Prompt={','.join(quoted)}"


def _frequent(counts: Mapping[str, int], kind: TagKind) -> str:
    found = {tag: count for tag, count in counts.items() if count and kind_of(tag) is kind}
    return max(sorted(found), key=lambda tag: found[tag]).replace("_", " ") if found else ""
