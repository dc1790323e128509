"""The LoRA that a prompt names leads to the epochs beside its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.webui.grid import find_epochs
from kohya_ext.project import ToolError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs in sub-folders, a LoRA of one file, and one that is incomplete."""
    for epoch, name in ((1, "Quillfox-000001"), (2, "Quillfox-000002"), (3, "Quillfox")):
        save_lora(tmp_path / "mine", name, epoch=epoch, epochs=3)
    for epoch, name in ((1, "Heron-000001"), (2, "Heron")):
        save_lora(tmp_path / "birds [old]", name, epoch=epoch, output_name="Heron", session="9")
    save_lora(tmp_path, "Lantern", output_name="Lantern", session="777")
    broken = save_lora(tmp_path, "Broken", output_name="Broken", session="5")
    broken.write_bytes(broken.read_bytes()[:-4])
    return tmp_path


def names(prompt: str, folder: Path, lora: str = "") -> list[str]:
    return [one.name for one in find_epochs(prompt, [folder], lora).epochs]


def test_the_other_epochs_are_found_beside_the_file(folder: Path):
    expected = ["Quillfox-000001", "Quillfox-000002", "Quillfox"]
    assert names("a fox <lora:Quillfox-000002:0.8>", folder) == expected


def test_brackets_in_folder_names_do_not_matter(folder: Path):
    assert names("<lora:Heron-000001:1>", folder) == ["Heron-000001", "Heron"]


def test_the_output_name_stands_for_its_run(folder: Path):
    (folder / "mine" / "Quillfox.safetensors").unlink()
    assert names("<lora:Quillfox:1>", folder) == ["Quillfox-000001", "Quillfox-000002"]


def test_helpers_of_one_file_do_not_disturb(folder: Path):
    prompt = "<lora:Lantern:1> <lora:Quillfox:1> <lora:Quillfox:1>"
    assert names(prompt, folder)[-1] == "Quillfox"


def test_the_box_decides_between_two(folder: Path):
    prompt = "<lora:Quillfox:1> <lora:Heron:1>"
    assert names(prompt, folder, "Heron") == ["Heron-000001", "Heron"]


@pytest.mark.parametrize(
    ("prompt", "lora", "code", "says"),
    [
        ("a fox", "", "LL751", "The prompt names no LoRA."),
        ("<lora:Heron:1>", "Fox", "LL751", 'The prompt names no LoRA "Fox".'),
        ("<lora:Heron:1>", "F" * 101, "LL751", f'The prompt names no LoRA "{"F" * 100}...".'),
        ("<lora:quillfox:1>", "", "LL752", "is called quillfox"),
        ("<lora:Lantern:1>", "", "LL753", 'Only one epoch of "Lantern"'),
        ("<lora:Quillfox:1> <lora:Heron:1>", "", "LL754", "Quillfox, Heron"),
        ("<lora:Broken:1>", "", "LL131", "Broken.safetensors"),
    ],
    ids=["none", "not-that-one", "cut", "capitals", "one-epoch", "two-runs", "damaged"],
)
def test_what_cannot_be_compared_is_said(
    folder: Path, prompt: str, lora: str, code: str, says: str
):
    with pytest.raises(ToolError) as caught:
        find_epochs(prompt, [folder], lora)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../Quillfox", "/tmp/Quillfox", "..", "mine/Quillfox", "mine\\Quillfox", "a\0b"]
)
def test_a_name_is_no_way_out_of_the_folders(folder: Path, name: str):
    """Two runs lie beside the folder, one of them with a path as its output name."""
    inner = folder / "birds [old]"
    save_lora(folder, "Quillfox", output_name="../Quillfox")
    save_lora(folder, "Quillfox-000001", output_name="../Quillfox", epoch=2)
    with pytest.raises(ToolError) as caught:
        find_epochs(f"<lora:{name}:1>", [inner])
    assert caught.value.code == "LL752"
