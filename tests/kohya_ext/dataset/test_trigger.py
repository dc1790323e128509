"""A trigger word is compared with LoRAs, models' words and the set itself."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.trigger import (
    Surroundings,
    check_trigger,
    known_words,
    lora_folders_of,
    read_loras,
    trigger_report,
)
from kohya_ext.project import MissingError, Project
from kohya_ext.project.clip_tokens import ClipTokens, find_clip_tokens, read_merges
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.project.settings import read_settings, write_setting
from kohya_ext.project.tagging import Scores, write_scores
from kohya_ext.simulator.creature import recipes, write_pictures

Capture = pytest.CaptureFixture[str]


def write_file(path: Path, **metadata: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        key.replace("__", "."): one if isinstance(one, str) else json.dumps(one)
        for key, one in metadata.items()
    }
    write_lora(path, {"x": Tensor("F16", (1,), b"\0\0")}, texts)
    return path


def kinds(word: str, around: Surroundings) -> list[str]:
    return [one.kind for one in check_trigger(word, around).findings]


@pytest.mark.parametrize("word", ["woman", "1girl", "photo", "sks", "Woman", "best_quality"])
def test_words_that_everybody_knows_are_warned_of(word: str):
    report = check_trigger(word, Surroundings())
    assert [one.kind for one in report.findings] == ["word"]
    assert report.suggestions


def test_an_invented_word_is_free():
    report = check_trigger("Quillfox", Surroundings())
    assert (report.findings, report.suggestions) == ((), ())


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_output_name": "mira"},
        {"modelspec__trigger_phrase": "photo of Mira"},
        {"ss_tag_frequency": {"5_x": {"photo of mira": 40, "sky": 3}}},
        {"ss_tag_frequency": {"5_Mira woman": {"a": 1}}},
        {"ss_dataset_dirs": {"10_Mira": {"n_repeats": 10, "img_count": 3}}},
        {"ss_training_comment": "trigger: mira"},
        {"ss_training_comment": "trigger: mira; consent: Ida agreed on 2026-01-31 to: all"},
    ],
    ids=str,
)
def test_other_loras_are_asked_by_their_headers(tmp_path: Path, metadata: dict[str, object]):
    write_file(tmp_path / "deep" / "other.safetensors", **metadata)
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    around = Surroundings(tuple(read_loras([tmp_path])))
    assert kinds("agreed", around) == []
    assert kinds("Mira", around) == ["lora"]
    assert kinds("Miranda", around) == []
    assert "other.safetensors" in check_trigger("Mira", around).findings[0].text


def test_the_projects_own_epochs_do_not_count(project: Project, tmp_path: Path):
    folder = tmp_path / "Lora"
    for place in (project.model_dir / "Quillfox.safetensors", folder / "chosen.safetensors"):
        write_file(place, ss_output_name="Quillfox", ss_session_id="42")
    assert trigger_report(project, "", [folder]).findings == ()
    write_file(folder / "stranger.safetensors", ss_output_name="Quillfox", ss_session_id="43")
    (found,) = trigger_report(project, "", [folder]).findings
    assert "stranger.safetensors" in found.text
    with pytest.raises(MissingError):
        trigger_report(project, "", [tmp_path / "nowhere"])


def test_a_tag_of_the_set_is_reported_as_it_would_read(project: Project):
    write_scores(project.scores_dir, Scores("a" * 64, "m", {}, {"sky": 0.9, "blue_sky": 0.8}, {}))
    texts = " ".join(one.text for one in trigger_report(project, "sky").findings)
    assert '"photo of sky, sky"' in texts
    assert "part of the set's own tags: blue sky" in texts


def test_drawn_pictures_are_none_of_the_set(project: Project):
    """Showcases are tagged as well: their scores lie beside those of the set."""
    write_pictures(project.source_dir, recipes(3))
    apply_layout(project, plan_layout(project))
    seen = {"sky": 0.9, "blue_sky": 0.8}
    staged = sorted(project.images_dir.glob("*/*.png"))
    for key, tags in [("a" * 64, seen), ("b" * 64, seen), (sha256_of(staged[0]), {"sky": 0.9})]:
        write_scores(project.scores_dir, Scores(key, "m", {}, tags, {}))
    said = [one.text for one in trigger_report(project, "sky").findings]
    assert any('The tagger finds "sky" in 1 picture of the set' in one for one in said)
    assert not any("blue sky" in one for one in said)


def test_the_taggers_vocabulary_is_asked():
    assert kinds("velvet choker", Surroundings(vocabulary={"velvet_choker"})) == ["tag"]


def write_merges(folder: Path) -> Path:
    """Merges that make one token of sky and leave other words in letters."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "merges.txt").write_text("#version: 0.2\ns k\nsk y</w>\n", "utf-8")
    return folder


def test_clips_tokens_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokens = read_merges(write_merges(tmp_path) / "merges.txt")
    assert [tokens.count(text) for text in ("sky", "SKY, sky", "skyq", "", "é")] == [1, 3, 3, 0, 2]
    assert tokens.knows_word("Sky")
    assert not tokens.knows_word("skyq")
    packed = tmp_path / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / "1"
    write_merges(packed)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert find_clip_tokens().source == packed / "merges.txt"
    (tmp_path / "bpe_simple_vocab_16e6.txt.gz").write_bytes(gzip.compress(b'"bpe"\nq x\n'))
    (tmp_path / "merges.txt").write_bytes(b"\xff")
    assert find_clip_tokens([tmp_path]).count("qx") == 2


def test_without_the_vocabulary_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    tokens = ClipTokens()
    assert not tokens.is_exact
    assert tokens.count("photo of Quillfox, sky") == 5


def test_one_token_and_many_tokens_are_reported(tmp_path: Path):
    tokens = read_merges(write_merges(tmp_path) / "merges.txt")
    around = Surroundings(clip=tokens)
    assert kinds("Sky", around) == ["word"]
    assert kinds("Quillfox", around) == ["tokens"]
    (tmp_path / "merges.txt").write_text("#version\nm o\nmo t</w>\n", "utf-8")
    known = ClipTokens({("m", "o"): 0, ("mo", "t</w>"): 1})
    assert kinds("mot", Surroundings(clip=known)) == ["tokens"]


def test_suggestions_are_free_themselves(tmp_path: Path):
    write_file(tmp_path / "a.safetensors", ss_output_name="Womanfern")
    report = check_trigger("woman", Surroundings(tuple(read_loras([tmp_path]))))
    assert report.suggestions == ("Womanwyn", "Womanbrook", "Womanquill")


def test_known_words_have_reasons():
    assert all(why and word == word.casefold() for word, why in known_words().items())


def test_the_command_says_what_speaks_against(project: Project, tmp_path: Path, capsys: Capture):
    write_file(tmp_path / "loras" / "other.safetensors", ss_output_name="Quillfox")
    words = ["trigger", str(project.root)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert '"Quillfox" is free' in out
    assert "--loras" in err
    assert main([*words, "--loras", str(tmp_path / "loras")]) == 1
    assert "other.safetensors" in capsys.readouterr().out
    assert read_settings().lora_folders == (str(tmp_path / "loras"),)
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["loras_read"] == 1
    assert main([*words, "Emberfox"]) == 0


def test_a_folder_without_loras_is_named(project: Project, tmp_path: Path, capsys: Capture):
    (tmp_path / "empty").mkdir()
    assert main(["trigger", str(project.root), "--loras", str(tmp_path / "empty")]) == 0
    err = capsys.readouterr().err
    assert f"No LoRA was compared: {tmp_path / 'empty'} contains none." in err
    assert "--loras" not in err


def test_remembered_folders_that_are_gone_are_passed_over(project: Project, tmp_path: Path):
    write_setting("lora_folders", (str(tmp_path / "gone"), str(project.root)))
    write_setting("webui_folder", str(tmp_path))
    (tmp_path / "models" / "Lora").mkdir(parents=True)
    assert lora_folders_of(project) == (tmp_path / "models" / "Lora",)


def test_init_and_stage_warn_of_a_known_word(tmp_path: Path, capsys: Capture):
    from PIL import Image

    root = tmp_path / "p"
    assert main(["init", str(root), "--trigger", "woman"]) == 0
    assert 'trigger: "woman" is a word that the base model knows' in capsys.readouterr().err
    Image.new("RGB", (80, 80)).save(tmp_path / "a.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "in" / "a.png")
    main(["import", str(root), str(tmp_path / "in")])
    assert main(["stage", str(root)]) == 0
    assert 'trigger: "woman"' in capsys.readouterr().err
