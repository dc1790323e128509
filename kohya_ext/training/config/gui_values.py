"""Arguments of sd-scripts as fields of the Kohya GUI, to write its json or to understand one.

What no field holds goes into the additional parameters, so that the GUI would train the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .arguments import (
    NEWEST,
    GuiDifference,
    TrainerCall,
    all_arguments,
    arguments_of,
    as_words,
    plan_call,
    trainer_default,
)
from .gui_fields import LISTS, family_rows, flag_of_script, script_of
from .kohya_json import HANDLED, GuiVersion, Repair, Values, default_values, keys_of
from .trainer_form import NETWORK_FIELDS, OTHER_NAMES, typed

_RENAMED = {"optimizer_type": "optimizer", "resolution": "max_resolution"}

_TYPES = {
    "networks.lora": "Standard",
    "networks.lora_sd3": "Standard",
    "networks.lora_fa": "LoRA-FA",
    "networks.dylora": "Kohya DyLoRA",
    "networks.lora_flux": "Flux1",
    "networks.oft_flux": "Flux1 OFT",
    "networks.lora_anima": "Anima",
    "networks.lora_lumina": "Lumina",
    "networks.lora_hunyuan_image": "HunyuanImage-2.1",
    "networks.loha": "Kohya LoHa",
    "networks.lokr": "Kohya LoKr",
}
_ALGOS = {
    "lora": "LoCon", "locon": "LoCon", "loha": "LoHa", "lokr": "LoKr", "boft": "BOFT",
    "diag-oft": "Diag-OFT", "dylora": "DyLoRA", "glora": "GLoRA", "ia3": "iA3",
    "full": "Native Fine-Tuning",
}  # fmt: skip


def fields_of(arguments: Mapping[str, Any], script: str, version: GuiVersion) -> Values:
    """Return the fields of the GUI that say the same; arguments without a field are left out."""
    keys = keys_of(version)
    names = {**_RENAMED, **family_rows(script)}
    found: Values = {}
    for argument, value in arguments.items():
        field = names.get(argument, argument)
        if argument in ("optimizer_args", "lr_scheduler_args") and isinstance(value, list):
            value = " ".join(map(str, value))
        key = keys.get(field)
        if key is None or argument in ("xformers", "sample_prompts"):
            continue
        if key.kind == "str" and not isinstance(value, str):
            value = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if key.problem(value) is None:
            found[field] = value
    for kind in ("xformers", "sdpa"):
        if arguments.get(kind) is True:
            found["xformers"] = kind
    return found | _rates(arguments) | _schedule(arguments) | _network(arguments, version)


def _rates(arguments: Mapping[str, Any]) -> Values:
    text = arguments.get("text_encoder_lr")
    found: Values = {}
    if isinstance(text, list) and text:
        found["text_encoder_lr"] = text[0]
        found |= {"t5xxl_lr": text[1]} if len(text) > 1 and text[1] != text[0] else {}
    if arguments.get("network_train_unet_only") is True:
        found |= {"text_encoder_lr": 0, "t5xxl_lr": 0}
        found["unet_lr"] = arguments.get("unet_lr") or arguments.get("learning_rate") or 0
    return found


def _schedule(arguments: Mapping[str, Any]) -> Values:
    found: Values = {}
    if epochs := arguments.get("max_train_epochs"):
        found |= {"epoch": epochs, "max_train_epochs": epochs, "max_train_steps": 0}
    warmup = arguments.get("lr_warmup_steps")
    if isinstance(warmup, float) and warmup < 1:
        found |= {"lr_warmup": round(warmup * 100, 6), "lr_warmup_steps": 0}
    elif warmup is not None:
        found |= {"lr_warmup": 0, "lr_warmup_steps": int(warmup)}
    return found


def _network(arguments: Mapping[str, Any], version: GuiVersion) -> Values:
    module = arguments.get("network_module")
    if module is None:
        return {}
    keys = keys_of(version)
    given = arguments.get("network_args")
    pairs = dict(str(one).split("=", 1) for one in given or () if "=" in str(one))
    kind = _TYPES.get(str(module), "")
    if module == "lycoris.kohya":
        kind = f"LyCORIS/{_ALGOS.get(pairs.get('algo', 'lora').lower(), '')}"
    if kind == "Standard" and "conv_dim" in pairs:
        kind = "Kohya LoCon"
    if kind not in keys["LoRA_type"].choices:
        return {}
    found: Values = {"LoRA_type": kind}
    for name, text in pairs.items():
        field = NETWORK_FIELDS.get(name, name)
        key = keys.get(field)
        if key is None:
            continue
        value: Any = text if key.kind == "str" or field in LISTS else _number_or_flag(text)
        if key.problem(value) is None:
            found[field] = value
    return found


def _number_or_flag(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text


def _blank_values(script: str, version: GuiVersion) -> Values:
    """Return a complete json that asks the trainer for its own defaults, not for the GUI's."""
    values = default_values(version)
    names = {field: argument for argument, field in {**_RENAMED, **family_rows(script)}.items()}
    known = arguments_of(script, NEWEST)
    for field, key in keys_of(version).items():
        argument = names.get(field, field)
        default = trainer_default(argument)
        value = _EMPTY[key.kind] if default is None else default
        if argument in known and key.problem(value) is None:
            values[field] = value
    return values | {
        "xformers": "none",
        "optimizer": "AdamW",
        "lr_warmup": 0,
        "save_precision": "float",
        "dynamo_backend": "no",  # the trainer's default counts with torch_compile only
    }


_EMPTY: Mapping[str, Any] = {"str": "", "number": 0, "bool": False}


def as_json_values(call: TrainerCall, version: GuiVersion) -> Values:
    """Return the GUI's values for a call that was made without it. Raises InputError."""
    rate = call.toml.get("learning_rate", trainer_default("learning_rate"))
    rates = {"learning_rate": rate, "unet_lr": rate, "text_encoder_lr": rate}
    flag = flag_of_script(call.script)
    values = {**_blank_values(call.script, version), **({flag: True} if flag else {})}
    values["sample_prompts"] = call.sample_prompts
    given = {**rates, **call.toml}
    backend = given.pop("dynamo_backend", trainer_default("dynamo_backend"))
    if given.get("torch_compile"):
        given["dynamo_backend"] = backend
    return values | fields_of(given, call.script, version)


def close_gap(
    values: Mapping[str, Any], call: TrainerCall, version: GuiVersion
) -> tuple[Values, tuple[GuiDifference, ...]]:
    """Add what the fields cannot hold to the additional parameters, and say what is still other.

    Afterwards the GUI trains what `call` says, but for the differences.
    """
    planned = plan_call(values, version).toml
    words = [
        word
        for key, value in call.toml.items()
        if not _is_same(key, planned, call.toml)
        for word in as_words(key, value)
    ]
    text = " ".join([str(values.get("additional_parameters") or ""), *map(_quoted, words)])
    closed = {**values, "additional_parameters": text.strip()}
    planned = plan_call(closed, version).toml
    left = sorted(key for key in {*planned, *call.toml} if not _is_same(key, planned, call.toml))
    why = "the GUI has no field for it"
    return closed, tuple(
        GuiDifference(key, planned.get(key), call.toml.get(key), why) for key in left
    )


def _quoted(word: str) -> str:
    mark = "'" if '"' in word else '"'
    return f"{mark}{word}{mark}" if " " in word or mark != '"' or "'" in word else word


def _is_same(key: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return _effective(key, one) == _effective(key, other)


def _effective(key: str, toml: Mapping[str, Any]) -> object:
    """Return what the trainer makes of an argument, given or not, so that equals compare equal."""
    value = toml.get(key)
    if key == "text_encoder_lr" and toml.get("network_train_unet_only"):
        return 0
    if value is None and key in ("unet_lr", "text_encoder_lr"):
        key = "learning_rate"
        value = toml.get(key)
    if value is None:
        value = trainer_default(key)
    if key in ("text_encoder_lr", "learning_rate") and isinstance(value, list) and value:
        value = value[0] if len(set(value)) == 1 else value
    if key in ("max_train_steps",) and toml.get("max_train_epochs"):
        return None
    if key == "clip_skip" and value == 1:
        return None
    if key == "wandb_run_name" and toml.get("log_with") not in ("wandb", "all"):
        return None
    if key == "optimizer_type" and value is None:
        return "AdamW"
    if key == "multires_noise_discount" and not toml.get("multires_noise_iterations"):
        return None
    if key == "save_precision" and value == "float":
        return None
    if isinstance(value, list):
        return sorted(str(one).lower().removesuffix(".0") for one in value) or None
    return value or None


# Names of the trainer in a json of the GUI.


def with_fields(
    settings: Mapping[str, Any], version: GuiVersion, path: Path
) -> tuple[Values, list[Repair]]:
    """Put settings under sd-scripts' names into the GUI's fields, or its additional parameters.

    A field that is given as well wins, as it does in the GUI; each is reported.
    """
    gui = keys_of(GuiVersion.V26)
    script = script_of(settings)
    tables = {
        name: arguments_of(owners[0], NEWEST)[name] for name, owners in all_arguments().items()
    }
    repairs: list[Repair] = []
    words: list[str] = []
    settings = with_usual_names(settings, gui, repairs)
    theirs = tables.keys() - gui.keys() - set(HANDLED)
    taken = {key: value for key, value in settings.items() if key not in theirs}
    for name in settings.keys() - taken.keys() - {"network_module"}:
        value = typed(name, settings[name], tables[name], path) if settings[name] else None
        if value in (None, "", False) or value == trainer_default(name):
            continue
        found = {} if name in _OF_RATES else fields_of({name: value}, script, version)
        if name == "network_args" and "LoRA_type" not in settings:
            found = fields_of({name: value, **_module(settings)}, script, version)
        given = [key for key in found if settings.get(key) not in (None, "", found[key])]
        if given and name in (*_RENAMED, *family_rows(script)):
            repairs.append(Repair(name, value, None, f"the GUI's field {given[0]} says otherwise"))
        elif found and not given:
            taken |= found
            why = f"{name} is sd-scripts' name for it"
            repairs += [Repair(key, settings.get(key), one, why) for key, one in found.items()]
        else:
            words += as_words(name, value)
    if "LoRA_type" not in settings and "network_args" not in settings:
        taken |= fields_of(_module(settings), script, version)
    if isinstance(taken.get("text_encoder_lr"), list):
        rates = _rates({"text_encoder_lr": taken["text_encoder_lr"]})
        why = "a rate per text encoder, as sd-scripts accepts them"
        repairs.append(Repair("text_encoder_lr", taken["text_encoder_lr"], rates, why))
        taken |= rates
    if words:
        text = str(settings.get("additional_parameters") or "")
        after = " ".join([text, *map(_quoted, words)]).strip()
        taken["additional_parameters"] = after
        why = "arguments of sd-scripts for which the GUI has no field"
        repairs.append(Repair("additional_parameters", text, after, why))
    return taken, repairs


def with_usual_names(
    settings: Mapping[str, Any], gui: Mapping[str, Any], repairs: list[Repair]
) -> Mapping[str, Any]:
    """Follow names of other tools, such as `lr`, where the usual one is not given."""
    found = dict(settings)
    for old, new in OTHER_NAMES.items():
        if old in found and old not in gui and found.get(new) in (None, ""):
            found[new] = found.pop(old)
            repairs.append(Repair(new, None, found[new], f"{old} is another name for it"))
    return found


_OF_RATES = ("network_train_unet_only", "network_train_text_encoder_only")
"""What the GUI says by learning rates of 0, and a json may say beside other rates."""


def _module(settings: Mapping[str, Any]) -> Values:
    module = settings.get("network_module")
    return {"network_module": module} if module else {}
