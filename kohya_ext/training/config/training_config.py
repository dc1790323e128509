"""One training in the field's own terms, for every base model that sd-scripts trains.

What has no name of its own here goes through `more` unharmed, under the Kohya GUI's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ...project.families import FLAGS, Family, family_of_values
from .kohya_json import GuiVersion, Values, complete, keys_of

_KOHYA_NAMES = {
    "base_model": "pretrained_model_name_or_path",
    "lora_type": "LoRA_type",
    "resolution": "max_resolution",
}


@dataclass(frozen=True)
class TrainingConfig:
    """One training; rates per step, sizes in pixels as "width,height", 0 and "" mean none."""

    family: Family
    base_model: str
    vae: str
    train_data_dir: str
    reg_data_dir: str
    output_dir: str
    output_name: str
    logging_dir: str
    log_with: str
    lora_type: str
    network_dim: float
    network_alpha: float
    conv_dim: float
    conv_alpha: float
    network_weights: str
    resume: str
    resolution: str
    train_batch_size: float
    gradient_accumulation_steps: float
    max_train_epochs: float
    max_train_steps: float
    save_every_n_epochs: float
    learning_rate: float
    unet_lr: float
    text_encoder_lr: float
    optimizer: str
    lr_scheduler: str
    mixed_precision: str
    seed: float
    caption_extension: str
    sample_prompts: str
    sample_every_n_epochs: float
    more: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of_kohya(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Read the values of a complete Kohya json; `as_kohya` gives back the same."""
        family = family_of_values(values)
        named = {name: values[key] for name, key in _names()}
        taken = {key for _, key in _names()} | set(FLAGS.values())
        more = {key: value for key, value in values.items() if key not in taken}
        own = FLAGS.get(family)
        more |= {flag: True for flag in FLAGS.values() if flag != own and values.get(flag)}
        return cls(family=family, **named, more=tuple(sorted(more.items())))

    def as_kohya(self, version: GuiVersion) -> Values:
        """Return the complete json of a GUI version; what that version lacks is left out."""
        known = keys_of(version)
        own = FLAGS.get(self.family)
        values: Values = {flag: flag == own for flag in FLAGS.values()}
        values |= {key: getattr(self, name) for name, key in _names()}
        values |= dict(self.more)
        training = self.family.facts.training
        for key, value in training.fixed if training else ():
            if str(values.get(key)).casefold() != value:
                values[key] = value
        return complete({key: value for key, value in values.items() if key in known}, version)

    def fits(self, version: GuiVersion) -> bool:
        """Whether the GUI of `version` trains this family at all."""
        training = self.family.facts.training
        if training is None:
            return False
        needed = [training.flag, *(key for key, _ in training.fixed)]
        return all(key in keys_of(version) for key in needed if key)

    def with_values(self, values: Mapping[str, Any]) -> TrainingConfig:
        """Return a copy with values under the Kohya GUI's names changed."""
        names = {key: name for name, key in _names()}
        named = {names[key]: value for key, value in values.items() if key in names}
        more = {key: value for key, value in values.items() if key not in names}
        return replace(self, **named, more=tuple(sorted({**dict(self.more), **more}.items())))

    @property
    def trains_text_encoder(self) -> bool:
        """Whether words get new meanings, not only pictures."""
        return self.text_encoder_lr > 0


def _names() -> tuple[tuple[str, str], ...]:
    """Return pairs of our name and the Kohya GUI's."""
    own = [one.name for one in fields(TrainingConfig) if one.name not in ("family", "more")]
    return tuple((name, _KOHYA_NAMES.get(name, name)) for name in own)
