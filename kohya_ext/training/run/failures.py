"""What really went wrong: the trainer's own last error without the launcher's, and a cure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRACEBACK = "Traceback (most recent call last):"
_ERROR_LINE = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Invalid|Exit)\b.*)$")
_RANK = re.compile(r"^\[rank(\d+)\]:\s?(.*)$")
_LAUNCHERS_OWN = ("CalledProcessError", "ChildFailedError")
_USAGE = re.compile(r"^\S+\.py: error: (.*)$")

_CURES = (
    (
        r"CUDA out of memory|OutOfMemoryError",
        "The graphics card's memory is too small for this config, or another program holds some "
        "of it. Close the WebUI, or lower the batch size, use gradient checkpointing, cache the "
        "latents, or take a preset for a smaller card.",
    ),
    (
        r"No module named '?([\w.]+)'?",
        "A package is missing in the trainer's own environment: install it there.",
    ),
    (
        r"image too large, but cropping and bucketing are disabled",
        "Enable buckets: a picture is larger than the resolution.",
    ),
    (
        r"caption file is empty",
        "Fill the caption file that is named, or delete it.",
    ),
    (
        r"max_train_steps should be greater than initial step",
        "The state to resume from is at the end of this run already: ask for more epochs.",
    ),
    (
        r"size mismatch for",
        "The network weights have another rank than this config: use dim_from_weights, or the "
        "rank of that file.",
    ),
    (
        r"Torch not compiled with CUDA|No CUDA GPUs are available|CUDA driver",
        "The trainer's PyTorch cannot use this graphics card: see `loraloom trainer show`.",
    ),
    (
        r"No space left on device",
        "Free some space and resume.",
    ),
    (
        r"Error loading file|image file is truncated|cannot identify image file",
        "A picture is broken: `loraloom check` names it.",
    ),
)


@dataclass(frozen=True)
class TrainerError:
    """The headline of what the trainer said, the lines that led to it, and what to do."""

    headline: str
    lines: tuple[str, ...]
    cure: str


def find_error(stderr: str) -> TrainerError | None:
    """Return the trainer's own last error; that of the launcher does not count.

    Of several processes it is that of the one that failed first: the others lose their partner.
    """
    lines: dict[str, list[str]] = {"": []}
    for line in re.split(r"[\r\n]+", stderr):
        rank = _RANK.match(line)
        lines.setdefault(rank[1] if rank else "", []).append((rank[2] if rank else line).rstrip())
    without_rank = lines.pop("")
    found = (_last_error(one) for one in (*lines.values(), without_rank))
    return next(filter(None, found), None)


def _last_error(lines: list[str]) -> TrainerError | None:
    found: TrainerError | None = None
    for at, line in enumerate(lines):
        if usage := _USAGE.match(line):
            found = _as_error(usage[1], (line,))
        elif line.endswith(_TRACEBACK):
            block = _traceback(lines, at)
            if block and not any(one in block[-1] for one in _LAUNCHERS_OWN):
                found = _as_error(_headline(block), block)
    return found


def _traceback(lines: list[str], at: int) -> tuple[str, ...]:
    """Return the lines from a traceback's head to its last own line, messages of several too."""
    for end in range(at + 1, len(lines)):
        if _ERROR_LINE.match(lines[end]):
            rest = [line for line in lines[end + 1 : end + 4] if line.startswith("\t")]
            return (*lines[at : end + 1], *rest)
    return ()


def _headline(block: tuple[str, ...]) -> str:
    last = next(line for line in reversed(block) if not line.startswith("\t"))
    name, colon, text = last.partition(": ")
    more = " ".join(line.strip() for line in block if line.startswith("\t"))
    text = f"{text} {more}".strip()
    return f"{name.rpartition('.')[2]}: {text}" if colon and text else last


def _as_error(headline: str, lines: tuple[str, ...]) -> TrainerError:
    text = "\n".join((headline, *lines))
    cure = next((cure for pattern, cure in _CURES if re.search(pattern, text)), "")
    return TrainerError(headline, lines, cure)
