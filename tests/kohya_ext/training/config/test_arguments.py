"""What sd-scripts gets: as the GUI sends it, and put right."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kohya_ext.project import ToolError
from kohya_ext.training.config.arguments import (
    plan_call,
    require_valid_call,
)
from kohya_ext.training.config.forms import read_data
from kohya_ext.training.config.gui_emulation import GuiCall, gui_call
from kohya_ext.training.config.gui_load import take_as_gui
from kohya_ext.training.config.kohya_json import GuiVersion, complete
from kohya_ext.training.config.toml import format_gui_toml, format_toml

RECORDED = Path(__file__).resolve().parents[3] / "recorded" / "kohya-commands"
DRAWS = 57
VERSIONS = {"": GuiVersion.V26, "v25.2.1": GuiVersion.V25, "v24.1.7": GuiVersion.V24}


@pytest.fixture(autouse=True)
def as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings were made where folders are separated by slashes."""
    monkeypatch.setattr("kohya_ext.training.config.gui_fields.SEPARATOR", "/")


def read_toml(path: Path) -> dict[str, Any]:
    """Read the flat toml of a recording; numbers compare as numbers (1 equals 1.0)."""
    found: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition(" = ")
        if equals:
            found[key] = as_number(yaml.safe_load(value.replace(",]", "]")))
    return found


def as_number(value: Any) -> Any:
    if isinstance(value, list):
        return [as_number(member) for member in value]
    if isinstance(value, str):
        try:
            return float(value) if re.fullmatch(r"\d+e-\d+", value) else _plain(value)
        except ValueError:
            return value
    return value


def _plain(text: str) -> str:
    return re.sub(r"=(\d+)\.0$", r"=\1", text)


def values(version: GuiVersion = GuiVersion.V26, **changes: Any) -> dict[str, Any]:
    return complete({"output_dir": "out", "output_name": "Quillfox", **changes}, version)


def call(**changes: Any) -> GuiCall:
    return gui_call(values(**changes), GuiVersion.V26, DRAWS)


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.toml")), ids=lambda path: path.stem)
def test_as_gui_equals_what_the_gui_printed(path: Path):
    number, _, host = path.stem.partition(".")
    taken = take_as_gui(read_data(RECORDED / f"{number}.json")[0], VERSIONS[host])
    assert taken.problems == ()
    ours = gui_call(taken.values, VERSIONS[host], DRAWS)
    assert {key: as_number(value) for key, value in ours.toml.items()} == read_toml(path)
    command = (RECORDED / f"{number}.command").read_text(encoding="utf-8")
    assert command.startswith(f"accelerate launch {' '.join(ours.launch)} ")
    assert f"/{ours.script_name} --config_file" in command


def printed() -> list[Any]:
    """Return one print of the real GUI for each LoRA type of each version."""
    return [
        pytest.param(GuiVersion(path.stem), row, id=f"{path.stem}-{row['values']['LoRA_type']}")
        for path in sorted((RECORDED.parent / "kohya-prints").glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["answers"]
    ]


@pytest.mark.parametrize(("version", "row"), printed())
def test_every_type_prints_as_the_gui_does(version: GuiVersion, row: dict[str, Any]):
    ours = gui_call(complete(row["values"], version), version, row["draws"])
    assert [*ours.launch, ours.script, *ours.additional] == row["words"]
    assert format_gui_toml(ours.toml).splitlines() == row["toml"]


@pytest.mark.parametrize(
    ("kind", "module", "part"),
    [
        ("Standard", "networks.lora", ""),
        ("Kohya LoCon", "networks.lora", "conv_dim=1"),
        ("LoRA-FA", "networks.lora_fa", ""),
        ("Kohya DyLoRA", "networks.dylora", "unit=1"),
        ("Kohya LoKr", "networks.lokr", "conv_dim=1"),
        ("LyCORIS/LoHa", "lycoris.kohya", "algo=loha"),
        ("LyCORIS/LoKr", "lycoris.kohya", "factor=-1"),
        ("LyCORIS/Diag-OFT", "lycoris.kohya", "constraint=0"),
        ("LyCORIS/DyLoRA", "lycoris.kohya", "block_size=1"),
        ("LyCORIS/iA3", "lycoris.kohya", "train_on_input=True"),
        ("Flux1", "networks.lora_flux", "train_double_block_indices=all"),
        ("Flux1 OFT", "networks.oft_flux", ""),
    ],
)
def test_every_lora_type_has_its_module(kind: str, module: str, part: str):
    toml = call(LoRA_type=kind).toml
    assert toml["network_module"] == module
    assert part in " ".join(toml["network_args"])


def test_families_choose_the_script():
    assert call(sdxl=True).script_name == "sdxl_train_network.py"
    assert call(flux1_checkbox=True).script_name == "flux_train_network.py"
    sd3 = call(sd3_checkbox=True, sd3_clip_l="a.safetensors")
    assert (sd3.script, sd3.toml["clip_l"]) == ("sd3_train_network", "a.safetensors")
    assert sd3.toml["network_module"] == "networks.lora_sd3"
    anima = call(anima_checkbox=True, LoRA_type="Anima", anima_qwen3="q.safetensors")
    assert (anima.script, anima.toml["qwen3"]) == ("anima_train_network", "q.safetensors")
    assert "clip_skip" not in anima.toml
    with pytest.raises(ToolError, match="LL304"):
        call(LoRA_type="Lora")


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"unet_lr": 0.1, "text_encoder_lr": 0}, "network_train_unet_only"),
        ({"unet_lr": 0, "text_encoder_lr": 0.1}, "network_train_text_encoder_only"),
    ],
)
def test_a_rate_of_zero_trains_only_the_other(rates: dict[str, float], expected: str):
    assert call(**rates).toml[expected] is True


@pytest.mark.parametrize(
    "rates",
    [
        {"learning_rate": 0, "unet_lr": 0, "text_encoder_lr": 0},
        {"text_encoder_lr": 0, "t5xxl_lr": 0.1},
    ],
)
def test_rates_that_train_nothing(rates: dict[str, float]):
    with pytest.raises(ToolError, match="LL303"):
        call(**rates)


def test_secrets_are_never_sent_by_file():
    ours = plan_call(values(wandb_api_key="geheim"), GuiVersion.V26, DRAWS)
    assert "wandb_api_key" not in ours.toml
    assert any(one.key == "wandb_api_key" for one in ours.differences)


def test_epochs_are_sent_as_epochs():
    chosen = values(epoch=8, max_train_steps=0, train_batch_size=2)
    gui = gui_call(chosen, GuiVersion.V26, DRAWS)
    ours = plan_call(chosen, GuiVersion.V26, DRAWS)
    assert gui.toml["max_train_steps"] == 228
    assert ours.toml["max_train_epochs"] == 8
    assert "max_train_steps" not in ours.toml
    assert "would send 228" in " ".join(map(str, ours.differences))


def test_a_zero_that_the_gui_drops_is_sent():
    ours = plan_call(values(max_grad_norm=0, prior_loss_weight=0), GuiVersion.V26, DRAWS)
    assert (ours.toml["max_grad_norm"], ours.toml["prior_loss_weight"]) == (0, 0)


def test_differences_are_reported_in_plain_words():
    ours = plan_call(values(epoch=8, max_train_steps=0), GuiVersion.V26, DRAWS)
    reported = {one.key: str(one) for one in ours.differences}
    assert reported["max_train_steps"].startswith(
        "max_train_steps is left out (the GUI would send 456): the GUI's estimate"
    )
    assert reported["max_train_epochs"].startswith(
        "max_train_epochs = 8 is sent (the GUI leaves it out)"
    )
    assert "None" not in " ".join(reported.values())


def test_only_what_changes_the_training_is_notable():
    ours = plan_call(values(max_train_epochs=8, epoch=8, max_train_steps=0), GuiVersion.V26, DRAWS)
    assert {one.key for one in ours.differences} >= {"epoch", "dynamo_backend", "max_train_steps"}
    assert ours.notable == ()


def test_what_only_a_newer_trainer_knows_stays_in():
    """The check on disk decides about it; to drop it would be to train something else."""
    ours = plan_call(values(train_inpainting=True), GuiVersion.V26, DRAWS)
    assert ours.toml["train_inpainting"] is True
    with pytest.raises(ToolError, match=r"train_inpainting = true: this version has no .*LL305"):
        require_valid_call(ours)


def test_what_the_trainer_reads_no_longer_is_reported():
    flux = {"flux1_checkbox": True, "LoRA_type": "Flux1", "single_blocks_to_swap": 3}
    ours = plan_call(values(**flux), GuiVersion.V26, DRAWS)
    assert "single_blocks_to_swap" not in ours.toml
    assert "single_blocks_to_swap is left out" in " ".join(map(str, ours.notable))


def test_a_zero_of_flux_is_sent_to_flux_only():
    zero = {"guidance_scale": 0, "LoRA_type": "Flux1"}
    flux = plan_call(values(flux1_checkbox=True, **zero), GuiVersion.V26, DRAWS)
    assert flux.toml["guidance_scale"] == 0
    assert "guidance_scale" not in plan_call(values(**zero), GuiVersion.V26, DRAWS).toml


def test_a_list_with_spaces_stays_whole():
    config = values(LoRA_type="Standard", block_dims="4, 8")
    assert "8" in gui_call(config, GuiVersion.V26, DRAWS).toml["network_args"]
    ours = plan_call(config, GuiVersion.V26, DRAWS)
    assert ours.toml["network_args"] == ["block_dims=4,8"]
    assert "splits a list at its spaces" in str(ours.notable)


def test_lora_plus_of_v25_reaches_the_network():
    config = values(GuiVersion.V25, loraplus_lr_ratio=4)
    ours = plan_call(config, GuiVersion.V25, DRAWS)
    assert ours.toml["network_args"] == ["loraplus_lr_ratio=4"]
    assert "loraplus_lr_ratio" not in ours.toml


@pytest.mark.parametrize(
    ("text", "gui", "ours"),
    [
        ("--a=1 --b", ("--a=1", "--b"), ("--a=1", "--b")),
        ("--t=(x)", ("'--t=(x)'",), ("--t=(x)",)),
        ('--t="my fox"', ("--t=my", "fox"), ("--t=my fox",)),
        ("--p=C:\\fox", ("'--p=C:\\fox'",), ("--p=C:\\fox",)),
        ("it's", ("'it'\"'\"'s'",), ("it's",)),
    ],
)
def test_additional_parameters_are_split_as_a_shell_would(text: str, gui: Any, ours: Any):
    config = values(additional_parameters=text, extra_accelerate_launch_args=text)
    assert gui_call(config, GuiVersion.V26, DRAWS).additional == gui
    call = plan_call(config, GuiVersion.V26, DRAWS)
    assert call.additional == ours
    assert set(ours) <= set(call.launch)
    assert call.launch[-2:] == ("--num_cpu_threads_per_process", "2")


def test_a_switch_is_sent_as_a_switch():
    ours = plan_call(
        values(persistent_data_loader_workers=True, bucket_reso_steps=64.0), GuiVersion.V26, DRAWS
    )
    assert ours.toml["persistent_data_loader_workers"] is True
    assert isinstance(ours.toml["bucket_reso_steps"], int)
    require_valid_call(ours)


def test_the_toml_as_command_line_words():
    ours = plan_call(values(LoRA_type="Kohya LoCon", cache_latents=True), GuiVersion.V26, DRAWS)
    words = ours.arguments
    assert "--cache_latents" in words
    assert words[words.index("--network_args") + 1] == "conv_dim=1"
    assert "--output_name=Quillfox" in words


def test_warmup_in_percent_becomes_a_share():
    assert call(lr_warmup=5).toml["lr_warmup_steps"] == 0.05
    assert call(lr_warmup=5, lr_warmup_steps=7).toml["lr_warmup_steps"] == 7
    v24 = gui_call(values(GuiVersion.V24, lr_warmup=5, max_train_steps=100), GuiVersion.V24, DRAWS)
    assert v24.toml["lr_warmup_steps"] == 5


def test_several_gpus_are_accelerates_business():
    launch = " ".join(call(multi_gpu=True, num_processes=2, gpu_ids="0,1").launch)
    assert "--gpu_ids 0,1" in launch
    assert "--multi_gpu --num_processes 2" in launch


def test_our_call_is_one_that_the_trainer_takes():
    require_valid_call(plan_call(values(), GuiVersion.V26, DRAWS))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_train_epochs", "2"),
        ("learning_rate", "1e-4"),
        ("resolution", 64),
        ("save_model_as", "foo"),
        ("cache_latents", 1),
        ("network_dim", True),
        ("colour", "red"),
        ("network_args", [1]),
    ],
)
def test_what_the_trainer_would_misread(key: str, value: object):
    ours = plan_call(values(), GuiVersion.V26, DRAWS)
    ours.toml[key] = value
    with pytest.raises(ToolError, match=rf"{key} = .*LL305"):
        require_valid_call(ours)


def test_the_toml_reads_back():
    toml = {"a": 'x "y" \\ z\n狐', "b": 1, "c": 1e-05, "d": True, "e": ["k=v", 0.5], "f": []}
    text = format_toml(toml)
    if sys.version_info >= (3, 11):
        import tomllib

        assert tomllib.loads(text) == toml
    assert text.startswith('a = "x \\"y\\" ')
