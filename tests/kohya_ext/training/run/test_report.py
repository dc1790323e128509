"""The report on a training: data, config, versions, losses, files; across resumed sessions."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.project import Journal, Project, ToolError
from kohya_ext.project.kept_advice import write_advice
from kohya_ext.training.run.job import job_of_project, runs_dir_of
from kohya_ext.training.run.record import StopRequest, ask
from kohya_ext.training.run.report import as_dict, draw_losses, format_report, read_report
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import (
    RunOptions,
    apply_training,
    plan_training,
    write_inputs,
)
from kohya_ext.training.run.states import require_state
from kohya_ext.training.run.tensorboard import ScalarTail, read_scalars
from kohya_ext.training.trainer import simulated_trainer


def train(project: Project, **options):
    plan = plan_training(job_of_project(project), simulated_trainer(), RunOptions(**options))
    return plan, apply_training(plan)


def test_it_says_what_publishing_needs(trainable: Project):
    plan, _ = train(trainable)
    facts = as_dict(read_report(runs_dir_of(trainable)))
    assert (facts["outcome"], facts["verified"]) == ("finished", True)
    assert (facts["steps"], facts["steps_by_the_trainer"], facts["epochs"]) == (18, 18, 3)
    assert facts["data_hash"] == plan.run.data_hash
    assert facts["trainer_version"] == "simulated"
    assert "network_module" in facts["config"]
    assert [(one["name"], one["epoch"], one["step"]) for one in facts["files"]] == [
        ("Quillfox-000001", 1, 6), ("Quillfox-000002", 2, 12), ("Quillfox", 3, 18),
    ]  # fmt: skip
    assert all(0 < one["loss"] < 1 for one in facts["files"])


def test_every_picture_has_its_hash(trainable: Project):
    train(trainable)
    rows = as_dict(read_report(runs_dir_of(trainable)))["data"]
    picture = trainable.images_dir / rows[0]["name"]
    assert len(rows) == 4
    assert rows[0]["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert rows[0]["caption_sha256"] is None


def test_validation_stands_beside_the_epochs(trainable: Project, capsys):
    from kohya_ext.cli.epochs import epochs

    plan, _ = train(trainable)
    assert "Validation" not in format_report(read_report(runs_dir_of(trainable)))
    bar = "\repoch validation steps: 100%|#| 8/8 [00:01<00:00, 5.0it/s, val_epoch_avg_loss=0.125]\r"
    with plan.run.stderr.open("ab") as stream:
        stream.write(bar.encode())
    report = read_report(runs_dir_of(trainable))
    assert report.validations == {18: 0.125}
    assert "| Quillfox | 3 | 18 |" in format_report(report)
    assert "| 0.125 |" in format_report(report)
    epochs.callback(trainable.root, False)
    assert "step 18, final" in (out := capsys.readouterr().out)
    assert "validation 0.125" in out


def test_the_hit_rate_of_the_promoted_epoch_is_reported(trainable: Project, capsys):
    from a1111_ext.showcase.album import RECORDS_NAME, ShowPicture
    from a1111_ext.showcase.ratings import Rating
    from a1111_ext.showcase.review import Review, write_review

    train(trainable)
    trainable.showcase_dir.mkdir()
    ratings = {}
    for number in range(20):
        checkpoint = ("good", "poor")[number % 2]
        one = ShowPicture(f"{number}.png", number, checkpoint, "a fox", template="prompt 1")
        (trainable.showcase_dir / one.file).write_bytes(b"")
        Journal(trainable.showcase_dir / RECORDS_NAME).append("picture", **one.as_dict())
        ratings[one.file] = Rating.SHOWCASE if checkpoint == "good" else Rating.DROP
    write_review(trainable, Review(ratings))
    trainable.journal.append("promote", name="fox-v1", source="Other-000002.safetensors")
    assert read_report(runs_dir_of(trainable)).showcase is None
    trainable.journal.append("promote", name="fox-v1", source="Quillfox-000002.safetensors")
    assert main(["report", str(trainable.root)]) == 0
    said = capsys.readouterr().out
    assert "| poor | 0 of 10 | 0% | 0% to 28% | less than 80 % |" in said
    assert "The checkpoint poor does not suit your LoRA" in said
    facts = as_dict(read_report(runs_dir_of(trainable)))
    assert facts["showcase"]["checkpoints"][0]["name"] == "good"


def test_resumed_sessions_make_one_curve(trainable: Project, monkeypatch):
    plan = plan_training(
        job_of_project(trainable), simulated_trainer(), RunOptions(save_states=True)
    )
    monkeypatch.setenv("LORALOOM_SIMULATED_TRAINER", "hang@8")
    write_inputs(plan)
    ask(plan.run.folder, StopRequest.PAUSE)
    run_training(plan.run)
    monkeypatch.delenv("LORALOOM_SIMULATED_TRAINER")
    train(trainable, resume=require_state(trainable.model_dir, "Quillfox"))
    report = read_report(runs_dir_of(trainable))
    facts = as_dict(report)
    assert [one["outcome"] for one in facts["sessions"]] == ["stopped", "finished"]
    assert sorted(report.losses) == list(range(1, 19))
    assert [one["step"] for one in facts["files"]] == [6, 12, 18]


def test_a_failed_run_is_reported_too(trainable: Project, monkeypatch):
    monkeypatch.setenv("LORALOOM_SIMULATED_TRAINER", "crash@3")
    train(trainable)
    report = read_report(runs_dir_of(trainable))
    assert "asked to fail at step 3" in format_report(report)
    assert as_dict(report)["files"] == []


def test_nothing_to_report(trainable: Project):
    with pytest.raises(ToolError, match="LL399"):
        read_report(runs_dir_of(trainable))


def event(step: int, tag: str, value: float) -> bytes:
    """One record of a TensorBoard file; its checksums are not looked at."""
    entry = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(entry)]) + entry
    message = b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary
    return struct.pack("<Q", len(message)) + b"\0\0\0\0" + message + b"\0\0\0\0"


def write_events(folder: Path, *records: bytes) -> Path:
    folder.mkdir(parents=True)
    path = folder / "events.out.tfevents.1.host"
    path.write_bytes(b"".join(records))
    return path


def test_scalars_of_tensorboard_are_read(tmp_path: Path):
    records = [event(2, "loss/current", 0.5), event(1, "loss/current", 0.25), event(1, "lr", 1.0)]
    write_events(tmp_path / "run" / "network_train", *records, event(3, "loss/current", 1.0)[:-6])
    assert read_scalars(tmp_path, "loss/current") == ((1, 0.25), (2, 0.5))


def test_a_growing_file_is_read_on(tmp_path: Path):
    tail = ScalarTail(tmp_path, "loss/current", since=0.0)
    assert tail.read() == []
    second = event(2, "loss/current", 0.25)
    path = write_events(tmp_path / "run", event(1, "loss/current", 0.5), second[:-6])
    reported = [tail.read() for _ in range(20)]
    assert [one for one in reported if one] == [[(1, 0.5)]]
    with path.open("ab") as stream:
        stream.write(second[-6:])
    assert tail.read() == [(2, 0.25)]


def test_files_of_another_time_do_not_count(tmp_path: Path):
    path = write_events(tmp_path / "run", event(1, "loss/current", 0.5))
    os.utime(path, (1000, 1000))
    assert read_scalars(tmp_path, "loss/current", since=2000) == ()
    assert read_scalars(tmp_path, "loss/current", until=500) == ()
    assert len(read_scalars(tmp_path, "loss/current", since=500, until=2000)) == 1


def test_each_steps_own_loss_comes_from_tensorboard(trainable: Project, change):
    log = (trainable.root / "tb").as_posix()
    project = change(trainable, ("save_every_n_epochs: 1", f'overrides: {{logging_dir: "{log}"}}'))
    plan, _ = train(project)
    path = write_events(Path(log) / "x", event(4, "loss/current", 0.5))
    began = (plan.run.folder / "plan.json").stat().st_mtime
    os.utime(path, (began, began))
    assert read_report(runs_dir_of(project)).step_losses == {4: 0.5}


def test_the_curve_is_drawn(trainable: Project):
    train(trainable)
    picture = draw_losses(read_report(runs_dir_of(trainable)))
    blue = {colour: count for count, colour in picture.getcolors(1 << 20)}[(31, 95, 191)]
    assert blue > 500


def test_the_command_writes_three_files(trainable: Project, capsys: pytest.CaptureFixture[str]):
    plan, _ = train(trainable)
    assert main(["report", str(trainable.root)]) == 0
    out = capsys.readouterr().out
    assert "| Quillfox | 3 | 18 |" in out
    assert "18 steps in 3 epochs" in out
    written = json.loads((plan.run.folder / "report.json").read_text(encoding="utf-8"))
    assert written["run"] == plan.run.run_id
    with Image.open(plan.run.folder / "loss.png") as picture:
        assert picture.size == (1000, 460)
    assert "loss.png" in (plan.run.folder / "report.md").read_text(encoding="utf-8")


def advice_on(names: list[str]) -> dict[str, object]:
    return {
        "verdict": "take",
        "summary": "Take epoch 2 of 3 (12 steps).",
        "picks": [
            {"name": names[1], "file": "x", "place": "epoch 2 of 3", "reasons": ["It is good."]}
        ],
        "not_measured": {"votes": "Nobody has voted."},
        "signals": {"fried": {"values": [0.0, None, 1.5], "bad": [False, False, True]}},
        "epochs": [{"name": name} for name in names],
    }


def test_advice_on_these_epochs_stands_in_the_report(trainable: Project):
    train(trainable)
    write_advice(trainable.root, advice_on(["Quillfox-000001", "Quillfox-000002", "Quillfox"]))
    text = format_report(read_report(runs_dir_of(trainable)))
    assert "Take epoch 2 of 3 (12 steps)." in text
    assert "- **epoch 2 of 3:** It is good." in text
    assert "Not measured, votes" in text


def test_advice_on_another_run_does_not(trainable: Project):
    train(trainable)
    write_advice(trainable.root, advice_on(["Other-000001", "Other-000002", "Other"]))
    report = read_report(runs_dir_of(trainable))
    assert report.advice is None
    assert "Advice" not in format_report(report)
