"""From a Kohya config to what sd-scripts gets: script, config toml, arguments.

Where the GUI would send something else, it is wrong, and each difference is listed with its
reason. Types and choices are checked here: the toml route of sd-scripts checks none and ignores
unknown keys.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ...project import InputError
from ...project.families import zeros_of_script
from ..trainer import argument_table, too_old
from .gui_emulation import GuiCall, gui_call, quoted
from .gui_fields import LISTS, LORAPLUS, Toml, launch_words, script_of, trainer_values
from .kohya_json import SECRETS, GuiVersion, Values, keys_of, without_secrets
from .trainer_parsers import read_arguments


@dataclass(frozen=True)
class GuiDifference:
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
    differences: tuple[GuiDifference, ...] = ()

    @property
    def script_name(self) -> str:
        """The file in sd-scripts' root."""
        return f"{self.script}.py"

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same as `toml`, as command line words; switches that are off are not there."""
        return tuple(word for key, value in self.toml.items() for word in as_words(key, value))

    @property
    def notable(self) -> tuple[GuiDifference, ...]:
        """The differences that change what is trained."""
        return tuple(one for one in self.differences if one.matters)


def as_words(key: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []
    if isinstance(value, (list, tuple)):
        return [f"--{key}", *map(str, value)] if value else []
    return [f"--{key}={value}"]


def plan_call(values: Mapping[str, Any], version: GuiVersion, draws: int = 0) -> TrainerCall:
    """Return what a complete config asks of the trainer; `draws` is what the GUI would count.

    Raises InputError (learning rates that train nothing; an unknown LoRA type).
    """
    values, secrets = without_secrets(values)
    own = {key: value for key, value in values.items() if key in keys_of(version)}
    script = script_of(own)
    words = shell_words_of(str(own.get("additional_parameters") or ""))
    toml, additional = take_words(_toml(own, version, script), words, script)
    extra = shell_words_of(str(own.get("extra_accelerate_launch_args") or ""))
    call = TrainerCall(
        script,
        dict(sorted(fit_types(toml, script).items())),
        launch_words(own, extra),
        additional,
        str(own.get("sample_prompts") or ""),
    )
    found = _differences(gui_call(own, version, draws), call, own, secrets)
    return replace(call, differences=tuple(found))


def shell_words_of(text: str) -> tuple[str, ...]:
    """Split as a shell would, but leave backslashes alone: Windows paths hold them."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return tuple(lexer)
    except ValueError:  # a quote that is never closed
        return tuple(text.split())


_ZEROS = ("max_data_loader_n_workers", "prior_loss_weight", "max_grad_norm", "network_alpha")
"""Arguments whose 0 means something else than the trainer's own default."""


_NO_LONGER_READ = ("mem_eff_save", "single_blocks_to_swap", "double_blocks_to_swap")
"""Keys of the GUI's toml that were arguments of sd-scripts once."""

_NEVER_READ = (
    "epoch", "noise_offset_type", "lowvram", "stop_text_encoder_training", *LORAPLUS,
    *_NO_LONGER_READ,
)  # fmt: skip
"""Keys of the GUI's toml that sd-scripts ignores."""

_OF_SAMPLES = ("sample_prompts", "sample_sampler", "sample_every_n_epochs", "sample_every_n_steps")


def _toml(values: Values, version: GuiVersion, script: str) -> Toml:
    """Return the trainer's arguments: what is empty or means none is left out."""
    toml = trainer_values(values, version, script)
    epochs = int(values.get("max_train_epochs") or 0) or int(values.get("epoch") or 0)
    steps = int(values.get("max_train_steps") or 0)
    if epochs and not steps:
        toml["max_train_epochs"] = epochs
    toml["max_train_steps"] = steps
    given = int(values.get("lr_warmup_steps") or 0)
    toml["lr_warmup_steps"] = given if given > 0 else float(values.get("lr_warmup") or 0) / 100
    toml["network_args"] = [  # sd-scripts would stop at the blank of block_dims=4, 8
        "".join(pair.split()) if pair.partition("=")[0] in LISTS else pair
        for pair in toml["network_args"]
    ]
    off = list(_NO_LONGER_READ)
    if not str(values.get("sample_prompts") or "").strip():
        off += _OF_SAMPLES  # it would look for the file
    if toml.get("dynamo_backend") == "no":
        off.append("dynamo_backend")  # that is accelerate's word
    if toml.get("max_token_length") == 75:
        off.append("max_token_length")  # its own way, and none of its choices
    zeros = (*_ZEROS, *zeros_of_script(script))
    return {
        key: value
        for key, value in toml.items()
        if key not in off and (value not in ("", False, None) or (_is_zero(value) and key in zeros))
    }


def _is_zero(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


def take_words(toml: Toml, words: Sequence[str], script: str) -> tuple[Toml, tuple[str, ...]]:
    """Lay command line words over the toml, as the trainer does; return what it must parse itself.

    That is what is no argument in our list, or has a value that its parser would refuse.
    """
    known = arguments_of(script)
    found, rest = dict(toml), list[str]()
    at = 0
    while at < len(words):
        end = at + 1
        while end < len(words) and not words[end].startswith("--"):
            end += 1
        name, equals, text = words[at].removeprefix("--").partition("=")
        given = [text] if equals else list(words[at + 1 : end])
        row = known.get(name) if words[at].startswith("--") else None
        value = _parsed(row, given) if row else None
        if value is None:
            rest += words[at:end]
        else:
            found[name] = value
        at = end
    return found, tuple(rest)


def _parsed(row: Sequence[Any], given: Sequence[str]) -> Any:
    """Return the value that the trainer's parser would make of these words, or None."""
    kind, nargs = row[:2]
    if kind == "bool":
        return None if given else True
    if nargs not in ("*", "+") and len(given) != 1:
        return None
    make = {"int": int, "float": float}.get(kind, str)
    if kind == "int_or_float":
        make = float if any("." in one or "e" in one.lower() for one in given) else int
    try:
        made = [make(one) for one in given]
    except ValueError:
        return None
    return made if nargs in ("*", "+") else made[0]


def fit_types(toml: Toml, script: str) -> Toml:
    """Send 64 for 64.0 and true for 1 where the trainer's argument is of that type."""
    fitted = dict(toml)
    for key, (kind, *_) in arguments_of(script).items():
        value = toml.get(key)
        if kind == "int" and isinstance(value, float) and value == int(value):
            fitted[key] = int(value)
        elif kind == "bool" and not isinstance(value, bool) and value in (1, "true", "True"):
            fitted[key] = True
        elif kind == "bool" and value in ("false", "False"):
            del fitted[key]
    return fitted


# Where the GUI would do something else.


def _differences(
    gui: GuiCall, ours: TrainerCall, values: Values, secrets: Sequence[str]
) -> Iterator[GuiDifference]:
    for key in secrets:
        why = f"secrets are read only from the environment: set {SECRETS[key]}"
        yield GuiDifference(key, _SECRET, None, why)
    words = shell_words_of(str(values.get("additional_parameters") or ""))
    theirs, _ = take_words(gui.toml, words, gui.script)
    for key in sorted({*theirs, *ours.toml}):
        a, b = theirs.get(key), ours.toml.get(key)
        if a != b or type(a) is not type(b):
            why, matters = _reason(key, a, b, theirs)
            yield GuiDifference(key, a, b, why, matters)
    for key in ("extra_accelerate_launch_args", "additional_parameters"):
        text = values.get(key)
        if (split := quoted(text)) != (meant := shell_words_of(str(text or ""))):
            why = "the GUI splits quoted texts at spaces and quotes the parts again"
            yield GuiDifference(key, list(split), list(meant), why)


def _reason(key: str, gui: object, ours: object, toml: Toml) -> tuple[str, bool]:
    """Return why we send something else for a key, and whether the training changes by it."""
    if key in _NEVER_READ:
        return "it is not an argument of sd-scripts, which would ignore it", key in _NO_LONGER_READ
    if gui == ours:
        kind = "has a switch here" if ours is True else "wants a whole number"
        return f"sd-scripts {kind}", False
    if key == "max_train_steps" and "max_train_epochs" in toml:
        return "sd-scripts counts by the epochs anyway", False
    if key == "network_args" and any("loraplus" in str(one) for one in ours or ()):  # type: ignore[attr-defined]  # a list
        why = "sd-scripts reads LoRA+ as a network argument only, and ignores the GUI's key"
        return why, True
    if gui is None and _is_zero(ours):
        return "the GUI drops a 0, and the trainer would use its own default", True
    return _REASONS.get(key, ("the config says so", True))


_REASONS: Mapping[str, tuple[str, bool]] = {
    "max_train_steps": (
        "the GUI's estimate of steps ignores buckets, so the last epoch would be cut", True
    ),
    "max_train_epochs": ("the number of epochs is given", True),
    "lr_warmup_steps": ("the GUI forgets or estimates it; a share of all steps is exact", False),
    "network_args": (
        "the GUI splits a list at its spaces, and sd-scripts would fail on the parts", True
    ),
    "dynamo_backend": ("that is accelerate's value; sd-scripts has no value for off", False),
    "max_token_length": ("75 is sd-scripts' default, but not one of its choices", False),
    **dict.fromkeys(_OF_SAMPLES, ("there are no sample prompts", False)),
}  # fmt: skip


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
    found: dict[str, list[Any]] = {}
    for name in ("main", NEWEST) if version == NEWEST else (version,):
        table = _argument_tables()[name]
        found |= {**table["train_network"], **table["extra"].get(script, {})}
    return found


NEWEST = "v0.11.1"
"""The newest recorded release; its table holds what it adds to `main`, which is v0.10.1."""


@lru_cache(maxsize=1)
def all_arguments() -> Mapping[str, tuple[str, ...]]:
    """Return the arguments of all LoRA trainers, and the scripts that take each."""
    found: dict[str, tuple[str, ...]] = {}
    for script in ("train_network", *_argument_tables()["main"]["extra"]):
        for name in arguments_of(script, NEWEST):
            found[name] = (*found.get(name, ()), script)
    return found


def trainer_default(name: str) -> Any:
    """Return what sd-scripts takes for an argument that is not given."""
    return _argument_tables()["main"]["defaults"].get(name)


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
            is_newer = key not in known and key in arguments_of(call.script, NEWEST)
            update = f"{too_old(version, key)} " if is_newer and isinstance(version, Path) else ""
            raise InputError(
                "LL305",
                f"sd-scripts' {call.script_name} does not accept {key} = {_shown(value)}: {why}.",
                f"{update}Correct the value; sd-scripts does not check values in a config file.",
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
