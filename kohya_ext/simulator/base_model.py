"""The simulator's base model: a file that looks like an SD 1.5 checkpoint and holds nothing."""

from __future__ import annotations

from pathlib import Path

from ..project.lora_file import Tensor, write_lora

_NAMES = (
    "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "first_stage_model.decoder.conv_in.bias",
    "model.diffusion_model.input_blocks.0.0.bias",
)
"""Enough of the names of an SD 1.5 checkpoint to be taken for one (the Kohya GUI's own rule)."""


def write_base_model(path: Path) -> Path:
    """Write a checkpoint of a few bytes for the simulated trainer; return its path."""
    tensors = {name: Tensor("F16", (4,), b"\0" * 8) for name in _NAMES}
    write_lora(path, tensors, {"comment": "loraloom simulated: a base model without content"})
    return path
