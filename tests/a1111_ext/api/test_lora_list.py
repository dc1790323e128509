"""LoRAs read from the WebUI's folders are those that it lists itself."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.lora_list import list_lora_files, read_metadata
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError


def test_the_folder_and_the_api_agree(webui: SimulatedWebui, client: Client, monkeypatch):
    save_lora(webui.host.lora_dir, "fox-000001", output_name="fox")
    save_lora(webui.host.lora_dir / "deep" / "er", "狐", epoch=2)
    webui.host.refresh_loras()
    from_folder = fetch_capabilities(client).loras
    assert webui.host.counters.lora_listings == 0
    monkeypatch.setattr("a1111_ext.api.inventory.is_this_machine", lambda url: False)
    from_api = fetch_capabilities(client).loras
    assert webui.host.counters.lora_listings == 1
    assert {(one.name, one.alias, one.path) for one in from_folder} == {
        (one.name, one.alias, one.path) for one in from_api
    }


def test_of_two_stems_the_last_wins(tmp_path: Path):
    """In A1111's order: 10 comes after 9, and capitals do not count."""
    for folder in ("fox 9", "fox 10", "Ape"):
        save_lora(tmp_path / folder, "fox")
    save_lora(tmp_path / ".hidden", "secret")
    save_lora(tmp_path, ".dot")
    (tmp_path / "old.PT").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    there = [".dot.safetensors", "fox 10/fox.safetensors", "old.PT"]
    for with_hidden, hidden in ((True, [".hidden/secret.safetensors"]), (False, [])):
        files = list_lora_files([tmp_path], with_hidden=with_hidden)
        listed = sorted(one.relative_to(tmp_path).as_posix() for one in files)
        assert listed == sorted([*hidden, *there])
    assert read_metadata(tmp_path / "old.PT") == {}


def test_links_are_followed(tmp_path: Path):
    far = save_lora(tmp_path / "far", "fox")
    folder = tmp_path / "loras"
    folder.mkdir()
    link(folder / "linked", far.parent)
    link(folder / "hen.safetensors", far)
    names = [one.stem for one in list_lora_files([folder])]
    assert sorted(names) == ["fox", "hen"]


def test_a_link_to_nothing_is_refused(webui: SimulatedWebui, client: Client):
    """A WebUI lists it, and draws without it."""
    link(webui.host.lora_dir / "gone.safetensors", webui.host.lora_dir / "nowhere")
    found = fetch_capabilities(client)
    assert found.find_lora("gone") is not None
    with pytest.raises(ToolError, match=r"lists the LoRA gone, but its file is gone.*LL419"):
        found.require_lora("gone")


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("links need a right on Windows")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 4) + b"[1] ",
        struct.pack("<Q", 20) + b'{"__metadata__":12, ',
        struct.pack("<Q", 9) + b'{"a": {}}',
        struct.pack("<Q", 3) + b"\xff{}",
    ],
)
def test_damaged_files_have_no_metadata(tmp_path: Path, content: bytes):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert read_metadata(tmp_path / "x.safetensors") == {}


def test_metadata_need_not_come_first(tmp_path: Path):
    header = b'{"__metadata__":{"ss_epoch":"3"},"a":{}}'
    for number, raw in enumerate((header, b" " + header)):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(struct.pack("<Q", len(raw)) + raw)
        assert read_metadata(path) == {"ss_epoch": "3"}
