"""The form of the site and the checklist: every field, its words, and how they are copied."""

from __future__ import annotations

import html
import os
import re
from typing import Any

import pytest
from chromium import open_page
from packs import (
    PUBLISH,
    WORDS,
    front_matter,
    pack_of,
    publish,
    store_scores,
)
from promotions import with_manifest

from a1111_ext.publish.form import form_pages
from a1111_ext.publish.material import gather
from a1111_ext.publish.promoted import require_promoted
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import tensor_sha256


def test_the_checklist_holds_the_facts(ready: Project):
    publish(ready)
    page = (pack_of(ready) / "checklist.html").read_text(encoding="utf-8")
    promoted = require_promoted(ready)
    for value in (promoted.autov2, promoted.sha256, "at most 20", "No real person", "civitai.html"):
        assert value in page


def fields_of(project: Project) -> dict[str, str]:
    return {one.name: one.value for page in form_pages(gather(project)) for one in page.fields}


def test_the_form_has_every_field_of_the_site(ready: Project):
    publish(ready)
    promoted = require_promoted(ready)
    fields = fields_of(ready)
    assert set(fields) >= {
        "Name", "Type", "Category", "Tags", "Description", "Mature content", "Depicts a minor",
        "Depicts an actual person", "Cannot be used for NSFW generation", "Version name",
        "Use without crediting me", "Share merges", "Use different permissions on merges",
        "Commercial use: Sell generated images", "Base model", "About this version",
        "Trained words", "Training epochs", "Training steps", "Clip skip", "Recommended strength",
        "Recommended resource", "File", "Post title", "Pictures",
        "Require users to be logged in to download",
    }  # fmt: skip
    assert fields["Trained words"] == "Quillfox"
    assert fields["AutoV3"] == tensor_sha256(promoted.path)[:12]
    assert fields["AutoV2"] == sha256_of(promoted.path)[:10]
    assert (fields["Type"], fields["Category"]) == ("LORA", "character")
    assert fields["Commercial use: Sell this model or merges"] == "yes"  # CC BY allows it
    assert fields["Mature content"] == fields["Depicts an actual person"] == "no"
    page = (pack_of(ready) / "civitai.html").read_text(encoding="utf-8")
    for name, value in fields.items():
        assert html.escape(name) in page
        assert name in ("Description", "About this version") or html.escape(value) in page


def test_the_form_follows_the_content(ready: Project):
    store_scores(ready, {"questionable": 0.9}, {})
    assert publish(ready, "--content", "questionable") == 0
    page = (pack_of(ready) / "civitai.html").read_text(encoding="utf-8")
    assert '<div class="switch on"><dt>Mature content' in page
    assert "<code>R</code>" in page


@pytest.mark.parametrize(
    ("license", "sell", "merges", "other"),
    [
        ("CC0-1.0", "yes", "yes", "yes"),
        ("CC BY-NC 4.0", "no", "yes", "yes"),
        ("cc-by-nc-nd-4.0", "no", "no", "no"),
        ("cc-by-sa-4.0", "yes", "yes", "no"),
        ("ask me", "no", "no", "no"),
        ("", "no", "no", "no"),
    ],
)
def test_permissions_follow_the_licence(
    ready: Project, license: str, sell: str, merges: str, other: str
):
    text = PUBLISH.replace("CC-BY-4.0", license)
    fields = fields_of(with_manifest(ready, text, section="publish"))
    assert fields["Commercial use: Sell this model or merges"] == sell
    assert fields["Share merges"] == merges
    assert fields["Use different permissions on merges"] == other


def test_permissions_of_the_manifest_win(ready: Project):
    text = f"{PUBLISH}  permissions: {{commercial_use: [Image], without_credit: true}}\n"
    fields = fields_of(with_manifest(ready, text, section="publish"))
    assert fields["Commercial use: Sell generated images"] == "yes"
    assert fields["Commercial use: Sell this model or merges"] == "no"
    assert fields["Use without crediting me"] == "yes"


def test_the_description_is_html_of_few_tags(ready: Project):
    publish(ready)
    page = (pack_of(ready) / "description.html").read_text(encoding="utf-8")
    text = page.partition("<body>")[2].partition("</body>")[0]
    assert set(re.findall(r"</?([a-z0-9]+)", text)) <= {
        "p",
        "strong",
        "ul",
        "li",
        "code",
        "a",
        "br",
    }
    assert '<a href="https://example.org/quillfox" rel="nofollow">' in text


def test_widget_texts_have_no_lora_tags(ready: Project):
    publish(ready)
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert sorted(one["text"] for one in front["widget"]) == sorted(
        f"{words} of Quillfox" for words in WORDS
    )
    assert (pack_of(ready) / front["thumbnail"]).is_file()


@pytest.mark.browser
@pytest.mark.parametrize("name", ["civitai.html", "preview.html"])
def test_pages_of_the_pack_fit_a_phone(ready: Project, name: str):
    assert publish(ready) == 0
    with open_page((pack_of(ready) / name).as_uri(), width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_one_click_copies_a_field(ready: Project):
    assert publish(ready) == 0
    with open_page((pack_of(ready) / "civitai.html").as_uri()) as page:
        buttons = page.locator("button")
        for number in range(buttons.count()):
            buttons.nth(number).click()
        page.wait_for_function(
            "[...document.querySelectorAll('button')].every(one => one.textContent === 'Copied')"
        )


@pytest.mark.browser
def test_a_button_of_the_checklist_gets_its_label_back(ready: Project):
    publish(ready)
    with open_page((pack_of(ready) / "checklist.html").as_uri()) as page:
        page.clock.install()
        button = page.locator("#copy-description")
        for _ in range(2):
            button.click()
            page.clock.run_for(100)
        assert button.inner_text() != "Copy the description"
        page.clock.run_for(3000)
        assert button.inner_text() == "Copy the description"


@pytest.mark.browser
def test_the_checklist_fits_a_narrow_window(ready: Project):
    assert publish(ready) == 0
    with open_page((pack_of(ready) / "checklist.html").as_uri(), width=420) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_the_newest_checklist_is_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(["publish", str(project.root), "--serve"]) == 1
    assert "LL185" in capsys.readouterr().err
    for name in ("older", "quillfox-v2"):
        (project.publish_dir / name).mkdir(parents=True)
        (project.publish_dir / name / "checklist.html").write_text("x", encoding="utf-8")
    os.utime(project.publish_dir / "older" / "checklist.html", (1, 1))
    served: list[Any] = []
    monkeypatch.setattr(
        "a1111_ext.cli.publish.serve_until_interrupted",
        lambda share, path, **given: served.append((share.root.name, path, given)),
    )
    assert main(["publish", str(project.root), "--lan"]) == 0
    assert served == [("quillfox-v2", "checklist.html", {"lan": True})]
