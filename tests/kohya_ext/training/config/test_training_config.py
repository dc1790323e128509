"""One training in the field's terms, and the Kohya GUI's values, both ways."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from kohya_ext.project.families import FLAGS, Family, trained
from kohya_ext.training.config.kohya_json import (
    GuiVersion,
    complete,
    default_values,
    read_kohya_json,
)
from kohya_ext.training.config.training_config import TrainingConfig

RECORDED = Path(__file__).resolve().parents[3] / "recorded"
V26 = GuiVersion.V26


def prints() -> list[tuple[GuiVersion, dict[str, object]]]:
    return [
        (GuiVersion(path.stem), complete(row["values"], GuiVersion(path.stem)))
        for path in sorted((RECORDED / "kohya-prints").glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["answers"]
    ]


@pytest.mark.parametrize("path", sorted((RECORDED / "kohya-commands").glob("?.json")), ids=str)
def test_reading_and_writing_is_the_identity(path: Path):
    values = dict(read_kohya_json(path, V26).values)
    config = TrainingConfig.of_kohya(values)
    written = config.as_kohya(V26)
    written.pop("save_as_bool")
    assert written == values
    assert TrainingConfig.of_kohya(written) == config


def test_every_family_passes_through():
    seen = set()
    for version, values in prints():
        full = complete(values, version)
        config = TrainingConfig.of_kohya({**default_values(V26), **full})
        again = config.as_kohya(version)
        assert again == full
        assert config.fits(version)
        seen.add(config.family)
    assert seen >= {Family.FLUX, Family.ANIMA, Family.LUMINA, Family.HUNYUAN_IMAGE, Family.SDXL}


@pytest.mark.parametrize("family", trained(), ids=lambda one: one.value)
def test_a_family_sets_its_own_box_only(family: Family):
    values = default_values(V26) | ({FLAGS[family]: True} if family in FLAGS else {})
    values |= dict(family.facts.training.fixed if family.facts.training else ())
    config = TrainingConfig.of_kohya(values)
    assert config.family is family
    boxes = [flag for flag in dict.fromkeys(FLAGS.values()) if config.as_kohya(V26)[flag]]
    assert boxes == ([FLAGS[family]] if family in FLAGS else [])


def test_two_boxes_at_once_stay_as_they_were():
    values = default_values(V26) | {"sdxl": True, "flux1_checkbox": True}
    config = TrainingConfig.of_kohya(values)
    assert config.family is Family.SDXL
    assert config.as_kohya(V26)["flux1_checkbox"] is True


def test_it_is_frozen_and_says_what_is_trained():
    config = TrainingConfig.of_kohya(default_values(V26))
    with pytest.raises(FrozenInstanceError):
        config.seed = 1
    assert config.with_values({"text_encoder_lr": 0}).trains_text_encoder is False
    assert config.with_values({"LoRA_type": "LyCORIS/LoHa"}).lora_type == "LyCORIS/LoHa"
    assert dict(config.with_values({"epoch": 9}).more)["epoch"] == 9


def test_old_guis_lack_some_families():
    flux = TrainingConfig.of_kohya({**default_values(V26), "flux1_checkbox": True})
    assert flux.fits(GuiVersion.V25)
    assert not flux.fits(GuiVersion.V24)
