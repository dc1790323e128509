"""What the Kohya GUI itself would run for a config, faults included: for `--as-gui` only, and for
the list of what we do otherwise.

Measured field by field against the GUI's own print of v24.1.7, v25.2.1 and v26 (tests/hosts).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...project import InputError, ToolError
from .gui_fields import (
    LORAPLUS,
    LYCORIS_PRESETS,
    ONLY_SDXL_ANIMA,
    Toml,
    Values,
    as_float,
    as_int,
    launch_words,
    script_of,
    trainer_values,
    words_of,
)
from .gui_load import take_as_gui
from .kohya_json import GuiVersion, keys_of
from .toml import format_gui_toml


@dataclass(frozen=True)
class GuiCall:
    """One print of the GUI: the trainer's script, its config toml, and the words around it."""

    script: str
    toml: Toml
    launch: tuple[str, ...]
    additional: tuple[str, ...]
    sample_prompts: str

    @property
    def script_name(self) -> str:
        """The file in sd-scripts' root."""
        return f"{self.script}.py"


def gui_call(values: Values, version: GuiVersion, draws: int) -> GuiCall:
    """Return what the GUI would run for a complete config; `draws` as `gui_draws` counts them.

    Raises InputError (learning rates that train nothing; an unknown LoRA type).
    """
    known = keys_of(version)
    own = {key: value for key, value in values.items() if key in known}
    script = script_of(own)
    toml = trainer_values(own, version, script)
    # It joins the pairs and splits them at spaces, so a value with a blank falls apart.
    pairs = words_of(" ".join(toml["network_args"]))
    v25 = version is GuiVersion.V25  # sends LoRA+ where no trainer reads it
    toml["network_args"] = [one for one in pairs if not (v25 and one.startswith("loraplus"))]
    toml |= {"epoch": as_int(own.get("epoch")), "noise_offset_type": own.get("noise_offset_type")}
    if version is GuiVersion.V25:
        toml |= {key: own.get(key) for key in ("lowvram", *LORAPLUS)}
    toml["max_train_steps"] = steps = _steps(own, draws)
    toml["stop_text_encoder_training"] = _stop(own, steps)
    toml["lr_warmup_steps"] = _warmup(own, version, steps)
    kept = {"max_data_loader_n_workers": toml["max_data_loader_n_workers"]}
    if toml.get("model_type") == "chroma":  # its trainer insists on it
        kept["guidance_scale"] = toml["guidance_scale"]
    # It drops "", False, None and every 0.
    toml = {key: value for key, value in toml.items() if value not in ("", False, None)} | kept
    return GuiCall(
        script,
        dict(sorted(toml.items())),
        launch_words(own, quoted(own.get("extra_accelerate_launch_args"))),
        quoted(own.get("additional_parameters")),
        str(own.get("sample_prompts") or ""),
    )


def quoted(text: object) -> tuple[str, ...]:
    """Split as the GUI does: without its quotes at spaces, each word quoted for a shell."""
    return tuple(shlex.quote(word) for word in words_of(text))


def gui_draws(folder: Path) -> int:
    """Count pictures times repeats as the GUI does: by four suffixes, in every `N_` folder."""
    draws = 0
    for inner in folder.iterdir():
        repeats = inner.name.split("_")[0]
        if inner.is_dir() and re.fullmatch(r"\s*[+-]?\d+\s*", repeats):
            names = [one.name.lower() for one in inner.iterdir()]
            pictures = sum(name.endswith((".jpg", ".jpeg", ".png", ".webp")) for name in names)
            draws += int(repeats) * pictures
    return draws


# What the GUI refuses, with nothing but a line in its console.

_SETTINGS = re.compile(r"^(\S+=\S+)( \S+=\S+)*$|^$")
_READ_AS_INT = ("bucket_reso_steps", "min_bucket_reso", "num_cpu_threads_per_process")


def _is_int(value: object) -> bool:
    """Tell whether the GUI's own int() takes a value: "8" it does, "8.0" and a list not."""
    try:
        int(value)  # type: ignore[call-overload]  # whatever a json may hold
    except (TypeError, ValueError, OverflowError):
        return value is None
    return True


def gui_refusals(values: Values, version: GuiVersion) -> tuple[str, ...]:
    """Return why the GUI would run nothing for this config; files and folders are not looked at."""
    return tuple(_refusals(values, version, str(values.get("LoRA_type"))))


def _refusals(values: Values, version: GuiVersion, kind: str) -> Iterator[str]:
    for key in ("lr_scheduler_args", "optimizer_args"):
        if not _SETTINGS.match(str(values.get(key) or "")):
            yield f"{key} must be pairs such as a=b, separated by one space"
    if kind not in keys_of(version)["LoRA_type"].choices:
        yield f'"{kind}" is not a LoRA type of this version'
    yield from _family_refusals(values, kind)
    preset = str(values.get("LyCORIS_preset") or "")
    if preset not in ("", *LYCORIS_PRESETS) and not preset.endswith(".toml"):
        yield f'LyCORIS_preset "{preset}" is neither one of its presets nor a toml file'
    for key in _READ_AS_INT:
        if not _is_int(values.get(key)):
            yield f"{key} is {values[key]!r}, which the GUI cannot convert to a whole number"
    precision = values.get("mixed_precision")
    if precision and not isinstance(precision, str):
        yield f"mixed_precision is {precision!r}, which the GUI cannot quote"
    if not isinstance(values.get("stop_text_encoder_training"), (int, float, type(None))):
        yield "stop_text_encoder_training is not a number"
    if as_int(values.get("bucket_reso_steps")) < 1:
        yield "bucket_reso_steps must be at least 1"
    if not 0 <= as_float(values.get("noise_offset")) <= 1:
        yield "noise_offset must be between 0 and 1"
    if not values.get("dataset_config"):
        for key in ("train_batch_size", "gradient_accumulation_steps"):
            if not as_int(values.get("max_train_steps")) and not as_int(values.get(key)):
                yield f"{key} must be at least 1"
        if not values.get("train_data_dir"):
            yield "train_data_dir is empty"
    if version is GuiVersion.V26 and not str(values.get("output_dir") or "").strip():
        yield "output_dir is empty"


def _family_refusals(values: Values, kind: str) -> Iterator[str]:
    if values.get("flux1_checkbox") and not (kind.startswith("Flux1") or "LyCORIS" in kind):
        yield f'Flux trains the LoRA types Flux1, Flux1 OFT and LyCORIS, not "{kind}"'
    anima, lumina = bool(values.get("anima_checkbox")), bool(values.get("lumina_checkbox"))
    if anima and kind not in ("Anima", *ONLY_SDXL_ANIMA):
        yield f'Anima trains the LoRA types Anima, Kohya LoHa and Kohya LoKr, not "{kind}"'
    if kind == "Anima" and not anima:
        yield "the LoRA type Anima needs the Anima model"
    if lumina != (kind == "Lumina"):
        yield "the LoRA type Lumina works only with the Lumina model, and the other way round"
    if kind in ONLY_SDXL_ANIMA:
        others = ("flux1_checkbox", "sd3_checkbox", "hunyuan_image_checkbox", "lumina_checkbox")
        if not (values.get("sdxl") or anima) or any(values.get(flag) for flag in others):
            yield f"{kind} is only for SDXL and Anima"
    if anima and values.get("anima_compile") and values.get("anima_torch_compile"):
        yield "anima_compile and anima_torch_compile cannot be combined"


def _steps(values: Values, draws: int) -> int:
    """Return the steps as the GUI counts them: without buckets, doubled for a reg folder."""
    given = as_int(values.get("max_train_steps"))
    if given or values.get("dataset_config"):
        return given
    batches = float(draws) / (as_int(values.get("train_batch_size")) or 1)
    batches /= as_int(values.get("gradient_accumulation_steps")) or 1
    factor = 2 if values.get("reg_data_dir") else 1
    return math.ceil(batches * as_int(values.get("epoch")) * factor)


def _stop(values: Values, max_train_steps: int) -> int:
    """Return what is left of a key that the GUI ignores when it is positive."""
    percent = min(0, as_int(values.get("stop_text_encoder_training")))
    if values.get("dataset_config") and max_train_steps <= 0:
        return 0
    return math.ceil(float(max_train_steps) / 100 * percent)


def _warmup(values: Values, version: GuiVersion, max_train_steps: int) -> int | float:
    """Return steps, or from v25 on a share of all steps as a float below 1."""
    percent, given = as_float(values.get("lr_warmup")), as_float(values.get("lr_warmup_steps"))
    counted = round(int(percent) * max_train_steps / 100)
    by_toml = bool(values.get("dataset_config"))
    if version is GuiVersion.V24:
        return counted if max_train_steps > 0 else 0
    if by_toml and max_train_steps <= 0:
        given = 0  # the GUI forgets it then
    elif by_toml and version is GuiVersion.V25:
        given = counted
    elif by_toml and given <= 0:
        given = round(percent * max_train_steps / 100)
        return int(given)
    return int(given) if given > 0 else percent / 100


# What the GUI itself would run.


@dataclass(frozen=True)
class GuiPrint:
    """What the GUI of a version would run: its toml letter by letter, and its command."""

    call: GuiCall
    secrets: tuple[str, ...]

    @property
    def toml(self) -> str:
        return format_gui_toml(self.call.toml)

    @property
    def command(self) -> tuple[str, ...]:
        """The command's words; the GUI puts the time into the toml's name and its own folder."""
        script = f"sd-scripts/{self.call.script_name}"
        config = f"{self.call.toml.get('output_dir', '')}/config_lora-<time>.toml"
        words = ("accelerate", "launch", *self.call.launch, script, "--config_file", config)
        return (*words, *self.call.additional)


def print_as_gui(
    data: Mapping[str, Any],
    version: GuiVersion,
    *,
    where: str,
    draws: int | None = None,
    in_browser: bool = True,
) -> GuiPrint:
    """Return exactly what the GUI of `version` would run for a json; secrets are left out.

    `where` names the json in messages; `in_browser` as in `take_as_gui`. Raises InputError,
    with the GUI's reasons, when it would run nothing.
    """
    taken = take_as_gui(data, version, in_browser=in_browser)
    values = taken.values
    problems = (*taken.problems, *gui_refusals(values, version))
    needs_count = not values.get("max_train_steps") and not values.get("dataset_config")
    folder = Path(str(values.get("train_data_dir") or ""))
    if not problems and needs_count and draws is None:
        if not folder.is_dir():
            problems = (f"train_data_dir {folder} is not on this machine: see --draws",)
        elif version is GuiVersion.V26 and not any(
            one.is_dir() and re.match(r"^\d+_.+$", one.name) for one in folder.iterdir()
        ):
            problems = (f"{folder} contains no folder such as 5_Trigger",)
        else:
            draws = gui_draws(folder)
    if problems:
        raise InputError(
            "LL311",
            f"The Kohya GUI {version.value} would run nothing for {where}: {'; '.join(problems)}.",
            "Leave out --as-gui to have the json read and corrected.",
        )
    try:
        return GuiPrint(gui_call(values, version, draws or 0), taken.secrets)
    except ToolError as refused:
        raise InputError("LL311", f"{where}: {refused.problem}", refused.cure) from refused
