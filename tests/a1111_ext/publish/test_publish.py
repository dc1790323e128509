"""The publish pack: true in every word, whole or not there, refused where it must be."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from chromium import open_page
from hub_server import LocalHub, local_hub
from PIL import Image, PngImagePlugin
from promotions import promote_epoch, with_manifest

from a1111_ext.publish.ai_label import TRAINED_ALGORITHMIC_MEDIA, source_type
from a1111_ext.publish.card import hub_card
from a1111_ext.publish.check import CheckState
from a1111_ext.publish.checklist import site_rules
from a1111_ext.publish.checks import check_material
from a1111_ext.publish.form import form_pages, text_fields
from a1111_ext.publish.material import gather
from a1111_ext.publish.pack import is_untouched
from a1111_ext.publish.promoted import Promoted, require_promoted
from a1111_ext.publish.site import base_model_problem, trained_on
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.families import Family
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import read_header, rewrite_metadata, tensor_sha256
from kohya_ext.project.tagging import Scores, write_scores
from kohya_ext.simulator.tagger_model import write_tagger_model

PUBLISH = """
publish:
  title: "Quillfox"
  description: "An invented creature, half fox, half porcupine."
  source_link: "https://example.org/quillfox"
  base_model: "SD 1.5"
  author: "me"
  license: "CC-BY-4.0"
  tags: [creature, fantasy]
"""
WORDS = ("portrait", "full body", "from behind")


def infotext(digest: str, words: str, *, name: str = "quillfox-v1", weight: str = "0.8") -> str:
    return (
        f"<lora:{name}:{weight}> {words} of Quillfox\nNegative prompt: blurry, child, nude\n"
        "Steps: 4, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 12, "
        "Size: 64x64, Model hash: 6ee29fced1, Model: tinyA, "
        f'Lora hashes: "{name}: {digest}, lantern: aaaabbbbcccc", Version: v1.10.1'
    )


def save_picture(path: Path, text: str, looks: str = "") -> None:
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_text("parameters", text)
    stream = io.BytesIO()
    noise = random.Random(path.name + looks).randbytes(16 * 16 * 3)
    Image.frombytes("RGB", (16, 16), noise).save(stream, "PNG", pnginfo=info)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(stream.getvalue())


@pytest.fixture
def ready(project: Project) -> Project:
    """A project with a promoted LoRA and three selected pictures."""
    promote_epoch(project)
    project = with_manifest(project, PUBLISH, section="publish")
    digest = require_promoted(project).autov3
    for number, words in enumerate(WORDS):
        save_picture(project.showcase_dir / f"{number}.png", infotext(digest, words))
    assert main(["select", str(project.root)]) == 0
    store_scores(project, {"general": 0.9}, {"animal": 0.9})
    return project


def store_scores(project: Project, ratings: dict[str, float], tags: dict[str, float]) -> None:
    """Keep scores as a tagger would have left them, so that all pictures count as looked at."""
    for one in gather(project).every_picture:
        write_scores(project.scores_dir, Scores(one.sha256, "model", ratings, tags, {}))


def publish(project: Project, *words: object) -> int:
    return main(["publish", str(project.root), *map(str, words)])


def pack_of(project: Project) -> Path:
    return project.publish_dir / "quillfox-v1"


def refusal(project: Project, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what publishing said when it refused, having written nothing."""
    capsys.readouterr()
    assert publish(project) == 1
    assert not pack_of(project).exists()
    return capsys.readouterr().err


# -- what is in it ------------------------------------------------------------------------------


def test_escape_sequences_of_a_prompt_stand_as_codes_in_the_pack(ready: Project):
    digest = require_promoted(ready).autov3
    text = infotext(digest, WORDS[0] + " \x1b]0;owned\x07")
    save_picture(ready.showcase_dir / "0.png", text, looks="again")
    assert main(["select", str(ready.root)]) == 0
    store_scores(ready, {"general": 0.9}, {"animal": 0.9})
    assert publish(ready) == 0
    texts = {
        one.name: one.read_text(encoding="utf-8")
        for one in pack_of(ready).iterdir()
        if one.suffix in (".html", ".md")
    }
    assert any(r"\x1b]0;owned\x07" in text for text in texts.values())
    assert [name for name, text in texts.items() if "\x1b" in text or "\x07" in text] == []


def test_a_pack_has_everything(ready: Project, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert publish(ready) == 0
    shown = capsys.readouterr()
    pack = pack_of(ready)
    found = sorted(one.relative_to(pack).as_posix() for one in pack.rglob("*") if one.is_file())
    order = [one.path.name for one in gather(ready).pictures]
    assert found == sorted(
        [
            "README.md",
            "checklist.html",
            "civitai.html",
            "description.html",
            "description.md",
            *(f"images/{number:02d}-{name}" for number, name in enumerate(order, start=1)),
            "pack.json",
            "preview.html",
            "quillfox-v1.description.txt",
            "quillfox-v1.json",
            "quillfox-v1.png",
            "quillfox-v1.safetensors",
        ]
    )
    assert shown.err.rstrip().endswith("and go through it")


def test_pictures_and_lora_are_byte_exact(ready: Project):
    publish(ready)
    pack = pack_of(ready)
    for number, one in enumerate(gather(ready).pictures, start=1):
        copy = pack / "images" / f"{number:02d}-{one.path.name}"
        assert copy.read_bytes() == one.path.read_bytes()
        assert not copy.samefile(one.path)
    lora = pack / "quillfox-v1.safetensors"
    assert sha256_of(lora) == require_promoted(ready).sha256


def test_the_description_tells_the_chosen_file(ready: Project):
    publish(ready)
    text = (pack_of(ready) / "description.md").read_text(encoding="utf-8")
    for words in (
        "# Quillfox",
        "half porcupine",
        "**Trigger word:** `Quillfox`",
        "**Chosen:** epoch 3 of 4, 30 steps",
        "**Recommended weight:** 0.8",
        "**Base model:** SD 1.5",
        "https://example.org/quillfox",
        "`<lora:quillfox-v1:0.8>`",
        "tinyA `6ee29fced1`",
        "lantern `aaaabbbbcccc`",
    ):
        assert words in text


def test_the_webui_reads_the_sidecar(ready: Project):
    publish(ready)
    data = json.loads((pack_of(ready) / "quillfox-v1.json").read_text(encoding="utf-8"))
    assert data["activation text"] == "Quillfox"
    assert data["preferred weight"] == 0.8
    assert data["sd version"] == "SD1"
    assert set(data) == {
        "description",
        "sd version",
        "activation text",
        "preferred weight",
        "negative text",
        "notes",
    }


def front_matter(text: str) -> dict[str, Any]:
    assert text.startswith("---\n")
    loaded: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return loaded


def test_the_card_is_one_of_the_hub(ready: Project):
    publish(ready)
    pack = pack_of(ready)
    text = (pack / "README.md").read_text(encoding="utf-8")
    front = front_matter(text)
    assert front["instance_prompt"] == "Quillfox"
    assert front["license"] == "cc-by-4.0"
    assert front["base_model"].count("/") == 1
    assert {"text-to-image", "lora", "template:sd-lora", "fantasy"} <= set(front["tags"])
    assert len(front["widget"]) == 3
    for one in front["widget"]:
        assert (pack / one["output"]["url"]).is_file()
        assert one["parameters"]["negative_prompt"] == "blurry, child, nude"
    assert "<Gallery />" in text


def test_an_unusual_licence_is_named(ready: Project):
    ready = with_manifest(ready, PUBLISH.replace("CC-BY-4.0", "ask me"), section="publish")
    material = gather(ready)
    front = front_matter(hub_card(material, ("a", "b", "c")))
    assert (front["license"], front["license_name"]) == ("other", "ask-me")


def test_the_checklist_holds_the_facts(ready: Project):
    publish(ready)
    page = (pack_of(ready) / "checklist.html").read_text(encoding="utf-8")
    promoted = require_promoted(ready)
    for value in (promoted.autov2, promoted.sha256, "at most 20", "No real person", "civitai.html"):
        assert value in page


def fields_of(project: Project) -> dict[str, str]:
    return dict(text_fields(form_pages(gather(project))))


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


# -- the card, as the hub's own library reads it ------------------------------------------------


def test_widget_texts_have_no_lora_tags(ready: Project):
    publish(ready)
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert sorted(one["text"] for one in front["widget"]) == sorted(
        f"{words} of Quillfox" for words in WORDS
    )
    assert (pack_of(ready) / front["thumbnail"]).is_file()


def test_the_hubs_library_reads_the_card(ready: Project):
    hub = pytest.importorskip("huggingface_hub")
    publish(ready)
    card = hub.ModelCard.load(pack_of(ready) / "README.md")
    said = card.data.to_dict()
    assert (said["license"], said["base_model"]) == (
        "cc-by-4.0",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
    )
    assert hub.ModelCard(str(card)).data.to_dict() == said  # nothing is lost when it is written


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("someone/other-model", "someone/other-model"),
        ("models/file.safetensors", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
    ],
)
def test_the_base_model_is_a_repository(ready: Project, path: str, name: str):
    text = ready.manifest_path.read_text(encoding="utf-8").replace("path: ''", f"path: '{path}'")
    ready.manifest_path.write_text(text, encoding="utf-8")
    front = front_matter(hub_card(gather(open_project(ready.root)), ("a", "b", "c")))
    assert front["base_model"] == name


# -- in the header --------------------------------------------------------------------------------


def test_the_header_gets_usage_hint_and_thumbnail(ready: Project):
    assert publish(ready) == 0
    header = read_header(pack_of(ready) / "quillfox-v1.safetensors").metadata
    assert header["modelspec.usage_hint"].startswith("Write <lora:quillfox-v1:0.8> and Quillfox")
    head, _, data = header["modelspec.thumbnail"].partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (picture.format, max(picture.size) <= 256) == ("JPEG", True)
    before = sha256_of(require_promoted(ready).path)
    assert publish(ready) == 0
    assert sha256_of(require_promoted(ready).path) == before


def test_an_adult_picture_is_no_thumbnail(ready: Project):
    store_scores(ready, {"explicit": 0.9}, {})
    assert publish(ready, "--content", "explicit") == 0
    assert "modelspec.thumbnail" not in read_header(require_promoted(ready).path).metadata


# -- names and posts ------------------------------------------------------------------------------


def test_a_picture_under_the_linked_name_counts_by_its_hash(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    digest = require_promoted(ready).autov3
    replace_picture(ready, infotext(digest, "portrait", name="Quillfox-000003", weight="0.6"))
    store_scores(ready, {"general": 0.9}, {})
    capsys.readouterr()
    assert publish(ready) == 0
    assert "calls it by another name" in capsys.readouterr().err
    assert gather(ready).weights == (0.6, 0.8)
    assert [name for name, _ in gather(ready).helpers] == ["lantern"]


def rate(project: Project, word: str, *files: str) -> None:
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.RATING, {f"showcase/{one}": word for one in files}, "test")


def test_pictures_rated_2_become_follow_up_posts(ready: Project):
    digest = require_promoted(ready).autov3
    names = [f"more-{number}.png" for number in range(22)]
    for number, name in enumerate(names):
        save_picture(ready.showcase_dir / name, infotext(digest, WORDS[number % 3]))
    rate(ready, "2", *names)
    store_scores(ready, {"general": 0.9}, {})
    assert publish(ready) == 0
    pack = pack_of(ready)
    posts = [sorted(one.name for one in (pack / f"follow-up-{n}").iterdir()) for n in (1, 2)]
    assert [len(post) for post in posts] == [11, 11]
    assert {name[3:] for post in posts for name in post} == set(names)
    assert len(list((pack / "images").iterdir())) == 3
    page = (pack / "preview.html").read_text(encoding="utf-8")
    assert page.count("<article>") == 25
    assert "Follow-up post 2" in page
    framings = [[one.framing for one in post] for post in gather(ready).follow_ups]
    assert all(a != b for post in framings for a, b in pairwise(post))


def test_a_follow_up_of_another_file_is_named(ready: Project, capsys: pytest.CaptureFixture[str]):
    save_picture(ready.showcase_dir / "more.png", infotext("000000000000", "portrait"))
    rate(ready, "2", "more.png")
    capsys.readouterr()
    assert publish(ready) == 0
    assert "more.png is rated 2, but it was drawn" in capsys.readouterr().err


def test_follow_ups_are_judged_like_the_post(ready: Project, capsys: pytest.CaptureFixture[str]):
    digest = require_promoted(ready).autov3
    save_picture(ready.showcase_dir / "more.png", infotext(digest, "portrait, nude child"))
    rate(ready, "2", "more.png")
    assert "LL616" in refusal(ready, capsys)


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
def test_the_checklist_fits_a_narrow_window(ready: Project):
    assert publish(ready) == 0
    with open_page((pack_of(ready) / "checklist.html").as_uri(), width=420) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_the_pack_is_noted(ready: Project):
    publish(ready)
    entry = ready.journal.last("publish")
    assert entry is not None
    assert (entry.facts["folder"], entry.facts["pictures"]) == ("publish/quillfox-v1", 3)


def test_a_dry_run_writes_nothing(ready: Project, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert publish(ready, "--dry-run", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["epochs"], data["steps"], data["weight"]) == (3, 30, 0.8)
    assert not pack_of(ready).exists()


def test_simulateds_are_marked_everywhere(project: Project, webui: SimulatedWebui):
    promote_epoch(project)
    text = (
        "showcase:\n  template: '{lora} {trigger}'\n  count: 2\n  picture: {width: 64, height: 64}"
    )
    project = with_manifest(project, text)
    assert main(["showcase", str(project.root), "--webui", webui.url]) == 0
    assert main(["select", str(project.root)]) == 0
    store_scores(project, {"general": 0.9}, {})
    assert publish(project) == 0
    for path in pack_of(project).glob("*.*"):
        if path.suffix in (".md", ".html", ".json", ".txt"):
            assert "simulated" in path.read_text(encoding="utf-8").casefold(), path.name


def test_a_simulated_training_is_marked(ready: Project):
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    assert not gather_again(source, path, {"ss_dataset_dirs": '{"5_simulated": {}}'}, ready)
    assert gather_again(source, path, {"ss_base_model_version": "simulated"}, ready)


def gather_again(source: Path, path: Path, changes: dict[str, str], project: Project) -> bool:
    path.unlink(missing_ok=True)
    rewrite_metadata(source, path, changes)
    return gather(project).is_simulated


# -- the header ---------------------------------------------------------------------------------


def test_what_is_written_after_promote_reaches_the_header(ready: Project):
    before = require_promoted(ready).tensors_sha256
    assert publish(ready) == 0
    said = PUBLISH.replace("CC-BY-4.0", "MIT").replace('author: "me"', 'author: "Ada"')
    ready = with_manifest(ready, said.replace("fantasy", "forest"), section="publish")
    assert publish(ready) == 0
    lora = pack_of(ready) / "quillfox-v1.safetensors"
    header = read_header(lora).metadata
    assert header["modelspec.license"] == "MIT"
    assert header["modelspec.author"] == "Ada"
    assert header["modelspec.tags"] == "creature, forest"
    assert header["ss_output_name"] == "quillfox-v1"
    assert tensor_sha256(lora) == before
    assert sha256_of(lora) == require_promoted(ready).sha256
    front = front_matter((pack_of(ready) / "README.md").read_text(encoding="utf-8"))
    assert front["license"] == "mit"


def test_what_is_taken_out_of_the_manifest_leaves_the_header(ready: Project):
    assert publish(ready) == 0
    ready = with_manifest(ready, PUBLISH.replace('license: "CC-BY-4.0"', ""), section="publish")
    assert publish(ready) == 0
    header = read_header(require_promoted(ready).path).metadata
    assert "modelspec.license" not in header
    assert header["modelspec.author"] == "me"


def change_header(project: Project, changes: dict[str, str]) -> None:
    path = require_promoted(project).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, changes)
    source.unlink()


@pytest.mark.parametrize(
    "changes",
    [
        {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
        {"ss_base_model_version": "sdxl_base_v1-0"},
        {"ss_v2": "True"},
        {"modelspec.trigger_phrase": "Thornhare", "ss_tag_frequency": '{"5_x": {"hare": 3}}'},
    ],
)
def test_a_header_of_another_model_or_word_is_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], changes: dict[str, str]
):
    change_header(ready, changes)
    said = refusal(ready, capsys)
    assert "LL643" in said or "LL135" in said


def test_a_trigger_word_of_the_training_is_taken(ready: Project):
    tags = '{"5_x": {"quillfox": 3}}'
    change_header(ready, {"modelspec.trigger_phrase": "Thornhare", "ss_tag_frequency": tags})
    assert publish(ready) == 0
    header = read_header(require_promoted(ready).path).metadata
    assert header["modelspec.trigger_phrase"] == "Quillfox"


# -- made again ---------------------------------------------------------------------------------


def test_a_pack_is_made_again_in_place(ready: Project):
    publish(ready)
    publish(ready)
    assert [one.name for one in ready.publish_dir.iterdir() if one.is_dir()] == ["quillfox-v1"]
    assert is_untouched(pack_of(ready))


def test_an_edited_pack_is_never_written_over(ready: Project):
    publish(ready)
    mine = pack_of(ready) / "description.md"
    mine.write_text("my own words", encoding="utf-8")
    publish(ready)
    assert mine.read_text(encoding="utf-8") == "my own words"
    assert is_untouched(ready.publish_dir / "quillfox-v1-2")


def test_a_folder_of_the_users_is_left_alone(ready: Project):
    pack_of(ready).mkdir()
    (pack_of(ready) / "notes.txt").write_text("mine", encoding="utf-8")
    publish(ready)
    assert [one.name for one in pack_of(ready).iterdir()] == ["notes.txt"]


def test_nothing_half_is_left(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    assert "LL110" in refusal(ready, capsys)
    assert not [one for one in ready.publish_dir.iterdir() if one.is_dir()]


def test_a_copy_that_is_not_whole_is_noticed(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def cut(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-1])

    monkeypatch.setattr(shutil, "copyfile", cut)
    assert "could not be copied whole" in refusal(ready, capsys)


# -- what is refused ----------------------------------------------------------------------------


def selection_by_hand(project: Project) -> Any:
    """Return the selection as `select` keeps it, to be written into selection.json."""
    with DecisionStore(project.reviews_db) as store:
        return store.values(DecisionKind.SELECTION)["showcase"]


def replace_picture(project: Project, text: str) -> None:
    """Put another picture in place of the first one and select again, by hand."""
    save_picture(project.showcase_dir / "0.png", text, "other")
    path = project.showcase_dir / "selection.json"
    data = selection_by_hand(project)
    for one in data["pictures"]:
        one.pop("sha256")
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (infotext("000000000000", "portrait"), "LL626", "was drawn with another quillfox-v1"),
        (infotext("SAME", "portrait", name="other").replace("SAME", "1"), "LL626", "has other"),
        ("", "LL624", "has no generation data"),
        (infotext("SAME", "portrait <lora:detail:0.4>"), "LL642", "names the LoRA detail"),
        (infotext("SAME", "a naked child"), "LL616", '"child" and "naked"'),
    ],
)
def test_pictures_that_are_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], text: str, code: str, words: str
):
    replace_picture(ready, text.replace("SAME", require_promoted(ready).autov3))
    said = refusal(ready, capsys)
    assert code in said
    assert words in said


def test_every_refusal_is_told(ready: Project, capsys: pytest.CaptureFixture[str]):
    replace_picture(ready, infotext("000000000000", "a naked child"))
    said = refusal(ready, capsys)
    assert said.rstrip().endswith("[LL626]")
    assert "also refused: The prompt of 0.png" in said


def test_negative_prompts_may_name_what_is_unwanted(ready: Project):
    """The showcase's own negative prompt says "child, nude" to keep both out."""
    assert publish(ready) == 0


def test_a_changed_picture_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    save_picture(ready.showcase_dir / "0.png", infotext("x", "y"), "other")
    assert "0.png was changed after it was selected" in refusal(ready, capsys)


def test_a_picture_that_is_gone_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    (ready.showcase_dir / "0.png").unlink()
    assert "LL623" in refusal(ready, capsys)


def test_a_later_promotion_refuses_older_pictures(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    promote_epoch(ready, "quillfox-v2", epoch=2)
    capsys.readouterr()
    assert publish(ready) == 1
    assert "LL626" in capsys.readouterr().err


def test_a_wrong_stored_hash_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, {"sshs_model_hash": "0" * 64})
    assert "LL625" in refusal(ready, capsys)


def test_a_header_edited_after_the_showcase_still_fits(ready: Project):
    """Only the tensors count for the pictures; the file's own hash is that of the new file."""
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    rewrite_metadata(source, path, {"modelspec.author": "me"})
    assert publish(ready) == 0
    record = json.loads((pack_of(ready) / "pack.json").read_text(encoding="utf-8"))
    assert record["sha256"] == sha256_of(path)


@pytest.mark.parametrize("name", ["SD1.5", "sd 1.5", "SDXL 1.0"])
def test_wrong_base_models_are_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], name: str
):
    ready = with_manifest(ready, PUBLISH.replace("SD 1.5", name), section="publish")
    assert "LL627" in refusal(ready, capsys)


@pytest.mark.parametrize(
    ("name", "family", "fits"),
    [
        ("SD 1.5", Family.SD15, True),
        ("SD 1.4", Family.SD15, True),
        ("Pony V7", Family.SDXL, True),
        ("SD 3.5 Large", Family.SD3, True),
        ("Other", Family.FLUX, True),
        ("Something Newer", Family.SD15, True),
        ("Flux.1 D", Family.SDXL, False),
        ("flux1d", Family.FLUX, False),
    ],
)
def test_base_models_fit_their_family(name: str, family: Family, fits: bool):
    assert (base_model_problem(name, family) is None) is fits


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ponyDiffusionV6XL.safetensors", "Pony"),
        ("D:/models/Illustrious-XL-v1.0.safetensors", "Illustrious"),
        ("noobaiXLNAI.safetensors", "NoobAI"),
        ("sd_xl_base_1.0.safetensors", "SDXL 1.0"),
        ("illustriousPony_mix.safetensors", ""),
        ("myMerge.safetensors", ""),
    ],
)
def test_a_base_models_file_tells_its_name(file: str, name: str):
    assert trained_on(file) == name


def test_another_base_than_the_headers_is_told(ready: Project, capsys: pytest.CaptureFixture[str]):
    change_header(ready, {"ss_sd_model_name": "sd-v1-4.ckpt"})
    capsys.readouterr()
    assert publish(ready) == 0
    assert "trained on sd-v1-4.ckpt, which sounds like SD 1.4" in capsys.readouterr().err


def test_twenty_one_pictures_are_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    path = ready.showcase_dir / "selection.json"
    data = selection_by_hand(ready)
    data["pictures"] *= 7
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "LL620" in refusal(ready, capsys)


def test_nothing_selected_is_refused(project: Project, capsys: pytest.CaptureFixture[str]):
    promote_epoch(project)
    assert "LL622" in refusal(project, capsys)


# -- persons ------------------------------------------------------------------------------------

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


def test_a_consent_to_less_is_told(ready: Project, capsys: pytest.CaptureFixture[str]):
    narrow = CONSENT.replace("training, pictures, publishing", "training only")
    ready = with_manifest(ready, narrow, section="subject")
    capsys.readouterr()
    said = refusal(ready, capsys)
    assert 'to "training only", which does not name publishing' in said
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


# -- what a tagger sees -------------------------------------------------------------------------


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


# -- the category of content ----------------------------------------------------------------


def test_explicit_pictures_never_pass_unseen(ready: Project, capsys: pytest.CaptureFixture[str]):
    store_scores(ready, {"explicit": 0.97}, {})
    said = refusal(ready, capsys)
    assert "3 of 3 pictures judged explicit, and nobody has decided" in said
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


def test_a_milder_word_than_the_taggers_is_told(ready: Project, capsys: pytest.CaptureFixture[str]):
    store_scores(ready, {"explicit": 0.3}, {})
    capsys.readouterr()
    assert publish(ready, "--content", "general") == 0
    assert "You decided general; judged are explicit" in capsys.readouterr().err
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


def test_a_dry_run_names_what_the_header_would_say(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert publish(ready, "--dry-run") == 0
    said = capsys.readouterr().err
    assert "would be written again" in said
    assert "modelspec.license" in said
    assert "modelspec.license" not in read_header(require_promoted(ready).path).metadata


# -- to the hub ---------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    pytest.importorskip("huggingface_hub")
    with local_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", served.token)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield served


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of the hub's library
def test_the_command_sends_a_pack_to_the_hub(
    ready: Project, hub: LocalHub, capsys: pytest.CaptureFixture[str]
):
    to = ("--to", "hub", "ada/quillfox")
    assert publish(ready, *to, "--dry-run") == 0
    assert hub.repositories == {}
    capsys.readouterr()
    assert publish(ready, *to) == 0
    said = capsys.readouterr()
    assert "ada/quillfox (private): 5 files to send, 0 are there" in said.err
    assert hub.token not in said.out + said.err
    repository = hub.repositories["ada/quillfox"]
    assert repository.private
    assert len(repository.files) == 5
    for path in ready.root.rglob("*"):
        assert not path.is_file() or hub.token.encode() not in path.read_bytes()
    assert publish(ready, *to) == 0
    assert "0 files to send, 5 are there" in capsys.readouterr().err


def test_an_unseen_or_simulated_pack_is_not_sent(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    shutil.rmtree(ready.scores_dir)
    capsys.readouterr()
    assert publish(ready, "--to", "hub", "ada/quillfox") == 1
    assert "Nobody has looked at the pictures" in capsys.readouterr().err
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    assert gather_again(source, path, {"ss_base_model_version": "simulated"}, ready)
    assert publish(ready, "--to", "hub", "ada/quillfox") == 1
    assert "LL682" in capsys.readouterr().err
    assert publish(ready, "--to", "civitai", "x") == 1
    assert "LL676" in capsys.readouterr().err


# -- the label ---------------------------------------------------------------------------------


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
    assert "Not looked at by a tagger: 3 of 3 pictures" in page


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


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({}, "LORA"),
        ({"ss_network_args": '{"conv_dim": "8"}'}, "LoCon"),
        ({"ss_network_module": "lycoris.kohya"}, "LoCon"),
        ({"ss_network_args": '{"dora_wd": "True"}'}, "DoRA"),
        ({"ss_network_args": "broken"}, "LORA"),
    ],
)
def test_the_kind_of_network_is_told(metadata: dict[str, str], kind: str):
    assert Promoted("x", Path("x"), None, None, metadata).module == kind


def test_a_promotion_of_a_moved_project_is_found(ready: Project, tmp_path: Path):
    target = tmp_path / "moved"
    shutil.move(ready.root, target)
    assert require_promoted(open_project(target)).path.is_relative_to(target)


def test_bad_journals_are_no_traceback(project: Project):
    project.journal.append("promote", name="x")
    with pytest.raises(ToolError, match="LL604"):
        require_promoted(project)


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_pictures_of_other_formats_are_published(ready: Project, form: str, suffix: str):
    for path in sorted(ready.showcase_dir.glob("*.png")):
        with Image.open(path) as picture:
            exif, text = picture.getexif(), str(picture.info["parameters"])
            exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-le")
            picture.convert("RGB").save(path.with_suffix(suffix), form, exif=exif.tobytes())
        path.unlink()
    assert main(["select", str(ready.root)]) == 0
    store_scores(ready, {"general": 0.9}, {})
    assert publish(ready) == 0
    packed = [one for one in pack_of(ready).rglob(f"*{suffix}") if "preview" not in one.name]
    assert len(packed) >= 3
    card = (pack_of(ready) / "README.md").read_text(encoding="utf-8")
    assert WORDS[0] in card


def test_a_file_of_another_family_is_not_published(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    """The manifest was changed after the promotion; the file says what it is."""
    text = ready.manifest_path.read_text(encoding="utf-8")
    assert "family: sd15" in text
    ready.manifest_path.write_text(text.replace("family: sd15", "family: sd3"), encoding="utf-8")
    assert "is a LoRA for SD 1.5, but the project is for SD 3" in refusal(ready, capsys)


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
