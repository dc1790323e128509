"""The files that a cell goes by the names of, each with its hash as it is now.

A VAE, module, hypernetwork or upscaler has no hash in a request. A ledger remembers the file with
which it first met a name; keys of cells tell of any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from ..api.capabilities import Capabilities
from ..api.infotext import parse_infotext
from ..api.payloads import UPSCALER_OPTION
from .adetailer import models_of_adetailer, prompts_of_adetailer
from .cell import Cell, FileUse
from .ledger import Ledger
from .picture_settings import digest_of_settings

HYPERNETWORK = "hypernetwork"
CHECKPOINT = "checkpoint"
"""The kind of a checkpoint that ADetailer changes to; the picture's own is pinned by its hash."""

NO_VAE = ("", "Automatic", "None")
NO_FILE = "Automatic"
"""What stands for the hash where the WebUI's settings choose no VAE."""

_BY_SETTING = "VAE by setting"
"""The kind of what the WebUI's own settings choose: its name is always "", its hash changes."""


SETTINGS = "settings"
"""The kind of the WebUI's own settings that change pictures: no file, and remembered as one."""


def upscaler_of(cell: Cell, capabilities: Capabilities) -> str:
    """Return the upscaler that a WebUI would use for a cell; "" when it uses none."""
    if cell.source is not None:
        named = cell.override_settings.get(UPSCALER_OPTION)
        return str(named or capabilities.img2img_upscaler)
    if cell.hires_fix is None:
        return ""
    return cell.hires_fix.upscaler or capabilities.default_upscaler


def files_of(cell: Cell, has: Capabilities) -> tuple[FileUse, ...]:
    """Return the files that a cell goes by the names of, as far as they are seen from here."""
    found = [(kind, name, _hash_of(kind, name, has)) for kind, name in _names(cell, has)]
    by_setting = _chosen_vae(has) if cell.vae == "" and not cell.modules else ""
    if by_setting:
        found.append((_BY_SETTING, "", by_setting))
    own = {name: one for name, one in has.settings.items() if name not in cell.override_settings}
    found.append((SETTINGS, "", digest_of_settings(own)))
    return _shared(
        tuple(
            FileUse(kind, name, digest, _first(has, kind, name, digest) != digest)
            for kind, name, digest in dict.fromkeys(found)
            if digest
        )
    )


@lru_cache(maxsize=1024)
def _shared(files: tuple[FileUse, ...]) -> tuple[FileUse, ...]:
    """Return the first of equal tuples: the cells of a large plan share it."""
    return files


def with_files(cell: Cell, has: Capabilities) -> Cell:
    """Return a cell with the files that it goes by the names of."""
    return replace(cell, files=files_of(cell, has))


def _first(has: Capabilities, kind: str, name: str, otherwise: str) -> str:
    return has.first_files.get(kind, {}).get(name, otherwise)


def _names(cell: Cell, has: Capabilities) -> Iterator[tuple[str, str]]:
    if cell.vae not in NO_VAE:
        yield "VAE", cell.vae
    for one in cell.modules:
        yield "module", one
    for name in models_of_adetailer(cell, "vae"):
        yield "VAE", name
    for name in models_of_adetailer(cell, "checkpoint"):
        yield CHECKPOINT, name
    prompts = (cell.prompt, *(prompt for prompt, _ in prompts_of_adetailer(cell)))
    for name in re.findall(r"<hypernet:([^:<>]+)", "\n".join(prompts)):
        yield HYPERNETWORK, name
    if upscaler := upscaler_of(cell, has):
        yield "upscaler", upscaler


def _hash_of(kind: str, name: str, has: Capabilities) -> str:
    if kind != CHECKPOINT:
        return has.file_hash(kind, name)
    found = has.find_checkpoint(name)
    return has.checkpoint_hash_now(found)[:12] if found else ""


def _chosen_vae(has: Capabilities) -> str:
    """Return the hash of the VAE that A1111's own settings choose for pictures that name none.

    NO_FILE where they choose none, "" where it is not known.
    """
    chosen = str(has.settings.get("sd_vae") or "")
    if has.is_forge or not (chosen and has.files):
        return ""
    return NO_FILE if chosen in NO_VAE else has.file_hash("VAE", chosen)


def know_first_files(has: Capabilities, ledger: Ledger) -> Capabilities:
    """Return capabilities that tell with which file a ledger first met each name.

    Of pictures that were drawn before ledgers remembered that, the infotext tells.
    """
    known = ledger.first_files()
    vaes = known.setdefault("VAE", {})
    for name in has.files.get("VAE", {}):
        if name not in vaes and (first := _vae_of_before(name, has, ledger)):
            vaes[name] = first
    chosen = _chosen_vae(has)
    if chosen and _BY_SETTING not in known and (said := ledger.last_infotext('"vae":""')):
        named = _fields(said).get("VAE", "")
        now = str(has.settings.get("sd_vae"))
        if now not in NO_VAE and _stem(named) != _stem(now):
            known[_BY_SETTING] = {"": named or NO_FILE}
    return replace(has, first_files=known)


def _vae_of_before(name: str, has: Capabilities, ledger: Ledger) -> str:
    """Return another hash than today's where the newest picture with a VAE was drawn with another.

    Infotexts tell it.
    """
    said = ledger.last_infotext(f'"vae":{json.dumps(name, ensure_ascii=False)}')
    before = _fields(said).get("VAE hash", "") if said else ""
    return before if was_another_vae(before, has) else ""


def was_another_vae(before: str, has: Capabilities) -> bool:
    """Tell whether the hash of a VAE in an infotext is that of none of the files here.

    A1111 keeps one hash for all VAEs, going by dates, so that of any other VAE says nothing.
    """
    vaes = has.files.get("VAE", {})
    return bool(before and vaes) and not any(
        has.file_hash("VAE", one).startswith(before[:10]) for one in vaes
    )


def _fields(infotext: str) -> dict[str, str]:
    try:
        return dict(parse_infotext(infotext).fields)
    except ValueError:
        return {}


def _stem(name: str) -> str:
    return re.sub(r"\.(safetensors|ckpt|pt)$", "", name)


def replaced_since(cell: Cell, has: Capabilities) -> str:
    """Name a file of a cell that is not any more the one that the cell was pinned to; "" for none.

    Files that are not seen from here are taken to be the same.
    """
    checkpoint = has.find_checkpoint(cell.checkpoint.title)
    pinned = [
        (use.kind, use.name, use.hash, _hash_of(use.kind, use.name, has))
        for use in cell.files
        if use.kind not in (_BY_SETTING, SETTINGS)
    ]
    pinned += [
        ("embedding", use.name, use.hash, has.file_hash("embedding", use.name))
        for use in cell.embeddings
    ]
    pinned += [("LoRA", use.name, use.hash, has.lora_hash_now(use.name)) for use in cell.loras]
    if checkpoint is not None:
        now = has.checkpoint_hash_now(checkpoint)
        pinned.append(("checkpoint", cell.checkpoint.title, cell.checkpoint.sha256, now))
    for kind, name, known, now in pinned:
        digits = min(len(known), len(now), 12)
        if known[:digits] != now[:digits]:
            return f"{kind} {name}"
    return ""
