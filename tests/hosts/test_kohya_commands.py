"""Field by field: what the real Kohya GUI prints for a json, and what `--as-gui` says it would.

LORALOOM_KOHYA_GUI names the GUI's folder (v24, v25 or v26), LORALOOM_KOHYA_PYTHON its Python where
that is not in venv or .venv; LORALOOM_KOHYA_JOBS how many random jsons it gets (default 400).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kohya_ext.project import ToolError
from kohya_ext.training.config.gui_emulation import gui_call, gui_draws, gui_refusals
from kohya_ext.training.config.kohya_json import GuiVersion, Key, complete, keys_of
from kohya_ext.training.config.toml import format_gui_toml

from .conftest import named
from .kohya_release import without_news

pytestmark = pytest.mark.host

HELPER = Path(__file__).with_name("kohya_print.py")
FAMILIES = ("", "v2", "sdxl", "flux1_checkbox", "sd3_checkbox", "hunyuan_image_checkbox",
            "anima_checkbox", "lumina_checkbox")  # fmt: skip
FITTING = {
    "flux1_checkbox": ["Flux1", "Flux1 OFT", "LyCORIS/LoKr"],
    "anima_checkbox": ["Anima", "Kohya LoHa", "Kohya LoKr"],
    "lumina_checkbox": ["Lumina"],
    "hunyuan_image_checkbox": ["HunyuanImage-2.1", "LyCORIS/LoHa"],
}
TEXTS = ("", "", "some words", "a, b", 'with "quotes"', "C:\\Users\\狐", "0.5,1", "4")
PAIRS = ("", "weight_decay=0.1", "betas=0.9,0.99 eps=1e-8", "a = b", "a=b  c=d", '"q=1"')
WORDS = ("", "--one=1 --two", "--text='a b'", '--text="a (b)"', "--max_grad_norm=0")


@pytest.fixture(scope="module")
def gui() -> Path:
    return Path(named("LORALOOM_KOHYA_GUI"))


@pytest.fixture(scope="module")
def version(gui: Path) -> GuiVersion:
    release = (gui / ".release").read_text(encoding="utf-8").strip().lstrip("v")
    return GuiVersion("v" + release.partition(".")[0])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder, count in (("5_Fox", 7), ("2_Fox", 11), ("no number", 3)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for number in range(count):
            suffix = (".png", ".JPG", ".bmp", ".webp")[number % 4]
            (tmp_path / "train" / folder / f"{number}{suffix}").touch()
    return tmp_path


def random_values(version: GuiVersion, rng: random.Random, data: Path) -> dict[str, Any]:
    known = keys_of(version)
    values = {name: random_value(key, rng) for name, key in known.items()}
    family = rng.choice([flag for flag in FAMILIES if flag in known or not flag])
    values |= {flag: flag == family for flag in FAMILIES if flag in known}
    fitting = [one for one in FITTING.get(family, []) if one in known["LoRA_type"].choices]
    if fitting and rng.random() < 0.9:
        values["LoRA_type"] = rng.choice(fitting)
    if rng.random() < 0.7:
        values |= {"optimizer_args": "", "lr_scheduler_args": "a=b"}
    if values["LyCORIS_preset"] not in known["LyCORIS_preset"].choices or rng.random() < 0.5:
        values["LyCORIS_preset"] = "full"
    values |= {
        "train_data_dir": str(data / "train"),
        "reg_data_dir": rng.choice(["", str(data / "train")]),
        "dataset_config": rng.choice(["", "", "dataset.toml"]),
        "output_dir": str(data / "out") + rng.choice(["", os.sep]),
        "output_name": rng.choice(["fox", "last one"]),
        "max_train_steps": rng.choice([0, 0, 1600]),
        "noise_offset": rng.choice([0, 0.05, 1]),
        "max_resolution": "512,768",
        "gpu_ids": rng.choice(["", "0,1"]),
    }
    return complete(values, version)


def random_value(key: Key, rng: random.Random) -> Any:
    if key.kind == "bool":
        return rng.random() < 0.5
    if key.choices and (not key.custom or rng.random() < 0.8):
        return rng.choice(key.choices)
    if key.kind == "number":
        return random_number(key, rng)
    if key.name.endswith("_args") and key.name != "extra_accelerate_launch_args":
        return rng.choice(PAIRS)
    if key.name in ("additional_parameters", "extra_accelerate_launch_args"):
        return rng.choice(WORDS)
    return rng.choice(TEXTS)


def random_number(key: Key, rng: random.Random) -> int | float:
    low = 0 if key.minimum is None else key.minimum
    high = low + 100 if key.maximum is None else key.maximum
    if isinstance(key.default, float) or high - low <= 2:
        return rng.choice([low, key.default, round(rng.uniform(low, high), 3)])
    return rng.choice([int(low), key.default, rng.randint(int(low), int(high))])


def ask(gui: Path, jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    python = os.environ.get("LORALOOM_KOHYA_PYTHON") or next(
        (str(gui / one) for one in ("venv/bin/python", ".venv/bin/python") if (gui / one).exists()),
        sys.executable,
    )
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    subprocess.run(
        [python, str(HELPER), str(gui), str(folder / "jobs.json"), str(folder / "answers.json")],
        check=True, stdout=subprocess.DEVNULL, timeout=1000,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


def ours(values: dict[str, Any], version: GuiVersion, draws: int) -> dict[str, Any]:
    refusals = gui_refusals(values, version)
    if refusals:
        return {"refused": "; ".join(refusals)}
    try:
        call = gui_call(values, version, draws)
    except ToolError as refused:
        return {"refused": str(refused)}
    except ZeroDivisionError as refused:
        return {"refused": str(refused)}
    return {"words": [*call.launch, call.script, *call.additional],
            "toml": format_gui_toml(call.toml)}  # fmt: skip


def theirs(answer: dict[str, Any]) -> dict[str, Any]:
    if "refused" in answer:
        return answer
    words = answer["command"][2:]
    place = words.index("--config_file")
    script = Path(words[place - 1]).stem
    return {"words": [*words[: place - 1], script, *words[place + 1 :]], "toml": answer["toml"]}


def one_of_each(version: GuiVersion, rng: random.Random, data: Path) -> list[dict[str, Any]]:
    """Return a json for each LoRA type, some thirty of its values by chance."""
    found = []
    for kind in keys_of(version)["LoRA_type"].choices:
        values = random_values(version, rng, data)
        chosen = [*rng.sample(sorted(values), 30), "output_dir", "train_data_dir", "output_name"]
        family = next((flag for flag, kinds in FITTING.items() if kind in kinds[:3]), "")
        sdxl = kind in ("Kohya LoHa", "Kohya LoKr")
        family = "sdxl" if sdxl else "" if kind.startswith("LyCORIS") else family
        row = {key: values[key] for key in chosen if key not in (*FAMILIES, "LyCORIS_preset")}
        row |= {key: value for key, value in values.items()
                if family and key.startswith(family.partition("_")[0])}  # fmt: skip
        row |= {flag: flag == family for flag in FAMILIES if flag in values}
        row |= {"LoRA_type": kind, "dataset_config": "", "optimizer_args": "a=b",
                "lr_scheduler_args": "", "anima_compile": False, "anima_torch_compile": False,
                "output_dir": str(data / "out"), "unet_lr": 0.0001}  # fmt: skip
        found.append({key: value for key, value in row.items() if key in keys_of(version)})
    return found


@pytest.mark.timeout(300)
def test_one_print_of_each_type(gui: Path, version: GuiVersion, data: Path, record: Any):
    (data / "out").mkdir()
    jobs = [without_news(one, gui) for one in one_of_each(version, random.Random(7), data)]
    draws = gui_draws(data / "train")
    answers = ask(gui, [complete(job, version) for job in jobs], data)
    rows = []
    for values, answer in zip(jobs, answers, strict=True):
        said = theirs(answer)
        assert said == ours(complete(values, version), version, draws)
        rows.append({"values": values, "draws": draws, "words": said["words"],
                     "toml": said["toml"].splitlines()})  # fmt: skip
    text = json.dumps(rows).replace(str(data), "/data")
    record(f"kohya-prints/{version.value}.json", "Kohya GUI", version.value, json.loads(text))


@pytest.mark.timeout(1200)
def test_random_jsons_print_the_same(gui: Path, version: GuiVersion, data: Path):
    (data / "out").mkdir()
    rng = random.Random(int(os.environ.get("LORALOOM_KOHYA_SEED", "1")))
    count = int(os.environ.get("LORALOOM_KOHYA_JOBS", "400"))
    jobs = [without_news(random_values(version, rng, data), gui) for _ in range(count)]
    answers = ask(gui, jobs, data)
    draws = gui_draws(data / "train")
    printed = dict.fromkeys(keys_of(version)["LoRA_type"].choices, 0)
    for values, answer in zip(jobs, answers, strict=True):
        expected, found = theirs(answer), ours(values, version, draws)
        what = (values["LoRA_type"], [flag for flag in FAMILIES if values.get(flag)])
        assert ("refused" in found) == ("refused" in expected), (what, expected, found)
        if "refused" in expected:
            continue
        assert found["words"] == expected["words"], what
        assert found["toml"].splitlines() == expected["toml"].splitlines(), what
        printed[values["LoRA_type"]] += 1
    assert all(printed.values()), f"some types were never printed: {printed}"
    print(f"{version.value}: {sum(printed.values())} of {count} printed the same: {printed}")
