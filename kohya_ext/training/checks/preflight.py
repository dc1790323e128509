"""Everything that would fail late, found before a model is loaded: data, config, files, machine.

Each row is a finding with a code; errors stop a run, warnings do not. Nothing is changed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...project import ProgressHandler, ToolError, silent
from ...project.files import free_bytes
from ..config.arguments import TrainerCall, arguments_of, require_valid_call
from ..dataset.bucketed import TrainingDataset, draws_of, numbered_datasets, shown_datasets
from ..dataset.dataset_config import read_dataset_config
from ..dataset.folders import PictureFacts, inspect_pictures
from ..dataset.steps import BucketedDataset, BucketRules, StepPlan, plan_steps, rules_of
from ..run.launch import processes_of
from ..trainer import Trainer
from .ask_trainer import TrainerAnswer, ask_trainer
from .files import (
    check_disk,
    check_family,
    check_files,
    check_output,
    check_resume,
    estimated_file_bytes,
)
from .findings import Finding, Level, error, warning, whole
from .images import check_captions, check_folders, check_pictures, read_regular
from .machine import Gpu, check_environment, check_gpus, chosen_gpu, find_gpus

DEFAULT_STEPS = 1600
"""What sd-scripts trains when it is told neither steps nor epochs."""


@dataclass(frozen=True)
class Preflight:
    """All findings on one call of the trainer, and what it would do if it ran."""

    findings: tuple[Finding, ...]
    steps: StepPlan | None
    pictures: tuple[PictureFacts, ...]
    file_bytes: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.level is Level.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.level is Level.WARNING)

    def require_ok(self) -> None:
        """Raise the first error as ToolError, saying how many more there are."""
        if self.errors:
            first, more = self.errors[0], len(self.errors) - 1
            rest = f" {more} more: see `loraloom check`." if more else ""
            raise ToolError(first.code, first.problem, first.cure + rest)


def effective(call: TrainerCall) -> dict[str, Any]:
    """Return what sd-scripts will use: the toml, and over it the additional arguments."""
    known = arguments_of(call.script)
    values = dict(call.toml)
    words = [word.strip("'") for word in call.additional]
    for at, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, text = word[2:].partition("=")
        following = words[at + 1] if at + 1 < len(words) else "--"
        if not equals and not following.startswith("--"):
            text, equals = following, "="
        values[name] = _typed(text, known.get(name)) if equals else True
    return values


def _typed(text: str, row: Sequence[Any] | None) -> Any:
    kind = row[0] if row else "str"
    try:
        return int(text) if kind == "int" else float(text) if "float" in kind else text
    except ValueError:
        return text


def run_preflight(
    call: TrainerCall,
    trainer: Trainer | None = None,
    *,
    resuming: bool = False,
    may_be_freed: bool = False,
    gpus: Callable[[], tuple[Gpu, ...]] = find_gpus,
    free: Callable[[Path], int] = free_bytes,
    ask: Callable[..., TrainerAnswer] = ask_trainer,
    progress: ProgressHandler = silent,
) -> Preflight:
    """Check one call of the trainer; without a `trainer` it is not asked, nor its environment.

    `resuming` allows output files of earlier epochs, `may_be_freed` a full graphics card. Takes
    up to 10 s for 1,000 new pictures, under 1 s for unchanged ones, and some 5 s to ask the
    trainer itself.
    """
    values = effective(call)
    findings: list[Finding] = [*_check_call(call, trainer), *_check_settings(values)]
    datasets, found = _read_datasets(values, trainer)
    findings += found
    facts: dict[Path, PictureFacts] = {}
    for dataset in datasets:
        findings += _check_dataset(dataset, facts, progress)
    pictures = tuple(
        facts[path]
        for path in dict.fromkeys(path for one in datasets for path in one.trained_pictures)
    )
    is_data_wrong = any(one.level is Level.ERROR for one in findings)
    shown = shown_datasets(datasets, facts, values.get("seed"))
    draws = draws_of(datasets, facts)
    steps = _plan(values, shown, processes_of(call.launch), draws) if shown and draws else None
    findings += check_files(values, trainer)
    findings += check_resume(values, steps)
    file_bytes = estimated_file_bytes(call.script, values)
    if steps:
        findings += check_output(values, steps, resuming=resuming)
        findings += check_disk(values, steps, file_bytes, free)
    findings += check_family(call, values)
    if trainer is not None and not trainer.is_simulated:
        cards = gpus()
        missing = list(check_environment(values, trainer, cards, progress))
        findings += missing
        findings += check_gpus(cards, chosen_gpu(call.launch), may_be_freed=may_be_freed)
        if not any(one.level is Level.ERROR for one in missing):
            answer = ask(call, trainer, processes_of(call.launch), progress=progress)
            findings += answer.besides("dataset") if is_data_wrong else answer.findings
    return Preflight(_ordered(findings), steps, pictures, file_bytes)


def _read_datasets(
    values: Mapping[str, Any], trainer: Trainer | None
) -> tuple[tuple[TrainingDataset, ...], list[Finding]]:
    """Return what is trained: of a dataset config, else of the numbered folders."""
    if values.get("dataset_config"):
        scripts = None if trainer is None or trainer.is_simulated else trainer.folder
        return read_dataset_config(values, scripts)
    reading, findings = check_folders(values)
    regular, more = read_regular(values)
    rules = _rules(values)
    if reading is None or rules is None:
        return (), [*findings, *more]
    split = values.get("validation_split") or 0.0, values.get("validation_seed")
    extension = str(values.get("caption_extension", ".caption"))
    batch_size = whole(values.get("train_batch_size")) or 1
    readings = (reading, False), (regular, True)
    return numbered_datasets(readings, extension, rules, batch_size, split), [*findings, *more]


def _check_dataset(
    dataset: TrainingDataset, facts: dict[Path, PictureFacts], progress: ProgressHandler
) -> Iterator[Finding]:
    """Look at all pictures and captions of one dataset; `facts` takes what was seen."""
    if dataset.rules.enabled:
        yield from _check_buckets(dataset.rules)
    for subset in dataset.subsets:
        found = inspect_pictures(subset.reading.pictures, progress=progress)
        facts |= {one.path: one for one in found}
        yield from check_pictures(found, subset.reading, dataset.rules)
        yield from check_captions(
            subset.reading, subset.caption_extension, needed=not subset.is_reg
        )


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: one.level is not Level.ERROR))


# The call itself: names, types and choices of arguments.


def _check_call(call: TrainerCall, trainer: Trainer | None) -> Iterator[Finding]:
    version = trainer.folder if trainer else "main"
    if trainer is not None:
        try:
            trainer.script(call.script_name)
        except ToolError as refused:
            yield error(refused.code, refused.problem, refused.cure)
            return
    merged = replace(call, toml=effective(call))
    for key in merged.toml:
        try:
            require_valid_call(replace(merged, toml={key: merged.toml[key]}), version)
        except ToolError as refused:
            yield error(refused.code, refused.problem, refused.cure)


_EVERY = ("save_every_n_epochs", "save_every_n_steps", "sample_every_n_epochs")
_DIVISORS = ("train_batch_size", "gradient_accumulation_steps", "bucket_reso_steps")


def _check_settings(values: Mapping[str, Any]) -> Iterator[Finding]:
    for key in (*_EVERY, *_DIVISORS):
        if key in values and isinstance(values[key], int) and values[key] < 1:
            late = " after the first epoch and lose that epoch" if key in _EVERY else ""
            yield error(
                "LL376",
                f"{key} is {values[key]}; sd-scripts would divide by it{late}.",
                "Make it at least 1, or leave it out.",
            )
    if not values.get("network_module"):
        yield error(
            "LL378",
            "No network_module is given, so sd-scripts would fail after loading the model.",
            "For a plain LoRA: networks.lora",
        )
    if not values.get("max_train_epochs") and not values.get("max_train_steps"):
        yield warning(
            "LL388",
            f"Neither epochs nor steps are given; sd-scripts would train {DEFAULT_STEPS} steps.",
            "Give max_train_epochs.",
        )
    if _rules(values) is None and not values.get("dataset_config"):
        yield error(
            "LL377",
            f"The resolution {values.get('resolution')!r} cannot be used.",
            'It must be a text such as "512" or "512,768".',
        )


def _check_buckets(rules: BucketRules) -> Iterator[Finding]:
    smallest = min(rules.resolution)
    if not rules.minimum and not rules.no_upscale:
        yield error(
            "LL377",
            f"min_bucket_reso is less than bucket_reso_steps, {rules.step}; sd-scripts would "
            "divide by zero.",
            f"Set min_bucket_reso to {rules.step}, or bucket_reso_steps lower.",
        )
    if rules.minimum > smallest and not rules.no_upscale:
        yield error(
            "LL377",
            f"min_bucket_reso {rules.minimum} is larger than the resolution {smallest}; "
            "sd-scripts would refuse it.",
            f"Set min_bucket_reso to {max(rules.step, smallest // 2)}.",
        )
    if rules.maximum < max(rules.resolution) and not rules.no_upscale:
        yield error(
            "LL377",
            f"max_bucket_reso {rules.maximum} is smaller than the resolution "
            f"{max(rules.resolution)}; sd-scripts would refuse it.",
            f"Set max_bucket_reso to {max(rules.resolution) * 2}.",
        )


def _rules(values: Mapping[str, Any]) -> BucketRules | None:
    resolution = values.get("resolution")
    if not isinstance(resolution, str) or not re.fullmatch(r"\d+(\s*,\s*\d+)?", resolution):
        return None
    try:
        return rules_of(values)
    except (ValueError, TypeError):
        return None


def _plan(
    values: Mapping[str, Any], shown: tuple[BucketedDataset, ...], processes: int, draws: int
) -> StepPlan | None:
    """Count the steps; `draws` leaves out regularisation."""
    epochs = whole(values.get("max_train_epochs"))
    if not epochs:
        once = _count(shown, values, 1, processes)
        steps = whole(values.get("max_train_steps")) or DEFAULT_STEPS
        epochs = math.ceil(steps / once.steps_per_epoch) if once.steps_per_epoch else 0
    return replace(_count(shown, values, epochs, processes), draws=draws) if epochs else None


def _count(
    shown: tuple[BucketedDataset, ...], values: Mapping[str, Any], epochs: int, processes: int
) -> StepPlan:
    return plan_steps(
        shown,
        gradient_accumulation=whole(values.get("gradient_accumulation_steps")) or 1,
        processes=processes,
        epochs=epochs,
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
