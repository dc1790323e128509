"""Settings by which nothing is trained, next to nothing, or nothing of the captions.

sd-scripts ends with success and a LoRA of the right size. Seen on the real trainer: dropout of 1
leaves every weight at zero, a warmup longer than the training a thirtieth of the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import cures
from .findings import Finding, error, warning, whole

Values = Mapping[str, Any]

_DROPOUTS = ("network_dropout", "dropout", "rank_dropout", "module_dropout")
_MOST_DROPOUT = 0.5
"""Our choice: sd-scripts advises 0.1 to 0.5."""
_WEAKEST, _STRONGEST = 1 / 200, 8.0
"""Our choice: an alpha of 1 for a rank of 128 is still used, twice the rank too."""
_SMALLEST_NORM = 0.01
_SMALLEST_GRADIENT = 1e-4
_SLOWEST = 3e-6
"""Our choice: sd-scripts' own default, 2e-6, is for whole models; a LoRA wants about 1e-4."""


def network_arguments(values: Values) -> dict[str, str]:
    """Return network_args by name, without those that are not name=value."""
    given = values.get("network_args")
    words = [str(one) for one in given] if isinstance(given, (list, tuple)) else []
    parts = [one.partition("=") for one in words]
    return {name.strip(): text.strip() for name, sign, text in parts if sign}


def number(value: Any) -> float | None:
    """Return a number of a config or of a network argument; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def check_no_effect(script: str, values: Values) -> Iterator[Finding]:
    """Return what would train nothing, hardly anything, or without the captions, silently."""
    yield from _check_dropout(values)
    yield from _check_captions(values)
    yield from _check_strength(values)
    yield from _check_rates_of_nothing(script, values)
    if values.get("masked_loss") and not any(
        values.get(key) for key in ("alpha_mask", "conditioning_data_dir", "dataset_config")
    ):
        yield warning(
            "LL359",
            "masked_loss is on, but there are no masks, so it has no effect.",
            "Switch alpha_mask on where the pictures have transparent parts, or masked_loss off.",
        )
    if values.get("zero_terminal_snr") and not values.get("v_parameterization"):
        yield warning(
            "LL359",
            "zero_terminal_snr is on without v_parameterization: the last timestep is pure noise, "
            "from which noise cannot be predicted.",
            cures.V_PREDICTION,
        )


def _check_dropout(values: Values) -> Iterator[Finding]:
    inner = network_arguments(values)
    for key in _DROPOUTS:
        rate = number(values.get(key) if key == "network_dropout" else inner.get(key))
        if rate is not None and rate >= 1:
            ends = "sd-scripts divides by zero" if key == "rank_dropout" else "nothing is trained"
            yield error("LL359", f"{key} is {rate:g}: {ends}.", "Set it to 0.1, or to 0.")
        elif rate is not None and rate > _MOST_DROPOUT:
            problem = f"{key} is {rate:g}: most of the LoRA is left out of each step."
            yield warning("LL359", problem, "Set it to 0.1 to 0.3, or to 0.")


def _check_captions(values: Values) -> Iterator[Finding]:
    always = {
        "caption_dropout_rate": (number(values.get("caption_dropout_rate")) or 0) >= 1,
        "caption_tag_dropout_rate": (number(values.get("caption_tag_dropout_rate")) or 0) >= 1,
        "caption_dropout_every_n_epochs": whole(values.get("caption_dropout_every_n_epochs")) == 1,
    }
    for key in (key for key, never_read in always.items() if never_read):
        yield error(
            "LL359",
            f"{key} is {values[key]:g}: every step is trained without its caption, so the "
            "trigger word would mean nothing.",
            "Set it to 0.",
        )


def _check_strength(values: Values) -> Iterator[Finding]:
    alpha, rank = number(values.get("network_alpha")), whole(values.get("network_dim"))
    alpha = 1.0 if alpha is None else alpha  # what sd-scripts takes when it is not told
    if alpha and rank and alpha / rank < _WEAKEST:
        yield warning(
            "LL359",
            f"network_alpha {alpha:g} is a {rank / alpha:.0f}th of network_dim {rank}: the LoRA "
            "learns that much less from each step.",
            f"Set it to {max(1, rank // 2)}, or raise the learning rate.",
        )
    elif alpha and rank and alpha / rank > _STRONGEST:
        yield warning(
            "LL359",
            f"network_alpha {alpha:g} is {alpha / rank:.0f} times network_dim {rank}: each step "
            "changes that much more.",
            f"Set it to {rank} or less.",
        )
    clipped = number(values.get("max_grad_norm"))
    if clipped is not None and 0 < clipped < _SMALLEST_GRADIENT:
        yield warning(
            "LL359",
            f"max_grad_norm is {clipped:g}: gradients are clipped to almost nothing.",
            "Set it to 1, or to 0 for no limit.",
        )
    norm = number(values.get("scale_weight_norms"))
    if norm is not None and 0 < norm < _SMALLEST_NORM:
        yield warning(
            "LL359",
            f"scale_weight_norms is {norm:g}: the weights are scaled down to almost nothing.",
            "Set it to 1, or leave it out.",
        )


def _check_rates_of_nothing(script: str, values: Values) -> Iterator[Finding]:
    of_unet = values.get("unet_lr", values.get("learning_rate"))
    text = values.get("text_encoder_lr", values.get("learning_rate"))
    of_texts = list(text) if isinstance(text, (list, tuple)) else [text]
    unet = not values.get("network_train_text_encoder_only")
    texts = not values.get("network_train_unet_only")
    rates = [of_unet] * unet + of_texts * texts
    if rates and all(number(one) == 0 for one in rates):
        yield error(
            "LL359",
            "All learning rates are 0, so sd-scripts has nothing to train.",
            "Set unet_lr, text_encoder_lr or learning_rate.",
        )
        return
    kind = str(values.get("optimizer_type") or "AdamW")
    finds_rate = kind.lower().startswith(("prodigy", "dadapt", "adafactor"))
    rate = number(values.get("unet_lr") or values.get("learning_rate")) or 2e-6
    if unet and not finds_rate and rate < _SLOWEST:
        origin = "is not given, so it is" if not values.get("learning_rate") else "is"
        yield warning(
            "LL359",
            f"The learning rate {origin} {rate:g}: a LoRA learns almost nothing with it.",
            "Set learning_rate to about 1e-4.",
        )
