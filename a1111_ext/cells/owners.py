"""Owners of claims: processes of this machine or another, and whether they still live."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from kohya_ext.project.numbers import whole_number

CLAIM_SECONDS = 3600.0
"""A claim of a process on another machine that died without a word is void after this time."""


def this_owner() -> str:
    """Name this ledger's owner: machine, process, the process' birth, and a number of its own."""
    pid = os.getpid()
    return f"{platform.node()}|{pid}|{_birth(pid)}|{os.urandom(4).hex()}"


def _birth(pid: int) -> str:
    """Return what tells a process from a later one of the same number; "" when it is gone.

    On Linux in ticks since the start of the machine: setting the clock does not change it.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""


def holds(owner: str, age_seconds: float) -> bool:
    """Whether a claim still holds: its process lives, or it is another machine's and not old."""
    machine, _, rest = owner.partition("|")
    if machine != platform.node():
        return age_seconds < CLAIM_SECONDS
    pid, _, rest = rest.partition("|")
    number = whole_number(pid)
    return number is not None and _birth(number) == rest.partition("|")[0] != ""
