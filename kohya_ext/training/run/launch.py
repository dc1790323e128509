"""How the trainer is started: plain python, or accelerate where several processes run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from ..trainer import Trainer
from .job import Job

_WITHOUT_LAUNCHER = {
    "--dynamo_backend",
    "--dynamo_mode",
    "--dynamo_use_dynamic",
    "--dynamo_use_fullgraph",
    "--gpu_ids",
    "--main_process_port",
    "--mixed_precision",
    "--num_cpu_threads_per_process",
    "--num_machines",
    "--num_processes",
}
"""Arguments of accelerate that change nothing, or that plain python gets otherwise."""


def processes_of(launch: tuple[str, ...]) -> int:
    """Return how many processes train at once; each gets its share of the batches."""
    if not launcher_words(launch):
        return 1
    text = dict(pairwise((*launch, ""))).get("--num_processes", "")
    return int(text) if text.isdigit() and int(text) else 1


def command_of(job: Job, trainer: Trainer, config: Path) -> tuple[str, ...]:
    """Return plain python, or accelerate's launcher where several processes are asked for."""
    script = trainer.script(job.call.script_name)
    extra = [word for quoted in job.call.additional for word in shlex.split(quoted)]
    own = [str(script), "--config_file", str(config), *extra]
    launch = launcher_words(job.call.launch)
    if launch and not trainer.is_simulated:
        return (str(trainer.python), "-m", "accelerate.commands.launch", *launch, *own)
    return (str(trainer.python), *own)


def launcher_words(launch: tuple[str, ...]) -> tuple[str, ...]:
    """Return accelerate's arguments when one of them needs the launcher, else nothing."""
    pairs = dict(pairwise((*launch, "")))
    many = pairs.get("--num_processes", "1") not in ("", "0", "1")
    machines = pairs.get("--num_machines", "1") not in ("", "0", "1")
    compiled = pairs.get("--dynamo_backend", "no") not in ("", "no")
    others = any(word.startswith("--") and word not in _WITHOUT_LAUNCHER for word in launch)
    return launch if many or machines or compiled or others else ()


def environment_of(job: Job, trainer: Trainer) -> tuple[tuple[str, str], ...]:
    """Return what is added to our own environment; secrets are inherited, never written down."""
    paths = [str(trainer.folder), os.environ.get("PYTHONPATH", "")]
    added = {
        "COLUMNS": "400",  # else rich breaks log lines and file paths at 80 columns
        "PYTHONIOENCODING": "utf-8:replace",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",  # else a killed trainer takes its last lines with it
        "PYTHONUTF8": "1",
    }
    launch = job.call.launch
    pairs = dict(pairwise(launch))
    if not launcher_words(launch):
        added |= _instead_of_launcher(pairs)
    return tuple(sorted(added.items()))


def _instead_of_launcher(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return what the launcher would have set for a single process."""
    found = {}
    if "--gpu_ids" in pairs:
        found["CUDA_VISIBLE_DEVICES"] = pairs["--gpu_ids"]
    if "--num_cpu_threads_per_process" in pairs and "OMP_NUM_THREADS" not in os.environ:
        found["OMP_NUM_THREADS"] = pairs["--num_cpu_threads_per_process"]
    return found
