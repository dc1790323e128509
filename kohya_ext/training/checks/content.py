"""Preflight of the content rule: the captions that the trainer will read, and known tag scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...project.content import cure_for_training, find_forbidden
from ...project.json_reader import read_beginning
from ..dataset.folders import caption_of
from .findings import Finding, error


def check_content(
    pictures: Iterable[tuple[Path, str]], scores_dir: Path | None
) -> Iterator[Finding]:
    """Name every forbidden picture; `pictures` are paths, each with its caption's extension."""
    found = find_forbidden(((path, _caption(path, end)) for path, end in pictures), scores_dir)
    if found:
        named = "; ".join(f"{one} ({signs.minor}, {signs.sexual})" for one, signs in found.items())
        yield error(
            "LL258",
            f"Signs of a minor together with something sexual: {named}.",
            cure_for_training("PROJECT", (one.name for one in found)),
        )


def _caption(picture: Path, extension: str) -> str:
    path = caption_of(picture, extension)
    if path is None:
        return ""
    return read_beginning(path)
