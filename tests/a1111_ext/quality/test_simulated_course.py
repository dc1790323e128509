"""The simulated WebUI's pictures have a course that advice finds: grow, then burn and forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from a1111_ext.quality.fried import measure_fried
from a1111_ext.quality.leakage import measure_leakage
from a1111_ext.quality.learned import measure_learned
from a1111_ext.quality.prompt_adherence import measure_obeys
from a1111_ext.quality.signal import Series
from a1111_ext.quality.tag_profile import TagProfile
from a1111_ext.quality.texture import Texture, texture_of
from a1111_ext.quality.training_set import plain_scores
from a1111_ext.simulator.cards import Card, Course, draw_card
from kohya_ext.project.tagging import Tagger, open_tagger
from kohya_ext.simulator.tagger_model import write_tagger_model

STRENGTHS = (0.22, 0.43, 0.65, 0.87, 1.08, 1.3)
SEEDS = (11, 12, 13)
PROFILE = TagProfile({"orange_fur": 0.55, "blue_sky": 0.5, "grass": 0.6})


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return open_tagger(write_tagger_model(tmp_path_factory.mktemp("tagger")))


@pytest.fixture(scope="module")
def pictures(tagger: Tagger, tmp_path_factory: pytest.TempPathFactory):
    """Tags and textures by strength, prompt and seed; strength 0 is the control."""
    folder: Path = tmp_path_factory.mktemp("cards")
    found: dict[float, dict[str, tuple[dict[str, float], Texture]]] = {}
    for strength in (0.0, *STRENGTHS):
        for prompt in ("photo of Quillfox", "photo of Quillfox, night sky"):
            for seed in SEEDS:
                card = Card(prompt, seed, "a", "x" if strength else "", strength, "", 256, 256)
                picture = draw_card(card, Course())
                picture.save(folder / "card.png")
                tags = plain_scores(tagger.score(folder / "card.png", "0" * 64))
                pair = f"{prompt}/{seed}"
                found.setdefault(strength, {})[pair] = (dict(tags), texture_of(picture))
    return found


def series(pictures, which: int, *, plain: bool = False) -> Series:
    def of(strength: float):
        every = pictures[strength].items()
        return {pair: one[which] for pair, one in every if not (plain and "night" in pair)}

    return Series(tuple(of(one) for one in STRENGTHS), of(0.0))


def test_the_creature_is_learned_by_the_fourth_epoch(pictures):
    signal, _ = measure_learned(series(pictures, 0, plain=True), PROFILE, {})
    assert signal.bad[:2] == (True, True)
    assert signal.bad[3] is False


def test_colours_burn_in_the_last_two(pictures):
    assert measure_fried(series(pictures, 1)).bad == (False,) * 4 + (True, True)


def test_the_meadow_appears_unrequested_in_the_last_two(pictures):
    tags = series(pictures, 0, plain=True)
    signal = measure_leakage(tags, PROFILE, dict.fromkeys(tags.control, frozenset()))
    assert signal.bad == (False,) * 4 + (True, True)


def test_prompts_are_forgotten_in_the_last_two(pictures):
    tags = series(pictures, 0)
    asked = {pair: {"night_sky"} if "night" in pair else set() for pair in tags.control}
    signal, _ = measure_obeys(tags, asked)
    assert signal.bad == (False,) * 4 + (True, True)
