"""The label "made with AI": in every kind of file, with all else as it was."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from a1111_ext.api.infotext import read_infotext
from a1111_ext.publish import ai_label
from a1111_ext.publish.ai_label import TRAINED_ALGORITHMIC_MEDIA, source_type, write_labelled
from kohya_ext.project import ToolError
from kohya_ext.project.pictures.metadata import png_chunks, read_metadata, with_xmp
from kohya_ext.project.pictures.xmp import find_rating, new_packet

TEXT = 'a fox "é" 狐\nNegative prompt: blurry\nSteps: 4, Sampler: Euler a, Seed: 12, Size: 64x64'


def save(path: Path, form: str, mode: str = "RGB") -> Path:
    """Save a picture with generation data as the WebUI does: PNG text, or EXIF UserComment."""
    picture = Image.effect_noise((48, 48), 60).convert(mode)
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", TEXT)
        picture.save(path, form, pnginfo=info)
        return path
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + TEXT.encode("utf-16-be")}
    picture.save(path, form, exif=exif.tobytes())
    return path


KINDS = [("a.png", "PNG", "RGB"), ("a.jpg", "JPEG", "RGB"), ("a.webp", "WEBP", "RGBA")]


@pytest.mark.parametrize(("name", "form", "mode"), KINDS, ids=["png", "jpeg", "webp"])
def test_the_label_is_there_and_nothing_is_lost(tmp_path: Path, name: str, form: str, mode: str):
    source = save(tmp_path / name, form, mode)
    before = source.read_bytes()
    target = tmp_path / f"labelled-{name}"
    write_labelled(source, target, (), {})
    assert source_type(target) == TRAINED_ALGORITHMIC_MEDIA
    assert read_infotext(target) == read_infotext(source) == TEXT
    assert source.read_bytes() == before
    with Image.open(source) as one, Image.open(target) as other:
        assert one.tobytes() == other.tobytes()


def test_only_the_packet_is_new_in_a_png(tmp_path: Path):
    source = save(tmp_path / "a.png", "PNG")
    write_labelled(source, tmp_path / "b.png", (), {})

    def parts(path: Path) -> list[bytes]:
        data = path.read_bytes()
        return [data[one.start : one.end] for one in png_chunks(data) if one.name != b"iTXt"]

    assert parts(source) == parts(tmp_path / "b.png")


def test_a_rating_in_the_packet_stays(tmp_path: Path):
    source = save(tmp_path / "a.png", "PNG")
    source.write_bytes(with_xmp(source.read_bytes(), new_packet(2)))
    write_labelled(source, tmp_path / "b.png", (), {})
    packet = read_metadata(tmp_path / "b.png").xmp
    assert packet is not None
    assert find_rating(packet) == 2
    assert source_type(tmp_path / "b.png") == TRAINED_ALGORITHMIC_MEDIA


def test_another_source_type_is_corrected(tmp_path: Path):
    source = save(tmp_path / "a.png", "PNG")
    write_labelled(source, tmp_path / "b.png", (), {})
    said = (tmp_path / "b.png").read_bytes().replace(b"trainedAlgorithmicMedia", b"digitalCapture")
    packet = read_metadata(tmp_path / "b.png").xmp
    assert packet is not None
    other = packet.replace(b"trainedAlgorithmicMedia", b"digitalCapture")
    assert said
    source.write_bytes(with_xmp(source.read_bytes(), other))
    assert source_type(source).endswith("digitalCapture")
    write_labelled(source, tmp_path / "c.png", (), {})
    assert source_type(tmp_path / "c.png") == TRAINED_ALGORITHMIC_MEDIA


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
@pytest.mark.parametrize(("name", "form", "mode"), KINDS, ids=["png", "jpeg", "webp"])
def test_exiftool_reads_it(tmp_path: Path, name: str, form: str, mode: str):
    save(tmp_path / name, form, mode)
    target = tmp_path / f"labelled-{name}"
    write_labelled(tmp_path / name, target, (), {})
    tags = ["-validate", "-warning", "-error", "-a", "-DigitalSourceType"]
    done = subprocess.run(
        ["exiftool", "-j", "-n", *tags, str(target)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    (found,) = json.loads(done.stdout)
    assert found["DigitalSourceType"] == TRAINED_ALGORITHMIC_MEDIA
    assert "Error" not in found


def test_a_file_that_holds_no_label_is_refused(tmp_path: Path):
    path = tmp_path / "a.gif"
    Image.new("P", (8, 8)).save(path)
    with pytest.raises(ToolError, match=r"a\.gif cannot be labelled.*LL672"):
        write_labelled(path, tmp_path / "b.gif", (), {})


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ToolError, match=r"a\.png cannot be read: .*LL104"):
        write_labelled(tmp_path / "a.png", tmp_path / "b.png", (), {})


def test_plug_ins_sign_the_labelled_copy(tmp_path: Path):
    source, seen = save(tmp_path / "a.png", "PNG"), []

    def sign(path: Path, facts: object) -> None:
        seen.append((source_type(path), facts))

    write_labelled(source, tmp_path / "b.png", (sign,), {"name": "x"})
    assert seen == [(TRAINED_ALGORITHMIC_MEDIA, {"name": "x"})]


def _strip(path: Path, facts: object) -> None:
    with Image.open(path) as picture:
        stream = io.BytesIO()
        picture.save(stream, "PNG")
    path.write_bytes(stream.getvalue())


def _unlabel(path: Path, facts: object) -> None:
    path.write_bytes(with_xmp(path.read_bytes(), new_packet(2)))


def _cut(path: Path, facts: object) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("sign", "lost"),
    [
        (_strip, "its generation data"),
        (_unlabel, "its label"),
        (_cut, "its generation data"),
    ],
)
def test_a_plug_in_that_loses_something_is_noticed(
    tmp_path: Path, sign: Callable[[Path, object], None], lost: str
):
    source = save(tmp_path / "a.png", "PNG")
    with pytest.raises(ToolError, match=f"lost {lost}.*LL673"):
        write_labelled(source, tmp_path / "b.png", (sign,), {})


def test_no_plug_in_is_no_error():
    assert ai_label.load_signers() == ()
