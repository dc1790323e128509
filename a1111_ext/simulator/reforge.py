"""What reForge does otherwise than A1111, as measured on 3b56b268.

It has A1111's routes and an option of its own, lists hypernetworks and draws with none, and
continues drawing with a VAE that was chosen before, until the checkpoint is loaded again. Simulated
for every VAE: the real one finds its way back from one that was chosen when the checkpoint was
loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .host import SimulatedHost


@dataclass
class SimulatedReforge(SimulatedHost):
    """A simulated reForge."""

    version: str = "f1.0.0v2-v1.10.1RC"
    _left: list[str] = field(default_factory=list)
    """The VAE that was chosen last for the checkpoint that is loaded."""

    def options(self) -> dict[str, Any]:
        return {**super().options(), "sd_text_encoder": "Automatic"}

    def _load(self, name: str) -> None:
        if name != self._loaded:
            self._left = []
        super()._load(name)

    def _hypernetworks_in(self, prompt: str) -> list[str]:
        return []

    def _vae_drawn_with(self) -> list[str]:
        self._left = super()._vae_drawn_with() or self._left
        return self._left
