"""How our tab gets into a real Kohya GUI, and that the GUI stays what it was.

LORALOOM_KOHYA_GUI names its folder, LORALOOM_KOHYA_PYTHON its Python where that is not in venv or
.venv, LORALOOM_CHROMIUM the browser, LORALOOM_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from broken_tab import BREAKS

from kohya_ext.gui.hook import install_hook, plan_hook, uninstall_hook
from kohya_ext.gui.host import KohyaGui, LaunchPlan, plan_launch
from kohya_ext.training.config.kohya_json import GuiVersion

from .kohya_window import (
    PATIENCE,
    Host,
    arguments,
    changed_copy,
    free_port,
    open_tab,
    running,
    top_tabs,
    visiting,
)

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def broken_tab(plan: LaunchPlan, copy: Path, place: str) -> LaunchPlan:
    """Plan the same start with a tab in which something raises at that place."""
    found = BREAKS[place]
    indent = found[: len(found) - len(found.lstrip())]
    raised = f"{indent}raise RuntimeError('broken on purpose')\n{found}"
    return changed_copy(plan, copy, found, raised)


@pytest.mark.parametrize("place", list(BREAKS))
def test_gui_starts_without_a_broken_tab(
    kohya: KohyaGui, chromium, tmp_path: Path, place: str, version: GuiVersion
):
    port = free_port()
    broken = broken_tab(plan_launch(kohya, arguments(port)), tmp_path / "copy", place)
    with running(broken, port) as host:
        assert "the GUI starts without it: broken on purpose" in "\n".join(host.said)
        with visiting(chromium, host) as page:
            assert "loraloom" not in top_tabs(page)
            open_tab(page, "LoRA")
            page.get_by_role("button", name="Print training command").first.wait_for()


def api_names(host: Host) -> list[object]:
    """Return what the GUI calls its handlers, in their order: other programs call them by it."""
    config = requests.get(host.url + "config", timeout=PATIENCE).json()
    return [one["api_name"] for one in config["dependencies"]]


def own_start(kohya: KohyaGui, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return how the GUI is started without us: by its own gui.sh, which knows only `venv`."""
    has_own_venv = kohya.python.is_relative_to(kohya.folder / "venv")
    if os.name == "posix" and has_own_venv:
        return ("bash", str(kohya.folder / "gui.sh"), *words)
    return (str(kohya.python), "kohya_gui.py", *words)


def says_nothing_of_us(own: LaunchPlan, port: int, **environment: str) -> bool:
    """Start the GUI without our tab; without us it looks for its own page for 3 s only."""
    host = Host(own, port, **environment)
    try:
        host.wait_for("Running on local URL")
    finally:
        host.end()
    return "loraloom" not in "\n".join(host.said)


def test_stay_survives_kohyas_own_start(kohya: KohyaGui, chromium, tmp_path: Path):
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    own = replace(plan, command=own_start(kohya, plan.command[3:]))
    stay = plan_hook(kohya)
    install_hook(stay)
    try:
        with running(own, port) as host, visiting(chromium, host) as page:
            assert "loraloom" in top_tabs(page)
            with_tab = api_names(host)
        assert says_nothing_of_us(own, port, LORALOOM_DISABLE="1")
    finally:
        assert uninstall_hook(stay) == (stay.pth, stay.hook)
    assert says_nothing_of_us(own, port)
    with running(broken_tab(plan, tmp_path / "copy", "import"), port) as host:
        without_tab = api_names(host)
    assert len(without_tab) > 100
    assert with_tab[: len(without_tab)] == without_tab


def test_no_file_of_the_gui_changes(kohya: KohyaGui, host: Host):
    """The GUI's own checkout is as its git says, but for what the GUI itself writes."""
    assert host.process.poll() is None
    words = ["git", "status", "--porcelain", "--untracked-files=no"]
    answer = subprocess.run(
        words, cwd=kohya.folder, capture_output=True, encoding="utf-8", check=False
    )
    changed = [line for line in answer.stdout.splitlines() if not line.endswith("sd-scripts")]
    assert changed == []
