"""Which share is usable, how sure that is, and what it says of checkpoints and options."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from a1111_ext.showcase.album import ShowPicture
from a1111_ext.showcase.hit_rate import HitRate, hit_report
from a1111_ext.showcase.ratings import Rating
from dynprompts import Pick


@pytest.mark.parametrize(
    ("usable", "rated", "low", "high", "verdict"),
    [
        (0, 0, 0.0, 1.0, "undecided"),
        (0, 1, 0.0, 0.7935, "undecided"),
        (4, 5, 0.3755, 0.9638, "good so far"),
        (10, 10, 0.7225, 1.0, "good so far"),
        (80, 100, 0.7112, 0.8666, "good so far"),
        (95, 100, 0.8882, 0.9785, "good"),
        (1, 10, 0.0179, 0.4042, "less than 80 %"),
        (0, 10, 0.0, 0.2775, "less than 80 %"),
        (12, 20, 0.3866, 0.7812, "less than 80 %"),
        (13, 20, 0.4329, 0.8188, "undecided"),
    ],
)
def test_wilsons_interval(usable: int, rated: int, low: float, high: float, verdict: str):
    rate = HitRate("x", usable, rated)
    assert rate.interval == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert rate.verdict == verdict


def showcase(
    *groups: tuple[str, str, int, int],
) -> tuple[list[ShowPicture], dict[str, Rating]]:
    """Return an album and its ratings: checkpoint, light, how many usable ones, how many not."""
    album: list[ShowPicture] = []
    ratings: dict[str, Rating] = {}
    for checkpoint, light, usable, failed in groups:
        for number in range(usable + failed):
            name = f"{len(album)}.png"
            picks = (Pick("light", light, "t"),)
            album.append(
                ShowPicture(name, number, f"{checkpoint}.safetensors [0123456789]", "p",
                            template="t", picks=picks)
            )  # fmt: skip
            good = (Rating.SHOWCASE, Rating.FOLLOW_UP, Rating.PLACED)[number % 3]
            ratings[name] = good if number < usable else Rating.DROP
    return album, ratings


def counts(rates: Sequence[HitRate]) -> dict[str, tuple[int, int]]:
    return {one.name: (one.usable, one.rated) for one in rates}


def test_pictures_are_counted_by_what_made_them():
    album, ratings = showcase(("a", "dawn", 3, 1), ("b", "dawn", 2, 0), ("b", "night", 0, 2))
    del ratings["0.png"]  # an unrated picture says nothing
    found = hit_report(album, ratings)
    assert (found.total.usable, found.total.rated) == (4, 7)
    assert counts(found.checkpoints) == {"a": (2, 3), "b": (2, 4)}
    assert counts(found.templates) == {"t": (4, 7)}
    assert [one.name for one in found.options] == ["light: night", "light: dawn"]
    assert found.findings == ()


def test_a_checkpoint_that_does_not_suit_is_named():
    found = hit_report(*showcase(("a", "dawn", 19, 1), ("b", "dawn", 3, 17)))
    assert found.findings == (
        "The checkpoint b does not suit your LoRA: 3 of 20 pictures are usable, 19 of 20 with the "
        "others.",
    )


def test_few_pictures_say_nothing_of_a_checkpoint():
    assert hit_report(*showcase(("a", "dawn", 19, 1), ("b", "dawn", 0, 4))).findings == ()
    assert hit_report(*showcase(("a", "dawn", 17, 3), ("b", "dawn", 14, 6))).findings == ()


def test_an_option_that_fails_is_named():
    found = hit_report(*showcase(("a", "dawn", 18, 0), ("a", "night", 1, 8)))
    assert found.findings == (
        'The option "light: night" fails: 1 of 9 pictures are usable, 18 of 18 without it.',
    )


def test_all_alike_blames_no_checkpoint():
    found = hit_report(*showcase(("a", "dawn", 4, 16), ("b", "dawn", 3, 17)))
    assert len(found.findings) == 1
    assert "on every checkpoint: check" in found.findings[0]


def test_a_larger_version_speaks_for_its_small_one():
    album, _ = showcase(("a", "dawn", 2, 0))
    album.append(ShowPicture("large.png", 1, "a", "p", upscaled_from="0.png"))
    found = hit_report(album, {"large.png": Rating.DROP, "1.png": Rating.SHOWCASE})
    assert (found.total.usable, found.total.rated) == (1, 2)
    both = hit_report(album, {"large.png": Rating.DROP, "0.png": Rating.SHOWCASE})
    assert (both.total.usable, both.total.rated) == (1, 1)


def test_the_report_is_plain_values_and_tables():
    found = hit_report(*showcase(("a", "dawn", 19, 1), ("b", "dawn", 3, 17)))
    data = json.loads(json.dumps(found.as_dict()))
    assert data["checkpoints"][1]["verdict"] == "less than 80 %"
    first, checkpoints, *_ = found.tables()
    assert first["isAlarm"]
    assert checkpoints["rows"][0] == ["a", "19 of 20", "95%", "76% to 99%", "good so far"]
    empty = hit_report([], {}).tables()
    assert empty == ({**empty[0], "rows": [], "said": "Nothing is rated yet.", "isAlarm": False},)
