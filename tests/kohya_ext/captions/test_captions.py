"""From scores to captions, with what a person changed by hand kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from kohya_ext.captions.captioning import apply_captions, plan_captions, read_rules, score_pictures
from kohya_ext.captions.edits import CaptionEdit, EditBook, find_edit
from kohya_ext.captions.rules import (
    CaptionRules,
    caption_tags,
    format_caption,
    parse_tags,
    spelled,
    undesired_keys,
)
from kohya_ext.cli import main
from kohya_ext.dataset import layout
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.content import forbidden_picture
from kohya_ext.project.tagging import Scores, open_tagger
from kohya_ext.simulator.creature import recipes, write_pictures

SCORES = Scores(
    "p",
    "m",
    {"general": 0.9, "explicit": 0.0},
    {"solo": 0.9, "blue_eyes": 0.5, "^_^": 0.4, "sky": 0.3, "smile": 0.36},
    {"quillfox_(x)": 0.9, "other": 0.5},
)


def scores(**general: float) -> Scores:
    return Scores("p", "m", {"general": 0.9, "explicit": 0.01}, general, {})


def run(project: Project, model: Path | None = None) -> dict[str, str]:
    """Caption once and return what stands in the files, by stem's first word and number."""
    found = score_pictures(project, open_tagger(model) if model else None)
    apply_captions(project, plan_captions(project, found, read_rules(project)))
    return {
        path.stem[9:11]: path.read_text(encoding="utf-8")
        for path in project.images_dir.glob("*/*.txt")
    }


def caption_path(project: Project, number: str) -> Path:
    return next(project.images_dir.glob(f"*/quillfox {number}*.txt"))


def test_tags_follow_the_models_order():
    assert caption_tags(SCORES, CaptionRules("", undesired_keys(["smile"]))) == (
        "solo",
        "blue eyes",
        "^_^",
        "quillfox (x)",
    )


@pytest.mark.parametrize("word", ["blue_eyes", "blue eyes", " Blue  Eyes "])
def test_undesired_tags_in_any_spelling(word: str):
    rules = CaptionRules("", undesired_keys([word]))
    assert "blue eyes" not in caption_tags(SCORES, rules)


def test_undesired_lists_with_and_without_spaces():
    assert parse_tags("a,b, c d ,\n,e_f") == ("a", "b", "c d", "e_f")


@pytest.mark.parametrize("prefix", ["photo of Q", "photo of Q,", "photo of Q, ", " photo of Q,,"])
def test_the_prefix_stands_in_front_once(prefix: str):
    assert format_caption(prefix, ["a", "photo of q", "b"]) == "photo of Q, a, b"


def test_faces_keep_their_underscore():
    assert (spelled("^_^"), spelled("long_hair")) == ("^_^", "long hair")


def test_no_tag_still_gives_the_prefix():
    assert format_caption("photo of Q,", []) == "photo of Q"
    assert format_caption("", []) == ""


@pytest.mark.parametrize(
    ("present", "edit"),
    [
        ("photo of Q, a, b", None),
        ("photo of Q, a, b\n", None),
        ("photo of Q, a", CaptionEdit(removed=("b",))),
        ("photo of Q, a, b, freckles", CaptionEdit(added=("freckles",))),
        ("photo of Q, b, a", CaptionEdit(order=("b", "a"))),
        ("photo of Q, c, a, b", CaptionEdit(added=("c",))),
        ("photo of Q, a, b, a", None),
        ("a drawing", CaptionEdit(text="a drawing")),
    ],
)
def test_edits_are_differences(present: str, edit: CaptionEdit | None):
    assert find_edit("photo of Q, a, b", present, "photo of Q,") == edit


def test_pictures_get_captions_from_their_colours(staged: Project, model: Path):
    captions = run(staged, model)
    assert captions["01"].startswith("photo of Quillfox, solo, no humans")
    assert "grass" in captions["01"]
    assert "grass" not in captions["03"]
    assert captions["01"].endswith("quillfox (simulated)\n")


def test_captions_are_made_again_without_the_model(staged: Project, model: Path):
    before = run(staged, model)
    assert run(staged) == before
    text = staged.manifest_path.read_text(encoding="utf-8")
    text = text.replace("undesired_tags: []", "undesired_tags: [solo, No_Humans]")
    staged.manifest_path.write_text(text, encoding="utf-8")
    after = run(open_project(staged.root))
    assert after["01"] == before["01"].replace("solo, no humans, ", "")


def test_hand_edits_survive_new_rules(staged: Project, model: Path):
    run(staged, model)
    path = caption_path(staged, "01")
    edited = path.read_text(encoding="utf-8").replace("solo, ", "").rstrip() + ", tiny bell"
    path.write_text(edited, encoding="utf-8")
    text = staged.manifest_path.read_text(encoding="utf-8").replace("0.35", "0.99")
    staged.manifest_path.write_text(text, encoding="utf-8")
    assert (
        run(open_project(staged.root))["01"]
        == "photo of Quillfox, quillfox (simulated), tiny bell\n"
    )
    stored = EditBook(staged).find(path.stem)
    assert stored == CaptionEdit(added=("tiny bell",), removed=("solo",))


@pytest.mark.parametrize("added", ["", ", tiny bell"])
def test_a_byte_order_mark_is_taken_out(staged: Project, model: Path, added: str):
    text = run(staged, model)["01"].rstrip() + added
    caption_path(staged, "01").write_text(text, encoding="utf-8-sig")
    assert run(staged)["01"] == f"{text}\n"


def with_undesired(project: Project, old: str, new: str) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace(f"undesired_tags: {old}", f"undesired_tags: {new}")
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


def test_a_cut_off_run_makes_no_hand_edits(staged: Project, model: Path):
    """The disk was full after the first of three captions; then the rules were changed."""
    run(staged, model)
    manifest = staged.manifest_path
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace(
            "undesired_tags: []", "undesired_tags: [solo]"
        ),
        encoding="utf-8",
    )
    changed = open_project(staged.root)
    plan = plan_captions(changed, score_pictures(changed, None), read_rules(changed))
    blocked = changed.images_dir / plan.captions[1].place
    before = blocked.read_bytes()
    blocked.unlink()
    blocked.mkdir()
    with pytest.raises(ToolError, match=r"LL11[01]"):
        apply_captions(changed, plan)
    blocked.rmdir()
    blocked.write_bytes(before)
    again = with_undesired(staged, "[solo]", "[no humans]")
    plan = plan_captions(again, score_pictures(again, None), read_rules(again))
    assert plan.edits == 0
    apply_captions(again, plan)
    texts = [one.text for one in plan.captions]
    assert all("solo" in text and "no humans" not in text for text in texts)


def test_a_second_edit_is_added_to_the_first(staged: Project, model: Path):
    run(staged, model)
    path = caption_path(staged, "01")
    for change in (("solo, ", ""), ("no humans", "no humans, bell"), (", bell", "")):
        path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
        run(staged)
    assert EditBook(staged).find(path.stem) == CaptionEdit(removed=("solo", "bell"))


def source_path(project: Project, number: str) -> Path:
    return next(project.source_dir.rglob(f"quillfox {number}*.png"))


def add_by_hand(project: Project, number: str, tag: str) -> None:
    path = caption_path(project, number)
    path.write_text(path.read_text(encoding="utf-8").rstrip() + f", {tag}\n", encoding="utf-8")


def stage(project: Project) -> None:
    apply_layout(project, plan_layout(project))


def test_a_hand_made_caption_follows_its_renamed_picture(staged: Project, model: Path):
    """Another picture that takes the old name starts without it, and no rule's caption freezes."""
    before = run(staged, model)
    add_by_hand(staged, "01", "bell")
    source = source_path(staged, "01")
    other = source.rename(source.with_name("quillfox 91.png")).with_name(source.name)
    write_pictures(staged.root / "more", recipes(5))
    next((staged.root / "more").rglob("quillfox 04*.png")).rename(other)
    stage(staged)
    after = run(staged, model)
    assert after["91"] == before["01"].rstrip() + ", bell\n"
    assert "bell" not in after["01"]
    book = EditBook(staged)
    assert book.find("quillfox 91") == CaptionEdit(added=("bell",))
    assert book.find(other.stem) is None


def test_two_pictures_that_swap_names_swap_captions(staged: Project, model: Path):
    before = run(staged, model)
    add_by_hand(staged, "01", "bell")
    first, second = source_path(staged, "01"), source_path(staged, "02")
    passing = first.rename(first.with_name("passing.png"))
    second.rename(first.parent / second.name).rename(first)
    passing.rename(first.parent / second.name)
    stage(staged)
    assert run(staged)["02"] == before["01"].rstrip() + ", bell\n"
    assert run(staged)["01"] == before["02"]
    assert EditBook(staged).find(first.stem) is None


def test_a_picture_left_out_comes_back_under_another_name_with_its_caption(
    staged: Project, model: Path
):
    before = run(staged, model)
    add_by_hand(staged, "01", "bell")
    source = source_path(staged, "01")
    away = source.rename(staged.root / "away.png")
    stage(staged)
    assert run(staged) == {"02": before["02"], "03": before["03"]}
    away.rename(source.with_name("quillfox 91.png"))
    stage(staged)
    assert run(staged)["91"] == before["01"].rstrip() + ", bell\n"


def test_a_stage_stopped_between_two_captions_is_completed(
    staged: Project, model: Path, monkeypatch: pytest.MonkeyPatch
):
    before = run(staged, model)
    first, second = source_path(staged, "01"), source_path(staged, "02")
    passing = first.rename(first.with_name("passing.png"))
    second.rename(first.parent / second.name).rename(first)
    passing.rename(first.parent / second.name)
    written = layout.write_staged
    for stop in range(1, 4):
        with monkeypatch.context() as patch:
            calls = iter(range(stop - 1))

            def stopped(
                *values: Any, calls: Iterator[int] = calls, write: Callable[..., None] = written
            ) -> None:
                if next(calls, None) is None:
                    raise KeyboardInterrupt
                write(*values)

            patch.setattr(layout, "write_staged", stopped)
            with pytest.raises(KeyboardInterrupt):
                stage(staged)
    stage(staged)
    texts = {path.stem[9:11]: path.read_text("utf-8") for path in staged.images_dir.glob("*/*.txt")}
    assert texts == {"01": before["02"], "02": before["01"], "03": before["03"]}


def test_captions_that_were_there_before_are_kept(staged: Project, model: Path):
    picture = next(staged.images_dir.glob("*/quillfox 02*.png"))
    picture.with_suffix(".txt").write_text("my own words", encoding="utf-8")
    assert run(staged, model)["02"] == "my own words"


def test_a_caption_of_another_encoding_is_named(staged: Project, model: Path):
    run(staged, model)
    caption_path(staged, "01").write_bytes(b"caf\xe9")
    with pytest.raises(ToolError, match="LL259"):
        run(staged)


def test_a_damaged_edit_is_named(staged: Project, model: Path):
    run(staged, model)
    staged.captions_dir.mkdir()
    stem = caption_path(staged, "01").stem
    (staged.captions_dir / f"{stem}.json").write_text("[", encoding="utf-8")
    with pytest.raises(ToolError, match="LL254"):
        run(staged)


def test_undesired_tags_from_a_file(staged: Project):
    (staged.root / "undesired.txt").write_text("\ufeffsolo,blue_eyes", encoding="utf-8")
    text = staged.manifest_path.read_text(encoding="utf-8")
    text = text.replace("undesired_tags: []", "undesired_tags_file: undesired.txt")
    staged.manifest_path.write_text(text, encoding="utf-8")
    project = open_project(staged.root)
    assert read_rules(project).undesired == {"solo", "blue eyes"}
    (staged.root / "undesired.txt").unlink()
    with pytest.raises(ToolError, match="LL255"):
        read_rules(project)


def test_nothing_staged_yet(project: Project):
    with pytest.raises(ToolError, match="LL256"):
        score_pictures(project, None)


def test_new_pictures_need_a_tagger(staged: Project):
    with pytest.raises(ToolError, match="LL257"):
        score_pictures(staged, None)


@pytest.mark.parametrize(
    ("general", "explicit", "forbidden"),
    [
        ({"child": 0.2, "nude": 0.2}, 0.0, True),
        ({"Loli": 0.2}, 0.3, True),
        ({"child": 0.9}, 0.0, False),
        ({"nude": 0.9}, 0.9, False),
        ({"child": 0.1, "nude": 0.9}, 0.9, False),
    ],
)
def test_minors_never_with_anything_sexual(
    general: dict[str, float], explicit: float, forbidden: bool
):
    one = Scores("p", "m", {"explicit": explicit}, general, {})
    assert (forbidden_picture(one) is not None) is forbidden


def test_forbidden_content_stops_captioning(
    staged: Project, model: Path, monkeypatch: pytest.MonkeyPatch
):
    bad = scores(child=0.9, nude=0.9)
    tagger = open_tagger(model)
    monkeypatch.setattr(type(tagger), "score", lambda self, path, sha256: bad)
    with pytest.raises(ToolError, match="LL258"):
        score_pictures(staged, tagger)


def test_the_command_captions(staged: Project, model: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["caption", str(staged.root), "--model", str(model), "--dry-run"]) == 0
    assert "3 captions, 3 would change" in capsys.readouterr().out
    assert not list(staged.images_dir.glob("*/*.txt"))
    assert main(["caption", str(staged.root), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "photo of Quillfox, solo" in out
    assert "Next: set base_model.path in lora-project.yaml, then: loraloom config" in err


def test_places_are_relative(staged: Project, model: Path):
    found = score_pictures(staged, open_tagger(model))
    assert PurePosixPath("2_Quillfox/quillfox 01 full body meadow calm.png") in found
