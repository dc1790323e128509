"""Models as the simulated WebUI sees them: LoRA files; checkpoints and embeddings are names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import ToolError
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import read_header, tensor_sha256

from .cards import END


@dataclass(frozen=True)
class LoraFile:
    """A LoRA on disk; `progress` is how far its training was, 0 to 1."""

    path: Path
    metadata: dict[str, str]
    hash: str
    progress: float
    fits: bool


def read_lora_file(path: Path, *, whole: bool = False) -> LoraFile | None:
    """Read a LoRA; None for a damaged file, which the real one lists and fails with later.

    Without a hash in its header it is hashed as a `whole`, as by Forge, or by its tensors.
    """
    try:
        header = read_header(path)
        known = header.metadata.get("sshs_model_hash")
        digest = known or (sha256_of(path) if whole else tensor_sha256(path))
    except ToolError:
        return None
    metadata = dict(header.metadata)
    epoch, epochs = _real(metadata.get("ss_epoch")), _real(metadata.get("ss_num_epochs"))
    fits = any(one.name.startswith(("lora_unet", "lora_te")) for one in header.tensors)
    return LoraFile(path, metadata, digest[:12], epoch / epochs * END if epochs else 0.6, fits)


def _real(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def embedding_hash(name: str) -> str:
    """Return the hash of an embedding, which is nothing but its name."""
    return hashlib.sha256(f"simulated embedding {name}".encode()).hexdigest()[:12]


def checkpoint_sha256(name: str) -> str:
    """Return the hash of a checkpoint, which is nothing but its name."""
    return hashlib.sha256(f"simulated checkpoint {name}".encode()).hexdigest()
