"""Who may call our routes, and which files they reach."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from a1111_ext.webui.access import is_allowed, require_inside
from kohya_ext.project import ToolError


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode("utf-8")).decode("ascii")


def test_anybody_may_call_where_no_password_is_set():
    assert is_allowed("", {})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("mira:fox:es"), True),
        (basic("Jörg:ü"), True),
        (basic("mira:wrong"), False),
        (basic("mira"), False),
        (basic("nobody:"), False),
        ("", False),
        ("Bearer abc", False),
        ("Basic ###", False),
        ("Basic /w==", False),
    ],
    ids=[
        "colon-in-password",
        "umlauts",
        "wrong",
        "no-password",
        "stranger",
        "none",
        "other-scheme",
        "no-base64",
        "no-utf8",
    ],
)
def test_a_password_is_asked_for(header: str, expected: bool):
    assert is_allowed(header, {"mira": "fox:es", "Jörg": "ü"}) is expected


def test_a_folder_inside_is_entered(tmp_path: Path):
    inside = tmp_path / "loras" / "fox"
    assert require_inside(inside, [tmp_path / "other", tmp_path / "loras"]) == inside.resolve()


@pytest.mark.parametrize("name", ["loras/../secret", "secret", "loras-of-another", "loras/a\0b"])
def test_a_folder_outside_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ToolError, match="Settings, section loraloom") as caught:
        require_inside(tmp_path / name, [tmp_path / "loras"])
    assert caught.value.code == "LL755"


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_link_that_leads_outside_is_refused(tmp_path: Path):
    (tmp_path / "loras").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "loras" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ToolError, match="LL755"):
        require_inside(tmp_path / "loras" / "link", [tmp_path / "loras"])
