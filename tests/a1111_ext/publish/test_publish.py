"""The publish pack: true in every word, whole or not there, refused where it must be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hub_server import LocalHub, local_hub
from packs import (
    PUBLISH,
    WORDS,
    front_matter,
    infotext,
    pack_of,
    publish,
    refusal,
    replace_picture,
    save_picture,
    store_scores,
)
from PIL import Image
from promotions import promote_epoch, with_manifest

from a1111_ext.publish.card import hub_card
from a1111_ext.publish.material import gather
from a1111_ext.publish.pack import is_untouched
from a1111_ext.publish.promoted import Promoted, require_promoted
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, open_project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import rewrite_metadata


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


def test_copies_are_named_by_their_content(ready: Project):
    """A1111 finds no preview behind .PNG, sites no generation data of a PNG behind .jpg."""
    for old, new in (("0.png", "a.PNG"), ("1.png", "b.jpg"), ("2.png", "c.webp")):
        (ready.showcase_dir / old).rename(ready.showcase_dir / new)
    assert main(["select", str(ready.root)]) == 0
    store_scores(ready, {"general": 0.9}, {"animal": 0.9})
    assert publish(ready) == 0
    names = [one.name for one in (pack_of(ready) / "images").iterdir()]
    assert sorted(name[2:] for name in names) == ["-a.png", "-b.png", "-c.png"]
    assert (pack_of(ready) / "quillfox-v1.png").is_file()


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


def test_the_hubs_library_reads_the_card(ready: Project):
    hub = pytest.importorskip("huggingface_hub", minversion="1.12")
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
    def full(source: Path) -> Iterator[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("a1111_ext.publish.pack.read_blocks", full)
    assert "LL110" in refusal(ready, capsys)
    assert not [one for one in ready.publish_dir.iterdir() if one.is_dir()]


def test_a_copy_that_is_not_whole_is_noticed(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def cut(source: Path) -> Iterator[bytes]:
        yield source.read_bytes()[:-1]

    monkeypatch.setattr("a1111_ext.publish.pack.read_blocks", cut)
    assert "could not be copied completely" in refusal(ready, capsys)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    pytest.importorskip("huggingface_hub", minversion="1.12")
    with local_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", served.token)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True, raising=False)
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
    assert "ada/quillfox (private): 5 files to send, 0 already there" in said.err
    assert hub.token not in said.out + said.err
    repository = hub.repositories["ada/quillfox"]
    assert repository.private
    assert len(repository.files) == 5
    for path in ready.root.rglob("*"):
        assert not path.is_file() or hub.token.encode() not in path.read_bytes()
    assert publish(ready, *to) == 0
    assert "0 files to send, 5 already there" in capsys.readouterr().err


def test_an_unseen_or_simulated_pack_is_not_sent(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    shutil.rmtree(ready.scores_dir)
    capsys.readouterr()
    assert publish(ready, "--to", "hub", "ada/quillfox") == 1
    assert "The content of the pictures was not checked" in capsys.readouterr().err
    path = require_promoted(ready).path
    source = path.rename(path.with_name("source.bin"))
    assert gather_again(source, path, {"ss_base_model_version": "simulated"}, ready)
    assert publish(ready, "--to", "hub", "ada/quillfox") == 1
    assert "LL682" in capsys.readouterr().err
    assert publish(ready, "--to", "civitai", "x") == 1
    assert "LL676" in capsys.readouterr().err


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
def test_the_kind_of_network_is_reported(metadata: dict[str, str], kind: str):
    assert Promoted("x", Path("x"), None, None, metadata).module == kind


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_pictures_of_other_formats_are_published(ready: Project, form: str, suffix: str):
    for path in sorted(ready.showcase_dir.glob("*.png")):
        with Image.open(path) as picture:
            exif, text = picture.getexif(), str(picture.info["parameters"])
            exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode("utf-16-le")}
            picture.convert("RGB").save(path.with_suffix(suffix), form, exif=exif.tobytes())
        path.unlink()
    assert main(["select", str(ready.root)]) == 0
    store_scores(ready, {"general": 0.9}, {})
    assert publish(ready) == 0
    packed = [one for one in pack_of(ready).rglob(f"*{suffix}") if "preview" not in one.name]
    assert len(packed) >= 3
    card = (pack_of(ready) / "README.md").read_text(encoding="utf-8")
    assert WORDS[0] in card
