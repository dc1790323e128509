"""A word that should be an embedding: without its file it is an ordinary word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from promotions import promote_epoch, with_manifest

from a1111_ext.api.client import Client
from a1111_ext.api.embeddings import find_embeddings, words_like_embeddings
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells
from a1111_ext.cells.cell import EmbeddingUse, cell_from_dict, script_uses
from a1111_ext.cli.drawing import describe_embeddings
from a1111_ext.simulator import SimulatedWebui, server, start_webui
from a1111_ext.simulator.models import embedding_hash
from kohya_ext.cli import main
from kohya_ext.project import InputError, Project

FAST = "FastNegativeV2"
CELL = Cell("a fox", 1, f"blurry, ({FAST}:1.2)", 64, 64, 2, sampler="Euler a")


@pytest.fixture
def webui(tmp_path: Path) -> Iterator[SimulatedWebui]:
    with start_webui(tmp_path / "webui", embeddings=(FAST, "soft")) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("blurry, FastNegativeV2, bad", (FAST,)),
        ("(fastnegativev2:1.2)", (FAST,)),
        ("soft light, SOFT", ("soft",)),
        ("softly, unsoft, soft-focus, soft.x", ()),
        ("<lora:soft:1> a fox", ()),
        ("soft hands-2", ("soft hands-2",)),
        ("", ()),
    ],
    ids=["plain", "weighted", "once", "parts-of-words", "a-lora", "the-longer-one", "empty"],
)
def test_embeddings_stand_as_whole_words(text: str, found: tuple[str, ...]):
    names = (FAST, "soft", "soft hands-2")
    assert find_embeddings(text, names) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("blurry, FastNegativeV2, bad hands", (FAST,)),
        ("easynegative, (ng_deepnegative_v1_75t:0.8)", ("easynegative", "ng_deepnegative_v1_75t")),
        ("bad-hands-5, BadDream, hands-neg", ("bad-hands-5", "BadDream", "hands-neg")),
        (
            "EASYNEGATIVE, bad-artist, bad-picture-chill-75v",
            ("EASYNEGATIVE", "bad-artist", "bad-picture-chill-75v"),
        ),
        (
            "bad_prompt_version2, unaestheticXL, boring_e621",
            ("bad_prompt_version2", "unaestheticXL", "boring_e621"),
        ),
        ("bad_anatomy, bad hands, boring, unaesthetic, NEGATIVE, version 2", ()),
        ("1girl, looking_at_viewer, 4k, negative space, masterpiece, iPad", ()),
        ("<lora:StyleV2:1> a fox", ()),
        ("photo of QuillFox", ()),
    ],
    ids=[
        "camel",
        "versions",
        "more",
        "capitals",
        "kinds",
        "bad-words",
        "ordinary-words",
        "a-lora",
        "the-trigger-word",
    ],
)
def test_words_that_look_like_one(text: str, found: tuple[str, ...]):
    assert words_like_embeddings([text], ["quillfox"]) == found


def test_used_embeddings_are_pinned_and_checked(client: Client, tmp_path: Path):
    backend = HttpBackend(client)
    pinned = pin_cell(CELL, backend.capabilities)
    assert pinned.embeddings == (EmbeddingUse(FAST),)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        assert run_cells(plan_cells([pinned]), ledger, [backend]).drawn == 1


def test_another_embedding_of_the_name_is_noticed(
    client: Client, webui: SimulatedWebui, tmp_path: Path
):
    """One that is not named is unknown: A1111 leaves it out of a prompt that it remembers."""
    backend = HttpBackend(client)
    pinned = pin_cell(CELL, backend.capabilities)
    uses = (EmbeddingUse("soft", "0" * 12), EmbeddingUse(FAST, "1" * 12))
    other = replace(pinned, prompt="soft light", embeddings=uses)
    webui.host.embeddings = ("soft",)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        (failed,) = run_cells(plan_cells([pinned, other]), ledger, [backend]).failed
    said = f"embedding hash: asked for soft 000000000000, got {embedding_hash('soft')}"
    assert failed == (other, said)


def test_hashes_come_from_the_files_of_this_machine(client: Client, tmp_path: Path, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / f"{FAST}.safetensors").write_bytes(b"fox")
    flags = {"lora_dir": "", "embeddings_dir": str(tmp_path)}
    monkeypatch.setitem(server._GET, "/sdapi/v1/cmd-flags", lambda host, body: flags)
    expected = {FAST: hashlib.sha256(b"fox").hexdigest()[:12], "soft": ""}
    assert fetch_capabilities(client).embeddings == expected


def test_cells_without_embeddings_keep_their_keys():
    assert CELL.key == "10c99a7bbf3a12a1567051f110d9fcb4c063168d681190004276715ca4a3a8c1"
    with_one = replace(CELL, embeddings=(EmbeddingUse(FAST),))
    assert with_one.key != CELL.key
    assert cell_from_dict(json.loads(with_one.as_json())) == with_one
    assert cell_from_dict(json.loads(CELL.as_json())) == CELL
    assert with_one.with_seed(5) == replace(with_one, seed=5)
    assert with_one.with_seed(5).key == replace(with_one, seed=5).key


SHOWCASE = f"""
showcase:
  template: "{{lora}} photo of {{trigger}}, soft light"
  negative_prompt: "{FAST}, EasyNegativeV3"
  checkpoints: [simulated-a]
  count: 1
  picture: {{width: 64, height: 64, steps: 2}}
"""


@pytest.mark.parametrize("dry", [True, False], ids=["planned", "drawn"])
def test_the_plan_names_what_is_one_and_what_only_looks_so(
    project: Project, webui: SimulatedWebui, capsys, dry: bool
):
    promote_epoch(project)
    project = with_manifest(project, SHOWCASE)
    words = ["showcase", str(project.root), "--webui", webui.url]
    assert main([*words, "--dry-run"] if dry else words) == 0
    output = "".join(capsys.readouterr())
    assert f"embeddings: soft, {FAST}\n" in output
    assert "looks like an embedding, but the WebUI has none of that name: EasyNegativeV3" in output


def test_an_embedding_of_another_architecture_is_named(client: Client):
    has = replace(fetch_capabilities(client), skipped_embeddings=("MossyXL",))
    said = describe_embeddings([replace(CELL, negative_prompt="MossyXL")], "Quillfox", has)
    assert said["embedding that does not fit the loaded checkpoint"] == "MossyXL"
    assert len(said) == 2  # not told once more as a word like one


def test_a_long_word_is_looked_at_in_no_time():
    assert words_like_embeddings([f"xv1{'a' * 60}..b"], ()) == ()
    assert words_like_embeddings(["deepnegative_v1_75t, stylev2.5-b"], ()) == (
        "deepnegative_v1_75t",
        "stylev2.5-b",
    )


def detailing(**prompts: str) -> Cell:
    return replace(CELL, scripts=script_uses({"ADetailer": [True, {"ad_model": "", **prompts}]}))


def test_prompts_of_adetailer_are_looked_through(client: Client):
    cell = detailing(ad_prompt=f"a face, {FAST}", ad_negative_prompt="(BadDream:1.2)")
    about = describe_embeddings([cell], "Quillfox", fetch_capabilities(client))
    assert about["embeddings"] == FAST
    assert "BadDream" in about["looks like an embedding, but the WebUI has none of that name"]


@pytest.mark.parametrize(
    ("prompts", "code"),
    [
        ({"ad_prompt": "a face <lora:Missing:1>"}, "LL409"),
        ({"ad_prompt": "a face <LORA:Missing:1>"}, "LL424"),
        ({"ad_negative_prompt": "<lora:Missing:1>"}, "LL424"),
        ({"ad_prompt": "photo of {trigger}"}, "LL424"),
        ({"ad_prompt": "{calm|smiling} face"}, "LL424"),
        ({"ad_prompt": "a __mood__ face"}, "LL424"),
    ],
    ids=["a missing LoRA", "capitals", "negative", "placeholder", "variants", "wildcard"],
)
def test_what_adetailer_would_draw_without_is_refused(
    webui: SimulatedWebui, client: Client, prompts: dict[str, str], code: str
):
    webui.host.always_on["adetailer"] = 2
    found = fetch_capabilities(client)
    assert pin_cell(detailing(ad_prompt="a face [SEP] [PROMPT], 4_k"), found)
    with pytest.raises(InputError) as refused:
        pin_cell(detailing(**prompts), found)
    assert refused.value.code == code
