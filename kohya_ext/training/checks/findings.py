"""Findings of the preflight: a code, what is wrong with which value, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """Whether a finding stops the run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One row: what is wrong with which value, and what to do."""

    code: str
    level: Level
    problem: str
    cure: str

    def __str__(self) -> str:
        return f"{self.problem} {self.cure} [{self.code}]"


def error(code: str, problem: str, cure: str) -> Finding:
    """Return a finding that stops the run."""
    return Finding(code, Level.ERROR, problem, cure)


def warning(code: str, problem: str, cure: str) -> Finding:
    """Return a finding that lets the run continue."""
    return Finding(code, Level.WARNING, problem, cure)


def wrong_dataset(problem: str, cure: str) -> Finding:
    """Return a finding on a dataset config, or on a file that it names."""
    return error("LL356", problem, cure)


def whole(value: object) -> int:
    """Return a whole number of a config, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
