"""Run inside Kohya's Python: let its GUI start as always, with our tab beside "LoRA".

Standard library alone, and every Python from 3.10: this file is run by its path, before anything
of ours can be imported. What the tab shows is left to `tab`.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("kohya_ext", "dynprompts", "a1111_ext")
DISABLE = "LORALOOM_DISABLE"
"""Set to anything: the GUI starts without our tab."""
PROJECT = "LORALOOM_PROJECT"
"""The project folder that the tab opens first."""
TITLE = "Kohya_ss GUI"
"""How the title of every Kohya GUI (v24, v25, v26) begins."""
TAB_LABEL = "loraloom"
NEIGHBOUR = "LoRA"
NEEDED = ("yaml", "psutil", "PIL", "requests")
"""What our tab imports besides gradio; every Kohya GUI brings all of them."""

Build = Callable[[], None]


class OurPackages(importlib.abc.MetaPathFinder):
    """Find our own packages in `root` and nothing else there.

    A whole folder on sys.path would put the site-packages of one Python into another.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in PACKAGES:
            return importlib.machinery.PathFinder.find_spec(fullname, [self.root])
        return None


def say(text: str) -> None:
    """Write one line where Kohya's own messages go."""
    sys.stderr.write(f"loraloom: {text}\n")
    sys.stderr.flush()


def build_tab() -> None:
    """Build our tab inside the open gradio Tab; raises ImportError with what is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        raise ImportError(
            f"Kohya's Python lacks {names}. Run: {sys.executable} -m pip install {names}"
        )
    from kohya_ext.gui.tab import build_page

    build_page(os.environ.get(PROJECT, ""))


def wrap_launch(blocks_class: Any, build: Build = build_tab) -> None:
    """Make `launch` add our tab, once, to Blocks whose title begins like Kohya's.

    `launch` and the title are the only two things that v24, v25 and v26 have in common.
    """
    launch = blocks_class.launch

    def launch_with_tab(self: Any, *arguments: Any, **options: Any) -> Any:
        if str(getattr(self, "title", "")).startswith(TITLE) and not hasattr(self, "_loraloom"):
            self._loraloom = True
            try_to_add(self, build)
            wait_longer(sys.modules.get("gradio.networking"))
        return launch(self, *arguments, **options)

    blocks_class.launch = launch_with_tab


def wait_longer(networking: Any, seconds: float = 300.0) -> None:
    """Let gradio wait `seconds` for the first answer of its own page, not 3.

    v26 needs longer on a busy machine; then its start fails with "localhost is not accessible",
    with and without our tab. Asking more often would only pile up the work.
    """
    once = getattr(networking, "url_ok", None)
    if once is not None:
        networking.url_ok = lambda url: _answers(url, seconds) or once(url)


def _answers(url: str, seconds: float) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method="HEAD")
    try:
        with direct.open(request, timeout=seconds):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # the page asks for a password
    except OSError:
        return False


def try_to_add(blocks: Any, build: Build) -> bool:
    """Add the tab; on any failure leave the GUI as it was, say why, and return False."""
    before = None
    try:
        import gradio

        before = registered(blocks)

        tabs = next(child for child in blocks.children if isinstance(child, gradio.Tabs))
        with blocks, tabs, gradio.Tab(TAB_LABEL) as ours:
            build()
        labels = [getattr(child, "label", None) for child in tabs.children]
        place = labels.index(NEIGHBOUR) + 1 if NEIGHBOUR in labels else len(labels)
        tabs.children.remove(ours)
        tabs.children.insert(place, ours)
    except Exception as error:  # noqa: BLE001  # whatever we do wrong, the user's GUI must start
        if before is not None:
            remove_links(blocks, before)
        say(f"the tab could not be built, the GUI starts without it: {error}")
        sys.stderr.write(traceback.format_exc())
        return False
    say(f'the tab "{TAB_LABEL}" is beside "{NEIGHBOUR}".')
    return True


Registered = tuple[set[Any], set[Any], int, list[tuple[Any, list[Any]]]]


def registered(blocks: Any) -> Registered:
    """Return the components, the handlers, the handler count and the tabs before ours."""
    config = blocks.default_config
    children = [(child, list(getattr(child, "children", ()))) for child in blocks.children]
    return set(config.blocks), set(config.fns), config.fn_id, children


def remove_links(blocks: Any, before: Registered) -> None:
    """Unregister what a half-built tab left, so that the page knows nothing of it."""
    components, handlers, count, children = before
    config = blocks.default_config
    for key in set(config.blocks) - components:
        del config.blocks[key]
    for key in set(config.fns) - handlers:
        del config.fns[key]
    config.fn_id = count
    blocks.children[:] = [child for child, _ in children]
    for child, inner in children:
        if hasattr(child, "children"):
            child.children[:] = inner


class _AfterGradio(importlib.abc.MetaPathFinder):
    """Wrap `gradio.blocks.Blocks.launch` as soon as that module has been run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "gradio.blocks":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            wrap_launch(module.Blocks)

        loader.exec_module = exec_module
        return spec


def prepare(root: Path) -> None:
    """Make our packages importable and wait for gradio; called once per process."""
    if os.environ.get(DISABLE) or any(isinstance(one, _AfterGradio) for one in sys.meta_path):
        return
    sys.meta_path.insert(0, OurPackages(root))
    sys.meta_path.insert(0, _AfterGradio())


def main(words: Sequence[str]) -> None:
    """Run `kohya_gui.py` of the folder `words[0]` as if it had been started directly."""
    folder = Path(words[0]).absolute()  # a connected drive, resolved, would become a share
    prepare(Path(__file__).absolute().parents[2])
    os.chdir(folder)
    sys.path[0] = str(folder)
    sys.argv[:] = ["kohya_gui.py", *words[1:]]
    runpy.run_path(str(folder / "kohya_gui.py"), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
