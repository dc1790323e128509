"""The trainer's own word on a call: its script is walked up to the first step, in its own Python.

No rule of ours can follow every release of sd-scripts. `probe` does the walk; here it is
started, stopped after a limit, and its answers become findings.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...project import Progress, ProgressHandler, silent
from ...project.json_reader import parse_json
from ..config.arguments import TrainerCall
from ..config.toml import format_toml
from ..run.events import Announced, StreamReader, in_english
from ..run.failures import cure_of
from ..trainer import Trainer
from .findings import Finding, error, warning
from .learning_rates import check_course
from .probe.walk import MARK

ASK_SECONDS = 120.0
"""Our choice: the trainer's own imports take 5 to 15 s, on a cold disk up to a minute."""

_START = """
import importlib.machinery, sys
root = sys.argv.pop(1)
class OurPackages:
    @staticmethod
    def find_spec(name, path=None, target=None):
        ours = name == "kohya_ext"
        return importlib.machinery.PathFinder.find_spec(name, [root]) if ours else None
sys.meta_path.insert(0, OurPackages)
from kohya_ext.training.checks.probe.walk import main
main()
"""  # the trainer's Python gets our package and nothing else that lies beside it

_WHERE = {
    "arguments": "when it reads its arguments",
    "dataset": "when it reads the dataset",
    "settings": "before it loads the model",
    "cached latents": "when it looks at cached latents, after loading the model",
    "cached text encoder outputs": "when it looks at cached captions, after loading the model",
    "sample prompts": "when it reads the sample prompts, after loading the model",
    "network": "when it makes the network, after loading the model and caching",
    "optimizer": "when it makes the optimizer, after loading the model and caching",
    "loader": "when it prepares the pictures, after loading the model and caching",
    "scheduler": "when it makes the scheduler, after loading the model and caching",
    "precision": "after loading the model and caching",
    "first step": "at its first step, after loading the model and caching",
    "learning rate": "while it trains",
}


@dataclass(frozen=True)
class TrainerAnswer:
    """What the trainer said, by the part of it that was asked.

    `figures` are its own steps and epochs, None if it did not get there.
    """

    said: tuple[tuple[str, Finding], ...] = ()
    figures: Announced | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that it said."""
        return tuple(one for _, one in self.said)

    def besides(self, *parts: str) -> tuple[Finding, ...]:
        """Return what it said of all but these parts, where we found the reasons ourselves."""
        return tuple(one for part, one in self.said if part not in parts)


def ask_trainer(
    call: TrainerCall,
    trainer: Trainer,
    processes: int = 1,
    *,
    seconds: float = ASK_SECONDS,
    progress: ProgressHandler = silent,
) -> TrainerAnswer:
    """Ask the trainer about a call: a few seconds, no graphics card, nothing written.

    The simulator is not asked.
    """
    if trainer.is_simulated:
        return TrainerAnswer()
    progress(Progress("Trial run in the trainer", 0, 1))
    with tempfile.TemporaryDirectory(prefix="loraloom-ask-") as scratch:
        rows, problem = _ask(call, trainer, processes, Path(scratch), seconds)
    progress(Progress("Trial run in the trainer", 1, 1))
    said = tuple(dict.fromkeys(_findings(rows, call)))
    if problem:
        found = warning(
            "LL358",
            f"The trial run in the trainer was not possible: {problem}.",
            "Only loraloom's own rules were checked; watch the start of the training.",
        )
        said = (*said, ("", found))
    return TrainerAnswer(said, _figures(rows))


def _ask(
    call: TrainerCall, trainer: Trainer, processes: int, scratch: Path, seconds: float
) -> tuple[list[dict[str, Any]], str]:
    """Return the answers, and why there are no more of them; empty when all was answered."""
    config = scratch / "config.toml"
    config.write_text(format_toml(call.toml), encoding="utf-8")
    request = {
        "script": str(trainer.folder / call.script_name),
        "arguments": ["--config_file", str(config), *(one.strip("'") for one in call.additional)],
        "processes": processes,
        "scratch": str(scratch),
    }
    root = Path(__file__).resolve().parents[3]
    command = [str(trainer.python), "-c", _START, str(root), json.dumps(request)]
    try:
        done = subprocess.run(
            command, cwd=trainer.folder, env=_environment(trainer, scratch),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
        output, problem = done.stdout, ""
        rows = list(_read(output))
        if not any(row["kind"] == "done" for row in rows):
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            problem = f"it ended with {done.returncode} ({' '.join(last)[:200]})"
        return rows, problem
    except subprocess.TimeoutExpired as late:
        return list(_read(late.stdout or b"")), f"it did not finish within {seconds:.0f} s"
    except OSError as refused:
        return [], f"{trainer.python} cannot be started ({refused.strerror})"


def _environment(trainer: Trainer, scratch: Path) -> dict[str, str]:
    paths = [str(trainer.folder), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "HIP_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8:replace",
        "PYTHONPATH": os.pathsep.join(one for one in paths if one),
        "PYTHONUTF8": "1",
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "TMP": str(scratch),
    }


def _read(output: bytes) -> Iterator[dict[str, Any]]:
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            yield parse_json(line.removeprefix(MARK))


def _figures(rows: list[dict[str, Any]]) -> Announced | None:
    reader = StreamReader()
    for row in rows:
        for line in str(row.get("text", "")).splitlines() if row["kind"] == "said" else ():
            for event in reader.read_stdout(line):
                if isinstance(event, Announced):
                    return event
    return None


def _findings(rows: list[dict[str, Any]], call: TrainerCall) -> Iterator[tuple[str, Finding]]:
    for row in rows:
        part = str(row["part"])
        if row["kind"] == "error":
            text, logged = str(row["error"]), str(row.get("logged") or "")
            said = " ".join(
                in_english(text if not logged or logged in text else f"{text} ({logged})").split()
            )[:400].rstrip(". ")
            problem = f"The trainer refuses this config {_WHERE.get(part, part)}: {said}."
            cure = cure_of(said) or "Change the setting that this error of the trainer names."
            yield part, error("LL357", problem, cure)
        elif row["kind"] == "course":
            yield from ((part, one) for one in check_course(row["groups"]))
        elif row["kind"] == "warned":
            said = " ".join(in_english(str(row["text"])).split())[:300].rstrip(". ")
            problem = f"The trainer itself warns about this config: {said}."
            yield part, warning("LL330", problem, "Check whether that is intended.")
        elif row["kind"] == "unread":
            yield part, _unread(part, row, call)
        elif row["kind"] == "unasked":
            said = " ".join(in_english(str(row["error"])).split())[:200].rstrip(". ")
            problem = f"The trial run could not cover this part: {part} ({said})."
            cure = "Only loraloom's own rules were checked there. You need not do anything."
            yield part, warning("LL358", problem, cure)


def _unread(part: str, row: Mapping[str, Any], call: TrainerCall) -> Finding:
    name, near = str(row["name"]), str(row["near"])
    if part == "optimizer":
        owner, key = str(call.toml.get("optimizer_type") or "the optimizer"), "optimizer_args"
    else:
        owner, key = str(call.toml.get("network_module")), "network_args"
    return error(
        "LL359",
        f"{key} has {name}, which {owner} never reads: it would silently train without it.",
        f"Did you mean {near}?" if near else "Remove it.",
    )
