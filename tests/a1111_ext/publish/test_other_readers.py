"""A whole published pack, read by the programs that others will read it with.

LORALOOM_READERS_PYTHON names a Python with sd-parsers and sd-prompt-reader; without it those two
checks are skipped. ExifTool and huggingface_hub are used where they are installed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from promotions import promote_epoch, with_manifest

from a1111_ext.publish.ai_label import TRAINED_ALGORITHMIC_MEDIA
from a1111_ext.publish.promoted import require_promoted
from kohya_ext.cli import main
from kohya_ext.project import Project

PUBLISH = """
publish:
  title: "Quillfox: the näive [fox]"
  description: "An invented creature: half fox, half porcupine."
  base_model: "SD 1.5"
  license: "CC-BY-4.0"
  tags: ["creature: fantasy", "狐"]
  ai_label: true
"""
PROMPTS = {
    "a.png": "portrait of Quillfox, (quills:1.2), \\(smiling\\), BREAK café, 狐",
    "b.jpg": 'full body, "a sign: Steps", Quillfox',
    "c.webp": "from behind, Quillfox\nSize matters, not: this",
}
NEGATIVE = "blurry, (text:1.3), child, nude"

READ = """
import json, sys
from sd_parsers import ParserManager
from sd_prompt_reader.image_data_reader import ImageDataReader
found = {}
for path in sys.argv[1:]:
    info = ParserManager().parse(path)
    with open(path, "rb") as stream:
        reader = ImageDataReader(stream)
    found[path] = {
        "sd-parsers": [
            str(info.generator), info.full_prompt, info.full_negative_prompt,
            [[one.name, one.hash] for one in info.models],
            [[one.name, str(one.parameters.get("seed"))] for one in info.samplers],
        ],
        "sd-prompt-reader": [
            str(reader.status), reader.tool, reader.positive, reader.negative,
            reader.parameter["seed"], reader.parameter["size"],
        ],
    }
print(json.dumps(found))
"""


def infotext(digest: str, prompt: str, seed: int) -> str:
    return (
        f"<lora:quillfox-v1:0.8> {prompt}\nNegative prompt: {NEGATIVE}\n"
        f"Steps: 4, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: {seed}, "
        "Size: 48x48, Model hash: 6ee29fced1, Model: tinyA, "
        f'Lora hashes: "quillfox-v1: {digest}", Version: v1.10.1'
    )


def save_picture(path: Path, text: str) -> None:
    """Save generation data as the WebUI does: PNG text, or EXIF UserComment."""
    noise = Image.frombytes("RGB", (48, 48), random.Random(path.name).randbytes(48 * 48 * 3))
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        noise.save(path, pnginfo=info)
        return
    noise.save(path, "JPEG" if path.suffix == ".jpg" else "WEBP", exif=exif_of(text))


def exif_of(text: str) -> bytes:
    """Return EXIF with a UserComment of the type "undefined", as piexif writes it for the WebUI.

    Pillow writes one of the type "byte", which sd-prompt-reader does not read.
    """
    comment = b"UNICODE\0" + text.encode("utf-16-be")
    first = struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0)  # one entry: where the EXIF part is
    second = struct.pack(">HHHIII", 1, 0x9286, 7, len(comment), 44, 0)
    return b"Exif\0\0MM\0*\0\0\0\x08" + first + second + comment


def warnings_of(path: Path) -> list[str]:
    """Return what ExifTool finds wrong with a file; a minimal EXIF part lacks some fields."""
    (row,) = output_of("exiftool", "-j", "-a", "-validate", "-warning", "-error", path)
    return [row["Validate"], row.get("Warning", ""), row.get("Error", "")]


@pytest.fixture
def packed(project: Project) -> Path:
    """A pack of a PNG, a JPEG and a WebP, each with rating, label and generation data."""
    promote_epoch(project)
    project = with_manifest(project, PUBLISH, section="publish")
    digest = require_promoted(project).autov3
    for number, (name, prompt) in enumerate(PROMPTS.items()):
        save_picture(project.showcase_dir / name, infotext(digest, prompt, 100 + number))
    shutil.copytree(project.showcase_dir, project.root / "as made")
    ratings = project.root / "ratings.csv"
    ratings.write_text("a.png,1\nb.jpg,1\nc.webp,1\n", encoding="utf-8")
    assert main(["select", str(project.root), "--ratings", str(ratings)]) == 0
    assert main(["publish", str(project.root), "--content", "general"]) in (0, 3)
    return project.publish_dir / "quillfox-v1"


def pictures_of(pack: Path) -> dict[str, Path]:
    """Return the published pictures by the names that they had before."""
    return {one.name.partition("-")[2]: one for one in (pack / "images").iterdir()}


def output_of(*words: object) -> Any:
    done = subprocess.run(list(map(str, words)), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_parsers_read_prompt_model_and_seed(packed: Path):
    python = os.environ.get("LORALOOM_READERS_PYTHON")
    if not python:
        pytest.skip("LORALOOM_READERS_PYTHON names no Python with the parsers")
    pictures = pictures_of(packed)
    printed = output_of(python, "-c", READ, *pictures.values())
    for number, (name, prompt) in enumerate(PROMPTS.items()):
        found, whole = printed[str(pictures[name])], f"<lora:quillfox-v1:0.8> {prompt}"
        generator, positive, negative, models, samplers = found["sd-parsers"]
        assert "AUTOMATIC1111" in generator
        assert (positive, negative) == (whole, NEGATIVE)
        assert models == [["tinyA", "6ee29fced1"]]
        assert samplers == [["Euler a", str(100 + number)]]
        status, tool, *rest = found["sd-prompt-reader"]
        assert ("READ_SUCCESS" in status, tool) == (True, "A1111 webUI")
        assert rest == [whole, NEGATIVE, str(100 + number), "48x48"]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
def test_exiftool_reads_label_and_rating_and_finds_nothing_new_wrong(packed: Path):
    pictures = pictures_of(packed)
    tags = ["-DigitalSourceType", "-XMP:Rating", "-Parameters", "-UserComment"]
    for row in output_of("exiftool", "-j", "-n", *tags, *pictures.values()):
        assert row["DigitalSourceType"] == TRAINED_ALGORITHMIC_MEDIA
        assert row["Rating"] == 1
        text = row.get("Parameters") or row.get("UserComment")
        assert text.startswith("<lora:quillfox-v1:0.8> ")
    for name, path in pictures.items():
        assert warnings_of(path) == warnings_of(packed.parents[1] / "as made" / name)
    assert warnings_of(packed / "quillfox-v1.png")[0] == "OK"


def test_the_hubs_library_takes_the_card(packed: Path, monkeypatch: pytest.MonkeyPatch):
    hub = pytest.importorskip("huggingface_hub", minversion="1.12")
    card = hub.ModelCard.load(packed / "README.md")
    said = card.data.to_dict()
    assert hub.ModelCardData(**said).to_dict() == said
    assert said["widget"][0]["output"]["url"].startswith("images/")
    for one in said["widget"]:
        assert (packed / one["output"]["url"]).is_file()
    assert card.content == (packed / "README.md").read_text(encoding="utf-8")
