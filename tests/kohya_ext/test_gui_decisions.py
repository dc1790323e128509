"""What the tab offers and decides, without gradio: models, taggers, fields, losses."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from second_format import write_logits_model

from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.gui import decisions, workflow_markup
from kohya_ext.gui.fields import FIELDS, Section, keep, shown_values, unkept
from kohya_ext.gui.live import LiveTrainings, LiveView, thinned
from kohya_ext.gui.places import (
    PARENT,
    find_models,
    find_taggers,
    hub_cache,
    list_folder,
    look_at_model,
    tagger_label,
)
from kohya_ext.gui.workflow import read_workflow
from kohya_ext.project import (
    InputError,
    MissingError,
    Project,
    ToolError,
    open_project,
    write_setting,
)
from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.project.manifest_edit import edit_manifest
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training.queue import QueueEntry, QueueState
from kohya_ext.training.run.events import SampleSaved


@pytest.fixture
def kohya(tmp_path: Path) -> Path:
    """A Kohya GUI's folder with two models and a tagger that its own tab fetched."""
    root = tmp_path / "kohya_ss"
    write_base_model(root / "models" / "sub" / "base.safetensors")
    (root / "models" / "old.ckpt").write_bytes(b"pickle")
    (root / "models" / "notes.txt").write_text("none", encoding="utf-8")
    write_tagger_model(root / "wd14_tagger_model" / "SmilingWolf_wd-vit-tagger-v3")
    return root


def test_models_of_the_gui_are_offered_with_their_family(kohya: Path, tmp_path: Path):
    extra = tmp_path / "elsewhere"
    write_base_model(extra / "mine.safetensors")
    (kohya / "config.toml").write_text(f'[model]\nmodels_dir = "{extra.as_posix()}"\n', "utf-8")
    found = {one.path.name: one.label for one in find_models(kohya)}
    assert found["base.safetensors"] == "base.safetensors (SD 1.5)"
    assert found["old.ckpt"] == "old.ckpt (its kind cannot be read)"
    assert "mine.safetensors" in found
    assert "notes.txt" not in found


def test_models_of_a_webui_are_offered(tmp_path: Path):
    write_base_model(tmp_path / "webui" / "models" / "Stable-diffusion" / "b.safetensors")
    write_setting("webui_folder", str(tmp_path / "webui"))
    (kohya_broken := tmp_path / "kohya").mkdir()
    (kohya_broken / "config.toml").write_text("no toml [", encoding="utf-8")
    assert [one.path.name for one in find_models(kohya_broken)] == ["b.safetensors"]
    assert [one.path.name for one in find_models(None)] == ["b.safetensors"]


def test_a_lora_is_not_a_base_model(project: Project, tmp_path: Path):
    lora = tmp_path / "some lora.safetensors"
    tensor = Tensor("F32", (4, 768), b"\0" * (4 * 768 * 4))
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
    write_lora(lora, {name: tensor}, {})
    assert look_at_model(lora).what.endswith("not a base model")
    keep_base = decisions.keeping(Section.BASE)
    with pytest.raises(InputError, match=r"is a LoRA, not a base model.*\[LL241\]"):
        keep_base(project, {"base_path": str(lora)})
    with pytest.raises(InputError, match=r"is not a file.*\[LL241\]"):
        keep_base(project, {"base_path": str(tmp_path / "none.safetensors")})
    with pytest.raises(InputError, match=r"is not a file.*\[LL241\]"):
        keep_base(project, {"base_path": str(tmp_path / "no" / "such-model")})
    with pytest.raises(InputError, match=r"\[LL708\]"):
        keep_base(project, {"base_path": " "})


def test_the_detected_family_takes_precedence_over_the_box(project: Project, tmp_path: Path):
    base = write_base_model(tmp_path / "base.safetensors")
    typed = {"base_path": str(base), "base_family": "SDXL"}
    assert "SD 1.5, detected" in decisions.keeping(Section.BASE)(project, typed)
    assert open_project(project.root).manifest.base_model.family.value == "sd15"
    ckpt = tmp_path / "old.ckpt"
    ckpt.write_bytes(b"pickle")
    said = decisions.keeping(Section.BASE)(project, {**typed, "base_path": str(ckpt)})
    assert "as chosen (its family could not be detected)" in said
    assert open_project(project.root).manifest.base_model.family.value == "sdxl"
    hub = {"base_path": "org/some-model-v1.5", "base_family": "SD 1.5"}
    assert "as chosen (its family" in decisions.keeping(Section.BASE)(project, hub)


def test_a_preset_of_another_family_goes_with_it(project: Project, tmp_path: Path):
    base = write_base_model(tmp_path / "base.safetensors")
    sdxl = keep(project, Section.BASE, {"base_family": "SDXL"})
    names = keep(sdxl, Section.PRESET, {"preset": "sdxl-lora-32"})
    assert names.manifest.training.preset == "sdxl-lora-32"
    decisions.keeping(Section.BASE)(names, {"base_path": str(base)})
    assert open_project(project.root).manifest.training.preset == ""


def test_taggers_are_found_where_the_gui_keeps_them(kohya: Path, tmp_path: Path):
    cache = tmp_path / "hub"
    snapshot = cache / "models--SmilingWolf--wd-swinv2-tagger-v3" / "snapshots" / "abc"
    write_tagger_model(snapshot)
    (cache / "models--some--text-model" / "snapshots" / "x").mkdir(parents=True)
    remembered = write_tagger_model(tmp_path / "my tagger")
    write_setting("tagger_model", str(remembered))
    found = [tagger_label(one) for one in find_taggers(kohya, cache)]
    assert found == ["my tagger", "SmilingWolf_wd-vit-tagger-v3", "SmilingWolf/wd-swinv2-tagger-v3"]
    assert [tagger_label(one) for one in find_taggers(None, tmp_path / "none")] == ["my tagger"]


def test_the_hubs_own_folder_is_where_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert hub_cache().parts[-2:] == ("huggingface", "hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub_cache() == tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "own"))
    assert hub_cache() == tmp_path / "own"


def test_a_folder_list_leads_up_and_down(tmp_path: Path, project: Project):
    pictures = tmp_path / "a b"
    pictures.mkdir()
    for name in ("1.png", "2.jpg", "notes.txt"):
        (pictures / name).write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "m.safetensors").write_bytes(b"")
    labels = [one.label for one in list_folder(str(tmp_path), (".safetensors",)).entries]
    assert labels[0] == PARENT
    assert "a b/  (2 pictures)" in labels
    assert f"{project.root.name}/  (LoRA project)" in labels
    assert "m.safetensors" in labels
    assert not any("hidden" in one for one in labels)
    assert list_folder(str(pictures / "gone" / "away")).folder == pictures
    assert list_folder(None).folder == Path.home()
    assert list_folder("/").entries[0].label != PARENT


def test_shown_values_are_what_is_kept(project: Project):
    shown = shown_values(project.manifest)
    assert set(shown) == {one.name for one in FIELDS}
    assert unkept(project, shown) == ()
    for section in Section:
        if section is not Section.CONSENT:
            before = project.manifest_path.read_bytes()
            keep(project, section, shown)
            assert project.manifest_path.read_bytes() == before


def test_fields_that_were_not_on_the_screen_change_nothing(project: Project):
    changed = keep(project, Section.LENGTH, {"epochs": 6, "seed": None, "validation_split": None})
    assert changed.manifest.training.max_train_epochs == 6
    seeded = keep(changed, Section.LENGTH, {"seed": 5, "validation_split": 0.2, "epochs": 6})
    assert seeded.manifest.training.validation_split == 0.2
    again = keep(seeded, Section.LENGTH, {"epochs": 7, "seed": None})
    assert again.manifest.training.seed == 5


@pytest.mark.parametrize(
    ("typed", "said"),
    [({"epochs": None}, "is empty"), ({"epochs": 1.5}, "is 1.5"), ({"epochs": 0}, r"\[LL102\]")],
)
def test_impossible_numbers_are_not_kept(project: Project, typed: dict, said: str):
    before = project.manifest_path.read_bytes()
    with pytest.raises(InputError, match=said):
        keep(project, Section.LENGTH, typed)
    assert project.manifest_path.read_bytes() == before


def test_an_emptied_batch_size_is_the_presets_again(project: Project):
    kept = keep(project, Section.LENGTH, {"epochs": 10, "batch": 3})
    assert kept.manifest.training.train_batch_size == 3
    assert keep(kept, Section.LENGTH, {"batch": None}).manifest.training.train_batch_size is None


def test_a_box_that_only_had_the_focus_is_empty(project: Project):
    project = edit_manifest(project, {("dataset", "repeats"): None})
    typed = shown_values(project.manifest) | dict.fromkeys(
        ("repeats_primary", "repeats_supporting", "batch", "seed"), 0
    )
    assert unkept(project, typed) == ()
    assert keep(project, Section.PICTURES, typed).manifest.dataset.repeats is None
    assert keep(project, Section.LENGTH, typed).manifest.training.train_batch_size is None


def test_consent_names_somebody_and_something(project: Project):
    full = {"consent_name": "Ida", "consent_date": "2026-01-31", "consent_scope": ["training"]}
    for day in ("2026-02-30", "20260131", "2026-W05-6", "2027-02-29", "2999-01-01", ""):
        with pytest.raises(InputError, match=r'"Date, as.*LL244'):
            keep(project, Section.CONSENT, {**full, "consent_date": day})
    for key in ("consent_name", "consent_scope"):
        with pytest.raises(InputError, match=r"\[LL244\]"):
            keep(project, Section.CONSENT, {**full, key: ""})
    uses = ["adult pictures", "training"]
    wide = keep(project, Section.CONSENT, {**full, "consent_scope": uses})
    assert shown_values(wide.manifest)["consent_scope"] == ["training", "adult pictures"]
    kept = keep(project, Section.CONSENT, {**full, "consent_evidence": "letter.pdf"})
    assert kept.manifest.subject.consent is not None
    assert kept.manifest.subject.consent.evidence == "letter.pdf"


def test_the_balance_says_what_it_makes_of_the_roles(project: Project, tmp_path: Path):
    keep_balance = decisions.keeping(Section.PICTURES)
    nothing = {"repeats_primary": None, "repeats_supporting": None}
    assert "Saved. Press Stage" in keep_balance(project, {"influence": 3, **nothing})
    for role, count in (("primary", 3), ("supporting", 8)):
        folder = tmp_path / "collected" / role
        folder.mkdir(parents=True)
        for number in range(count):
            colour = (number * 20, count * 9, 90)
            Image.new("RGB", (64, 64), colour).save(folder / f"{number}{role}.png")
    apply_import(project, plan_import(project, tmp_path / "collected"))
    by_influence = keep_balance(project, {"influence": 2.0, **nothing})
    assert "(influence 2)" in by_influence
    by_hand = {"repeats_primary": 7, "repeats_supporting": 2}
    assert "3 primary x 7 = 21, 8 supporting x 2 = 16" in keep_balance(project, by_hand)
    repeats = open_project(project.root).manifest.dataset.repeats
    assert repeats is not None
    assert (repeats.primary, repeats.supporting) == (7, 2)
    with pytest.raises(InputError, match="Only one of the two"):
        keep_balance(project, {"repeats_primary": 7, "repeats_supporting": None})
    keep_balance(open_project(project.root), nothing)
    assert open_project(project.root).manifest.dataset.repeats is None


def test_a_tagger_of_the_second_format_is_offered_and_kept(project: Project, tmp_path: Path):
    folder = write_logits_model(tmp_path / "home" / "second")
    write_setting("tagger_model", str(folder))
    assert folder in find_taggers(None, tmp_path / "none")
    said = decisions.keeping(Section.TAGGER)(project, {"tagger": str(folder)})
    assert "Tagger: second." in said
    assert open_project(project.root).manifest.captions.model == str(folder)
    (folder / "tag_mapping.json").unlink()
    assert folder not in find_taggers(None, tmp_path / "none")
    with pytest.raises(MissingError, match=r"nor model_optimized\.onnx with tag_mapping\.json"):
        decisions.keeping(Section.TAGGER)(project, {"tagger": str(folder)})


def test_a_pasted_path_is_kept_without_its_quotes(project: Project, tmp_path: Path):
    folder = write_logits_model(tmp_path / "my home" / "second")
    typed = {"tagger": f' "{folder}" '}
    assert "Tagger: second." in decisions.keeping(Section.TAGGER)(project, typed)
    kept = open_project(project.root)
    assert kept.manifest.captions.model == str(folder)
    assert unkept(kept, {**shown_values(kept.manifest), **typed}) == ()


def test_a_folder_without_a_tagger_is_named(project: Project, tmp_path: Path):
    with pytest.raises(MissingError, match=r"contains no tagger.*\[LL250\]"):
        decisions.keeping(Section.TAGGER)(project, {"tagger": str(tmp_path)})
    assert "has no tagger" in decisions.keeping(Section.TAGGER)(project, {"tagger": ""})


def test_the_length_is_counted_as_check_counts_it(project: Project, tmp_path: Path):
    said = decisions.keeping(Section.LENGTH)(project, {"epochs": 3})
    assert "not counted yet" in said
    base = write_base_model(tmp_path / "base.safetensors")
    keep(project, Section.BASE, {"base_path": str(base)})
    write_pictures(project.source_dir, recipes(4))
    opened = open_project(project.root)
    apply_layout(opened, plan_layout(opened))
    said = decisions.keeping(Section.LENGTH)(opened, {"epochs": 3})
    assert " steps in 3 epochs of " in said


def test_the_trainer_is_remembered(tmp_path: Path):
    project = SimpleNamespace()
    with pytest.raises(MissingError, match=r"\[LL351\]"):
        decisions.use(project, str(tmp_path))
    simulated = Path(decisions.__file__).parents[1] / "simulator" / "sd_scripts"
    assert "Trainer: " in decisions.use(project, str(simulated))
    assert decisions.trainer_text() == str(simulated)


def test_the_road_names_what_is_next(project: Project, tmp_path: Path):
    workflow = read_workflow(project)
    assert (workflow.following, workflow.done[Section.PROJECT]) == (Section.BASE, True)
    assert Section.CONSENT not in workflow.done
    base = write_base_model(tmp_path / "base.safetensors")
    keep(project, Section.BASE, {"base_path": str(base)})
    workflow = read_workflow(open_project(project.root))
    assert (workflow.following, workflow.advice) == (Section.PICTURES, "press Import")
    shown = workflow_markup.rail(workflow.done, workflow.following)
    assert "4 Pictures" in shown
    assert "(next)" in shown


def test_losses_are_thinned_and_samples_shown(tmp_path: Path):
    losses = {step: 1 / step for step in range(1, 2001)}
    points = thinned(losses, 100)
    assert len(points) == 100
    assert points[-1][0] == 2000
    sample = tmp_path / "fox_e000001.png"
    Image.new("RGB", (512, 512), "green").save(sample)
    view = LiveView(2000, points, ((1000, 0.5), (2000, 0.4)), (sample, tmp_path / "gone.png"))
    shown = workflow_markup.live(view)
    assert "Loss " in shown
    assert "validation 0.4" in shown
    assert shown.count("<img") == 1
    assert workflow_markup.live(LiveView()) == ""


def test_the_queue_speaks_of_buttons():
    failed = QueueEntry(1, "fox", state=QueueState.FAILED, problem="Stop it: loraloom train --stop")
    assert "the button &quot;Stop&quot;" in workflow_markup.queue([failed])


def test_a_live_training_takes_in_what_a_run_tells(tmp_path: Path):
    live = LiveTrainings()
    live.begin(tmp_path)
    follow = SimpleNamespace(step_losses={}, losses={1: 0.5}, validations={}, total_steps=9)
    live.take(tmp_path, SampleSaved("a.png"), follow)  # type: ignore[arg-type]
    view = live.find(tmp_path)
    assert view is not None
    assert (view.losses, view.samples) == (((1, 0.5),), (Path("a.png"),))
    assert live.find(tmp_path / "other") is None


def test_an_existing_config_becomes_the_projects(project: Project, tmp_path: Path):
    base = write_base_model(tmp_path / "base.safetensors")
    given = {
        "pretrained_model_name_or_path": str(base), "LoRA_type": "Standard", "network_dim": 48,
        "network_alpha": 24, "epoch": 7, "max_train_epochs": 7, "train_batch_size": 3,
        "max_resolution": "640,640", "seed": 11, "sample_prompts": "photo of {trigger}\n",
        "sample_every_n_epochs": 2, "unet_lr": 0.0002, "reg_data_dir": "/some/faces",
        "output_name": "other", "wandb_api_key": "secret", "max_train_steps": 500,
    }  # fmt: skip
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(given), encoding="utf-8")
    said = decisions.take_config(project, str(path))
    manifest = open_project(project.root).manifest
    training = manifest.training
    assert manifest.base_model.path == str(base)
    assert (training.max_train_epochs, training.train_batch_size, training.seed) == (7, 3, 11)
    assert (training.resolution, training.sample_prompts) == ("640,640", ("photo of {trigger}",))
    assert training.overrides["network_dim"] == 48
    assert set(training.overrides) <= {*given, "optimizer"}  # which the GUI itself concludes
    assert "wandb_api_key" not in training.overrides
    assert "output_name" not in training.overrides
    assert manifest.output_name == "Quillfox"
    assert "Settings of mine.json (Kohya GUI) are saved." in said
    assert "was not copied" in said
    assert "500 steps" in said


def test_a_config_without_its_model_asks_for_one(project: Project, tmp_path: Path):
    path = tmp_path / "far.toml"
    path.write_text(
        'pretrained_model_name_or_path = "/far/away.safetensors"\n'
        'network_module = "networks.lora"\n'
        "network_dim = 8\nnetwork_alpha = 8\nlearning_rate = 1e-4\nmax_train_epochs = 3\n",
        encoding="utf-8",
    )
    said = decisions.take_config(project, str(path))
    assert "is not on this machine: choose one" in said
    assert open_project(project.root).manifest.base_model.path == ""
    with pytest.raises(ToolError):
        decisions.take_config(project, str(tmp_path / "none.json"))


def test_a_wrong_field_of_kohya_is_named(project: Project):
    with pytest.raises(InputError, match=r'Did you mean "network_dim"'):
        decisions.set_value(project, "network_dimm", "4")
    with pytest.raises(InputError, match=r"\[LL708\]"):
        decisions.set_value(project, None, "4")
    decisions.set_value(project, "cache_latents", "off")
    assert open_project(project.root).manifest.training.overrides == {"cache_latents": False}


def test_columns_that_say_nothing_are_left_out():
    """A phone cut the last column, which had the result."""
    plain = QueueEntry(1, "fox", state=QueueState.DONE, files=2)
    assert "Epochs" not in workflow_markup.queue([plain])
    assert "<td" in workflow_markup.queue([plain])
    longer = QueueEntry(2, "owl", epochs=12)
    shown = workflow_markup.queue([plain, longer])
    assert "Epochs" in shown
    assert ">12<" in shown
