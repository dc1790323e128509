"""Whether the trainer's Python can really import what a config needs.

A package may be installed and still be broken: a missing library, another CUDA, a torn update.
What was imported once is imported again only after it changed; a failure is always tried again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...project import Progress, ProgressHandler, silent, user_folder
from ...project.files import write_json_atomic
from ...project.json_reader import parse_json, read_json
from ..trainer import Environment, Trainer

IMPORT_SECONDS = 180.0
"""Our choice: PyTorch from a cold disk takes up to a minute."""

_MARK = "LORALOOM-IMPORT "
_KEPT = 200

_IMPORT = """
import importlib, json, sys
mark, names = sys.argv[1], sys.argv[2:]
def tell(*row):
    sys.__stdout__.write(chr(10) + mark + json.dumps(row) + chr(10))
    sys.__stdout__.flush()
for name in names:
    tell(name, None)
    try:
        module = importlib.import_module(name)
        if name == "bitsandbytes":  # it imports without its library, and fails at the first step
            library = getattr(importlib.import_module("bitsandbytes.cextension"), "lib", module)
            said = getattr(library, "error_msg", "") or "its library is not loaded"
            stands_in = library is None or "Error" in type(library).__name__
            if stands_in and "can run without" not in said:  # as it does on a processor
                raise ImportError(said)
    except BaseException as error:
        text = str(error).strip().splitlines() or [""]
        tell(name, (type(error).__name__ + ": " + text[0]).rstrip(": ."))
    else:
        tell(name, "")
"""


def import_problems(
    trainer: Trainer,
    environment: Environment,
    names: Iterable[str],
    *,
    seconds: float = IMPORT_SECONDS,
    progress: ProgressHandler = silent,
) -> Mapping[str, str]:
    """Return why packages that are there cannot be imported, by name; empty when all can.

    Takes as long as the trainer's own start does, nothing when nothing changed since.
    """
    stamps = {name: _stamp(trainer, environment, name) for name in names}
    store = user_folder() / "checked" / "imports.json"
    known = _read(store)
    wanted = [name for name, stamp in stamps.items()
              if environment.packages.get(name) and stamp not in known]  # fmt: skip
    if not wanted:
        return {}
    progress(Progress("Importing the trainer's packages", 0, len(wanted)))
    found: dict[str, str] = {}
    while len(found) < len(wanted):  # one that ends its process leaves those after it open
        found |= _import(trainer, [name for name in wanted if name not in found], seconds)
    progress(Progress("Importing the trainer's packages", len(wanted), len(wanted)))
    fine = [stamps[name] for name, problem in found.items() if not problem]
    write_json_atomic(store, [*known, *fine][-_KEPT:])
    return {name: problem for name, problem in found.items() if problem}


def _stamp(trainer: Trainer, environment: Environment, name: str) -> str:
    """Name a package as it is installed now, with the PyTorch that it was built for."""
    facts = [str(trainer.python), environment.python_version, environment.sd_scripts_version]
    for one in ("torch", name):
        facts += [one, str(environment.packages.get(one)), str(environment.changed.get(one))]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()[:32]


def _read(store: Path) -> list[str]:
    try:
        data = read_json(store)
    except (OSError, ValueError):  # a cache may be gone or cut
        return []
    return [one for one in data if isinstance(one, str)] if isinstance(data, list) else []


def _import(trainer: Trainer, names: list[str], seconds: float) -> dict[str, str]:
    """Import in one child process, as far as it gets; the one that ended it is a problem."""
    command = [str(trainer.python), "-c", _IMPORT, _MARK, *names]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:replace", "PYTHONUTF8": "1"}
    why = ""
    try:
        done = subprocess.run(
            command, cwd=trainer.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds, check=False,
        )  # fmt: skip
        output = done.stdout
        why = f"Python ended with exit code {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        why = f"it did not finish within {seconds:.0f} s"
    except OSError as refused:
        return dict.fromkeys(names, f"{trainer.python} cannot be started: {refused.strerror}")
    found: dict[str, str] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(_MARK):
            name, problem = parse_json(line.removeprefix(_MARK))
            found[name] = why if problem is None else problem
    return found or {names[0]: why}
