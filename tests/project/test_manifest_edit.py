"""Single values of a manifest, changed in its text."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from kohya_ext.project import InputError, MachineError, Project, apply_init, plan_init
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.manifest_edit import edit_manifest, edit_text
from kohya_ext.project.yaml_reader import quick_loader

CONSENT = {"name": "Ida Brook", "date": "2026-03-04", "scope": "training, pictures"}


def test_a_new_manifest_keeps_its_comments(project: Project):
    before = project.manifest_path.read_text(encoding="utf-8").splitlines()
    changed = edit_manifest(project, {("training", "max_train_epochs"): 14})
    after = changed.manifest_path.read_text(encoding="utf-8").splitlines()
    assert changed.manifest.training.max_train_epochs == 14
    assert [line for line in after if line not in before] == ["  max_train_epochs: 14"]
    assert len(after) == len(before)


def test_a_comment_behind_the_value_stays(project: Project):
    edit_manifest(project, {("base_model", "path"): '/models/it\'s a "model".safetensors'})
    text = project.manifest_path.read_text(encoding="utf-8")
    assert "# the checkpoint file to train on" in text


def test_consent_is_added_and_taken_out(tmp_path: Path):
    project = apply_init(plan_init(tmp_path / "ida", "Idabrook", SubjectKind.PERSON))
    before = project.manifest_path.read_text(encoding="utf-8")
    given = edit_manifest(project, {("subject", "consent"): CONSENT})
    assert given.manifest.subject.consent is not None
    assert given.manifest.subject.consent.name == "Ida Brook"
    gone = edit_manifest(given, {("subject", "consent"): None})
    assert gone.manifest.subject.consent is None
    assert gone.manifest_path.read_text(encoding="utf-8") == before


def test_a_group_that_is_not_there_is_made(project: Project):
    project.manifest_path.write_text("trigger_word: Quillfox", encoding="utf-8")
    changed = edit_manifest(project, {("dataset", "repeats", "primary"): 7})
    assert changed.manifest.dataset.repeats.primary == 7
    again = edit_manifest(changed, {("training", "overrides", "network_dim"): 16})
    assert again.manifest.training.overrides == {"network_dim": 16}
    assert again.manifest.dataset.repeats.primary == 7


def test_lists_of_tags_change(project: Project):
    edit_manifest(project, {("captions", "undesired_tags"): ["red hair", "o'clock", "1:1"]})
    changed = edit_manifest(project, {("captions", "undesired_tags"): ["solo"]})
    assert changed.manifest.captions.undesired_tags == ("solo",)


FORMS = {
    "block": "trigger_word: F\ntraining:\n  preset: a # x\n  seed: 3\ngrid: {}\n",
    "flow": "{trigger_word: F, training: {preset: a, seed: 3}}",
    "flow with comma": "trigger_word: F\ntraining: {preset: a, seed: 3,}\n",
    "null group": "trigger_word: F\ntraining:\ngrid:\n  prompt: x\n",
    "null value": "trigger_word: F\ntraining:\n  preset:\n  seed:\n",
    "windows": "trigger_word: F\r\ntraining:\r\n  preset: a\r\n# end\r\n",
    "no last line end": "trigger_word: F\ntraining:\n  seed: 3",
    "block text": "trigger_word: F\ngrid:\n  prompt: >-\n    a\n    b\n# c\n",
    "block list": "trigger_word: F\ntraining:\n  sample_prompts:\n  - a\n  - b\n  # c\n  seed: 1\n",
    "many lines": 'trigger_word: F\ntraining:\n  preset: "a\n    b"\n  seed: 1\n',
    "long list": "trigger_word: F\ncaptions:\n  undesired_tags: [a,\n    b]\n  model: m\n",
    "document marks": "---\ntrigger_word: F\ntraining:\n  seed: 1\n",
}
CHANGES: dict[tuple[str, ...], Any] = {
    ("training", "seed"): 77,
    ("training", "preset"): "sd15-lora-32",
    ("training", "sample_prompts"): ["one, two", "three # four"],
    ("captions", "undesired_tags"): ["x", 'y"z', "à\\b"],
    ("grid", "prompt"): "{lora} photo",
    ("training", "overrides"): {"network_dim": 8, "save_state": True},
}


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("place", list(CHANGES), ids=".".join)
def test_any_form_says_what_was_set(form: str, place: tuple[str, ...]):
    text = FORMS[form]
    edited = edit_text(text, {place: CHANGES[place]})
    found = yaml.safe_load(edited)
    assert found[place[0]][place[1]] == CHANGES[place]
    for comment in ("# x", "# c", "# end"):
        assert (comment in edited) == (comment in text)
    removed = yaml.safe_load(edit_text(edited, {place: None}))
    expected = yaml.safe_load(text)
    (expected.get(place[0]) or {}).pop(place[1], None)
    without = {key: value for key, value in removed.items() if value}
    assert without == {key: value for key, value in expected.items() if value}


def test_random_changes_one_after_the_other_hold(project: Project):
    dice = random.Random(5)
    text = project.manifest_path.read_text(encoding="utf-8")
    held: dict[tuple[str, ...], Any] = {}
    for _ in range(150):
        place = dice.choice(list(CHANGES))
        held[place] = None if dice.random() < 0.3 else CHANGES[place]
        text = edit_text(text, {place: held[place]})
        data = yaml.load(text, quick_loader())
        for (group, key), value in held.items():
            assert (data.get(group) or {}).get(key) == value
    assert "# the checkpoint file to train on" in text


@pytest.mark.parametrize(
    "text",
    [
        "trigger_word: F\nbase_model: &m {path: a}\ntraining: *m\n",
        "trigger_word: F\ntraining:\n  seed: &s 3\ngrid:\n  seeds: [*s]\n",
    ],
    ids=["alias", "anchor"],
)
def test_unusual_forms_are_left_alone(text: str):
    with pytest.raises(InputError, match=r"training\.seed is written in .*\[LL240\]"):
        edit_text(text, {("training", "seed"): 5})


def test_impossible_values_are_not_written(project: Project):
    before = project.manifest_path.read_bytes()
    with pytest.raises(InputError, match=r"\[LL102\]"):
        edit_manifest(project, {("training", "max_train_epochs"): 0})
    assert project.manifest_path.read_bytes() == before


def test_mark_and_line_ends_of_an_editor_stay(project: Project):
    text = "\ufefftrigger_word: Quillfox\r\ntraining:\r\n  seed: 1\r\n"
    project.manifest_path.write_bytes(text.encode("utf-8"))
    edit_manifest(project, {("training", "seed"): 2, ("training", "preset"): "sd15-lora-32"})
    after = project.manifest_path.read_bytes().decode("utf-8")
    assert after == text.replace("seed: 1", "seed: 2") + '  preset: "sd15-lora-32"\r\n'


def test_a_manifest_that_is_gone_is_named(project: Project):
    project.manifest_path.unlink()
    with pytest.raises(MachineError, match=r"\[LL104\]"):
        edit_manifest(project, {("training", "seed"): 2})
