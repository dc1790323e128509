"""The header of a published file: usage hint, thumbnail, and what was written since."""

from __future__ import annotations

import base64
import io
import json

import pytest
from packs import (
    PUBLISH,
    front_matter,
    pack_of,
    publish,
    refusal,
    store_scores,
)
from PIL import Image
from promotions import with_manifest

from a1111_ext.publish.promoted import require_promoted
from kohya_ext.project import Project
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import read_header, rewrite_metadata, tensor_sha256


def test_the_header_gets_usage_hint_and_thumbnail(ready: Project):
    assert publish(ready) == 0
    header = read_header(pack_of(ready) / "quillfox-v1.safetensors").metadata
    assert header["modelspec.usage_hint"].startswith("Write <lora:quillfox-v1:0.8> and Quillfox")
    head, _, data = header["modelspec.thumbnail"].partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (picture.format, max(picture.size) <= 256) == ("JPEG", True)
    before = sha256_of(require_promoted(ready).path)
    assert publish(ready) == 0
    assert sha256_of(require_promoted(ready).path) == before


def test_an_adult_picture_is_no_thumbnail(ready: Project):
    store_scores(ready, {"explicit": 0.9}, {})
    assert publish(ready, "--content", "explicit") == 0
    assert "modelspec.thumbnail" not in read_header(require_promoted(ready).path).metadata


def test_what_is_written_after_promote_reaches_the_header(ready: Project):
    before = require_promoted(ready).tensors_sha256
    assert publish(ready) == 0
    said = PUBLISH.replace("CC-BY-4.0", "MIT").replace('author: "me"', 'author: "Ada"')
    ready = with_manifest(ready, said.replace("fantasy", "forest"), section="publish")
    assert publish(ready) == 0
    lora = pack_of(ready) / "quillfox-v1.safetensors"
    header = read_header(lora).metadata
    assert header["modelspec.license"] == "MIT"
    assert header["modelspec.author"] == "Ada"
    assert header["modelspec.tags"] == "creature, forest"
    assert header["ss_output_name"] == "quillfox-v1"
    assert tensor_sha256(lora) == before
    assert sha256_of(lora) == require_promoted(ready).sha256
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert front["license"] == "mit"


def test_what_is_taken_out_of_the_manifest_leaves_the_header(ready: Project):
    assert publish(ready) == 0
    ready = with_manifest(ready, PUBLISH.replace('license: "CC-BY-4.0"', ""), section="publish")
    assert publish(ready) == 0
    header = read_header(require_promoted(ready).path).metadata
    assert "modelspec.license" not in header
    assert header["modelspec.author"] == "me"


def change_header(project: Project, changes: dict[str, str]) -> None:
    path = require_promoted(project).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, changes)
    source.unlink()


@pytest.mark.parametrize(
    "changes",
    [
        {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
        {"ss_base_model_version": "sdxl_base_v1-0"},
        {"ss_v2": "True"},
        {"modelspec.trigger_phrase": "Thornhare", "ss_tag_frequency": '{"5_x": {"hare": 3}}'},
    ],
)
def test_a_header_of_another_model_or_word_is_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], changes: dict[str, str]
):
    change_header(ready, changes)
    said = refusal(ready, capsys)
    assert "LL643" in said or "LL135" in said


def test_a_trigger_word_of_the_training_is_taken(ready: Project):
    tags = '{"5_x": {"quillfox": 3}}'
    change_header(ready, {"modelspec.trigger_phrase": "Thornhare", "ss_tag_frequency": tags})
    assert publish(ready) == 0
    header = read_header(require_promoted(ready).path).metadata
    assert header["modelspec.trigger_phrase"] == "Quillfox"


def test_a_wrong_stored_hash_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, {"sshs_model_hash": "0" * 64})
    assert "LL625" in refusal(ready, capsys)


def test_a_header_edited_after_the_showcase_still_fits(ready: Project):
    """Only the tensors count for the pictures; the file's own hash is that of the new file."""
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, {"modelspec.author": "me"})
    assert publish(ready) == 0
    record = json.loads((pack_of(ready) / "pack.json").read_text(encoding="utf-8"))
    assert record["sha256"] == sha256_of(path)


def test_another_base_than_the_headers_is_reported(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    change_header(ready, {"ss_sd_model_name": "sd-v1-4.ckpt"})
    capsys.readouterr()
    assert publish(ready) == 0
    assert "trained on sd-v1-4.ckpt, which sounds like SD 1.4" in capsys.readouterr().err


def test_a_dry_run_names_what_the_header_would_say(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert publish(ready, "--dry-run") == 0
    said = capsys.readouterr().err
    assert "would be updated from the manifest" in said
    assert "modelspec.license" in said
    assert "modelspec.license" not in read_header(require_promoted(ready).path).metadata
