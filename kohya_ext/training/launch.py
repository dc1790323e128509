"""How the trainer is started: plain python, or accelerate where several processes run."""

from __future__ import annotations

import os
import re
import shlex
from itertools import pairwise
from pathlib import Path

from .job import Job
from .trainer import Trainer

_NEEDS_LAUNCHER = re.compile(r"^--(multi_gpu|num_machines|dynamo_\w+|main_process_port)$")


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
    if launch and not trainer.is_rehearsal:
        return (str(trainer.python), "-m", "accelerate.commands.launch", *launch, *own)
    return (str(trainer.python), *own)


def launcher_words(launch: tuple[str, ...]) -> tuple[str, ...]:
    """Return accelerate's arguments when one of them needs the launcher, else nothing."""
    pairs = dict(pairwise((*launch, "")))
    many = pairs.get("--num_processes", "1") not in ("", "0", "1")
    machines = pairs.get("--num_machines", "1") not in ("", "0", "1")
    others = any(
        _NEEDS_LAUNCHER.match(word) and word != "--num_machines" and pairs.get(word) != "no"
        for word in launch
    )
    return launch if many or machines or others else ()


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
    if "--gpu_ids" in pairs and not launcher_words(launch):
        added["CUDA_VISIBLE_DEVICES"] = pairs["--gpu_ids"]
    return tuple(sorted(added.items()))
