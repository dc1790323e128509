"""The user's Kohya GUI on disk: found, started, and given a tab that stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from kohya_ext.cli import main
from kohya_ext.gui.hook import PTH_NAME, install_hook, plan_hook, uninstall_hook
from kohya_ext.gui.host import LAUNCHER, KohyaGui, find_kohya_gui, plan_launch, run_host
from kohya_ext.gui.pages import GuiPage, find_pages
from kohya_ext.gui.standalone import require_free
from kohya_ext.project import Project, ToolError, read_settings

PROGRAM = """
import sys
print("started", *sys.argv[1:], file=sys.stderr)
raise SystemExit(3 if "--fail" in sys.argv else 0)
"""
EVERY_OPTION = '# parser.add_argument("--noverify")\n'


def make_venv(folder: Path) -> Path:
    """Make a real virtual environment without pip and return its Python."""
    words = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(words, check=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture(scope="module")
def gui(tmp_path_factory: pytest.TempPathFactory) -> KohyaGui:
    folder = tmp_path_factory.mktemp("kohya ss")
    (folder / "kohya_gui.py").write_text(EVERY_OPTION + PROGRAM, encoding="utf-8")
    (folder / ".release").write_text("v26.0.0\n", encoding="utf-8")
    return KohyaGui(folder, make_venv(folder / "venv"))


def test_gui_and_its_python_are_found(gui: KohyaGui):
    found = find_kohya_gui(gui.folder)
    assert found == gui
    assert found.version == "v26.0.0"


def test_folder_without_a_gui_is_refused(tmp_path: Path):
    with pytest.raises(ToolError, match=r"kohya_gui.py is missing.*\[LL701\]"):
        find_kohya_gui(tmp_path)


def test_gui_without_a_python_is_refused(tmp_path: Path):
    (tmp_path / "kohya_gui.py").write_text(PROGRAM, encoding="utf-8")
    with pytest.raises(ToolError, match=r"neither venv nor .venv.*\[LL702\]"):
        find_kohya_gui(tmp_path)
    with pytest.raises(ToolError, match=r"nowhere does not exist.*\[LL702\]"):
        find_kohya_gui(tmp_path, tmp_path / "nowhere")


def test_launch_goes_through_the_launcher(gui: KohyaGui, project: Project):
    plan = plan_launch(gui, ("--headless",), project.root, {"PATH": "usual"})
    assert plan.command == (
        *(str(gui.python), str(LAUNCHER), str(gui.folder)),
        *("--noverify", "--headless"),
    )
    assert dict(plan.environment) == {
        "PATH": f"{gui.python.parent}{os.pathsep}usual",
        "LORALOOM_PROJECT": str(project.root),
    }


def test_old_guis_get_no_unknown_option(tmp_path: Path):
    (tmp_path / "kohya_gui.py").write_text(PROGRAM, encoding="utf-8")
    plan = plan_launch(KohyaGui(tmp_path, Path(sys.executable)))
    assert "--noverify" not in plan.command


def test_exit_code_of_the_gui_comes_back(gui: KohyaGui):
    assert run_host(plan_launch(gui, ("--fail",))) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a console's programs together")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", 0)])
def test_a_signal_to_us_ends_the_gui(gui: KohyaGui, heard_signals, number: int):
    (gui.folder / "kohya_gui.py").write_text(
        "import os, signal, sys, threading\n"
        "os.kill(os.getppid(), int(sys.argv[-1]))\n"
        "threading.Event().wait(60)\n",
        encoding="utf-8",
    )
    plan = plan_launch(gui, (str(int(number)),))
    before = signal.getsignal(number)
    assert run_host(plan) == 128 + number
    assert signal.getsignal(number) == before


def test_stay_and_leave_are_inverse(gui: KohyaGui):
    plan = plan_hook(gui)
    before = sorted(plan.pth.parent.iterdir())
    install_hook(plan)
    assert plan.pth.is_file()
    assert plan.hook.is_file()
    assert uninstall_hook(plan) == (plan.pth, plan.hook)
    assert [one for one in sorted(plan.pth.parent.iterdir()) if one.name != "__pycache__"] == before
    assert uninstall_hook(plan) == ()


@pytest.fixture
def staying(gui: KohyaGui):
    """The GUI whose Python has our two files, removed afterwards."""
    plan = plan_hook(gui)
    install_hook(plan)
    yield gui
    uninstall_hook(plan)


def run_gui_python(gui: KohyaGui, *words: str) -> str:
    """Run the GUI's Python and return which of our finders it has afterwards."""
    program = "import sys; print([type(one).__name__ for one in sys.meta_path])"
    script = gui.folder / "kohya_gui.py"
    script.write_text(EVERY_OPTION + program, encoding="utf-8")
    result = subprocess.run(
        [str(gui.python), *(words or (str(script),))],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return result.stdout + result.stderr


def test_stay_reaches_the_guis_own_start(staying: KohyaGui):
    assert "OurPackages" in run_gui_python(staying)


def test_stay_leaves_other_programs_alone(staying: KohyaGui):
    program = "import sys; print([type(one).__name__ for one in sys.meta_path])"
    assert "OurPackages" not in run_gui_python(staying, "-c", program)


def test_switch_silences_what_stays(staying: KohyaGui, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_DISABLE", "1")
    assert "OurPackages" not in run_gui_python(staying)


def test_gui_starts_after_loraloom_is_gone(staying: KohyaGui):
    hook = plan_hook(staying).hook
    text = hook.read_text(encoding="utf-8")
    hook.write_text(text.replace("launcher.py", "gone away.py"), encoding="utf-8")
    said = run_gui_python(staying)
    assert "no longer at" in said
    assert PTH_NAME.partition(".")[0] in said
    assert "OurPackages" not in said


def test_python_that_does_not_run_is_named(gui: KohyaGui, tmp_path: Path):
    with pytest.raises(ToolError, match=r"could not say where its packages are.*\[LL703\]"):
        plan_hook(KohyaGui(gui.folder, tmp_path / "no python"))


def test_folder_of_the_gui_is_remembered(gui: KohyaGui, capsys: pytest.CaptureFixture[str]):
    (gui.folder / "kohya_gui.py").write_text(EVERY_OPTION + PROGRAM, encoding="utf-8")
    assert main(["kohya"]) == 1
    assert "LL704" in capsys.readouterr().err
    assert main(["kohya", "--dir", str(gui.folder), "--", "--headless"]) == 0
    assert read_settings().kohya_gui == str(gui.folder)
    assert main(["kohya", "--dry-run"]) == 0
    assert str(LAUNCHER) in capsys.readouterr().out


def test_failing_gui_is_an_error(gui: KohyaGui, capsys: pytest.CaptureFixture[str]):
    (gui.folder / "kohya_gui.py").write_text(EVERY_OPTION + PROGRAM, encoding="utf-8")
    assert main(["kohya", "--dir", str(gui.folder), "--", "--fail"]) == 1
    assert "ended with exit code 3" in capsys.readouterr().err  # LL705


def test_stay_on_the_command_line(gui: KohyaGui, capsys: pytest.CaptureFixture[str]):
    plan = plan_hook(gui)
    assert main(["kohya", "--dir", str(gui.folder), "--install-hook", "--dry-run"]) == 0
    assert not plan.pth.exists()
    assert main(["kohya", "--dir", str(gui.folder), "--install-hook"]) == 0
    assert plan.pth.is_file()
    assert plan.hook.is_file()
    assert "LORALOOM_DISABLE" in capsys.readouterr().err
    assert main(["kohya", "--dir", str(gui.folder), "--uninstall-hook"]) == 0
    assert not plan.pth.exists()
    assert main(["kohya", "--install-hook", "--uninstall-hook"]) == 2


def test_pages_follow_the_road_then_plugins():
    installed = {"Zoo": "zoo:page", "Pictures": "other:page", "Art": "a:b"}
    assert [page.label for page in find_pages(installed)] == ["Training", "Pictures", "Art", "Zoo"]
    assert find_pages(installed)[1] == GuiPage("Pictures", "other:page")


def test_page_table_serves_a_bare_clone():
    assert [page.target for page in find_pages({})] == [
        "kohya_ext.gui.tab:build_page",
        "a1111_ext.screens.page:build_page",
    ]


def test_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ToolError, match=rf"Port {port} cannot be used.*LL709"):
            require_free(port)
    require_free(port)


def test_gui_without_gradio_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["gui", "--no-open"]) == 1
    said = capsys.readouterr().err
    assert 'pip install "gradio>=6,<7" [LL706]' in said
    assert "The page is at" not in said


def test_the_network_gets_only_the_board(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    def serve(*details: object) -> None:
        (line,) = (one for one in capsys.readouterr().err.splitlines() if "in your network" in one)
        address = line.split(": ")[1]
        seen.append(requests.get(address, timeout=30).status_code)
        elsewhere = address.rpartition("/")[0] + "x/board.html"
        seen.append(requests.get(elsewhere, timeout=30).status_code)

    monkeypatch.setattr("kohya_ext.gui.standalone.serve", serve)
    monkeypatch.setattr("kohya_ext.project.server.lan_address", lambda: "127.0.0.1")
    assert main(["gui", str(project.root), "--lan", "--no-open"]) == 0
    assert seen == [200, 404]
    assert main(["gui", "--lan", "--no-open"]) == 2
    assert "give the PROJECT" in capsys.readouterr().err
