"""A config is known by its form: read as its author meant it, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_forms import BASE, V26, read, refused

from kohya_ext.cli import main
from kohya_ext.project import ToolError
from kohya_ext.training.config.arguments import require_valid_call
from kohya_ext.training.config.conversion import convert
from kohya_ext.training.config.forms import ConfigForm, read_data
from kohya_ext.training.config.toml import format_toml, parse_toml

FLAT = {
    **BASE,
    "network_module": "networks.lora",
    "network_dim": 48,
    "network_alpha": 24,
    "optimizer_type": "Prodigy",
    "learning_rate": 1.0,
    "unet_lr": 1.0,
    "text_encoder_lr": 1.0,
    "max_train_epochs": 7,
    "no_half_vae": True,
    "sdpa": True,
}


def test_names_of_the_trainer_are_taken_as_they_are(tmp_path: Path):
    found = read(tmp_path, {**FLAT, "resolution": "1024,1024"})
    assert found.form is ConfigForm.TRAINER
    assert found.call.script_name == "sdxl_train_network.py"
    assert found.call.toml["optimizer_type"] == "Prodigy"
    assert found.call.toml["resolution"] == "1024,1024"
    assert found.call.toml["no_half_vae"] is True
    assert "lr_scheduler" not in found.call.toml
    require_valid_call(found.call)


@pytest.mark.parametrize("size", ["768,768", [768, 768], 768, 768.0, "768"])
def test_a_resolution_in_any_spelling(tmp_path: Path, size: object):
    found = read(tmp_path, {**FLAT, "resolution": size})
    assert found.call.toml["resolution"] in ("768", "768,768")
    require_valid_call(found.call)


def test_the_json_of_the_gui_trains_the_same(tmp_path: Path):
    more = {"resolution": [1024, 1024], "ip_noise_gamma": 0.1, "zero_terminal_snr": True}
    first = read(tmp_path, {**FLAT, **more})
    assert first.differences == ()
    values = first.config.as_json()
    assert (values["optimizer"], values["max_resolution"]) == ("Prodigy", "1024,1024")
    assert (values["xformers"], values["sdxl_no_half_vae"]) == ("sdpa", True)
    assert values["additional_parameters"] == "--zero_terminal_snr"
    again = read(tmp_path, values)
    assert again.form is ConfigForm.GUI
    expected = {**first.call.toml, "max_data_loader_n_workers": 8}
    assert {key: again.call.toml.get(key) for key in expected} == {
        **expected,
        "text_encoder_lr": [1.0, 1.0],
    }


def test_names_of_the_trainer_in_a_json_of_the_gui(tmp_path: Path):
    data = {**BASE, "LoRA_type": "Standard", "max_resolution": "768,768", "epoch": 3}
    found = read(
        tmp_path,
        {**data, "optimizer_type": "Adafactor", "network_train_unet_only": True, "sdpa": True},
    )
    assert found.form is ConfigForm.GUI
    toml = found.call.toml
    assert (toml["optimizer_type"], toml["network_train_unet_only"]) == ("Adafactor", True)
    assert (toml["sdpa"], "xformers" in toml) == (True, False)
    reported = " ".join(map(str, found.config.repairs))
    assert "optimizer_type is sd-scripts' name for it" in reported
    assert "AdamW" not in reported


def test_the_8_bit_box_of_an_old_gui_is_an_optimizer(tmp_path: Path):
    """sd-scripts refuses the old argument beside an optimizer."""
    found = read(tmp_path, {**BASE, "max_resolution": "512,512", "use_8bit_adam": True})
    assert found.call.toml["optimizer_type"] == "AdamW8bit"
    assert "use_8bit_adam" not in found.call.toml
    assert found.config.values["additional_parameters"] == ""


def test_a_few_settings_are_a_json_of_the_gui(tmp_path: Path):
    data = {**BASE, "optimizer_type": "Prodigy", "learning_rate": 1.0, "resolution": 1024}
    found = read(tmp_path, data)
    assert found.form is ConfigForm.GUI
    toml = found.call.toml
    assert (toml["optimizer_type"], toml["learning_rate"]) == ("Prodigy", 1.0)
    assert (toml["resolution"], toml["network_module"]) == ("1024", "networks.lora")


def test_lists_in_fields_for_texts(tmp_path: Path):
    data = {**BASE, "LoRA_type": "Standard", "flux1_checkbox": False, "xformers": "True"}
    lists = {
        "optimizer_args": ["weight_decay=0.1", "d_coef=2"],
        "additional_parameters": ["--ip_noise_gamma", "0.1"],
        "text_encoder_lr": [0.00005, 0.00002],
    }
    toml = read(tmp_path, {**data, **lists}).call.toml
    assert toml["optimizer_args"] == ["weight_decay=0.1", "d_coef=2"]
    assert (toml["ip_noise_gamma"], toml["xformers"]) == (0.1, True)
    assert toml["text_encoder_lr"] == [0.00005, 0.00002]


def test_a_field_of_the_gui_takes_precedence_over_another_name(tmp_path: Path):
    data = {**BASE, "LoRA_type": "Standard", "optimizer": "Lion", "optimizer_type": "Prodigy"}
    found = read(tmp_path, data)
    assert found.call.toml["optimizer_type"] == "Lion"
    assert "the GUI's field optimizer says otherwise" in " ".join(map(str, found.config.repairs))


def test_unknown_names_are_reported_with_the_nearest(tmp_path: Path):
    for extra in ({}, {"LoRA_type": "Standard", "network_module": None}):
        found = read(tmp_path, {**FLAT, **extra, "netwrok_dropout": 0.1})
        assert any(
            "netwrok_dropout is left out" in one and '"network_dropout"' in one
            for one in found.notes
        )


def test_sections_of_a_json_are_read(tmp_path: Path):
    found = read(
        tmp_path,
        {
            "general": {"seed": 47, "shuffle_caption": True},
            "model": {"pretrained_model_name_or_path": "/m/fox_xl.safetensors"},
            "training": {"resolution": "1024,1024", "network_dim": 64, "max_train_steps": 600},
            "folders": {"train_data_dir": "/data/fox", "output_dir": "/data/out"},
        },
    )
    expected = {"seed": 47, "network_dim": 64, "max_train_steps": 600, "resolution": "1024,1024"}
    assert found.call.toml.items() >= expected.items()
    assert any("network_module is networks.lora" in one for one in found.notes)
    assert any("no learning rate is given" in one for one in found.notes)


@pytest.mark.parametrize(
    ("data", "name", "word"),
    [
        ({"foo": 1}, "x.json", '"foo"'),
        ({}, "x.json", "contains nothing: no setting"),
        ({"job": "extension", "config": {"name": "fox", "process": []}}, "x.json", "ai-toolkit"),
        ({"job": "extension", "config": {"name": "fox", "process": []}}, "x.yaml", "ai-toolkit"),
        ({"training_method": "LORA", "base_model_name": "x", "lora_rank": 8}, "x.json",
         "OneTrainer"),
        ('network_module = "networks.lora_wan"\ndit = "x"\n', "x.toml", "musubi-tuner"),
        ('[[datasets]]\nimage_directory = "x"\n', "x.toml", "musubi-tuner"),
        ({"instance_data_dir": "x", "rank": 4, "learning_rate": 1}, "x.json", "diffusers"),
        ({"_diffusers_version": "0.30", "_class_name": "UNet"}, "x.json", "diffusers"),
        ('[model]\ntype = "wan"\n[adapter]\ntype = "lora"\nrank = 8\n', "x.toml", "diffusion-pipe"),
        ({"model_family": "sdxl", "lora_rank": 8, "learning_rate": 1}, "x.json", "SimpleTuner"),
        ({"model_family": "sdxl", "lora_type": "lycoris", "learning_rate": 1}, "x.json",
         "SimpleTuner"),
        ('network_module = "musubi_tuner.networks.lora"\nnetwork_dim = 8\n', "x.toml",
         "musubi-tuner"),
        ('resolutions = [512]\nenable_ar_bucket = true\n[[directory]]\npath = "x"\n', "x.toml",
         "diffusion-pipe"),
        ('epochs = 3\npipeline_stages = 1\n[model]\ntype = "wan"\n', "x.toml", "diffusion-pipe"),
        ({"learning_rate": 1, "no_token_padding": False, "train_batch_size": 1}, "x.json",
         "the Kohya GUI's Dreambooth tab"),
        ({"learning_rate": 1, "learning_rate_te1": 1, "max_resolution": "512,512"}, "x.json",
         "the Kohya GUI's Dreambooth tab"),
        ({"learning_rate": 1, "create_buckets": True, "max_resolution": "512,512"}, "x.json",
         "the Kohya GUI's Finetuning tab"),
        ({"learning_rate": 1, "token_string": "fox", "max_resolution": "512,512"}, "x.json",
         "the Kohya GUI's Textual Inversion tab"),
        ({"network_dim": 8, "prompts_file": "x.yaml", "max_denoising_steps": 40}, "x.json",
         "the Kohya GUI's LECO tab"),
        ({"network_dim": 8, "lllite_cond_dim": 32, "output_dir": "x"}, "x.json",
         "the Kohya GUI's Anima LLLite tab"),
        ({"lora_unet_rank": 4, "concepts_list": [], "learning_rate": 1}, "x.json",
         "the WebUI's Dreambooth extension"),
        ({"architectures": ["T5"], "model_type": "t5"}, "x.json", "a model of transformers"),
        ({"model": {"target": "ldm", "params": {"base_learning_rate": 1}}}, "x.yaml",
         "a checkpoint"),
        ({"seed": 1, "resolution": 512, "spin": 1, "torque": 2, "lift": 3}, "x.json",
         'of its 5 settings, 3 are unknown to sd-scripts and to the Kohya GUI, such as "spin"'),
        ({"first": FLAT, "second": {"fox": {**FLAT, "network_dim": 8}}}, "x.json",
         'several configs, such as "first" and "second.fox"'),
        ('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "x"\n', "x.toml", "dataset config"),
        ('learning_rate = 1\noutput_dir = "x"\n', "x.toml", "would not train a LoRA"),
    ],
)  # fmt: skip
def test_what_is_not_ours_is_refused_by_name(tmp_path: Path, data: Any, name: str, word: str):
    if name.endswith(".yaml"):
        data = yaml.safe_dump(data)
    message = refused(tmp_path, data, name)
    assert word in message
    assert "LL313" in message


def test_unknown_settings_beside_a_network_are_only_left_out(tmp_path: Path):
    more = {"spin": 1, "torque": 2, "lift": 3, "drag": 4, "yaw": 5}
    data = {"network_dim": 8, "network_module": "networks.lora", "learning_rate": 1e-4, **more}
    found = read(tmp_path, data)
    assert found.call.toml["network_dim"] == 8
    assert len([one for one in found.notes if "is unknown to sd-scripts" in one]) == 5


def test_a_broken_json_is_named_once(tmp_path: Path):
    message = refused(tmp_path, "{'fox': 1}")
    assert message.count("is not valid JSON") == 1
    assert "line 1 column 2" in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_the_encodings_of_notepad_are_read(tmp_path: Path, encoding: str):
    path = tmp_path / "fox.json"
    path.write_bytes(json.dumps(FLAT).encode(encoding))
    assert convert(path, V26).call.toml["network_dim"] == 48


def test_comments_and_trailing_commas_are_overlooked(tmp_path: Path):
    text = '{ // a note\n "learning_rate": 1e-4, /* more */ "vae": "a//b, ]",\n}'
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    data, notes = read_data(tmp_path / "x.json")
    assert data == {"learning_rate": 1e-4, "vae": "a//b, ]"}
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", "1,5e-4"),
        ("network_dim", 8.5),
        ("cache_latents", "perhaps"),
        ("max_train_epochs", True),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, key: str, value: object):
    message = refused(tmp_path, {**FLAT, key: value})
    assert key in message
    assert "LL314" in message


ODD = [None, True, -1, 1.5, float("nan"), "", "x", [], [1, None], {}, {"args": {"x": 1}}, "\0",
       10**400, [[1]], "C:\\x"]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("form", [{}, {"LoRA_type": "Standard", "network_module": None}])
def test_odd_values_never_crash(tmp_path: Path, form: dict[str, Any], value: object):
    names = (
        "LoRA_type", "optimizer_type", "resolution", "train_batch_size", "seed", "lr_warmup_steps",
        "network_args", "datasets", "text_encoder_lr", "output_dir", "xformers", "epoch",
        "additional_parameters", "gradient_accumulation_steps", "subsets", "general",
    )  # fmt: skip
    for name in names:
        try:
            found = read(tmp_path, {**FLAT, **form, name: value})
        except ToolError:
            continue
        assert parse_toml(found.toml)
        json.dumps(found.config.as_json())


def test_a_rate_with_a_comma_is_refused_in_the_gui_too(tmp_path: Path):
    message = refused(tmp_path, {**BASE, "LoRA_type": "Standard", "unet_lr": "1,5e-4"})
    assert "unet_lr" in message
    assert "LL314" in message


def test_a_caption_extension_keeps_its_meaning(tmp_path: Path):
    found = read(tmp_path, {**BASE, "LoRA_type": "Standard", "caption_extension": ".tags"})
    assert found.call.toml["caption_extension"] == ".tags"
    assert "--caption_extension=.tags" in found.config.values["additional_parameters"]


def test_additional_parameters_are_in_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = '--network_train_unet_only --lr_scheduler_args "T_max=3" --ip_noise_gamma 0.1 --new'
    path = tmp_path / "fox.json"
    path.write_text(json.dumps({**BASE, "epoch": 2, "additional_parameters": words}), "utf-8")
    for form in ("arguments", "toml"):
        assert main(["config", "--from", str(path), "--show", form]) == 0
        out = capsys.readouterr().out
        assert "network_train_unet_only" in out
        assert "T_max=3" in out
        assert "ip_noise_gamma" in out
    found = convert(path, V26)
    assert found.call.toml["lr_scheduler_args"] == ["T_max=3"]
    assert found.call.additional == ("--new",)


@pytest.mark.parametrize(
    ("settings", "script"),
    [
        ({"network_module": "networks.lora_flux"}, "flux_train_network"),
        ({"model_train_type": "anima-lora"}, "anima_train_network"),
        ({"qwen3": "/m/q.safetensors"}, "anima_train_network"),
        ({"sdxl": True, "pretrained_model_name_or_path": "/m/a.safetensors"}, "sdxl_train_network"),
        ({"cache_text_encoder_outputs": True}, "sdxl_train_network"),
        ({"pretrained_model_name_or_path": "/m/a.safetensors"}, "train_network"),
        ({"pretrained_model_name_or_path": "C:\\m\\PonyV6.safetensors"}, "sdxl_train_network"),
    ],
)
def test_the_trainer_is_concluded(tmp_path: Path, settings: dict[str, Any], script: str):
    data = {**FLAT, "pretrained_model_name_or_path": "/m/fox.safetensors", **settings}
    assert read(tmp_path, data).call.script == script


def test_a_json_of_the_gui_stays_one(tmp_path: Path):
    found = read(tmp_path, {**FLAT, "LoRA_type": "Standard", "optimizer": "AdamW"})
    assert found.form is ConfigForm.GUI


def test_what_only_a_newer_trainer_knows_stays_in(tmp_path: Path):
    file = str(tmp_path / "q.safetensors")
    more = {"model_train_type": "anima-lora", "compile": True, "anima_qwen3": file}
    toml = read(tmp_path, {**FLAT, **more}).call.toml
    assert (toml["compile"], toml["qwen3"]) == (True, file)


def test_an_argument_of_another_trainer_is_reported(tmp_path: Path):
    found = read(tmp_path, {**FLAT, "sdxl": True, "gemma2": "/m/g.safetensors"})
    assert "gemma2" not in found.call.toml
    assert any("only lumina_train_network.py" in one for one in found.notes)


@pytest.mark.parametrize(
    ("argument", "base", "script", "said"),
    [
        ("t5xxl", "someone/stable-diffusion-3.5-large", "sd3", "the base model is called"),
        ("cache_text_encoder_outputs", "/m/flux1-dev.safetensors", "flux", "is called flux1-dev"),
        ("cache_text_encoder_outputs", "/m/my_ponyXL.safetensors", "sdxl", "is called my_ponyXL"),
        ("cache_text_encoder_outputs", "/m/fox.safetensors", "sdxl", 'architecture = "flux"'),
        ("t5xxl", "/m/fox.safetensors", "flux", 'a line architecture = "sd3"'),
        ("gemma2", "/m/fox.safetensors", "lumina", "gemma2 is an argument of it"),
    ],
)  # fmt: skip
def test_which_of_several_trainers_is_said(
    tmp_path: Path, argument: str, base: str, script: str, said: str
):
    """The first that takes all arguments was taken without a word, so SD 3.5 was read as Flux."""
    data = {**FLAT, "pretrained_model_name_or_path": base, argument: True}
    del data["network_module"]
    found = read(tmp_path, format_toml(data), "fox.toml")
    assert found.call.script == f"{script}_train_network"
    assert said in " ".join(found.notes)
    if "architecture" in said:
        other = "flux" if script == "sdxl" else "sd3"
        chosen = read(tmp_path, format_toml({**data, "architecture": other}), "fox.toml")
        assert chosen.call.script == f"{other}_train_network"


def test_a_list_of_sample_prompts_is_a_prompt_per_line(tmp_path: Path):
    """Its Python spelling, with brackets and quotes, became the one prompt of all samples."""
    prompts = ["a fox, smiling", "a fox's tail"]
    assert read(tmp_path, {**FLAT, "sample_prompts": prompts}).call.sample_prompts == (
        "a fox, smiling\na fox's tail"
    )
    gui = {**BASE, "LoRA_type": "Standard", "sample_prompts": prompts}
    assert read(tmp_path, gui).call.sample_prompts == "a fox, smiling\na fox's tail"


@pytest.mark.parametrize("name", ["fox.toml", "fox.json"])
def test_a_windows_path_in_double_quotes_is_explained(tmp_path: Path, name: str):
    """`"D:\\new\\fox"` has a line break and a form feed; `"D:\\models"` is an error."""
    line = {"fox.toml": 'network_dim = 4\ntrain_data_dir = "{}"'}.get(
        name, '{{"network_dim": 4, "LoRA_type": "Standard", "train_data_dir": "{}"}}'
    )
    damaged = refused(tmp_path, line.format(r"D:\new\fox"), name)
    assert "[LL314]" in damaged
    assert f"Write it with / instead of \\ in {name}." in damaged
    broken = refused(tmp_path, line.format(r"D:\models\fox"), name)
    assert "Write paths with / instead of \\." in broken
    assert read(tmp_path, line.format("D:/new/fox"), name).call.toml["train_data_dir"] == (
        "D:/new/fox"
    )
