"""Pictures kept back for a validation loss: options of check, train and config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.project import Project, open_project
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.config.of_project import plan_config
from kohya_ext.training.config.validation import Validation, with_validation
from kohya_ext.training.run.failures import cure_of


def of(validation: Validation, **toml) -> dict[str, object]:
    return with_validation(TrainerCall("train_network", toml, (), (), ""), validation).toml


def test_a_share_comes_with_a_seed_and_an_interval():
    kept = {"validation_split": 0.1, "validation_seed": 1, "validate_every_n_epochs": 1}
    assert of(Validation(0.1)) == kept
    assert of(Validation(0.1, 3), seed=7)["validation_seed"] == 7
    assert of(Validation(0.1, 3), seed=7)["validate_every_n_epochs"] == 3


def test_what_a_config_says_itself_is_kept():
    own = {"validation_split": 0.2, "validation_seed": 5, "validate_every_n_epochs": 2}
    assert of(Validation(), **own) == own
    assert of(Validation(every=4), **own) == {**own, "validate_every_n_epochs": 4}
    assert of(Validation(0.1), **own) == {**own, "validation_split": 0.1}
    assert of(Validation(0.0), **own)["validation_split"] == 0.0


def test_an_interval_alone_keeps_nothing_back():
    assert of(Validation(every=4), seed=1) == {"seed": 1}
    assert of(Validation(), seed=1) == {"seed": 1}


def test_config_writes_it_into_the_manifest(trainable: Project, capsys):
    place = str(trainable.root)
    assert main(["config", place, "--validation-split", "0.25", "--validate-every", "2"]) == 0
    said = capsys.readouterr().err
    assert "written into the manifest: training.validation_split: 0.25" in said
    assert "advice: pictures are kept back for validation: while a LoRA overfits" in said
    training = open_project(trainable.root).manifest.training
    assert (training.validation_split, training.validate_every_n_epochs) == (0.25, 2)
    assert plan_config(open_project(trainable.root)).call.toml["validate_every_n_epochs"] == 2


def test_a_dry_run_leaves_the_manifest(trainable: Project, capsys):
    before = trainable.manifest_path.read_bytes()
    words = ["config", str(trainable.root), "--validation-split", "0.25", "--dry-run"]
    assert main(words) == 0
    assert "validation_split = 0.25" in capsys.readouterr().out
    assert trainable.manifest_path.read_bytes() == before


def test_check_counts_what_is_left_and_warns_of_few(trainable: Project, capsys):
    main(["check", str(trainable.root), "--trainer", "simulated", "--validation-split", "0.5"])
    assert "will be used for validation and not trained" in capsys.readouterr().out


def test_a_training_takes_it_for_once(trainable: Project, capsys):
    words = ["train", str(trainable.root), "--trainer", "simulated", "--dry-run"]
    assert main([*words, "--validation-split", "0.25", "--json"]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["validation_split"], config["validate_every_n_epochs"]) == (0.25, 1)
    assert open_project(trainable.root).manifest.training.validation_split == 0.0


@pytest.mark.parametrize("name", ["a.json", "a.toml"])
def test_any_config_gets_it(tmp_path: Path, name: str, capsys):
    given = {"a.json": '{"LoRA_type": "Standard", "network_dim": 8}', "a.toml": "network_dim = 8\n"}
    (tmp_path / name).write_text(given[name], encoding="utf-8")
    words = ["config", "--from", str(tmp_path / name), "--validation-split", "0.1"]
    assert main(words) == 0
    values = json.loads(capsys.readouterr().out)
    assert "--validation_split=0.1" in values["additional_parameters"]


def test_a_network_of_a_newer_release_is_named_so():
    assert "older than the config" in cure_of("No module named 'networks.lokr'")
    assert "older" not in cure_of("No module named 'lycoris'")
