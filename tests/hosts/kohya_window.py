"""A started Kohya GUI, a browser's window on it, and our tab in it; for the live checks.

LORALOOM_SHOTS names a folder for screenshots.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kohya_ext.gui.host import LAUNCHER, LaunchPlan
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.config.kohya_json import GuiVersion

PATIENCE = 300  # seconds; a busy machine needs a minute to show the page


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Host:
    """A started GUI: its address, its process, and what it has said so far."""

    def __init__(self, plan: LaunchPlan, port: int, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            plan.command,
            cwd=plan.folder,
            env={
                **os.environ,
                **dict(plan.environment),
                "PYTHONUNBUFFERED": "1",
                "GRADIO_ANALYTICS_ENABLED": "False",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> None:
        """Read on until a line holds `text`."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, "the GUI ended:\n" + "\n".join(self.said)
            if text in line:
                return

    def end(self) -> None:
        if os.name == "posix":
            os.killpg(self.process.pid, signal.SIGTERM)  # gui.sh is the parent of the GUI itself
        else:
            self.process.terminate()
        self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running(plan: LaunchPlan, port: int, **environment: str) -> Iterator[Host]:
    host = Host(plan, port, **environment)
    try:
        host.wait_for("To create a public link")  # said once its own page has answered
        yield host
    finally:
        host.end()


def arguments(port: int) -> tuple[str, ...]:
    return ("--headless", "--listen", "127.0.0.1", "--server_port", str(port))


def slowly(home: Path) -> dict[str, str]:
    """The environment of a GUI whose simulated trainer can be followed."""
    return {"LORALOOM_HOME": str(home), "LORALOOM_SIMULATED_TRAINER": "slow@5"}


@contextmanager
def visiting(browser, host: Host):
    """A fresh browser window on the GUI, which must show no error of a script."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE * 1000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(host.url)
    page.get_by_role("tab", name="LoRA", exact=True).first.wait_for()
    yield page
    page.close()
    assert problems == []


def top_tabs(page) -> list[str]:
    every = page.get_by_role("tablist").first.get_by_role("tab").all_inner_texts()
    return [name.strip() for name in every]


def open_tab(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def run_step(page, name: str) -> None:
    press(page, name)
    page.get_by_text(f"{name}: finished").wait_for()


def shoot(page, version: GuiVersion, name: str) -> None:
    folder = os.environ.get("LORALOOM_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"kohya-{version.value}-{name}.png", full_page=True)


def make_project(root: Path, version: GuiVersion) -> Project:
    """Make a project whose config differs from the GUI's defaults where it hurts.

    Another LoRA_type and lr_scheduler than the defaults: their handlers overwrite network_dim,
    conv_dim and lr_warmup in v26 as long as its "Parameters" was never opened.
    """
    project = apply_init(plan_init(root, "Quillfox"))
    base = write_base_model(root / "base.safetensors")
    text = project.manifest_path.read_text(encoding="utf-8")
    settings = (
        f"  kohya_version: {version.value}\n"
        "  overrides: {LoRA_type: LyCORIS/LoCon, network_dim: 24, network_alpha: 12, conv_dim: 16,"
        " conv_alpha: 8, lr_scheduler: linear, lr_warmup: 7, min_bucket_reso: 64}\n"
        '  resolution: "128,128"\n'
    )
    text = text.replace("  path: ''", f"  path: {json.dumps(str(base))}")
    text = text.replace("training:\n", "training:\n" + settings)
    text = text.replace("max_train_epochs: 10", "max_train_epochs: 2")
    project.manifest_path.write_text(text, encoding="utf-8")
    write_pictures(root.parent / "collected", recipes(8))
    return open_project(root)


def open_project_in_tab(page, project: Project) -> None:
    open_tab(page, "loraloom")
    page.get_by_label("Project folder", exact=True).fill(str(project.root))
    page.get_by_role("button", name="Open project").click()
    page.get_by_text("is open.").wait_for()


def wait_for_training_step(page, beyond: int) -> int:
    """Wait until the live bar shows a step after `beyond`, and return it."""
    page.wait_for_function(
        "beyond => [...document.querySelectorAll('progress')].some("
        "one => one.nextElementSibling?.innerText.startsWith('Training ') && one.value > beyond)",
        arg=beyond,
    )
    return int(page.locator("progress").first.evaluate("one => one.value"))


def changed_copy(plan: LaunchPlan, copy: Path, old: str, new: str) -> LaunchPlan:
    """Plan the same start with a copy of our packages in whose tab.py `old` is `new`."""
    for package in ("kohya_ext", "dynprompts", "a1111_ext"):
        shutil.copytree(LAUNCHER.parents[2] / package, copy / package)
    tab = copy / "kohya_ext" / "gui" / "tab.py"
    text = tab.read_text(encoding="utf-8")
    assert old in text
    tab.write_text(text.replace(old, new, 1), encoding="utf-8")
    words = [word.replace(str(LAUNCHER.parents[2]), str(copy)) for word in plan.command]
    return replace(plan, command=tuple(words))
