"""Promote, showcase, select, publish against a real WebUI, with whatever models it has.

It needs a WebUI on this machine with at least two epoch files of one training in its LoRA folder.
Small pictures of two steps; what is put into the LoRA folder is taken out again.
"""

from __future__ import annotations

import io
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from promotions import with_manifest

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import Client
from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.upscalers import RESIZES
from a1111_ext.cells import HttpBackend, Ledger
from a1111_ext.cells.verify import pixels_digest
from a1111_ext.publish.promoted import require_promoted
from a1111_ext.showcase.album import read_album
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError
from kohya_ext.project.epochs import EpochFile, read_epoch_file

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]

TEMPLATE = (
    "${framing={headshot|upper body|full body|close range}}{2::painted,|} {lora} photo of "
    "{trigger}, ${framing}, wearing {a {__coats/*__} coat|a hat <lora:HELPER:0.6>|3::moss}"
)


def epoch_files(capabilities: Capabilities) -> list[EpochFile]:
    """Return the files of one training that this WebUI has, or skip the check."""
    runs: dict[tuple[str, str], list[EpochFile]] = {}
    for one in capabilities.loras:
        path = Path(one.path)
        if not path.is_file() or path.suffix != ".safetensors":
            continue
        try:
            found = read_epoch_file(path)
        except ToolError:
            continue
        if found.epoch is not None:
            runs.setdefault((found.session_id, found.output_name), []).append(found)
    best = max(runs.values(), key=len, default=[])
    if len(best) < 2:
        pytest.skip("the WebUI has no two epoch files of one training in a folder of this machine")
    return sorted(best, key=lambda one: one.epoch or 0)


@dataclass(frozen=True)
class Stage:
    """A project on a live WebUI, with epoch files and a showcase template."""

    project: Project
    client: Client
    capabilities: Capabilities
    lora: str
    checkpoints: tuple[str, ...]

    def run(self, command: str, *words: str, code: int = 0) -> None:
        assert main([command, str(self.project.root), *words]) == code

    @property
    def webui(self) -> tuple[str, str]:
        return "--webui", self.client.url


@pytest.fixture
def stage(project: Project, live_webui: Client) -> Iterator[Stage]:
    capabilities = fetch_capabilities(live_webui)
    files = epoch_files(capabilities)
    project.model_dir.mkdir()
    for one in files:
        shutil.copyfile(one.path, project.model_dir / one.path.name)
    (project.root / "wildcards" / "coats").mkdir(parents=True)
    (project.root / "wildcards" / "coats" / "a.txt").write_text("woollen\nred\n", encoding="utf-8")
    checkpoints = tuple(one.title for one in capabilities.checkpoints[:2])
    text = {
        "template": TEMPLATE.replace("HELPER", files[0].name),
        "negative_prompt": "blurry, nude, child",
        "wildcards": "wildcards",
        "checkpoints": list(checkpoints),
        "count": 4,
        "lora_weight": 0.8,
        "hires_fix": {"scale": 1.5, "denoising_strength": 0.6, "steps": 1},
        "picture": {"width": 128, "height": 128, "steps": 2},
    }
    project = with_manifest(project, f"showcase: {json.dumps(text)}")
    picture = {"seeds": [5], "picture": text["picture"]}
    project = with_manifest(project, f"grid: {json.dumps(picture)}", section="grid")
    lora = f"loraloom-check-{secrets.token_hex(3)}-x"
    try:
        yield Stage(project, live_webui, capabilities, lora, checkpoints)
    finally:
        for path in Path(capabilities.lora_dir).rglob(f"{lora}.safetensors"):
            path.unlink()
        live_webui.post("/sdapi/v1/refresh-loras", seconds=120)


def test_linked_epochs_are_compared(stage: Stage):
    """Each with the hash that this WebUI writes, also where the files' headers hold none."""
    try:
        stage.run("grid", *stage.webui, "--axis", "VAE=None")
    finally:
        stage.run("link-loras", *stage.webui, "--remove")
    with Ledger(stage.project.cells_db, stage.project.cells_dir) as ledger:
        records = [ledger.record(key) for key in ledger.done_keys()]
    assert len(records) == 1 + len(list(stage.project.model_dir.iterdir()))
    for record in records:
        assert record is not None
        hashes = parse_infotext(record.infotext).lora_hashes()
        assert hashes == {one.name: one.hash for one in record.cell.loras}
        assert all(hashes.values())


def test_the_second_half_of_the_road(stage: Stage):
    settings = stage.client.get("/sdapi/v1/options")
    stage.run("promote", "2", stage.lora, *stage.webui)
    stage.run("showcase", "--dry-run")
    stage.run("showcase")
    project, promoted = stage.project, require_promoted(stage.project)
    album = read_album(project)
    assert len(album) == 4 * len(stage.checkpoints)
    for one in album:
        infotext = parse_infotext(read_infotext((project.showcase_dir / one.file).read_bytes()))
        assert infotext.lora_hashes()[stage.lora] == promoted.autov3
        assert infotext.fields["Model hash"] == one.checkpoint_sha256[:10]
        assert infotext.fields["Seed"] == str(one.seed)
        assert one.framing
    by_seed = {one.seed: [two for two in album if two.seed == one.seed] for one in album}
    assert any(len({one.prompt for one in same}) > 1 for same in by_seed.values())
    now = stage.client.get("/sdapi/v1/options")
    assert {key: now[key] for key in ("sd_model_checkpoint", "CLIP_stop_at_last_layers")} == {
        key: settings[key] for key in ("sd_model_checkpoint", "CLIP_stop_at_last_layers")
    }

    stage.run("select")
    stage.run("publish", code=3)  # no tagger looks at the pictures
    pack = project.publish_dir / stage.lora
    record = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
    assert (record["epochs"], record["autov3"]) == (2, promoted.autov3)
    for picture in (pack / "images").iterdir():
        assert promoted.autov3 in read_infotext(picture.read_bytes())


def test_a_picture_is_drawn_again_from_its_record(stage: Stage):
    """The cell of a landed picture, sent once more, gives the same pixels."""
    stage.run("promote", "1", stage.lora, *stage.webui)
    stage.run("showcase", "--count", "1", "--checkpoint", stage.checkpoints[-1])
    (one,) = read_album(stage.project)
    backend = HttpBackend(stage.client)
    with Ledger(stage.project.cells_db, stage.project.cells_dir) as ledger:
        record = ledger.record(one.key)
        assert record is not None
        generated = backend.generate(record.cell)
    backend.close()
    first = (stage.project.showcase_dir / one.file).read_bytes()
    assert pixels_digest(generated.png) == pixels_digest(first)
    assert generated.infotext == read_infotext(first)


def test_chosen_pictures_are_drawn_larger(stage: Stage):
    """With the upscaler of our choice, each from its own checkpoint; settings are put back."""
    names = ("sd_model_checkpoint", "upscaler_for_img2img", "CLIP_stop_at_last_layers")
    settings = {name: stage.client.get("/sdapi/v1/options").get(name) for name in names}
    stage.run("promote", "1", stage.lora, *stage.webui)
    stage.run("showcase", "--count", "1", "--no-hires-fix")
    small = read_album(stage.project)
    upscaler = next(one for one in RESIZES if one in stage.capabilities.upscalers)
    words = ("--scale", "1.5", "--upscaler", upscaler, "--denoising-strength", "0.6")
    stage.run("upscale", *(one.file for one in small), *words)
    larger = [one for one in read_album(stage.project) if one.upscaled_from]
    assert {one.upscaled_from for one in larger} == {one.file for one in small}
    by_file = {one.file: one for one in small}
    for one in larger:
        content = (stage.project.showcase_dir / one.file).read_bytes()
        fields = parse_infotext(read_infotext(content)).fields
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.size == (192, 192)
        assert fields["Model hash"] == by_file[one.upscaled_from].checkpoint_sha256[:10]
        assert fields["Denoising strength"] == "0.6"
    now = {name: stage.client.get("/sdapi/v1/options").get(name) for name in names}
    assert now == settings
    stage.run("select")
    stage.run("publish", code=3)  # no tagger looks at the pictures


def test_mistakes_are_noticed_before_the_first_picture(
    stage: Stage, capsys: pytest.CaptureFixture[str]
):
    stage.run("promote", "1", stage.lora, *stage.webui)
    root = str(stage.project.root)
    capsys.readouterr()
    for words, code in (
        (("--checkpoint", stage.checkpoints[0].upper()), "LL408"),
        (("--prompt", "{lora} {99999::a|<lora:nobody-has-this:1>}"), "LL614"),
        (("--prompt", "{lora} {99999::a|__nobody/has_this__}"), "LL613"),
    ):
        assert main(["showcase", root, *words]) == 1
        assert code in capsys.readouterr().err
    assert read_album(stage.project) == ()
