"""The WebUI that we live in: what it has, and how it draws cells with its own processing.

Which page settings a picture starts from is left to `page` and `jobs`.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from kohya_ext.project import HostError

from ..api.capabilities import Capabilities, Checkpoint, Lora
from ..api.client import OutOfMemory
from ..api.forge_modules import chosen_among, text_encoder_names
from ..api.inventory import own_schedules
from ..api.payloads import forge_hires, module_settings, vae_settings, with_whole_numbers
from ..cells.backend import Backend, DrawingStopped
from ..cells.cell import Cell
from ..cells.model_files import HYPERNETWORK, replaced_since
from ..cells.verify import Generated
from .own_vae import is_reforge, restore_own_vae

NAME = "this WebUI"
SAID_ALOUD: Mapping[str, object] = {
    "lora_add_hashes_to_infotext": True,
    "add_model_hash_to_info": True,
    "add_model_name_to_info": True,
}
"""Options without which an infotext cannot be checked; put back after every picture."""

Begin = Callable[[], AbstractContextManager[Any]]
"""Gives a fresh processing object for one picture, and ends what belongs to it."""


class InProcessBackend(Backend):
    """Draws in this process; every picture puts the host's settings back by itself.

    Whoever begins a picture also takes the host's queue lock.
    """

    name = NAME

    def may_keep(self, name: str) -> bool:
        """LoRAs of the same names and weights are taken for those of the picture before."""
        return True

    def forget_loras(self, checkpoint: str) -> None:
        """Let the host read its LoRAs again."""
        forget_loras()

    def replaced(self, cell: Cell) -> str:
        """Name a file of a cell that was replaced since it was pinned; "" for none."""
        return replaced_since(cell, read_capabilities()) if cell.files else ""

    def forget_vae(self, checkpoint: str) -> None:
        """Let the host read the next picture's VAE from its file."""
        forget_vae()

    def __init__(self, begin: Begin, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._begin = begin
        self._clock = clock
        self._incomparable: set[str] = set()

    def begin(self, cell: Cell) -> AbstractContextManager[Any]:
        """Begin the picture of a cell."""
        return self._begin()

    def generate(self, cell: Cell) -> Generated:
        """Draw a cell.

        Raises HostError (no picture; the host failed; skipped), OutOfMemory or DrawingStopped
        (after Interrupt).
        """
        with self.begin(cell) as p:
            _raise_if_stopped()
            restore_own_vae(cell, self._incomparable)
            started = self._clock()
            apply_cell(p, cell)
            with kept_options({**SAID_ALOUD, **p.override_settings}):
                processed = _process(p)
            return _read(processed, self._clock() - started)


def apply_cell(p: Any, cell: Cell) -> None:
    """Write a cell's whole request into a processing object."""
    p.prompt, p.negative_prompt, p.styles = cell.prompt, cell.negative_prompt, []
    p.seed, p.subseed, p.subseed_strength = cell.seed, cell.subseed, cell.subseed_strength
    p.width, p.height, p.steps, p.cfg_scale = cell.width, cell.height, cell.steps, cell.cfg_scale
    p.sampler_name, p.scheduler = cell.sampler, cell.scheduler
    p.n_iter = p.batch_size = 1
    p.override_settings = {**cell.override_settings, "CLIP_stop_at_last_layers": cell.clip_skip}
    if cell.checkpoint.title:
        p.override_settings["sd_model_checkpoint"] = cell.checkpoint.title
    is_forge = hasattr(p, "hr_additional_modules")
    p.override_settings |= vae_settings(cell.vae, _text_encoders() if is_forge else None)
    if is_forge:
        p.override_settings |= module_settings(cell)
        if cell.distilled_cfg_scale is not None:
            p.distilled_cfg_scale = cell.distilled_cfg_scale
    p.enable_hr = cell.hires_fix is not None
    if cell.hires_fix is not None:
        p.hr_upscaler, p.hr_scale = cell.hires_fix.upscaler, cell.hires_fix.scale
        p.hr_second_pass_steps = cell.hires_fix.steps
        p.denoising_strength = cell.hires_fix.denoising_strength
        for name, value in forge_hires(cell, cell.hires_fix).items():
            is_chosen = name == "hr_additional_modules" and getattr(p, name, None) is not None
            if hasattr(p, name) and not is_chosen:  # A1111 has none of them, reForge has hr_cfg
                setattr(p, name, value)


def _text_encoders() -> tuple[str, ...]:
    """Return Forge's chosen modules that are no VAE; what each is its own list tells."""
    from modules import shared

    main_entry = sys.modules.get("modules_forge.main_entry")
    listed = getattr(main_entry, "module_list", {})
    rows = [{"model_name": name, "filename": path} for name, path in listed.items()]
    encoders = text_encoder_names(rows, vars(shared.cmd_opts))
    return chosen_among(getattr(shared.opts, "forge_additional_modules", None), encoders)


@contextmanager
def kept_options(values: Mapping[str, object]) -> Iterator[None]:
    """Set SAID_ALOUD for one picture and put the options named in `values` back after it.

    The host itself puts back only those that its config.json holds; others would stick. Where
    it has 2.0, it would take 2 for the same and keep 2.0.
    """
    from modules import sd_vae, shared

    data = shared.opts.data
    before = with_whole_numbers({name: data[name] for name in values if name in data})
    data.update({**before, **SAID_ALOUD})
    try:
        yield
    finally:
        for name in values:
            data.pop(name, None)
        data.update(before)
        if "sd_vae" in values and "sd_vae" not in before:
            sd_vae.reload_vae_weights()  # the host did so only for a setting that it knew


def _process(p: Any) -> Any:
    from modules import processing

    try:
        return processing.process_images(p)
    except Exception as error:  # whatever a host or its extensions raise for one picture
        problem = f"The WebUI could not draw it: {type(error).__name__}: {error}"
        if type(error).__name__ == "OutOfMemoryError":
            cure = "Make the pictures smaller, or close other programs that use the GPU."
            raise OutOfMemory("LL407", problem, cure) from error
        raise HostError("LL756", problem, "The WebUI's console shows where.") from error


def _raise_if_stopped() -> None:
    from modules import shared

    if shared.state.interrupted or shared.state.stopping_generation:
        raise DrawingStopped


def _read(processed: Any, seconds: float) -> Generated:
    from modules import shared

    if shared.state.interrupted:
        raise DrawingStopped
    if shared.state.skipped:
        raise HostError("LL757", "It was skipped.", "Draw the grid again to add it.")
    index = processed.index_of_first_image
    if len(processed.images) <= index:
        raise HostError("LL451", "The WebUI gave no picture.", "The WebUI's console may say why.")
    infotext = str(processed.infotexts[index])
    png = png_bytes(processed.images[index], infotext)
    return Generated(png, infotext, str(processed.sd_model_hash or ""), seconds)


def png_bytes(picture: Any, infotext: str) -> bytes:
    """Return a picture as PNG with its infotext where the host's "PNG Info" looks for it."""
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("parameters", infotext)
    stream = io.BytesIO()
    picture.save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def read_capabilities() -> Capabilities:
    """Return checkpoints, samplers, LoRAs and scripts as the API would list them."""
    from modules import scripts, sd_models, sd_samplers, sd_schedulers, sd_vae, shared

    modules = getattr(sys.modules.get("modules_forge.main_entry"), "module_list", None)
    return Capabilities(
        url=NAME,
        checkpoints=tuple(
            Checkpoint(one.title, one.model_name, one.sha256 or "", str(one.filename))
            for one in sd_models.checkpoints_list.values()
        ),
        loaded=str(sd_models.select_checkpoint().title),
        samplers=tuple(one.name for one in sd_samplers.all_samplers),
        own_schedules=own_schedules((one.name, one.options) for one in sd_samplers.all_samplers),
        schedulers=tuple(one.label for one in sd_schedulers.schedulers),
        upscalers=(*shared.latent_upscale_modes, *(one.name for one in shared.sd_upscalers)),
        loras=tuple(_loras()),
        scripts=tuple(one.title().lower() for one in scripts.scripts_txt2img.scripts),
        lora_dir=str(shared.cmd_opts.lora_dir),
        is_simulated=False,
        has_agent_scheduler=False,
        hashes_files=not getattr(shared.cmd_opts, "no_hashing", False),
        hypernetworks=None if is_reforge() else tuple(getattr(shared, "hypernetworks", ())),
        settings=dict(shared.opts.data),
        is_forge=modules is not None,
        vaes=tuple(sd_vae.vae_dict if modules is None else modules),
        modules=None if modules is None else tuple(modules),
        files={
            "VAE": _existing(sd_vae.vae_dict if modules is None else modules),
            "module": _existing(modules or {}),
            HYPERNETWORK: _existing(getattr(shared, "hypernetworks", {})),
            "upscaler": _existing(
                {one.name: getattr(one, "data_path", "") for one in shared.sd_upscalers}
            ),
        },
    )


def _existing(paths: Any) -> dict[str, str]:
    """Return the files of a list by their names; what Forge may hold as a tuple has no paths."""
    found = paths.items() if isinstance(paths, Mapping) else ()
    return {str(name): str(path) for name, path in found if path and Path(str(path)).is_file()}


def _loras() -> Iterable[Lora]:
    networks = sys.modules.get("networks")  # the host's built-in extension Lora
    for one in getattr(networks, "available_networks", {}).values():
        metadata = one.metadata or {}
        known = str(metadata.get("sshs_model_hash") or "")[:12]
        yield Lora(one.name, one.alias, known, str(one.filename))


def refresh_loras() -> None:
    """Let the host see LoRA files that were put into its folder."""
    networks = sys.modules.get("networks")
    if networks is not None:
        networks.list_available_networks()
    forget_loras()


def forget_loras() -> None:
    """Let the host read LoRA files again: it goes by name and weight, not by what is in the file.

    Forge notes what it has put into the model as a whole, A1111 in each layer; A1111 may keep files
    in memory, going by their time. Both keep what the text encoder made of the last prompts.
    """
    from modules import processing, sd_models, shared

    networks = sys.modules.get("networks")
    getattr(networks, "networks_in_memory", {}).clear()
    read_file = getattr(networks, "load_lora_state_dict", None)
    getattr(read_file, "cache_clear", lambda: None)()  # Forge and reForge keep five, by their paths
    getattr(shared, "loaded_hypernetworks", []).clear()
    for kind in (
        processing.StableDiffusionProcessing,
        processing.StableDiffusionProcessingTxt2Img,
    ):
        for name in _REMEMBERED:
            if name in vars(kind):
                setattr(kind, name, [None] * len(getattr(kind, name)))
    model: Any = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    if hasattr(model, _IN_FORGE):
        setattr(model, _IN_FORGE, "")
    for layer in model.modules() if hasattr(model, "modules") else ():
        if getattr(layer, _IN_A1111, ()):  # one that was never changed has nothing to go back to
            setattr(layer, _IN_A1111, ("forgotten",))


def forget_vae() -> None:
    """Let the host read its VAE again: it goes by the name alone.

    Forge notes which files it has made its model of, A1111 which one it has loaded.
    """
    from modules import sd_models, sd_vae

    known = sd_models.model_data
    if hasattr(known, _FILES_OF_FORGE):
        setattr(known, _FILES_OF_FORGE, "")
    elif known.sd_model is not None:
        sd_vae.reload_vae_weights(vae_file=None)


_FILES_OF_FORGE = "forge_hash"
_REMEMBERED = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
_IN_FORGE = "current_lora_hash"
_IN_A1111 = "network_current_names"
