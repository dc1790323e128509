"""The rule on minors for prompts that are to be drawn; no option switches it off."""

from __future__ import annotations

from kohya_ext.project import RuleError
from kohya_ext.project.content import forbidden_words


def require_decent(prompt: str, where: str) -> None:
    """Raise RuleError for a prompt that names a minor together with something sexual."""
    pair = forbidden_words(prompt)
    if pair is not None:
        raise RuleError(
            "LL616",
            f'The prompt of {where} has "{pair[0]}" and "{pair[1]}" together.',
            "Remove one of them from the template. This rule cannot be switched off.",
        )
