"""A simulator for sd-scripts' train_network.py: same arguments, lines and files, no training.

Standard library only (besides our own arithmetic and file writer), so that it starts at once.
What it is asked to do wrong is in SIMULATOR.md.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.dataset.steps import (
    BucketedDataset,
    ImageRepeats,
    StepPlan,
    plan_steps,
    rules_of,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SWITCH = "LORALOOM_SIMULATED_TRAINER"
HANG_SECONDS = 600
_MODULES = (
    "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v",
    "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2",
)
_WIDTH = 32
_LOG_WIDTH = 400


class Mistakes:
    """What the environment asks this simulator to do wrong."""

    def __init__(self, text: str) -> None:
        words = [word.strip() for word in text.split(",") if word.strip()]
        self._words = dict(word.partition("@")[::2] for word in words)

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def at(self, word: str) -> float:
        """Return the number behind `word@`, or infinity."""
        return float(self._words.get(word) or "inf")


def read_arguments(argv: list[str]) -> dict[str, Any]:
    """Read --config_file and the arguments over it, as sd-scripts does: no types, no checks."""
    given = dict(_pairs(argv))
    values = read_flat_toml(Path(given["config_file"])) if "config_file" in given else {}
    return {**values, **given}


def _pairs(argv: list[str]) -> Iterator[tuple[str, Any]]:
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals and words and not words[0].startswith("--"):
            value, equals = words.pop(0), "="
        yield name, _value(value) if equals else True


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_flat_toml(path: Path) -> dict[str, Any]:
    """Read `key = value` lines as our own writer makes them; section names mean nothing."""
    values: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, text = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            values[name.strip()] = _value(text.strip())
    return values


@dataclass(frozen=True)
class Folder:
    """One numbered folder: its name, repeats, pictures' sizes and the tags of its captions."""

    name: str
    repeats: int
    sizes: tuple[tuple[int, int], ...]
    tags: dict[str, int]


def read_folders(root: Path, extension: str) -> list[Folder]:
    """Return the folders `N_words` with pictures in them; others are passed over silently."""
    if not root.is_dir():
        return []
    found = []
    for folder in sorted(one for one in root.iterdir() if one.is_dir()):
        number, underscore, _ = folder.name.partition("_")
        if not underscore or not number.isdigit() or int(number) < 1:
            continue
        suffixes = (*SUFFIXES, *(one.upper() for one in SUFFIXES))
        pictures = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
        if pictures:
            sizes = tuple(picture_size(path) for path in pictures)
            tags = count_tags(pictures, extension)
            found.append(Folder(folder.name, int(number), sizes, tags))
    return found


def count_tags(pictures: Iterable[Path], extension: str) -> dict[str, int]:
    """Count the tags of the captions in lower case, as ss_tag_frequency has them."""
    counts: dict[str, int] = {}
    for picture in pictures:
        caption = picture.with_suffix(extension)
        if not caption.exists():
            continue
        line = (caption.read_text(encoding="utf-8").splitlines() or [""])[0]
        for tag in (part.strip().lower() for part in line.split(",")):
            if tag:
                counts[tag] = counts.get(tag, 0) + 1
    return counts


def picture_size(path: Path) -> tuple[int, int]:
    """Read width and height out of a picture's head; (0, 0) when it is none, as sd-scripts."""
    head = path.read_bytes()
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        return struct.unpack(">II", head[16:24])
    if head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
        return width, abs(height)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp_size(head)
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(data):
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def tell(line: str) -> None:
    """Print on stdout, as accelerator.print does."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def log(level: str, text: str, place: str) -> None:
    """Print on stderr as sd-scripts' logger does: time, level, text, place at the right edge."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    left = f"{stamp} {level:<8} {text}"
    sys.stderr.write(f"{left:<{_LOG_WIDTH - len(place) - 1}} {place}\n")
    sys.stderr.flush()


def show_bar(what: str, done: int, total: int, began: float, note: str = "") -> None:
    """Draw a tqdm bar on stderr, ten cells wide."""
    spent = max(time.monotonic() - began, 1e-6)
    eighths = int(done / total * 80) if total else 0
    partial = " ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else ""
    cells = f"{'█' * (eighths // 8)}{partial}".ljust(10)
    rate = done / spent
    speed = "?it/s" if not done else f"{1 / rate:.2f}s/it" if rate < 1 else f"{rate:.2f}it/s"
    left = _clock((total - done) / rate) if done else "?"
    percent = f"{done / total:4.0%}" if total else "  0%"
    head = f"{what}: {percent}" if what else percent
    sys.stderr.write(f"\r{head}|{cells}| {done}/{total} [{_clock(spent)}<{left}, {speed}{note}]")
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


class Simulation:
    """One run: what was read, how far it is, and what it writes."""

    def __init__(self, values: dict[str, Any], mistakes: Mistakes) -> None:
        self.values = values
        self.mistakes = mistakes
        self.name = str(values.get("output_name") or "last")
        self.folder = Path(str(values["output_dir"]))
        self.extension = str(values.get("caption_extension") or ".caption")
        self.began = time.time()
        self.session = random.Random().randrange(1, 2**32)

    def run(self) -> int:
        """Walk through a training; return the exit code that sd-scripts would give."""
        log("INFO", "simulated: this replaces sd-scripts and trains nothing", "simulated.py:1")
        log("INFO", "prepare images.", "train_util.py:2112")
        folders = read_folders(Path(str(self.values.get("train_data_dir"))), self.extension)
        if not folders or "no-data" in self.mistakes:
            wanted = "train_data_dir must be the parent of folders with images"
            log("ERROR", f"No data found. Please verify arguments ({wanted})", "t.py:1")
            return 0
        for folder in folders:
            count = len(folder.sizes)
            log("INFO", f"found directory {folder.name} contains {count} image files", "t.py:2059")
            began = time.monotonic()
            show_bar("read caption", count, count, began)
            sys.stderr.write("\n")
        log("INFO", "loading image sizes.", "train_util.py:992")
        base = Path(str(self.values.get("pretrained_model_name_or_path", "")))
        if not base.exists():
            raise FileNotFoundError(f"model is not found as a file or in Hugging Face: {base}")
        log("INFO", "loading model for process 0/1", "train_util.py:5574")
        tell(f"import network module: {self.values.get('network_module')}")
        log("INFO", "create LoRA network.", "lora.py:935")
        tell("prepare optimizer, data loader etc.")
        self._train(folders, self._plan(folders))
        log("INFO", "model saved.", "train_network.py:1729")
        return 0

    def _plan(self, folders: list[Folder]) -> StepPlan:
        shown = [
            ImageRepeats(width, height, folder.repeats)
            for folder in folders
            for width, height in folder.sizes
        ]
        if any(0 in (one.width, one.height) for one in shown):
            raise ZeroDivisionError("division by zero")
        plan = self._count(shown, epochs=int(self.values.get("max_train_epochs") or 1))
        if not self.values.get("max_train_epochs"):
            steps = int(self.values.get("max_train_steps") or 1600)
            plan = self._count(shown, epochs=math.ceil(steps / plan.steps_per_epoch))
        self.max_steps = int(
            plan.steps
            if self.values.get("max_train_epochs")
            else self.values.get("max_train_steps") or 1600
        )
        return plan

    def _count(self, shown: list[ImageRepeats], *, epochs: int) -> StepPlan:
        batch_size = int(self.values.get("train_batch_size", 1))
        return plan_steps(
            [BucketedDataset(tuple(shown), rules_of(self.values), batch_size)],
            gradient_accumulation=int(self.values.get("gradient_accumulation_steps", 1)),
            epochs=epochs,
            save_every_n_epochs=int(self.values.get("save_every_n_epochs") or 0),
            output_name=self.name,
        )

    def _first_epoch(self, per_epoch: int) -> int:
        """Return how many epochs are done; a resumed state's own step count is believed."""
        if self.values.get("initial_epoch"):
            return int(self.values["initial_epoch"]) - 1
        if not self.values.get("resume"):
            return 0
        state = Path(str(self.values["resume"])) / "train_state.json"
        step = int(json.loads(state.read_text(encoding="utf-8"))["current_step"])
        if step >= self.max_steps:
            raise AssertionError("max_train_steps should be greater than initial step")
        return step // per_epoch

    def _train(self, folders: list[Folder], plan: StepPlan) -> None:
        if self.values.get("max_train_epochs"):
            text = "override steps. steps for {} epochs is / 指定エポックまでのステップ数: {}"
            tell(text.format(plan.epochs, plan.steps))
        first = self._first_epoch(plan.steps_per_epoch)
        self._tell_block(plan)
        began, step = time.monotonic(), 0
        show_bar("steps", 0, self.max_steps, began)
        for epoch in range(first + 1, plan.epochs + 1):
            tell(f"\nepoch {epoch}/{plan.epochs}\n")
            for _ in range(plan.steps_per_epoch):
                if step + first * plan.steps_per_epoch >= self.max_steps:
                    break
                step += 1
                self._step(step, step + first * plan.steps_per_epoch, began)
            self._end_epoch(folders, plan, epoch, step)
        self._save_state(f"{self.name}-state", plan.epochs, step, last=True)
        self._save(folders, plan, self.name, plan.epochs, step)

    def _tell_block(self, plan: StepPlan) -> None:
        values = self.values
        tell("running training / 学習開始")
        tell(f"  num train images * repeats / 学習画像の数×繰り返し回数: {plan.draws}")
        tell("  num validation images * repeats / 学習画像の数×繰り返し回数: 0")
        tell("  num reg images / 正則化画像の数: 0")
        tell(f"  num batches per epoch / 1epochのバッチ数: {plan.batches_per_epoch}")
        tell(f"  num epochs / epoch数: {plan.epochs}")
        tell(f"  batch size per device / バッチサイズ: {values.get('train_batch_size', 1)}")
        accumulation = values.get("gradient_accumulation_steps", 1)
        tell(f"  gradient accumulation steps / 勾配を合計するステップ数 = {accumulation}")
        tell(f"  total optimization steps / 学習ステップ数: {self.max_steps}")

    def _step(self, step: int, absolute: int, began: float) -> None:
        if step >= self.mistakes.at("crash"):
            raise RuntimeError(f"simulated: asked to fail at step {step}")
        if step >= self.mistakes.at("hang"):
            # Wait with a child, also when only the child is ended; not for ever, if forgotten.
            child = [sys.executable, "-c", f"import time; time.sleep({HANG_SECONDS})"]
            until = time.monotonic() + HANG_SECONDS
            while time.monotonic() < until:
                subprocess.run(child, check=False)
        if "slow" in self.mistakes:
            time.sleep(self.mistakes.at("slow"))
        loss = 0.08 + 0.07 * math.exp(-absolute / 150)
        text = "nan" if step >= self.mistakes.at("nan") else f"{loss:.3g}"
        show_bar("steps", step, self.max_steps, began, f", avr_loss={text}")

    def _end_epoch(self, folders: list[Folder], plan: StepPlan, epoch: int, step: int) -> None:
        every = int(self.values.get("save_every_n_epochs") or 0)
        if "save_every_n_epochs" in self.values and not every:
            raise ZeroDivisionError("integer modulo by zero")
        if not every or epoch % every or epoch >= plan.epochs:
            return
        name = f"{self.name}-{epoch:06d}"
        self._save(folders, plan, name, epoch, step)
        self._save_state(f"{name}-state", epoch, step)
        self._remove_old(epoch, every)

    def _remove_old(self, epoch: int, every: int) -> None:
        keep = int(self.values.get("save_last_n_epochs") or 0)
        old = self.folder / f"{self.name}-{epoch - every * keep:06d}.safetensors"
        if keep and old.exists():
            tell(f"removing old checkpoint: {old}")
            old.unlink()
        states = int(self.values.get("save_last_n_epochs_state") or keep)
        state = self.folder / f"{self.name}-{epoch - every * states:06d}-state"
        if states and state.is_dir():
            log("INFO", f"removing old state: {state}", "train_util.py:5956")
            shutil.rmtree(state)

    def _save(
        self, folders: list[Folder], plan: StepPlan, name: str, epoch: int, step: int
    ) -> None:
        path = self.folder / f"{name}.safetensors"
        tell(f"\nsaving checkpoint: {path}")
        path.unlink(missing_ok=True)  # sd-scripts overwrites silently
        write_lora(path, self._tensors(epoch), self._metadata(folders, plan, epoch, step))
        if "short" in self.mistakes and name == self.name:
            path.write_bytes(path.read_bytes()[:-100])

    def _tensors(self, epoch: int) -> dict[str, Tensor]:
        rank = int(self.values.get("network_dim") or 4)
        chance = random.Random(epoch)
        tensors: dict[str, Tensor] = {}
        for module in _MODULES:
            alpha = struct.pack("<e", float(self.values.get("network_alpha") or 1))
            down = [chance.gauss(0, 0.05) for _ in range(rank * _WIDTH)]
            up = [chance.gauss(0, 0.002 * epoch) for _ in range(rank * _WIDTH)]
            tensors[f"{module}.alpha"] = Tensor("F16", (), alpha)
            tensors[f"{module}.lora_down.weight"] = Tensor("F16", (rank, _WIDTH), _halves(down))
            tensors[f"{module}.lora_up.weight"] = Tensor("F16", (_WIDTH, rank), _halves(up))
        return tensors

    def _metadata(
        self, folders: list[Folder], plan: StepPlan, epoch: int, step: int
    ) -> dict[str, str]:
        values, now = self.values, time.time()
        rows = enumerate(plan.buckets)
        found = {
            "ss_output_name": self.name,
            "ss_session_id": self.session,
            "ss_training_started_at": self.began,
            "ss_training_finished_at": now,
            "ss_epoch": epoch,
            "ss_steps": step,
            "ss_num_epochs": plan.epochs,
            "ss_max_train_steps": self.max_steps,
            "ss_num_batches_per_epoch": plan.batches_per_epoch,
            "ss_num_train_images": plan.draws,
            "ss_num_reg_images": 0,
            "ss_batch_size_per_device": values.get("train_batch_size", 1),
            "ss_total_batch_size": values.get("train_batch_size", 1),
            "ss_gradient_accumulation_steps": values.get("gradient_accumulation_steps", 1),
            "ss_learning_rate": values.get("learning_rate"),
            "ss_unet_lr": values.get("unet_lr"),
            "ss_text_encoder_lr": values.get("text_encoder_lr"),
            "ss_lr_scheduler": values.get("lr_scheduler", "constant"),
            "ss_optimizer": values.get("optimizer_type", "AdamW"),
            "ss_network_module": values.get("network_module"),
            "ss_network_dim": values.get("network_dim", 4),
            "ss_network_alpha": values.get("network_alpha", 1),
            "ss_base_model_version": "simulated",
            "ss_sd_model_name": Path(str(values["pretrained_model_name_or_path"])).name,
            "ss_resolution": str(rules_of(values).resolution),
            "ss_enable_bucket": bool(values.get("enable_bucket")),
            "ss_clip_skip": values.get("clip_skip"),
            "ss_seed": values.get("seed"),
            "ss_mixed_precision": values.get("mixed_precision", "no"),
            "ss_training_comment": f"simulated; {values.get('training_comment') or ''}".rstrip(),
            "ss_sd_scripts_commit_hash": "simulated",
            "ss_bucket_info": json.dumps(
                {
                    "buckets": {
                        str(at): {"resolution": list(size), "count": n} for at, (size, n) in rows
                    },
                    "mean_img_ar_error": 0.0,
                }
            ),
            "ss_dataset_dirs": json.dumps(
                {
                    one.name: {"n_repeats": one.repeats, "img_count": len(one.sizes)}
                    for one in folders
                }
            ),
            "ss_tag_frequency": json.dumps({one.name: one.tags for one in folders}),
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.architecture": "stable-diffusion-v1/lora",
            "modelspec.implementation": "simulated",
            "modelspec.title": str(values.get("metadata_title") or self.name),
            "modelspec.description": "simulated: trains nothing",
            "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S"),
        }
        return {key: str(value) for key, value in found.items()}

    def _save_state(self, name: str, epoch: int, step: int, *, last: bool = False) -> None:
        wanted = self.values.get("save_state")
        if not wanted and not (last and self.values.get("save_state_on_train_end")):
            return
        folder = self.folder / name
        log("INFO", f"saving state at epoch {epoch}", "train_util.py:5942")
        folder.mkdir(parents=True, exist_ok=True)
        # as in sd-scripts: steps since the resume, so a second resume would start too early
        facts = {"current_epoch": epoch, "current_step": step}
        (folder / "train_state.json").write_text(json.dumps(facts), encoding="utf-8")
        write_lora(folder / "model.safetensors", self._tensors(epoch), {})
        for part in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
            with zipfile.ZipFile(folder / part, "w") as archive:
                archive.writestr("simulated.txt", "simulated")


def _halves(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}e", *numbers)


def main() -> int:
    """Run the simulator named by the command line."""
    values = read_arguments(sys.argv[1:])
    return Simulation(values, Mistakes(os.environ.get(SWITCH, ""))).run()


if __name__ == "__main__":
    sys.exit(main())
