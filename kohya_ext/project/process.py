"""Child processes: started in a session of their own, and ended with their whole tree.

A tree is known by a mark in its environment, so it is found again by another program, after
its first process died, and when a launcher moved its workers to sessions of their own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

import psutil

from .errors import MachineError, ToolError
from .files import explain_os_error

MARK = "LORALOOM_TREE"
"""The environment variable that every process of a tree inherits."""

_KILL_SECONDS = 5.0
_ROUNDS = 5
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessTree:
    """A running child and all that it starts; `created` and `mark` tell a reused pid apart."""

    pid: int
    created: float
    mark: str

    @property
    def is_running(self) -> bool:
        """Whether the first process runs; its exit makes this False, orphans do not count."""
        try:
            process = psutil.Process(self.pid)
            moved = abs(process.create_time() - self.created) > 1.0
            if moved and not _is_marked(process, self.mark):  # a clock that was set moves it too
                return False
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def members(self) -> list[psutil.Process]:
        """Return every living process of the tree, orphans included.

        Not the console that Windows starts beside programs: it ends with the last of them.
        """
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            if _is_marked(process, self.mark):
                found[process.pid] = process
        if self.pid and self.is_running:
            _add_family(psutil.Process(self.pid), found)
        found.pop(os.getpid(), None)
        return [one for one in found.values() if not _is_console(one)]

    def end(self, *, grace_seconds: float = 5.0) -> int:
        """End the whole tree: ask first, then kill; return how many processes it had.

        POSIX processes get SIGTERM and `grace_seconds`; Windows has no such question.
        """
        ended: set[int] = set()
        for turn in range(_ROUNDS):  # a dying tree may still start processes
            members = self.members()
            if not members:
                break
            ended |= {process.pid for process in members}
            _end_all(members, grace_seconds if turn == 0 else 0.0)
        return len(ended)


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        if process.environ().get(MARK) != mark:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError, ValueError):  # of another user, or gone meanwhile
        return False


def _is_console(process: psutil.Process) -> bool:
    if os.name != "nt":
        return False
    return "conhost.exe" in (_name_of(process), _first_word_of(process))


def _name_of(process: psutil.Process) -> str:
    try:
        return process.name().lower()
    except (psutil.Error, OSError):  # gone meanwhile, or Wine, which tells no names
        return ""


def _first_word_of(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except (psutil.Error, OSError):
        return ""
    return PureWindowsPath(words[0]).name.lower() if words else ""


def _add_family(process: psutil.Process, found: dict[int, psutil.Process]) -> None:
    try:
        for one in (process, *process.children(recursive=True)):
            if one.status() != psutil.STATUS_ZOMBIE:
                found[one.pid] = one
    except psutil.Error:
        return


def _end_all(processes: Sequence[psutil.Process], grace_seconds: float) -> None:
    for process in processes:
        _signal(process, kill=grace_seconds <= 0)
    alive = _wait_for_end(processes, grace_seconds or _KILL_SECONDS)
    for process in alive:
        _signal(process, kill=True)
    _wait_for_end(alive, _KILL_SECONDS)


def _wait_for_end(
    processes: Sequence[psutil.Process], timeout_seconds: float
) -> list[psutil.Process]:
    """Return who still lives after the time; psutil's own wait would eat a child's exit code."""
    deadline = time.monotonic() + timeout_seconds
    alive = [one for one in processes if _lives(one)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        alive = [one for one in alive if _lives(one)]
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.Error:
        return  # gone meanwhile, or not ours


class Child:
    """A process that this program started: its tree, and the exit code that only we can read."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process = process
        self.tree = ProcessTree(process.pid, _created(process.pid), mark)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the exit code; raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_seconds)

    def leave(self) -> None:
        """Let it outlive us: nobody will ask for its exit code, the next `start` clears it away."""
        _LEFT.append(self)


_LEFT: list[Child] = []
"""Children that may outlive us; an ended one stays a zombie until it was polled."""


def new_mark() -> str:
    """Return a fresh name for a tree."""
    return secrets.token_hex(8)


def find_tree(mark: str) -> ProcessTree | None:
    """Return the tree that carries `mark`, by its oldest living process."""
    found = ProcessTree(0, 0.0, mark).members()
    if not found:
        return None
    first = min(found, key=lambda process: (_created(process.pid), process.pid))
    return ProcessTree(first.pid, _created(first.pid), mark)


def _created(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:  # it ended at once
        return 0.0


def start(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    mark: str = "",
) -> Child:
    """Start `command` in `folder`, its streams appended to files, in a session of its own.

    It lives on when this program, its terminal or its window ends. `environment` is complete; a
    `mark` written down beforehand finds the tree even if we die while starting it. Raises
    MachineError (when the program cannot be started; for the stream files).
    """
    mark = mark or new_mark()
    _LEFT[:] = [child for child in _LEFT if child.poll() is None]
    try:
        with stdout.open("ab") as out, stderr.open("ab") as err:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                **_own_session(),
            )
    except FileNotFoundError as error:
        raise _not_started(command, error) from error
    except PermissionError as error:
        if error.filename in (str(stdout), str(stderr)):
            raise explain_os_error(error, Path(error.filename)) from error
        raise _not_started(command, error) from error
    except OSError as error:
        raise _not_started(command, error) from error
    return Child(process, mark)


def _not_started(command: Sequence[str], error: OSError) -> ToolError:
    return MachineError(
        "LL116",
        f"{command[0]} cannot be started: {error.strerror or error}.",
        "Check the path, and that it is a program for this machine.",
    )


def _own_session() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"start_new_session": True}


@contextmanager
def holding(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` during the block; yields False when another program holds it.

    The operating system lets go of it when the holder dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as stream:
        yield _try_lock(stream)


def is_held(path: Path) -> bool:
    """Tell whether a living program holds the lock file `path`."""
    if not path.exists():
        return False
    try:
        with holding(path) as got:
            return not got
    except PermissionError:  # in a read-only folder: on Linux and macOS looking is enough to ask
        with path.open("rb") as stream:
            return not _try_lock(stream)


def _try_lock(stream: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
