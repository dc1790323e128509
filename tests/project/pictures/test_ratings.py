"""Ratings of viewers are read from wherever they write them, and written back alone."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from kohya_ext.project import ToolError
from kohya_ext.project.pictures.identity import key_of
from kohya_ext.project.pictures.metadata import read_metadata, with_xmp
from kohya_ext.project.pictures.ratings import read_rating, write_rating
from kohya_ext.project.pictures.tiff_tags import TiffTags
from kohya_ext.project.pictures.xmp import find_rating, new_packet, rating_of_percent, with_rating

FORMS = {
    "grey.jpg": {},
    "plain.png": {},
    "lossless.webp": {"lossless": True},
    "lossy.webp": {},
    "clear.webp": {"lossless": True},
    "plain.tif": {},
    "packed.tiff": {"compression": "tiff_deflate"},
    "large.tif": {"big_tiff": True},
}
MINE = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='{rdf}'>{inner}</r:RDF></x:xmpmeta>"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XAP = 'xmlns:a="http://ns.adobe.com/xap/1.0/"'
PHOTO = 'xmlns:m="http://ns.microsoft.com/photo/1.0/"'
ACDSEE = 'xmlns:c="http://ns.acdsee.com/iptc/1.0/"'


def packet(inner: str) -> bytes:
    return MINE.format(rdf=RDF, inner=inner).encode("utf-8")


def draw(path: Path, **options: object) -> Path:
    picture = Image.effect_noise((31, 20), 80).convert("RGB")
    if path.name == "clear.webp":
        picture.putalpha(Image.effect_noise((31, 20), 80))
    picture.save(path, **options)
    return path


@pytest.fixture(params=FORMS)
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return draw(tmp_path / request.param, **FORMS[request.param])


def with_exif(path: Path, tags: dict[int, int]) -> Path:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    with Image.open(path) as opened:
        opened.load()
    opened.save(path, exif=exif)
    return path


def rating_of(path: Path) -> int | None:
    found = read_rating(path)
    return found.rating if found else None


def test_an_unrated_picture_says_nothing(picture: Path):
    assert rating_of(picture) is None


@pytest.mark.parametrize("rating", [-1, 0, 1, 5])
def test_a_written_rating_is_read_again(picture: Path, rating: int):
    with Image.open(picture) as opened:
        before = opened.convert("RGBA")
    key = key_of(picture.read_bytes())
    assert write_rating(picture, rating) == (picture,)
    assert rating_of(picture) == rating
    assert write_rating(picture, rating) == ()
    assert write_rating(picture, 3) == (picture,)
    assert rating_of(picture) == 3
    with Image.open(picture) as opened:
        assert ImageChops.difference(before, opened.convert("RGBA")).getbbox() is None
    assert key_of(picture.read_bytes()) == key
    assert [one.name for one in picture.parent.iterdir()] == [picture.name]


def test_other_metadata_stay_byte_for_byte(picture: Path):
    packet_bytes = packet(
        f'<r:Description r:about="" {XAP} a:CreatorTool="A viewer"><a:Label>red</a:Label>'
        f"</r:Description>"
    )
    picture.write_bytes(with_xmp(picture.read_bytes(), packet_bytes))
    before = read_metadata(picture)
    write_rating(picture, 4)
    after = read_metadata(picture)
    assert after.xmp is not None
    assert b'a:CreatorTool="A viewer"' in after.xmp
    assert b"<a:Label>red</a:Label>" in after.xmp
    if picture.suffix in (".jpg", ".png", ".webp"):
        assert after.exif == before.exif


@pytest.mark.parametrize(
    ("inner", "rating"),
    [
        (f'<r:Description {XAP} a:Rating="2"/>', 2),
        (f"<r:Description {XAP} a:Rating='-1'/>", -1),
        (f"<r:Description {XAP}><a:Rating>5</a:Rating></r:Description>", 5),
        (f'<r:Description {XAP} a:Rating=" 3.0 "/>', 3),
        (f'<r:Description {XAP} a:Rating="9"/>', 5),
        (f'<r:Description {XAP} a:Rating="many"/>', None),
        (f'<r:Description {PHOTO} m:Rating="25"/>', 2),
        (f'<r:Description {PHOTO} {XAP} m:Rating="99" a:Rating="1"/>', 1),
        (f"<r:Description {ACDSEE}><c:rating>3</c:rating></r:Description>", 3),
        (f'<r:Description {ACDSEE} {PHOTO} c:rating="1" m:Rating="99"/>', 1),
        (f'<r:Description {ACDSEE} {XAP} c:rating="3" a:Rating="2"/>', 2),
        ('<r:Description xmlns:xmp="urn:other" xmp:Rating="4"/>', None),
        ("", None),
    ],
)
def test_a_rating_is_known_by_its_namespace(inner: str, rating: int | None):
    assert find_rating(packet(inner)) == rating
    assert find_rating(with_rating(packet(inner), 4)) == 4


def test_every_rating_of_a_packet_follows():
    inner = f'<r:Description {ACDSEE} {PHOTO} {XAP} c:rating="1" m:Rating="1" a:Rating="1"/>'
    text = with_rating(packet(inner), 4).decode("utf-8")
    assert 'c:rating="4" m:Rating="75" a:Rating="4"' in text
    assert 'c:rating="0"' in with_rating(packet(inner), -1).decode("utf-8")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_wide_letters_are_read(encoding: str):
    text = packet(f'<r:Description {XAP} a:Rating="2"/>').decode("utf-8")
    wide = text.encode(encoding)
    assert find_rating(wide) == 2
    assert find_rating(with_rating(wide, 1)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"<", b"\xff\xfe\x00", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", b"x" * 99]
)
def test_a_damaged_packet_says_nothing(content: bytes):
    assert find_rating(content) is None
    with pytest.raises(ValueError):
        with_rating(content, 1)


def test_the_padding_takes_what_is_added():
    padded = packet("<r:Description/>") + b" " * 400 + b"\n<?xpacket end='w'?>"
    made = with_rating(padded, 1)
    assert len(made) == len(padded)
    assert len(with_rating(made, -1)) == len(padded)


@pytest.mark.parametrize(
    ("percent", "stars"), [(0, 0), (1, 1), (20, 2), (25, 2), (50, 3), (75, 4), (99, 5), (100, 5)]
)
def test_percents_are_stars(percent: int, stars: int):
    assert rating_of_percent(percent) == stars


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize(
    ("tags", "rating"), [({0x4746: 3}, 3), ({0x4749: 75}, 4), ({0x0112: 1}, None)]
)
def test_exif_ratings_are_read_and_kept_in_step(
    tmp_path: Path, name: str, tags: dict[int, int], rating: int | None
):
    path = with_exif(draw(tmp_path / name), tags)
    assert rating_of(path) == rating
    write_rating(path, 1)
    with Image.open(path) as opened:
        written = opened.getexif()
    assert {tag: written[tag] for tag in tags} == {
        tag: {0x4746: 1, 0x4749: 1}.get(tag, value) for tag, value in tags.items()
    }
    assert rating_of(path) == 1


def with_raw_exif(path: Path, chunk: bytes, kind: str, tag: int, value: int) -> Path:
    """Write EXIF as exiv2 and ImageMagick do into a PNG: hex digits in a text."""
    exif = Image.Exif()
    exif[tag] = value
    content = exif.tobytes()
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{kind}\n{len(content):8}\n{lines}\n".encode("ascii")
    packed = b"\0" + zlib.compress(text) if chunk == b"zTXt" else text
    body = f"Raw profile type {kind}".encode("ascii") + b"\0" + packed
    made = struct.pack(">I", len(body)) + chunk + body
    made += struct.pack(">I", zlib.crc32(chunk + body))
    data = draw(path).read_bytes()
    path.write_bytes(data[:33] + made + data[33:])  # after the header
    return path


@pytest.mark.parametrize("chunk", [b"zTXt", b"tEXt"])
@pytest.mark.parametrize("kind", ["exif", "APP1"])
@pytest.mark.parametrize(
    ("tag", "value", "rating", "later"), [(0x4746, 2, 2, 4), (0x4749, 25, 2, 75)]
)
def test_exif_in_a_text_of_a_png_is_read_and_kept_in_step(
    tmp_path: Path, chunk: bytes, kind: str, tag: int, value: int, rating: int, later: int
):
    path = with_raw_exif(tmp_path / "raw.png", chunk, kind, tag, value)
    pixels = Image.open(path).tobytes()
    assert rating_of(path) == rating
    write_rating(path, 4)
    assert rating_of(path) == 4
    exif = read_metadata(path).exif
    assert exif is not None
    assert TiffTags(exif).find_number(tag) == later
    with Image.open(path) as opened:
        assert kind == "APP1" or opened.getexif()[tag] == later
        assert opened.tobytes() == pixels


@pytest.mark.parametrize("text", [b"", b"\nexif\n", b"\nexif\n 4\nzz", b"\nexif\n 3\n123"])
def test_a_damaged_text_of_a_png_says_nothing(tmp_path: Path, text: bytes):
    path = draw(tmp_path / "raw.png")
    data = path.read_bytes()
    for chunk, body in ((b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text)), (b"zTXt", text)):
        body = b"Raw profile type exif\0" + body
        made = struct.pack(">I", len(body)) + chunk + body
        made += struct.pack(">I", zlib.crc32(chunk + body))
        path.write_bytes(data[:33] + made + data[33:])
        assert rating_of(path) is None
        write_rating(path, 3)
        assert rating_of(path) == 3


@pytest.mark.parametrize("is_beside", [True, False])
def test_geeqies_own_files_are_read_and_kept_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_beside: bool
):
    """It keeps ratings in the user's data folder unless told to write into pictures."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = draw(tmp_path / "fox.v1.jpg")
    elsewhere = tmp_path / "data" / "geeqie" / "metadata" / tmp_path.relative_to(tmp_path.anchor)
    place = tmp_path / ".metadata" if is_beside else elsewhere
    place.mkdir(parents=True)
    (place / "fox.v1.jpg.gq.xmp").write_bytes(new_packet(3))
    (place / "other.jpg.gq.xmp").write_bytes(new_packet(5))
    assert rating_of(path) == 3
    assert len(write_rating(path, 1)) == 2
    assert find_rating((place / "fox.v1.jpg.gq.xmp").read_bytes()) == rating_of(path) == 1


def test_signed_exif_numbers_are_read(tmp_path: Path):
    """Some cameras write the rating as a signed number."""
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIi", 0x4746, 9, 1, 3) + b"\0" * 4
    path = draw(tmp_path / "a.jpg")
    content = path.read_bytes()
    body = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    path.write_bytes(content[:2] + segment + content[2:])
    assert rating_of(path) == 3


@pytest.mark.parametrize("name", ["a.xmp", "a.gif.xmp", "a.png.xmp"])
def test_a_sidecar_is_read(tmp_path: Path, name: str):
    path = draw(tmp_path / ("a.gif" if "gif" in name else "a.png"))
    (tmp_path / name).write_bytes(new_packet(2))
    assert rating_of(path) == 2
    write_rating(path, 1)
    assert find_rating((tmp_path / name).read_bytes()) == 1


def test_the_newest_of_file_and_sidecar_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = draw(tmp_path / "a.jpg")
    write_rating(path, 1)
    (tmp_path / "a.xmp").write_bytes(new_packet(2))
    future = path.stat().st_ctime + 1000
    os.utime(tmp_path / "a.xmp", (future, future))
    assert rating_of(path) == 2
    os.utime(path, (future + 1, future + 1))
    assert rating_of(path) == 1


def test_a_picture_without_xmp_gets_a_sidecar(tmp_path: Path):
    path = draw(tmp_path / "a.gif")
    content = path.read_bytes()
    assert write_rating(path, 2) == (tmp_path / "a.gif.xmp",)
    assert path.read_bytes() == content
    assert rating_of(path) == 2


@pytest.mark.parametrize("cut", [3, 30, 200])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_a_cut_picture_is_left_alone(tmp_path: Path, name: str, cut: int):
    path = draw(tmp_path / name)
    path.write_bytes(path.read_bytes()[:cut])
    before = path.read_bytes()
    assert rating_of(path) is None
    if cut == 30:
        with pytest.raises(ToolError, match="LL209"):
            write_rating(path, 1)
        assert path.read_bytes() == before


def test_a_missing_picture_is_named(tmp_path: Path):
    assert read_rating(tmp_path / "gone.jpg") is None
    with pytest.raises(ToolError, match="LL104"):
        write_rating(tmp_path / "gone.jpg", 1)
    with pytest.raises(ValueError, match="7 is not a rating"):
        write_rating(tmp_path / "gone.jpg", 7)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_exiftool_sees_only_the_rating_change(picture: Path):
    if picture.name != "large.tif":  # which ExifTool cannot write
        words = ["-XMP-dc:Title=Fox", "-XMP-dc:Subject=fur", "-EXIF:Artist=Me", "-Comment=hi"]
        subprocess.run(["exiftool", "-q", "-overwrite_original", *words, picture], check=True)
    earlier = shutil.copyfile(picture, picture.with_stem("earlier"))
    write_rating(picture, 2)
    before, after = read_by_exiftool(earlier, picture)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)} - {
        "RIFF:WebP_Flags",
        "IFD0:ApplicationNotes",
    }
    if picture.name != "large.tif":  # whose XMP ExifTool does not read
        assert changed == {"XMP-xmp:Rating"}
        assert after["XMP-xmp:Rating"] == 2


def read_by_exiftool(*paths: Path) -> list[dict[str, object]]:
    command = ["exiftool", "-j", "-G1", "-a", "-n", "-struct", *map(str, paths)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    hidden = ("System:", "ExifTool:", "SourceFile", "File:")
    return [
        {name: value for name, value in one.items() if not name.startswith(hidden)} for one in found
    ]
