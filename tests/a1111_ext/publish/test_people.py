"""People and content: consent, what the taggers see, and what a person decided."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from packs import (
    PUBLISH,
    front_matter,
    infotext,
    pack_of,
    publish,
    refusal,
    replace_picture,
    store_scores,
)
from promotions import with_manifest

from a1111_ext.publish.ai_label import TRAINED_ALGORITHMIC_MEDIA, source_type
from a1111_ext.publish.check import CheckState
from a1111_ext.publish.checklist import site_rules
from a1111_ext.publish.checks import check_material
from a1111_ext.publish.material import gather
from a1111_ext.publish.pack import is_untouched
from a1111_ext.publish.promoted import require_promoted
from kohya_ext.project import Project, open_project
from kohya_ext.project.lora_file import read_header
from kohya_ext.project.tagging import Scores
from kohya_ext.simulator.tagger_model import write_tagger_model

CONSENT = """
subject:
  kind: person
  description: "A friend."
  consent: {name: "A. Friend", date: "2026-01-31", scope: "training, pictures, publishing"}
"""


def test_a_person_needs_a_consent(ready: Project, capsys: pytest.CaptureFixture[str]):
    text = ready.manifest_path.read_text(encoding="utf-8").replace(
        "kind: character", "kind: person"
    )
    ready.manifest_path.write_text(text, encoding="utf-8")
    assert "LL113" in refusal(open_project(ready.root), capsys)


def test_a_person_never_goes_to_civitai(ready: Project, capsys: pytest.CaptureFixture[str]):
    ready = with_manifest(ready, CONSENT, section="subject")
    capsys.readouterr()
    assert publish(ready) == 0
    assert "Civitai accepts no such LoRA" in capsys.readouterr().err
    page = (pack_of(ready) / "checklist.html").read_text(encoding="utf-8")
    assert "Not for Civitai" in page
    assert "Civitai's upload form" not in page
    assert "Do not upload this LoRA to Civitai" in site_rules(gather(ready))[0]
    assert "agreed on 2026-01-31" in page


@pytest.mark.parametrize(
    ("scope", "lacking"),
    [
        ("training only", "pictures and publishing"),
        ("training, pictures", "publishing"),
        ("pictures, publishing", "training"),
        ("training, publishing", "pictures"),
        ("adult pictures", "training and pictures and publishing"),
    ],
)
def test_a_consent_to_less_is_reported(
    ready: Project, capsys: pytest.CaptureFixture[str], scope: str, lacking: str
):
    """Also one that was narrowed after the training: the pack holds the LoRA and its pictures."""
    narrow = CONSENT.replace("training, pictures, publishing", scope)
    ready = with_manifest(ready, narrow, section="subject")
    capsys.readouterr()
    said = refusal(ready, capsys)
    assert f'to "{scope}", which does not include {lacking}.' in said
    assert f"write {lacking} under subject.consent.scope" in said
    assert "LL220" in said


def test_a_consent_stands_in_the_header_and_the_card(ready: Project):
    ready = with_manifest(ready, CONSENT, section="subject")
    assert publish(ready) == 0
    said = "A. Friend agreed on 2026-01-31 to: training, pictures, publishing"
    assert read_header(require_promoted(ready).path).metadata["loraloom.consent"] == said
    assert "A. Friend agreed on 2026-01-31" in (pack_of(ready) / "README.md").read_text("utf-8")
    creature = CONSENT.replace("kind: person", "kind: creature")
    ready = with_manifest(ready, creature, section="subject")
    assert publish(ready) == 0
    assert "loraloom.consent" not in read_header(require_promoted(ready).path).metadata


@pytest.mark.parametrize(
    ("ratings", "tags"),
    [
        ({"sensitive": 0.6}, {"child": 0.5}),
        ({"explicit": 0.3}, {"aged_down": 0.2}),
        ({"general": 0.9}, {"child": 0.5, "nude": 0.4}),
    ],
)
def test_pictures_that_look_forbidden_are_refused(
    ready: Project,
    capsys: pytest.CaptureFixture[str],
    ratings: dict[str, float],
    tags: dict[str, float],
):
    store_scores(ready, ratings, tags)
    assert "LL628" in refusal(ready, capsys)


def test_explicit_pictures_never_pass_unseen(ready: Project, capsys: pytest.CaptureFixture[str]):
    store_scores(ready, {"explicit": 0.97}, {})
    said = refusal(ready, capsys)
    assert "3 of 3 pictures rated explicit, and nobody has decided" in said
    assert "rating explicit 0.97" in said
    assert "[LL670]" in said


def test_a_person_decides_and_the_pack_carries_it(ready: Project):
    store_scores(ready, {"explicit": 0.97}, {})
    assert publish(ready, "--content", "explicit") == 0
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert "not-for-all-audiences" in front["tags"]
    record = json.loads((pack_of(ready) / "pack.json").read_text(encoding="utf-8"))
    assert (record["content"]["level"], record["content"]["judged"]) == ("explicit", "explicit")
    assert record["content"]["pictures"][0]["reasons"] == ["rating explicit 0.97"]


def test_the_decision_holds_for_these_pictures_only(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    store_scores(ready, {"questionable": 0.9}, {})
    assert publish(ready, "--content", "questionable") == 0
    assert publish(ready) == 0
    replace_picture(ready, infotext(require_promoted(ready).autov3, "portrait, nude"))
    capsys.readouterr()
    assert publish(ready) == 1
    assert "LL670" in capsys.readouterr().err


def test_a_milder_word_than_the_taggers_is_reported(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    store_scores(ready, {"explicit": 0.3}, {})
    capsys.readouterr()
    assert publish(ready, "--content", "general") == 0
    assert "You decided general; rated explicit" in capsys.readouterr().err
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert "not-for-all-audiences" not in front["tags"]


def test_a_decision_does_not_stand_for_a_tagger(ready: Project):
    shutil.rmtree(ready.scores_dir)
    assert publish(ready, "--content", "general") == 3


def test_no_decision_overrules_the_rule_on_minors(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    store_scores(ready, {"explicit": 0.97}, {"child": 0.5})
    capsys.readouterr()
    assert publish(ready, "--content", "general") == 1
    assert "LL628" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ['description: "A girl, 15yo."', 'title: "Kid"', 'tags: ["schoolgirl"]']
)
def test_what_the_manifest_says_of_the_subject_counts(
    ready: Project, capsys: pytest.CaptureFixture[str], words: str
):
    store_scores(ready, {"sensitive": 0.9}, {"bikini": 0.8})
    ready = with_manifest(ready, f"publish:\n  {words}", section="publish")
    assert "LL628" in refusal(ready, capsys)


def test_a_description_may_forbid_what_must_not_be(ready: Project):
    store_scores(ready, {"sensitive": 0.9}, {"bikini": 0.8})
    words = 'publish:\n  description: "A fox. Never use it for sexual content or minors."'
    assert publish(with_manifest(ready, words, section="publish")) == 0


def test_adult_pictures_of_a_person_need_a_consent_to_them(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    store_scores(ready, {"explicit": 0.9}, {})
    ready = with_manifest(ready, CONSENT, section="subject")
    capsys.readouterr()
    assert publish(ready, "--content", "explicit") == 1
    assert "LL671" in capsys.readouterr().err
    wide = CONSENT.replace("publishing", "publishing, nude pictures")
    assert publish(with_manifest(ready, wide, section="subject"), "--content", "explicit") == 0


def labelled(project: Project) -> list[bool]:
    pictures = [*(pack_of(project) / "images").iterdir(), pack_of(project) / "quillfox-v1.png"]
    return [source_type(one) == TRAINED_ALGORITHMIC_MEDIA for one in pictures]


def test_pictures_of_a_person_are_labelled(ready: Project):
    ready = with_manifest(ready, CONSENT, section="subject")
    assert publish(ready) == 0
    assert labelled(ready) == [True] * 4
    assert not source_type(ready.showcase_dir / "0.png")
    assert publish(ready, "--no-ai-label") == 0
    assert labelled(ready) == [False] * 4


def test_pictures_of_a_creature_are_labelled_on_request(ready: Project):
    assert publish(ready) == 0
    assert labelled(ready) == [False] * 4
    assert publish(ready, "--ai-label") == 0
    assert labelled(ready) == [True] * 4
    ready = with_manifest(ready, f"{PUBLISH}  ai_label: true\n", section="publish")
    assert publish(ready) == 0
    assert labelled(ready) == [True] * 4
    assert is_untouched(pack_of(ready))


def test_card_and_description_say_made_with_ai(ready: Project):
    assert publish(ready) == 0
    for name in ("README.md", "description.md"):
        assert "Made with AI" in (pack_of(ready) / name).read_text(encoding="utf-8")


def test_stored_scores_are_enough(ready: Project):
    store_scores(ready, {"general": 0.9}, {"animal": 0.9})
    checks = check_material(
        gather(ready), {one.sha256: read(ready, one.sha256) for one in gather(ready).pictures}
    )
    assert all(one.state is CheckState.PASSED for one in checks if one.what.startswith("Content"))


def read(project: Project, digest: str) -> Scores:
    from kohya_ext.project.tagging import read_scores

    scores = read_scores(project.scores_dir, digest)
    assert scores is not None
    return scores


def test_without_a_tagger_the_page_says_so(ready: Project, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(ready.scores_dir)
    capsys.readouterr()
    assert publish(ready) == 3
    said = capsys.readouterr().err
    assert "not checked: Content" in said
    assert "The content of the pictures was not checked" in said
    page = (pack_of(ready) / "checklist.html").read_text(encoding="utf-8")
    assert "Not checked by a tagger: 3 of 3 pictures" in page


def test_a_tagger_looks_at_the_pictures(
    ready: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = write_tagger_model(tmp_path / "tagger")
    capsys.readouterr()
    assert publish(ready, "--model", model) == 0
    assert "not checked" not in capsys.readouterr().err
    assert len(list(ready.scores_dir.glob("*.json"))) == 3
    page = (pack_of(ready) / "checklist.html").read_text(encoding="utf-8")
    assert "simulated tagger" in page
