"""How the trainer is started: plain python, or accelerate where several processes run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from ..config.call_values import launcher_words
from ..trainer import Trainer
from .job import Job


def command_of(job: Job, trainer: Trainer, config: Path) -> tuple[str, ...]:
    """Return plain python, or accelerate's launcher where several processes are asked for."""
    script = trainer.script(job.call.script_name)
    extra = list(job.call.additional)
    own = [str(script), "--config_file", str(config), *extra]
    launch = launcher_words(job.call.launch)
    if launch and not trainer.is_simulated:
        return (str(trainer.python), "-m", "accelerate.commands.launch", *launch, *own)
    return (str(trainer.python), *own)


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
