"""The label "made with AI" in published copies: IPTC's digital source type, as XMP.

Pixels and generation data stay as they are; content credentials (C2PA) come from plug-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kohya_ext.project import DamagedError, InputError
from kohya_ext.project.files import explained, write_bytes_atomic
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.pictures.metadata import read_metadata, with_xmp
from kohya_ext.project.pictures.xmp import XmpName, find_value, with_value
from kohya_ext.project.plugins import load_plugins

from ..api.infotext import read_infotext

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for a picture that a trained model made."""

_NAME = XmpName("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "Iptc4xmpExt", "DigitalSourceType")
_GROUP = "loraloom.content_credentials"

Signer = Callable[[Path, Mapping[str, Any]], None]
"""Signs one labelled copy in place; the facts are those of pack.json."""


def load_signers() -> tuple[Signer, ...]:
    """Return the installed plug-ins for content credentials. Raises MachineError."""
    return load_plugins(_GROUP, ())


def source_type(path: Path) -> str:
    """Return the digital source type that a picture carries, or ""."""
    try:
        packet = read_metadata(path).xmp
    except ValueError:
        return ""
    return (find_value(packet, _NAME) or "") if packet else ""


def write_labelled(
    source: Path, target: Path, signers: Sequence[Signer], facts: Mapping[str, Any]
) -> None:
    """Write a copy with the label, signed by all plug-ins.

    Raises InputError (a file that holds no label) or DamagedError (generation data or label lost).
    """
    try:
        with explained(source, reading=True):
            metadata = read_metadata(source)
            content = read_picture_bytes(source)
        packet = with_value(metadata.xmp, _NAME, TRAINED_ALGORITHMIC_MEDIA)
        data = with_xmp(content, packet)
    except ValueError as error:
        raise InputError(
            "LL672",
            f"{source.name} cannot be labelled as made with AI: {error}.",
            "Save it as PNG, JPEG or WebP, or publish without the label: --no-ai-label",
        ) from error
    write_bytes_atomic(target, bytes(data))
    for sign in signers:
        sign(target, facts)
    is_whole = _infotext(target) == read_infotext(source)
    if not is_whole or source_type(target) != TRAINED_ALGORITHMIC_MEDIA:
        lost = "its label" if is_whole else "its generation data"
        by = "a plug-in for content credentials" if signers else "labelling"
        raise DamagedError(
            "LL673",
            f"{source.name} lost {lost} by {by}.",
            "Remove that plug-in, or publish without the label: --no-ai-label",
        )


def _infotext(path: Path) -> str | None:
    """Return the generation data; None for a file that a plug-in has damaged."""
    try:
        return read_infotext(path)
    except (OSError, SyntaxError, ValueError):
        return None
