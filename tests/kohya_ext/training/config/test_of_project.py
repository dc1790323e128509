"""From manifest and staged pictures to the files that train a LoRA."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import InputError, Project, ToolError, open_project
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.config.of_project import apply_config, plan_config
from kohya_ext.training.run.job import job_of_project


def change(project: Project, *pairs: tuple[str, str]) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


@pytest.fixture(scope="module")
def first_staged(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied: a dozen pictures take longer to stage than a config to plan."""
    root = shutil.copytree(_first_project, tmp_path_factory.mktemp("staged") / "first")
    project = open_project(root)
    write_pictures(project.source_dir, recipes(12))
    apply_layout(project, plan_layout(project))
    return root


@pytest.fixture
def staged(first_staged: Path, tmp_path: Path) -> Project:
    project = open_project(shutil.copytree(first_staged, tmp_path / "my quillfox"))
    return change(project, ("path: ''", "path: base.safetensors"))


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
    assert plan.advice[-1].startswith("LoCon 8: too small")


@pytest.mark.parametrize("own", ["", "overrides: {training_comment: 'mine, \"狐\"'}"])
def test_a_consent_reaches_the_trainer(staged: Project, own: str):
    """sd-scripts writes training_comment into the header of every file that it saves."""
    consent = 'consent: {name: "Ida Brøok", date: "2026-02-28", scope: "training"}'
    person = change(
        staged,
        ("kind: character", f"kind: person\n  {consent}"),
        ("save_every_n_epochs: 1", own or "save_every_n_epochs: 1"),
    )
    apply_config(person, plan_config(person))
    said = "consent: Ida Brøok agreed on 2026-02-28 to: training"
    comment = f'mine, "狐"; {said}' if own else f"trigger: Quillfox; {said}"
    assert plan_config(person).call.toml["training_comment"] == comment
    assert plan_config(staged).call.toml["training_comment"] == "trigger: Quillfox"


def test_the_whole_prefix_stays_in_front(staged: Project):
    assert plan_config(staged).values["keep_tokens"] == 1
    own = 'prefix: "photo of {trigger}, fur,"\n  first_tags: [solo]'
    longer = change(staged, ('prefix: "photo of {trigger},"', own))
    assert plan_config(longer).call.toml["keep_tokens"] == 3
    by_hand = change(longer, ("save_every_n_epochs: 1", "overrides: {keep_tokens: 2}"))
    assert plan_config(by_hand).values["keep_tokens"] == 2


def test_sample_prompts_become_a_file(staged: Project):
    project = change(staged, ("save_every_n_epochs: 1", "overrides: {sample_prompts: a fox}"))
    plan = plan_config(project)
    apply_config(project, plan)
    assert plan.prompts_path.read_text(encoding="utf-8") == "a fox\n"
    assert plan.call.toml["sample_prompts"] == str(plan.prompts_path)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("path: base.safetensors", "path: ''", "LL307"),
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
        plan_config(change(project, ("path: ''", "path: base.safetensors")))


def test_the_command_writes_and_shows(staged: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["config", str(staged.root), "--dry-run"]) == 0
    assert "max_train_epochs = 10" in capsys.readouterr().out
    assert not staged.config_dir.exists()
    assert main(["config", str(staged.root), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["script"] == "train_network.py"
    assert "different from the GUI" not in err
    assert main(["config", str(staged.root), "-v"]) == 0
    assert "different from the GUI: max_train_steps is left out" in capsys.readouterr().err
    assert "Next: loraloom check" in err


def test_paths_in_the_manifest_count_from_its_folder(staged: Project, tmp_path: Path):
    vae = tmp_path / "a vae.safetensors"
    project = change(
        staged,
        ("family: sd15", f"vae: {json.dumps(str(vae))}\n  family: sd15"),
        ("save_every_n_epochs: 1", "network_weights: ../old.safetensors"),
    )
    toml = plan_config(project).call.toml
    assert toml["pretrained_model_name_or_path"] == str(staged.root / "base.safetensors")
    assert toml["vae"] == str(vae)
    assert toml["network_weights"] == str(staged.root.parent / "old.safetensors")


@pytest.mark.parametrize(
    ("given", "is_name"),
    [("some-org/model-1.0", True), ("models/base.safetensors", False), ("./base", False)],
)
def test_a_name_on_the_hub_stays_one(staged: Project, given: str, is_name: bool):
    toml = plan_config(change(staged, ("base.safetensors", given))).call.toml
    expected = given if is_name else str(staged.root / given)
    assert toml["pretrained_model_name_or_path"] == expected


def test_samples_are_drawn_for_the_trainer(staged: Project):
    lines = '["photo of {trigger}, {red|blue} sky --w 512 --h 768 --d 1", "# later", "a fox"]'
    project = change(
        staged, ("save_every_n_epochs: 1", f"sample_prompts: {lines}\n  sample_every_n_epochs: 2")
    )
    plan = plan_config(project)
    first, second = plan.call.sample_prompts.splitlines()
    assert first in {
        f"photo of Quillfox, {colour} sky --w 512 --h 768 --d 1" for colour in ("red", "blue")
    }
    assert second == "a fox"
    assert plan.call.toml["sample_every_n_epochs"] == 2
    assert plan.values["sample_prompts"] == plan.call.sample_prompts
    assert plan_config(project).call.sample_prompts == plan.call.sample_prompts


def test_slips_in_samples_are_reported_by_config_and_train(staged: Project):
    lines = '["{trigger}, {red, blue} sky --w 512 --n $blurry", "a fox"]'
    project = change(staged, ("save_every_n_epochs: 1", f"sample_prompts: {lines}"))
    reported = [one for one in plan_config(project).advice if one.startswith("sample prompt")]
    assert reported == [
        'sample prompt 1: This variant has one option: "{red, blue} sky". Options are '
        'separated by "|": {red|blue}.',
        "sample prompt 1: This variable has no braces and stays as it is: "
        '"$blurry". Write ${name}.',
    ]
    assert set(reported) <= set(job_of_project(project).notes)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_samples_know_wildcards_behind_links_where_asked(staged: Project):
    for folder in ("wildcards", "elsewhere"):
        (staged.root / folder).mkdir()
    (staged.root / "elsewhere" / "sky.txt").write_text("dawn\n", encoding="utf-8")
    (staged.root / "wildcards" / "far").symlink_to(staged.root / "elsewhere")
    lines = "sample_prompts: [a __far/sky__]"
    project = change(
        staged,
        ("save_every_n_epochs: 1", lines),
        ("\nshowcase:\n", "\nshowcase:\n  wildcards: wildcards\n"),
    )
    with pytest.raises(InputError, match="far/sky"):
        plan_config(project)
    project = change(
        project, ("  wildcards: wildcards\n", "  wildcards: wildcards\n  follow_links: true\n")
    )
    assert plan_config(project).call.sample_prompts == "a dawn"


def test_a_sample_has_no_word_lora(staged: Project):
    project = change(
        staged, ("save_every_n_epochs: 1", 'sample_prompts: ["{lora} photo of {trigger}"]')
    )
    assert plan_config(project).call.sample_prompts == "photo of Quillfox"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a {red|blue", "never closed"),
        ("a __nothing__ fox", "nothing"),
        ("a fox --d -1", "--d must be a seed of 0 or more"),
        ("a fox --w big", "--w must be a width"),
        ("a fox --q 3", "--q is not a setting of sd-scripts"),
        ("--w 512", "settings but no prompt"),
    ],
)
def test_a_sample_that_the_trainer_would_misread(staged: Project, line: str, words: str):
    project = change(staged, ("save_every_n_epochs: 1", f"sample_prompts: ['{line}']"))
    with pytest.raises(ToolError, match=rf"(?s)Sample prompt 1.*{words}.*LL312"):
        plan_config(project)


def test_the_loss_goes_to_wandb(staged: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    project = change(staged, ("save_every_n_epochs: 1", "log_with: wandb"))
    plan = plan_config(project)
    assert plan.call.toml["log_with"] == "wandb"
    assert plan.call.toml["logging_dir"] == str(staged.log_dir)
    assert "WANDB_API_KEY is not set" in plan.advice[1]
    monkeypatch.setenv("WANDB_API_KEY", "hush")
    again = plan_config(project)
    assert "wandb" not in " ".join(again.advice)
    assert "hush" not in json.dumps(again.values) + again.toml + str(again.call)


@pytest.mark.parametrize(
    "override", ["wandb_api_key: hush", 'additional_parameters: "--huggingface_token=hush"']
)
def test_a_secret_in_the_manifest_is_refused(staged: Project, override: str):
    project = change(staged, ("save_every_n_epochs: 1", f"overrides: {{{override}}}"))
    with pytest.raises(ToolError, match=r"contains a secret.*LL310") as refused:
        plan_config(project)
    assert "hush" not in str(refused.value)


def test_flux_names_its_four_files(staged: Project):
    project = change(staged, ("family: sd15", "family: flux"))
    with pytest.raises(ToolError, match=r"clip_l, t5xxl is not given.*LL307"):
        plan_config(project)
    files = "{ae: ae.sft, clip_l: c.sft, t5xxl: t.sft}"
    whole = change(project, ("save_every_n_epochs: 1", f"overrides: {files}"))
    plan = plan_config(whole)
    assert plan.call.script == "flux_train_network"
    assert plan.call.toml["ae"] == str(staged.root / "ae.sft")
    old = change(whole, ("overrides:", "kohya_version: v24\n  overrides:"))
    with pytest.raises(ToolError, match=r"ae is not a field of the Kohya GUI v24.*LL308"):
        plan_config(old)


def test_a_gui_that_does_not_train_the_family(staged: Project):
    project = change(
        staged,
        ("family: sd15", "family: sd3"),
        ("save_every_n_epochs: 1", "kohya_version: v24"),
    )
    with pytest.raises(ToolError, match=r"v24 does not train sd3.*LL302"):
        plan_config(project)


def test_the_dataset_toml_says_the_same(staged: Project):
    plan = plan_config(staged)
    apply_config(staged, plan)
    text = plan.dataset_path.read_text(encoding="utf-8")
    assert text.count("[[datasets.subsets]]") == 2
    assert "resolution = [512, 512]" in text
    if sys.version_info >= (3, 11):
        import tomllib

        data = tomllib.loads(text)
        subsets = data["datasets"][0]["subsets"]
        assert {one["num_repeats"] for one in subsets} == {2, 5}
        assert {one["class_tokens"] for one in subsets} == {"Quillfox"}
        assert data["general"]["keep_tokens"] == 1
        assert data["datasets"][0]["batch_size"] == 2


def test_presets_are_explained(capsys: pytest.CaptureFixture[str]):
    assert main(["presets"]) == 0
    assert "sd15-locon-24: SD 1.5 LoCon, 24 dim" in capsys.readouterr().out
    assert main(["presets", "sd15-locon-24"]) == 0
    assert "network_dim = 24: served well" in capsys.readouterr().out
    assert main(["presets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sdxl-lora-12gb"]["family"] == "sdxl"
    assert main(["presets", "nonsense"]) == 2
    capsys.readouterr()
    assert main(["presets", "flux-lora-12gb", "--for", "style"]) == 0
    out = capsys.readouterr().out
    assert "flip_aug = true: a style has no left and right" in out
    assert "memory, 12 GB: with 16 blocks swapped" in out


def test_paths_survive_spaces_and_other_scripts(staged: Project, tmp_path: Path):
    target = tmp_path / "狐 und Fuchs"
    staged.root.rename(target)
    project = open_project(target)
    plan = plan_config(project)
    apply_config(project, plan)
    assert "狐 und Fuchs" in plan.toml_path.read_text(encoding="utf-8")


def test_pictures_are_kept_back_for_validation(staged: Project):
    text = staged.manifest_path.read_text(encoding="utf-8")
    text = text.replace("training:\n", "training:\n  validation_split: 0.25\n", 1)
    staged.manifest_path.write_text(text, encoding="utf-8")
    plan = plan_config(open_project(staged.root))
    assert plan.call.toml["validation_split"] == 0.25
    assert plan.call.toml["validation_seed"] >= 1
    assert plan.call.toml["validate_every_n_epochs"] == 1
    assert "--validation_split=0.25" in plan.values["additional_parameters"]
