"""How the trainer is started: plain python, or accelerate where several processes run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ...project.numbers import whole_number
from ..config.call_values import launcher_words
from ..trainer import Trainer
from .job import TrainingJob


def command_of(job: TrainingJob, trainer: Trainer, config: Path) -> tuple[str, ...]:
    """Return plain python, or accelerate's launcher where several processes are asked for."""
    script = trainer.script(job.call.script_name)
    extra = list(job.call.additional)
    own = [str(script), "--config_file", str(config), *extra]
    launch = launcher_words(job.call.launch)
    if launch and not trainer.is_simulated:
        return (str(trainer.python), "-m", "accelerate.commands.launch", *launch, *own)
    return (str(trainer.python), *own)


def commands_elsewhere(command: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return what must be run on each further machine of a training on several.

    accelerate starts only the processes of the machine it runs on, and the first one waits for the
    others. The same command with the next `--machine_rank`; the config lies under the same path.
    """
    pairs = dict(pairwise((*command, "")))
    count = whole_number(pairs.get("--num_machines", "1")) or 1
    if "accelerate.commands.launch" not in command or count < 2:
        return ()
    at = command.index("accelerate.commands.launch") + 1
    kept = list(command)
    if "--machine_rank" in kept:
        place = kept.index("--machine_rank")
        del kept[place : place + 2]
    return tuple((*kept[:at], "--machine_rank", str(rank), *kept[at:]) for rank in range(1, count))


def environment_of(job: TrainingJob, trainer: Trainer) -> tuple[tuple[str, str], ...]:
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
        # What the launcher would have set for a single process.
        if "--gpu_ids" in pairs:
            added["CUDA_VISIBLE_DEVICES"] = pairs["--gpu_ids"]
        if "--num_cpu_threads_per_process" in pairs and "OMP_NUM_THREADS" not in os.environ:
            added["OMP_NUM_THREADS"] = pairs["--num_cpu_threads_per_process"]
    return tuple(sorted(added.items()))
