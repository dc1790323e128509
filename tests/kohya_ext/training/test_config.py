"""From manifest and staged pictures to the files that train a LoRA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.manifest import BaseModelFamily, SubjectKind
from kohya_ext.rehearsal.creature import recipes, write_pictures
from kohya_ext.training.arithmetic import (
    BucketRules,
    Shown,
    bucket_sizes,
    choose_bucket,
    plan_steps,
)
from kohya_ext.training.config import apply_config, plan_config
from kohya_ext.training.presets import preset_values, presets, require_preset


def change(project: Project, *pairs: tuple[str, str]) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


@pytest.fixture
def staged(project: Project) -> Project:
    write_pictures(project.source_dir, recipes(12))
    apply_layout(project, plan_layout(project))
    return change(project, ('path: ""', "path: base.safetensors"))


def test_the_files_say_the_same(staged: Project):
    plan = plan_config(staged)
    apply_config(staged, plan)
    values = json.loads(plan.json_path.read_text(encoding="utf-8"))
    toml = plan.toml_path.read_text(encoding="utf-8")
    assert values["train_data_dir"] == str(staged.images_dir)
    assert values["max_train_steps"] == 0
    assert values["epoch"] == values["max_train_epochs"] == 10
    assert "max_train_epochs = 10\n" in toml
    assert 'network_module = "networks.lora"' in toml
    assert len(values) == 288


def test_steps_are_exact(staged: Project):
    plan = plan_config(staged)
    assert plan.steps.steps == plan.steps.steps_per_epoch * 10
    assert plan.steps.steps_per_epoch > plan.steps.draws / 2
    assert plan.steps.epoch_files[-1] == ("Quillfox", 10, plan.steps.steps)
    assert plan.steps.epoch_files[0][0] == "Quillfox-000001"
    assert "steps are few" in plan.advice[0]


def test_overrides_reach_both_files(staged: Project):
    project = change(staged, ("save_every_n_epochs: 1", "overrides: {network_dim: 8, seed: 7}"))
    plan = plan_config(project)
    assert (plan.values["network_dim"], plan.call.toml["seed"]) == (8, 7)
    assert "was found too small" in plan.advice[1]


def test_sample_prompts_become_a_file(staged: Project):
    project = change(staged, ("save_every_n_epochs: 1", "overrides: {sample_prompts: a fox}"))
    plan = plan_config(project)
    apply_config(project, plan)
    assert plan.prompts_path.read_text(encoding="utf-8") == "a fox\n"
    assert plan.call.toml["sample_prompts"] == str(plan.prompts_path)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("path: base.safetensors", 'path: ""', "LL307"),
        ('preset: ""', "preset: nonsense", "LL306"),
        ('preset: ""', "preset: sdxl-lora-12gb", "LL306"),
        ("save_every_n_epochs: 1", "overrides: {network_dims: 8}", "LL308"),
        ("save_every_n_epochs: 1", "overrides: {network_dim: 9999}", "LL302"),
    ],
)
def test_mistakes_are_named(staged: Project, old: str, new: str, code: str):
    with pytest.raises(ToolError, match=code):
        plan_config(change(staged, (old, new)))


def test_nothing_staged(project: Project):
    with pytest.raises(ToolError, match="LL309"):
        plan_config(change(project, ('path: ""', "path: base.safetensors")))


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_every_preset_value_has_a_reason(preset):
    assert all(row.reason for row in preset.values)
    for kind in SubjectKind:
        assert preset_values(preset, kind)["text_encoder_lr"] > 0


def test_a_family_has_its_usual_preset():
    assert require_preset("", BaseModelFamily.SD15).name == "sd15-locon-24"


def test_buckets_keep_the_area():
    sizes = bucket_sizes(BucketRules())
    assert (512, 512) in sizes
    assert all(width * height <= 512 * 512 for width, height in sizes)
    assert choose_bucket((1000, 500), BucketRules(), sizes) == (704, 320)


@pytest.mark.parametrize(
    ("size", "bucket"),
    [((512, 512), (512, 512)), ((500, 300), (448, 256)), ((1600, 800), (640, 320))],
)
def test_without_upscaling_small_pictures_stay_small(size, bucket):
    rules = BucketRules(no_upscale=True)
    assert choose_bucket(size, rules, bucket_sizes(rules)) == bucket


def test_the_recorded_run_needs_18_steps_not_16():
    """16 draws in two buckets of batch 2 over two epochs, as a real run printed."""
    pictures = [Shown(512, 512, 5)] * 3 + [Shown(256, 512, 1)]
    plan = plan_steps(
        pictures, BucketRules(), batch_size=2, epochs=2, save_every_n_epochs=1, output_name="t"
    )
    assert (plan.draws, plan.batches_per_epoch, plan.steps) == (16, 9, 18)
    assert plan.epoch_files == (("t-000001", 1, 9), ("t", 2, 18))


def test_no_epoch_file_without_saving():
    plan = plan_steps(
        [Shown(512, 512, 1)], BucketRules(enabled=False), batch_size=1, epochs=3,
        save_every_n_epochs=0, output_name="t",
    )  # fmt: skip
    assert plan.epoch_files == (("t", 3, 3),)


def test_the_command_writes_and_shows(staged: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["config", str(staged.root), "--dry-run"]) == 0
    assert "max_train_epochs = 10" in capsys.readouterr().out
    assert not staged.config_dir.exists()
    assert main(["config", str(staged.root), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["script"] == "train_network.py"
    assert "unlike the GUI" not in err
    assert main(["config", str(staged.root), "-v"]) == 0
    assert "unlike the GUI: max_train_steps is left out" in capsys.readouterr().err
    assert "Next: loraloom check" in err


def test_presets_are_explained(capsys: pytest.CaptureFixture[str]):
    assert main(["presets"]) == 0
    assert "sd15-locon-24: SD 1.5 LoCon, 24 dim" in capsys.readouterr().out
    assert main(["presets", "sd15-locon-24"]) == 0
    assert "network_dim = 24: served well" in capsys.readouterr().out
    assert main(["presets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sdxl-lora-12gb"]["family"] == "sdxl"
    assert main(["presets", "nonsense"]) == 2


def test_paths_survive_blanks_and_other_scripts(staged: Project, tmp_path: Path):
    target = tmp_path / "狐 und Fuchs"
    staged.root.rename(target)
    project = open_project(target)
    plan = plan_config(project)
    apply_config(project, plan)
    assert "狐 und Fuchs" in plan.toml_path.read_text(encoding="utf-8")
