"""Prompt language in captions is named, unless the trainer is told to read it."""

from __future__ import annotations

from typing import Any

import pytest
from training_desk import Desk

CAPTION = "a fox, (red fur:1.3), {calm|asleep}"
WEIGHT, VARIANT = "(red fur:1.3)", "{calm|asleep}"


def named(desk: Desk) -> list[str]:
    said = [one for one in desk.check().findings if one.code == "LL223"]
    assert all(one.problem.endswith(": d.png.") for one in said)
    return [one.problem.split('"')[1] for one in said]


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({}, [WEIGHT, VARIANT]),
        ({"weighted_captions": False, "enable_wildcard": False}, [WEIGHT, VARIANT]),
        ({"weighted_captions": True}, [VARIANT]),
        ({"enable_wildcard": True}, [WEIGHT]),
        ({"weighted_captions": True, "enable_wildcard": True}, []),
    ],
)
def test_what_the_trainer_reads_is_not_named(desk: Desk, values: dict[str, Any], left: list[str]):
    desk.picture("5_fox/d.png", caption=CAPTION)
    desk.toml |= values
    assert named(desk) == left


@pytest.mark.parametrize("draws", [True, False])
def test_a_dataset_config_may_draw_variants(desk: Desk, draws: bool):
    desk.picture("5_fox/d.png", caption=CAPTION)
    path = desk.images / "data.toml"
    path.write_text(
        f"""[[datasets]]
  [[datasets.subsets]]
  image_dir = '{desk.images / "5_fox"}'
  caption_extension = ".txt"
  enable_wildcard = {str(draws).lower()}
""",
        "utf-8",
    )
    desk.toml["dataset_config"] = str(path)
    assert named(desk) == ([WEIGHT] if draws else [WEIGHT, VARIANT])
