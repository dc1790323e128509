"""The promoted LoRA: which file of the project carries the simple name, and what is in it.

The journal says which one was promoted last; epochs and steps are read off the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kohya_ext.project import MissingError, Project
from kohya_ext.project.epochs import read_epoch_file
from kohya_ext.project.files import sha256_of
from kohya_ext.project.lora_file import tensor_sha256
from kohya_ext.project.lora_kind import LoraFacts, LoraKind, json_object
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import Client
from .promote import Promotion, hand_over, require_free_name

HASH_DIGITS = 12
"""How much of the tensors' SHA-256 the WebUI writes into infotexts (AutoV3)."""


@dataclass(frozen=True)
class Promoted:
    """The LoRA under its simple name; `epoch` and `steps` are those of the chosen file."""

    name: str
    path: Path
    epoch: int | None
    steps: int | None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    facts: LoraFacts | None = field(default=None, repr=False, compare=False)

    @property
    def place(self) -> str:
        """Return `epoch 8 of 20, 1,776 steps` as far as it is known."""
        planned = self.metadata.get("ss_num_epochs", "")
        parts = []
        if self.epoch is not None:
            parts.append(f"epoch {self.epoch}" + (f" of {planned}" if planned.isdigit() else ""))
        if self.steps is not None:
            parts.append(counted(self.steps, "step"))
        return ", ".join(parts)

    @cached_property
    def tensors_sha256(self) -> str:
        """SHA-256 of the tensors alone."""
        return tensor_sha256(self.path)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the whole file."""
        return sha256_of(self.path)

    @property
    def autov2(self) -> str:
        """The first 10 digits of the file's SHA-256: changes with any edit of the header."""
        return self.sha256[:10]

    @property
    def autov3(self) -> str:
        """What the WebUI writes under `Lora hashes`."""
        return self.tensors_sha256[:HASH_DIGITS]

    @property
    def network(self) -> str:
        """`rank 24, alpha 12` as far as the header tells."""
        dim, alpha = self.metadata.get("ss_network_dim"), self.metadata.get("ss_network_alpha")
        kind = self.facts.kind if self.facts else None
        dim = dim or (str(self.facts.rank) if self.facts and self.facts.rank else "")
        parts = [kind.value if kind not in (None, LoraKind.LORA) else ""]
        parts += [f"rank {dim}" if dim else "", f"alpha {alpha}" if alpha else ""]
        return ", ".join(filter(None, parts))

    @property
    def module(self) -> str:
        """The kind of network: LORA, LoCon or DoRA, as publishing sites call them."""
        if self.facts and self.facts.kind:
            return {LoraKind.LORA: "LORA", LoraKind.DORA: "DoRA"}.get(self.facts.kind, "LoCon")
        module = self.metadata.get("ss_network_module", "")
        arguments = self.metadata.get("ss_network_args", "")
        if str(json_object(arguments).get("dora_wd")).lower() == "true":
            return "DoRA"
        is_locon = "lycoris" in module or "locon" in module or "conv_dim" in arguments
        return "LoCon" if is_locon else "LORA"


def find_promoted(project: Project) -> Promoted | None:
    """Return the LoRA that was promoted last, or None. Raises MissingError or DamagedError."""
    entry = project.journal.last("promote")
    if entry is None:
        return None
    name = str(entry.facts.get("name", ""))
    path = _find_file(project, name, str(entry.facts.get("file", "")))
    known = read_epoch_file(path)
    return Promoted(
        name=path.stem,
        path=path,
        epoch=known.epoch if known.epoch is not None else _whole(entry.facts.get("epoch")),
        steps=known.step if known.step is not None else _whole(entry.facts.get("steps")),
        metadata=known.metadata,
        facts=known.facts,
    )


def require_promoted(project: Project) -> Promoted:
    """Return the LoRA that was promoted last. Raises MissingError when there is none."""
    found = find_promoted(project)
    if found is not None:
        return found
    raise MissingError(
        "LL604",
        f"No epoch of {project.root} is promoted yet.",
        "Choose one on the grid's page and give it a simple name: "
        "loraloom promote PROJECT EPOCH NAME",
    )


def _find_file(project: Project, name: str, noted: str) -> Path:
    """Find the file: where the journal says, or beside it in a project that was moved."""
    plain = Path(noted).name or f"{name}.safetensors"
    places = [project.root / noted] if noted else []
    places += [project.model_dir / plain, project.root / plain]
    for place in places:
        if place.is_file():
            return place
    raise MissingError(
        "LL604",
        f'The promoted LoRA "{name}" is missing: {places[0]} does not exist.',
        "Restore the file, or promote an epoch again.",
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def link_promoted(
    promoted: Promoted,
    client: Client,
    capabilities: Capabilities,
    named_folder: Path | None = None,
) -> Capabilities:
    """Make sure that a WebUI has the promoted LoRA under its own name.

    Raises MissingError (folder out of reach), HostError (not seen) or ConflictError (another file
    lies there; another LoRA has the name).
    """
    require_free_name(capabilities, promoted.name, promoted.tensors_sha256)
    if any(one.name == promoted.name for one in capabilities.loras):
        return capabilities
    promotion = Promotion(
        promoted.name,
        promoted.path,
        promoted.epoch,
        promoted.steps,
        promoted.tensors_sha256,
        promoted.path.name,
    )
    _, found = hand_over(promotion, client, capabilities, named_folder)
    return found
