"""A password in an address for another program is refused and never repeated."""

from __future__ import annotations

import pytest

from kohya_ext.cli.dispatch import main
from kohya_ext.project import InputError
from kohya_ext.project.addresses import require_no_password
from kohya_ext.project.cluster import open_executor


@pytest.mark.parametrize(
    "address",
    [
        "https://mira:hidden-word@host/x.git", "https://hidden-word@host/x", "tcp://a:hidden-word@h:1",
        "HTTP://:hidden-word@h", "https://mira:hidden%2Fword@h", "ssh://git:hidden-word@h/x",
    ],
)  # fmt: skip
def test_a_password_is_refused_and_not_repeated(address: str):
    with pytest.raises(InputError, match="LL187") as caught:
        require_no_password(address, "of x", "Write it elsewhere.")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["", "https://host/x@y", "git@host:owner/x.git", "ssh://git@host/x", "/a/folder", "tcp://h:1"],
)
def test_an_address_without_one_is_used(address: str):
    assert require_no_password(address, "of x", "") == address


@pytest.mark.parametrize("option", ["--from", "--torch-from"])
def test_an_installation_prints_no_password(option: str, capsys: pytest.CaptureFixture[str]):
    words = ["trainer", "install", option, "https://mira:hidden-word@host/x", "--dry-run"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "LL187" in shown.err
    assert "hidden-word" not in shown.out + shown.err


def test_a_cluster_s_address_is_not_repeated():
    with pytest.raises(InputError, match="LL187"), open_executor("tcp://a:hidden-word@h:8786"):
        pass
