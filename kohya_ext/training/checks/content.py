"""Preflight of the content rule: captions that the trainer will read, known tag scores, samples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...project.content import cure_for_training, find_forbidden, forbidden_words
from ...project.json_reader import read_beginning
from .findings import Finding, error

_SHOWN = 80


def check_content(texts: Iterable[tuple[Path, str]], scores_dir: Path | None) -> Iterator[Finding]:
    """Name every forbidden picture; `texts` are pictures, each with what is trained with it."""
    found = find_forbidden(texts, scores_dir)
    if found:
        named = "; ".join(f"{one} ({signs.minor}, {signs.sexual})" for one, signs in found.items())
        yield error(
            "LL258",
            f"Signs of a minor together with something sexual: {named}.",
            cure_for_training("PROJECT", (one.name for one in found)),
        )


_NEGATIVE = re.compile(r" --n .*?(?= --|$)|^\W*negative_prompt\W.*$")


def check_samples(text: str, values: Mapping[str, Any]) -> Iterator[Finding]:
    """Name every forbidden sample prompt: of a text, or else of the file that is named."""
    named = values.get("sample_prompts")
    path = Path(str(named)) if named else None
    if not text and path is not None and path.is_file():
        with suppress(OSError):  # a file that the trainer cannot read is named elsewhere
            text = read_beginning(path)
    for line in text.splitlines():
        pair = None if line.startswith("#") else forbidden_words(_NEGATIVE.sub("", line))
        if pair is not None:
            yield error(
                "LL616",
                f'The sample prompt "{line.strip()[:_SHOWN]}" has "{pair.minor}" and '
                f'"{pair.sexual}" together.',
                "Remove one of them. This rule cannot be switched off.",
            )
