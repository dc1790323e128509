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
from kohya_ext.gui.host import KohyaGui, plan_launch
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


@pytest.mark.parametrize("place", list(BREAKS))
def test_gui_starts_without_a_broken_tab(
    kohya: KohyaGui, chromium, tmp_path: Path, place: str, version: GuiVersion
):
    found = BREAKS[place]
    indent = found[: len(found) - len(found.lstrip())]
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    broken = f"{indent}raise RuntimeError('broken on purpose')\n{found}"
    with running(changed_copy(plan, tmp_path / "copy", found, broken), port) as host:
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


def test_stay_survives_kohyas_own_start(kohya: KohyaGui, chromium):
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    own = own_start(kohya, plan.command[3:])
    stay = plan_hook(kohya)
    install_hook(stay)
    try:
        with running(replace(plan, command=own), port) as host, visiting(chromium, host) as page:
            assert "loraloom" in top_tabs(page)
            with_tab = api_names(host)
        with running(replace(plan, command=own), port, LORALOOM_DISABLE="1") as host:
            assert "loraloom" not in "\n".join(host.said)
            without_tab = api_names(host)
        assert len(without_tab) > 100
        assert with_tab[: len(without_tab)] == without_tab
    finally:
        assert uninstall_hook(stay) == (stay.pth, stay.hook)
    without = Host(replace(plan, command=own), port)
    without.wait_for("Running on local URL")
    without.end()
    assert "loraloom" not in "\n".join(without.said)


def test_no_file_of_the_gui_changes(kohya: KohyaGui, host: Host):
    """The GUI's own checkout is as its git says, but for what the GUI itself writes."""
    assert host.process.poll() is None
    words = ["git", "status", "--porcelain", "--untracked-files=no"]
    answer = subprocess.run(
        words, cwd=kohya.folder, capture_output=True, encoding="utf-8", check=False
    )
    changed = [line for line in answer.stdout.splitlines() if not line.endswith("sd-scripts")]
    assert changed == []
