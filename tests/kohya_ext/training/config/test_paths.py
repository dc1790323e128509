"""Relative paths of a config count from its folder; a name on the model hub stays a name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.config.conversion import convert
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of
from kohya_ext.training.config.paths import (
    ARGUMENT_PATHS,
    GUI_PATHS,
    absolute_path,
    is_hub_name,
    with_absolute_paths,
)

ONE = {"x": Tensor("F16", (1,), b"\0\0")}
FLUX = {
    "flux1_checkbox": True,
    "LoRA_type": "Flux1",
    "pretrained_model_name_or_path": "models/flux.safetensors",
    "ae": "models/ae.safetensors",
    "clip_l": "models/clip_l.safetensors",
    "t5xxl": "models/t5xxl.safetensors",
    "train_data_dir": "pictures",
    "output_dir": "out",
    "max_resolution": "64,64",
    "epoch": 2,
    "max_train_steps": 0,
    "additional_parameters": "--tokenizer_cache_dir tokens",
}


def save(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "flux.json"
    path.write_text(json.dumps({**FLUX, **changes}), encoding="utf-8")
    return path


def test_every_path_counts_from_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    found = convert(Path("mine/flux.json"), GuiVersion.V26)
    for key, text in FLUX.items():
        if isinstance(text, str) and ("/" in text or key in ("output_dir", "train_data_dir")):
            expected = str(path.parent / text)
            assert found.config.values[key] == expected
            assert found.call.toml[key] == expected
    assert found.call.toml["tokenizer_cache_dir"] == str(path.parent / "tokens")


@pytest.mark.parametrize("text", ["Q:\\models\\a.safetensors", "Q:/models", "\\\\nas\\models"])
def test_a_whole_path_of_windows_stays(tmp_path: Path, text: str):
    assert absolute_path(text, tmp_path) == text


def test_a_drive_without_a_slash_counts_from_the_config_on_windows(tmp_path: Path):
    text = f"{tmp_path.drive or 'C:'}models/a.safetensors"
    expected = str(tmp_path / "models" / "a.safetensors") if os.name == "nt" else text
    assert absolute_path(text, tmp_path) == expected


@pytest.mark.parametrize("key", ["pretrained_model_name_or_path", "ae", "clip_l", "t5xxl"])
def test_a_missing_model_file_is_an_error(
    tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "mine"
    path = save(folder)
    (folder / "models").mkdir()
    for name in ("flux", "ae", "clip_l", "t5xxl"):
        write_lora(folder / "models" / f"{name}.safetensors", ONE, {})
    missing = folder / str(FLUX[key])
    missing.unlink()
    assert main(["check", "--config", str(path), "--trainer", "simulated", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    missed = [one for one in found if "does not exist" in one["problem"]]
    assert any(str(missing) in one["problem"] and one["level"] == "error" for one in missed)


@pytest.mark.parametrize(
    ("key", "text", "is_name"),
    [
        ("pretrained_model_name_or_path", "quill/fox-base-1.5", True),
        ("vae", "quill/fox-vae", True),
        ("pretrained_model_name_or_path", "models/not-there.safetensors", False),
        ("pretrained_model_name_or_path", "here/fox", False),
        ("pretrained_model_name_or_path", "a/b/c", False),
        ("ae", "quill/fox", False),
        ("train_data_dir", "quill/fox", False),
    ],
)
def test_one_rule_tells_hub_names(tmp_path: Path, key: str, text: str, is_name: bool):
    (tmp_path / "here").mkdir()
    assert is_hub_name(key, text, tmp_path) is is_name
    expected = text if is_name else str(tmp_path / text)
    assert with_absolute_paths({key: text}, tmp_path, GUI_PATHS) == {key: expected}


def test_a_path_of_windows_stays_as_it_is(tmp_path: Path):
    values = {"output_dir": "D:\\fox\\out", "resume": "\\\\nas\\fox", "ae": ""}
    assert with_absolute_paths(values, tmp_path, GUI_PATHS) == values


def test_a_preset_of_lycoris_is_a_path_when_it_is_a_toml(tmp_path: Path):
    assert with_absolute_paths({"LyCORIS_preset": "full"}, tmp_path, GUI_PATHS) == {
        "LyCORIS_preset": "full"
    }
    found = with_absolute_paths({"LyCORIS_preset": "own.toml"}, tmp_path, GUI_PATHS)
    assert found == {"LyCORIS_preset": str(tmp_path / "own.toml")}


def test_a_state_on_the_hub_is_no_path(tmp_path: Path):
    values = {"resume": "quill/fox/state", "resume_from_huggingface": True}
    assert with_absolute_paths(values, tmp_path, GUI_PATHS) == values


def test_every_field_for_a_file_is_known():
    """A text field whose name says file, folder, model or state."""
    words = ("_dir", "_path", "name_or_path", "clip_", "t5xxl", "_vae", "gemma2", "qwen3", "byt5")
    fields = {
        name
        for name, key in keys_of(GuiVersion.V26).items()
        if key.kind == "str" and any(word in f"_{name}" for word in words)
    }
    others = {"huggingface_path_in_repo", "t5xxl_device", "t5xxl_dtype", "save_t5xxl"}
    assert fields - others <= set(GUI_PATHS)
    assert "sample_prompts" in ARGUMENT_PATHS
    assert "sample_prompts" not in GUI_PATHS
