"""`loraloom grid` and `tryout` against a simulated WebUI, from plan to page."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora, save_tensors

from a1111_ext.cli import following
from a1111_ext.cli.grid_options import SheetOptions
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.cli import main
from kohya_ext.project import Project


@pytest.fixture
def trained(project: Project) -> Project:
    """A project with two epochs, drawn small."""
    for epoch in (1, 2):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch)
    text = project.manifest_path.read_text(encoding="utf-8")
    small = "  picture: {width: 64, height: 64, steps: 2}\n"
    for section in ("grid:\n", "showcase:\n"):
        text = text.replace(section, section + small)
    project.manifest_path.write_text(text, encoding="utf-8")
    return project


def only_grid(project: Project) -> Path:
    (folder,) = project.grids_dir.iterdir()
    return folder


def test_a_grid_from_plan_to_page(trained: Project, webui: SimulatedWebui, capsys):
    assert main(["grid", str(trained.root), "--webui", webui.url]) == 0
    out, err = capsys.readouterr()
    assert "cells: 12, to draw: 12, checkpoint loads: 0, LoRA swaps: 3" in err
    assert "Next: loraloom promote" in err
    folder = only_grid(trained)
    assert str(folder.name) in out
    assert len(list((folder / "pictures").iterdir())) == 12
    assert webui.host.counters.pictures == 12
    assert webui.host.counters.lora_swaps in (2, 3)
    page = (folder / "grid.html").read_text(encoding="utf-8")
    assert "simulated" in page
    assert "Quillfox-000002" in page
    entry = trained.journal.last("grid")
    assert entry is not None
    assert entry.facts["drawn"] == 12


def test_after_a_failed_picture_the_error_alone_says_what_is_next(
    trained: Project, webui: SimulatedWebui, capsys
):
    def fail_one_seed(body: dict[str, Any]) -> None:
        if body["seed"] == 12:
            raise RuntimeError("no such seed")

    webui.host.faults.before = fail_one_seed
    words = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "11,12"]
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "run the same command again" in err
    assert "Next:" not in err
    webui.host.faults.before = lambda body: None
    assert main(words) == 0
    assert "Next: loraloom promote" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["grid", "tryout"])
@pytest.mark.parametrize(
    ("consent", "code"),
    [
        ("", "LL113"),
        (', consent: {name: Ida Brook, date: "2026-02-28", scope: publishing}', "LL220"),
    ],
    ids=["none", "narrowed"],
)
def test_a_person_is_not_drawn_without_consent(
    trained: Project, capsys, command: str, consent: str, code: str
):
    text = trained.manifest_path.read_text(encoding="utf-8")
    head, _, tail = text.partition("subject:\n")
    rest = tail[tail.index("\nbase_model") :]
    person = f"{head}subject: {{kind: person{consent}}}\n{rest}"
    trained.manifest_path.write_text(person, encoding="utf-8")
    assert main([command, str(trained.root)]) == 1  # before a WebUI is asked for
    assert code in capsys.readouterr().err


def test_a_second_time_nothing_is_drawn(trained: Project, webui: SimulatedWebui, capsys):
    main(["grid", str(trained.root), "--webui", webui.url])
    capsys.readouterr()
    assert main(["grid", str(trained.root), "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["event"] for one in events[:-1]} == {"known"}
    assert (events[-1]["event"], events[-1]["known"]) == ("grid", 12)
    assert webui.host.counters.pictures == 12


def test_another_picture_beside_the_page_is_moved_aside(trained: Project, webui, capsys):
    draw = ["grid", str(trained.root), "--webui", webui.url]
    main(draw)
    folder = only_grid(trained) / "pictures"
    pictures = sorted(folder.iterdir())
    right = {one.name: one.read_bytes() for one in pictures}
    pictures[0].unlink()
    pictures[0].write_bytes(b"")  # beside the page alone
    pictures[1].write_bytes(right[pictures[2].name])  # and in cells/, which it is a link to
    pictures[3].unlink()
    capsys.readouterr()
    assert main(draw) == 0
    printed = capsys.readouterr().err
    for one, end in ((pictures[0], "the right one is there again"), (pictures[1], "drawn again")):
        assert f"{one.name} was not the picture that was drawn" in printed
        assert end in printed
    assert {one.name: one.read_bytes() for one in folder.glob("*.png")} == right
    assert webui.host.counters.pictures == 13


def test_a_plan_knows_what_is_drawn(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "1,2"]
    main(arguments)
    capsys.readouterr()
    assert main([*arguments, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["cells"], plan["to draw"]) == (6, 0)
    assert main([*arguments, "--seeds", "1,2,3", "--dry-run"]) == 0
    assert "to draw: 3" in capsys.readouterr().out
    assert webui.host.counters.pictures == 6


def test_a_plan_draws_and_links_nothing(trained: Project, webui: SimulatedWebui, capsys):
    assert main(["grid", str(trained.root), "--webui", webui.url, "--dry-run"]) == 0
    assert "nothing was drawn" in capsys.readouterr().err
    assert webui.host.counters.pictures == 0
    assert webui.host.loras() == []
    assert not trained.grids_dir.exists()


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_other_formats_and_a_single_file(trained: Project, webui, capsys, form: str):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--format", form]
    assert main([*arguments, "--single-file", "50", "--cell-pixels", "64"]) == 0
    folder = only_grid(trained)
    assert (folder / f"sheet.{form.replace('jpeg', 'jpg')}").is_file()
    assert 'id="full-0"' in (folder / "grid.html").read_text(encoding="utf-8")


def test_too_much_for_a_single_file(trained: Project, webui, capsys, monkeypatch):
    monkeypatch.setattr(SheetOptions, "single_file_bytes", 1000)
    assert main(["grid", str(trained.root), "--webui", webui.url, "--single-file", "1"]) == 1
    assert "LL503" in capsys.readouterr().err
    assert webui.host.counters.pictures == 12


def test_wrong_names_are_noticed_before_drawing(trained: Project, webui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url]
    for more, code in (
        (["--checkpoint", "nonsense"], "LL408"),
        (["--axis", "Sampler=euler a"], "LL410"),
        (["--prompt", "{lora} <lora:helper:1>"], "LL409"),
        (["--prompt", "{lora} {a|<lora:helper:1>}"], "LL409"),
        (["--axis", "Colour=red"], "LL505"),
        (["--prompt", "no place"], "LL504"),
    ):
        assert main([*arguments, *more]) == 1
        assert code in capsys.readouterr().err
    assert webui.host.counters.pictures == 0


def with_scripts(project: Project, scripts: str) -> None:
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("steps: 2}", f"steps: 2, scripts: {scripts}}}")
    project.manifest_path.write_text(text, encoding="utf-8")


def test_always_on_scripts_are_sent(trained: Project, webui: SimulatedWebui):
    sent: list[dict[str, Any]] = []
    webui.host.always_on["adetailer"] = 3
    webui.host.faults.before = sent.append
    with_scripts(trained, "{ADetailer: [true, false, {ad_model: face_yolov8n.pt}]}")
    assert main(["grid", str(trained.root), "--webui", webui.url, "--seeds", "1"]) == 0
    args = [True, False, {"ad_model": "face_yolov8n.pt"}]
    assert [one["alwayson_scripts"] for one in sent] == [{"ADetailer": {"args": args}}] * 3


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ("{ADetailer: [true]}", 'no always-on script "ADetailer"; it would refuse the picture'),
        ("{X/Y/Z plot: [0]}", 'no always-on script "X/Y/Z plot"'),
        ("{Refiner: [true, a, 0.8, b]}", "takes 3 arguments, 4 are given"),
    ],
)
def test_scripts_are_checked_before_drawing(trained, webui, capsys, scripts: str, words: str):
    with_scripts(trained, scripts)
    assert main(["grid", str(trained.root), "--webui", webui.url]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert "LL415" in err
    assert webui.host.counters.pictures == 0


def test_without_a_control_it_is_said(trained: Project, webui, capsys):
    assert main(["grid", str(trained.root), "--webui", webui.url, "--no-control"]) == 0
    assert "whether the LoRA changes the pictures was not checked" in capsys.readouterr().err
    assert "there is no row without the LoRA" in (only_grid(trained) / "grid.html").read_text(
        encoding="utf-8"
    )


def test_a_lora_of_another_family_draws_nothing(trained: Project, webui, capsys):
    name = "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight"
    run = {"ss_session_id": "123456", "ss_output_name": "Quillfox", "ss_epoch": "3"}
    save_tensors(trained.model_dir / "Quillfox-000003.safetensors", {name: (4, 1536)}, run)
    assert main(["grid", str(trained.root), "--webui", webui.url]) == 1
    error = capsys.readouterr().err
    assert "Quillfox-000003.safetensors is a LoRA for SD 3, but the project is for SD 1.5" in error


def test_a_failed_cell_is_shown_with_its_reason(trained: Project, webui, capsys):
    save_lora(trained.model_dir, "Quillfox-000003", epoch=3, tensor="other_kind")
    assert main(["grid", str(trained.root), "--webui", webui.url, "--seeds", "1"]) == 1
    assert "000003, seed 1: the LoRA changed nothing" in capsys.readouterr().err  # which epoch
    page = (only_grid(trained) / "grid.html").read_text(encoding="utf-8")
    assert "the LoRA changed nothing" in page


def test_a_template_file_and_more_axes(trained: Project, webui, tmp_path: Path, capsys):
    (tmp_path / "t.txt").write_text("{lora} a {red|blue} {trigger}\n", encoding="utf-8")
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "1"]
    more = ["--axis", "CFG Scale=5,7", "--weights", "0.5,1", "--epochs", "2"]
    assert main([*arguments, *more, "--template", str(tmp_path / "t.txt"), "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["drawn"] == 6


def test_a_template_that_is_not_utf8_is_one_sentence(trained: Project, webui, tmp_path, capsys):
    path = tmp_path / "t.txt"
    path.write_bytes(b"{lora} caf\xe9\n")
    assert main(["grid", str(trained.root), "--webui", webui.url, "--template", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"The template {path} cannot be read: it is not UTF-8 text (byte 10)" in error


def test_tryout_looks_at_the_final_file(trained: Project, webui, capsys):
    save_lora(trained.model_dir, "Quillfox", epoch=3)
    assert main(["tryout", str(trained.root), "--webui", webui.url, "--count", "5"]) == 0
    assert "Next: loraloom grid" in capsys.readouterr().err
    names = {path.name for path in (only_grid(trained) / "pictures").iterdir()}
    assert len(names) == 10  # with the no-LoRA control of each
    assert webui.host.counters.pictures == 10


def linked_wildcards(project: Project) -> None:
    """Name wildcards in the manifest, with a link to some elsewhere."""
    for folder in ("wildcards", "elsewhere"):
        (project.root / folder).mkdir()
    (project.root / "wildcards" / "hat.txt").write_text("bowler\n", encoding="utf-8")
    (project.root / "elsewhere" / "coat.txt").write_text("woollen\n", encoding="utf-8")
    (project.root / "wildcards" / "far").symlink_to(project.root / "elsewhere")
    text = project.manifest_path.read_text(encoding="utf-8")
    template = '  template: "{lora} {trigger}, __hat__ __far/coat__"\n  wildcards: wildcards\n'
    text = text.replace('  template: ""', template.rstrip(), 1)
    project.manifest_path.write_text(text, encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("by", ["option", "manifest"])
@pytest.mark.parametrize("command", ["grid", "tryout"])
def test_links_among_wildcards_are_followed_where_asked(trained, webui, capsys, command, by):
    linked_wildcards(trained)
    words = [command, str(trained.root), "--webui", webui.url, "--dry-run"]
    if command == "grid":
        words += ["--prompt", "{lora} {trigger}, __hat__ __far/coat__"]
    assert main(words) == 1
    printed = capsys.readouterr().err
    assert 'no wildcard is called "far/coat": "far" is a link that is not followed' in printed
    if by == "option":
        words.append("--follow-links")
    else:
        text = trained.manifest_path.read_text(encoding="utf-8")
        text = text.replace("  wildcards:", "  follow_links: true\n  wildcards:")
        trained.manifest_path.write_text(text, encoding="utf-8")
    assert main(words) == 0


def test_slips_are_reported_before_anything_is_drawn(trained: Project, webui, capsys):
    words = ["grid", str(trained.root), "--webui", webui.url, "--epochs", "last"]
    slipped = ["--prompt", "{lora} {trigger} __hat_", "--negative-prompt", "{blurry, dark}"]
    axis = ["--axis", "Prompt={lora} a $fox,{lora} a fox"]
    assert main([*words, *slipped, *axis, "--dry-run"]) == 0
    printed = [one for one in capsys.readouterr().err.splitlines() if ": This " in one]
    assert printed == [
        'the prompt: This wildcard is never closed: "__hat_". '
        "Two underscores are expected after its name, too: __name__.",
        'the negative prompt: This variant has one option: "{blurry, dark}". '
        'Options are separated by "|": {blurry|dark}.',
        'axis Prompt: This variable has no braces and stays as it is: "$fox". Write ${name}.',
    ]


def test_a_choice_is_written_to_the_project(trained: Project, webui, tmp_path: Path, capsys):
    main(["grid", str(trained.root), "--webui", webui.url])
    choice = {
        "kind": "loraloom-grid-choice",
        "format": 1,
        "grid": only_grid(trained).name,
        "epoch": "Quillfox-000001",
        "epoch_file": "Quillfox-000001.safetensors",
        "cell": "x",
        "values": {},
        "votes": [],
    }
    (tmp_path / "choice.json").write_text(json.dumps(choice), encoding="utf-8")
    capsys.readouterr()
    assert main(["grid", str(trained.root), "--choice", str(tmp_path / "choice.json")]) == 0
    err = capsys.readouterr().err
    assert "chosen: Quillfox-000001" in err
    assert "loraloom promote" in err
    assert "Quillfox-000001 NAME" in err


def test_there_is_no_grid_to_serve(trained: Project, capsys):
    assert main(["grid", str(trained.root), "--serve"]) == 1
    assert "LL514" in capsys.readouterr().err


def test_one_gpu_is_not_shared(trained: Project, webui, capsys, monkeypatch):
    monkeypatch.setattr(following, "count_gpus", lambda: 1)
    flags = webui.host.cmd_flags()
    monkeypatch.setattr(webui.host, "cmd_flags", lambda: {**flags, "simulated": False})
    assert main(["grid", str(trained.root), "--webui", webui.url, "--follow"]) == 1
    assert "LL511" in capsys.readouterr().err


def test_a_grid_grows_with_the_training(trained: Project, webui: SimulatedWebui, capsys):
    """Each epoch is drawn when its file is complete; seeds and finished cells stay."""

    def train() -> None:
        while webui.host.counters.pictures < 12:
            finished.wait(0.01)
        save_lora(trained.model_dir, "Quillfox", epoch=3)

    finished = threading.Event()
    trainer = threading.Thread(target=train)
    trainer.start()
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--follow", "--every", "0.05"]
    assert main([*arguments, "--prompt", "{lora} {trigger} __hat_"]) == 0
    trainer.join(60)
    folder = only_grid(trained)
    assert webui.host.counters.pictures == 16
    page = (folder / "grid.html").read_text(encoding="utf-8")
    assert '"live":null' in page
    assert (folder / "sheet.png").is_file()
    printed = capsys.readouterr().err
    assert "epoch Quillfox is complete: 3 so far" in printed
    assert printed.count("This wildcard is never closed") == 1


def test_following_ends_at_an_epoch(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--follow", "--every", "0.05"]
    assert main([*arguments, "--until", "2"]) == 0
    assert webui.host.counters.pictures == 12


def test_a_dry_run_follows_nothing(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--follow", "--dry-run"]
    assert main(arguments) == 0
    assert "to draw: 12" in capsys.readouterr().out
    assert webui.host.counters.pictures == 0


def test_a_pause_lasts_until_it_is_ended(trained: Project, webui: SimulatedWebui, capsys):
    """From another window, before the grid or in its midst; what is finished stays."""
    root = str(trained.root)
    assert main(["pause", root]) == 0
    assert "--resume" in capsys.readouterr().err

    def resume() -> None:
        while trained.journal.last("link-loras") is None:
            finished.wait(0.01)
        assert webui.host.counters.pictures == 0
        assert main(["pause", root, "--resume"]) == 0

    finished = threading.Event()
    other = threading.Thread(target=resume)
    other.start()
    assert main(["grid", root, "--webui", webui.url, "--json"]) == 0
    other.join(60)
    assert webui.host.counters.pictures == 12


def test_drawing_at_the_end_only(trained: Project, webui: SimulatedWebui, capsys):
    save_lora(trained.model_dir, "Quillfox", epoch=3)
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--follow", "--at-end"]
    assert main([*arguments, "--every", "0.05"]) == 0
    assert capsys.readouterr().err.count("is complete") == 1
