"""Tags that a WebUI takes out of a prompt and draws without, with status 200."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from a1111_ext.api.capabilities import AlwaysOn, Capabilities, Lora
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.lora_tags import tags_not_read
from a1111_ext.cells import Cell, pin_cell, with_loras
from a1111_ext.cells.cell import HiresFix, ScriptUse
from a1111_ext.simulator import start_webui
from a1111_ext.simulator.reforge import SimulatedReforge
from kohya_ext.project import InputError

ALWAYS_ON = (AlwaysOn("adetailer", 4),)


@pytest.fixture
def has(client: Client) -> Capabilities:
    return fetch_capabilities(client)


@pytest.mark.parametrize(
    ("prompt", "negative", "tags"),
    [
        ("a fox <lora:fox:1>", "", []),
        ("a fox <lora:fox>", "", []),
        ("a <hypernet:moss:0.5> fox", "", []),
        ("a fox <3, <b> and <wildcard:x>", "", []),
        ("a fox <Lora:fox:1>", "", ["<Lora:fox:1>"]),
        ("a fox <LORA:fox:1>, <lora:hen:1>", "", ["<LORA:fox:1>"]),
        ("a fox < lora:fox:1>", "", ["< lora:fox:1>"]),
        ("a fox <lora:fox:1", "", ["<lora:fox:1"]),
        ("a fox <lyco:fox:1>", "", []),
        ("a fox <hypernet:mos:1>", "", ["<hypernet:mos:1>"]),
        ("a fox", "<lora:fox:1>, blurry", ["<lora:fox:1>"]),
    ],
)
def test_tags_without_effect_are_found(prompt: str, negative: str, tags: list[str]):
    assert [tag for tag, _ in tags_not_read(prompt, negative, ("moss",))] == tags


def test_forge_does_not_know_lyco():
    (found,) = tags_not_read("a fox <lyco:fox:1> <lora:hen:1>", "", is_forge=True)
    assert found[0] == "<lyco:fox:1>"


def test_a_webui_without_hypernetworks_reads_none_of_them(has: Capabilities):
    assert has.hypernetworks is None
    cell = Cell("a <hypernet:moss:0.5> fox", 1, sampler="Euler a")
    pin_cell(cell, replace(has, hypernetworks=("moss",)))
    with pytest.raises(
        InputError, match=r"<hypernet:moss:0\.5>, without .*no hypernetwork of that name.*LL424"
    ):
        pin_cell(cell, replace(has, hypernetworks=("hen",)))
    with pytest.raises(InputError, match=r"it draws without hypernetworks.*LL424"):
        pin_cell(cell, has)


def test_reforge_lists_hypernetworks_and_draws_with_none(tmp_path: Path):
    with start_webui(tmp_path, kind=SimulatedReforge) as webui, Client(webui.url) as client:
        folder = webui.host.folder / "models" / "hypernetworks"
        folder.mkdir(parents=True)
        (folder / "moss.pt").write_text("moss", encoding="utf-8")
        assert client.get("/sdapi/v1/hypernetworks")
        assert fetch_capabilities(client).hypernetworks is None


def test_a_detector_that_adetailer_lacks_is_refused(has: Capabilities):
    """It says so in its own window only, and writes into the text that it was used."""
    cell = Cell("a fox", 1, sampler="Euler a")
    asked = '[true, false, {"ad_model": "face_yolov8n.pt"}, {"ad_model": "None"}]'
    cell = replace(cell, scripts=(ScriptUse("ADetailer", asked),))
    here = replace(has, detectors=("face_yolov8n.pt",), always_on=ALWAYS_ON)
    pin_cell(cell, here)
    pin_cell(cell, replace(here, detectors=None))
    with pytest.raises(InputError, match=r'no detector model "face_yolov8n\.pt"; it would'):
        pin_cell(cell, replace(here, detectors=("hand_yolov8n.pt",)))
    off = replace(cell, scripts=(ScriptUse("ADetailer", asked.replace("true", "false", 1)),))
    pin_cell(off, replace(here, detectors=()))


@pytest.mark.parametrize("changes", [{"sampler": "Eular"}, {"scheduler": "Karas"}])
def test_the_second_pass_has_a_sampler_that_is_there(has: Capabilities, changes: dict[str, str]):
    hires = HiresFix("Latent", **changes)  # type: ignore[arg-type]  # texts both
    with pytest.raises(InputError, match=r"has no (sampling method|schedule type)"):
        pin_cell(Cell("a fox", 1, sampler="Euler a", hires_fix=hires), has)


def test_a_lora_whose_use_would_leave_no_trace_is_refused(has: Capabilities):
    """A1111 and Forge leave files without a hash out of the list of those that they used."""
    plain = Lora("fox", "fox", "", "/models/fox.safetensors")
    silent = replace(has, hashes_files=False, loras=(plain, replace(plain, name="hen", hash="ab")))
    cell = with_loras(Cell("<lora:hen:1>", 1, sampler="Euler a"), {})
    pin_cell(cell, silent)
    with pytest.raises(InputError, match=r"--no-hashing and fox has no hash.*LL425"):
        pin_cell(with_loras(replace(cell, prompt="<lora:fox:1>"), {}), silent)
    with pytest.raises(InputError, match=r"no hypernetwork of that name"):
        pin_cell(replace(cell, prompt="<hypernet:hen:1>"), replace(has, hypernetworks=("fox",)))
