"""`loraloom check` on a json that the Kohya GUI saved: every way to lose a night has its row.

The rows are those of the exit codes that were measured on sd-scripts itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.project.error_codes import TITLES
from kohya_ext.project.lora_file import Tensor, write_lora

SAVED = Path(__file__).resolve().parents[3] / "recorded" / "kohya-commands" / "1.json"
HALF = Tensor("F16", (1,), b"\0\0")


@dataclass
class Desk:
    """The folders that the saved json names, moved here, and its values."""

    root: Path
    values: dict[str, Any]

    @property
    def train(self) -> Path:
        return self.root / "train"

    def picture(self, name: str, size: tuple[int, int] = (512, 512)) -> Path:
        path = self.train / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = sum(map(ord, name)) % 256
        Image.new("RGB", size, (shade, 90, 20)).save(path)
        path.with_suffix(".txt").write_text("photo of Trigword", encoding="utf-8")
        return path

    def empty(self) -> None:
        (self.train / "5_Trigword").rename(self.root / "elsewhere")

    def dataset(self, text: str) -> None:
        path = self.root / "data.toml"
        path.write_text(text.replace("HERE", (self.train / "5_Trigword").as_posix()), "utf-8")
        self.values["dataset_config"] = str(path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, json.loads(SAVED.read_text(encoding="utf-8")))
    for name in ("5_Trigword/a.png", "5_Trigword/b.png"):
        desk.picture(name)
    base = tmp_path / "sd15.safetensors"
    write_lora(base, {"cond_stage_model.transformer.x": HALF, "model.diffusion_model.x": HALF}, {})
    desk.values |= {
        "train_data_dir": str(desk.train), "output_dir": str(tmp_path / "out"),
        "logging_dir": "", "pretrained_model_name_or_path": str(base), "log_with": "",
    }  # fmt: skip
    (tmp_path / "out").mkdir()
    return desk


def check(desk: Desk, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, str]]]:
    path = desk.root / "saved.json"
    path.write_text(json.dumps(desk.values), encoding="utf-8")
    code = main(["check", "--config", str(path), "--trainer", "simulated", "--json"])
    return code, json.loads(capsys.readouterr().out)["findings"]


def test_the_saved_json_is_fine(desk: Desk, capsys: pytest.CaptureFixture[str]):
    assert check(desk, capsys) == (0, [])


def put(key: str, value: object) -> Callable[[Desk], object]:
    return lambda desk: desk.values.update({key: value})


def renamed(name: str) -> Callable[[Desk], object]:
    def arrange(desk: Desk) -> None:
        target = desk.train / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (desk.train / "5_Trigword").rename(target)

    return arrange


def loose(desk: Desk) -> None:
    desk.empty()
    desk.picture("a.png")


def bare(desk: Desk) -> None:
    desk.empty()
    (desk.train / "5_Trigword").mkdir()


def cut(desk: Desk) -> None:
    path = desk.train / "5_Trigword" / "a.png"
    path.write_bytes(path.read_bytes()[:-40])


def text_for_a_picture(desk: Desk) -> None:
    (desk.train / "5_Trigword" / "a.png").write_text("no picture", encoding="utf-8")


def no_bytes(desk: Desk) -> None:
    (desk.train / "5_Trigword" / "a.png").write_bytes(b"")


def large(desk: Desk) -> None:
    desk.values["enable_bucket"] = False
    desk.picture("5_Trigword/a.png", (900, 600))


def tiny(desk: Desk) -> None:
    desk.values |= {"bucket_no_upscale": True, "bucket_reso_steps": 64}
    desk.picture("5_Trigword/a.png", (40, 600))


def caption(data: bytes) -> Callable[[Desk], object]:
    return lambda desk: (desk.train / "5_Trigword" / "a.txt").write_bytes(data)


def captions_of_another_kind(desk: Desk) -> None:
    for path in tuple(desk.train.rglob("*.txt")):
        path.rename(path.with_suffix(".caption"))


def another_rank(desk: Desk) -> None:
    path = desk.root / "old.safetensors"
    write_lora(path, {"x": HALF}, {"ss_network_dim": "3"})
    desk.values["network_weights"] = str(path)


def earlier_file(desk: Desk) -> None:
    name = desk.values["output_name"]
    (desk.root / "out" / f"{name}.safetensors").write_bytes(b"precious")


def dataset(text: str) -> Callable[[Desk], object]:
    return lambda desk: desk.dataset(text)


ONE = '[[datasets]]\nresolution = 512\n[[datasets.subsets]]\nimage_dir = "HERE"\n'

ROWS: dict[str, tuple[Callable[[Desk], object], str]] = {
    "no folder": (put("train_data_dir", "/nowhere/at/all"), "LL360"),
    "an empty folder": (Desk.empty, "LL361"),
    "loose pictures": (loose, "LL362"),
    "no number": (renamed("Trigword"), "LL363"),
    "number 0": (renamed("0_Trigword"), "LL364"),
    "no underscore": (renamed("5Trigword"), "LL365"),
    "no pictures in it": (bare, "LL366"),
    "pictures too deep": (renamed("5_Deep/5_Trigword"), "LL367"),
    "an unknown flag": (put("additional_parameters", "--no_such_flag=1"), "LL305"),
    "a wrong type": (put("additional_parameters", "--max_train_epochs=two"), "LL305"),
    "a wrong choice": (put("additional_parameters", "--save_model_as=foo"), "LL305"),
    "a checkpoint that is missing": (put("pretrained_model_name_or_path", "no.ckpt"), "LL380"),
    "a VAE that is missing": (put("vae", "no.pt"), "LL381"),
    "weights that are missing": (put("network_weights", "no.safetensors"), "LL381"),
    "a state that is missing": (put("resume", "no-state"), "LL382"),
    "weights of another rank": (another_rank, "LL379"),
    "a text for a picture": (text_for_a_picture, "LL202"),
    "a picture of no bytes": (no_bytes, "LL202"),
    "a picture cut short": (cut, "LL202"),
    "a picture too large": (large, "LL369"),
    "a picture too small": (tiny, "LL370"),
    "an empty caption": (caption(b""), "LL372"),
    "a caption in Latin-1": (caption("für".encode("latin-1")), "LL259"),
    "captions of another kind": (captions_of_another_kind, "LL374"),
    "no resolution": (put("max_resolution", "none"), "LL377"),
    "saving every 0 epochs": (put("additional_parameters", "--save_every_n_epochs=0"), "LL376"),
    "a file that would be lost": (earlier_file, "LL385"),
    "another family": (put("sdxl", True), "LL384"),
    "no dataset config": (put("dataset_config", "no.toml"), "LL356"),
    "a dataset config with a typing error": (dataset("[[datasets"), "LL356"),
    "an unknown key in it": (dataset(ONE + "foo = 1"), "LL356"),
    "a wrong type in it": (dataset(ONE + 'num_repeats = "3"'), "LL356"),
    "a fraction in it": (dataset(ONE + "num_repeats = 3.5"), "LL356"),
    "a subset without a folder": (dataset("[[datasets]]\n[[datasets.subsets]]"), "LL356"),
    "a folder in it that is missing": (dataset(ONE.replace("HERE", "HERE-not")), "LL356"),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_code_cause_and_cure(
    desk: Desk, capsys: pytest.CaptureFixture[str], name: str
):
    arrange, wanted = ROWS[name]
    arrange(desk)
    code, findings = check(desk, capsys)
    assert code == 1
    errors = {one["code"]: one for one in findings if one["level"] == "error"}
    assert wanted in errors, findings
    assert errors[wanted]["problem"]
    assert errors[wanted]["cure"]
    assert wanted in TITLES
