"""How our tab gets into a Kohya GUI: with blocks that look like gradio's, and no gradio."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from broken_tab import BREAKS, READ_BACK

from kohya_ext.gui import launcher
from kohya_ext.gui.bridge import LoraTab, find_differences, find_lora_tab, missing_keys

LAUNCHER = Path(launcher.__file__)


class Block:
    """A gradio block: children, and a place in the block that is open."""

    def __init__(self, label: str = "") -> None:
        self.label = label
        self.children: list[Block] = []

    def __enter__(self) -> Block:
        OPEN.append(self)
        return self

    def __exit__(self, *problem: object) -> None:
        OPEN.pop()


OPEN: list[Block] = []


class Tabs(Block):
    """The one set of tabs."""


class Tab(Block):
    def __init__(self, label: str) -> None:
        super().__init__(label)
        OPEN[-1].children.append(self)


@dataclass
class Config:
    blocks: dict[int, object] = field(default_factory=dict)
    fns: dict[int, object] = field(default_factory=dict)
    fn_id: int = 0


class Blocks(Block):
    """A page with three tabs and one handler."""

    def __init__(self, title: str = "Kohya_ss GUI v26.0.0") -> None:
        super().__init__()
        self.title = title
        self.default_config = Config({1: "a field"}, {0: "a handler"}, 1)
        tabs = Tabs()
        tabs.children = [Block(label) for label in ("Dreambooth", "LoRA", "About")]
        self.children = [tabs]
        self.launched: list[dict[str, object]] = []

    def launch(self, **options: object) -> str:
        self.launched.append(options)
        return "launched"

    @property
    def labels(self) -> list[str]:
        return [tab.label for tab in self.children[0].children]


@pytest.fixture
def gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gradio")
    module.Tabs, module.Tab = Tabs, Tab  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gradio", module)


def wrapped(build: Any) -> type[Blocks]:
    class Wrapped(Blocks):
        pass

    launcher.wrap_launch(Wrapped, build)
    return Wrapped


@pytest.mark.usefixtures("gradio")
def test_tab_stands_beside_the_lora_tab():
    page = wrapped(lambda: None)()
    assert page.launch(server_port=1) == "launched"
    assert page.labels == ["Dreambooth", "LoRA", "loraloom", "About"]
    assert page.launched == [{"server_port": 1}]


@pytest.mark.usefixtures("gradio")
def test_second_launch_adds_no_second_tab():
    page = wrapped(lambda: None)()
    page.launch()
    page.launch()
    assert page.labels.count("loraloom") == 1


@pytest.mark.usefixtures("gradio")
def test_other_gradio_programs_are_left_alone():
    page = wrapped(lambda: None)("Another program")
    page.launch()
    assert page.labels == ["Dreambooth", "LoRA", "About"]


@pytest.mark.usefixtures("gradio")
def test_broken_tab_leaves_the_gui_as_it_was(capsys: pytest.CaptureFixture[str]):
    page: Blocks

    def build() -> None:
        page.default_config.blocks[2] = "half a tab"
        page.default_config.fns[1] = "its handler"
        page.default_config.fn_id = 2
        raise RuntimeError("no such file: preset.json")

    page = wrapped(build)()
    assert page.launch() == "launched"
    assert page.labels == ["Dreambooth", "LoRA", "About"]
    assert page.default_config == Config({1: "a field"}, {0: "a handler"}, 1)
    said = capsys.readouterr().err
    assert "the GUI starts without it: no such file: preset.json" in said


class Page(BaseHTTPRequestHandler):
    """A page that answers only what its path says."""

    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Stay silent."""


@pytest.fixture
def page_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "expected"), [(200, True), (401, True), (500, False)])
def test_gradio_gets_more_time_for_its_own_page(page_url: str, status: int, expected: bool):
    networking = types.SimpleNamespace(url_ok=lambda url: False)
    launcher.wait_longer(networking, seconds=5)
    assert networking.url_ok(f"{page_url}/{status}") is expected


def test_gradio_has_the_last_word_on_its_page():
    networking = types.SimpleNamespace(url_ok=lambda url: url.startswith("https"))
    launcher.wait_longer(networking, seconds=5)
    assert networking.url_ok("https://127.0.0.1:9/")
    assert not networking.url_ok("http://127.0.0.1:9/")


FAKE_GUI = """
import os, sys
from gradio.blocks import Blocks
assert __name__ == "__main__"
print(sys.argv, os.getcwd() == os.path.dirname(os.path.abspath(__file__)))
Blocks().launch()
"""
FAKE_GRADIO = """
class Blocks:
    title = "Kohya_ss GUI v26.0.0"
    def launch(self):
        print("launched", hasattr(self, "_loraloom"))
"""


@pytest.fixture
def fake_gui(tmp_path: Path) -> Path:
    """A folder with a kohya_gui.py and a gradio that can only launch."""
    folder = tmp_path / "kohya ss"
    (folder / "gradio").mkdir(parents=True)
    (folder / "gradio" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "gradio" / "blocks.py").write_text(FAKE_GRADIO, encoding="utf-8")
    (folder / "kohya_gui.py").write_text(FAKE_GUI, encoding="utf-8")
    return folder


def test_host_starts_even_if_its_gradio_is_unknown(fake_gui: Path):
    """This gradio has neither Tabs nor default_config: our tab fails, the program runs on."""
    words = [sys.executable, str(LAUNCHER), str(fake_gui), "--headless"]
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert "kohya_gui.py', '--headless'] True" in result.stdout
    assert "launched True" in result.stdout
    assert "could not be built" in result.stderr
    assert result.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_the_gui_runs_under_the_name_that_was_given(fake_gui: Path):
    """On Windows the true name of a connected drive is a share, where cmd.exe starts nothing."""
    (fake_gui / "kohya_gui.py").write_text("print(__file__)", encoding="utf-8")
    link = fake_gui.with_name("linked")
    link.symlink_to(fake_gui, target_is_directory=True)
    words = [sys.executable, str(LAUNCHER), str(link)]
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    assert Path(result.stdout.strip()) == link / "kohya_gui.py"


def test_switch_turns_the_tab_off(fake_gui: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(launcher.DISABLE, "1")
    words = [sys.executable, str(LAUNCHER), str(fake_gui)]
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert "launched False" in result.stdout
    assert result.stderr == ""


def test_launcher_needs_only_the_standard_library():
    program = (
        "import runpy, sys; sys.argv = ['x']; before = set(sys.modules);"
        f"runpy.run_path({str(LAUNCHER)!r}, run_name='launcher');"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, encoding="utf-8"
    )
    assert set(result.stdout.split()) <= set(sys.stdlib_module_names)
    assert result.returncode == 0, result.stderr


def test_packages_beside_ours_stay_invisible(tmp_path: Path):
    (tmp_path / "kohya_ext").mkdir()
    (tmp_path / "kohya_ext" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "__init__.py").write_text("", encoding="utf-8")
    finder = launcher.OurPackages(tmp_path)
    assert finder.find_spec("kohya_ext", None) is not None
    assert finder.find_spec("requests", None) is None


def test_fields_come_from_kohyas_registry(monkeypatch: pytest.MonkeyPatch):
    module = types.ModuleType("kohya_gui.lora_gui")
    module.last_built_field_registry = [("epoch", "E"), ("seed", "S")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kohya_gui.lora_gui", module)
    assert find_lora_tab(Blocks()) == LoraTab(("epoch", "seed"), ("E", "S"))


def test_older_fields_come_from_the_save_button(monkeypatch: pytest.MonkeyPatch):
    def save_configuration(save_as_bool: bool, file_path: str, epoch: int, seed: int) -> None:
        """Take what v25 takes."""

    module = types.ModuleType("kohya_gui.lora_gui")
    module.save_configuration = save_configuration  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kohya_gui.lora_gui", module)
    page = Blocks()
    handler = types.SimpleNamespace(fn=save_configuration, inputs=["B", "P", "E", "S"])
    page.default_config.fns[1] = handler
    page.default_config.fns[0] = types.SimpleNamespace(fn=print, inputs=[])
    assert find_lora_tab(page) == LoraTab(("epoch", "seed"), ("E", "S"))


def test_no_lora_tab_outside_of_kohya():
    assert find_lora_tab(Blocks()) is None


@pytest.mark.parametrize(
    ("sent", "shown", "same"),
    [(1, 1.0, True), ("", None, True), (True, 1, False), (16, 1, False), ("a", "a", True)],
    ids=["whole-number", "empty", "switch", "overwritten", "text"],
)
def test_page_is_compared_with_what_was_sent(sent: object, shown: object, same: bool):
    assert (find_differences(("conv_dim",), {"conv_dim": sent}, (shown,)) == ()) is same


def test_only_what_is_not_there_is_sent_again():
    keys, values = ("a", "b", "not ours"), {"a": 1, "b": "x"}
    assert missing_keys(keys, values, ()) == {"a", "b"}
    assert missing_keys(keys, values, (1.0, "y", None)) == {"b"}


def test_unsent_fields_are_not_compared():
    assert find_differences(("epoch", "seed"), {"epoch": 4}, (4, 99)) == ()


def test_live_checks_find_the_places_that_they_change():
    """They run by hand alone; a renamed module had left them without their place."""
    text = (Path(launcher.__file__).parent / "tab.py").read_text(encoding="utf-8")
    places = (*BREAKS.values(), READ_BACK)
    assert {place: text.count(place) for place in places} == dict.fromkeys(places, 1)
