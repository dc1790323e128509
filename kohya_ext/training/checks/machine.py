"""Preflight of the machine: packages of the trainer's Python, graphics cards."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...project import ProgressHandler, ToolError, silent
from ...project.numbers import whole_number
from ..config.call_values import launch_options
from ..trainer import Trainer, probe
from .findings import Finding, error, warning
from .packages import import_problems


@dataclass(frozen=True)
class Gpu:
    """One graphics card; memory in bytes."""

    name: str
    total_bytes: int
    used_bytes: int


def find_gpus() -> tuple[Gpu, ...]:
    """Ask NVIDIA's own tool for the graphics cards; empty without one."""
    command = [
        "nvidia-smi",
        "--query-gpu=name,memory.total,memory.used",
        "--format=csv,noheader,nounits",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in answer.stdout.decode("utf-8", "replace").splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        sizes = [whole_number(one) for one in cells[1:]]
        if len(sizes) == 2 and sizes[0] is not None and sizes[1] is not None:
            found.append(Gpu(cells[0], sizes[0] << 20, sizes[1] << 20))
    return tuple(found)


ALWAYS_NEEDED = (
    "torch",
    "accelerate",
    "transformers",
    "diffusers",
    "safetensors",
    "toml",
    "voluptuous",
)
_OPTIMIZERS = (
    (r"8bit|^paged", "bitsandbytes"),
    (r"^lion$", "lion_pytorch"),
    (r"^dadapt", "dadaptation"),
    (r"^prodigyplus", "prodigyplus"),
    (r"^prodigy$", "prodigyopt"),
    (r"^adafactor$", "transformers"),
    (r"schedulefree$", "schedulefree"),
)


def needed_packages(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the packages that this call makes the trainer import."""
    found = list(ALWAYS_NEEDED)
    optimizer = str(values.get("optimizer_type") or "")
    for pattern, package in _OPTIMIZERS:
        if re.search(pattern, optimizer.lower()):
            found.append(package)
            break
    else:
        if "." in optimizer:
            found.append(optimizer.partition(".")[0])
    module = str(values.get("network_module") or "").partition(".")[0]
    found += [module] if module not in ("", "networks") else []
    found += ["xformers"] if values.get("xformers") else []
    found += ["tensorboard"] if values.get("logging_dir") else []
    found += ["wandb"] if values.get("log_with") in ("wandb", "all") else []
    return tuple(dict.fromkeys(found))


def check_environment(
    values: Mapping[str, Any],
    trainer: Trainer,
    gpus: tuple[Gpu, ...],
    progress: ProgressHandler = silent,
) -> Iterator[Finding]:
    """Look at the packages of the trainer's Python: they must be there, and be importable."""
    needed = needed_packages(values)
    try:
        environment = probe(trainer, needed)
    except ToolError as refused:
        yield error(refused.code, refused.problem, refused.cure)
        return
    torch = environment.packages.get("torch") or ""
    if gpus and torch.endswith("+cpu"):  # what pip installs on Windows, unless told otherwise
        yield warning(
            "LL387",
            f"The trainer's PyTorch {torch} is a build for the CPU; it cannot use {gpus[0].name}.",
            "Install a build for your GPU, from the address on PyTorch's page: "
            "loraloom trainer install --torch-from URL",
        )
    for name in environment.missing(needed):
        yield error(
            "LL353",
            f"The trainer's Python {trainer.python} has no package {name}, which this config "
            "needs.",
            f'Install it there: "{trainer.python}" -m pip install {name.replace("_", "-")}',
        )
    for name, problem in import_problems(trainer, environment, needed, progress=progress).items():
        yield error(
            "LL355",
            f"The trainer's Python {trainer.python} has {name} {environment.packages[name]}, but "
            f"cannot import it: {problem}.",
            f'Install it again: "{trainer.python}" -m pip install --force-reinstall --no-deps '
            f"{name.replace('_', '-')}; or choose a setting that does not need it.",
        )


_FEWEST_FREE_BYTES = 3 << 30
"""Our choice: less than 3 GiB free holds no SD 1.5 training at 512 pixels."""


def chosen_gpu(launch: tuple[str, ...]) -> int:
    """Return the number of the first card that the trainer will use."""
    said = launch_options(launch).get("--gpu_ids") or os.environ.get("CUDA_VISIBLE_DEVICES")
    first = str(said or "0").partition(",")[0].strip()
    return whole_number(first) or 0


def check_gpus(gpus: tuple[Gpu, ...], number: int, *, may_be_freed: bool) -> Iterator[Finding]:
    """Look at card `number`; one that plugins may free before the start is no error."""
    if not gpus:
        yield warning(
            "LL387",
            "No NVIDIA GPU was found; on the CPU a step takes seconds to minutes.",
            "Check the driver with nvidia-smi, or continue if that is intended.",
        )
        return
    if number >= len(gpus):
        yield error(
            "LL387",
            f"There is no GPU {number}; this machine has {len(gpus)}.",
            "Correct gpu_ids, --gpu or CUDA_VISIBLE_DEVICES; the first GPU is 0.",
        )
        return
    card = gpus[number]
    free = card.total_bytes - card.used_bytes
    if free < _FEWEST_FREE_BYTES and not may_be_freed:
        yield error(
            "LL387",
            f"{card.name} has {free / 2**30:.1f} of {card.total_bytes / 2**30:.1f} GiB free; "
            "another program uses the rest.",
            "Close the Stable Diffusion WebUI, or let loraloom unload its model: "
            "training.free_webui in the manifest.",
        )
    elif card.used_bytes > card.total_bytes // 4:
        yield warning(
            "LL387",
            f"Other programs use {card.used_bytes / 2**30:.1f} GiB of {card.name}.",
            "Close them if training runs out of memory.",
        )
