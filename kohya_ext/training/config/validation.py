"""Validation loss: pictures that are kept back, and what that means. The Kohya GUI has no fields.

The manifest has its own two values; here is what an option of a command adds to any call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .arguments import TrainerCall
from .call_values import effective

REASON = (
    "while a LoRA overfits, the loss on its training pictures still falls, but the loss on other "
    "pictures rises"
)


@dataclass(frozen=True)
class Validation:
    """The share of pictures kept back, and how often their loss is measured; None: as it is."""

    split: float | None = None
    every: int | None = None

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the trainer's arguments; a seed, so that the same pictures are kept each time."""
        split = values.get("validation_split") if self.split is None else self.split
        if not split:
            return {} if self.split is None else {"validation_split": 0.0}
        every = self.every or values.get("validate_every_n_epochs") or 1
        seed = values.get("validation_seed") or values.get("seed") or 1
        return {
            "validation_split": split,
            "validation_seed": seed,
            "validate_every_n_epochs": every,
        }


AS_IT_SAYS = Validation()
"""What a config says of validation itself is left as it is."""


def with_validation(call: TrainerCall, validation: Validation) -> TrainerCall:
    """Return a call that keeps pictures back, whatever it says of it itself."""
    added = validation.arguments(effective(call))
    return replace(call, toml=dict(sorted({**call.toml, **added}.items())))
