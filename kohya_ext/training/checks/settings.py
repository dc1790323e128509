"""Advice on a config: what trains without an error and is still hardly what its author wants."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

SMALL_LOCON = 8
"""The practice's measured row: a LoCon of 8 dim was too small, one of 24 served well."""


def advise_on(
    values: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return sentences on the values of a Kohya json; each with its reason."""
    return tuple(_advice(values, environment))


def _advice(values: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    if values.get("log_with") in ("wandb", "all") and not environment.get("WANDB_API_KEY"):
        yield (
            "The loss goes to wandb, but WANDB_API_KEY is not set here: set it, store it in the "
            "keyring, or log in with `wandb login` in the trainer's environment."
        )
    dim = values.get("network_dim") or 0
    if str(values.get("LoRA_type")).endswith("LoCon") and dim <= SMALL_LOCON:
        yield (
            f"LoCon {dim}: too small. A LoCon of 8 dim was better than an embedding and worse than "
            "a normal LoRA; 24 worked well."
        )
    steps, epochs = values.get("max_train_steps") or 0, values.get("epoch") or 0
    if steps and epochs > 1 and not values.get("max_train_epochs"):
        yield (
            f"max_train_steps {steps:g} takes precedence over epoch {epochs:g}. To train by "
            "epochs, set max_train_steps to 0; 1600 is only the default of the GUI's page."
        )
