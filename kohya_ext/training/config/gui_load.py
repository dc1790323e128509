"""What the Kohya GUI itself makes of a json that is opened in a fresh page.

Its loader changes values silently, and its widgets of each gradio version keep, change or choke
on what it hands them. For `--as-gui` only; our own reading is `kohya_json.repair`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...project.families import FLAGS
from .kohya_json import GuiVersion, Key, Values, keys_of, without_secrets


@dataclass(frozen=True)
class GuiLoadResult:
    """The values that the GUI would continue with, and why it could not, if it could not."""

    values: Values
    problems: tuple[str, ...]
    secrets: tuple[str, ...]


def take_as_gui(
    data: Mapping[str, Any], version: GuiVersion, *, in_browser: bool = True
) -> GuiLoadResult:
    """Load any json as the GUI of `version` would; secrets are taken out and named.

    Out of the browser, the page's handlers do not run that change values after the load.
    """
    given, secrets = without_secrets(data)
    given = _loaded(given, version)
    values: Values = {}
    problems = [
        f"{name} is {value!r}, and the GUI cannot load a list or table there"
        for name, key in keys_of(version).items()
        if key.coerced and isinstance(value := data.get(name), (list, dict))
    ]
    for name, key in keys_of(version).items():
        value = given.get(name)
        value = key.default if value is None else _shown(key, value)
        is_whole = isinstance(value, float) and value.is_integer()
        # the browser sends a 1 for 1.0
        values[name] = int(value) if is_whole and version is GuiVersion.V26 else value
        problem = _problem(key, values[name], version)
        if problem:
            problems.append(f"{name} is {values[name]!r}, but {problem}")
    if in_browser:
        values |= _handled(values, version)
    return GuiLoadResult(values, tuple(problems), secrets)


_LISTED = {
    "stabilityai/stable-diffusion-2-1-base/blob/main/v2-1_512-ema-pruned": ("v2",),
    "stabilityai/stable-diffusion-2-1-base": ("v2",),
    "stabilityai/stable-diffusion-2-base": ("v2",),
    "stabilityai/stable-diffusion-2-1/blob/main/v2-1_768-ema-pruned": ("v2", "v_parameterization"),
    "stabilityai/stable-diffusion-2-1": ("v2", "v_parameterization"),
    "stabilityai/stable-diffusion-2": ("v2", "v_parameterization"),
    "CompVis/stable-diffusion-v1-4": (),
    "stabilityai/stable-diffusion-xl-base-1.0": ("sdxl",),
    "stabilityai/stable-diffusion-xl-refiner-1.0": ("sdxl",),
}
"""Base models whose family the page sets by their names; SD 1.5 is its default, so nothing
changes there."""


def _handled(values: Values, version: GuiVersion) -> Values:
    """Return what the page itself changes once a json is loaded, Parameters being open.

    v26 has no handlers for what lies in its closed parts, such as color_aug.
    """
    changed: Values = {}
    listed = _LISTED.get(str(values["pretrained_model_name_or_path"]))
    if listed is not None:
        flags = (one for one in (*FLAGS.values(), "v_parameterization") if one in values)
        changed |= {one: one in listed for one in flags}
    if values["lr_scheduler"] == "constant":
        changed |= {key: 0 for key in ("lr_warmup", "lr_warmup_steps") if key in values}
    if version is not GuiVersion.V24 and not any(
        {**values, **changed}.get(one) for one in FLAGS.values()
    ):
        changed["v_parameterization"] = False
    if version is not GuiVersion.V26 and values["color_aug"]:
        changed["cache_latents"] = False
    if values.get("model_type") == "chroma":
        changed |= {"guidance_scale": 0, "timestep_sampling": "sigmoid"}
    return changed


def _loaded(given: Values, version: GuiVersion) -> Values:
    """Follow the GUI's own repairs while it opens a file."""
    given.setdefault("optimizer", "AdamW8bit" if given.get("use_8bit_adam") else "AdamW")
    for name, key in keys_of(version).items():
        # v24 makes a whole number of this one, which loses it
        kind = (
            "int" if name == "adaptive_noise_scale" and version is GuiVersion.V24 else key.coerced
        )
        if kind and given.get(name) is not None:
            given[name] = _coerced(given[name], kind, _FALLBACKS.get(name, 0))
    if given.get("LoRA_type") == "LoCon":
        given["LoRA_type"] = "LyCORIS/LoCon"
    saves = given.get("save_model_as", "safetensors")
    if given.get("LoRA_type") and saves not in ("safetensors", "ckpt"):
        given["save_model_as"] = "safetensors"
    if isinstance(given.get("xformers"), bool):
        given["xformers"] = "xformers" if given["xformers"] else "none"
    if given.get("use_wandb") == "True":
        given["log_with"] = "wandb"
    if given.get("lora_network_weights") is not None:
        given["network_weights"] = given["lora_network_weights"]
    return given


_FALLBACKS = {"lr_scheduler_num_cycles": 1, "lr_scheduler_power": 1, "max_token_length": 75}


def _coerced(value: Any, kind: str, fallback: int) -> int | float:
    try:
        return int(value) if kind == "int" else float(value)
    except (TypeError, ValueError, OverflowError):
        return int(fallback) if kind == "int" else float(fallback)


def _shown(key: Key, value: Any) -> Any:
    """Return what the widget hands back for a value of another type."""
    if key.widget == "Checkbox":
        return bool(value)
    if key.widget == "Textbox":
        return str(value)
    if key.precision == 0 and isinstance(value, (float, bool)):
        return round(value)
    return value


def _problem(key: Key, value: object, version: GuiVersion) -> str | None:
    """Say why the GUI could do nothing more after loading this value."""
    if isinstance(value, bool) and key.widget in ("Number", "Slider"):
        value = int(value)  # a bool is a number to Python
    is_number = isinstance(value, (int, float))
    if key.widget == "Number":
        if not is_number and (key.precision == 0 or key.minimum is not None):
            return "the GUI fails to load a text into this number"
        return key.range_problem(value) if isinstance(value, (int, float)) else None
    if key.widget == "Slider" and version is GuiVersion.V26:
        return key.problem(value)
    if key.widget in ("Dropdown", "Radio") and version is not GuiVersion.V24:
        return key.choice_problem(value)
    return None


def loses_on_load(values: Values, version: GuiVersion) -> str:
    """Say what the page's own Load loses while its section Parameters is closed; empty if nothing.

    Gradio 6 has not made the fields of a closed section yet, and the page's handlers write their
    old values over the loaded ones. Loaded twice they are right.
    """
    if version is not GuiVersion.V26:
        return ""
    lost = [
        key
        for key, default in (("network_dim", 8), ("conv_dim", 1), ("lr_warmup", 10))
        if values.get(key, default) not in (default, None)
    ]
    if not lost:
        return ""
    return (
        f"the Kohya GUI's own Load loses {', '.join(lost)} while its section Parameters is closed: "
        "open it first, or load the json twice; the loraloom tab and `loraloom train` keep them"
    )
