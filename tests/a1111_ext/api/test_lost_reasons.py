"""Why a WebUI does not answer is told in words, not by the name of an exception's class."""

from __future__ import annotations

import pytest

from a1111_ext.api.client import _reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("('Connection aborted.', RemoteDisconnected('Remote end closed'))", "closed the connect"),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset'))", "reset"),
        ("Failed: [Errno 113] No route to host", "no way to it"),
        ("Failed: [Errno 101] Network is unreachable", "no network"),
    ],
    ids=["killed", "reset", "no route", "no network"],
)
def test_a_killed_or_unreachable_server_has_a_reason_in_words(said: str, reason: str):
    assert reason in _reason(OSError(said))
