"""Pictures by hand are drawn larger from all that their text says, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from shown import copied, draw_showcase

from a1111_ext.api.capabilities import Capabilities, Checkpoint, Lora
from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.cells import Cell, Generated, verify_picture
from a1111_ext.cells.cell import CheckpointPin, FileUse, LoraUse
from a1111_ext.showcase.album import ShowPicture, read_album
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.redrawing import (
    as_drawn,
    cell_of_infotext,
    find_titles,
    require_same_files,
)
from a1111_ext.showcase.selection import SelectionOptions, plan_selection
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError
from kohya_ext.project.files import sha256_of

TEXT = """photo of Quillfox <lora:quillfox-v1:0.8>, river
Negative prompt: blurry
Steps: 24, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 77, Size: 512x768, \
Model hash: 0123456789, Model: second-model, VAE hash: ab12ab12ab, VAE: soft.vae.pt, \
Variation seed: 9, Variation seed strength: 0.2, Denoising strength: 0.35, Clip skip: 2, \
ENSD: 31337, RNG: CPU, Hires upscale: 1.5, Hires upscaler: Latent, \
Lora hashes: "quillfox-v1: 0123456789ab", \
Template: "a {b|c}", SGM noise multiplier: True, Version: v1.10.1"""


def cell_of(text: str) -> Cell:
    return cell_of_infotext("mine.png", parse_infotext(text))


def test_everything_in_the_text_is_asked_for():
    cell = cell_of(TEXT)
    assert (cell.sampler, cell.scheduler, cell.steps, cell.cfg_scale) == (
        "DPM++ 2M", "Karras", 24, 6.5
    )  # fmt: skip
    assert (cell.clip_skip, cell.subseed, cell.subseed_strength) == (2, 9, 0.2)
    assert (cell.vae, cell.vae_hash) == ("soft.vae.pt", "ab12ab12ab")
    assert cell.checkpoint == CheckpointPin("second-model")
    assert cell.loras == (LoraUse("quillfox-v1", "0.8", "0123456789ab"),)
    assert cell.override_settings == {
        "eta_noise_seed_delta": 31337,
        "randn_source": "CPU",
        "sgm_noise_multiplier": True,
    }


def test_settings_of_which_a_text_is_silent_have_their_usual_values():
    now = {"randn_source": "NV", "eta_noise_seed_delta": 5, "s_noise": 1.0, "tiling": None}
    here = replace(has(), settings={**now, "samples_format": "jpg"})
    assert as_drawn(cell_of(TEXT), here).override_settings == cell_of(TEXT).override_settings
    silent = cell_of(TEXT.replace("ENSD: 31337, RNG: CPU, ", ""))
    assert as_drawn(silent, here).override_settings == {
        "eta_noise_seed_delta": 0,
        "randn_source": "GPU",
        "sgm_noise_multiplier": True,
    }
    assert as_drawn(silent, has()) == silent


NEO = """a fox
Steps: 8, Sampler: Euler, Schedule type: Beta, CFG scale: 1.0, Shift: 9.0, Seed: 5, \
Size: 1024x1024, Model: z-image, Model hash: 0123456789, Module 1: qwen_3_4b, Module 2: ae, \
Diffusion in Low Bits: float8-e4m3fn, RNG: CPU, Beta schedule alpha: 0.6, \
Hires Module 1: Use same choices, Hires upscale: 1.5, Hires upscaler: None, \
Hires CFG Scale: 1.0, Hires Shift: 9.0, Original Size: 1024x1024, TI: FastNegative, \
Denoising strength: 0.3, Version: neo-2.26"""


def test_a_picture_of_forge_neo_is_asked_for_whole():
    cell = cell_of(NEO)
    assert (cell.modules, cell.distilled_cfg_scale, cell.vae) == (("qwen_3_4b", "ae"), 9.0, "")
    assert cell.override_settings == {
        "beta_dist_alpha": 0.6,
        "forge_unet_storage_dtype": "float8-e4m3fn",
        "randn_source": "CPU",
    }
    with pytest.raises(ToolError, match=r"cannot be repeated: MaHiRo: True"):
        cell_of(NEO.replace("RNG: CPU", "MaHiRo: True"))


def test_an_old_name_holds_sampler_and_schedule():
    text = TEXT.replace("DPM++ 2M, Schedule type: Karras", "DPM++ 2M Karras")
    cell = cell_of(text)
    assert (cell.sampler, cell.scheduler) == ("DPM++ 2M", "Karras")


@pytest.mark.parametrize(
    ("version", "vae"), [("v1.10.1", "None"), ("v1.5.2", ""), ("f2.0.1v1.10.1", ""), ("", "")]
)
def test_no_vae_in_the_text(version: str, vae: str):
    """Since v1.6 that means none; before, and in forks, nobody knows."""
    text = TEXT.replace("VAE hash: ab12ab12ab, VAE: soft.vae.pt, ", "")
    assert cell_of(text.replace("v1.10.1", version)).vae == vae


@pytest.mark.parametrize(
    ("found", "instead", "code"),
    [
        ("ENSD: 31337", "ControlNet 0: canny", "LL650"),
        ("ENSD: 31337", "Refiner: other [01234567]", "LL650"),
        ("ENSD: 31337", "Hires checkpoint: other", "LL650"),
        ("ENSD: 31337", "ADetailer model: face_yolov8n.pt", "LL650"),
        ("ENSD: 31337", "ENSD: many", "LL650"),
        ("Steps: 24", "Steps: some", "LL650"),
        ("CFG scale: 6.5", "CFG scale: high", "LL650"),
        ("Seed: 77", "Seed: x", "LL650"),
        (", river", ", <lora:detail:0.4> river", "LL651"),
        ("Model hash: 0123456789, Model: second-model, ", "", "LL652"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(found: str, instead: str, code: str):
    with pytest.raises(ToolError) as caught:
        cell_of(TEXT.replace(found, instead))
    assert caught.value.code == code
    assert "mine.png" in caught.value.problem


def has(lora_hash: str = "0123456789ab") -> Capabilities:
    return Capabilities(
        url="http://127.0.0.1:1",
        checkpoints=(
            Checkpoint("second-model.safetensors", "second-model", "ffff" * 16, ""),
            Checkpoint("b/renamed.safetensors", "b_renamed", "0123456789" + "0" * 54, ""),
        ),
        loaded="second-model.safetensors",
        samplers=("DPM++ 2M",),
        schedulers=("Karras",),
        upscalers=(),
        loras=(Lora("quillfox-v1", "quillfox-v1", lora_hash, ""),),
        scripts=(),
        lora_dir="",
        is_simulated=False,
        has_agent_scheduler=False,
        vaes=("soft.vae.pt", "sharp.safetensors"),
    )


def test_the_hash_finds_a_renamed_checkpoint():
    found = find_titles(cell_of(TEXT), "0123456789", has())
    assert found.checkpoint.title == "b/renamed.safetensors"
    assert found.vae == "soft.vae.pt"
    vae = replace(cell_of(TEXT), vae="sharp")
    assert find_titles(vae, "", has()).vae == "sharp.safetensors"


def test_another_lora_of_that_name_is_refused():
    before = cell_of(TEXT)
    assert require_same_files("mine.png", before, before, has()) == before
    other = replace(before, loras=(LoraUse("quillfox-v1", "0.8", "ffffffffffff"),))
    with pytest.raises(ToolError, match="LL653"):
        require_same_files("mine.png", before, other, has())
    unknown = replace(before, loras=(LoraUse("quillfox-v1", "0.8"),))
    assert require_same_files("mine.png", before, unknown, has()).loras == before.loras


def test_another_vae_of_that_name_is_refused(tmp_path: Path):
    """By its file: A1111 writes the hash of any VAE with a newer date, so that one says nothing."""
    paths = {name: tmp_path / name for name in ("soft.vae.pt", "sharp.safetensors")}
    for name, path in paths.items():
        path.write_text(name, encoding="utf-8")
    files = {"VAE": {name: str(path) for name, path in paths.items()}}
    here = replace(has(), files=files)
    digests = {name: sha256_of(path) for name, path in paths.items()}
    pinned = replace(cell_of(TEXT), loras=())
    pinned = replace(pinned, files=(FileUse("VAE", "soft.vae.pt", digests["soft.vae.pt"][:12]),))
    for digest in digests.values():
        before = replace(pinned, vae_hash=digest[:10])
        assert require_same_files("mine.png", before, pinned, here) == pinned
    with pytest.raises(ToolError, match=r"drawn with the VAE soft\.vae\.pt .*LL653"):
        require_same_files("mine.png", replace(pinned, vae_hash="0" * 10), pinned, here)


@pytest.mark.parametrize(("answered", "is_right"), [("ab12ab12ab", True), ("0000000000", False)])
def test_the_hash_of_a_vae_is_compared(answered: str, is_right: bool):
    cell = replace(cell_of(TEXT), loras=())
    text = TEXT.replace("VAE hash: ab12ab12ab", f"VAE hash: {answered}")
    found = {one.what for one in verify_picture(cell, Generated(b"", text, "", 0))}
    assert ("VAE hash" in found) is not is_right


def test_a_plain_cell_keeps_its_key():
    """A field that says nothing is no part of a request: older pictures stay known."""
    assert "vae_hash" not in Cell("a fox", 1).as_json()
    assert Cell("a fox", 1, vae_hash="ab").key != Cell("a fox", 1).key


# -- all the way --------------------------------------------------------------------------------

MANIFEST = """
showcase:
  template: "{lora} photo of {trigger}, {calm|smiling}"
  checkpoints: [simulated-a, simulated-b]
  count: 1
  picture: {width: 64, height: 72, steps: 2}
"""


@pytest.fixture(scope="module")
def first_shown(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_showcase(_first_project, tmp_path_factory.mktemp("shown"), MANIFEST)


@pytest.fixture
def shown(first_shown: Path, webui: SimulatedWebui, tmp_path: Path) -> Project:
    return copied(first_shown, tmp_path, webui.url)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_by_hand_is_drawn_larger(shown: Project, suffix: str):
    known = next(one for one in read_album(shown) if "simulated-b" in one.checkpoint)
    path = shown.showcase_dir / known.file
    text = read_infotext(path)
    (shown.showcase_dir / "pictures.jsonl").unlink()
    mine = shown.showcase_dir / f"mine{suffix}"
    if suffix == ".png":
        path.rename(mine)
    else:
        exif = Image.Exif()
        exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode("utf-16-be")}
        with Image.open(path) as picture:
            picture.convert("RGB").save(mine, exif=exif)
        path.unlink()
    assert main(["upscale", str(shown.root), mine.name, "--scale", "2"]) == 0
    large = next(one for one in read_album(shown) if one.upscaled_from)
    assert (large.upscaled_from, large.seed, large.prompt) == (mine.name, known.seed, known.prompt)
    drawn = parse_infotext(read_infotext(shown.showcase_dir / large.file))
    assert drawn.fields["Model"] == "simulated-b"
    assert drawn.lora_hashes() == parse_infotext(text).lora_hashes()


def pictures(*names: str, ignored: str = "") -> list[ShowPicture]:
    return [
        ShowPicture(f"{one}.png", 1, "a", "p", lora="fox", lora_hash="ab", ignored=ignored)
        for one in names
    ]


def test_a_picture_without_a_helper_lora_is_not_selected(project: Project):
    """The WebUI ignored its tag: the prompt would promise what the picture does not show."""
    album = pictures("a") + pictures("b", ignored="<lora:detail:0.4>")
    found = plan_selection(album, "fox", "ab", SelectionOptions())
    assert (found.files, found.left_out) == (
        ("a.png",),
        {"drawn without a LoRA of its prompt": 1},
    )
    rated = SelectionOptions(ratings={"b.png": Rating.SHOWCASE})
    with pytest.raises(ToolError, match=r"b\.png .*<lora:detail:0\.4>"):
        plan_selection(album, "fox", "ab", rated)


def test_ignored_loras_are_read_off_the_text(project: Project, tmp_path: Path):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("parameters", TEXT.replace(", river", ", <lora:detail:0.4> river"))
    project.showcase_dir.mkdir()
    Image.new("RGB", (8, 8)).save(project.showcase_dir / "mine.png", pnginfo=text)
    (mine,) = read_album(project)
    assert (mine.lora, mine.ignored) == ("quillfox-v1", "<lora:detail:0.4>")
    assert json.loads(json.dumps(mine.as_dict()))["ignored"] == mine.ignored
