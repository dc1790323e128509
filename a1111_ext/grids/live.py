"""A grid that grows: each epoch file is taken as soon as it is complete, and not before.

A file is complete when header and size agree and nothing changed since the last look.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kohya_ext.project.addresses import is_this_machine
from kohya_ext.project.epochs import Run, find_runs
from kohya_ext.project.errors import ConflictError
from kohya_ext.project.journal import Journal

POLL_SECONDS = 5.0
_ASK_SECONDS = 20


class EpochWatch:
    """Looks at a folder again and again and tells which epochs are complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamps: dict[Path, tuple[int, int]] = {}

    def look(self) -> Run | None:
        """Return the newest run with the files that are complete and were so at the last look."""
        if not self._folder.is_dir():
            return None
        before, self._stamps = self._stamps, {}
        for path in self._folder.glob("*.safetensors"):
            try:
                status = path.stat()
            except FileNotFoundError:  # sd-scripts removes old epochs when told to keep few
                continue
            self._stamps[path] = (status.st_size, status.st_mtime_ns)
        same = {path for path, stamp in before.items() if stamp == self._stamps.get(path)}
        for run in reversed(find_runs(self._folder)):  # a file cut short is not among them
            files = tuple(one for one in run.files if one.path in same)
            if files:
                return replace(run, files=files)
        return None


def is_training_over(run: Run | None, journal: Journal, *, since: str) -> bool:
    """Tell whether the run is complete: its last file is there, or our trainer said so.

    `since` is an ISO time; an end that the journal noted before it does not count.
    """
    if run is not None and run.final is not None:
        return True
    ended = journal.last("train-end")
    return ended is not None and ended.at >= since


# -- one GPU for two -----------------------------------------------------------------------------


def require_spare_gpu(urls: Sequence[str], *, count: Callable[[], int | None]) -> None:
    """Refuse to draw beside a training on one and the same GPU: raises ConflictError.

    Only WebUIs on this machine matter; `count` tells how many GPUs it has, None if unknown.
    """
    here = [url for url in urls if is_this_machine(url)]
    if len(here) < len(urls):
        return  # another machine draws; the one beside the training is used too, as was asked
    gpus = count()
    if gpus is None or gpus < 2:
        found = "no second GPU was found" if gpus is None else f"this machine has {gpus} GPU"
        raise ConflictError(
            "LL511",
            f"The WebUI at {here[0]} would draw on the GPU that trains: {found}.",
            "Draw after the training with --at-end, give a WebUI on another machine, or use "
            "--same-gpu if the memory is enough for both.",
        )


def count_gpus() -> int | None:
    """Ask the NVIDIA driver how many GPUs there are; None where it cannot be asked."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_ASK_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return sum(line.startswith("GPU ") for line in answer.stdout.splitlines())
