"""Presets: every value has its reason, fits the GUI and is taken by the trainer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kohya_ext.project import ToolError
from kohya_ext.project.families import Family, trained
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.training.config.arguments import plan_call, require_valid_call
from kohya_ext.training.config.gui_emulation import gui_refusals
from kohya_ext.training.config.gui_fields import fields_of_family
from kohya_ext.training.config.kohya_json import GuiVersion, complete, find_problems, keys_of
from kohya_ext.training.config.presets import (
    preset_values,
    presets,
    require_preset,
    values_for,
)

NAMES = [one.name for one in presets()]
TRIPLES = [
    pytest.param(preset, kind, version, id=f"{preset.name}-{kind.value}-{version.value}")
    for preset in presets()
    for kind in SubjectKind
    for version in GuiVersion
]


def values_of(preset: Any, kind: SubjectKind, version: GuiVersion) -> dict[str, Any]:
    chosen = {"output_dir": "out", "train_data_dir": "train", "max_train_epochs": 4}
    known = keys_of(version)
    family = fields_of_family(preset.family, version)
    if family is None:
        pytest.skip(f"{version.value} trains no {preset.family.value}")
    own = {**preset_values(preset, kind), **chosen, "max_train_steps": 0}
    values = own | family
    return complete({key: value for key, value in values.items() if key in known}, version)


def test_the_asked_ones_are_there():
    asked = (
        "sd15-locon-24 sd15-lora-32 sdxl-lora-8gb sdxl-lora-12gb sdxl-lora-16gb sdxl-lora-24gb "
        "flux-lora-12gb flux-lora-24gb"
    )
    assert set(asked.split()) <= set(NAMES)


@pytest.mark.parametrize(("preset", "kind", "version"), TRIPLES)
def test_a_preset_fits_gui_and_trainer(preset: Any, kind: SubjectKind, version: GuiVersion):
    values = values_of(preset, kind, version)
    assert find_problems(values, version) == ()
    assert gui_refusals(values, version) == ()
    call = plan_call(values, version, 10)
    require_valid_call(call)
    if call.toml.get("cache_text_encoder_outputs"):  # sd-scripts stops otherwise
        assert not {"shuffle_caption", "caption_dropout_rate"} & set(call.toml)
        assert call.toml["network_train_unet_only"]
    if call.toml.get("cache_latents"):
        assert not {"random_crop", "color_aug"} & set(call.toml)


@pytest.mark.parametrize("preset", presets(), ids=NAMES)
@pytest.mark.parametrize("kind", list(SubjectKind), ids=lambda kind: kind.value)
def test_every_value_has_a_reason(preset: Any, kind: SubjectKind):
    rows = list(values_for(preset, kind))
    assert len({row.key for row in rows}) == len(rows)
    assert all(len(row.reason) > 8 for row in rows)


@pytest.mark.parametrize("preset", presets(), ids=NAMES)
def test_memory_is_said_only_with_its_source(preset: Any):
    assert all(row.source for row in preset.memory)
    reasons = " ".join(row.reason for row in preset.values)
    assert not re.search(r"fits|\d GB", reasons.replace("below 24 GB", ""))


def test_kinds_of_subjects_differ():
    preset = require_preset("sd15-locon-24", Family.SD15)
    character, style = (preset_values(preset, SubjectKind(one)) for one in ("character", "style"))
    assert character["text_encoder_lr"] == 2 * style["text_encoder_lr"] == 0.00005
    assert (character["flip_aug"], style["flip_aug"]) == (False, True)


@pytest.mark.parametrize("family", trained(), ids=lambda one: one.value)
def test_a_family_has_its_usual_preset(family: Family):
    assert require_preset("", family).family is family


def test_a_family_that_only_others_train_has_no_preset():
    with pytest.raises(ToolError, match=r"sd-scripts does not train Qwen-Image.*LL306"):
        require_preset("", Family.QWEN_IMAGE)


def test_a_preset_of_another_family():
    with pytest.raises(ToolError, match=r"is for sdxl; the base .* sd15.*sd15-locon-24.*LL306"):
        require_preset("sdxl-lora-12gb", Family.SD15)
