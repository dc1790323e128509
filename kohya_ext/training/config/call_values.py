"""What sd-scripts will use of a call: its values, toml and additional, and its processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...project.numbers import whole_number
from .arguments import NEWEST, TrainerCall, arguments_of

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


def effective(call: TrainerCall) -> dict[str, Any]:
    """Return what sd-scripts will use: the toml, and over it the additional arguments."""
    known = arguments_of(call.script, NEWEST)
    values = dict(call.toml)
    words = [word.strip("'") for word in call.additional]
    for at, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, text = word[2:].partition("=")
        following = words[at + 1] if at + 1 < len(words) else "--"
        if not equals and not following.startswith("--"):
            text, equals = following, "="
        values[name] = _typed(text, known.get(name)) if equals else True
    return values


def _typed(text: str, row: Sequence[Any] | None) -> Any:
    kind = row[0] if row else "str"
    try:
        return int(text) if kind == "int" else float(text) if "float" in kind else text
    except ValueError:
        return text


def launch_options(launch: Sequence[str]) -> dict[str, str]:
    """Return accelerate's own arguments by name, the last one of a name as it takes it.

    It reads `--num_machines 2`, `--num_machines=2` and `--num-machines 2` alike; a switch is "".
    """
    found: dict[str, str] = {}
    for at, word in enumerate(launch):
        if not word.startswith("--"):
            continue
        name, equals, text = word.partition("=")
        following = launch[at + 1] if at + 1 < len(launch) else ""
        found[name.replace("-", "_").replace("__", "--", 1)] = (
            text if equals else following if not following.startswith("--") else ""
        )
    return found


def processes_of(launch: tuple[str, ...]) -> int:
    """Return how many processes train at once; each gets its share of the batches."""
    if not launcher_words(launch):
        return 1
    return whole_number(launch_options(launch).get("--num_processes", "")) or 1


def launcher_words(launch: tuple[str, ...]) -> tuple[str, ...]:
    """Return accelerate's arguments when one of them needs the launcher, else nothing."""
    options = launch_options(launch)
    many = options.get("--num_processes", "1") not in ("", "0", "1")
    machines = options.get("--num_machines", "1") not in ("", "0", "1")
    compiled = options.get("--dynamo_backend", "no") not in ("", "no")
    others = bool(options.keys() - _WITHOUT_LAUNCHER)
    return launch if many or machines or compiled or others else ()
