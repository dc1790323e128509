"""Roles and ratings hold from one import to the next, until somebody changes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from drawn import draw

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.roles_csv import Role
from kohya_ext.project import Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import sha256_of
from kohya_ext.project.pictures.ratings import read_rating, write_rating
from kohya_ext.project.pictures.xmp import new_packet
from kohya_ext.project.tagging import Scores, read_scores, write_scores


def roles_of(project: Project) -> dict[str, str]:
    plan = plan_layout(project)
    found = {one.source.name: one.role.value for one in plan.pictures}
    return {**found, **{path.name: "out" for path in plan.out}}


def take_in(project: Project, folder: Path, **options: object) -> tuple[str, ...]:
    plan = plan_import(project, folder, **options)
    apply_import(project, plan)
    return plan.role_sentences


def test_ratings_of_a_viewer_give_roles(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    write_rating(draw(folder / "e.png", "white"), -1)
    write_rating(draw(folder / "f.png", "gold"), 4)
    plan = plan_import(project, folder)
    assert {one.origin.name: one.role for one in plan.new} == {
        "a.png": Role.PRIMARY,
        "b.JPG": Role.PRIMARY,
        "c.webp": Role.SUPPORTING,
        "e.png": Role.OUT,
        "f.png": Role.SUPPORTING,
    }
    apply_import(project, plan)
    assert roles_of(project)["e.png"] == "out"
    with DecisionStore(project.reviews_db) as store:
        assert sorted(store.values(DecisionKind.RATING).values()) == [-1, 1, 4]


@pytest.mark.parametrize(
    ("count", "other", "is_told"), [(10, 1, True), (9, 1, False), (10, 2, False), (10, 0, False)]
)
def test_one_rating_for_all_is_told(
    project: Project, tmp_path: Path, count: int, other: int, is_told: bool
):
    """As darktable writes 1 into a sidecar of every picture that it opens."""
    for number in range(count):
        path = draw(tmp_path / "opened" / f"{number}.png", (number * 20, 90, 30))
        path.with_name(f"{path.name}.xmp").write_bytes(new_packet(1 if number else other))
    plan = plan_import(project, tmp_path / "opened")
    said = [one for one in plan.role_sentences if "darktable" in one]
    assert len(said) == is_told
    if said:
        assert said[0].startswith("all 10 pictures are primary by the rating 1, ")
    apply_import(project, plan)
    assert plan_import(project, tmp_path / "opened").role_sentences == ()


def test_a_new_rating_changes_the_role(project: Project, folder: Path):
    take_in(project, folder)
    write_rating(folder / "b.JPG", 1)
    assert take_in(project, folder) == (
        "supporting/b.JPG: undecided -> primary (rating in the file)",
    )
    assert take_in(project, folder) == ()
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_rated_file_is_still_the_same_picture(project: Project, folder: Path):
    take_in(project, folder)
    for name in ("b.JPG", "primary/a.png", "deep/supporting/c.webp"):
        write_rating(folder / name, 2)
    plan = plan_import(project, folder)
    assert (plan.new, len(plan.known)) == ((), 3)


def test_roles_hold_without_the_option(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.PRIMARY, "a.png": Role.OUT}))
    assert roles_of(project) == {"b.JPG": "primary", "c.webp": "supporting", "a.png": "out"}


def test_a_moved_picture_changes_its_role(project: Project, folder: Path):
    take_in(project, folder)
    (project.source_dir / "supporting" / "b.JPG").rename(project.source_dir / "primary" / "b.JPG")
    plan = plan_layout(project)
    assert plan.role_sentences == ("b.JPG: undecided -> primary (folder in source/)",)
    apply_layout(project, plan)
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_move_in_the_collection_changes_the_role(project: Project, folder: Path):
    take_in(project, folder)
    (folder / "primary" / "a.png").rename(folder / "deep" / "supporting" / "a.png")
    assert take_in(project, folder) == (
        "primary/a.png: primary -> supporting (folder of the import)",
    )


def test_the_board_takes_precedence_over_older_words(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    take_in(project, folder)
    keys = {place.name: key for key, place in read_index(project).items()}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {keys["b.JPG"]: "out", keys["a.png"]: "out"}, "board")
    assert take_in(project, folder) == ()
    assert roles_of(project) == {"a.png": "out", "b.JPG": "out", "c.webp": "supporting"}


def test_a_touched_file_says_nothing_new(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    take_in(project, folder)
    keys = {place.name: key for key, place in read_index(project).items()}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {keys["b.JPG"]: "out"}, "board")
    later = (folder / "b.JPG").stat().st_mtime + 10_000
    os.utime(folder / "b.JPG", (later, later))
    assert take_in(project, folder) == ()
    assert roles_of(project)["b.JPG"] == "out"


def test_a_roles_file_counts_for_known_pictures(project: Project, folder: Path):
    take_in(project, folder)
    said = take_in(project, folder, roles={"primary/a.png": Role.OUT})
    assert said == ("primary/a.png: primary -> out (roles file)",)


def test_roles_of_an_earlier_loraloom_stay(project: Project):
    draw(project.source_dir / "primary" / "a.png", "red")
    draw(project.source_dir / "supporting" / "b.png", "blue")
    assert roles_of(project) == {"a.png": "primary", "b.png": "supporting"}


def test_an_unchanged_file_is_not_read_again(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    take_in(project, folder)
    opened: list[str] = []
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, *rest, **more: opened.append(path.name) or real(path, *rest, **more),
    )
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert len(plan_import(project, folder).known) == 3
    assert [name for name in opened if name.endswith((".png", ".JPG", ".webp"))] == []


def test_a_caption_waits_for_a_picture_that_is_out(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project))
    (staged,) = project.images_dir.glob("*/b.jpg")
    staged.with_suffix(".txt").write_text("my own words", encoding="utf-8")
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.OUT}))
    assert list(project.images_dir.glob("*/b.*")) == []
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.PRIMARY}))
    (caption,) = project.images_dir.glob("*/b.txt")
    assert caption.read_text(encoding="utf-8") == "my own words"


def test_roles_are_written_for_viewers(project: Project, folder: Path, capsys):
    take_in(project, folder, roles={"b.JPG": Role.OUT})
    assert main(["ratings", str(project.root), str(folder), "--write", "--dry-run"]) == 0
    assert read_rating(folder / "b.JPG") is None
    assert main(["ratings", str(project.root), str(folder), "--write"]) == 0
    assert "3 ratings written" in capsys.readouterr().out
    found = {path.name: read_rating(path) for path in sorted(folder.rglob("*.*")) if path.is_file()}
    rated = {name: one.rating for name, one in found.items() if one}
    assert rated == {"a.png": 1, "b.JPG": -1, "c.webp": 2}
    assert take_in(project, folder) == ()


def test_ratings_are_read_when_asked(project: Project, folder: Path, capsys):
    take_in(project, folder)
    write_rating(project.source_dir / "supporting" / "b.JPG", 1)
    assert main(["ratings", str(project.root), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["changed"] == ["b.JPG: undecided -> primary (rating in the file)"]
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_rating_that_cannot_be_written_stops_nothing(project: Project, folder: Path, capsys):
    take_in(project, folder, roles={"b.JPG": Role.OUT})
    path = folder / "b.JPG"
    bad = b"http://ns.adobe.com/xap/1.0/\0<damaged"
    content = path.read_bytes()
    segment = b"\xff\xe1" + (len(bad) + 2).to_bytes(2, "big") + bad
    path.write_bytes(content[:2] + segment + content[2:])
    assert main(["ratings", str(project.root), str(folder), "--write"]) == 0
    said = capsys.readouterr()
    assert "b.JPG" in said.err
    assert "LL209" in said.err


def test_scores_outlive_a_written_rating(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project))
    (staged,) = project.images_dir.glob("*/a.png")
    write_scores(project.scores_dir, Scores(sha256_of(staged), "m", {}, {"solo": 0.9}, {}))
    write_rating(project.source_dir / "primary" / "a.png", 2)
    apply_layout(project, plan_layout(project, roles={"a.png": Role.SUPPORTING}))
    (again,) = project.images_dir.glob("*/a.png")
    assert again.parent.name == "2_Quillfox"
    found = read_scores(project.scores_dir, sha256_of(again))
    assert found is not None
    assert found.general == {"solo": 0.9}
