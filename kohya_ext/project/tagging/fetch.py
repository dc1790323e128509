"""A tagger of either format fetched from the hub, by its own client, when somebody asks for it.

Every file is compared with the hash that the hub tells for it before the folder is used.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DamagedError, HostError, InputError, PackageMissing
from ..files import git_sha1_of, make_folder, move_file, sha256_of
from ..progress import Progress, ProgressHandler, silent
from .tagger import TAGGER_FILES

TAGGERS = (
    "SmilingWolf/wd-vit-tagger-v3",
    "SmilingWolf/wd-swinv2-tagger-v3",
    "SmilingWolf/wd-convnext-tagger-v3",
    "SmilingWolf/wd-eva02-large-tagger-v3",
    "SmilingWolf/wd-v1-4-moat-tagger-v2",
    "SmilingWolf/wd-v1-4-convnextv2-tagger-v2",
)
"""Taggers of the WD14 form that the Kohya GUI offers as well."""


@dataclass(frozen=True)
class HubFile:
    """One file on the hub; `sha256` for large files, git's own hash of the content for others."""

    name: str
    size_bytes: int
    sha256: str
    git_sha1: str


@dataclass(frozen=True)
class FetchPlan:
    """What would be fetched, at which commit, and where it goes."""

    repository: str
    commit: str
    files: tuple[HubFile, ...]
    folder: Path

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)


def plan_fetch(repository: str, into: Path, hub: Any = None) -> FetchPlan:
    """Ask the hub what there is.

    Raises PackageMissing (its client), HostError (the hub does not answer), InputError (no tagger).
    """
    client = hub or _client()
    try:
        info = client.HfApi().model_info(repository, files_metadata=True)
    except Exception as error:  # the client raises what its own libraries raise
        raise _unreachable(repository, error) from error
    there = {one.rfilename: one for one in info.siblings or ()}
    names = next((one for one in TAGGER_FILES if there.keys() >= {*one}), None)
    if names is None:
        raise InputError(
            "LL245",
            f"{repository} contains no tagger: neither "
            f"{' nor '.join(f'{model} with {tags}' for model, tags in TAGGER_FILES)} is there.",
            f"Choose a tagger of these forms, such as {TAGGERS[0]}.",
        )
    files = tuple(_hub_file(there[name]) for name in names)
    return FetchPlan(repository, str(info.sha), files, into / repository.replace("/", "_"))


def _hub_file(sibling: Any) -> HubFile:
    large = sibling.lfs or {}
    sha256 = large["sha256"] if large else ""
    return HubFile(sibling.rfilename, sibling.size or 0, str(sha256), str(sibling.blob_id or ""))


def apply_fetch(plan: FetchPlan, *, hub: Any = None, progress: ProgressHandler = silent) -> Path:
    """Fetch the files beside their place, compare them, and move them in; return the folder.

    Raises HostError (the hub does not answer) or DamagedError (not what the hub says).
    """
    client = hub or _client()
    beside = make_folder(plan.folder.parent) / f"{plan.folder.name}.part"
    for number, one in enumerate(plan.files):
        megabytes = f"{one.name}, {one.size_bytes / 1e6:.0f} MB"
        progress(Progress("Fetching", number, len(plan.files), megabytes))
        try:
            client.hf_hub_download(
                plan.repository, one.name, revision=plan.commit, local_dir=str(beside)
            )
        except Exception as error:  # as above
            raise _unreachable(plan.repository, error) from error
        _require_same(beside / one.name, one)
    progress(Progress("Fetching", len(plan.files), len(plan.files)))
    shutil.rmtree(plan.folder, ignore_errors=True)
    make_folder(plan.folder)
    for one in plan.files:
        move_file(beside / one.name, plan.folder / one.name)
    shutil.rmtree(beside, ignore_errors=True)
    return plan.folder


def _require_same(path: Path, one: HubFile) -> None:
    """Compare a fetched file with what the hub tells of it; a wrong one is removed."""
    found, wanted = (
        (sha256_of(path), one.sha256) if one.sha256 else (git_sha1_of(path), one.git_sha1)
    )
    if found == wanted:
        return
    path.unlink()
    raise DamagedError(
        "LL246",
        f"{one.name} has the hash {found[:16]}, but the hub reports {wanted[:16] or 'none'}.",
        "Fetch it again; if this happens again, choose another tagger.",
    )


def _client() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise PackageMissing(
            "LL247",
            "Fetching needs the package huggingface_hub, which is not installed.",
            f'Install it: "{sys.executable}" -m pip install huggingface_hub',
        ) from error
    return huggingface_hub


def _unreachable(repository: str, error: Exception) -> HostError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return HostError(
        "LL248",
        f"{repository} could not be fetched from the hub: {first}",
        "Check the name and the connection, or put model.onnx and selected_tags.csv into a folder "
        "yourself and choose it.",
    )
