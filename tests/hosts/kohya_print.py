"""Run by the Kohya GUI's own Python: let the real GUI print the command of many jsons.

Usage: python kohya_print.py GUI-FOLDER JOBS.json ANSWERS.json, where JOBS is a list of complete
jsons. The GUI's own print_only mode answers; nothing is trained and no page is opened.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    root, jobs, answers = map(Path, sys.argv[1:])
    os.chdir(root)
    sys.path.insert(0, str(root))
    with contextlib.redirect_stdout(io.StringIO()):
        from kohya_gui import lora_gui

    said: list[str] = []
    commands: list[tuple[list[str], str]] = []
    isolate(lora_gui, said, commands)
    # the two lists differ by one name in v24, but not in their order
    keys = list(inspect.signature(lora_gui.save_configuration).parameters)[2:]
    names = list(inspect.signature(lora_gui.train_model).parameters)[2:]
    found = []
    for values in json.loads(jobs.read_text(encoding="utf-8")):
        said.clear()
        commands.clear()
        given = {name: values.get(key) for key, name in zip(keys, names)}  # noqa: B905  # Python 3.9 hosts
        found.append(ask(lora_gui, given, said, commands))
    answers.write_text(json.dumps(found), encoding="utf-8")


def isolate(gui: Any, said: list[str], commands: list[tuple[list[str], str]]) -> None:
    """Keep the GUI from looking at files, programs and screens; its arithmetic stays."""
    gui.log.error = lambda text, *rest: said.append(str(text))
    gui.log.info = gui.log.warning = lambda *rest: None
    gui.output_message = lambda msg="", **rest: said.append(str(msg))
    gui.executor = type("Idle", (), {"is_running": staticmethod(lambda: False)})()
    gui.train_state_value = 0
    gui.get_executable_path = lambda name: name
    gui.print_command_and_toml = lambda command, path: commands.append((command, path))
    for name in ("validate_file_path", "validate_folder_path", "validate_model_path"):
        setattr(gui, name, lambda *rest, **more: True)
    gui.require_writable_directory = lambda path, **more: bool(str(path).strip())
    gui.verify_image_folder_pattern = lambda *rest, **more: True


def ask(gui: Any, given: dict[str, Any], said: list[str], commands: Any) -> dict[str, Any]:
    try:
        gui.train_model(**given, headless=True, print_only=True)
    except Exception as error:  # noqa: BLE001  # whatever the GUI dies of is its answer
        return {"refused": f"{type(error).__name__}: {error}"}
    if not commands:
        return {"refused": " ".join(said) or "silently"}
    command, path = commands[0]
    toml = Path(path)
    text = toml.read_text(encoding="utf-8")
    toml.unlink()
    return {"command": [word for word in command if word != str(path)], "toml": text}


if __name__ == "__main__":
    main()
