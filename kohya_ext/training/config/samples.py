"""Sample prompts: templates with the trainer's settings behind them, checked and drawn.

sd-scripts ignores a setting that it does not know or cannot read, so a line is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ...project import InputError, ToolError
from ...project.placeholders import fill_placeholders

if TYPE_CHECKING:
    from dynprompts import WildcardLibrary

_SETTINGS: Mapping[str, tuple[str, str]] = {
    "w": (r"\d+", "a width in pixels"),
    "h": (r"\d+", "a height in pixels"),
    "d": (r"\d+", "a seed of 0 or more"),
    "s": (r"\d+", "a number of steps"),
    "l": (r"\d+(\.\d+)?", "a CFG scale"),
    "g": (r"\d+(\.\d+)?", "a guidance scale"),
    "n": (r".+", "a negative prompt"),
    "ss": (r"\S+", "a sampler"),
    "cn": (r".+", "a ControlNet picture"),
    "ctr": (r"\d+(\.\d+)?", "a share of steps with CFG"),
    "rcfg": (r"\d+(\.\d+)?", "a renormalisation of CFG"),
    "fs": (r"\d+(\.\d+)?", "a flow shift"),
}
"""What sd-scripts reads behind a prompt: ` --w 512`; ended by the next ` --`."""


def draw_samples(
    lines: Sequence[str],
    *,
    trigger_word: str,
    seed: int,
    library: WildcardLibrary | None = None,
) -> tuple[str, ...]:
    """Return one prompt for the trainer per template; the same seed draws the same prompts.

    `{trigger}` stands for the trigger word, `{lora}` for nothing: the LoRA in training is always
    applied. Raises InputError for a setting that sd-scripts would ignore and for a template
    that cannot be read.
    """
    return tuple(
        _drawn(line, number, seed, library) for number, line in _templates(lines, trigger_word)
    )


def find_sample_hints(
    lines: Sequence[str], *, trigger_word: str, library: WildcardLibrary | None = None
) -> tuple[str, ...]:
    """Return what in sample prompts is probably not intended."""
    from dynprompts.tools.lint import find_hints

    parts = [
        (f"sample prompt {number}", part.removeprefix("n "))
        for number, line in _templates(lines, trigger_word)
        for part in _split(line)
    ]
    return find_hints(parts, library)


def _templates(lines: Sequence[str], trigger_word: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, fill_placeholders(line, trigger_word=trigger_word, lora="").strip()


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.split(" --")]


def _drawn(line: str, number: int, seed: int, library: WildcardLibrary | None) -> str:
    prompt, *settings = _split(line)
    if not prompt or prompt.startswith("--"):
        raise _refused(number, "it has settings but no prompt", "Write a prompt.")
    parts = [_expanded(prompt, number, seed, library)]
    for text in settings:
        name, _, value = text.partition(" ")
        rule = _SETTINGS.get(name.lower())
        if rule is None:
            known = ", ".join(f"--{one}" for one in _SETTINGS)
            raise _refused(
                number, f"--{name} is not a setting of sd-scripts", f"Settings: {known}."
            )
        if not re.fullmatch(rule[0], value.strip()):
            what = f'--{name} must be {rule[1]}, not "{value.strip()}"'
            raise _refused(number, what, "Correct it, or leave it out.")
        drawn = _expanded(value.strip(), number, seed, library) if name == "n" else value.strip()
        parts.append(f"{name.lower()} {drawn}")
    return " --".join(parts)


def _expanded(template: str, number: int, seed: int, library: WildcardLibrary | None) -> str:
    from dynprompts import PromptError, parse

    try:
        text = parse(template, library, strict=True).random(seed + number).text
    except PromptError as error:
        raise _refused(number, f"its template cannot be drawn: {error}", "Correct it.") from error
    return " ".join(text.split())


def _refused(number: int, what: str, cure: str) -> ToolError:
    return InputError("LL312", f"Sample prompt {number}: {what}.", cure)
