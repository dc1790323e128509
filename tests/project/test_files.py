"""Files are old or new, never half."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kohya_ext.project import ToolError, plan_init
from kohya_ext.project import files as files_module
from kohya_ext.project.files import (
    Transfer,
    copy_whole,
    free_bytes,
    is_portable_name,
    link_or_copy,
    part_beside,
    read_blocks,
    replacing,
    require_folder,
    sha256_of,
    write_json_atomic,
    write_text_atomic,
)


def test_a_text_is_written_with_its_folder(tmp_path: Path):
    write_text_atomic(tmp_path / "a" / "b.txt", "Füchsin\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "Füchsin\n".encode()


def test_json_keeps_other_scripts_readable(tmp_path: Path):
    write_json_atomic(tmp_path / "x.json", {"b": "狐", "a": 1}, sort_keys=True)
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": 1,\n  "b": "狐"\n}\n'


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("old", encoding="utf-8")

    def fail_halfway() -> None:
        with replacing(path) as stream:
            stream.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "LL110"), (errno.EACCES, "LL111")])
def test_a_refused_write_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
):
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files_module.os, "fsync", refuse)
    with pytest.raises(ToolError, match=code):
        write_text_atomic(tmp_path / "x", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It refuses the file, and then the removal of what is not there."""

    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ToolError, match=r"Read-only file system.*LL111"):
        write_text_atomic(tmp_path / "x", "text")


def test_a_refused_read_names_the_file_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not the copy; a folder in the place of a file cannot be read on any system."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another drive")

    monkeypatch.setattr(files_module.os, "link", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with pytest.raises(ToolError, match=r"source cannot be read: .*LL104"):
        link_or_copy(source, target)
    assert list(tmp_path.iterdir()) == [source]


def test_a_refused_write_of_a_copy_names_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / "source").write_bytes(b"text")
    monkeypatch.setattr(files_module.os, "fsync", refuse)
    with pytest.raises(ToolError, match=r"target could not be written: .*LL111"):
        copy_whole(tmp_path / "source", tmp_path / "target")


def test_blocks_begin_where_asked(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"header, body")
    assert b"".join(read_blocks(tmp_path / "x", 8)) == b"body"


def test_a_name_that_is_too_long_is_cut():
    error = OSError(errno.ENAMETOOLONG, "File name too long")
    said = str(files_module.explain_os_error(error, Path("x" * 10_000)))
    assert "x... could not be written: its name is too long" in said


def test_a_path_too_long_for_windows_says_so(monkeypatch: pytest.MonkeyPatch):
    path = Path("project", "long " * 50)
    monkeypatch.setattr(files_module.os, "name", "nt")
    error = files_module.explain_os_error(FileNotFoundError(errno.ENOENT, "No such file"), path)
    assert "its path is too long for Windows" in str(error)


@pytest.mark.parametrize("name", ["CON", "nul.txt", "a:b", "name.", "name ", "x?y", "COM1"])
def test_a_name_that_windows_lacks_is_named(monkeypatch: pytest.MonkeyPatch, name: str):
    path = Path(f"project/{name}/lora-project.yaml")  # joined as parts, "a:b" would be a drive
    assert files_module.strange_on_windows(path) == (name if os.name == "nt" else "")
    monkeypatch.setattr(files_module.os, "name", "nt")
    error = files_module.explain_os_error(OSError(errno.EINVAL, "Invalid handle"), path)
    assert f'Windows does not allow the name "{name}"' in str(error)
    with pytest.raises(ToolError, match="LL186"):
        plan_init(path, "Quillfox")


def test_a_name_too_long_for_windows_is_cut(monkeypatch: pytest.MonkeyPatch):
    path = Path("x" * 10_000)
    monkeypatch.setattr(files_module.os, "name", "nt")
    with pytest.raises(ToolError, match="of at most 255 letters") as caught:
        plan_init(path, "Quillfox")
    assert caught.value.code == "LL186"
    assert f'name "{"x" * 100}..."' in str(caught.value)
    error = files_module.explain_os_error(OSError(errno.EINVAL, "No"), path)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "path",
    [
        Path("..", "fox"),
        Path.home() / "my fox",
        Path("狐", "v1.2"),
        Path("狐" * 255, "fox"),
        Path("🦊" * 127, "fox"),
    ],
)
def test_other_names_are_no_reason(monkeypatch: pytest.MonkeyPatch, path: Path):
    monkeypatch.setattr(files_module.os, "name", "nt")
    assert files_module.strange_on_windows(path) == ""


def test_a_full_disk_in_reality_loses_nothing():
    """/dev/full refuses every byte, as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError) as caught, Path("/dev/full").open("wb") as stream:
        stream.write(b"x" * 100_000)
    assert files_module.explain_os_error(caught.value, Path("x")).code == "LL110"


def test_a_link_shares_its_content(tmp_path: Path):
    source = tmp_path / "a"
    source.write_bytes(b"1")
    assert link_or_copy(source, tmp_path / "deep" / "b") is Transfer.HARDLINK
    assert (tmp_path / "deep" / "b").samefile(source)


def test_without_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another drive")

    monkeypatch.setattr(files_module.os, "link", refuse)
    source = tmp_path / "a"
    source.write_bytes(b"1")
    assert link_or_copy(source, tmp_path / "b") is Transfer.COPY
    assert sha256_of(tmp_path / "b") == sha256_of(source)


def test_a_link_never_overwrites(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    with pytest.raises(ToolError, match="LL112"):
        link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"2"


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(ToolError, match=r"nowhere does not exist.*LL103"):
        require_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(ToolError, match="is a file, not a folder"):
        require_folder(tmp_path / "x")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files_module.os, "scandir", refuse)
    with pytest.raises(ToolError, match="LL104"):
        require_folder(tmp_path)


def test_free_space_of_a_path_to_be_made(tmp_path: Path):
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_a_drive_that_is_not_there_has_no_end_of_parents(monkeypatch: pytest.MonkeyPatch):
    path = Path("\\\\no-such-host\\no-such-share\\out")
    if os.name != "nt":

        def refuse(folder: Path) -> None:
            raise FileNotFoundError(folder)

        monkeypatch.setattr(files_module.shutil, "disk_usage", refuse)
    with pytest.raises(ToolError, match=r"The drive of .*out does not exist.*LL103"):
        free_bytes(path)


@pytest.mark.parametrize("name", ["Quillfox", "my fox", "狐", "a.b", "com10", "console.txt"])
def test_portable_names(name: str):
    assert is_portable_name(name)


@pytest.mark.parametrize("name", ["", " a", "a.", "con", "NUL.txt", "a/b", "a\\b", "a:b", "a\n"])
def test_names_that_windows_refuses(name: str):
    assert not is_portable_name(name)


@pytest.mark.parametrize(
    "name", ["CONIN$", "conout$.txt", "COM¹", "lpt³.yaml", "CON .txt", "nul  "]
)
def test_rarer_names_of_devices(name: str):
    assert not is_portable_name(name)


def test_a_name_of_almost_the_longest_length_is_written(tmp_path: Path):
    path = tmp_path / ("ü" * 120 + ".txt")
    write_text_atomic(path, "right")
    assert path.read_text(encoding="utf-8") == "right"


def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ours = part_beside(tmp_path / "a.json")
    machine = ours.name.split(".")[-2].split("-")[0]
    dead = tmp_path / f".a.json.{machine}-999999999-00000000.part"
    folder = tmp_path / f".pack.{machine}-999999999-11111111.part"
    elsewhere = tmp_path / ".a.json.ffffff-999999999-22222222.part"
    alive = tmp_path / f".a.json.{machine}-{os.getpid()}-33333333.part"
    foreign = tmp_path / "movie.part"
    folder.mkdir()
    for one in (dead, folder / "x", elsewhere, alive, foreign):
        one.write_text("half", encoding="utf-8")
    monkeypatch.setattr("kohya_ext.project.files._SWEPT", set())
    write_text_atomic(tmp_path / "a.json", "{}")
    left = {one.name for one in tmp_path.iterdir()}
    assert left == {"a.json", elsewhere.name, alive.name, foreign.name}


def test_a_folder_that_is_gone_may_be_on_a_drive(tmp_path: Path):
    with pytest.raises(ToolError, match=r"that its drive is connected\. \[LL103\]"):
        require_folder(tmp_path / "usb" / "pictures")
