"""From a Kohya config to what sd-scripts gets: script, config toml, arguments.

`as_gui` gives exactly what the GUI of that version would run; the default differs where the GUI
is wrong, and lists each difference. Types and choices are checked here: the toml route of
sd-scripts checks none and ignores unknown keys.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ...project import InputError
from ...project.families import zeros_of_script
from ..trainer import argument_table
from .gui_emulation import LORAPLUS, NETWORK_TEXTS, gui_call, quoted, script_of
from .kohya_json import SECRETS, GuiVersion, Values, without_secrets
from .trainer_parsers import read_arguments

Toml = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Where we do not do what the GUI would, and why; `matters` when the training changes by it."""

    key: str
    gui: object
    ours: object
    why: str
    matters: bool = True

    def __str__(self) -> str:
        if self.ours is None:
            gui = "" if self.gui == _SECRET else f" (the GUI would send {_shown(self.gui)})"
            return f"{self.key} is left out{gui}: {self.why}"
        if self.gui is None:
            return f"{self.key} = {_shown(self.ours)} is sent (the GUI leaves it out): {self.why}"
        return f"{self.key} is {_shown(self.ours)} instead of {_shown(self.gui)}: {self.why}"


_SECRET = "(secret)"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


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

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same as `toml`, as command line words; switches that are off are not there."""
        return tuple(word for key, value in self.toml.items() for word in _as_words(key, value))

    @property
    def notable(self) -> tuple[Difference, ...]:
        """The differences that change what is trained."""
        return tuple(one for one in self.differences if one.matters)


def _as_words(key: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []
    if isinstance(value, (list, tuple)):
        return [f"--{key}", *map(str, value)] if value else []
    return [f"--{key}={value}"]


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
    values, secrets = without_secrets(values)
    gui = call_as_gui(values, version, dataset)
    fixed = _Mended(gui.script, dict(gui.toml))
    for key in secrets:
        why = f"a secret comes from the environment only: set {SECRETS[key]}"
        fixed.found.append(Difference(key, _SECRET, None, why))
    fixed.mend_network(values, version)
    fixed.count_by_epochs(values)
    fixed.send_zeros(values)
    fixed.drop_what_is_ignored()
    fixed.fit_types()
    launch = fixed.split_words(values, "extra_accelerate_launch_args", gui.launch)
    additional = fixed.split_words(values, "additional_parameters", gui.additional)
    return TrainerCall(
        gui.script, dict(sorted(fixed.toml.items())), launch, additional, gui.sample_prompts,
        tuple(fixed.found),
    )  # fmt: skip


def _shell_words(text: str) -> tuple[str, ...]:
    """Split as a shell would, but leave backslashes alone: Windows paths hold them."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return tuple(lexer)
    except ValueError:  # a quote that is never closed
        return tuple(text.split())


_ZEROS = ("prior_loss_weight", "max_grad_norm", "network_alpha")
"""Arguments whose 0 means something else than the trainer's own default."""


_NO_LONGER_READ = ("mem_eff_save", "single_blocks_to_swap", "double_blocks_to_swap")
_NEVER_READ = (
    "epoch", "noise_offset_type", "lowvram", "stop_text_encoder_training", *LORAPLUS,
    *_NO_LONGER_READ,
)  # fmt: skip
"""Keys of the GUI's toml that sd-scripts ignores; the last three were arguments once."""


@dataclass
class _Mended:
    """The GUI's toml while it is put right, and what was changed in it."""

    script: str
    toml: Toml
    found: list[Difference] = field(default_factory=list)

    def change(self, key: str, value: object, why: str, *, matters: bool = True) -> None:
        if self.toml.get(key) == value and type(self.toml.get(key)) is type(value):
            return
        self.found.append(Difference(key, self.toml.get(key), value, why, matters))
        if value is None:
            self.toml.pop(key, None)
        else:
            self.toml[key] = value

    def split_words(
        self, values: Mapping[str, Any], key: str, gui: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Replace the GUI's pieces of a free text in its words by what was meant."""
        text = str(values.get(key) or "")
        theirs, ours = quoted(text), _shell_words(text)
        if theirs == ours or not theirs:
            return gui
        why = "the GUI splits quoted texts at their blanks and quotes the pieces once more"
        self.found.append(Difference(key, list(theirs), list(ours), why))
        at = next(i for i in range(len(gui)) if gui[i : i + len(theirs)] == theirs)
        return (*gui[:at], *ours, *gui[at + len(theirs) :])

    def mend_network(self, values: Mapping[str, Any], version: GuiVersion) -> None:
        """Keep values with blanks whole, and send v25's LoRA+ where the trainer reads it."""
        tight = {key: "".join(str(values[key]).split()) for key in NETWORK_TEXTS if key in values}
        arguments = list(gui_call({**values, **tight}, version, 0).toml["network_args"])
        why = "the GUI takes a list with blanks to pieces, and sd-scripts would stop at them"
        self.change("network_args", arguments, why)
        ratios = [f"{key}={self.toml[key]}" for key in LORAPLUS if key in self.toml]
        if ratios:
            why = "sd-scripts reads LoRA+ as a network argument only, and ignores the GUI's key"
            self.change("network_args", [*arguments, *ratios], why)

    def count_by_epochs(self, values: Mapping[str, Any]) -> None:
        epochs = int(values.get("max_train_epochs") or 0) or int(values.get("epoch") or 0)
        if not epochs or int(values.get("max_train_steps") or 0):
            return
        why = "the GUI's estimate of steps ignores buckets, so the last epoch would be cut"
        if "max_train_epochs" in self.toml:
            why = "sd-scripts counts by the epochs anyhow"
        self.change("max_train_steps", None, why, matters="max_train_epochs" not in self.toml)
        self.change("max_train_epochs", epochs, "so many epochs are asked for")

    def send_zeros(self, values: Mapping[str, Any]) -> None:
        for key in (*_ZEROS, *zeros_of_script(self.script)):
            if key in values and values[key] == 0 and key not in self.toml:
                why = "the GUI drops a 0, and the trainer would take its own default"
                self.change(key, values[key], why)

    def drop_what_is_ignored(self) -> None:
        """Drop what no sd-scripts reads; what only newer ones know stays for the check on disk."""
        for key in [key for key in self.toml if key in _NEVER_READ]:
            why = "it is no argument of sd-scripts, which would ignore it"
            self.change(key, None, why, matters=key in _NO_LONGER_READ)
        if self.toml.get("dynamo_backend") == "no":
            why = "that is accelerate's word; sd-scripts has none for off"
            self.change("dynamo_backend", None, why, matters=False)
        if self.toml.get("max_token_length") == 75:
            why = "75 is sd-scripts' own way, and none of its choices"
            self.change("max_token_length", None, why, matters=False)

    def fit_types(self) -> None:
        """Send 64 for 64.0 and true for 1 where the trainer's argument is of that type."""
        for key, (kind, *_) in arguments_of(self.script).items():
            value = self.toml.get(key)
            if kind == "int" and isinstance(value, float) and value == int(value):
                self.change(key, int(value), "sd-scripts wants a whole number", matters=False)
            elif kind == "bool" and not isinstance(value, bool) and value == 1:
                self.change(key, True, "sd-scripts has a switch here", matters=False)


# What the trainer's own parsers take.


@lru_cache(maxsize=1)
def _argument_tables() -> dict[str, Any]:
    path = resources.files(__package__) / "data" / "trainer_arguments.json"
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tables


def arguments_of(script: str, version: str | Path = "main") -> Mapping[str, list[Any]]:
    """Return a trainer's arguments: dest to [type, nargs] or [type, nargs, choices].

    `version` is a folder of sd-scripts, whose own source is read, or a recorded version.
    """
    if isinstance(version, Path):
        read = read_arguments(version, script)
        if read is not None:
            return read
        version = argument_table(version)
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
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "int_or_float": "a number",
    "bool": "true or false",
}


def require_valid_call(call: TrainerCall, version: str | Path = "main") -> None:
    """Raise InputError when the sd-scripts at `version` would misread or ignore a value.

    What an older version lacks may stand when it is the newer one's default: nothing is lost.
    """
    known = arguments_of(call.script, version)
    defaults = _argument_tables()["main"]["defaults"]
    for key, value in call.toml.items():
        if key not in known and value == defaults.get(key):
            continue
        why = _argument_problem(known.get(key), value)
        if why:
            raise InputError(
                "LL305",
                f"sd-scripts' {call.script_name} cannot take {key} = {_shown(value)}: {why}.",
                "Correct the value; through a config file sd-scripts would not notice.",
            )


def _argument_problem(row: list[Any] | None, value: object) -> str | None:
    if row is None:
        return "this version has no such argument, and would ignore it"
    kind, nargs, *choices = row
    members = value if nargs in ("*", "+") and isinstance(value, list) else [value]
    for member in members:
        wanted = _FITS.get(kind, (str,))
        is_bool = isinstance(member, bool)
        if not isinstance(member, wanted) or (is_bool and kind != "bool"):
            return f"it must be {_WORDS.get(kind, 'a text')}"
        if choices and member not in choices[0]:
            return f"it must be one of {', '.join(str(one) for one in choices[0] if one)}"
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
