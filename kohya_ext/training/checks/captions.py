"""Preflight of the captions' words: what people mistype, as warnings, and the trigger word."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...captions.lint import LintRules, lint_captions, lint_rules
from ...captions.prompt_text import PromptText
from ...dataset.staged import read_staged
from ...dataset.stale import stale_sentence
from ...dataset.trigger import lora_folders_of, trigger_report
from ...project import Project, ToolError
from ...project.consent import Use
from ...project.json_reader import read_beginning
from ...project.shell import shell_path
from ..dataset.folders import caption_of
from .findings import Finding, error, warning


def check_words(
    pictures: Iterable[tuple[Path, str]],
    project: Project | None,
    understood: Collection[PromptText] = (),
) -> Iterator[Finding]:
    """Lint captions; `pictures` are paths, each with its caption's extension.

    `understood` is what of the prompt language the trainer reads in captions.
    """
    texts = {}
    pictures = tuple(pictures)
    for picture, extension in pictures:
        path = caption_of(picture, extension)
        if path is not None:
            texts[picture.name] = read_beginning(path)
    try:
        rules = lint_rules(project) if project else LintRules()
    except ToolError as refused:
        yield warning(refused.code, refused.problem, refused.cure)
        rules = LintRules()
    rules = replace(rules, understood=understood)
    for slip in lint_captions({name: one for name, one in texts.items() if one.strip()}, rules):
        yield warning(slip.code, slip.problem, slip.cure)
    if project:
        yield from _check_consent(project)
        yield from _check_staged([picture for picture, _ in pictures], project.images_dir)
        if stale := stale_sentence(project):
            cure = f"Stage again: loraloom stage {shell_path(project.root)}; then caption again."
            yield warning("LL224", stale, cure)
        report = trigger_report(project, "", lora_folders_of(project))
        for one in report.findings:
            if one.kind == "caption":
                continue  # reported as a slip of those captions
            free = f"Free: {', '.join(report.suggestions)}." if report.suggestions else ""
            yield warning("LL210", one.text, f"{free} See `loraloom trigger`.".strip())


def _check_staged(pictures: Iterable[Path], images_dir: Path) -> Iterator[Finding]:
    """Name pictures that somebody else put into images/, such as a cloud drive's second copies."""
    staged = read_staged(images_dir)
    foreign = [
        one
        for one in pictures
        if staged
        and one.is_relative_to(images_dir)
        and PurePosixPath(one.relative_to(images_dir).as_posix()) not in staged
    ]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        yield warning(
            "LL207",
            f"{foreign[0]}{more}: not staged by loraloom, but trained.",
            "If it is a copy that a cloud drive made, delete it; otherwise move it out of images/ "
            "and import it.",
        )


def _check_consent(project: Project) -> Iterator[Finding]:
    try:
        project.require_consent(Use.TRAINING)
    except ToolError as refused:
        yield error(refused.code, refused.problem, refused.cure)
