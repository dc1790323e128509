"""The datasets of one call: which pictures are shown how often, and in which batches.

sd-scripts makes one of all numbered folders, or those of a dataset config.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...project.json_reader import read_beginning
from .folders import DecodedPicture, FolderReading, caption_of
from .steps import BucketedDataset, BucketRules, ImageRepeats, Size, with_regularisation


@dataclass(frozen=True)
class Subset:
    """Folders of pictures whose captions end alike, for training or for regularisation.

    Of a listed one a metadata file gives the `captions`, and `sizes` where pictures need not be
    read. `affixes` are trained before and after every caption.
    """

    reading: FolderReading
    caption_extension: str
    is_reg: bool = False
    is_listed: bool = False
    draws_variants: bool = False
    """Whether `{a|b}` in a caption is drawn from (`enable_wildcard`)."""
    sizes: Mapping[Path, Size] = field(default_factory=dict)
    captions: Mapping[Path, str] = field(default_factory=dict)
    affixes: tuple[str, str] = ("", "")

    def trained_texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each picture with the text that sd-scripts trains with it.

        That is its caption, or the class tokens where it has none, between the affixes
        (library/dreambooth_dataset.py: load_dreambooth_dir, library/dataset.py: process_caption).
        """
        prefix, suffix = self.affixes
        for folder in self.reading.folders:
            for picture in folder.pictures:
                text = self.captions.get(picture, folder.class_tokens)
                path = None if self.is_listed else caption_of(picture, self.caption_extension)
                if path is not None:
                    text = read_beginning(path)
                yield picture, " ".join(filter(None, (prefix, text, suffix)))


@dataclass(frozen=True)
class TrainingDataset:
    """Subsets that share buckets and batch size.

    `validation_split` is the share of each folder that is not trained, drawn by
    `validation_seed`. Pictures of at most `skipped_area` pixels are left out.
    """

    subsets: tuple[Subset, ...]
    rules: BucketRules
    batch_size: int = 1
    validation_split: float = 0.0
    validation_seed: int | None = None
    skipped_area: int = 0

    @property
    def trained_pictures(self) -> tuple[Path, ...]:
        """All pictures but those of regularisation."""
        readings = (one.reading for one in self.subsets if not one.is_reg)
        return tuple(path for reading in readings for path in reading.pictures)

    def trained_count(self, pictures: int) -> int:
        """Return how many of a folder's pictures are trained, and not kept for validation."""
        split = self.validation_split
        return math.ceil(pictures * (1 - split)) if split > 0 else pictures


def affixes_of(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return caption_prefix and caption_suffix of sd-scripts' settings; "" for none."""
    return str(values.get("caption_prefix") or ""), str(values.get("caption_suffix") or "")


def shown_datasets(
    datasets: Iterable[TrainingDataset], facts: Mapping[Path, DecodedPicture], seed: int | None
) -> tuple[BucketedDataset, ...] | None:
    """Return what is shown per epoch, None where that cannot be expected.

    `seed` is the training's: without a validation seed, it draws what is kept for validation.
    """
    draw = random.Random(seed)
    found = []
    for dataset in datasets:
        unknown = dataset.validation_split and dataset.validation_seed is None and seed is None
        if unknown:
            return None
        trained = _shown(dataset, facts, draw, is_reg=False)
        regular = _shown(dataset, facts, draw, is_reg=True)
        pictures = tuple(with_regularisation(trained, regular))
        found.append(BucketedDataset(pictures, dataset.rules, dataset.batch_size))
    return tuple(found)


def draws_of(datasets: Iterable[TrainingDataset], facts: Mapping[Path, DecodedPicture]) -> int:
    """Return pictures times repeats; what is not trained (regularisation, validation) left out."""
    found = 0
    for dataset in datasets:
        for subset in dataset.subsets:
            for folder in subset.reading.folders if not subset.is_reg else ():
                there = [one for one in folder.pictures if _size(one, subset, dataset, facts)]
                found += folder.repeats * dataset.trained_count(len(there))
    return found


def _shown(
    dataset: TrainingDataset,
    facts: Mapping[Path, DecodedPicture],
    draw: random.Random,
    *,
    is_reg: bool,
) -> list[ImageRepeats]:
    """Return the whole pictures of a dataset; one in two subsets counts as in the last one."""
    found: dict[Path, ImageRepeats] = {}
    for subset in dataset.subsets:
        if subset.is_reg is not is_reg:
            continue
        for folder in subset.reading.folders:
            sizes = {one: _size(one, subset, dataset, facts) for one in folder.pictures}
            there = tuple(one for one in folder.pictures if sizes[one])
            for path in _trained(there, dataset, draw, is_reg=is_reg):
                if size := sizes[path]:
                    found[path] = ImageRepeats(*size, folder.repeats)
    return list(found.values())


def _size(
    path: Path, subset: Subset, dataset: TrainingDataset, facts: Mapping[Path, DecodedPicture]
) -> Size | None:
    """Return a picture's size; None where it is broken, or small enough to be left out."""
    size = subset.sizes.get(path)
    if size is None:
        one = facts[path]
        if one.problem:
            return None
        size = one.width, one.height
    return size if size[0] * size[1] > dataset.skipped_area else None


def _trained(
    pictures: tuple[Path, ...], dataset: TrainingDataset, draw: random.Random, *, is_reg: bool
) -> list[Path]:
    """Leave out what sd-scripts keeps for validation, library/train_util.py: split_train_val."""
    found = sorted(pictures, key=os.fspath)
    if is_reg or dataset.validation_split <= 0:
        return found
    seed = dataset.validation_seed
    (random.Random(seed) if seed is not None else draw).shuffle(found)
    return found[: dataset.trained_count(len(found))]
