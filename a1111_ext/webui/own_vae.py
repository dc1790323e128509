"""The VAE of the checkpoint that reForge has loaded, seen from within its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohya_ext.project import ToolError
from kohya_ext.project.lora_file import read_header

from ..api.inventory import OF_REFORGE
from ..cells.cell import Cell
from ..cells.own_vae import asks_for_vae

_LAST_LAYER = "decoder.conv_out."
_IN_CHECKPOINTS = ("first_stage_model.", "vae.")
_MOST_BYTES = 1_000_000
"""Some 14,000 are usual; a larger layer cannot be compared."""

_BF16, _SMALL = 2**-8, 2**-16
"""A VAE is mostly loaded as bfloat16: what differs by less, relatively or in all, is the same."""


def is_reforge() -> bool:
    """Tell whether this WebUI is reForge."""
    from modules import shared

    return OF_REFORGE in getattr(shared.opts, "data_labels", {})


def restore_own_vae(cell: Cell, incomparable: set[str]) -> None:
    """Load a checkpoint again if a cell that asks for no VAE would be drawn with one of before.

    `incomparable` keeps the files of checkpoints that were loaded again and cannot be compared
    with what is loaded, such as a .ckpt: each of them has its own VAE until another is asked for.
    """
    from modules import sd_models, shared

    if not is_reforge():
        return
    if asks_for_vae(cell, shared.opts.data):
        incomparable.clear()
        return
    info = _info(cell.checkpoint.title)
    loaded = sd_models.model_data.loaded_sd_models
    model = next((one for one in loaded if one.filename == info.filename), None)
    path = Path(info.filename)
    if model is None or info.filename in incomparable or _is_of(model, path):
        return
    if not _is_of(sd_models.load_model(info, forced_reload=True), path):
        incomparable.add(info.filename)


def _info(title: str) -> Any:
    from modules import sd_models

    return sd_models.checkpoint_aliases.get(title) or sd_models.select_checkpoint()


def _is_of(model: Any, path: Path) -> bool:
    """Tell whether a model's VAE is that of a file; False, too, where that cannot be told."""
    import numpy as np

    layer, compared = model.first_stage_model.decoder.conv_out, 0
    try:
        header = read_header(path)
        for tensor in header.tensors:
            head, _, kind = tensor.name.rpartition(_LAST_LAYER)
            if head not in _IN_CHECKPOINTS or kind not in ("weight", "bias"):
                continue
            with path.open("rb") as stream:
                stream.seek(header.data_begin + tensor.begin)
                raw = stream.read(min(tensor.end - tensor.begin, _MOST_BYTES))
            numbers = _numbers(tensor.dtype, raw)
            loaded = getattr(layer, kind).detach().float().cpu().numpy().reshape(-1)
            if not np.allclose(loaded, numbers, rtol=_BF16, atol=_SMALL):
                return False
            compared += 1
    except (ToolError, OSError, ValueError, KeyError):  # a .ckpt; a VAE of other sizes
        return False
    return compared > 0


def _numbers(dtype: str, raw: bytes) -> Any:
    import numpy as np

    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[dtype]).astype("<f4")
