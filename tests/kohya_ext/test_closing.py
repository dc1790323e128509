"""A console whose window closes: what is left to others, and what is stopped as by Ctrl-C."""

from __future__ import annotations

import signal
import threading

import pytest

from kohya_ext.cli import closing

ENDS = [closing.CTRL_CLOSE, closing.CTRL_LOGOFF, closing.CTRL_SHUTDOWN]


@pytest.fixture(autouse=True)
def _hears_ctrl_c():
    """Also where nohup or `&` started the tests, which ignore it then."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Ended(Exception):
    """In place of the process's end."""


def asked_from_a_thread(event: int) -> list[bool]:
    """Ask as Windows does; wait in the main thread, where Ctrl-C arrives."""
    answers: list[bool] = []

    def windows() -> None:
        answers.append(closing.answer(event, last_seconds=0.0))

    thread = threading.Thread(target=windows)
    with pytest.raises(KeyboardInterrupt):
        _wait_for(thread)
    thread.join()
    return answers


def _wait_for(thread: threading.Thread) -> None:
    thread.start()
    thread.join()
    threading.Event().wait(30)


@pytest.mark.parametrize("event", [closing.CTRL_BREAK, *ENDS])
def test_a_closing_window_is_heard_as_ctrl_c(event: int):
    assert asked_from_a_thread(event) == [True]


def test_ctrl_c_itself_is_left_to_python():
    assert not closing.answer(0)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what happened; the end of the process is an exception."""
    happened: list[str] = []

    def end(code: int) -> None:
        happened.append(f"exit {code}")
        raise Ended

    monkeypatch.setattr(closing.os, "_exit", end)
    monkeypatch.setattr(closing.sys, "platform", "win32")
    return happened


def test_a_closed_window_leaves_the_work_to_others_and_ends_at_once(ended: list[str]):
    with closing.when_closed(lambda: ended.append("left")), pytest.raises(Ended):
        closing.answer(closing.CTRL_CLOSE)
    assert ended == ["left", "exit 129"]


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize("event", [closing.CTRL_LOGOFF, closing.CTRL_SHUTDOWN])
def test_nobody_is_left_to_continue_when_the_user_logs_off(event: int):
    with closing.when_closed(lambda: pytest.fail("it would be ended as well")):
        assert asked_from_a_thread(event) == [True]


def test_afterwards_a_closed_window_is_ctrl_c_again(ended: list[str]):
    with closing.when_closed(lambda: ended.append("left")):
        pass
    assert asked_from_a_thread(closing.CTRL_CLOSE) == [True]
    assert ended == []


@pytest.mark.skipif(closing.sys.platform == "win32", reason="Windows has no SIGTERM")
def test_sigterm_is_ctrl_c_while_a_command_runs():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), closing.hearing_termination():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(closing.sys.platform == "win32", reason="Windows has no SIGTERM")
def test_whoever_already_listens_to_sigterm_keeps_it():
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with closing.hearing_termination():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
