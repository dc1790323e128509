"""What ends a command beside Ctrl-C: Ctrl-Break, a closing window, and SIGTERM.

Windows gives a program whose window closes some five seconds, at a logoff or shutdown as well;
elsewhere a closing terminal sends SIGHUP, and `kill`, a shutdown or `docker stop` sends SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CTRL_BREAK, CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN = 1, 2, 5, 6
"""What Windows calls them."""

CLOSED = 129
"""Our exit code after the terminal was closed, as a shell counts SIGHUP."""

_LAST_SECONDS = 10.0
"""More than Windows grants: when our answer returns, it ends us at once."""

_HEARD: list[object] = []
"""What Windows calls; it must live as long as the process."""

_LEAVE: list[Callable[[], object]] = []


@contextmanager
def when_closed(leave: Callable[[], object]) -> Iterator[None]:
    """Call `leave` when the terminal closes during the block, and end at once.

    Without it a closing window on Windows stops a command as Ctrl-C does.
    """
    if sys.platform == "win32":
        _LEAVE.append(leave)
        try:
            yield
        finally:
            _LEAVE.remove(leave)
        return

    def end(number: int, frame: object) -> None:
        leave()
        os._exit(CLOSED)  # the locks go with us, so that whoever continues gets them

    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        yield
        return
    before = signal.signal(signal.SIGHUP, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def hearing_termination() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C during the block; Windows has no such signal.

    Its default ends Python at once, which leaves a trainer running that nobody watches.
    """
    is_heard = (
        sys.platform != "win32"
        and threading.current_thread() is threading.main_thread()  # only there signals arrive
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_heard:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def hear_windows() -> None:
    """Let Windows tell us of Ctrl-Break and of a closing window; nothing is done elsewhere."""
    if sys.platform != "win32" or _HEARD:
        return
    import ctypes

    called = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)(answer)
    _HEARD.append(called)
    ctypes.windll.kernel32.SetConsoleCtrlHandler(called, 1)


def answer(event: int, *, last_seconds: float = _LAST_SECONDS) -> bool:
    """Do what an event of the console asks for; Windows calls this in a thread of its own.

    Ctrl-C is Python's own. The others would end Python in mid-step.
    """
    if event not in (CTRL_BREAK, CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN):
        return False
    if event == CTRL_CLOSE and _LEAVE:
        _LEAVE[-1]()
        os._exit(CLOSED)
    signal.raise_signal(signal.SIGINT)
    if event != CTRL_BREAK:
        time.sleep(last_seconds)  # the command ends meanwhile, and this thread with it
    return True
