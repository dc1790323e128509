"""Kohya's own LoRA tab in a browser: load, save and print there, and compare with ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kohya_ext.gui.host import KohyaGui
from kohya_ext.gui.views import lora_tab_values
from kohya_ext.project import Project
from kohya_ext.training.config.gui_emulation import gui_call
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of

from .kohya_window import PATIENCE, open_tab


def wanted(project: Project, version: GuiVersion) -> dict[str, object]:
    return dict(lora_tab_values(project, tuple(keys_of(version))))


def differences(saved: dict, sent: dict) -> dict[str, tuple[object, object]]:
    known = set(saved) & set(sent)
    assert len(known) == len(sent), set(sent) - known
    return {key: (sent[key], saved[key]) for key in known if sent[key] != saved[key]}


def configuration(page, path: Path):
    """Open Kohya's own Configuration part with `path` typed into its file box."""
    open_tab(page, "LoRA")
    box = page.get_by_label("Load/Save Config file").locator("visible=true").first
    if not box.is_visible():
        page.get_by_role("button", name=re.compile("^Configuration")).locator(
            "visible=true"
        ).first.click()
    box.wait_for()
    box.fill(str(path))
    box.press("Enter")


def save_from_lora_tab(page, path: Path) -> dict:
    """Let Kohya itself save its LoRA tab, and read the file."""
    configuration(page, path)
    with page.expect_response(lambda one: "queue/data" in one.url):
        page.get_by_role("button", name="💾").locator("visible=true").first.click()
    page.wait_for_function("() => true")
    wait_for_file(page, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def wait_for_file(page, path: Path) -> None:
    for _ in range(PATIENCE):
        if path.is_file() and path.read_text(encoding="utf-8").endswith("}"):
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"the GUI did not write {path}")


def press_load(page) -> None:
    rank = page.get_by_label("Network Rank (Dimension)").locator("visible=true").first
    page.get_by_role("button", name="↩️").locator("visible=true").first.click()
    for _ in range(PATIENCE):
        if rank.input_value() == "24":
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"Network Rank is {rank.input_value()}, not 24")


def open_parameters(page) -> None:
    """Open Kohya's own Parameters part, as its own Load needs it in v26."""
    page.get_by_role("button", name=re.compile("^Parameters")).locator("visible=true").first.click()
    page.get_by_label("Network Rank (Dimension)").locator("visible=true").first.wait_for()


def assert_prints_what_we_run(page, kohya: KohyaGui, project: Project, version: GuiVersion) -> None:
    """Press Kohya's own "Print training command"; compare its toml and command with ours."""
    shown = project.images_dir.glob("*_*/*.png")
    draws = sum(int(one.parent.name.partition("_")[0]) for one in shown)
    ours = gui_call(wanted(project, version), version, draws)
    path = print_command(page, project.model_dir)
    tomllib = pytest.importorskip("tomllib")
    assert unlike(tomllib.loads(path.read_text(encoding="utf-8")), ours.toml) == {}
    program, _, words = printed_line(page, kohya, path).partition(" ")
    script = kohya.folder / "sd-scripts" / ours.script_name
    assert Path(program).stem == "accelerate"
    assert words == " ".join(("launch", *ours.launch, str(script), "--config_file", str(path)))


def print_command(page, folder: Path, seconds: int = PATIENCE) -> Path:
    """Press "Print training command", and wait for the toml that it writes into `folder`."""
    before = set(folder.glob("config_lora-*.toml"))
    page.get_by_role("button", name="Print training command").locator("visible=true").click()
    for _ in range(seconds * 2):
        for path in set(folder.glob("config_lora-*.toml")) - before:
            if path.stat().st_size:
                return path
        page.wait_for_timeout(500)
    raise AssertionError("the GUI printed no command")


def printed_line(page, kohya: KohyaGui, toml: Path) -> str:
    """Wait for the command with this toml, which the GUI writes a moment after the toml itself."""
    log = kohya.folder / "logs" / "print_command.txt"
    for _ in range(PATIENCE):
        said = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        found = [line for line in said if str(toml) in line]
        if found:
            (line,) = found
            return line
        page.wait_for_timeout(500)
    raise AssertionError(f"{log} names no command with {toml.name}")


def unlike(printed: dict, ours: dict) -> dict[str, tuple[object, object]]:
    return {
        key: (ours.get(key), printed.get(key))
        for key in set(printed) | set(ours)
        if comparable(ours.get(key)) != comparable(printed.get(key))
    }


def comparable(value: object) -> object:
    """A browser's json turns 0.0 into 0, so "rank_dropout=0" means what "rank_dropout=0.0" does."""
    if not isinstance(value, list):
        return value
    return [one.removesuffix(".0") if isinstance(one, str) else one for one in value]
