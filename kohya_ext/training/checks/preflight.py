"""Everything that would fail late, found before a model is loaded: data, config, files, machine.

Each row is a finding with a code; errors stop a run, warnings do not. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...captions.prompt_text import VARIED, WEIGHTED, PromptText
from ...project import ProgressHandler, Project, ToolError, silent
from ...project.files import free_bytes
from ...project.wording import counted
from ..config.arguments import TrainerCall, require_valid_call
from ..config.call_values import effective, processes_of
from ..dataset.bucketed import TrainingDataset
from ..dataset.expected import DEFAULT_STEPS, expected_steps, read_datasets, rules_in
from ..dataset.folders import DecodedPicture, inspect_pictures
from ..dataset.steps import BucketRules, StepPlan, length_line
from ..trainer import Trainer
from .ask_trainer import TrainerAnswer, ask_trainer
from .base_model import check_base_model
from .captions import check_words
from .combinations import check_combinations
from .content import check_content, check_samples
from .files import (
    check_disk,
    check_files,
    check_output,
    check_output_name,
    check_resume,
    estimated_file_bytes,
)
from .findings import Finding, Level, error, warning
from .images import check_caches, check_captions, check_pictures
from .learning_rates import check_warmup
from .machine import Gpu, check_environment, check_gpus, chosen_gpu, find_gpus
from .processes import check_processes


@dataclass(frozen=True)
class Preflight:
    """All findings on one call of the trainer, and what it would do if it ran."""

    findings: tuple[Finding, ...]
    steps: StepPlan | None
    pictures: tuple[DecodedPicture, ...]
    file_bytes: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.level is Level.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.level is Level.WARNING)

    @property
    def length(self) -> str:
        """How much is trained, in one sentence; "" where it is not known."""
        steps = self.steps
        if steps is None:
            return ""
        return length_line(
            steps.steps, steps.epochs, steps.steps_per_epoch,
            pictures=len(self.pictures), draws=steps.draws,
        )  # fmt: skip

    def require_ok(self) -> None:
        """Raise the first error as ToolError, saying how many more there are."""
        if self.errors:
            first, more = self.errors[0], len(self.errors) - 1
            rest = f" {more} more: see `loraloom check`." if more else ""
            raise ToolError(first.code, first.problem, first.cure + rest)


def run_preflight(
    call: TrainerCall,
    trainer: Trainer | None = None,
    *,
    resuming: bool = False,
    may_be_freed: bool = False,
    scores_dir: Path | None = None,
    project: Project | None = None,
    gpus: Callable[[], tuple[Gpu, ...]] = find_gpus,
    free: Callable[[Path], int] = free_bytes,
    ask: Callable[..., TrainerAnswer] = ask_trainer,
    progress: ProgressHandler = silent,
) -> Preflight:
    """Check one call of the trainer; without a `trainer` it is not asked, nor its environment.

    `project` is whose captions and trigger word they are; `resuming` allows output files of
    earlier epochs, `may_be_freed` a full graphics card. Takes up to 10 s for 1,000 new pictures,
    under 1 s for unchanged ones, and some 5 s to ask the trainer itself.
    """
    values = effective(call)
    combined = list(check_combinations(call.script, values))
    known = {part for part, _ in combined if part}
    findings = [*_check_call(call, trainer), *_check_settings(values)]
    findings += check_processes(call.launch)
    findings += [one for _, one in combined]
    scripts = None if trainer is None or trainer.is_simulated else trainer.folder
    datasets, of_data = read_datasets(values, scripts)
    facts: dict[Path, DecodedPicture] = {}
    for dataset in datasets:
        of_data += _check_dataset(dataset, facts, progress)
    trained = list(dict.fromkeys(path for one in datasets for path in one.trained_pictures))
    of_data += check_caches(trained, values)
    if any(one.level is Level.ERROR for one in of_data):
        known |= {"dataset", "cached latents", "cached text encoder outputs"}
    findings += of_data
    texts = [text for one in datasets for subset in one.subsets for text in subset.trained_texts()]
    findings += check_content(dict.fromkeys(texts), scores_dir)
    findings += check_samples(call.sample_prompts, values)
    findings += check_words(_without_regular(datasets), project, _understood(values, datasets))
    steps = expected_steps(values, datasets, facts, processes_of(call.launch))
    findings += _check_validation(datasets)
    findings += check_files(values, trainer)
    findings += check_resume(values, steps)
    findings += check_warmup(values, steps)
    file_bytes = estimated_file_bytes(call.script, values)
    findings += check_output_name(values)
    if steps:
        findings += check_output(values, steps, resuming=resuming)
        findings += check_disk(values, steps, file_bytes, free)
    findings += check_base_model(call, values)
    if trainer is not None and not trainer.is_simulated:
        cards = gpus()
        missing = list(check_environment(values, trainer, cards, progress))
        findings += missing
        findings += check_gpus(cards, chosen_gpu(call.launch), may_be_freed=may_be_freed)
        if not any(one.level is Level.ERROR for one in missing):
            answer = ask(call, trainer, processes_of(call.launch), progress=progress)
            findings += answer.besides(*known)
    pictures = tuple(facts[path] for path in trained if path in facts)
    return Preflight(
        tuple(sorted(dict.fromkeys(findings), key=lambda one: one.level is not Level.ERROR)),
        steps,
        pictures,
        file_bytes,
    )


def _understood(
    values: Mapping[str, Any], datasets: Iterable[TrainingDataset]
) -> frozenset[PromptText]:
    """Return what of the prompt language the trainer reads in captions, rather than trains."""
    found: set[PromptText] = set()
    if values.get("weighted_captions"):
        found |= WEIGHTED
    if values.get("enable_wildcard") or any(
        subset.draws_variants for one in datasets for subset in one.subsets
    ):
        found |= VARIED
    return frozenset(found)


def _without_regular(datasets: Iterable[TrainingDataset]) -> dict[tuple[Path, str], None]:
    """Return pictures with their captions' extension; regularisation ones know no trigger word."""
    return {
        (path, subset.caption_extension): None
        for one in datasets
        for subset in one.subsets
        if not subset.is_reg and not subset.is_listed
        for path in subset.reading.pictures
    }


def _check_dataset(
    dataset: TrainingDataset, facts: dict[Path, DecodedPicture], progress: ProgressHandler
) -> Iterator[Finding]:
    """Look at all pictures and captions of one dataset; `facts` takes what was seen."""
    if dataset.rules.enabled:
        yield from _check_buckets(dataset.rules)
    for subset in dataset.subsets:
        there = [one for one in subset.reading.pictures if one not in subset.sizes or one.exists()]
        found = inspect_pictures(there, progress=progress)
        facts |= {one.path: one for one in found}
        yield from check_pictures(found, subset.reading, dataset.rules)
        if not subset.is_listed:
            extension = subset.caption_extension
            yield from check_captions(subset.reading, extension, needed=not subset.is_reg)


_FEW_PICTURES = 50
"""Our choice: of fewer, those kept back are missed more than their loss tells."""


def _check_validation(datasets: Iterable[TrainingDataset]) -> Iterator[Finding]:
    for dataset in datasets:
        count = len(dataset.trained_pictures)
        kept = count - sum(
            dataset.trained_count(len(folder.pictures))
            for subset in dataset.subsets
            if not subset.is_reg
            for folder in subset.reading.folders
        )
        if dataset.validation_split and 0 < count < _FEW_PICTURES:
            yield warning(
                "LL359",
                f"{kept} of {counted(count, 'picture')} will be used for validation and not "
                "trained; the set is too small for that, and the validation loss means little.",
                "Leave validation_split out, or collect more pictures.",
            )


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
                "Set it to at least 1, or leave it out.",
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
    if rules_in(values) is None and not values.get("dataset_config"):
        given = values.get("resolution")
        yield error(
            "LL377",
            "No resolution is given, and sd-scripts has no default."
            if given in (None, "")
            else f"The resolution {given!r} cannot be used.",
            'It must be text such as "512" or "512,768".',
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
