"""Consent of a person: who, on a day that was, to uses out of a list, asked at every use."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.project import InputError, Project, RuleError, open_project
from kohya_ext.project.consent import (
    Use,
    agreed_by,
    consent_line,
    latest_day,
    uses_of,
    with_consent,
    without_consent,
)
from kohya_ext.project.manifest import Consent
from kohya_ext.project.manifest_reader import parse_manifest

PATH = Path("lora-project.yaml")
TODAY = date.today()


def of_person(project: Project, consent: str) -> Project:
    text = f"trigger_word: Quillfox\nsubject: {{kind: person{consent}}}\n"
    project.manifest_path.write_text(text, "utf-8")
    return open_project(project.root)


def agreed(scope: str, day: str = "2026-01-31", name: str = "Mira Fern") -> str:
    return f', consent: {{name: "{name}", date: "{day}", scope: "{scope}"}}'


@pytest.mark.parametrize(
    ("scope", "uses"),
    [
        ("training", {Use.TRAINING}),
        ("training only", {Use.TRAINING}),
        ("Training, pictures and publishing", {Use.TRAINING, Use.PICTURES, Use.PUBLISHING}),
        ("images; posts", {Use.PICTURES, Use.PUBLISHING}),
        ("all", {Use.TRAINING, Use.PICTURES, Use.PUBLISHING}),
        ("all, adult pictures", set(Use)),
        ("nude photos", {Use.ADULT}),
    ],
)
def test_scopes_are_read_from_a_list(scope: str, uses: set[Use]):
    assert uses_of(Consent("Mira", "2026-01-31", scope)) == uses


@pytest.mark.parametrize(
    ("consent", "words"),
    [
        (agreed("training", "2026-02-30"), ["date", "not a date"]),
        (agreed("training", (TODAY + timedelta(days=2)).isoformat()), ["is in the future"]),
        (agreed("training", "2026-13-01"), ["not a date"]),
        (agreed("world peace"), ["scope", "not a use", "training, pictures, publishing"]),
        (agreed("training, no publishing"), ["no publishing"]),
        (agreed(","), ["contains no use"]),
        (agreed("training", name=" "), ["name", "is empty"]),
    ],
)
def test_a_consent_that_cannot_be_is_refused(consent: str, words: list[str]):
    text = f"trigger_word: Q\nsubject: {{kind: person{consent}}}"
    with pytest.raises(InputError) as caught:
        parse_manifest(text, PATH)
    assert caught.value.code == "LL221"
    assert all(word in str(caught.value) for word in [*words, "lora-project.yaml:2"])


def test_a_consent_of_today_counts():
    """Also where the person already has tomorrow, as in Auckland."""
    for day in (TODAY, latest_day()):
        text = f"trigger_word: Q\nsubject: {{kind: person{agreed('all', day.isoformat())}}}"
        assert parse_manifest(text, PATH).subject.consent is not None
    assert TODAY <= latest_day() <= TODAY + timedelta(days=2)


def test_each_use_is_asked(project: Project):
    project = of_person(project, agreed("training"))
    project.require_consent(Use.TRAINING)
    for use in (Use.PICTURES, Use.PUBLISHING, Use.ADULT):
        with pytest.raises(RuleError, match=rf"does not include {use.value}.*LL220"):
            project.require_consent(use)
    with pytest.raises(RuleError, match="does not include pictures and publishing"):
        project.require_consent(*list(Use)[:3])
    with pytest.raises(RuleError, match="LL113"):
        of_person(project, "").require_consent(Use.TRAINING)


def test_no_person_needs_none(project: Project):
    project.require_consent(Use.ADULT)


@pytest.mark.parametrize("step", [["stage"], ["caption"], ["config"], ["train"]])
@pytest.mark.parametrize(("consent", "code"), [("", "LL113"), (agreed("publishing"), "LL220")])
def test_no_step_goes_without(
    project: Project, step: list[str], consent: str, code: str, capsys: pytest.CaptureFixture[str]
):
    folder = project.source_dir / "primary"
    folder.mkdir(parents=True)
    Image.new("RGB", (80, 80)).save(folder / "a.png")
    project = of_person(project, consent)
    assert main([*step, str(project.root)]) == 1
    assert code in capsys.readouterr().err


def test_check_names_it_among_other_findings(project: Project):
    from kohya_ext.training.checks.captions import check_words
    from kohya_ext.training.checks.findings import Level

    found = check_words([], of_person(project, agreed("publishing")))
    assert next((one.code, one.level) for one in found) == ("LL220", Level.ERROR)


def test_the_line_of_a_header():
    assert consent_line(Consent("Mira", "2026-01-31", "training")) == (
        "Mira agreed on 2026-01-31 to: training"
    )


@pytest.mark.parametrize("own", ["", "trigger: mira", "consent: is a word of mine; of 2026"])
def test_a_training_comment_carries_one_consent(own: str):
    first = Consent("Mira\nFern; of Oak", "2026-01-31", "training")
    once = with_consent(own, first)
    again = with_consent(once, Consent("Ida Brook", "2026-02-28", "all"))
    assert (agreed_by(once), agreed_by(again)) == ("Mira Fern; of Oak", "Ida Brook")
    assert again.count(" agreed on ") == 1
    assert without_consent(again) == own
    assert with_consent(again, None) == own
    assert agreed_by(own) == ""
