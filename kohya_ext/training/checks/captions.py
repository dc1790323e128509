"""Preflight of the captions' words: what people mistype, as warnings, and the trigger word."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ...captions.lint import LintRules, lint_captions, lint_rules
from ...captions.prompt_text import PromptText
from ...dataset.trigger import lora_folders_of, trigger_report
from ...project import Project, ToolError
from ...project.consent import Use
from ...project.json_reader import read_beginning
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
        report = trigger_report(project, "", lora_folders_of(project))
        for one in report.findings:
            if one.kind == "caption":
                continue  # reported as a slip of those captions
            free = f"Free: {', '.join(report.suggestions)}." if report.suggestions else ""
            yield warning("LL210", one.text, f"{free} See `loraloom trigger`.".strip())


def _check_consent(project: Project) -> Iterator[Finding]:
    try:
        project.require_consent(Use.TRAINING)
    except ToolError as refused:
        yield error(refused.code, refused.problem, refused.cure)
