"""Models as the simulated WebUI sees them: LoRA files; checkpoints and embeddings are names.

Only a checkpoint that a test wrote as a file has the file's hash, as far as the real one sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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


class CheckpointFiles:
    """Hashes of checkpoints as A1111 knows them: it goes by dates, and looks when it lists them.

    What is loaded keeps its hash until another path is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "models" / "Stable-diffusion"
        self._cache: dict[str, tuple[float, str]] = {}
        self._listed: dict[str, str] = {}
        self.loaded = self.mark = ""

    def path(self, name: str) -> Path:
        """Return where the checkpoint lies, or would lie."""
        return self._folder / f"{name}.safetensors"

    def listed(self, name: str) -> str:
        """Return the hash that the list shows; "" where the file is to be hashed yet."""
        if not self.path(name).exists():
            return checkpoint_sha256(name)
        return self._listed.get(name, "")

    def refresh(self) -> None:
        """List the files again: the hash of an earlier one with an older date is forgotten."""
        for name, (date, _) in self._cache.items():
            if self.path(name).stat().st_mtime > date:
                self._listed[name] = ""

    def load(self, name: str) -> None:
        """Read a checkpoint, and hash it where its hash is not known by its date."""
        path, self.mark = self.path(name), ""
        if path.exists():
            date, digest = self._cache.get(name, (0.0, ""))
            if path.stat().st_mtime > date:
                date, digest = path.stat().st_mtime, sha256_of(path)
            self._cache[name], self._listed[name] = (date, digest), digest
            self.mark = sha256_of(path)
        self.loaded = self.listed(name)


class KeptFiles:
    """VAEs or hypernetworks: read by their names, and kept as long as the names are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, str] = {}

    def paths(self) -> dict[str, Path]:
        """Return the files by their names, without their suffix."""
        return {one.stem: one for one in sorted(self.folder.glob("*")) if one.is_file()}

    def use(self, names: Iterable[str]) -> list[str]:
        """Return the hash of what is drawn with for each name that is there."""
        paths = self.paths()
        there = [name for name in names if name in paths]
        self._kept = {name: self._kept.get(name) or sha256_of(paths[name]) for name in there}
        return list(self._kept.values())
