"""Ratings stand in the files for viewers, and what viewers write comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from shown import copied, draw_showcase

from a1111_ext.api.infotext import read_infotext
from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.file_ratings import FileRatings
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import Review, read_review, write_review
from a1111_ext.showcase.selection import read_selection
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.files import sha256_of
from kohya_ext.project.pictures.identity import digest_without_xmp
from kohya_ext.project.pictures.ratings import read_rating, write_rating

MANIFEST = """
showcase:
  template: "{lora} photo of {trigger}, {calm|smiling}"
  checkpoints: [simulated-a, simulated-b]
  count: 2
  picture: {width: 64, height: 72, steps: 2}
"""


@pytest.fixture(scope="module")
def first_shown(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_showcase(_first_project, tmp_path_factory.mktemp("shown"), MANIFEST)


@pytest.fixture
def shown(first_shown: Path, webui: SimulatedWebui, tmp_path: Path) -> Project:
    return copied(first_shown, tmp_path, webui.url)


def names(project: Project) -> list[str]:
    return [one.file for one in read_album(project)]


def stars(project: Project, name: str) -> int | None:
    found = read_rating(project.showcase_dir / name)
    return found.rating if found else None


def test_decisions_stand_in_the_files(shown: Project):
    first, second, third, fourth = names(shown)
    text = read_infotext(shown.showcase_dir / first)
    rated = {first: Rating.SHOWCASE, second: Rating.DROP, third: Rating.PLACED}
    write_review(shown, Review(rated))
    files = FileRatings(shown)
    assert files.agree(names(shown)) == 3
    assert [stars(shown, one) for one in names(shown)] == [1, -1, 5, None]
    assert read_infotext(shown.showcase_dir / first) == text
    assert files.agree(names(shown)) == 0
    assert FileRatings(shown).agree(names(shown)) == 0  # what we wrote is no news
    write_review(shown, Review({first: Rating.FOLLOW_UP}))
    files.agree(names(shown))
    assert [stars(shown, one) for one in names(shown)] == [2, 0, 0, None]
    assert read_review(shown).ratings == {first: Rating.FOLLOW_UP}
    assert stars(shown, fourth) is None


def test_a_viewers_rating_comes_back(shown: Project):
    first, second, third, _ = names(shown)
    write_review(shown, Review({first: Rating.SHOWCASE}))
    files = FileRatings(shown)
    files.agree(names(shown))
    for name, rating in ((first, 5), (second, -1), (third, 4)):
        write_rating(shown.showcase_dir / name, rating)
    assert files.hear(names(shown)) == 2
    assert read_review(shown).ratings == {first: Rating.PLACED, second: Rating.DROP}
    assert files.write(names(shown)) == 0
    assert stars(shown, third) == 4  # it says nothing here, and stays


def test_a_sidecar_is_heard(shown: Project):
    first = names(shown)[0]
    from kohya_ext.project.pictures.xmp import new_packet

    (shown.showcase_dir / first).with_suffix(".xmp").write_bytes(new_packet(2))
    assert FileRatings(shown).agree(names(shown)) == 1
    assert read_review(shown).ratings == {first: Rating.FOLLOW_UP}


def test_the_ledgers_picture_stays(shown: Project, webui: SimulatedWebui):
    """The showcase's files are links to it; and nothing is drawn again for a rating."""
    first = names(shown)[0]
    kept = {path: path.read_bytes() for path in shown.cells_dir.rglob("*.png")}
    write_review(shown, Review({first: Rating.SHOWCASE}))
    assert main(["upscale", str(shown.root), first]) == 0
    FileRatings(shown).agree(names(shown))
    assert all(path.read_bytes() == content for path, content in kept.items())
    drawn = webui.host.counters.pictures
    assert main(["upscale", str(shown.root), first]) == 0
    assert webui.host.counters.pictures == drawn


def test_select_hears_viewers_and_writes(shown: Project):
    first, second, *_ = names(shown)
    write_rating(shown.showcase_dir / first, 1)
    write_review(shown, Review({second: Rating.DROP}))
    assert main(["select", str(shown.root)]) == 0
    (chosen,) = read_selection(shown)
    assert chosen.file == first
    assert stars(shown, second) == -1
    write_rating(shown.showcase_dir / first, 2)  # a rating does not change the selected picture
    assert digest_without_xmp((shown.showcase_dir / first).read_bytes()) == chosen.sha256


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_rating_changes_no_digest(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"ASCII\0\0\0a fox"}
    Image.effect_noise((32, 24), 90).convert("RGB").save(path, exif=exif)
    before, whole = digest_without_xmp(path.read_bytes()), sha256_of(path)
    if suffix != ".webp":
        assert before == whole
    write_rating(path, 5)
    assert sha256_of(path) != whole
    assert digest_without_xmp(path.read_bytes()) == before
    Image.effect_noise((32, 24), 20).convert("RGB").save(path, exif=exif)
    assert digest_without_xmp(path.read_bytes()) != before


def test_a_damaged_file_stops_nothing(shown: Project):
    first, second, *_ = names(shown)
    path = shown.showcase_dir / first
    path.unlink()
    path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    write_review(shown, Review(dict.fromkeys((first, second), Rating.SHOWCASE)))
    assert FileRatings(shown).agree([first, second]) == 1
    assert stars(shown, second) == 1
