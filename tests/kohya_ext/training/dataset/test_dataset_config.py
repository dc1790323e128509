"""A dataset config is held to sd-scripts' own rules, and its steps are expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.checks.findings import Level
from kohya_ext.training.checks.preflight import Preflight, run_preflight
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.trainer import Trainer, TrainerSource


class Desk:
    """Two folders of pictures, and a call that names a dataset config."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, size in (("a/1", (64, 64)), ("a/2", (64, 64)), ("a/3", (64, 128)),
                           ("b/1", (64, 64)), ("b/2", (160, 64))):  # fmt: skip
            path = root / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", size, (len(name), ord(name[0]), ord(name[2]))).save(path)
            path.with_suffix(".txt").write_text("a fox", encoding="utf-8")
        base = root / "base.safetensors"
        half = Tensor("F16", (1,), b"\0\0")
        write_lora(
            base, {"cond_stage_model.transformer.x": half, "model.diffusion_model.x": half}, {}
        )
        self.toml: dict[str, Any] = {
            "pretrained_model_name_or_path": str(base), "output_dir": str(root),
            "output_name": "fox", "resolution": "64,64", "enable_bucket": True,
            "min_bucket_reso": 32, "bucket_reso_steps": 32, "max_bucket_reso": 128,
            "train_batch_size": 2, "max_train_epochs": 3, "caption_extension": ".txt",
            "network_module": "networks.lora", "learning_rate": 1e-4,
            "dataset_config": str(root / "data.json"),
        }  # fmt: skip

    def folder(self, name: str, **more: Any) -> dict[str, Any]:
        return {"image_dir": str(self.root / name), **more}

    def check(self, data: Any, trainer: Trainer | None = None) -> Preflight:
        text = data if isinstance(data, str) else json.dumps(data)
        Path(self.toml["dataset_config"]).write_text(text, encoding="utf-8")
        return run_preflight(TrainerCall("train_network", self.toml, (), (), ""), trainer)

    def problems(self, data: Any) -> list[str]:
        place = f"{self.root / 'data.json'}: "
        return [one.problem.removeprefix(place) for one in self.check(data).errors]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def batches(preflight: Preflight) -> int:
    assert {one.code for one in preflight.findings} <= {"LL359"}  # few are kept back
    assert preflight.steps is not None
    return preflight.steps.batches_per_epoch


def test_each_dataset_has_its_own_batches(desk: Desk):
    """a: four squares and two tall ones by 4, b: one square and one wide by the argument's 2."""
    first = {"batch_size": 4, "num_repeats": 2, "subsets": [desk.folder("a")]}
    preflight = desk.check({"datasets": [first, {"subsets": [desk.folder("b")]}]})
    assert batches(preflight) == (1 + 1) + (1 + 1)
    assert preflight.steps is not None
    assert (preflight.steps.draws, preflight.steps.steps) == (8, 12)
    assert len(preflight.pictures) == 5


def test_subset_beats_dataset_beats_general(desk: Desk):
    subsets = [desk.folder("a", num_repeats=5), desk.folder("b")]
    data = {"general": {"num_repeats": 9}, "datasets": [{"num_repeats": 2, "subsets": subsets}]}
    preflight = desk.check(data)
    assert preflight.steps is not None
    assert preflight.steps.draws == 3 * 5 + 2 * 2


def test_buckets_are_the_datasets_own(desk: Desk):
    plain = {"enable_bucket": False, "resolution": [128, 128], "subsets": [desk.folder("a")]}
    assert batches(desk.check({"datasets": [plain]})) == 2
    assert batches(desk.check({"datasets": [{"subsets": [desk.folder("a")]}]})) == 1 + 1


def test_the_second_of_two_alike_is_not_counted(desk: Desk):
    twice = [desk.folder("a"), desk.folder("a", num_repeats=7)]
    preflight = desk.check({"datasets": [{"subsets": twice}]})
    assert preflight.steps is not None
    assert preflight.steps.draws == 3


def test_regularisation_doubles_the_draws(desk: Desk):
    subsets = [desk.folder("a", num_repeats=4), desk.folder("b", is_reg=True)]
    preflight = desk.check({"datasets": [{"batch_size": 1, "subsets": subsets}]})
    assert batches(preflight) == 12 + 12
    assert preflight.steps is not None
    assert (preflight.steps.draws, len(preflight.pictures)) == (12, 3)


def test_regularisation_alone_is_no_data(desk: Desk):
    subsets = [desk.folder("b", is_reg=True)]
    assert [one.code for one in desk.check({"datasets": [{"subsets": subsets}]}).errors] == [
        "LL361"
    ]


def test_what_is_kept_for_validation_is_not_trained(desk: Desk):
    table = {"batch_size": 1, "validation_split": 0.5, "subsets": [desk.folder("a")]}
    assert batches(desk.check({"datasets": [{**table, "validation_seed": 3}]})) == 2
    assert desk.check({"datasets": [table]}).steps is None
    desk.toml["seed"] = 7
    assert batches(desk.check({"datasets": [table]})) == 2


def test_an_empty_metadata_file_is_skipped(desk: Desk):
    (desk.root / "meta.json").write_text("{}", encoding="utf-8")
    table = {"subsets": [{"metadata_file": str(desk.root / "meta.json")}]}
    preflight = desk.check({"datasets": [table, {"subsets": [desk.folder("a")]}]})
    assert [(one.code, one.level.value) for one in preflight.findings] == [("LL366", "warning")]
    assert preflight.steps is not None


def test_the_steps_of_a_metadata_file_are_counted(desk: Desk):
    picture = next(path for path in desk.root.rglob("*.png"))
    rows = {str(picture): {"caption": "x"}, "b.png": {"tags": "y", "image_size": [64, 64]}}
    (desk.root / "meta.json").write_text(json.dumps(rows), encoding="utf-8")
    subset = {"metadata_file": str(desk.root / "meta.json"), "image_dir": str(desk.root),
              "num_repeats": 3}  # fmt: skip
    preflight = desk.check({"datasets": [{"subsets": [subset]}]})
    assert preflight.findings == ()
    assert preflight.steps is not None
    assert preflight.steps.draws == 6


@pytest.mark.parametrize(
    ("general", "dataset", "subset", "problem"),
    [
        ({"foo": 1}, {}, {}, "general.foo is not a key"),
        ({}, {"foo": 1}, {}, "datasets[0].foo is not a key"),
        ({}, {}, {"resolution": 64}, "datasets[0].subsets[0].resolution is not a key"),
        ({}, {}, {"num_repeats": "3"}, "datasets[0].subsets[0].num_repeats is '3'"),
        ({}, {}, {"num_repeats": 3.0}, "num_repeats is 3.0, where sd-scripts expects a whole"),
        ({}, {"validation_split": 0}, {}, "validation_split is 0, where sd-scripts expects"),
        ({}, {"resolution": "64"}, {}, "datasets[0].resolution is '64'"),
        ({}, {"resolution": [64]}, {}, "datasets[0].resolution is [64]"),
        ({}, {"face_crop_aug_range": [1, 2]}, {}, "face_crop_aug_range is [1, 2]"),
        ({"enable_bucket": 1}, {}, {}, "general.enable_bucket is 1"),
        ({}, {"batch_size": 0}, {}, "datasets[0].batch_size is 0, and sd-scripts would divide"),
        ({}, {"subsets": {}}, {}, "datasets[0].subsets is not a list of tables"),
        ({}, {"subsets": [{}]}, {}, "datasets[0].subsets[0] has no image_dir"),
        (
            {},
            {},
            {"metadata_file": "x.json"},
            "datasets[0].subsets[0].caption_extension is not a key",
        ),
        ({}, {}, {"conditioning_data_dir": "x"}, "conditioning_data_dir is not a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_sd_scripts_refuses_is_named(desk: Desk, general, dataset, subset, problem: str):
    table = {"subsets": [desk.folder("a", caption_extension=".txt", **subset)], **dataset}
    (found,) = desk.problems({"general": general, "datasets": [table]})
    assert problem in found


def test_metadata_and_folders_do_not_mix(desk: Desk):
    subsets = [desk.folder("a"), {"metadata_file": "x.json"}]
    (found,) = desk.problems({"datasets": [{"subsets": subsets}]})
    assert found == "datasets[0] mixes subsets with and without metadata_file."


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{ nonsense", "LL356"),
        ("[]", "LL356"),
        ({"dataset": []}, "LL356"),
        ({"general": 1}, "LL356"),
        ({"datasets": 1}, "LL356"),
        ({}, "LL361"),
        ({"datasets": [{"subsets": []}]}, "LL361"),
        ({"datasets": [{"subsets": [{"image_dir": "nowhere"}]}]}, "LL356"),
        ({"datasets": [{"subsets": [{"metadata_file": "nowhere"}]}]}, "LL356"),
    ],
    ids=str,
)
def test_a_config_that_gives_nothing(desk: Desk, data: Any, code: str):
    assert [one.code for one in desk.check(data).errors] == [code]


def test_only_toml_and_json_are_read(desk: Desk):
    desk.toml["dataset_config"] = str(desk.root / "data.yaml")
    assert [one.code for one in desk.check("").errors] == ["LL356"]


@pytest.mark.parametrize(("more", "code"), [({"num_repeats": 0}, "LL364"), ({}, "LL366")])
def test_a_skipped_subset_is_reported(desk: Desk, more: dict[str, Any], code: str):
    (desk.root / "bare").mkdir()
    skipped = desk.folder("a" if more else "bare", **more)
    preflight = desk.check({"datasets": [{"subsets": [desk.folder("b"), skipped]}]})
    assert [(one.code, one.level) for one in preflight.findings] == [(code, Level.WARNING)]
    kept = {"validation_split": 0.5, "validation_seed": 1, "subsets": [desk.folder("b"), skipped]}
    assert [one.code for one in desk.check({"datasets": [kept]}).errors] == [code] * (not more)
    alone = desk.check({"datasets": [{"subsets": [skipped]}]})
    assert [one.code for one in alone.errors] == ["LL361"]


def test_a_dataset_needs_a_resolution(desk: Desk):
    del desk.toml["resolution"]
    table = {"subsets": [desk.folder("a")]}
    assert [one.code for one in desk.check({"datasets": [table]}).errors] == ["LL377"]
    assert desk.check({"datasets": [{**table, "resolution": 64}]}).findings == ()


def test_pictures_and_captions_are_looked_at(desk: Desk):
    (desk.root / "a" / "1.png").write_bytes(b"no picture")
    (desk.root / "b" / "1.txt").write_bytes(b"")
    data = {"datasets": [{"subsets": [desk.folder("a"), desk.folder("b")]}]}
    assert [one.code for one in desk.check(data).errors] == ["LL202", "LL372"]


def test_the_trainers_own_version_decides(desk: Desk):
    """A key that only a newer one knows is no error there, one that it lacks is."""
    scripts = desk.root / "sd-scripts"
    (scripts / "library").mkdir(parents=True)
    (scripts / "train_network.py").touch()
    source = '"brand_new": int, "batch_size": int, Required("image_dir"): str'
    (scripts / "library" / "config_util.py").write_text(source, encoding="utf-8")
    trainer = Trainer(scripts, Path("no-python"), TrainerSource.PATH)
    data = {"datasets": [{"brand_new": 1, "validation_split": 0.5, "subsets": []}]}
    (found,) = (one for one in desk.check(data, trainer).errors if one.code == "LL356")
    assert "validation_split is not a key" in found.problem


def test_relative_paths_count_from_the_trainer(desk: Desk):
    scripts = desk.root / "sd-scripts"
    (scripts / "pictures").mkdir(parents=True)
    (scripts / "train_network.py").touch()
    trainer = Trainer(scripts, Path("no-python"), TrainerSource.PATH)
    data = {"datasets": [{"subsets": [{"image_dir": "pictures"}]}]}
    assert "LL361" in [one.code for one in desk.check(data, trainer).errors]
    assert [one.code for one in desk.check(data).errors] == ["LL356"]
