"""How the trainer is started: plain python, or accelerate where several processes run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...project.numbers import whole_number
from ..config.call_values import launch_options, launcher_words
from ..trainer import Trainer
from .job import TrainingJob

_LAUNCHER = "accelerate.commands.launch"


def command_of(job: TrainingJob, trainer: Trainer, config: Path) -> tuple[str, ...]:
    """Return plain python, or accelerate's launcher where several processes are asked for."""
    script = trainer.script(job.call.script_name)
    extra = list(job.call.additional)
    own = [str(script), "--config_file", str(config), *extra]
    launch = launcher_words(job.call.launch)
    if launch and not trainer.is_simulated:
        start = (str(trainer.python), "-m", _LAUNCHER)
        return (*start, *_rank_of(launch), *launch, *own)
    return (str(trainer.python), *own)


def _rank_of(launch: Sequence[str]) -> tuple[str, ...]:
    """Return the first machine's rank where several train and it is missing: accelerate fails."""
    options = launch_options(launch)
    is_one = (whole_number(options.get("--num_machines", "")) or 1) < 2
    return () if is_one or "--machine_rank" in options else ("--machine_rank", "0")


def processes_started(command: Sequence[str]) -> int:
    """Return how many processes a training's command starts, on all its machines together."""
    if _LAUNCHER not in command:
        return 1
    return whole_number(launch_options(command).get("--num_processes", "")) or 1


def commands_elsewhere(command: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return what must be run on each further machine of a training on several.

    accelerate starts only the processes of the machine it runs on, and the first one waits for the
    others. The same command with the next `--machine_rank`; the config lies under the same path.
    """
    if _LAUNCHER not in command:
        return ()
    at = command.index(_LAUNCHER) + 1
    script = next(
        (place for place in range(at, len(command)) if command[place].endswith(".py")), at
    )
    launch, own = command[at:script], command[script:]
    count = whole_number(launch_options(launch).get("--num_machines", "1")) or 1
    kept = _without_rank(launch)
    return tuple(
        (*command[:at], "--machine_rank", str(rank), *kept, *own) for rank in range(1, count)
    )


def _without_rank(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    is_value = False
    for word in words:
        name, equals, _ = word.partition("=")
        is_rank = name.replace("-", "_") == "__machine_rank"
        if not is_rank and not is_value:
            kept.append(word)
        is_value = is_rank and not equals
    return kept


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
    options = launch_options(launch)
    if not launcher_words(launch):
        # What the launcher would have set for a single process.
        if "--gpu_ids" in options:
            added["CUDA_VISIBLE_DEVICES"] = options["--gpu_ids"]
        if "--num_cpu_threads_per_process" in options and "OMP_NUM_THREADS" not in os.environ:
            added["OMP_NUM_THREADS"] = options["--num_cpu_threads_per_process"]
    return tuple(sorted(added.items()))
