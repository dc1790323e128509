"""Exact steps: how many batches sd-scripts makes of staged pictures, with its own buckets.

Buckets, not folders, are filled up to whole batches, so an estimate without them is too low.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...project.wording import counted

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageRepeats:
    """One staged picture: its size in pixels and how often it is shown per epoch."""

    width: int
    height: int
    repeats: int


@dataclass(frozen=True)
class BucketRules:
    """How pictures are sorted into resolutions; sizes and steps in pixels."""

    resolution: Size = (512, 512)
    enabled: bool = True
    no_upscale: bool = False
    minimum: int = 256
    maximum: int = 1024
    step: int = 64


@dataclass(frozen=True)
class BucketedDataset:
    """What sd-scripts sorts together: one `[[datasets]]` table, or all numbered folders."""

    pictures: tuple[ImageRepeats, ...]
    rules: BucketRules = BucketRules()
    batch_size: int = 1

    @property
    def buckets(self) -> Counter[Size]:
        """How many pictures, repeats counted, each resolution gets per epoch."""
        sizes = bucket_sizes(self.rules) if self.rules.enabled else []
        counts: Counter[Size] = Counter()
        for one in self.pictures:
            counts[choose_bucket((one.width, one.height), self.rules, sizes)] += one.repeats
        return counts

    @property
    def batches(self) -> int:
        """Batches per epoch: each bucket is filled up by itself."""
        return sum(math.ceil(count / self.batch_size) for count in self.buckets.values())


@dataclass(frozen=True)
class StepPlan:
    """What a run will be: `epoch_files` are (file name without suffix, epoch, step)."""

    draws: int
    batches_per_epoch: int
    steps_per_epoch: int
    epochs: int
    buckets: tuple[tuple[Size, int], ...]
    epoch_files: tuple[tuple[str, int, int], ...]
    max_steps: int = 0

    @property
    def steps(self) -> int:
        """Optimizer updates of the whole run; one of so many steps may end inside an epoch."""
        whole = self.steps_per_epoch * self.epochs
        return min(whole, self.max_steps) if self.max_steps else whole


def length_line(
    steps: int, epochs: int, steps_per_epoch: int, *, pictures: int = 0, draws: int = 0
) -> str:
    """Return `4 pictures, 14 draws: 21 steps in 3 epochs of 7`, or its half without pictures."""
    shown = f"{counted(pictures, 'picture')}, {counted(draws, 'draw')}: " if pictures else ""
    return f"{shown}{counted(steps, 'step')} in {counted(epochs, 'epoch')} of {steps_per_epoch:,}"


def bucket_sizes(rules: BucketRules) -> list[Size]:
    """Return the predefined resolutions: widths in steps, heights that keep the area.

    sd-scripts, library/model_util.py: make_bucket_resolutions.
    """
    width, height = rules.resolution
    area = width * height
    smallest = side = max(rules.minimum, rules.step)
    square = max(smallest, int(math.sqrt(area) // rules.step * rules.step))
    sizes = {(square, square)}
    while side <= rules.maximum:
        other = min(rules.maximum, int((area // side) // rules.step * rules.step))
        if other >= smallest:
            sizes |= {(side, other), (other, side)}
        side += rules.step
    return sorted(sizes)


def choose_bucket(size: Size, rules: BucketRules, sizes: list[Size]) -> Size:
    """Return the resolution that sd-scripts trains a picture of `size` at."""
    if not rules.enabled:
        return rules.resolution
    if rules.no_upscale:
        return _without_upscale(size, rules)
    if size in sizes:
        return size
    ratio = size[0] / size[1]
    return min(sizes, key=lambda one: abs(one[0] / one[1] - ratio))


def _without_upscale(size: Size, rules: BucketRules) -> Size:
    """Shrink to the area where it is larger, then round down to whole steps."""
    width, height = size
    area = rules.resolution[0] * rules.resolution[1]
    step = rules.step
    if width * height <= area:
        return width - width % step, height - height % step
    ratio = width / height
    exact_width = math.sqrt(area * ratio)
    exact_height = area / exact_width
    by_width = _rounded(exact_width, step)
    by_height = _rounded(exact_height, step)
    height_of = _rounded(by_width / ratio, step)
    width_of = _rounded(by_height * ratio, step)
    error_by_width = abs(by_width / height_of - ratio) if height_of else math.inf
    error_by_height = abs(width_of / by_height - ratio) if by_height else math.inf
    if error_by_width < error_by_height:
        resized = (by_width, int(by_width / ratio + 0.5))
    else:
        resized = (int(by_height * ratio + 0.5), by_height)
    return resized[0] - resized[0] % step, resized[1] - resized[1] % step


def is_trainable(size: Size, rules: BucketRules) -> bool:
    """Tell whether sd-scripts finds a resolution for a picture, instead of dividing by zero."""
    if not (rules.enabled and rules.no_upscale):
        return True
    width, height = size
    area = rules.resolution[0] * rules.resolution[1]
    if math.prod(size) <= area:
        return min(size) >= rules.step
    exact_width = math.sqrt(area * width / height)
    by_width, by_height = (_rounded(one, rules.step) for one in (exact_width, area / exact_width))
    return bool(by_height and _rounded(by_width / (width / height), rules.step)) and all(
        _without_upscale(size, rules)
    )


def _rounded(value: float, step: int) -> int:
    whole = int(value + 0.5)
    return whole - whole % step


def with_regularisation(
    shown: Iterable[ImageRepeats], regular: Iterable[ImageRepeats]
) -> list[ImageRepeats]:
    """Return everything shown per epoch: regularisation pictures get as many draws as the others.

    sd-scripts, library/train_util.py: each once with its own repeats until there are enough, then
    one more for each in turn; those left over are not used.
    """
    found = list(shown)
    wanted, draws = sum(one.repeats for one in found), 0
    used: list[ImageRepeats] = []
    for one in regular:
        if draws >= wanted:
            break
        used.append(one)
        draws += one.repeats
    missing = max(0, wanted - draws)
    for at, one in enumerate(used):
        more = missing // len(used) + (at < missing % len(used))
        found.append(ImageRepeats(one.width, one.height, one.repeats + more))
    return found


def plan_steps(
    datasets: Iterable[BucketedDataset],
    *,
    gradient_accumulation: int = 1,
    processes: int = 1,
    epochs: int,
    save_every_n_epochs: int,
    output_name: str,
    max_steps: int = 0,
) -> StepPlan:
    """Count batches, steps and epoch files as sd-scripts will: the batches of datasets add up.

    With `max_steps` the last epoch may be a part of one.
    """
    given = tuple(datasets)
    counts = sum((one.buckets for one in given), Counter[Size]())
    batches = sum(one.batches for one in given)
    per_epoch = math.ceil(batches / processes / gradient_accumulation)
    last = min(epochs * per_epoch, max_steps) if max_steps else epochs * per_epoch
    return StepPlan(
        draws=sum(counts.values()),
        batches_per_epoch=batches,
        steps_per_epoch=per_epoch,
        epochs=epochs,
        buckets=tuple(sorted(counts.items())),
        epoch_files=(
            *[
                (f"{output_name}-{epoch:06d}", epoch, epoch * per_epoch)
                for epoch in range(1, epochs)
                if save_every_n_epochs and epoch % save_every_n_epochs == 0
            ],
            (output_name, epochs, last),
        ),
        max_steps=max_steps,
    )


def rules_of(toml: Mapping[str, Any]) -> BucketRules:
    """Read the bucket rules out of what sd-scripts gets; it moves both ends to whole steps.

    sd-scripts, library/train_util.py: adjust_min_max_bucket_reso_by_steps.
    """
    width, _, height = str(toml.get("resolution", "512,512")).partition(",")
    step = max(1, int(toml.get("bucket_reso_steps", 64)))
    return BucketRules(
        resolution=(int(width), int(height or width)),
        enabled=bool(toml.get("enable_bucket")),
        no_upscale=bool(toml.get("bucket_no_upscale")),
        minimum=int(toml.get("min_bucket_reso", 256)) // step * step,
        maximum=-(-int(toml.get("max_bucket_reso", 1024)) // step) * step,
        step=step,
    )


def skipped_area_of(value: object) -> int:
    """Return the pixels up to which skip_image_resolution leaves pictures out; 0: none are.

    It is a size, two of them, or the trainer's text of these.
    """
    sizes = value if isinstance(value, list) else str(value or "").split(",")
    try:
        numbers = [int(one) for one in sizes]
    except ValueError:
        return 0
    return numbers[0] * numbers[-1] if len(numbers) in (1, 2) else 0
