"""The manifest `lora-project.yaml`: what the LoRA is of, and the numbers of every step.

`manifest_reader` reads it. Commands never rewrite it: decisions go to reviews.db. Screens change
single values in place, see `manifest_edit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .consent import Consent
from .families import Family

MANIFEST_NAME = "lora-project.yaml"
FORMAT = 1
"""The manifest format that this version writes and reads without migration."""


class SubjectKind(str, Enum):
    """What the LoRA is of."""

    STYLE = "style"
    OBJECT = "object"
    CREATURE = "creature"
    CHARACTER = "character"
    PERSON = "person"


@dataclass(frozen=True)
class Subject:
    """The subject; a person needs a `consent` before anything is staged."""

    kind: SubjectKind = SubjectKind.CHARACTER
    description: str = ""
    consent: Consent | None = None


@dataclass(frozen=True)
class BaseModel:
    """The model to train on: its family and a file path or hub name."""

    family: Family = Family.SD15
    path: str = ""
    vae: str = ""


@dataclass(frozen=True)
class Repeats:
    """How often a picture of each role is shown per epoch, where a person says so."""

    primary: int = 5
    supporting: int = 2


USUAL_INFLUENCE = 2.0
"""Primaries give about twice the steps of the supporting pictures."""


@dataclass(frozen=True)
class DatasetSettings:
    """Staging: repeats by hand or the influence that chooses them; what a rating stands for."""

    influence: float | None = None
    repeats: Repeats | None = None
    ratings: Mapping[str, str] = field(
        default_factory=lambda: {"1": "primary", "2": "supporting", "-1": "out"}
    )


@dataclass(frozen=True)
class CaptionSettings:
    """Tagging: thresholds from 0 to 1; `{trigger}` in the prefix stands for the trigger word."""

    model: str = ""
    prefix: str = "photo of {trigger},"
    undesired_tags: tuple[str, ...] = ()
    undesired_tags_file: str = ""
    general_threshold: float = 0.35
    character_threshold: float = 0.85
    replacements: Mapping[str, str] = field(default_factory=dict)
    implications: Mapping[str, str] = field(default_factory=dict)
    drop_parts: bool = False
    order: str = "model"
    first_tags: tuple[str, ...] = ()
    max_tokens: int = 0
    exact_pictures: bool = False
    caption_extension: str = ".txt"


@dataclass(frozen=True)
class TrainingSettings:
    """Training: a preset, the length, and any further field of the training config."""

    preset: str = ""
    output_name: str = ""
    max_train_epochs: int = 10
    save_every_n_epochs: int = 1
    train_batch_size: int | None = None
    resolution: str = ""
    seed: int | None = None
    sample_prompts: tuple[str, ...] = ()
    sample_every_n_epochs: int = 1
    log_with: str = ""
    network_weights: str = ""
    resume: str = ""
    kohya_version: str = "v26"
    validation_split: float = 0.0
    validate_every_n_epochs: int = 1
    overrides: Mapping[str, Any] = field(default_factory=dict)
    free_webui: bool = False


@dataclass(frozen=True)
class HiresSettings:
    """Hires fix of the showcase: 1.5 to 2.5 times with denoising 0.2 to 0.35 is usual."""

    upscaler: str = ""
    scale: float = 2.0
    denoising_strength: float = 0.35
    steps: int = 0


@dataclass(frozen=True)
class PictureSettings:
    """How a WebUI draws a picture, in the WebUI's own words; sizes in pixels.

    `scripts` are always-on scripts such as ADetailer, each with its arguments as its API has them;
    `distilled_cfg_scale` (Shift for models that have one) and `modules` are Forge's.
    """

    width: int = 512
    height: int = 512
    steps: int = 20
    sampler: str = "Euler a"
    scheduler: str = "Automatic"
    cfg_scale: float = 7.0
    clip_skip: int = 1
    distilled_cfg_scale: float | None = None
    modules: tuple[str, ...] = ()
    scripts: Mapping[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class GridSettings:
    """The epoch grid; `{lora}` and `{trigger}` stand for the LoRA tag and the trigger word."""

    prompt: str = "{lora} photo of {trigger}"
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (-1, -1, -1, -1)
    lora_weights: tuple[float, ...] = (1.0,)
    checkpoint: str = ""
    picture: PictureSettings = field(default_factory=PictureSettings)


@dataclass(frozen=True)
class ShowcaseSettings:
    """Showcase batches: one template or style, several checkpoints, `count` pictures each.

    `per_checkpoint` holds what differs from `picture` by checkpoint: size, clip skip, sampler.
    """

    template: str = ""
    negative_prompt: str = ""
    style: str = ""
    styles_file: str = ""
    wildcards: str = ""
    follow_links: bool = False
    checkpoints: tuple[str, ...] = ()
    count: int = 10
    seed: int = 1
    lora_weight: float = 1.0
    hires_fix: HiresSettings | None = None
    picture: PictureSettings = field(default_factory=PictureSettings)
    per_checkpoint: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Permissions:
    """What others may do with the LoRA, in the words of the publishing site's form."""

    commercial_use: tuple[str, ...] = ()
    without_credit: bool = False
    derivatives: bool = True
    other_license: bool = False


@dataclass(frozen=True)
class PublishSettings:
    """The publish pack; None where it follows from subject or licence."""

    title: str = ""
    description: str = ""
    source_link: str = ""
    base_model: str = ""
    author: str = ""
    license: str = ""
    tags: tuple[str, ...] = ()
    category: str = ""
    ai_label: bool | None = None
    permissions: Permissions | None = None


@dataclass(frozen=True)
class Manifest:
    """One LoRA project, as its maker wrote it down."""

    trigger_word: str
    class_word: str = ""
    format: int = FORMAT
    subject: Subject = field(default_factory=Subject)
    base_model: BaseModel = field(default_factory=BaseModel)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    captions: CaptionSettings = field(default_factory=CaptionSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    showcase: ShowcaseSettings = field(default_factory=ShowcaseSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)

    @property
    def output_name(self) -> str:
        """The LoRA's file name without number and suffix."""
        return self.training.output_name or self.trigger_word.replace(" ", "_")
