"""Preflight of files: what the trainer would read, what it would overwrite, and the room for it."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...project import MissingError, ToolError
from ...project.families import family_of_script
from ...project.files import CURE_FOR_STRANGE, strange_on_windows
from ...project.lora_file import read_header
from ...project.lora_kind import read_facts
from ...project.printable import shortened
from ...project.wording import counted
from ..config.paths import is_hub_name
from ..dataset.steps import StepPlan
from ..run.states import find_states, state_at, state_problem
from ..trainer import Trainer, too_old
from .findings import Finding, error, warning, whole


def check_files(values: Mapping[str, Any], trainer: Trainer | None) -> Iterator[Finding]:
    model = str(values.get("pretrained_model_name_or_path") or "")
    if not Path(model).exists() or not model:
        if is_hub_name("pretrained_model_name_or_path", model):
            yield warning(
                "LL380",
                f'"{model}" is not a file here; the trainer would download it from the model hub.',
                "Give a file if that was not intended.",
            )
        else:
            yield error(
                "LL380",
                f'The base model "{model}" does not exist.',
                "Correct pretrained_model_name_or_path.",
            )
    yield from _check_weights(values)
    yield from _check_module(str(values.get("network_module") or ""), trainer)


def _check_module(module: str, trainer: Trainer | None) -> Iterator[Finding]:
    if trainer is None or trainer.is_simulated or not module.startswith("networks."):
        return
    if not (trainer.folder / f"{module.replace('.', '/')}.py").is_file():
        yield error(
            "LL378",
            f"This sd-scripts has no {module}.",
            f"Choose another LoRA type, or a newer sd-scripts. {too_old(trainer.folder, module)}",
        )


def _check_weights(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Compare the rank of network_weights with this config's."""
    path = Path(str(values.get("network_weights") or ""))
    if not path.is_file() or path.suffix != ".safetensors":
        return
    try:
        header = read_header(path)
    except ToolError:  # as the base model's companion it is named there
        return
    rank = read_facts(header).rank
    wanted = whole(values.get("network_dim")) or 4
    if rank and rank != wanted and not values.get("dim_from_weights"):
        yield error(
            "LL379",
            f"network_weights {path.name} has rank {rank}, this config {wanted}.",
            f"Set network_dim to {rank}, or dim_from_weights.",
        )


def check_resume(values: Mapping[str, Any], steps: StepPlan | None) -> Iterator[Finding]:
    text = str(values.get("resume") or "")
    done = whole(values.get("initial_epoch")) - 1 if values.get("initial_epoch") else None
    if not text and done and steps and done >= steps.epochs:
        yield error(
            "LL383",
            f"{Path(str(values.get('network_weights') or 'The LoRA')).name} is already at epoch "
            f"{done}, and the run has {counted(steps.epochs, 'epoch')}.",
            f"Set more than {counted(done, 'epoch')}.",
        )
    if not text:
        return
    problem = state_problem(Path(text))
    if problem:
        yield error(
            "LL382",
            f"The state {text} cannot be resumed: {problem}.",
            "Choose another state, or continue from an epoch file: --weights",
        )
        return
    state = state_at(Path(text))
    epoch = done if done is not None else (state.epoch if state else 0)
    if steps and epoch >= steps.epochs:
        yield error(
            "LL383",
            f"The state {Path(text).name} is already at epoch {epoch}, and the run has "
            f"{counted(steps.epochs, 'epoch')}.",
            f"Set more than {counted(epoch, 'epoch')}.",
        )


def check_output_name(values: Mapping[str, Any]) -> Iterator[Finding]:
    name = str(values.get("output_name") or "last")
    if Path(name).name != name or strange_on_windows(Path(f"{name}.safetensors")):
        yield error(
            "LL331",
            f'No file can be called "{shortened(name)}", the output_name.',
            "Set output_name to a name without a folder; the folder is output_dir. "
            + (CURE_FOR_STRANGE if os.name == "nt" else ""),
        )


def check_output(
    values: Mapping[str, Any], steps: StepPlan, *, resuming: bool
) -> Iterator[Finding]:
    folder = Path(str(values.get("output_dir") or "."))
    suffix = f".{values.get('save_model_as') or 'safetensors'}"
    there = [
        name + suffix for name, _, _ in steps.epoch_files if (folder / (name + suffix)).exists()
    ]
    if values.get("save_every_n_steps") and folder.is_dir():
        name = glob.escape(str(values.get("output_name") or "at"))
        there += sorted(one.name for one in folder.glob(f"{name}-step*{suffix}"))
    if not there or resuming:
        return
    more = f" and {len(there) - 1} more" if len(there) > 1 else ""
    saved = find_states(folder, str(values.get("output_name") or "last"))
    states = [one for one in saved if one.epoch < steps.epochs]
    after = f"Continue after epoch {states[-1].epoch} with --resume" if states else ""
    resume = f"{after}, or train" if after else "Train"
    yield error(
        "LL385",
        f"{folder / there[0]}{more} would silently be overwritten.",
        f"{resume} under another output_name, move the files away, or train with --move-old.",
    )


_STATE_FACTOR = 6
"""A state over an epoch file in 16 bit: weights and AdamW's two moments in 32 bit."""


def _is_whole_precision(values: Mapping[str, Any]) -> bool:
    """Tell whether epoch files are saved in 32 bit, which is the trainer's way when not told."""
    return values.get("save_precision") in (None, "", "float")


def estimated_file_bytes(script: str, values: Mapping[str, Any]) -> int:
    """Estimate one epoch file's size in bytes; with convolutions about as much again."""
    rank = whole(values.get("network_dim")) or 4
    family = family_of_script(script, values)
    training = family.facts.training if family else None
    size = (training.bytes_per_rank if training else 9_000_000) * rank
    arguments = values.get("network_args")
    words = [str(word) for word in arguments] if isinstance(arguments, list) else []
    if any(word.startswith("conv_dim=") and word != "conv_dim=0" for word in words):
        size *= 2
    return size * (2 if _is_whole_precision(values) else 1)


def check_disk(
    values: Mapping[str, Any], steps: StepPlan, file_bytes: int, free: Callable[[Path], int]
) -> Iterator[Finding]:
    files = len(steps.epoch_files)
    files = min(files, whole(values.get("save_last_n_epochs")) + 2 or files) or files
    if not values.get("save_last_n_epochs"):
        files = len(steps.epoch_files)
    states = 0
    if values.get("save_state"):
        kept = whole(values.get("save_last_n_epochs_state"))
        states = min(files, kept + 2) if kept else files
    in_16_bit = file_bytes // (2 if _is_whole_precision(values) else 1)
    needed = file_bytes * files + in_16_bit * states * _STATE_FACTOR
    folder = Path(str(values.get("output_dir") or "."))
    try:
        available = free(folder)
    except MissingError as drive:
        yield error(drive.code, drive.problem, "Connect it, or correct output_dir.")
        return
    if needed > available:
        yield error(
            "LL386",
            f"{counted(files, 'epoch file')} and {counted(states, 'state')} need about "
            f"{_size(needed)}, but "
            f"{folder} has {_size(available)} free.",
            "Free some space, save less often, or keep fewer states.",
        )


def _size(count: int) -> str:
    """Say a size as people do: GB, and MB below a tenth of one."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
