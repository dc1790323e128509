"""The page's prompts as templates: which prompts, seeds and infotext fields they become.

Plain values in and out; `dynamic_script` takes them from the host and gives them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from dynprompts import PromptError, Sample, WildcardLibrary, parse
from dynprompts.tools.lint import finding_of
from kohya_ext.project import InputError
from kohya_ext.project.wording import counted

from .request import Box, read_boxes

MOST_COMBINATIONS = 1_000
"""What is drawn without a number; more would hardly be meant."""

LARGEST_NUMBER = 100_000
"""What may be asked for by number: the host holds all prompts in memory."""


@dataclass(frozen=True)
class PromptOptions:
    """The boxes of our section on the page."""

    enabled: bool = False
    combinatorial: bool = False
    most: int = 0
    fixed_seed: bool = False
    unlink_seed: bool = False
    negative: bool = True
    no_repeats: bool = False


BOXES = (
    Box("Draw the prompt as a template", PromptOptions.enabled),
    Box("All combinations", PromptOptions.combinatorial),
    Box("Combinations at most", PromptOptions.most, 0, LARGEST_NUMBER),
    Box("Fixed seed", PromptOptions.fixed_seed),
    Box("Unlink seed from prompt", PromptOptions.unlink_seed),
    Box("Negative prompt, too", PromptOptions.negative),
    Box("No option twice in one prompt", PromptOptions.no_repeats),
)
"""In the order of PromptOptions."""


def read_boxes_of(script: str, values: Sequence[Any]) -> PromptOptions:
    """Return what the boxes say. Raises InputError for a value that a box cannot have."""
    return PromptOptions(*read_boxes(script, BOXES, values))


@dataclass(frozen=True)
class Page:
    """What the page asks for; `pictures` is batch count times batch size."""

    prompt: str
    negative: str
    seed: int
    subseed: int
    subseed_strength: float
    pictures: int
    batch_size: int
    hires: str = ""
    hires_negative: str = ""


@dataclass(frozen=True)
class PromptPlan:
    """One entry per picture, and the fields that go into every infotext."""

    prompts: tuple[str, ...]
    negatives: tuple[str, ...]
    hires: tuple[str, ...]
    hires_negatives: tuple[str, ...]
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    picks: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    batch_count: int


def plan_prompts(
    page: Page, options: PromptOptions, library: WildcardLibrary, unlinked_seed: int = 0
) -> PromptPlan | None:
    """Return what to draw; None where nothing on the page is a template.

    Raises InputError for a template that cannot be drawn from.
    """
    texts = [page.prompt, page.negative] if options.negative else [page.prompt]
    if not any(_is_template(text, library) for text in texts):
        return None
    try:
        return _planned(page, options, library, unlinked_seed)
    except PromptError as error:
        raise InputError(
            "LL775",
            f"The prompt cannot be drawn: {finding_of(error).sentence}",
            "docs/dynprompts.md explains it.",
        ) from error


def _is_template(text: str, library: WildcardLibrary) -> bool:
    try:
        return parse(text, library).root.plain != text
    except PromptError:
        return True


def _planned(
    page: Page, options: PromptOptions, library: WildcardLibrary, unlinked_seed: int
) -> PromptPlan:
    def drawn(text: str, seeds: Iterable[int], is_template: bool = True) -> list[Sample]:
        if not is_template:
            return [Sample(text) for _ in seeds]
        template = parse(text, library, no_repeats=options.no_repeats)
        return [template.random(seed) for seed in seeds]

    if options.combinatorial:
        positive, negative = _combined(page, options, library)
    else:
        first = unlinked_seed if options.unlink_seed else page.seed
        frozen = bool(page.subseed_strength) and not options.unlink_seed
        drawing = [first + (0 if frozen else number) for number in range(page.pictures)]
        positive = drawn(page.prompt, drawing)
        negative = drawn(page.negative, drawing, options.negative)
    total = len(positive)
    steady = options.fixed_seed or page.subseed_strength > 0
    seeds = tuple(page.seed + (0 if steady else number) for number in range(total))
    subseeds = tuple(page.subseed + number for number in range(total))
    hires = drawn(page.hires, seeds)
    hires_negative = drawn(page.hires_negative, seeds, options.negative)
    if page.hires in ("", page.prompt):
        hires = positive
    if page.hires_negative in ("", page.negative):
        hires_negative = negative
    fields = [("Template", page.prompt)]
    if options.negative and page.negative:
        fields.append(("Negative Template", page.negative))
    return PromptPlan(
        prompts=tuple(one.text for one in positive),
        negatives=tuple(one.text for one in negative),
        hires=tuple(one.text for one in hires),
        hires_negatives=tuple(one.text for one in hires_negative),
        seeds=seeds,
        subseeds=subseeds,
        picks=tuple(_picks(one) for one in positive),
        fields=tuple(fields),
        batch_count=max(1, ceil(total / max(1, page.batch_size))),
    )


def _combined(
    page: Page, options: PromptOptions, library: WildcardLibrary
) -> tuple[list[Sample], list[Sample]]:
    """All combinations of the prompt with all of the negative one, the latter fastest."""
    template = parse(page.prompt, library)
    negative = parse(page.negative, library) if options.negative else None
    total = template.count() * (negative.count() if negative is not None else 1)
    if not options.most and total > MOST_COMBINATIONS:
        raise InputError(
            "LL776",
            f"The prompt has {counted(total, 'combination')}.",
            'Set the number to draw in "Combinations at most".',
        )
    most = options.most or total
    below = list(negative.combinations(most)) if negative is not None else [Sample(page.negative)]
    pairs = [
        (one, other) for one in template.combinations(ceil(most / len(below))) for other in below
    ][:most]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _picks(sample: Sample) -> str:
    """What was picked, for the infotext: all picks that have a name, each once."""
    named = (f"{one.variant}={one.option}" for one in sample.picks if "{" not in one.variant)
    return "; ".join(dict.fromkeys(named))
