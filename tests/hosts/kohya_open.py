"""Run by the Kohya GUI's own Python: open jsons in its LoRA tab, and let it print the commands.

Usage: python kohya_open.py GUI-FOLDER JOBS.json ANSWERS.json, where JOBS is a list of any jsons.
Its own loader and its widgets' own conversions answer; the browser's part is left out: handlers
that run when a value changes. Nothing is trained and no page is opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    root, jobs, answers = map(Path, sys.argv[1:])
    os.chdir(root)
    sys.path.insert(0, str(root))
    with contextlib.redirect_stdout(io.StringIO()):
        import gradio
        import kohya_print
        from kohya_gui import lora_gui

        with gradio.Blocks() as page:
            lora_gui.lora_tab(headless=True, config=empty_config())
    opener, components = find_opener(page, lora_gui)
    said: list[str] = []
    commands: list[tuple[list[str], str]] = []
    kohya_print.isolate(lora_gui, said, commands)
    found = []
    for number, values in enumerate(json.loads(jobs.read_text(encoding="utf-8"))):
        said.clear()
        commands.clear()
        path = answers.with_name(f"{number}.opened.json")
        path.write_text(json.dumps(values), encoding="utf-8")
        found.append(open_and_print(lora_gui, opener, components, path, said, commands))
    answers.write_text(json.dumps(found), encoding="utf-8")


def empty_config() -> Any:
    from kohya_gui.class_gui_config import KohyaSSGUIConfig

    config = KohyaSSGUIConfig.__new__(KohyaSSGUIConfig)
    config.config = {}
    return config


def find_opener(page: Any, lora_gui: Any) -> tuple[Any, list[Any]]:
    """Return the loader and the components that it fills, without the file's own box."""
    wanted = lora_gui.open_configuration
    registry = getattr(lora_gui, "last_built_field_registry", None)
    if registry:
        return wanted, [component for _, component in registry]
    fns = page.fns.values() if isinstance(page.fns, dict) else page.fns
    for one in fns:
        inner = getattr(one.fn, "__wrapped__", one.fn)
        if inner is wanted or getattr(inner, "__name__", "") == wanted.__name__:
            names = wanted.__code__.co_varnames[: wanted.__code__.co_argcount]
            return wanted, list(one.inputs)[3 : len(names) - 1]
    raise SystemExit("the loader is not where it was")


def open_and_print(
    gui: Any, opener: Any, components: list[Any], path: Path, said: list[str], commands: Any
) -> dict[str, Any]:
    import kohya_print

    try:
        shown = [one.value for one in components]
        result = opener(False, False, str(path), *shown, training_preset="none")
        values = [
            sent(one, one.postprocess(value))
            for one, value in zip(components, result[1:])  # noqa: B905  # Python 3.9 hosts
        ]
    except BaseException as error:  # noqa: BLE001  # whatever the GUI dies of is its answer
        return {"refused": f"load: {type(error).__name__}: {error}"}
    names = gui.train_model.__code__.co_varnames[2 : 2 + len(values)]
    return kohya_print.ask(gui, dict(zip(names, values)), said, commands)  # noqa: B905


def sent(component: Any, payload: Any) -> Any:
    """Return what the widget hands back for what it was shown."""
    import gradio

    if gradio.__version__.startswith("6.") and isinstance(payload, float):
        payload = int(payload) if payload.is_integer() else payload  # as a browser does
    return component.preprocess(payload)


if __name__ == "__main__":
    main()
