"""Preflight of the models: what the base model really is, and the files that its family needs.

sd-scripts finds most of this after minutes, and some of it never: an inpainting model or one that
predicts v is trained as if it were another, silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...project import ToolError
from ...project.families import Family, family_of_script
from ...project.lora_file import LoraHeader, read_header
from ...project.lora_kind import read_facts
from ..config.arguments import TrainerCall
from ..config.paths import MODEL_FILES, is_hub_name
from .findings import Finding, error, warning

_UNET = "model.diffusion_model."
_IN_LDM_FORM = (Family.SD15, Family.SD2, Family.SDXL)
_FIRST_LAYER = f"{_UNET}input_blocks.0.0.weight"
_INPAINTING_CHANNELS = 9
_V_NAME = re.compile(r"v[-_ .]?pred(iction)?(?![a-z])", re.IGNORECASE)
_SD2_V_NAME = re.compile(r"768[-_. ]?v(?![a-z])|(?<![a-z])v?2[-_.]?[01][-_. ]768", re.IGNORECASE)
_SD2_NOISE_NAME = re.compile(r"512[-_. ]?base|(?<![a-z])v?2[-_.]?[01][-_. ]512", re.IGNORECASE)
"""The names of the two SD 2 models that predict v; those of 512 pixels predict noise."""
_INSIDE = {
    "clip_l": "text_encoders.clip_l.",
    "clip_g": "text_encoders.clip_g.",
    "t5xxl": "text_encoders.t5xxl.",
}
"""Where a checkpoint of SD 3 holds its own text encoders."""


def check_base_model(call: TrainerCall, values: Mapping[str, Any]) -> Iterator[Finding]:
    path = Path(str(values.get("pretrained_model_name_or_path") or ""))
    wanted = family_of_script(call.script, values)
    if not path.is_file():
        yield from _check_companions(None, wanted, values)
        return
    problem = no_model(path)
    if problem:
        yield error("LL380", f"{path} {problem}.", "Download the base model again.")
        return
    if path.suffix != ".safetensors":
        yield from _check_companions(None, wanted, values)
        return
    try:
        header = read_header(path)
    except ToolError as refused:
        yield error(refused.code, refused.problem, refused.cure)
        return
    found = (
        list(_check_kind(path, header))
        or list(_check_family(path, header, call, values))
        or list(_check_unet(path, header, wanted))
    )
    yield from found
    if not found:
        yield from _check_inpainting(path, header, values)
        yield from _check_prediction(path, header, wanted, values)
    yield from _check_companions(header, wanted, values)


def no_model(path: Path) -> str:
    """Say what a file is that came instead of a model; empty where nothing speaks against it."""
    try:
        with path.open("rb") as stream:
            begin = stream.read(512)
    except OSError as refused:
        return f"cannot be read ({refused.strerror})"
    plain = begin.lstrip().lower()
    if not begin:
        return "is empty"
    if plain.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not a model: the download needed a login or another link"
    if plain.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the model itself"
    if plain.startswith((b'{"error', b'{"message')):
        return "is a server's error message, not a model"
    return ""


def _check_kind(path: Path, header: LoraHeader) -> Iterator[Finding]:
    facts = read_facts(header)
    if facts.kind is not None:
        yield error(
            "LL384",
            f"{path.name} is a {facts.kind.value} for {facts.family_title}, not a base model.",
            "Give the checkpoint that it was trained on; to continue from the LoRA, use --weights.",
        )
    elif facts.what.startswith("a ") and not facts.families and "other tensors" not in facts.what:
        yield error(
            "LL384", f"{path.name} is {facts.what}, not a base model.", "Give a whole checkpoint."
        )


def _check_unet(path: Path, header: LoraHeader, wanted: Family | None) -> Iterator[Finding]:
    names = [one.name for one in header.tensors]
    if wanted in _IN_LDM_FORM and not any(one.startswith(_UNET) for one in names):
        is_diffusers = any(one.startswith("down_blocks.") for one in names)
        what = "is in the form of diffusers" if is_diffusers else "contains no U-Net"
        yield error(
            "LL384",
            f"{path.name} {what}; sd-scripts would fail while loading it.",
            "Give a whole checkpoint in the form of the WebUI.",
        )


def _check_family(
    path: Path, header: LoraHeader, call: TrainerCall, values: Mapping[str, Any]
) -> Iterator[Finding]:
    families = read_facts(header).families
    wanted = family_of_script(call.script, values)
    if not families or wanted is None or wanted in families:
        return
    found = families[0].facts
    if found.training is None:
        yield error(
            "LL384",
            f"{path.name} is a {found.title} model, which sd-scripts does not train.",
            "Choose another base model, or a trainer made for this one.",
        )
    elif found.training.script != call.script:
        yield error(
            "LL384",
            f"{path.name} is a {found.title} model, but {call.script_name} would train it.",
            f"Choose the base model family {found.title} in the config, or another base model.",
        )
    else:
        by_type = bool(found.training.fixed) or not found.training.flag.startswith("v2")
        key = "model_type" if by_type and found.training.flag else "v2"
        value = dict(found.training.fixed).get(key, "flux")
        value = found.training.flag == "v2" if key == "v2" else value
        shown = values.get(key, False if key == "v2" else "flux")
        yield error(
            "LL384",
            f"{path.name} is a {found.title} model, but {key} is {shown}.",
            f"Set {key} to {value}.",
        )


def _check_inpainting(
    path: Path, header: LoraHeader, values: Mapping[str, Any]
) -> Iterator[Finding]:
    first = next((one for one in header.tensors if one.name == _FIRST_LAYER), None)
    channels = first.shape[1] if first and len(first.shape) > 1 else 0
    if channels == _INPAINTING_CHANNELS and not values.get("train_inpainting"):
        yield error(
            "LL384",
            f"{path.name} is an inpainting model: its U-Net takes {channels} channels, not 4.",
            "Choose the model that it was made of, or train_inpainting where sd-scripts has it.",
        )


def _check_prediction(
    path: Path, header: LoraHeader, wanted: Family | None, values: Mapping[str, Any]
) -> Iterator[Finding]:
    if wanted not in _IN_LDM_FORM:
        return
    names = {one.name for one in header.tensors}
    said = header.metadata.get("modelspec.prediction_type", "").casefold()
    built = header.metadata.get("modelspec.architecture", "").casefold()
    is_marked = "v_pred" in names or said in ("v", "v_prediction", "v-prediction")
    is_marked = is_marked or (built.partition("/")[0].endswith("-768-v") and said != "epsilon")
    is_named = bool(_V_NAME.search(path.stem)) or (
        wanted is Family.SD2 and bool(_SD2_V_NAME.search(path.stem))
    )
    chosen = bool(values.get("v_parameterization"))
    if is_marked and not chosen:
        yield error(
            "LL359",
            f"{path.name} predicts v by its header, but v_parameterization is off: it would "
            "silently be trained for noise.",
            "Switch v_parameterization on.",
        )
    elif is_named and not chosen and said != "epsilon":
        yield warning(
            "LL359",
            f"{path.name} predicts v by its name, but v_parameterization is off.",
            "Switch v_parameterization on, if the name is right.",
        )
    elif chosen and said == "epsilon":
        yield error(
            "LL359",
            f"{path.name} predicts noise by its header, but v_parameterization is on.",
            "Switch v_parameterization off.",
        )
    elif chosen and wanted is Family.SD2 and _SD2_NOISE_NAME.search(path.stem):
        yield warning(
            "LL359",
            f"{path.name} predicts noise by its name, but v_parameterization is on.",
            "Switch v_parameterization off, if the name is right.",
        )
    elif chosen and wanted is not Family.SD2 and not (is_marked or is_named):
        yield warning(
            "LL359",
            f"v_parameterization is on, but nothing in {path.name} says that it predicts v.",
            "Switch it off, unless you know that this model does.",
        )
    if "ztsnr" in names and not values.get("zero_terminal_snr"):
        yield warning(
            "LL359",
            f"{path.name} was trained with zero terminal SNR, but zero_terminal_snr is off.",
            "Switch zero_terminal_snr on.",
        )


def _check_companions(
    header: LoraHeader | None, wanted: Family | None, values: Mapping[str, Any]
) -> Iterator[Finding]:
    """Look for the files that the family needs, and at all that are named."""
    training = wanted.facts.training if wanted else None
    names = [one.name for one in header.tensors] if header else []
    for one in training.companions if training else ():
        if values.get(one.argument) or not (one.needed or header):
            continue
        if any(name.startswith(_INSIDE.get(one.argument, "\0")) for name in names):
            continue
        yield error(
            "LL381",
            f"{wanted.facts.title if wanted else ''} needs {one.title}, but {one.argument} is "
            "empty; sd-scripts would fail after loading the model.",
            f"Set {one.key} to the file.",
        )
    for key in ("vae", *MODEL_FILES):
        given = values.get(key)
        for text in map(str, given if isinstance(given, list) else [given or ""]):
            yield from _check_companion(key, text)


def _check_companion(key: str, text: str) -> Iterator[Finding]:
    path = Path(text)
    if not text or not path.is_file():
        if text and not path.exists() and not is_hub_name(key, text):
            problem = f"{key} names {text}, which does not exist."
            yield error("LL381", problem, "Correct the path.")
        return
    problem = no_model(path)
    if problem:
        yield error("LL381", f"{key}: {path} {problem}.", "Download the file again.")
    elif path.suffix == ".safetensors":
        try:
            read_header(path)
        except ToolError as refused:
            yield error(refused.code, refused.problem, refused.cure)
