"""The LoRAs of a WebUI on this machine, read from its folders: its own list takes seconds.

`GET /sdapi/v1/loras` sends every header of every file; here one small read a file is enough.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kohya_ext.project.errors import ToolError
from kohya_ext.project.files import sha256_of
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.lora_file import MAX_HEADER_BYTES, read_header, tensor_sha256
from kohya_ext.project.lora_kind import LoraFacts, read_facts

SUFFIXES = (".safetensors", ".pt", ".ckpt")
"""What the WebUI takes as LoRA files."""


def hash_of(path: Path, *, whole: bool) -> str:
    """Return the SHA-256 of a LoRA's tensors, or of the whole file, as Forge takes it."""
    status = path.stat()
    return _hash_of(path, (status.st_size, status.st_mtime_ns), whole)


@lru_cache(maxsize=1024)
def _hash_of(path: Path, stamp: tuple[int, int], whole: bool) -> str:
    return sha256_of(path) if whole else tensor_sha256(path)


def facts_of(path: Path) -> LoraFacts | None:
    """Return what a LoRA's layers alone tell of it; None for a file that cannot be read here."""
    try:
        status = path.stat()
        return _facts_of(path, (status.st_size, status.st_mtime_ns))
    except (OSError, ToolError):
        return None


@lru_cache(maxsize=1024)
def _facts_of(path: Path, stamp: tuple[int, int]) -> LoraFacts:
    return read_facts(replace(read_header(path), metadata={}))


_START = b'{"__metadata__":'


def list_lora_files(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the LoRA files below some folders; of two with one stem the WebUI keeps the last."""
    found: dict[str, Path] = {}
    for folder in folders:
        for root, folders_inside, names in os.walk(folder, followlinks=True):
            folders_inside[:] = sorted(one for one in folders_inside if not one.startswith("."))
            for name in sorted(names):
                stem, dot, end = name.rpartition(".")
                if dot + end.lower() in SUFFIXES and stem and not name.startswith("."):
                    found[stem] = Path(root, name)
    return tuple(found.values())


def read_metadata(path: Path) -> Mapping[str, Any]:
    """Return the metadata of a safetensors file; {} for one that has none or is damaged."""
    name = str(path)
    if not name.lower().endswith(".safetensors"):
        return {}
    try:
        status = os.stat(name)  # noqa: PTH116 - for a thousand files a Path's own costs too much
        return _read(name, status.st_size, status.st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=20_000)
def _read(path: str, size: int, changed: int) -> Mapping[str, Any]:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - see above
        start = stream.read(8)
        if len(start) < 8:
            return {}
        (length,) = struct.unpack("<Q", start)
        if length > min(size, MAX_HEADER_BYTES):
            return {}
        raw = stream.read(length)
    try:
        text = raw.decode("utf-8")
        if raw.startswith(_START):  # as in files of sd-scripts: the rest need not be parsed
            found, _ = json.JSONDecoder().raw_decode(text, len(_START))
        else:
            header = parse_json(text)
            found = header.get("__metadata__") if isinstance(header, dict) else None
        return found if isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        return {}
