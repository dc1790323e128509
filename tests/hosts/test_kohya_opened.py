"""Any json as the real GUI's loader and widgets take it, and what `--as-gui` says of it.

LORALOOM_KOHYA_GUI names the GUI's folder (v24, v25 or v26), LORALOOM_KOHYA_PYTHON its Python with
the gradio of that version; LORALOOM_KOHYA_JOBS how many spoilt jsons it gets (default 200).
Handlers that run in a browser when a value changes are left out here.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from odd_jsons import ODD, odd_json

from kohya_ext.project import ToolError
from kohya_ext.training.config.forms import read_data
from kohya_ext.training.config.gui_emulation import print_as_gui
from kohya_ext.training.config.kohya_json import SECRETS, GuiVersion, keys_of

from .conftest import named
from .kohya_release import without_news

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]

HELPER = Path(__file__).with_name("kohya_open.py")
SPOILT = (
    "", None, True, False, 0, 1, -1, 0.0, 1.0, 2.5, "0", "1", "1.0", "True", "False", "none",
    "abc", "a b", " 3 ", "1e-4", [1], "狐", "a=b", "a=b c=d", "C:\\new\\table",
)  # fmt: skip
MISSING = object()


@pytest.fixture(scope="module")
def gui() -> Path:
    return Path(named("LORALOOM_KOHYA_GUI"))


@pytest.fixture(scope="module")
def version(gui: Path) -> GuiVersion:
    release = (gui / ".release").read_text(encoding="utf-8").strip().lstrip("v")
    return GuiVersion("v" + release.partition(".")[0])


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Any]:
    for folder, count in (("5_Fox", 7), ("2_Fox", 11)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "train" / folder / f"{number}.png").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "base.safetensors").touch()
    return {
        "pretrained_model_name_or_path": str(tmp_path / "base.safetensors"),
        "train_data_dir": str(tmp_path / "train"), "output_dir": str(tmp_path / "out"),
        "output_name": "odd", "logging_dir": "",
    }  # fmt: skip


def presets_of(gui: Path, places: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the GUI's own presets and test configs, with folders that are there."""
    found = {}
    for path in sorted([*gui.glob("presets/lora/*.json"), *gui.glob("test/config/*.json")]):
        data = read_data(path)[0]
        if "LoRA_type" not in data:
            continue
        elsewhere = ("reg_data_dir", "vae", "resume", "dataset_config", "network_weights",
                     "lora_network_weights")  # fmt: skip
        found[path.name] = {**data, **places, **{key: "" for key in elsewhere if key in data}}
    return found


def spoil(values: dict[str, Any], keys: list[str], rng: random.Random) -> dict[str, Any]:
    found = dict(values)
    for key in rng.sample(keys, rng.randint(1, 3)):
        value = rng.choice((*SPOILT, MISSING))
        found[key] = value
    return {key: value for key, value in found.items() if value is not MISSING}


def ask(gui: Path, jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    subprocess.run(
        [named("LORALOOM_KOHYA_PYTHON"), str(HELPER), str(gui), str(folder / "jobs.json"),
         str(folder / "answers.json")],
        check=True, capture_output=True, timeout=1000,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


def ours(values: dict[str, Any], version: GuiVersion) -> tuple[list[str], list[str]] | None:
    try:
        printed = print_as_gui(values, version, where="a json", in_browser=False)
    except ToolError:
        return None
    return printed.toml.splitlines(), [*printed.call.launch, *printed.call.additional]


def theirs(answer: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    if "refused" in answer:
        return None
    words = [str(word) for word in answer["command"][2:]]
    place = words.index("--config_file")
    lines = [line for line in answer["toml"].splitlines() if line.split(" = ")[0] not in SECRETS]
    return lines, [*words[: place - 1], *words[place + 1 :]]


def test_any_json_prints_what_we_say(
    gui: Path, version: GuiVersion, places: dict[str, Any], tmp_path: Path
):
    jobs = presets_of(gui, places)
    jobs |= {name: odd_json(name, places, version) for name in ODD}
    rng = random.Random(int(os.environ.get("LORALOOM_KOHYA_SEED", "1")))
    keys = sorted(set(keys_of(version)) - set(places) - {"resume", "dataset_config", "vae",
                                                          "reg_data_dir"})  # fmt: skip
    for number in range(int(os.environ.get("LORALOOM_KOHYA_JOBS", "200"))):
        name = rng.choice(sorted(jobs))
        jobs[f"{name}, spoilt {number}"] = spoil(jobs[name], keys, rng)
    jobs = {name: without_news(values, gui) for name, values in jobs.items()}
    printed = 0
    for (name, values), answer in zip(
        jobs.items(), ask(gui, list(jobs.values()), tmp_path), strict=True
    ):
        expected = theirs(answer)
        assert ours(values, version) == expected, (name, answer.get("refused"))
        printed += expected is not None
    assert printed > 40
    print(f"{version.value}: {printed} of {len(jobs)} printed the same, the rest both refuse")
