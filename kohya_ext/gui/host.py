"""The user's Kohya GUI on disk: its folder, its Python, and how it is started with our tab.

Looking and planning only read; the plan's command is run in the foreground by `run_host`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..project import MissingError
from ..project.home import expand_home
from ..project.json_reader import read_beginning
from ..training.trainer import is_kohya_gui, own_python
from .launcher import PROJECT

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class KohyaGui:
    """A checkout of the Kohya GUI and the Python that runs it."""

    folder: Path
    python: Path

    @property
    def script(self) -> Path:
        return self.folder / "kohya_gui.py"

    @property
    def version(self) -> str:
        """What its `.release` file says, empty without one."""
        release = self.folder / ".release"
        return read_beginning(release).strip() if release.is_file() else ""


@dataclass(frozen=True)
class LaunchPlan:
    """One start of the GUI: the command, its folder, and what is added to the environment."""

    command: tuple[str, ...]
    folder: Path
    environment: tuple[tuple[str, str], ...]


def find_kohya_gui(folder: Path, python: Path | None = None) -> KohyaGui:
    """Find the GUI in `folder` and its Python (`python`, else its venv or .venv).

    Raises MissingError (no GUI there; no Python).
    """
    root = expand_home(folder).absolute()
    if not is_kohya_gui(root):
        raise MissingError(
            "LL701",
            f"{root} contains no Kohya GUI: kohya_gui.py is missing.",
            "Give the folder that contains gui.sh or gui.bat: loraloom kohya --dir FOLDER",
        )
    found = expand_home(python).absolute() if python else own_python(root)
    if found is None or not found.is_file():
        raise MissingError(
            "LL702",
            f"No Python was found for the Kohya GUI in {root}"
            + (f": {found} does not exist." if found else ": it has neither venv nor .venv."),
            "Run the GUI's setup first, or give the Python that it uses: --python FILE",
        )
    return KohyaGui(root, found)


def plan_launch(
    gui: KohyaGui,
    arguments: Sequence[str] = (),
    project: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> LaunchPlan:
    """Plan a start of the GUI through our launcher; `arguments` go to kohya_gui.py unchanged.

    The folder of its Python leads PATH, because the GUI looks for `accelerate` there.
    """
    extra = tuple(arguments)
    text = read_beginning(gui.script)
    if '"--noverify"' in text and "--noverify" not in extra:
        extra = ("--noverify", *extra)  # else it may install packages before it starts (v25+)
    bin_folder = str(gui.python.parent)
    added = [("PATH", os.pathsep.join((bin_folder, environment.get("PATH", ""))))]
    if project is not None:
        added.append((PROJECT, str(project.absolute())))
    return LaunchPlan(
        (str(gui.python), str(LAUNCHER), str(gui.folder), *extra), gui.folder, tuple(added)
    )


_KILL_SECONDS = 10.0
"""How long the GUI may take to end when it is asked to."""


def run_host(plan: LaunchPlan) -> int:
    """Run the planned command in the foreground and return its exit code.

    Ctrl-C reaches the GUI directly, since it shares our terminal; we wait until it has ended. A
    signal to us alone, or a closed window, ends it as well: then it is 128 and the signal.
    """
    environment = {**os.environ, **dict(plan.environment)}
    started = subprocess.Popen(plan.command, cwd=plan.folder, env=environment)
    with started as process, _ended_with_us(process) as received:
        while True:
            try:
                code = process.wait()
                return 128 + received[0] if received else code
            except KeyboardInterrupt:
                continue


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass the signals that end us on to the GUI; yield those received."""
    received: list[int] = []

    def end(number: int, frame: object) -> None:
        received.append(number)
        process.terminate()
        timer = threading.Timer(_KILL_SECONDS, process.kill)
        timer.daemon = True
        timer.start()

    names = ("SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # only there signals arrive
    before = {
        one: signal.signal(one, end)
        for one in numbers
        if signal.getsignal(one) is not signal.SIG_IGN  # as nohup leaves it
    }
    try:
        yield received
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
