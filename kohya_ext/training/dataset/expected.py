"""What a call of the trainer comes to: its datasets, and from these its exact steps.

`check`, `config`, the tab and a run's plan ask here, so that they all say the same number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..checks.findings import Finding, error, whole
from ..checks.images import check_folders, read_regular
from .bucketed import Subset, TrainingDataset, affixes_of, draws_of, shown_datasets
from .dataset_config import read_dataset_config
from .folders import DecodedPicture
from .listed import read_listed
from .steps import BucketedDataset, BucketRules, StepPlan, plan_steps, rules_of, skipped_area_of

DEFAULT_STEPS = 1600
"""What sd-scripts trains when it is told neither steps nor epochs."""


def read_datasets(
    values: Mapping[str, Any], scripts: Path | None = None
) -> tuple[tuple[TrainingDataset, ...], list[Finding]]:
    """Return what is trained: of a dataset config, a metadata file, or the numbered folders.

    `scripts` is the folder of a real trainer, from where relative paths of a dataset config count.
    """
    if values.get("dataset_config"):
        return read_dataset_config(values, scripts)
    rules = rules_in(values)
    batch_size = whole(values.get("train_batch_size")) or 1
    split = values.get("validation_split") or 0.0, values.get("validation_seed")
    area = skipped_area_of(values.get("skip_image_resolution"))
    if values.get("in_json"):
        subset, wrong = read_listed(
            Path(str(values["in_json"])),
            str(values.get("train_data_dir") or ""),
            whole(values.get("dataset_repeats")) or 1,
        )
        if subset is None:
            none = f"{values['in_json']} gives no pictures; sd-scripts would report success."
            return (), [*wrong, error("LL361", none, "Give a metadata file that lists some.")]
        if rules is None:
            return (), wrong
        subset = replace(subset, affixes=affixes_of(values))
        return (TrainingDataset((subset,), rules, batch_size, skipped_area=area),), wrong
    reading, findings = check_folders(values)
    regular, more = read_regular(values)
    if reading is None or rules is None:
        return (), [*findings, *more]
    extension = str(values.get("caption_extension", ".caption"))
    readings = [one for one in (reading, regular) if one is not None]
    subsets = tuple(
        Subset(one, extension, one == regular, affixes=affixes_of(values)) for one in readings
    )
    return (TrainingDataset(subsets, rules, batch_size, *split, area),), [*findings, *more]


def rules_in(values: Mapping[str, Any]) -> BucketRules | None:
    """Return the bucket rules of a call; None where its resolution cannot be used."""
    resolution = values.get("resolution")
    if not isinstance(resolution, str) or not re.fullmatch(r"\d+(\s*,\s*\d+)?", resolution):
        return None
    try:
        return rules_of(values)
    except (ValueError, TypeError):
        return None


def expected_steps(
    values: Mapping[str, Any],
    datasets: tuple[TrainingDataset, ...],
    facts: Mapping[Path, DecodedPicture],
    processes: int = 1,
) -> StepPlan | None:
    """Count the steps of a call; None where there is nothing to train, or it is drawn by lot."""
    shown = shown_datasets(datasets, facts, values.get("seed"))
    draws = draws_of(datasets, facts)
    if not shown or not draws:
        return None
    epochs = whole(values.get("max_train_epochs"))
    steps = 0 if epochs else whole(values.get("max_train_steps")) or DEFAULT_STEPS
    if not epochs:
        once = _count(shown, values, 1, processes)
        epochs = math.ceil(steps / once.steps_per_epoch) if once.steps_per_epoch else 0
    if not epochs:
        return None
    return replace(_count(shown, values, epochs, processes, steps), draws=draws)


def _count(
    shown: tuple[BucketedDataset, ...],
    values: Mapping[str, Any],
    epochs: int,
    processes: int,
    steps: int = 0,
) -> StepPlan:
    return plan_steps(
        shown,
        gradient_accumulation=whole(values.get("gradient_accumulation_steps")) or 1,
        processes=processes,
        epochs=epochs,
        max_steps=steps,
        save_every_n_epochs=save_every(values, epochs),
        output_name=str(values.get("output_name") or "last"),
    )


def save_every(values: Mapping[str, Any], epochs: int) -> int:
    """Return after how many epochs a file is saved; 0: only the last one.

    sd-scripts lets save_n_epoch_ratio, the number of files, count over save_every_n_epochs.
    """
    ratio = whole(values.get("save_n_epoch_ratio"))
    if ratio > 0:
        return epochs // ratio or 1
    return whole(values.get("save_every_n_epochs"))
