"""Any Kohya json without a project: repaired, explained, written; and what the GUI would run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kohya_ext.cli import main
from kohya_ext.project import ToolError
from kohya_ext.training.config.conversion import convert
from kohya_ext.training.config.gui_emulation import print_as_gui
from kohya_ext.training.config.kohya_json import GuiVersion, complete

RECORDED = Path(__file__).resolve().parents[3] / "recorded" / "kohya-commands"
V24, V25, V26 = GuiVersion


@pytest.fixture(autouse=True)
def as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings were made where folders are separated by slashes."""
    monkeypatch.setattr("kohya_ext.training.config.gui_fields.SEPARATOR", "/")


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """The folders of the recordings: 5 x 7 and 2 x 11 pictures."""
    for folder, count in (("5_Trigword", 7), ("2_Trigword", 11)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "train" / folder / f"{number}.png").touch()
    return tmp_path / "train"


def write(path: Path, **values: Any) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.fixture
def source(tmp_path: Path, train: Path) -> Path:
    return write(
        tmp_path / "old.json",
        train_data_dir=str(train), output_dir="out", output_name="Fox: one", network_dim=100000,
        LoRA_type="LyCORIS/LoKr", epoch="3", max_train_steps=0, train_batch_size=2,
        caption_extension=".txt2", wandb_api_key="hush", a_key_of_mine=[1], learning_rate=0.0001,
        optimizer="AdamW", max_resolution="512,768",
    )  # fmt: skip


def test_the_trainer_gets_what_only_the_gui_cannot_hold(source: Path):
    converted = convert(source, V26)
    assert converted.config.values["network_dim"] == 512
    assert converted.call.toml["network_dim"] == 100000
    assert converted.call.toml["caption_extension"] == ".txt2"
    assert converted.call.toml["max_train_epochs"] == 3


def test_from_a_json_without_a_project(source: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["config", "--from", str(source)]) == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert len(values) == 289
    assert values["a_key_of_mine"] == [1]
    assert (
        "corrected: network_dim: 100000 -> 512 (the GUI's maximum is 512), only for the GUI" in err
    )
    assert 'corrected: epoch: "3" -> 3' in err
    assert "WANDB_API_KEY" in err
    assert "a_key_of_mine is left out: it is unknown to sd-scripts and the Kohya GUI" in err
    assert "different from the GUI: max_train_epochs = 3 is sent" in err
    assert "Next: loraloom check --config" in err
    assert "hush" not in out + err


def test_written_files_hold_no_secret(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["config", "--from", str(source), "--to", str(tmp_path / "new"), "--gui=v25"]) == 0
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["Fox_ one.dataset.toml", "Fox_ one.json", "Fox_ one.toml"]
    texts = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir())
    assert "hush" not in texts + "".join(capsys.readouterr())
    assert "resolution = [512, 768]" in texts
    again = convert(tmp_path / "new" / "Fox_ one.json", V25)
    assert again.config.repairs == ()
    assert again.config.as_json() == convert(source, V25).config.as_json()


@pytest.mark.parametrize(
    ("show", "part"),
    [
        ("toml", "max_train_epochs = 3"),
        ("dataset", "num_repeats = 5"),
        ("arguments", "--max_train_epochs=3 "),
        ("json", '"epoch": 3'),
    ],
)
def test_other_forms(source: Path, capsys: pytest.CaptureFixture[str], show: str, part: str):
    assert main(["config", "--from", str(source), "--show", show]) == 0
    assert part in capsys.readouterr().out


def test_all_of_it_as_json(source: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["config", "--from", str(source), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {"network_dim", "epoch", "wandb_api_key"} <= {one["key"] for one in data["repairs"]}
    assert data["script"] == "train_network.py"
    assert any(one["key"] == "epoch" and not one["matters"] for one in data["differences"])


def test_the_schema_for_an_editor(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "--show", "schema", "--gui", "v25"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["title"].startswith("Kohya GUI v25")
    assert "kohya-lora.v25.schema.json" in err


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.toml")), ids=lambda path: path.stem)
def test_as_gui_letter_by_letter(
    path: Path, tmp_path: Path, train: Path, capsys: pytest.CaptureFixture[str]
):
    """The whole way, from the file on disk to the text on the screen."""
    number, _, host = path.stem.partition(".")
    text = (RECORDED / f"{number}.json").read_text(encoding="utf-8")
    values = json.loads(text)
    values |= {"train_data_dir": str(train)} if values.get("train_data_dir") else {}
    source = write(tmp_path / "x.json", **values)
    version = {"": "v26"}.get(host, host.partition(".")[0])
    assert main(["config", "--from", str(source), "--as-gui", "--gui", version]) == 0
    out, err = capsys.readouterr()
    in_toml = str(train).replace("\\", "\\\\")  # of a Windows path
    assert out.replace(in_toml, "/data/train") == path.read_text(encoding="utf-8")
    command = (RECORDED / f"{number}.command").read_text(encoding="utf-8").split(" /kohya")[0]
    assert f"command: {command} sd-scripts/" in err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network_dim": 4096}, "network_dim is 4096, but it must be at most 512"),
        ({"lr_scheduler": "foo"}, "lr_scheduler is 'foo', but"),
        ({"optimizer_args": "a = b"}, "optimizer_args must be pairs"),
        ({"LyCORIS_preset": "nothing"}, "neither one of its presets nor a toml file"),
        ({"flux1_checkbox": True}, "Flux trains the LoRA types"),
        ({"LoRA_type": "Lumina"}, "works only with"),
        ({"LoRA_type": "Kohya LoHa"}, "only for SDXL and Anima"),
        ({"anima_checkbox": True}, "Anima trains the LoRA types"),
        ({"LoRA_type": "Anima"}, "needs the Anima model"),
        ({"train_data_dir": ""}, "train_data_dir is empty"),
        ({"train_data_dir": "/nowhere/at/all"}, "is not on this machine: see --draws"),
        ({"output_dir": " "}, "output_dir is empty"),
        ({"noise_offset": 1, "bucket_reso_steps": 0}, "bucket_reso_steps"),
        ({"learning_rate": 0, "unet_lr": 0, "text_encoder_lr": 0}, "All learning rates are 0"),
    ],
)
def test_what_the_gui_would_not_run(train: Path, changes: dict[str, Any], words: str):
    values = complete({"train_data_dir": str(train), "output_dir": "out"}, V26)
    with pytest.raises(ToolError, match="LL311") as refused:
        print_as_gui({**values, "max_train_steps": 0, **changes}, V26, where="x.json")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep_tokens": [1]}, "keep_tokens is [1], and the GUI cannot load"),
        ({"min_bucket_reso": "256.0"}, "min_bucket_reso is '256.0'"),
        ({"num_cpu_threads_per_process": "two"}, "num_cpu_threads_per_process is 'two'"),
        ({"stop_text_encoder_training": "1"}, "stop_text_encoder_training is not a number"),
        ({"mixed_precision": 16}, "mixed_precision is 16"),
    ],
)
def test_what_the_older_gui_chokes_on(train: Path, changes: dict[str, Any], words: str):
    """Their sliders hand on any text, which fails where a number is made of it."""
    values = {"train_data_dir": str(train), "output_dir": "out", **changes}
    with pytest.raises(ToolError, match="LL311") as refused:
        print_as_gui(values, V24, where="x.json")
    assert words in str(refused.value)


def test_a_truth_for_a_number_is_a_number(train: Path):
    values = {"train_data_dir": str(train), "output_dir": "out", "rank_dropout": True}
    for version in GuiVersion:
        call = print_as_gui({**values, "save_last_n_steps_state": True}, version, where="x").call
        assert call.toml["save_last_n_steps_state"] == 1


def test_what_the_page_changes_after_a_load(train: Path):
    values = {"train_data_dir": str(train), "output_dir": "out", "lr_scheduler": "constant",
              "lr_warmup": 10, "v_parameterization": True, "color_aug": True}  # fmt: skip
    for version in (V25, V26):
        toml = print_as_gui(values, version, where="x").call.toml
        assert not {"lr_warmup_steps", "v_parameterization"} & set(toml)
        assert ("cache_latents" in toml) is (version is V26)
        there = print_as_gui(values, version, where="x", in_browser=False).call.toml
        assert (there["lr_warmup_steps"], there["v_parameterization"]) == (0.1, True)
    with_v2 = print_as_gui({**values, "v2": True}, V26, where="x").call.toml
    assert with_v2["v_parameterization"] is True


def test_the_page_sets_what_chroma_needs(train: Path):
    values = {"train_data_dir": str(train), "output_dir": "out", "LoRA_type": "Flux1",
              "flux1_checkbox": True, "model_type": "chroma", "guidance_scale": 3.5}  # fmt: skip
    toml = print_as_gui(values, V26, where="x").call.toml
    assert (toml["guidance_scale"], toml["timestep_sampling"]) == (0, "sigmoid")


def test_two_families_at_once_send_both(train: Path):
    """The script is SDXL's; the GUI sends Flux's settings with it."""
    values = {"train_data_dir": str(train), "output_dir": "out", "LoRA_type": "Flux1"}
    call = print_as_gui({**values, "sdxl": True, "flux1_checkbox": True}, V26, where="x").call
    assert call.script == "sdxl_train_network"
    assert call.toml["guidance_scale"] == 3.5
    assert "max_token_length" not in call.toml


def test_a_leaf_folder_is_refused_by_v26_only(train: Path):
    leaf = {"train_data_dir": str(train / "5_Trigword"), "output_dir": "o", "max_train_steps": 0}
    with pytest.raises(ToolError, match=r"no folder such as 5_Trigger.*LL311"):
        print_as_gui({**leaf}, V26, where="x.json")
    assert "max_train_steps" not in print_as_gui({**leaf}, V24, where="x.json").call.toml


def test_draws_of_another_machine():
    far = {"train_data_dir": "/far/away", "output_dir": "o", "max_train_steps": 0, "epoch": 2}
    printed = print_as_gui({**far, "train_batch_size": 1}, V26, where="x.json", draws=57)
    assert printed.call.toml["max_train_steps"] == 114


def test_as_gui_of_a_secret(tmp_path: Path, train: Path, capsys: pytest.CaptureFixture[str]):
    source = write(
        tmp_path / "x.json", train_data_dir=str(train), output_dir="o", wandb_api_key="hush"
    )
    assert main(["config", "--from", str(source), "--as-gui"]) == 0
    out, err = capsys.readouterr()
    assert "hush" not in out + err
    assert "left out: wandb_api_key, a secret; set WANDB_API_KEY" in err
    assert main(["config", "--from", str(source), "--as-gui", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["command"][:2] == ["accelerate", "launch"]


def test_a_project_and_a_json_at_once(source: Path):
    assert main(["config", "somewhere", "--from", str(source)]) == 2
