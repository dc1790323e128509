"""From a Kohya config to what sd-scripts gets: script, config toml, arguments.

`as_gui` gives exactly what the GUI of that version would run; the default differs where the GUI
is wrong, and lists each difference. Types and choices are checked here: the toml route of
sd-scripts checks none and ignores unknown keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from ..project import ToolError
from .kohya_call import SECRETS, gui_call, script_of
from .kohya_json import GuiVersion, Values

Toml = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Where we do not do what the GUI would, and why."""

    key: str
    gui: object
    ours: object
    why: str

    def __str__(self) -> str:
        return f"{self.key}: the GUI would send {self.gui!r}, we send {self.ours!r}: {self.why}"


@dataclass(frozen=True)
class TrainerCall:
    """What sd-scripts is started with; `toml` goes into a file named by --config_file."""

    script: str
    toml: Toml
    launch: tuple[str, ...]
    additional: tuple[str, ...]
    sample_prompts: str
    differences: tuple[Difference, ...] = ()

    @property
    def script_name(self) -> str:
        """The file in sd-scripts' root."""
        return f"{self.script}.py"


@dataclass(frozen=True)
class Dataset:
    """What the GUI itself counts: pictures times repeats over all folders, and whether regular."""

    draws: int = 0


def call_as_gui(values: Mapping[str, Any], version: GuiVersion, dataset: Dataset) -> TrainerCall:
    """Return exactly what the GUI of `version` would run for a complete config."""
    call = gui_call(values, version, dataset.draws)
    return TrainerCall(call.script, call.toml, call.launch, call.additional, call.sample_prompts)


def plan_call(values: Mapping[str, Any], version: GuiVersion, dataset: Dataset) -> TrainerCall:
    """Return what we run: the GUI's call, put right where it is wrong, with each difference."""
    gui = call_as_gui(values, version, dataset)
    toml = dict(gui.toml)
    found: list[Difference] = []

    def change(key: str, value: object, why: str) -> None:
        if toml.get(key) == value:
            return
        found.append(Difference(key, toml.get(key), value, why))
        if value is None:
            toml.pop(key, None)
        else:
            toml[key] = value

    for key in ("epoch", "noise_offset_type", *_not_arguments(gui.script, toml)):
        if key in toml:
            change(key, None, "it is no argument of sd-scripts, which would ignore it")
    epochs = int(values.get("max_train_epochs") or 0) or int(values.get("epoch") or 0)
    if epochs and not int(values.get("max_train_steps") or 0):
        why = "the GUI's estimate of steps ignores buckets, so the last epoch would be cut"
        change("max_train_epochs", epochs, why)
        change("max_train_steps", None, why)
    if toml.get("dynamo_backend") == "no":
        change("dynamo_backend", None, "that is accelerate's word; sd-scripts has none for off")
    if toml.get("persistent_data_loader_workers") == 1:  # the GUI's way of saying true
        toml["persistent_data_loader_workers"] = True
    if toml.get("max_token_length") == 75:
        change("max_token_length", None, "75 is sd-scripts' own way, and none of its choices")
    for key in ("prior_loss_weight", "max_grad_norm"):
        if key in values and values[key] == 0:
            change(key, values[key], "the GUI drops a 0, and the trainer would use its default")
    for key, variable in SECRETS.items():
        if toml.pop(key, None):
            why = f"a secret comes from the environment only: set {variable}"
            found.append(Difference(key, "(secret)", None, why))
    return TrainerCall(
        gui.script, dict(sorted(toml.items())), gui.launch, gui.additional, gui.sample_prompts,
        tuple(found),
    )  # fmt: skip


def _not_arguments(script: str, toml: Mapping[str, Any]) -> list[str]:
    known = arguments_of(script)
    return [key for key in toml if key not in known]


# What the trainer's own parsers take.


@lru_cache(maxsize=1)
def _argument_tables() -> dict[str, Any]:
    path = resources.files(__package__) / "data" / "trainer_arguments.json"
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tables


def arguments_of(script: str, version: str = "main") -> Mapping[str, list[Any]]:
    """Return a trainer's arguments: dest to [type, nargs] or [type, nargs, choices]."""
    table = _argument_tables()[version]
    extra = table["extra"].get(script, {})
    found: dict[str, list[Any]] = {**table["train_network"], **extra}
    return found


_FITS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "int_or_float": (int, float),
    "bool": (bool,),
}


def require_valid_call(call: TrainerCall, version: str = "main") -> None:
    """Raise ToolError LL305 when sd-scripts would misread or ignore a value."""
    known = arguments_of(call.script, version)
    for key, value in call.toml.items():
        why = _argument_problem(known.get(key), value)
        if why:
            raise ToolError(
                "LL305",
                f"sd-scripts' {call.script_name} cannot take {key} = {value!r}: {why}.",
                "Correct the value; through a config file sd-scripts would not notice.",
            )


def _argument_problem(row: list[Any] | None, value: object) -> str | None:
    if row is None:
        return "it has no such argument"
    kind, nargs, *choices = row
    members = value if nargs == "*" and isinstance(value, list) else [value]
    for member in members:
        wanted = _FITS.get(kind, (str,))
        is_bool = isinstance(member, bool)
        if not isinstance(member, wanted) or (is_bool and kind != "bool"):
            return f"{member!r} is no {kind}"
        if choices and member not in choices[0]:
            return f"{member!r} is none of {', '.join(map(str, choices[0]))}"
    return None


def format_toml(toml: Mapping[str, Any]) -> str:
    """Return a flat toml text, keys sorted; texts are quoted as JSON, which toml reads."""
    lines = []
    for key, value in sorted(toml.items()):
        lines.append(f"{key} = {_toml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(member) for member in value) + "]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def format_gui_toml(toml: Mapping[str, Any]) -> str:
    """Return the toml text letter by letter as the GUI writes it."""
    return "".join(f"{key} = {_gui_value(value)}\n" for key, value in toml.items())


def _gui_value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + "".join(f" {_gui_value(member)}," for member in value) + "]"
    if isinstance(value, float):
        return str(value).replace("e+0", "e+").replace("e-0", "e-")
    return _toml_value(value)


__all__ = [
    "SECRETS",
    "Dataset",
    "Difference",
    "TrainerCall",
    "Values",
    "arguments_of",
    "call_as_gui",
    "format_gui_toml",
    "format_toml",
    "plan_call",
    "require_valid_call",
    "script_of",
]
