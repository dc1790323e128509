"""Every way to decide a role against every other, in both orders: the newest wins and is told."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.dataset.intake import read_index
from kohya_ext.project import Project
from kohya_ext.project.decisions import DecisionKind, DecisionStore, Role
from kohya_ext.project.decisions.board import BoardShare
from kohya_ext.project.decisions.pictures_view import PicturesView
from kohya_ext.project.pictures.ratings import write_rating
from kohya_ext.project.pictures.xmp import new_packet
from kohya_ext.project.server import PageRequest

NAME = "fox.png"
RATINGS = {Role.PRIMARY: 1, Role.SUPPORTING: 2, Role.OUT: -1}


class Desk:
    """One project with one picture that matters, and the folder that it came from."""

    def __init__(self, project: Project, collected: Path) -> None:
        self.project, self.collected = project, collected
        for name, colour in (("other.png", "gray"), (NAME, "orange")):
            collected.mkdir(exist_ok=True)
            Image.new("RGB", (48, 40), colour).save(collected / name)
        write_rating(collected / NAME, 4)
        self.run("import", collected)
        self.board = BoardShare(PicturesView(project))
        self.said = ""

    def run(self, command: str, *rest: object) -> None:
        assert main([command, str(self.project.root), *map(str, rest)]) == 0

    @property
    def key(self) -> str:
        places = read_index(self.project)
        return next(key for key, place in places.items() if place.name == NAME)

    @property
    def role(self) -> Role | None:
        with DecisionStore(self.project.reviews_db) as store:
            found = store.find(DecisionKind.ROLE, self.key)
        return Role(found.value) if found else None

    def roles_file(self, role: Role) -> Path:
        path = self.collected.parent / "roles.csv"
        path.write_text(f"picture,role\n{NAME},{role.value}\n", "utf-8")
        return path

    def send(self, path: str, role: Role | None = None) -> None:
        body = {"keys": [self.key], "value": role.value} if role else {}
        answer = self.board.answer(
            PageRequest(path, {}, json.dumps(body).encode("utf-8"), "application/json")
        )
        self.said = answer.body.decode("utf-8")

    def move(self, folder: Path, role: Role) -> None:
        (here,) = folder.rglob(NAME)
        there = folder / role.value / NAME
        there.parent.mkdir(exist_ok=True)
        here.rename(there)


def by_key(desk: Desk, role: Role) -> None:
    desk.board.view.items()  # as every reload of the page
    desk.send("decide", role)


def by_undo(desk: Desk, role: Role) -> None:
    desk.send("decide", role)
    desk.send("decide", next(one for one in Role if one is not role))
    desk.send("undo")


def by_redo(desk: Desk, role: Role) -> None:
    desk.send("decide", role)
    desk.send("undo")
    desk.send("redo")


def by_stage_roles(desk: Desk, role: Role) -> None:
    desk.run("stage", "--roles", desk.roles_file(role))


def by_import_roles(desk: Desk, role: Role) -> None:
    desk.run("import", desk.collected, "--roles", desk.roles_file(role))


def by_move_in_source(desk: Desk, role: Role) -> None:
    desk.move(desk.project.source_dir, role)
    desk.run("stage")


def by_move_in_the_collection(desk: Desk, role: Role) -> None:
    desk.move(desk.collected, role)
    desk.run("import", desk.collected)


def by_rating_in_the_file(desk: Desk, role: Role) -> None:
    (picture,) = desk.collected.rglob(NAME)
    write_rating(picture, RATINGS[role])
    desk.run("import", desk.collected)


def by_rating_in_a_sidecar(desk: Desk, role: Role) -> None:
    (picture,) = desk.collected.rglob(NAME)
    picture.with_suffix(".xmp").write_bytes(new_packet(RATINGS[role]))
    desk.run("import", desk.collected)


def by_rating_in_source(desk: Desk, role: Role) -> None:
    (picture,) = desk.project.source_dir.rglob(NAME)
    write_rating(picture, RATINGS[role])
    desk.run("ratings")


WAYS: dict[str, Callable[[Desk, Role], None]] = {
    name.removeprefix("by_"): way for name, way in list(globals().items()) if name[:3] == "by_"
}
SILENT = {"key", "undo", "redo"}
"""Ways of the board: the page itself shows what changed."""


@pytest.fixture
def desk(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    made = Desk(project, tmp_path / "collected")
    capsys.readouterr()
    yield made
    made.board.close()


@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.product(WAYS, WAYS)),
    ids=lambda name: name.replace("_", "-"),
)
def test_the_newest_way_wins(
    desk: Desk, first: str, second: str, capsys: pytest.CaptureFixture[str]
):
    assert desk.role is None
    WAYS[first](desk, Role.PRIMARY)
    assert desk.role is Role.PRIMARY
    capsys.readouterr()
    WAYS[second](desk, Role.OUT)
    assert desk.role is Role.OUT
    printed = desk.said if second in SILENT else capsys.readouterr().err
    assert "out" in printed if second in SILENT else f"{NAME}: primary -> out (" in printed
    for command in (["import", desk.collected], ["ratings"], ["stage"], ["stage"]):
        desk.run(*command)
    assert "role:" not in capsys.readouterr().err
    assert desk.role is Role.OUT
    assert [path.name for path in desk.project.images_dir.rglob("*.png")] == ["other.png"]


def map_four_stars(project: Project, role: Role) -> None:
    text = project.manifest_path.read_text("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("  ratings:")]
    kept.insert(kept.index("dataset:") + 1, f'  ratings: {{"4": {role.value}}}')
    project.manifest_path.write_text("\n".join(kept) + "\n", "utf-8")


def test_a_new_mapping_changes_what_ratings_decided(desk: Desk, capsys):
    for before, role in (("undecided", Role.SUPPORTING), ("supporting", Role.PRIMARY)):
        map_four_stars(desk.project, role)
        desk.run("import", desk.collected)
        assert f"{NAME}: {before} -> {role.value} (rating in the file)" in capsys.readouterr().err
        assert desk.role is role


@pytest.mark.parametrize("way", [name for name in WAYS if "rating" not in name])
def test_a_new_mapping_leaves_later_decisions(desk: Desk, way: str):
    WAYS[way](desk, Role.OUT)
    map_four_stars(desk.project, Role.PRIMARY)
    desk.run("import", desk.collected)
    assert desk.role is Role.OUT


def test_what_is_heard_together_is_decided_as_it_is_reported(desk: Desk, capsys):
    desk.move(desk.project.source_dir, Role.PRIMARY)
    (picture,) = desk.collected.rglob(NAME)
    write_rating(picture, RATINGS[Role.OUT])
    desk.run("import", desk.collected)
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("role:")]
    assert printed[-1].endswith("primary -> out (rating in the file)")
    assert desk.role is Role.OUT
