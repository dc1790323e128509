"""What a WebUI is and has, as its answers say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loras import save_tensors

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import ApiError, Client
from a1111_ext.api.inventory import fetch_capabilities, lora_folders_of
from a1111_ext.cells import Cell, pin_cell, with_loras
from a1111_ext.cells.cell import HiresFix
from a1111_ext.simulator.server import start_webui
from kohya_ext.project import ToolError


def fetched(folder: Path, **settings: object) -> Capabilities:
    with start_webui(folder, **settings) as webui, Client(webui.url) as client:
        return fetch_capabilities(client)


def test_a_fresh_webui_draws_with_its_first_checkpoint(tmp_path: Path):
    """Its options say null until the first picture, with --skip-load-model-at-start and without."""
    found = fetched(tmp_path, has_chosen=False)
    assert found.loaded == ""
    assert pin_cell(Cell("a fox", 1), found).checkpoint.title == "simulated-a.safetensors"


@pytest.mark.parametrize(("status", "fails", "waits"), [(500, 7, 7), (500, 8, 7), (401, 1, 0)])
def test_a_webui_that_is_starting_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, fails: int, waits: int
):
    """Forge answers some routes before it has what they tell of."""
    waited: list[float] = []
    answer = Client.get

    def get(client: Client, path: str, **more: Any) -> Any:
        if path == "/sdapi/v1/embeddings" and len(waited) < fails:
            raise ApiError("LL405", "refused", "", status)
        return answer(client, path, **more)

    monkeypatch.setattr(Client, "get", get)
    with start_webui(tmp_path) as webui, Client(webui.url) as client:
        if fails == waits:
            assert fetch_capabilities(client, sleep=waited.append).checkpoints
        else:
            with pytest.raises(ApiError, match="refused"):
                fetch_capabilities(client, sleep=waited.append)
    assert len(waited) == waits


def test_no_checkpoint_at_all_is_a_sentence(tmp_path: Path):
    found = replace(fetched(tmp_path, has_chosen=False), checkpoints=())
    with pytest.raises(ToolError, match=r"It has no checkpoint at all.*LL408"):
        found.require_checkpoint("")


def test_a_chosen_checkpoint_that_is_gone_is_named(tmp_path: Path):
    found = replace(fetched(tmp_path), loaded="gone.safetensors [0123456789]")
    with pytest.raises(ToolError, match=r'no checkpoint "gone\.safetensors'):
        found.require_checkpoint("")


def test_hires_fix_uses_the_hosts_own_upscaler(tmp_path: Path):
    """A1111 has latent ones; Forge Neo has none, and refuses theirs with an error 500."""
    found = fetched(tmp_path)
    neo = replace(found, upscalers=("None", "ESRGAN"))
    cell = Cell("a fox", 1, hires_fix=HiresFix(scale=1.5))
    for one, upscaler in ((found, "Latent"), (neo, "None")):
        hires = pin_cell(cell, one).hires_fix
        assert hires is not None
        assert hires.upscaler == upscaler


@pytest.mark.parametrize("word", ["Nose", "SwinIR 4x", "None4x"])
def test_none_is_never_what_was_meant(tmp_path: Path, word: str):
    found = fetched(tmp_path)
    with pytest.raises(ToolError, match=r"no upscaler.*LL410") as caught:
        found.require_names(sampler="Euler", scheduler="Karras", upscaler=word)
    assert "Did you mean None" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lanczos", "Lanczos"),
        ("LANCZOS", "Lanczos"),
        ("R-esrgan 4X+", "R-ESRGAN 4x"),
        ("none", "None"),
    ],
)
def test_a_name_that_is_close_is_offered(tmp_path: Path, word: str, meant: str):
    begin = r"^The WebUI at http://\S+ has no upscaler "
    with pytest.raises(ToolError, match=f"{begin}.*Did you mean {meant}"):
        fetched(tmp_path).require_names(sampler="Euler", scheduler="Karras", upscaler=word)


def test_all_lora_folders_of_the_host_are_known():
    """Forge Neo takes more of them with --lora-dirs, and lists what is in them."""
    flags = {"lora_dir": "/w/Lora", "lora_dirs": ["/more", "/w/Lora"], "lyco_dir_backcompat": None}
    assert lora_folders_of(flags) == [Path("/w/Lora"), Path("/more")]
    assert lora_folders_of({"lora_dir": "/w/Lora"}) == [Path("/w/Lora")]


OWN = {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": 768}
HELPERS = {
    "sdxl": {"lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_k.lora_down.weight": 640},
    "flux": {"lora_unet_double_blocks_0_img_mod_lin.lora_down.weight": 3072},
    "sd15": {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": 768},
    "sd15 or sd2": {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k.lora_down.weight": 320
    },
    "unknown": {"lora_unet_x.lora_down.weight": 4},
}


@pytest.mark.parametrize("helper", HELPERS)
def test_loras_for_different_models_in_one_prompt_are_refused(tmp_path: Path, helper: str):
    """The WebUI would draw with the one whose layers its checkpoint has, and answer 200."""
    found = fetched(tmp_path)
    folder = Path(found.lora_dir)
    for name, widths in {"Quillfox": OWN, "helper": HELPERS[helper]}.items():
        shapes = {layer: (4, width) for layer, width in widths.items()}
        save_tensors(folder / f"{name}.safetensors", shapes, {})
    found = fetched(tmp_path)
    cell = with_loras(Cell("<lora:Quillfox:1> a fox <lora:helper:0.5>", 1), {})
    if helper in ("sdxl", "flux"):
        with pytest.raises(ToolError, match=r"helper is a LoRA for .*Quillfox.*LL135"):
            pin_cell(cell, found)
    else:
        assert [use.name for use in pin_cell(cell, found).loras] == ["Quillfox", "helper"]
