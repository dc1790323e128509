"""A WebUI forgets LoRA files by a small picture with empty ones, and keeps none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from a1111_ext.api.capabilities import Checkpoint
from a1111_ext.api.client import ApiError, Client
from a1111_ext.api.forgetting import forget_checkpoint, forget_loras, forget_vae
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.lora_tags import lora_tags
from a1111_ext.simulator import SimulatedWebui
from a1111_ext.simulator.refusal import HttpRefusal
from kohya_ext.project.lora_file import read_header


def test_five_empty_files_take_the_place_of_others(webui: SimulatedWebui, client: Client):
    seen: list[dict[str, Any]] = []

    def look(body: dict[str, Any]) -> None:
        names = [one.name for one in lora_tags(body["prompt"])]
        for name in names:
            read_header(webui.host.lora_dir / f"{name}.safetensors")
        assert set(names) <= set(webui.host._listed)
        seen.append(body)

    before = sorted(webui.host.lora_dir.rglob("*"))
    webui.host.faults.before = look
    forget_loras(client, "simulated-b")
    (body,) = seen
    assert body["override_settings"] == {"sd_model_checkpoint": "simulated-b"}
    assert len(lora_tags(body["prompt"])) == 5
    assert body["enable_hr"] is True
    assert body["cfg_scale"] > 1  # with 1 Forge Neo leaves the negative prompt out, and keeps it
    assert sorted(webui.host.lora_dir.rglob("*")) == before
    assert not [name for name in webui.host._listed if name.startswith("loraloom-")]


def test_a_webui_elsewhere_is_asked_without_them(
    webui: SimulatedWebui, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("a1111_ext.api.forgetting.is_this_machine", lambda url: False)
    seen: list[dict[str, Any]] = []
    webui.host.faults.before = seen.append
    forget_loras(client)
    assert [one["prompt"] for one in seen] == [""]


@pytest.mark.parametrize(
    ("encoders", "settings"),
    [
        (None, {"sd_vae": "None", "add_vae_name_to_info": True}),
        (("clip.safetensors",), {"forge_additional_modules": ["clip.safetensors"]}),
    ],
    ids=["A1111", "Forge"],
)
def test_a_picture_without_a_vae_lets_go_of_the_loaded_one(
    webui: SimulatedWebui, client: Client, encoders: Any, settings: Any
):
    seen: list[dict[str, Any]] = []

    def look(body: dict[str, Any]) -> None:
        seen.append(body)
        raise HttpRefusal(500, "AssertionError", "You do not have VAE state dict!")

    webui.host.faults.before = look
    forget_vae(client, "simulated-b", encoders)
    assert seen[0]["override_settings"] == {"sd_model_checkpoint": "simulated-b", **settings}
    with pytest.raises(ApiError), Client("http://127.0.0.1:1") as nobody:
        forget_vae(nobody)


def test_a_webui_that_cannot_draw_now_is_no_error(webui: SimulatedWebui, client: Client, caplog):
    def refuse(body: dict[str, Any]) -> None:
        raise HttpRefusal(500, "RuntimeError", "no checkpoint")

    webui.host.faults.before = refuse
    forget_loras(client)
    assert "forgot no LoRAs" in caplog.text
    assert not list(webui.host.lora_dir.glob("loraloom-*"))
    with pytest.raises(ApiError), Client("http://127.0.0.1:1") as nobody:
        forget_loras(nobody)


def test_another_checkpoint_is_one_that_it_is_likely_to_load(webui: SimulatedWebui, client: Client):
    """Its list may have a VAE or a LoRA that somebody put there: that cannot be drawn with."""
    found = fetch_capabilities(client)
    ours, other = found.checkpoints
    files = {}
    for name, size in (("ours", 1000), ("vae", 10), ("other", 900), ("flux", 9000)):
        files[name] = webui.host.folder / name
        files[name].write_bytes(bytes(size))
    listed = [replace(ours, path=str(files["ours"])), replace(other, path=str(files["other"]))]
    for name in ("vae", "flux"):
        listed.insert(0, Checkpoint(name, name, "", str(files[name])))
    asked = []

    def refuse(body: dict[str, Any]) -> None:
        asked.append(body["override_settings"]["sd_model_checkpoint"])
        raise HttpRefusal(500, "OSError", "no such model")

    forget_checkpoint(client, replace(found, checkpoints=tuple(listed)), ours.title)
    assert webui.host._loaded == other.name
    webui.host.faults.before = refuse
    assert not forget_checkpoint(client, replace(found, checkpoints=tuple(listed)), ours.title)
    assert asked == [other.title, "vae", "flux"]
