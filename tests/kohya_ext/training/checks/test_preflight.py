"""What would fail late is found early: each mistake gives its code, a clean set gives none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.checks.ask_trainer import TrainerAnswer
from kohya_ext.training.checks.findings import Finding, Level, error
from kohya_ext.training.checks.machine import Gpu, find_gpus, needed_packages
from kohya_ext.training.checks.preflight import Preflight, run_preflight
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.config.call_values import launcher_words
from kohya_ext.training.trainer import Environment, Trainer, TrainerSource

HALF = Tensor("F16", (1,), b"\0\0")


@dataclass
class Desk:
    """A folder that would train, and the call that would train it."""

    root: Path
    toml: dict[str, Any] = field(default_factory=dict)
    additional: tuple[str, ...] = ()
    launch: tuple[str, ...] = ()
    script: str = "train_network"
    trainer: Trainer | None = None
    resuming: bool = False
    may_be_freed: bool = False
    gpus: tuple[Gpu, ...] = ()
    free: int = 1 << 40
    answer: TrainerAnswer = field(default_factory=TrainerAnswer)

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def model(self) -> Path:
        return self.root / "model"

    def picture(self, name: str, size: tuple[int, int] = (64, 64), caption: str = "a fox") -> Path:
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = sum(map(ord, name)) % 256
        Image.new("RGB", size, (shade, 40, 90)).save(path)
        if caption:
            path.with_suffix(".txt").write_text(caption, encoding="utf-8")
        return path

    def weights(self, name: str, tensors: dict[str, Tensor], **metadata: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lora(path, tensors, metadata)
        return path

    def check(self) -> Preflight:
        call = TrainerCall(self.script, self.toml, self.launch, self.additional, "")
        return run_preflight(
            call,
            self.trainer,
            resuming=self.resuming,
            may_be_freed=self.may_be_freed,
            gpus=lambda: self.gpus,
            free=lambda folder: self.free,
            ask=lambda *words, **options: self.answer,
        )

    def empty(self) -> None:
        for path in self.images.rglob("*"):
            if path.is_file():
                path.unlink()
        for path in self.images.iterdir():
            path.rmdir()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.model.mkdir()
    for name in ("5_fox/a.png", "5_fox/b.png", "2_fox/c.png"):
        desk.picture(name)
    base = desk.weights(
        "base.safetensors",
        {"cond_stage_model.transformer.x": HALF, "model.diffusion_model.x": HALF},
    )
    desk.toml = {
        "pretrained_model_name_or_path": str(base),
        "train_data_dir": str(desk.images),
        "output_dir": str(desk.model),
        "output_name": "fox",
        "resolution": "64,64",
        "enable_bucket": True,
        "min_bucket_reso": 64,
        "max_bucket_reso": 128,
        "train_batch_size": 2,
        "max_train_epochs": 3,
        "save_every_n_epochs": 1,
        "caption_extension": ".txt",
        "network_module": "networks.lora",
        "learning_rate": 1e-4,
        "network_dim": 4,
    }
    return desk


def fake_scripts(root: Path, *names: str) -> Trainer:
    """A checkout with nothing in it but the names, run by the Python of the tests."""
    folder = root / "sd-scripts"
    (folder / "networks").mkdir(parents=True, exist_ok=True)
    for name in (
        "train_network.py", "flux_train_network.py", "networks/lora.py", *names
    ):  # fmt: skip
        (folder / name).write_text("", encoding="utf-8")
    return Trainer(folder, Path(sys.executable), TrainerSource.PATH)


def codes(preflight: Preflight, level: Level = Level.ERROR) -> list[str]:
    return [one.code for one in preflight.findings if one.level is level]


def test_a_clean_set_has_no_findings(desk: Desk):
    preflight = desk.check()
    assert preflight.findings == ()
    assert preflight.steps is not None
    assert (preflight.steps.draws, preflight.steps.steps) == (12, 18)
    preflight.require_ok()


# Folders: what sd-scripts passes over before it reports success.


def nothing_there(desk: Desk) -> None:
    desk.toml["train_data_dir"] = str(desk.root / "nowhere")


def empty_folder(desk: Desk) -> None:
    desk.empty()


def loose_pictures(desk: Desk) -> None:
    desk.empty()
    desk.picture("a.png")


def folder_called(name: str) -> Callable[[Desk], None]:
    def arrange(desk: Desk) -> None:
        desk.empty()
        desk.picture(f"{name}/a.png")

    return arrange


def folder_without_pictures(desk: Desk) -> None:
    desk.empty()
    (desk.images / "5_fox").mkdir()


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (nothing_there, "LL360"),
        (empty_folder, "LL361"),
        (loose_pictures, "LL362"),
        (folder_called("fox"), "LL363"),
        (folder_called("0_fox"), "LL364"),
        (folder_called("5fox"), "LL365"),
        (folder_without_pictures, "LL366"),
        (folder_called("5_fox/inner"), "LL367"),
    ],
    ids=["missing", "empty", "loose", "no number", "zero", "no underscore", "bare", "nested"],
)
def test_no_data_is_an_error_in_all_eight_ways(desk: Desk, arrange, code: str):
    arrange(desk)
    assert code in codes(desk.check())


def test_a_skipped_folder_beside_good_ones_is_a_warning(desk: Desk):
    desk.picture("fox/d.png")
    preflight = desk.check()
    assert codes(preflight) == []
    assert codes(preflight, Level.WARNING) == ["LL363"]


def test_an_empty_folder_ends_a_run_with_validation(desk: Desk):
    (desk.images / "3_fox").mkdir()
    assert codes(desk.check(), Level.WARNING) == ["LL366"]
    desk.toml["validation_split"] = 0.5
    assert codes(desk.check()) == ["LL366"]


# Regularisation pictures.


def test_regularisation_pictures_double_the_draws(desk: Desk):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    for name in ("a", "b", "c"):
        desk.picture(f"../reg/1_fox/{name}.png")
    preflight = desk.check()
    assert codes(preflight) == []
    assert preflight.steps is not None
    assert (preflight.steps.draws, preflight.steps.steps_per_epoch) == (12, 12)


def test_captions_of_regularisation_pictures_are_read(desk: Desk):
    """One that is empty ends the run, as a real one did; none at all is usual."""
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    caption = desk.picture("../reg/1_fox/a.png").with_suffix(".txt")
    caption.write_bytes(b"")
    assert codes(desk.check()) == ["LL372"]
    caption.unlink()
    assert desk.check().findings == ()


def test_broken_regularisation_pictures_are_found(desk: Desk):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    desk.picture("../reg/1_fox/a.png").write_bytes(b"no picture")
    assert codes(desk.check()) == ["LL202"]


@pytest.mark.parametrize(("make", "code"), [(False, "LL360"), (True, "LL361")])
def test_a_regularisation_folder_without_pictures(desk: Desk, make: bool, code: str):
    desk.toml["reg_data_dir"] = str(desk.root / "reg")
    if make:
        (desk.root / "reg").mkdir()
    assert codes(desk.check()) == [code]


# Pictures and captions.


def broken(desk: Desk) -> None:
    path = desk.picture("5_fox/d.png", (64, 64))
    path.write_bytes(path.read_bytes()[:60])


def text_called_png(desk: Desk) -> None:
    desk.picture("5_fox/d.png").write_text("no picture", encoding="utf-8")


def too_large_without_buckets(desk: Desk) -> None:
    desk.toml["enable_bucket"] = False
    desk.picture("5_fox/d.png", (200, 64))


def smaller_than_a_step(desk: Desk) -> None:
    desk.toml |= {"bucket_no_upscale": True}
    desk.picture("5_fox/d.png", (40, 64))


def too_flat_when_shrunk(desk: Desk) -> None:
    """576 x 448 at 64 x 64: sd-scripts would divide by zero, as a real run did."""
    desk.toml |= {"bucket_no_upscale": True}
    desk.picture("5_fox/d.png", (576, 448))


def empty_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes(b"")


def latin_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes("für".encode("latin-1"))


def other_captions(desk: Desk) -> None:
    desk.toml["caption_extension"] = ".caption"


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (broken, "LL202"),
        (text_called_png, "LL202"),
        (too_large_without_buckets, "LL369"),
        (smaller_than_a_step, "LL370"),
        (too_flat_when_shrunk, "LL370"),
        (empty_caption, "LL372"),
        (latin_caption, "LL259"),
        (other_captions, "LL374"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_picture_or_caption_that_would_end_the_run(desk: Desk, arrange, code: str):
    arrange(desk)
    assert codes(desk.check()) == [code]


def odd_suffix(desk: Desk) -> None:
    desk.picture("5_fox/d.PnG")


def sideways(desk: Desk) -> None:
    path = desk.images / "5_fox" / "d.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 64), (9, 9, 9)).save(path, exif=exif)
    path.with_suffix(".txt").write_text("a fox", encoding="utf-8")


def no_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").unlink()


def marked_caption(desk: Desk) -> None:
    (desk.images / "5_fox" / "a.txt").write_bytes(b"\xef\xbb\xbfa fox")


def shared_stem(desk: Desk) -> None:
    desk.picture("5_fox/a.bmp")


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (odd_suffix, "LL368"),
        (sideways, "LL371"),
        (no_caption, "LL373"),
        (marked_caption, "LL375"),
        (shared_stem, "LL203"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_still_trains_is_a_warning(desk: Desk, arrange, code: str):
    arrange(desk)
    preflight = desk.check()
    assert codes(preflight) == []
    assert codes(preflight, Level.WARNING) == [code]


# Values of the call.


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"save_every_n_epochs": 0}, "LL376"),
        ({"sample_every_n_epochs": 0}, "LL376"),
        ({"train_batch_size": 0}, "LL376"),
        ({"bucket_reso_steps": 0}, "LL376"),
        ({"min_bucket_reso": 63}, "LL377"),
        ({"resolution": 64}, "LL305"),
        ({"resolution": 64}, "LL377"),
        ({"resolution": "64x64"}, "LL377"),
        ({"min_bucket_reso": 128}, "LL377"),
        ({"resolution": "256,256"}, "LL377"),
        ({"network_module": ""}, "LL378"),
        ({"save_model_as": "foo"}, "LL305"),
        ({"learning_rate": "1e-4"}, "LL305"),
        ({"learning_rat": 1e-4}, "LL305"),
        ({"pretrained_model_name_or_path": "missing.safetensors"}, "LL380"),
        ({"vae": "missing.pt"}, "LL381"),
        ({"network_weights": "missing.safetensors"}, "LL381"),
        ({"dataset_config": "missing.toml"}, "LL356"),
        ({"resume": "missing-state"}, "LL382"),
        ({"v2": True}, "LL384"),
    ],
    ids=str,
)
def test_a_value_that_would_fail_late(desk: Desk, changes: dict[str, Any], code: str):
    desk.toml |= changes
    assert code in codes(desk.check())


def test_a_hub_name_is_only_a_warning(desk: Desk):
    desk.toml["pretrained_model_name_or_path"] = "someone/some-model"
    assert codes(desk.check(), Level.WARNING) == ["LL380"]


@pytest.mark.parametrize(
    ("ratio", "epochs", "names"),
    [
        (2, 4, ["fox-000002", "fox"]),
        (9, 3, ["fox-000001", "fox-000002", "fox"]),
        (0, 3, ["fox-000001", "fox-000002", "fox"]),
    ],
)
def test_a_number_of_files_decides_which_are_saved(desk: Desk, ratio, epochs, names):
    desk.toml |= {"save_n_epoch_ratio": ratio, "max_train_epochs": epochs}
    steps = desk.check().steps
    assert steps is not None
    assert [name for name, _, _ in steps.epoch_files] == names


def test_neither_epochs_nor_steps_means_1600(desk: Desk):
    del desk.toml["max_train_epochs"]
    preflight = desk.check()
    assert codes(preflight, Level.WARNING) == ["LL388"]
    assert preflight.steps is not None
    assert preflight.steps.steps >= 1600


def test_additional_arguments_count_over_the_toml(desk: Desk):
    desk.additional = ("--max_train_epochs", "5", "--save_every_n_epochs=0")
    preflight = desk.check()
    assert codes(preflight) == ["LL376"]
    assert preflight.steps is not None
    assert preflight.steps.epochs == 5


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("--dynamo_backend no --dynamo_mode default --mixed_precision fp16", False),
        ("--num_processes 1 --num_machines 1 --num_cpu_threads_per_process 2", False),
        ("--gpu_ids 1 --main_process_port 29500", False),
        ("--num_processes 2", True),
        ("--num_machines 2", True),
        ("--multi_gpu", True),
        ("--dynamo_backend inductor", True),
        ("--use_deepspeed", True),
    ],
)
def test_the_launcher_is_used_only_where_it_is_needed(words: str, needed: bool):
    launch = tuple(words.split())
    assert launcher_words(launch) == (launch if needed else ())


def test_several_processes_share_the_batches(desk: Desk):
    desk.launch = ("--multi_gpu", "--num_processes", "3")
    preflight = desk.check()
    assert preflight.steps is not None
    assert preflight.steps.steps_per_epoch == 2


# Files.


def test_another_rank_than_the_network_weights(desk: Desk):
    weights = desk.weights("old.safetensors", {"x": HALF}, ss_network_dim="16")
    desk.toml["network_weights"] = str(weights)
    assert codes(desk.check()) == ["LL379"]
    desk.toml["dim_from_weights"] = True
    assert codes(desk.check()) == []


def make_state(folder: Path, epoch: int) -> Path:
    import json
    import zipfile

    folder.mkdir(parents=True)
    for part in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        with zipfile.ZipFile(folder / part, "w") as archive:
            archive.writestr("x", "x")
    write_lora(folder / "model.safetensors", {"x": HALF}, {})
    facts = {"current_epoch": epoch, "current_step": 1}
    (folder / "train_state.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_a_state_cut_short_is_named(desk: Desk):
    state = make_state(desk.model / "fox-000001-state", 1)
    (state / "optimizer.bin").write_bytes(b"PK half")
    desk.toml["resume"] = str(state)
    (error,) = desk.check().errors
    assert (error.code, "optimizer.bin is cut short" in error.problem) == ("LL382", True)


def test_a_state_at_the_end_cannot_be_resumed(desk: Desk):
    desk.toml["resume"] = str(make_state(desk.model / "fox-000003-state", 3))
    assert codes(desk.check()) == ["LL383"]


@pytest.mark.parametrize(
    ("tensor", "family"),
    [
        ("conditioner.embedders.0.x", "SDXL"),
        ("double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
        ("model.diffusion_model.x_embedder.proj.weight", "SD 3"),
        ("cond_stage_model.model.x", "SD 2"),
    ],
)
def test_another_family_than_the_script(desk: Desk, tensor: str, family: str):
    desk.weights("base.safetensors", {tensor: HALF})
    (error,) = desk.check().errors
    assert (error.code, family in error.problem) == ("LL384", True)


def test_a_damaged_base_model_is_found(desk: Desk):
    (desk.root / "base.safetensors").write_bytes(b"12345678 no header")
    assert codes(desk.check())[0].startswith("LL13")


def test_earlier_files_are_not_overwritten(desk: Desk):
    (desk.model / "fox-000002.safetensors").write_bytes(b"precious")
    assert codes(desk.check()) == ["LL385"]
    desk.resuming = True
    assert codes(desk.check()) == []


@pytest.mark.parametrize(("epoch", "offered"), [(2, True), (3, False)])
def test_resuming_is_offered_where_epochs_are_left(desk: Desk, epoch: int, offered: bool):
    (desk.model / "fox-000002.safetensors").write_bytes(b"precious")
    make_state(desk.model / f"fox-00000{epoch}-state", epoch)
    (error,) = desk.check().errors
    assert ("--resume" in error.cure) is offered


def test_a_full_disk_is_foreseen(desk: Desk):
    desk.free = 1 << 20
    (error,) = desk.check().errors
    assert error.code == "LL386"
    assert "3 epoch files" in error.problem


def test_states_need_room_too(desk: Desk):
    desk.toml |= {"save_state": True, "network_dim": 32, "max_train_epochs": 9}
    desk.free = 2 << 30
    assert codes(desk.check()) == ["LL386"]
    desk.toml["save_last_n_epochs_state"] = 1
    assert codes(desk.check()) == []


def test_the_size_of_an_epoch_file_is_expected(desk: Desk):
    """A real rank 4 of SD 1.5 has 4,832,272 bytes in fp16."""
    desk.toml["save_precision"] = "fp16"
    assert abs(desk.check().file_bytes / 4_832_272 - 1) < 0.01
    del desk.toml["save_precision"]
    assert abs(desk.check().file_bytes / 9_550_000 - 1) < 0.02


# The machine.

CARD = Gpu("Card", 8 << 30, 0)


def test_a_missing_package_is_named_with_its_cure(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.gpus = (CARD,)
    desk.toml["optimizer_type"] = "no_such_optimizer.Best"
    errors = {one.problem: one for one in desk.check().errors}
    (found,) = (one for problem, one in errors.items() if "no_such_optimizer" in problem)
    assert found.code == "LL353"
    assert "-m pip install no-such-optimizer" in found.cure


@pytest.mark.parametrize(
    ("values", "package"),
    [
        ({"optimizer_type": "AdamW8bit"}, "bitsandbytes"),
        ({"optimizer_type": "PagedLion8bit"}, "bitsandbytes"),
        ({"optimizer_type": "Prodigy"}, "prodigyopt"),
        ({"optimizer_type": "DAdaptAdam"}, "dadaptation"),
        ({"network_module": "lycoris.kohya"}, "lycoris"),
        ({"xformers": True}, "xformers"),
        ({"logging_dir": "log"}, "tensorboard"),
        ({"log_with": "wandb"}, "wandb"),
    ],
    ids=str,
)
def test_only_what_is_chosen_is_needed(values: dict[str, Any], package: str):
    assert package in needed_packages(values)
    assert package not in needed_packages({"optimizer_type": "AdamW"})


def test_what_the_trainer_says_is_a_finding(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def check(*words: object, **options: object) -> list[Finding]:
        return list(missing)

    missing: list[Finding] = []
    monkeypatch.setattr("kohya_ext.training.checks.preflight.check_environment", check)
    desk.trainer, desk.gpus = fake_scripts(desk.root), (CARD,)
    refused = error("LL357", "The trainer refuses this config: x.", "Change it.")
    desk.answer = TrainerAnswer((("dataset", refused),))
    assert desk.check().findings == (refused,)
    (desk.images / "5_fox" / "a.txt").write_text("", encoding="utf-8")
    assert refused not in desk.check().findings  # the empty caption is the reason
    (desk.images / "5_fox" / "a.txt").write_text("a fox", encoding="utf-8")
    missing.append(error("LL353", "It has no torch.", "Install it."))
    assert desk.check().findings == tuple(missing)  # it cannot be asked then


def test_a_pytorch_for_the_processor_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def probe(trainer: Trainer, packages: tuple[str, ...]) -> Environment:
        found = {**dict.fromkeys(packages, "1.0"), "torch": "2.13.0+cpu"}
        return Environment("3.11.7", found, "v0.10.1")

    monkeypatch.setattr("kohya_ext.training.checks.machine.probe", probe)
    monkeypatch.setattr("kohya_ext.training.checks.machine.import_problems", lambda *_, **__: {})
    desk.trainer, desk.gpus = fake_scripts(desk.root), (CARD,)
    (finding,) = desk.check().findings
    assert (finding.code, "+cpu" in finding.problem) == ("LL387", True)


def test_an_older_trainer_lacks_the_script(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.script = "sdxl_train_network"
    desk.weights("base.safetensors", {"conditioner.x": HALF})
    assert "LL351" in codes(desk.check())


def test_an_older_trainer_lacks_the_network(desk: Desk):
    desk.trainer = fake_scripts(desk.root)
    desk.toml["network_module"] = "networks.loha"
    assert "LL378" in codes(desk.check())


@pytest.mark.parametrize(
    ("gpus", "level"),
    [
        ((), Level.WARNING),
        ((replace(CARD, used_bytes=7 << 30),), Level.ERROR),
        ((replace(CARD, used_bytes=3 << 30),), Level.WARNING),
    ],
    ids=["no card", "full card", "card in use"],
)
def test_the_graphics_card_is_looked_at(desk: Desk, gpus: tuple[Gpu, ...], level: Level):
    desk.trainer, desk.gpus = fake_scripts(desk.root), gpus
    assert "LL387" in codes(desk.check(), level)


def test_a_full_card_that_will_be_freed_is_no_error(desk: Desk):
    desk.trainer, desk.gpus = fake_scripts(desk.root), (replace(CARD, used_bytes=7 << 30),)
    desk.may_be_freed = True
    assert "LL387" not in codes(desk.check())
    assert "LL387" in codes(desk.check(), Level.WARNING)


def test_the_card_that_is_meant_is_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    desk.trainer, desk.gpus = fake_scripts(desk.root), (replace(CARD, used_bytes=7 << 30), CARD)
    desk.launch = ("--gpu_ids", "1")
    assert "LL387" not in codes(desk.check())
    desk.launch = ("--gpu_ids", "2")
    (error,) = (one for one in desk.check().errors if one.code == "LL387")
    assert "no graphics card 2" in error.problem


def test_a_machine_without_the_drivers_tool_has_no_card(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert find_gpus() == ()


def test_a_python_that_gives_no_answer(desk: Desk, tmp_path: Path):
    desk.trainer = replace(fake_scripts(desk.root), python=tmp_path / "no-python")
    assert "LL352" in codes(desk.check())


def test_unchanged_pictures_are_not_decoded_again(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    desk.check()

    def decode(path: Path) -> None:
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("kohya_ext.training.dataset.folders.read_picture", decode)
    assert desk.check().findings == ()


def test_the_first_error_is_raised_and_the_rest_counted(desk: Desk):
    desk.toml |= {"save_every_n_epochs": 0, "vae": "missing.pt"}
    with pytest.raises(Exception, match=r"LL3\d\d") as caught:
        desk.check().require_ok()
    assert "1 more" in str(caught.value)
