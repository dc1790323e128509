"""The manifest: what is read, and what every mistake says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from kohya_ext.project import (
    ToolError,
    apply_init,
    manifest_reader,
    open_project,
    plan_init,
)
from kohya_ext.project.families import Family
from kohya_ext.project.manifest import Consent, Manifest, SubjectKind
from kohya_ext.project.manifest_reader import manifest_schema, parse_manifest

PATH = Path("lora-project.yaml")
ALIASES_OF_ALIASES = "a: &a [0,0,0,0,0,0,0,0,0,0]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in pairwise("abcdefghi")
)


def refusal(text: str) -> ToolError:
    with pytest.raises(ToolError) as caught:
        parse_manifest(text, PATH)
    return caught.value


def test_one_line_makes_a_manifest():
    manifest = parse_manifest("trigger_word: Quillfox", PATH)
    assert manifest.trigger_word == "Quillfox"
    assert manifest.dataset.repeats is None
    assert manifest.grid.seeds == (-1, -1, -1, -1)
    assert manifest.output_name == "Quillfox"


def test_groups_become_typed_records():
    manifest = parse_manifest(
        "trigger_word: Quillfox\n"
        "subject:\n  kind: person\n"
        '  consent: {name: Ada, date: "2026-01-31", scope: training}\n'
        "base_model:\n  family: sdxl\n"
        "grid:\n  seeds: [1, 2]\n  picture:\n    width: 768\n",
        PATH,
    )
    assert manifest.subject.kind is SubjectKind.PERSON
    assert manifest.subject.consent == Consent("Ada", "2026-01-31", "training")
    assert manifest.base_model.family is Family.SDXL
    assert manifest.grid.seeds == (1, 2)
    assert manifest.grid.picture.width == 768


def test_a_day_that_no_calendar_has_is_named_with_its_line():
    text = "trigger_word: Q\nsubject:\n  consent: {name: Ada, date: 2026-13-45, scope: all}"
    with pytest.raises(ToolError, match=r':3: subject\.consent\.date: "2026-13-45".*LL221'):
        parse_manifest(text, PATH)


@pytest.mark.parametrize("day", ["2026-01-02", '"2026-01-02"'])
def test_a_day_needs_no_quotes(day: str):
    text = f"trigger_word: Q\nsubject: {{consent: {{name: Ada, date: {day}, scope: all}}}}"
    assert parse_manifest(text, PATH).subject.consent == Consent("Ada", "2026-01-02", "all")


def test_an_empty_group_is_its_default():
    assert parse_manifest("trigger_word: Q\ndataset:\n", PATH).dataset.repeats is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trigger_word: Q\ntriger: 1", ['yaml:2: the key "triger" is not known', "trigger_word"]),
        ("trigger_word: Q\ngrid:\n  seed: 1", [':3: the key "grid.seed"', 'mean "seeds"']),
        ("trigger_word: Q\ndataset:\n  repeats:\n    primary: x", [":4: dataset.repeats", "whole"]),
        ("trigger_word: Q\ndataset:\n  repeats:\n    primary: 0", [":4:", "minimum"]),
        ("trigger_word: 5", [":1: trigger_word: 5 is not text"]),
        ("trigger_word: Q\nsubject: {kind: dog}", [":2: subject.kind", "not one of style, object"]),
        ("trigger_word: Q\ntrigger_word: R", [':2: the key "trigger_word" occurs twice']),
        ("subject: {}", ['the key "trigger_word" is missing']),
        ("- a\n- b", ["consists of `key: value` lines"]),
        ("", ["consists of `key: value` lines"]),
        ("a: [1,", ["not valid YAML"]),
        ("a:\n\tb: 1", [":2: it is not valid YAML", "indented with spaces"]),
        ('base_model:\n  path: "D:\\models"', [":2: it is not valid YAML", "in single quotes"]),
        ('trigger_word: Q\ncaptions:\n  model: "D:\\new"', [":3: captions.model", "line break"]),
        ('trigger_word: Q\nbase_model: {path: "D:\\tiny.ckpt"}', [":2:", "in single quotes"]),
        ("trigger_word: Q\nclass_word: fox.", [":2: class_word", "every system"]),
        ("trigger_word: Q\ntraining:\n  output_name: con", [":3: training.output_name"]),
        ("trigger_word: Q\ntraining:\n  output_name: a/b", [":3: training.output_name"]),
        (
            "trigger_word: Q\ncaptions: {caption_extension: txt}",
            ["does not have the expected form", ".txt"],
        ),
        ('trigger_word: Q\nsubject: {consent: {name: "", date: x, scope: x}}', ["it is empty"]),
        ("trigger_word: &a [*a]", ["not valid YAML"]),
        (ALIASES_OF_ALIASES, ["too many values"]),
        ("a: \x00", ["not valid YAML"]),
    ],
)
def test_a_mistake_names_file_line_and_key(text: str, words: list[str]):
    error = refusal(text)
    assert error.code == "LL102"
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize(
    "word",
    ["''", "' Q'", "a{b", "a,b", "a:b", "my__fox", "'con'", "'a.'", "<lora>", "“Fox”", "Fox’s"],
)
def test_unusable_trigger_words_are_refused(word: str):
    assert refusal(f"trigger_word: {word}").code == "LL105"


def test_a_newer_format_asks_for_an_update():
    error = refusal("trigger_word: Q\nformat: 99")
    assert error.code == "LL107"
    assert "format 99" in str(error)


def test_older_formats_are_migrated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(manifest_reader, "FORMAT", 3)
    renamed = {1: lambda data: {"trigger_word": data["word"], "format": 1}, 2: lambda data: data}
    monkeypatch.setattr(manifest_reader, "MIGRATIONS", renamed)
    manifest = parse_manifest("format: 1\nword: Quillfox", PATH)
    assert (manifest.trigger_word, manifest.format) == ("Quillfox", 3)


def test_every_migration_up_to_now_exists():
    assert sorted(manifest_reader.MIGRATIONS) == list(range(1, manifest_reader.FORMAT))


def test_a_missing_manifest_is_no_project(tmp_path: Path):
    with pytest.raises(ToolError, match="LL101"):
        open_project(tmp_path)


def test_a_folder_inside_a_project_names_it(tmp_path: Path):
    project = apply_init(plan_init(tmp_path / "fox", "Quillfox"))
    inside = project.root / "source" / "primary"
    inside.mkdir(parents=True)
    with pytest.raises(ToolError, match=r"It is inside the project .*fox: give that folder.*LL101"):
        open_project(inside)
    with pytest.raises(ToolError, match=r"make one with `loraloom init`"):
        open_project(inside / ".." / ".." / "..")


def test_a_file_is_no_project(tmp_path: Path):
    (tmp_path / "x.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ToolError, match=r"LL103|LL101"):  # Windows calls it missing
        open_project(tmp_path / "x.txt")


def test_a_windows_path_can_be_pasted(tmp_path: Path):
    project = apply_init(plan_init(tmp_path / "fox", "Quillfox"))
    text = project.manifest_path.read_text(encoding="utf-8")
    assert "  path: ''" in text
    pasted = text.replace("  path: ''", "  path: 'D:\\new\\train.safetensors'")
    assert parse_manifest(pasted, PATH).base_model.path == "D:\\new\\train.safetensors"


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ("latin-1", r"it is not UTF-8 text \(byte 15\)"),
        ("utf-16", "it is UTF-16 text, not UTF-8"),  # Notepad's "Unicode"
    ],
)
def test_a_manifest_in_another_encoding_is_named(tmp_path: Path, encoding: str, problem: str):
    (tmp_path / "lora-project.yaml").write_bytes("trigger_word: Füchsin".encode(encoding))
    with pytest.raises(ToolError, match=f"cannot be read: {problem}.*UTF-8 text file.*LL104"):
        open_project(tmp_path)


def test_notepads_mark_and_line_ends_change_nothing(tmp_path: Path):
    text = "\ufefftrigger_word: Füchsin\r\nclass_word: fox\r\n"
    (tmp_path / "lora-project.yaml").write_bytes(text.encode("utf-8"))
    manifest = open_project(tmp_path).manifest
    assert (manifest.trigger_word, manifest.class_word) == ("Füchsin", "fox")


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_init_writes_a_manifest_that_reads(tmp_path: Path, kind: SubjectKind):
    project = apply_init(plan_init(tmp_path / "x", "Mira Moss", kind, 'She said: "no"'))
    assert project.manifest.subject.kind is kind
    assert project.manifest.subject.description == 'She said: "no"'
    assert project.manifest.output_name == "Mira_Moss"
    assert [entry.kind for entry in project.journal.entries()] == ["init"]


def test_a_person_is_asked_for_consent(tmp_path: Path):
    text = plan_init(tmp_path, "Mira", SubjectKind.PERSON).manifest_text
    assert "# consent:" in text
    filled = text.replace("\n  # ", "\n  ").replace("  A real", "  # A real")
    filled = filled.replace('name: ""', "name: Mira").replace('scope: ""', "scope: all")
    assert parse_manifest(filled, PATH).subject.consent == Consent("Mira", "2026-01-31", "all")


def test_init_never_overwrites(tmp_path: Path):
    apply_init(plan_init(tmp_path, "Quillfox"))
    with pytest.raises(ToolError, match="LL106"):
        plan_init(tmp_path, "Quillfox")


def test_init_refuses_an_empty_trigger_word(tmp_path: Path):
    with pytest.raises(ToolError, match="LL105"):
        plan_init(tmp_path, " ")


def test_the_schema_is_a_valid_schema():
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(manifest_schema())


def test_schema_and_records_have_the_same_keys():
    import dataclasses
    from typing import get_type_hints

    def check(kind: type, schema: dict) -> None:
        names = {field.name for field in dataclasses.fields(kind)}
        assert names == set(schema["properties"]), kind
        for name, hint in get_type_hints(kind).items():
            for part in (hint, *getattr(hint, "__args__", ())):
                if dataclasses.is_dataclass(part):
                    check(part, schema["properties"][name])

    check(Manifest, manifest_schema())


def test_ratings_are_mapped_to_roles():
    text = "trigger_word: Fox\ndataset:\n  ratings: {3: primary, -1: out}\n"
    manifest = parse_manifest(text, Path("lora-project.yaml"))
    assert manifest.dataset.ratings == {"3": "primary", "-1": "out"}
    plain = parse_manifest("trigger_word: Fox\n", Path("lora-project.yaml"))
    assert plain.dataset.ratings == {"1": "primary", "2": "supporting", "-1": "out"}


@pytest.mark.parametrize("ratings", ["{9: primary}", "{1: best}", "[1]", "{one: primary}"])
def test_odd_ratings_are_refused(ratings: str):
    text = f"trigger_word: Fox\ndataset:\n  ratings: {ratings}\n"
    with pytest.raises(ToolError, match=r"yaml:3: dataset\.ratings.*LL102"):
        parse_manifest(text, Path("lora-project.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "trigger_word: Foxy\n? [a, b]\n: c\n",
        "? {a: b}\n: c\n",
        "trigger_word: Foxy\nx: &a [&b [1, 2], *b, *b]\n? *a\n: 1\n",
        "a: &a [x, x]\nb: &b [*a, *a]\n? [*b]\n: 1",
    ],
)
def test_a_list_as_a_key_is_one_sentence(text: str, tmp_path: Path):
    with pytest.raises(ToolError, match="LL102"):
        parse_manifest(text, tmp_path / "lora-project.yaml")
