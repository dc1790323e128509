"""Let our tab stay when the user starts the GUI by its own gui.sh or gui.bat.

Two files in the site-packages of the GUI's Python: a `.pth` line that Python runs at each start,
and the module it imports. They do nothing unless kohya_gui.py is run; removing both undoes it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..project import HostError, ToolError
from ..project.files import write_text_atomic
from .host import LAUNCHER, KohyaGui
from .launcher import DISABLE

PTH_NAME = "loraloom_kohya.pth"
HOOK_NAME = "loraloom_kohya_hook.py"

_HOOK = '''\
"""Put loraloom's tab into the Kohya GUI; written and removed by `loraloom kohya`.

Python imports this at every start, so it looks at the command line and at nothing else.
"""

import os
import sys

LAUNCHER = {launcher!r}


def _begin():
    words = getattr(sys, "orig_argv", [])
    if os.environ.get({disable!r}):
        return
    if not any(os.path.basename(word) == "kohya_gui.py" for word in words[1:]):
        return
    if not os.path.isfile(LAUNCHER):
        sys.stderr.write(
            "loraloom: it is no longer at " + LAUNCHER + ", so its tab is missing. "
            "Delete " + __file__ + " and its .pth file, or install loraloom again.\\n"
        )
        return
    import importlib.util
    import pathlib

    spec = importlib.util.spec_from_file_location("loraloom_kohya_launcher", LAUNCHER)
    launcher = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = launcher
    spec.loader.exec_module(launcher)
    launcher.prepare(pathlib.Path(LAUNCHER).parents[2])


try:
    _begin()
except Exception as error:  # the GUI must start whatever happens here
    sys.stderr.write("loraloom: its tab is missing: " + repr(error) + "\\n")
'''


@dataclass(frozen=True)
class HookPlan:
    """The two files and what would be in them."""

    pth: Path
    hook: Path
    hook_text: str

    @property
    def pth_text(self) -> str:
        return f"import {self.hook.stem}\n"


def plan_hook(gui: KohyaGui) -> HookPlan:
    """Plan the two files in the site-packages of the GUI's Python; raises HostError."""
    words = [str(gui.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    try:
        answer = subprocess.run(
            words,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},  # a name that Windows' own code page lacks
            timeout=60,
            check=True,
        )
        folder = Path(answer.stdout.strip())
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_answer(gui, str(error)) from error
    if not folder.is_dir():
        raise _no_answer(gui, f"it names {folder}, which is not a folder")
    text = _HOOK.format(launcher=str(LAUNCHER), disable=DISABLE)
    return HookPlan(folder / PTH_NAME, folder / HOOK_NAME, text)


def install_hook(plan: HookPlan) -> None:
    """Write the module first and the `.pth` line last, so that no start finds half of it."""
    write_text_atomic(plan.hook, plan.hook_text)
    write_text_atomic(plan.pth, plan.pth_text)


def uninstall_hook(plan: HookPlan) -> tuple[Path, ...]:
    """Remove what `install_hook` wrote, and return which files were there."""
    cached = tuple(plan.hook.parent.glob(f"__pycache__/{plan.hook.stem}.*.pyc"))
    gone = tuple(one for one in (plan.pth, plan.hook, *cached) if one.exists())
    for one in gone:
        one.unlink()
    return tuple(one for one in gone if one not in cached)


def _no_answer(gui: KohyaGui, reason: str) -> ToolError:
    return HostError(
        "LL703",
        f"{gui.python} could not say where its packages are: {reason}.",
        "Check that this Python runs, or give another one: --python FILE",
    )
