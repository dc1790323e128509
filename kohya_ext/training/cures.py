"""What to do about faults that a check finds before the start and the trainer names after it."""

from __future__ import annotations

from typing import Final

NOISE_OFFSET: Final = "Set noise_offset, or adaptive_noise_scale to 0."
V_PREDICTION: Final = "Switch it off, or v_parameterization on if the base model predicts v."
CACHED_LATENTS: Final = "Switch color_aug and random_crop off, or do not cache latents."
ADAFACTOR: Final = "Set lr_scheduler to constant or cosine, or the optimizer to Adafactor."
