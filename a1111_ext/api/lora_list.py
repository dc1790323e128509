"""The LoRAs of a WebUI on this machine, read from its folders: its own list takes seconds.

`GET /sdapi/v1/loras` sends every header of every file; here one small read a file is enough.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
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


def list_lora_files(folders: Iterable[Path], *, with_hidden: bool = True) -> tuple[Path, ...]:
    """Return the LoRA files below some folders; of two with one stem the WebUI keeps the last."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in walk_files(folder, with_hidden=with_hidden):
            if path.suffix.lower() in SUFFIXES:
                found[path.stem] = path
    return tuple(found.values())


def walk_files(folder: Path, *, with_hidden: bool = True) -> Iterator[Path]:
    """Return the files below a folder, through links, in the order in which A1111 lists them.

    Without the hidden ones it leaves out every folder with "/." anywhere in its path.
    """
    found = [(root, names) for root, _, names in os.walk(folder, followlinks=True)]
    for root, names in sorted(found, key=lambda one: _natural(one[0])):
        if with_hidden or not ("/." in root or "\\." in root):
            yield from (Path(root, name) for name in sorted(names, key=_natural))


def _natural(text: str) -> list[Any]:
    """Sort numbers in names as numbers; digits and others alternate, so that they compare."""
    return [int(one) if one.isdecimal() else one.lower() for one in _NUMBERS.split(text)]


_NUMBERS = re.compile("([0-9]+)")


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
