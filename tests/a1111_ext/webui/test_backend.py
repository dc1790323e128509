"""Cells are drawn by the WebUI that we live in, and its settings are put back."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from a1111_ext.api.client import OutOfMemory
from a1111_ext.cells.backend import DrawingStopped
from a1111_ext.cells.cell import Cell, CheckpointPin, HiresFix
from a1111_ext.cells.verify import verify_picture
from a1111_ext.webui.backend import InProcessBackend, apply_cell, read_capabilities
from kohya_ext.project import ToolError

CELL = Cell("a fox", 5, width=64, height=72, steps=2, checkpoint=CheckpointPin("tiny-a"))


def backend(host: Any) -> InProcessBackend:
    @contextmanager
    def begin() -> Iterator[Any]:
        yield host.page()

    return InProcessBackend(begin)


@pytest.mark.parametrize(
    "cell",
    [
        CELL,
        replace(CELL, negative_prompt="a hat", clip_skip=2, scheduler="Karras"),
        replace(CELL, checkpoint=CheckpointPin("tiny-b"), vae="other.pt"),
        replace(CELL, hires_fix=HiresFix("Latent", 1.5, 0.4)),
    ],
    ids=["plain", "negative", "checkpoint", "hires"],
)
def test_what_was_asked_for_is_drawn(host: Any, cell: Cell):
    assert verify_picture(cell, backend(host).generate(cell)) == ()


def test_the_picture_carries_its_infotext(host: Any):
    from PIL import Image

    generated = backend(host).generate(CELL)
    with Image.open(io.BytesIO(generated.png)) as picture:
        assert picture.info["parameters"] == generated.infotext


@pytest.mark.parametrize("saved", [{}, {"CLIP_stop_at_last_layers": 1}], ids=["few", "saved"])
def test_no_setting_sticks(host: Any, saved: dict[str, Any]):
    """The host puts back only settings that its config.json holds."""
    host.shared.opts.data.update(saved)
    cell = replace(CELL, clip_skip=2, vae="other.pt", checkpoint=CheckpointPin("tiny-b"))
    backend(host).generate(cell)
    assert host.shared.opts.data == saved
    assert host.sd_vae._loaded[-1] == "Automatic"


def test_forge_is_reported_its_own_words(host: Any):
    """There a VAE is a module, and Hires. fix without a word on modules ends in an error 500."""
    p = host.page()
    apply_cell(p, replace(CELL, hires_fix=HiresFix("Latent", 1.5, 0.4)))
    assert not hasattr(p, "hr_cfg")
    p.hr_additional_modules, p.hr_cfg, p.hr_distilled_cfg = None, 1.0, 3.5
    apply_cell(p, replace(CELL, vae="other.pt", hires_fix=HiresFix("Latent", 1.5, 0.4)))
    assert p.override_settings["forge_additional_modules"] == ["other.pt"]
    assert "sd_vae" not in p.override_settings
    assert p.hr_additional_modules == ["Use same choices"]
    assert p.hr_cfg == CELL.cfg_scale  # its own default is 1
    distilled = replace(CELL, distilled_cfg_scale=9.0, hires_fix=HiresFix(cfg_scale=3.0))
    apply_cell(p, distilled)
    assert (p.hr_cfg, p.hr_distilled_cfg) == (3.0, 9.0)
    p.hr_additional_modules = ["mine.safetensors"]
    apply_cell(p, replace(CELL, hires_fix=HiresFix("Latent", 1.5, 0.4)))
    assert p.hr_additional_modules == ["mine.safetensors"]


def test_what_was_made_of_earlier_files_is_forgotten(host: Any, monkeypatch: pytest.MonkeyPatch):
    """The text encoder's last answers, and A1111's own store of files, go by names and times."""
    kinds = (
        host.processing.StableDiffusionProcessing,
        host.processing.StableDiffusionProcessingTxt2Img,
    )
    for kind, names in zip(kinds, (("cached_c", "cached_uc"), ("cached_hr_c",)), strict=True):
        for name in names:
            monkeypatch.setattr(kind, name, ["key", "conditions", "more"], raising=False)
    read_file = lru_cache(lambda name: name)
    read_file("fox")
    networks = SimpleNamespace(networks_in_memory={"fox": object()}, load_lora_state_dict=read_file)
    monkeypatch.setitem(sys.modules, "networks", networks)
    backend(host).forget_loras("tiny-a")
    assert networks.networks_in_memory == {}
    assert read_file.cache_info().currsize == 0
    assert kinds[0].cached_c == kinds[0].cached_uc == [None, None, None]
    assert kinds[1].cached_hr_c == [None, None, None]


def test_a_vae_is_read_again(host: Any):
    """A1111 lets go of the one that it has loaded, Forge of what it has made its model of."""
    known = host.sd_models.model_data
    backend(host).forget_vae("tiny-a")
    assert host.sd_vae._loaded == []  # no model is loaded yet
    known.sd_model = object()
    backend(host).forget_vae("tiny-a")
    assert host.sd_vae._loaded == [None]
    known.forge_hash = "{'additional_modules': ['/models/VAE/fox.safetensors']}"
    backend(host).forget_vae("tiny-a")
    assert (known.forge_hash, host.sd_vae._loaded) == ("", [None])


def test_a_clip_skip_of_2_0_is_healed(host: Any):
    """With it the host draws nothing, and it takes 2 for the same."""
    host.shared.opts.data["CLIP_stop_at_last_layers"] = 2.0
    cell = replace(CELL, clip_skip=2)
    assert verify_picture(cell, backend(host).generate(cell)) == ()
    assert repr(host.shared.opts.data) == "{'CLIP_stop_at_last_layers': 2}"


def test_forges_modules_are_known_by_their_names(monkeypatch: pytest.MonkeyPatch, host: Any):
    assert (read_capabilities().is_forge, read_capabilities().modules) == (False, None)
    entry = SimpleNamespace(module_list={"ae.safetensors": "/models/VAE/ae.safetensors"})
    monkeypatch.setitem(sys.modules, "modules_forge.main_entry", entry)
    found = read_capabilities()
    found.require_forge()
    assert found.require_module("ae") == "ae.safetensors"


def test_hashes_are_said_although_the_user_hid_them(host: Any):
    host.shared.opts.data["add_model_hash_to_info"] = False
    generated = backend(host).generate(CELL)
    assert "Model hash: " in generated.infotext
    assert host.shared.opts.data == {"add_model_hash_to_info": False}


def test_an_error_of_the_host_is_a_sentence(host: Any):
    def fail(p: Any) -> None:
        raise RuntimeError("tensors of two sizes")

    host.before_drawing(fail)
    with pytest.raises(ToolError, match="RuntimeError: tensors of two sizes") as caught:
        backend(host).generate(CELL)
    assert caught.value.code == "LL756"


def test_too_little_memory_is_reported_apart(host: Any):
    class OutOfMemoryError(RuntimeError):
        """What torch raises."""

    def fail(p: Any) -> None:
        raise OutOfMemoryError("CUDA out of memory")

    host.before_drawing(fail)
    with pytest.raises(OutOfMemory, match="LL407"):
        backend(host).generate(CELL)


def test_a_skipped_picture_is_not_kept(host: Any):
    host.before_drawing(lambda p: host.shared.state.skip())
    with pytest.raises(ToolError, match="It was skipped") as caught:
        backend(host).generate(CELL)
    assert caught.value.code == "LL757"


def test_interrupt_ends_the_run(host: Any):
    host.before_drawing(lambda p: host.shared.state.interrupt())
    with pytest.raises(DrawingStopped):
        backend(host).generate(CELL)


def test_nothing_is_drawn_after_interrupt(host: Any):
    host.shared.state.stop_generating()
    with pytest.raises(DrawingStopped):
        backend(host).generate(CELL)
    assert host.drawn == []


def test_a_host_without_a_picture_is_reported(host: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        host.processing,
        "process_images",
        lambda p: host.processing.Processed(p, [], infotexts=[]),
    )
    with pytest.raises(ToolError, match="LL451"):
        backend(host).generate(CELL)
