"""`python scripts/install`: loraloom beside a Kohya GUI and a WebUI, and out again."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kohya_ext.gui.hook import HOOK_NAME, PTH_NAME

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "install"


@pytest.fixture
def script() -> ModuleType:
    spec = spec_from_loader("install_script", SourceFileLoader("install_script", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules["install_script"] = module  # its dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
        del sys.modules["install_script"]
    return module


class Machine:
    """Stands for pip, venv and the installed command; keeps what was run."""

    def __init__(self, script: ModuleType, home: Path) -> None:
        self.ran: list[list[str]] = []
        self.fails_with = ""
        self.program = script.Program(home / ".loraloom" / "program", self.run)

    def run(self, words: list[str], **options: Any) -> SimpleNamespace:
        self.ran.append(words)
        if self.fails_with and self.fails_with in words:
            return SimpleNamespace(returncode=1, stderr=b"[LL702] no Python was found")
        if words[1:3] == ["-m", "venv"]:
            for file in (self.program.python, self.program.command):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
        return SimpleNamespace(returncode=0, stderr=b"")


@pytest.fixture
def machine(script: ModuleType, tmp_path: Path) -> Machine:
    return Machine(script, tmp_path / "home")


@pytest.fixture
def kohya(tmp_path: Path) -> Path:
    folder = tmp_path / "progs" / "kohya_ss"
    folder.mkdir(parents=True)
    (folder / "kohya_gui.py").write_text("", encoding="utf-8")
    return folder


@pytest.fixture
def webui(tmp_path: Path) -> Path:
    folder = tmp_path / "progs" / "the webui"
    (folder / "modules").mkdir(parents=True)
    (folder / "webui.py").write_text("", encoding="utf-8")
    (folder / "modules" / "processing.py").write_text("", encoding="utf-8")
    return folder


def put_tab(kohya: Path) -> list[Path]:
    """Write what `loraloom kohya --install-hook` leaves after a start of the GUI."""
    packages = kohya / "venv" / "lib" / "python3.11" / "site-packages"
    (packages / "__pycache__").mkdir(parents=True)
    files = [packages / PTH_NAME, packages / HOOK_NAME]
    files.append(packages / "__pycache__" / f"{Path(HOOK_NAME).stem}.cpython-311.pyc")
    for file in files:
        file.write_bytes(b"")
    return files


def everything_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_both_hosts_are_found_from_the_folder_above(
    script: ModuleType, kohya: Path, webui: Path, tmp_path: Path
):
    found = script.find_hosts([], tmp_path, tmp_path / "no-home")
    assert (found.kohya, found.webui) == ((kohya,), (webui,))


def test_hosts_far_away_are_found_in_the_home_folder(
    script: ModuleType, kohya: Path, webui: Path, tmp_path: Path
):
    here = tmp_path / "a" / "b" / "c" / "d"
    here.mkdir(parents=True)
    found = script.find_hosts([], here, tmp_path)
    assert (found.kohya, found.webui) == ((kohya,), (webui,))


def test_a_folder_is_taken_as_it_was_meant(script: ModuleType):
    assert script.typed_folder("~/gui") == Path("~/gui").expanduser()
    quoted = script.typed_folder('C:\\my gui"')
    assert quoted == Path("C:\\my gui" if sys.platform == "win32" else 'C:\\my gui"')


def test_a_folder_without_either_program_is_refused(script: ModuleType, tmp_path: Path):
    with pytest.raises(script.Refusal, match="neither a Kohya GUI"):
        script.find_hosts([tmp_path], tmp_path, tmp_path)


def test_what_was_installed_is_removed_by_one_command(
    script: ModuleType, machine: Machine, kohya: Path, webui: Path, tmp_path: Path
):
    before = everything_in(tmp_path)
    hosts = script.Hosts((kohya,), (webui,))
    assert script.install(machine.program, hosts, "tagger", tmp_path / "home") == 0
    extension = webui / "extensions" / "loraloom"
    assert (extension / "scripts" / "loraloom_entry.py").is_file()
    assert (extension / "a1111_ext" / "webui" / "extension.py").is_file()
    assert not list(extension.rglob("__pycache__"))
    assert machine.ran[-1][1:] == ["kohya", "--dir", str(kohya), "--install-hook"]
    assert machine.program.remove(script.Hosts()) == []
    left = everything_in(tmp_path) - before
    assert left == {webui / "extensions", tmp_path / "home", tmp_path / "home" / ".loraloom"}


def test_the_commands_it_names_can_be_typed(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    home = tmp_path / "my home"
    machine = Machine(script, home)
    assert script.install(machine.program, script.Hosts(), "", home) == 0
    program = home / ".loraloom" / "program"
    printed = capsys.readouterr().out
    assert f"{script.shell_words(machine.program.command, '--help')}\n" in printed
    removing = script.shell_words(sys.executable, program / "install", "--remove")
    assert f"To take all of it out again: {removing}\n" in printed
    assert removing.count("my home") == 1
    assert str(program / "install") not in removing.split(" ")  # it is quoted


def test_installing_twice_replaces_the_extension(
    script: ModuleType, machine: Machine, webui: Path, tmp_path: Path
):
    hosts = script.Hosts((), (webui,))
    script.install(machine.program, hosts, "", tmp_path / "home")
    old = webui / "extensions" / "loraloom" / "a1111_ext" / "removed_since.py"
    old.write_text("", encoding="utf-8")
    script.install(machine.program, hosts, "", tmp_path / "home")
    assert not old.exists()
    assert [one.name for one in (webui / "extensions").iterdir()] == ["loraloom"]


def test_an_extension_that_is_a_clone_stays(
    script: ModuleType, machine: Machine, webui: Path, tmp_path: Path
):
    clone = webui / "extensions" / "sd-loraloom" / "scripts" / "loraloom_entry.py"
    clone.parent.mkdir(parents=True)
    clone.write_text("", encoding="utf-8")
    assert script.install(machine.program, script.Hosts((), (webui,)), "", tmp_path) == 0
    assert [one.name for one in (webui / "extensions").iterdir()] == ["sd-loraloom"]
    assert machine.program.remove(script.Hosts()) == []
    assert clone.is_file()


def test_something_else_of_that_name_stays(
    script: ModuleType, machine: Machine, webui: Path, tmp_path: Path
):
    other = webui / "extensions" / "loraloom" / "mine.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine", encoding="utf-8")
    assert script.install(machine.program, script.Hosts((), (webui,)), "", tmp_path) == 1
    assert machine.program.remove(script.Hosts()) == []
    assert other.read_text(encoding="utf-8") == "mine"


def test_a_tab_that_cannot_be_taken_out_keeps_the_record(
    script: ModuleType,
    machine: Machine,
    kohya: Path,
    webui: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    script.install(machine.program, script.Hosts((kohya,), (webui,)), "", tmp_path)
    tab = put_tab(kohya)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(script, "delete", refuse)
        assert [str(kohya) in one for one in machine.program.remove(script.Hosts())] == [True]
    assert machine.program.read_record()["kohya"] == [str(kohya)]
    assert (webui / "extensions" / "loraloom").is_dir()
    assert machine.program.remove(script.Hosts()) == []
    assert not any(one.exists() for one in (*tab, machine.program.folder))


def test_a_tab_refused_by_loraloom_is_said_and_counted(
    script: ModuleType,
    machine: Machine,
    kohya: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    machine.fails_with = "--install-hook"
    assert script.install(machine.program, script.Hosts((kohya,), ()), "", tmp_path) == 1
    assert "[LL702] no Python was found" in capsys.readouterr().out


def test_extensions_lie_in_the_data_folder_that_webui_user_names(
    script: ModuleType, webui: Path, tmp_path: Path
):
    lines = 'REM set ARGS=--data-dir C:\\old\nset COMMANDLINE_ARGS=--api --data-dir "{}" --xformers'
    (webui / "webui-user.bat").write_text(lines.format(tmp_path / "my data"), encoding="utf-8")
    assert script.extensions_of(webui) == tmp_path / "my data" / "extensions"


def test_one_file_holds_all_that_is_installed(script: ModuleType, tmp_path: Path):
    file = tmp_path / "loraloom.pyz"
    script.pack(file)
    names = set(zipfile.ZipFile(file).namelist())
    assert {"__main__.py", "pyproject.toml", "scripts/loraloom_entry.py"} <= names
    ours = {one.relative_to(ROOT).as_posix() for one in (ROOT / "kohya_ext").rglob("*.py")}
    assert ours <= names
    printed = subprocess.run(
        [sys.executable, str(file), "--dry-run", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert printed.returncode == 1
    assert "neither a Kohya GUI" in printed.stderr
