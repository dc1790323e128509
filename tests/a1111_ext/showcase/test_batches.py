"""Showcase batches: templates x checkpoints x seeds, checked whole, drawn once, landed at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora
from promotions import promote_epoch, with_manifest
from shown import copied, draw_showcase

from a1111_ext.api.client import Client
from a1111_ext.api.infotext import read_infotext
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import HttpBackend, Ledger
from a1111_ext.publish.promoted import link_promoted, require_promoted
from a1111_ext.showcase.album import read_album
from a1111_ext.showcase.batches import BatchPlan, BatchRequest, draw_batch, pin_batch, plan_batch
from a1111_ext.showcase.ratings import Rating
from a1111_ext.showcase.review import Review, write_review
from a1111_ext.showcase.templates import ShowcaseSubject, TemplateText
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.refusal import HttpRefusal
from dynprompts import WildcardLibrary
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError
from kohya_ext.project.manifest import HiresSettings, PictureSettings

SUBJECT = ShowcaseSubject("quillfox-v1", 0.8, "Quillfox")
TEMPLATE = "${framing={headshot|full body}}{lora} photo of {trigger}, ${framing}, {moss|snow|dusk}"
SMALL = PictureSettings(width=64, height=64, steps=2)

MANIFEST = f"""
showcase:
  template: "{TEMPLATE}"
  negative_prompt: "blurry"
  checkpoints: [simulated-a, simulated-b.safetensors]
  count: 3
  lora_weight: 0.8
  hires_fix: {{upscaler: Latent, scale: 1.5, denoising_strength: 0.3}}
  picture: {{width: 64, height: 64, steps: 2}}
"""


def test_balanced_prompts_have_every_option_evenly():
    asked = request(count=6, balanced=True, checkpoints=("a",), seed=11)
    plan = plan_batch(asked, SUBJECT)
    assert set(Counter(shot.framing for shot in plan.shots).values()) == {3}
    lights = Counter(shot.cell.prompt.rpartition(", ")[2] for shot in plan.shots)
    assert set(lights.values()) == {2}
    more = plan_batch(replace(asked, count=12), SUBJECT)
    assert more.shots[:6] == plan.shots


def request(**changes: Any) -> BatchRequest:
    asked = BatchRequest((TemplateText("t", TEMPLATE, "blurry"),), ("a", "b"), 4, picture=SMALL)
    return replace(asked, **changes)


@pytest.fixture
def ready(project: Project) -> Project:
    promote_epoch(project)
    return with_manifest(project, MANIFEST)


def test_unlinked_seeds_give_each_checkpoint_its_prompts():
    plan = plan_batch(request(count=12), SUBJECT)
    first = [shot.cell.prompt for shot in plan.shots[:12]]
    second = [shot.cell.prompt for shot in plan.shots[12:]]
    assert [shot.cell.seed for shot in plan.shots] == [*range(1, 13), *range(1, 13)]
    assert first != second
    assert plan == plan_batch(request(count=12), SUBJECT)


def test_linked_seeds_give_all_checkpoints_one_prompt():
    plan = plan_batch(request(unlinked=False), SUBJECT)
    prompts = [shot.cell.prompt for shot in plan.shots]
    assert prompts[:4] == prompts[4:]


def test_one_more_checkpoint_leaves_the_others_alone():
    two = plan_batch(request(), SUBJECT).shots
    three = plan_batch(request(checkpoints=("a", "c", "b")), SUBJECT).shots
    assert {shot.cell.key for shot in two} < {shot.cell.key for shot in three}


def test_another_weight_keeps_the_prompts():
    """Apples with apples: only the LoRA's tag differs."""
    full = plan_batch(request(), replace(SUBJECT, lora="quillfox-v2", weight=1.0)).shots
    for shot, other in zip(plan_batch(request(), SUBJECT).shots, full, strict=True):
        assert shot.cell.prompt.replace("v1:0.8", "v2:1") == other.cell.prompt


def test_a_shot_knows_its_framing_and_picks():
    shot = plan_batch(request(), SUBJECT).shots[0]
    assert shot.framing in {"headshot", "full body"}
    assert shot.framing == next(p.option for p in shot.picks if p.variant == "framing")


def test_hires_fix_comes_from_the_manifest():
    hires = HiresSettings("Latent", 1.5, 0.25, 3)
    cell = plan_batch(request(hires_fix=hires), SUBJECT).shots[0].cell
    assert cell.hires_fix is not None
    assert (cell.hires_fix.scale, cell.hires_fix.denoising_strength) == (1.5, 0.25)
    assert cell.final_size == (96, 96)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("", "LL612"),
        ("a fox without it", "LL612"),
        ("{{lora}|} fox", "LL612"),
        ("{lora} a naked fox, {a child|a kid}", "LL616"),
    ],
)
def test_templates_that_are_refused(template: str, code: str):
    with pytest.raises(ToolError, match=code):
        plan_batch(request(templates=(TemplateText("t", template),), count=20), SUBJECT)


def pinned(webui: SimulatedWebui, template: str, library: WildcardLibrary | None) -> BatchPlan:
    save_lora(webui.host.lora_dir, "quillfox-v1")
    webui.host.refresh_loras()
    with Client(webui.url) as client:
        asked = request(templates=(TemplateText("t", template),), checkpoints=("",), count=1)
        return pin_batch(plan_batch(asked, SUBJECT, library), fetch_capabilities(client), "")


def test_every_reachable_lora_is_checked_before(webui: SimulatedWebui):
    """The helper LoRA stands in an option that is practically never drawn."""
    files = {"coats.txt": b"a coat\na <lora:rare_coat:1> coat\n"}
    with pytest.raises(ToolError, match="LL614") as caught:
        pinned(webui, "{lora} {9999::plain|__coats__}", WildcardLibrary(texts=files))
    assert '"rare_coat" (coats.txt:2)' in str(caught.value)
    assert webui.host.counters.pictures == 0


def test_every_reachable_wildcard_is_checked_before(webui: SimulatedWebui):
    with pytest.raises(ToolError, match="LL615") as caught:
        pinned(webui, "{lora} {9999::plain|__coats/*__}", None)
    assert "1 wildcard that cannot be found" in str(caught.value)


def test_a_lora_of_that_name_must_be_the_promoted_one(ready: Project, webui: SimulatedWebui):
    save_lora(webui.host.lora_dir, "quillfox-v1", epoch=1)
    path = webui.host.lora_dir / "quillfox-v1.safetensors"
    from kohya_ext.project.lora_file import rewrite_metadata

    path.rename(path.with_name("other.safetensors"))
    other = path.with_name("other.safetensors")
    rewrite_metadata(other, path, {"sshs_model_hash": "0" * 64})
    webui.host.refresh_loras()
    with Client(webui.url) as client, pytest.raises(ToolError, match="LL605"):
        link_promoted(require_promoted(ready), client, fetch_capabilities(client))


def test_a_webui_that_reads_elsewhere_is_noticed(
    ready: Project, webui: SimulatedWebui, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Client(webui.url) as client, pytest.raises(ToolError, match="LL412"):
        link_promoted(require_promoted(ready), client, fetch_capabilities(client), elsewhere)


def test_without_a_promoted_lora(project: Project):
    with pytest.raises(ToolError, match="LL604"):
        require_promoted(project)


def test_a_promoted_file_that_is_gone(ready: Project):
    require_promoted(ready).path.unlink()
    with pytest.raises(ToolError, match="LL604"):
        require_promoted(ready)


def test_a_stopped_batch_continues(ready: Project, webui: SimulatedWebui):
    """What was finished before the stop lies in showcase/ already, with its record."""
    stop = threading.Event()
    with Client(webui.url) as client:
        promoted = require_promoted(ready)
        found = link_promoted(promoted, client, fetch_capabilities(client))
        asked = request(checkpoints=("simulated-a", "simulated-b"))
        plan = pin_batch(plan_batch(asked, SUBJECT), found, promoted.autov3)
        backend = HttpBackend(client, found)
        with Ledger(ready.cells_db, ready.cells_dir) as ledger:
            report = draw_batch(
                ready, plan, ledger, [backend], on_event=lambda event: stop.set(), stop=stop
            )
            first = report.drawn  # the next one may have been in progress
            assert (report.stopped, len(read_album(ready))) == (True, first)
            assert 1 <= first <= 2
            again = draw_batch(ready, plan, ledger, [backend])
        backend.close()
    assert (again.drawn, again.known) == (8 - first, first)
    assert webui.host.counters.pictures <= 9
    assert len(read_album(ready)) == 8


def test_the_hash_of_an_unhashed_checkpoint_is_the_pictures_own(
    ready: Project, webui: SimulatedWebui
):
    """A WebUI hashes a checkpoint when it first draws with it, and writes that into the picture."""
    with Client(webui.url) as client:
        promoted = require_promoted(ready)
        found = link_promoted(promoted, client, fetch_capabilities(client))
        known = found.require_checkpoint("simulated-a").sha256
        unhashed = tuple(replace(one, sha256="") for one in found.checkpoints)
        has = replace(found, checkpoints=unhashed)
        asked = request(checkpoints=("simulated-a",))
        plan = pin_batch(plan_batch(asked, SUBJECT), has, promoted.autov3)
        backend = HttpBackend(client, has)
        with Ledger(ready.cells_db, ready.cells_dir) as ledger:
            draw_batch(ready, plan, ledger, [backend]).require_all()
        backend.close()
    assert {one.checkpoint_sha256 for one in read_album(ready)} == {known[:10]}


# -- the command --------------------------------------------------------------------------------


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_an_error_of_the_webui_is_asked_again(ready: Project, webui: SimulatedWebui):
    """Nothing lands before the second answer."""
    refusals = [HttpRefusal(500, "RuntimeError", "an extension stumbled")]

    def stumble(body: dict[str, Any]) -> None:
        if refusals:
            raise refusals.pop()

    webui.host.faults.before = stumble
    assert main(["showcase", str(ready.root), "--webui", webui.url]) == 0
    assert len(read_album(ready)) == 6


def test_pictures_land_with_infotext_and_record(ready: Project, webui: SimulatedWebui):
    assert run("showcase", ready.root, "--webui", webui.url) == 0
    album = read_album(ready)
    assert len(album) == 6
    promoted = require_promoted(ready)
    for one in album:
        content = (ready.showcase_dir / one.file).read_bytes()
        kept = ready.cells_dir / one.key[:2] / f"{one.key}.png"
        assert content == kept.read_bytes()
        infotext = read_infotext(content)
        assert infotext.startswith(one.prompt)
        assert f"quillfox-v1: {promoted.autov3}" in infotext
        assert (one.lora, one.lora_hash, one.lora_weight) == ("quillfox-v1", promoted.autov3, "0.8")
        assert one.framing
        assert [pick.variant for pick in one.picks if pick.variant == "framing"] == ["framing"]
    assert {one.checkpoint for one in album} == {
        "simulated-a.safetensors",
        "simulated-b.safetensors",
    }
    assert webui.host.counters.checkpoint_loads <= 2


def test_the_same_command_draws_nothing_twice(
    ready: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    run("showcase", ready.root, "--webui", webui.url)
    (ready.showcase_dir / read_album(ready)[0].file).unlink()
    assert run("showcase", ready.root) == 0
    assert webui.host.counters.pictures == 6
    assert len(read_album(ready)) == 6
    said = capsys.readouterr().err
    assert "0 pictures drawn, 6 already there, of 6" in said
    assert said.rstrip().endswith(f"select {said.rstrip().rpartition(' select ')[2]}")


def test_a_dry_run_shows_prompts_and_draws_nothing(
    ready: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    assert run("showcase", ready.root, "--webui", webui.url, "--dry-run") == 0
    shown = capsys.readouterr()
    assert shown.out.count("<lora:quillfox-v1:0.8> photo of Quillfox") == 6
    assert "cells: 6\nto draw: 6\ncheckpoint loads: 2" in shown.out
    assert "nothing was drawn" in shown.err
    assert webui.host.counters.pictures == 0
    assert not ready.showcase_dir.exists()
    assert not list(webui.host.lora_dir.iterdir())


def test_a_dry_run_needs_no_webui(ready: Project, capsys: pytest.CaptureFixture[str]):
    assert run("showcase", ready.root, "--dry-run", "--json") == 0
    shown = capsys.readouterr()
    assert '"cells": 6' in shown.out
    assert "not checked against a WebUI: No WebUI is given." in shown.err


def test_options_go_before_the_manifest(
    ready: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "styles.csv").write_text("name,prompt\nold,old {prompt} film\n", encoding="utf-8")
    template = tmp_path / "mine.txt"
    template.write_text("{lora} {trigger} __hats__\n", encoding="utf-8")
    hats = tmp_path / "wild"
    hats.mkdir()
    (hats / "hats.txt").write_text("in a red hat\n", encoding="utf-8")
    words = ["--template", template, "--wildcards", hats, "--style", "old"]
    words += ["--styles-file", tmp_path / "styles.csv", "--checkpoint", "simulated-b"]
    words += ["--count", 1, "--seed", 9, "--lora-weight", 0.5, "--dry-run"]
    assert run("showcase", ready.root, *words) == 0
    line = "seed 9, simulated-b: old <lora:quillfox-v1:0.5> Quillfox in a red hat film"
    assert line in capsys.readouterr().out


def test_several_templates_are_drawn(ready: Project, capsys: pytest.CaptureFixture[str]):
    words = ("--prompt", "{lora} one", "--prompt", "{lora} two", "--count", 1, "--dry-run")
    assert run("showcase", ready.root, *words) == 0
    shown = capsys.readouterr().out
    assert shown.count("0.8> one\n") == shown.count("0.8> two\n") == 2


def test_several_webuis_share_a_batch(ready: Project, webui: SimulatedWebui, tmp_path: Path):
    with start_webui(tmp_path / "second") as second:
        words = ("--webui", webui.url, "--webui", second.url, "--count", 8)
        assert run("showcase", ready.root, *words) == 0
        drawn = [one.host.counters.pictures for one in (webui, second)]
        assert sum(drawn) == len(read_album(ready)) == 16
        assert all(
            (one.host.lora_dir / "quillfox-v1.safetensors").is_file() for one in (webui, second)
        )


def test_a_template_file_must_be_text(
    ready: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xff\xfe{lora}")
    assert run("showcase", ready.root, "--template", path, "--dry-run") == 1
    assert "LL613" in capsys.readouterr().err


def test_an_unknown_checkpoint_stops_before_the_first(
    ready: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    words = ("--webui", webui.url, "--checkpoint", "Simulated-A")
    assert run("showcase", ready.root, *words) == 1
    assert "LL408" in capsys.readouterr().err
    assert webui.host.counters.pictures == 0


def test_slips_in_a_template_are_reported_before_it_is_drawn():
    slipped = TemplateText("the manifest", "{lora} $animal {red|blue} {2$a|b}", "{x|y")
    with pytest.raises(ToolError, match="never closed"):
        plan_batch(request(templates=(slipped,)), SUBJECT)
    fine = plan_batch(request(templates=(replace(slipped, negative_prompt="{x|y}"),)), SUBJECT)
    assert fine.hints == (
        "the manifest: This variable has no braces and stays as it is: "
        '"$animal {red|blue} {2$a|b}". Write ${name}.',
        'the manifest: A number of options ends with two $: "2$a|b}". Write {2$$a|b}.',
    )
    assert plan_batch(request(), SUBJECT).hints == ()


# -- what lies in showcase/ --------------------------------------------------------------------


def exchange(pictures: list[Path]) -> None:
    first, second = (one.read_bytes() for one in pictures[:2])
    write_apart(pictures[0], second)
    write_apart(pictures[1], first)


def write_apart(path: Path, content: bytes) -> None:
    """Write a file that is no link to the one in cells/ any more."""
    path.unlink()
    path.write_bytes(content)


@pytest.fixture(scope="module")
def first_drawn(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_showcase(_first_project, tmp_path_factory.mktemp("drawn"), MANIFEST)


SPOILT: dict[str, Callable[[list[Path]], None]] = {
    "exchanged": exchange,
    "half": lambda pictures: write_apart(pictures[0], pictures[0].read_bytes()[:200]),
    "empty": lambda pictures: write_apart(pictures[0], b""),
    "another of its size": lambda pictures: write_apart(
        pictures[0], pictures[0].read_bytes()[:-9] + b"123456789"
    ),
    "empty in cells/, too": lambda pictures: pictures[0].write_bytes(b""),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("command", ["showcase", "show", "select", "review", "publish"])
def test_another_picture_in_showcase_is_moved_aside(
    first_drawn: Path,
    tmp_path: Path,
    webui: SimulatedWebui,
    command: str,
    spoil: Callable[[list[Path]], None],
    capsys: pytest.CaptureFixture[str],
):
    ready = copied(first_drawn, tmp_path, webui.url)
    draw = ("showcase", ready.root, "--webui", webui.url)
    words = {"showcase": draw, "show": ("show", ready.root, "--verify")}
    words["review"] = ("review", ready.root, "--report")
    pictures = sorted(ready.showcase_dir.glob("*.png"))
    right = {one.name: one.read_bytes() for one in pictures}
    spoil(pictures)
    spoilt = [one.name for one in pictures if one.read_bytes() != right[one.name]]
    run(*words.get(command, (command, ready.root)))
    printed = "".join(capsys.readouterr())
    assert all(f"{name} was not the picture that was drawn" in printed for name in spoilt)
    assert sorted(one.name for one in (ready.showcase_dir / "damaged").iterdir()) == spoilt
    assert {one.file for one in read_album(ready)} <= right.keys()
    run(*draw)
    assert {one.name: one.read_bytes() for one in ready.showcase_dir.glob("*.png")} == right


def test_a_rated_picture_is_no_other_one(ready: Project, webui: SimulatedWebui):
    draw = ("showcase", ready.root, "--webui", webui.url)
    assert run(*draw) == 0
    name = read_album(ready)[0].file
    write_review(ready, Review({name: Rating.SHOWCASE}))
    assert run("select", ready.root) == 0
    rated = (ready.showcase_dir / name).read_bytes()
    assert b"xmp:Rating" in rated
    assert run(*draw) == 0
    assert run("show", ready.root, "--verify") == 0
    assert (ready.showcase_dir / name).read_bytes() == rated
    assert not (ready.showcase_dir / "damaged").exists()
