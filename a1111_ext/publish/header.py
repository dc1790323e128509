"""The promoted file's header: what the manifest says is written into it, tensors stay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kohya_ext.project import DamagedError, MissingError, Project
from kohya_ext.project.consent import consent_line
from kohya_ext.project.families import Family
from kohya_ext.project.files import part_beside, replace_file
from kohya_ext.project.lora_file import LoraHeader, read_header, rewrite_metadata, tensor_sha256
from kohya_ext.project.lora_kind import Naming, read_facts
from kohya_ext.project.manifest import Manifest, SubjectKind

_HASH_OF_NOTHING = hashlib.sha256(b"").hexdigest()
CONSENT_KEY = "loraloom.consent"
_SAID = ("modelspec.description", "modelspec.author", "modelspec.license", "modelspec.tags")


def header_changes(source: Path, name: str, manifest: Manifest) -> dict[str, str | None]:
    """Return what changes in the header: names, trigger phrase, and the hash as it really is.

    Raises MissingError for a file without weights.
    """
    header = read_header(source)
    metadata = header.metadata
    digest = tensor_sha256(source)
    if digest == _HASH_OF_NOTHING:
        raise MissingError(
            "LL606",
            f"{source} contains no weights.",
            "Choose another epoch; publishing sites reject such a file.",
        )
    about = manifest.publish
    said = {
        "modelspec.description": (about.description or manifest.subject.description).strip(),
        "modelspec.author": about.author,
        "modelspec.license": about.license,
        "modelspec.tags": ", ".join(about.tags),
    }
    return {
        "ss_output_name": name,
        "modelspec.sai_model_spec": metadata.get("modelspec.sai_model_spec", "1.0.1"),
        **_implementation(header, manifest.base_model.family),
        "modelspec.title": name,
        "modelspec.trigger_phrase": manifest.trigger_word,
        **{key: value for key, value in said.items() if value},
        CONSENT_KEY: _consent(manifest),
        "modelspec.hash_sha256": f"0x{digest}",
        "sshs_model_hash": digest,
        # it covers the names that change here, and nothing reads it any more
        "sshs_legacy_hash": None,
    }


def _consent(manifest: Manifest) -> str | None:
    """Return who agreed to what; None, which takes it out, for a subject that is no person."""
    subject = manifest.subject
    is_person = subject.kind is SubjectKind.PERSON
    return consent_line(subject.consent) if is_person and subject.consent else None


def _implementation(header: LoraHeader, family: Family) -> dict[str, str]:
    """Name the architecture where the trainer did not; the file's own layers have the word."""
    facts = read_facts(header)
    of_diffusers = facts.naming is Naming.DIFFUSERS or facts.trainer == "OneTrainer"
    if of_diffusers:
        implementation = "diffusers"
    elif facts.naming is Naming.COMFY:
        implementation = "https://github.com/comfyanonymous/ComfyUI"
    else:
        implementation = family.facts.implementation if facts.naming is Naming.KOHYA else ""
    found = {
        "modelspec.architecture": f"{family.facts.architectures[0]}/lora",
        "modelspec.implementation": implementation,
    }
    return {key: value for key, value in found.items() if value and key not in header.metadata}


def refresh_header(
    project: Project, path: Path, name: str, more: Mapping[str, str] | None = None
) -> bool:
    """Write what the manifest says, and `more`, into a promoted file; tell whether it changed.

    What the manifest says no more goes back to what the trainer wrote. Raises DamagedError.
    """
    changes = header_news(project, path, name, more)
    if changes:
        write_header(path, changes, tensor_sha256(path))
    return bool(changes)


def header_news(
    project: Project, path: Path, name: str, more: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """Return what `refresh_header` would change; None removes a key."""
    changes = header_changes(path, name, project.manifest) | dict(more or {})
    metadata = read_header(path).metadata
    trained = _trained(project)
    if trained is not None:
        changes |= {key: trained.get(key) for key in _SAID if key not in changes}
    return {key: value for key, value in changes.items() if metadata.get(key) != value}


def write_header(path: Path, changes: Mapping[str, str | None], digest: str) -> None:
    """Put a file with another header in place of `path`, whole or not at all."""
    beside = part_beside(path)
    try:
        rewrite_metadata(path, beside, changes)
        if tensor_sha256(beside) != digest:
            raise DamagedError(
                "LL603",
                f"{path} could not be written with a new header; it is unchanged.",
                "Check the disk, and that no other program is using that folder.",
            )
        replace_file(beside, path)
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
