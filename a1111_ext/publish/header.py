"""The promoted file's header: what the manifest says now is written into it, tensors stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kohya_ext.project import DamagedError, Project
from kohya_ext.project.files import part_beside
from kohya_ext.project.lora_file import read_header, rewrite_metadata, tensor_sha256
from kohya_ext.project.manifest import Manifest

from .promote import header_changes

_SAID = ("modelspec.description", "modelspec.author", "modelspec.license", "modelspec.tags")


def refresh_header(project: Project, path: Path, name: str) -> bool:
    """Write what the manifest says into the header of a promoted file; tell whether it changed.

    What the manifest says no more goes back to what the trainer wrote. Raises DamagedError.
    """
    changes = header_changes(path, name, project.manifest)
    metadata = read_header(path).metadata
    trained = _trained(project)
    if trained is not None:
        changes |= {key: trained.get(key) for key in _SAID if key not in changes}
    if all(metadata.get(key) == value for key, value in changes.items()):
        return False
    write_header(path, changes, str(changes["sshs_model_hash"]))
    return True


def write_header(path: Path, changes: Mapping[str, str | None], digest: str) -> None:
    """Put a file with another header in place of `path`, whole or not at all."""
    beside = part_beside(path)
    try:
        rewrite_metadata(path, beside, changes)
        if tensor_sha256(beside) != digest:
            raise DamagedError(
                "LL603",
                f"{path} could not be written with another header; it is as it was.",
                "Check the disk, and that no other program works on that folder.",
            )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _trained(project: Project) -> Mapping[str, str] | None:
    """Return the header of the epoch that was promoted, None when that file is gone."""
    entry = project.journal.last("promote")
    source = Path(str(entry.facts.get("source", ""))).name if entry else ""
    path = project.model_dir / source
    return read_header(path).metadata if source and path.is_file() else None


def with_header(manifest: Manifest, metadata: Mapping[str, str]) -> Manifest:
    """Fill what the manifest leaves empty from the header, so that all texts say the same."""
    publish = manifest.publish
    tags = (one.strip() for one in metadata.get("modelspec.tags", "").split(","))
    return replace(
        manifest,
        publish=replace(
            publish,
            author=publish.author or metadata.get("modelspec.author", ""),
            license=publish.license or metadata.get("modelspec.license", ""),
            tags=publish.tags or tuple(one for one in tags if one),
        ),
    )
