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

from ..project import ProgressHandler, ToolError, silent
from ..project.files import free_bytes
from .arguments import TrainerCall, arguments_of, require_valid_call
from .arithmetic import BucketRules, Shown, StepPlan, plan_steps, rules_of, with_regularisation
from .findings import Finding, Level, error, warning, whole
from .folders import FolderReading, PictureFacts, inspect_pictures
from .inputs import (
    check_disk,
    check_family,
    check_files,
    check_output,
    check_resume,
    estimated_file_bytes,
)
from .launch import processes_of
from .machine import Gpu, check_environment, check_gpus, chosen_gpu, find_gpus
from .material import (
    check_captions,
    check_folders,
    check_pictures,
    read_dataset_config,
    read_regular,
)
from .trainer import Trainer

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
    progress: ProgressHandler = silent,
) -> Preflight:
    """Check one call of the trainer; without a `trainer` its own environment is left out.

    `resuming` allows output files of earlier epochs, `may_be_freed` a full graphics card. Takes
    up to 10 s for 1,000 new pictures, under 1 s for unchanged ones.
    """
    values = effective(call)
    findings: list[Finding] = [*_check_call(call, trainer), *_check_settings(values)]
    reading, found = check_folders(values)
    findings += found
    pictures = inspect_pictures(reading.pictures, progress=progress) if reading else ()
    rules = _rules(values)
    if reading and rules:
        findings += check_pictures(pictures, reading, rules)
        findings += check_captions(reading, str(values.get("caption_extension", ".caption")))
    subsets, found = read_dataset_config(values)
    findings += found
    for subset in subsets:
        facts = inspect_pictures(subset.reading.pictures, progress=progress)
        findings += check_pictures(facts, subset.reading, subset.rules)
        findings += check_captions(subset.reading, subset.caption_extension)
        pictures += facts
    regular, found = read_regular(values)
    findings += found
    regular_pictures = inspect_pictures(regular.pictures, progress=progress) if regular else ()
    if regular and rules:
        findings += check_pictures(regular_pictures, regular, rules)
    steps = None
    if reading and rules and not found:
        shown = with_regularisation(_shown(reading, pictures), _shown(regular, regular_pictures))
        draws = sum(one.repeats for one in _shown(reading, pictures))
        steps = _plan(values, shown, rules, processes_of(call.launch), draws)
    findings += check_files(values, trainer)
    findings += check_resume(values, steps)
    file_bytes = estimated_file_bytes(call.script, values)
    if steps:
        findings += check_output(values, steps, resuming=resuming)
        findings += check_disk(values, steps, file_bytes, free)
    findings += check_family(call, values)
    if trainer is not None and not trainer.is_rehearsal:
        cards = gpus()
        findings += check_environment(values, trainer, cards)
        findings += check_gpus(cards, chosen_gpu(call.launch), may_be_freed=may_be_freed)
    return Preflight(_ordered(findings), steps, pictures, file_bytes)


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


def _check_settings(values: Mapping[str, Any]) -> Iterator[Finding]:
    for key in _EVERY:
        if key in values and isinstance(values[key], int) and values[key] < 1:
            yield error(
                "LL376",
                f"{key} is {values[key]}; sd-scripts would divide by it after the first epoch "
                "and lose that epoch.",
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
    if _rules(values) is None:
        yield error(
            "LL377",
            f"The resolution {values.get('resolution')!r} cannot be used.",
            'It must be a text such as "512" or "512,768".',
        )
        return
    yield from _check_buckets(values, _rules(values) or BucketRules())


def _check_buckets(values: Mapping[str, Any], rules: BucketRules) -> Iterator[Finding]:
    if not rules.enabled:
        return
    smallest = min(rules.resolution)
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


def _shown(reading: FolderReading | None, pictures: tuple[PictureFacts, ...]) -> list[Shown]:
    if reading is None:
        return []
    repeats = {folder.path: folder.repeats for folder in reading.folders}
    return [
        Shown(one.width, one.height, repeats[one.path.parent])
        for one in pictures
        if not one.problem
    ]


def _plan(
    values: Mapping[str, Any], shown: list[Shown], rules: BucketRules, processes: int, draws: int
) -> StepPlan | None:
    """Count the steps; None when there is nothing to count. `draws` leaves out regularisation."""
    if not shown:
        return None
    epochs = whole(values.get("max_train_epochs"))
    if not epochs:
        once = _count(shown, rules, values, 1, processes)
        steps = whole(values.get("max_train_steps")) or DEFAULT_STEPS
        epochs = math.ceil(steps / once.steps_per_epoch) if once.steps_per_epoch else 0
    return replace(_count(shown, rules, values, epochs, processes), draws=draws) if epochs else None


def _count(
    shown: list[Shown], rules: BucketRules, values: Mapping[str, Any], epochs: int, processes: int
) -> StepPlan:
    return plan_steps(
        shown,
        rules,
        batch_size=whole(values.get("train_batch_size")) or 1,
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
