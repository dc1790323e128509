"""The table of hosts in docs/testing.md, which live checks write."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hosts_table import (
    BEGIN,
    END,
    HEAD,
    commit_of,
    git,
    host_of,
    ran_to_its_end,
    read_kohya_gui,
    read_webui,
    write_rows,
)

ON = date(2026, 1, 2)
CHECKS = "test_webui_grid.py"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    head = "\n".join(HEAD)
    page = tmp_path / "testing.md"
    page.write_text(f"before\n{BEGIN}{head}\n{END}\nafter\n", encoding="utf-8")
    return page


@pytest.fixture
def webui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "webui"
    folder.mkdir()
    (folder / "CHANGELOG.md").write_text("## 1.10.1\n\n## 1.10.0\n", encoding="utf-8")
    monkeypatch.setenv("LORALOOM_WEBUI_DIR", str(folder))
    return folder


def rows(page: Path) -> list[str]:
    return page.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].splitlines()[2:]


def test_a_run_writes_a_row_and_a_later_one_replaces_it(page: Path, webui: Path):
    write_rows(page, {CHECKS: Counter(passed=3, failed=1)}, ON)
    assert rows(page) == [f"| A1111 | v1.10.1 | {CHECKS} | 3 | 1 | 0 | 2026-01-02 |"]
    write_rows(page, {CHECKS: Counter(passed=4, skipped=1)}, date(2026, 1, 3))
    assert rows(page) == [f"| A1111 | v1.10.1 | {CHECKS} | 4 | 0 | 1 | 2026-01-03 |"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_another_version_keeps_the_earlier_row(page: Path, webui: Path):
    write_rows(page, {CHECKS: Counter(passed=3)}, ON)
    (webui / "CHANGELOG.md").write_text("## 1.11.0\n", encoding="utf-8")
    write_rows(page, {CHECKS: Counter(passed=3)}, ON)
    assert len(rows(page)) == 2


def test_checks_that_were_all_skipped_write_nothing(page: Path, webui: Path):
    assert write_rows(page, {CHECKS: Counter(skipped=9)}, ON) == []
    assert rows(page) == []


def test_a_host_that_is_not_named_has_no_row(page: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LORALOOM_KOHYA_GUI", raising=False)
    assert host_of("test_kohya_commands.py") is None
    assert write_rows(page, {"test_kohya_commands.py": Counter(passed=1)}, ON) == []


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_kohya_gui_newer_than_its_release_is_named_apart(tmp_path: Path):
    (tmp_path / ".release").write_text("v26.0.0\n", encoding="utf-8")
    who = ("-c", "user.name=Ida Brook", "-c", "user.email=ida@example.org")
    git(tmp_path, "init", "-q")
    git(tmp_path, *who, "commit", "-q", "--allow-empty", "-m", "released")
    git(tmp_path, "tag", "v26.0.0")
    assert read_kohya_gui(tmp_path) == ("Kohya GUI", "v26.0.0")
    git(tmp_path, *who, "commit", "-q", "--allow-empty", "-m", "newer")
    assert read_kohya_gui(tmp_path) == ("Kohya GUI", f"v26.0.0 {commit_of(tmp_path)}")
    assert len(commit_of(tmp_path)) == 8


@pytest.mark.parametrize(
    ("text", "library", "name", "version"),
    [
        ('version = "neo"\nrelease = "2.26"\n', "backend", "Forge Neo", "2.26"),
        ('version = "f2.0.1v1.10.1"\n', "backend", "Forge", "f2.0.1v1.10.1"),
        ("version = '1.0.0v2-v1.10.1RC'\n", "ldm_patched", "reForge", "1.0.0v2-v1.10.1RC"),
    ],
)
def test_forge_and_its_heirs_are_reported_apart(
    tmp_path: Path, text: str, library: str, name: str, version: str
):
    (tmp_path / "modules_forge").mkdir()
    (tmp_path / library).mkdir()
    (tmp_path / "modules_forge" / "forge_version.py").write_text(text, encoding="utf-8")
    assert read_webui(tmp_path) == (name, version)


@pytest.mark.parametrize(
    ("exit_status", "is_cut_short", "is_whole"),
    [
        (pytest.ExitCode.OK, False, True),
        (pytest.ExitCode.TESTS_FAILED, False, True),
        (pytest.ExitCode.TESTS_FAILED, True, False),
        (pytest.ExitCode.INTERRUPTED, False, False),
        (pytest.ExitCode.INTERNAL_ERROR, False, False),
    ],
)
def test_a_run_that_was_ended_early_writes_no_row(
    exit_status: pytest.ExitCode, is_cut_short: bool, is_whole: bool
):
    """After Ctrl-C the checks that had run stood there as all of their file."""
    assert ran_to_its_end(exit_status, is_cut_short=is_cut_short) is is_whole
