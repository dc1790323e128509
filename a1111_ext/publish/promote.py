"""Promotion: the chosen epoch gets a simple name, inside the file too, before prompts carry it.

The header alone is rewritten; tensors are copied as bytes. An alias that still had the old name
would match `<lora:OLD:1>` in the WebUI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import (
    ConflictError,
    DamagedError,
    HostError,
    InputError,
    Project,
    RuleError,
    ToolError,
)
from kohya_ext.project.consent import Use, agreed_by
from kohya_ext.project.epochs import EpochFile, Run, read_epoch_file, require_family
from kohya_ext.project.files import is_portable_name, link_or_copy
from kohya_ext.project.lora_file import read_header, rewrite_metadata, tensor_sha256
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.numbers import whole_number

from ..api.capabilities import Capabilities
from ..api.client import Client
from ..api.forgetting import forget_loras
from ..api.inventory import fetch_loras
from ..api.lora_links import FOLDER, find_lora_folder, linked_names
from ..grids.choice import choose_promoted
from .header import header_changes, write_header

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EPOCH_NUMBER = re.compile(r"-(\d{6,}|step\d{8,})$")


@dataclass(frozen=True)
class PromotePlan:
    """One epoch file under its new name; `changes` are those of the header, None removes a key."""

    source: EpochFile
    name: str
    target: Path
    changes: Mapping[str, str | None]

    @property
    def hash(self) -> str:
        """SHA-256 of the tensors; its first 12 digits are what the WebUI shows."""
        return str(self.changes["sshs_model_hash"])


@dataclass(frozen=True)
class Promotion:
    """A promoted file; steps and epochs are those of this file, not of the whole training."""

    name: str
    path: Path
    epoch: int | None
    steps: int | None
    hash: str
    source: str
    change: str = ""
    """Says so where another epoch was chosen before."""


def find_epoch(runs: Sequence[Run], word: str) -> EpochFile:
    """Return the epoch that `word` names: a file of any run, by stem or linked name, or of the
    newest run by number or `last`.

    Raises InputError.
    """
    wanted = word.strip().removesuffix(".safetensors")
    for run in reversed(runs):
        for one, name in linked_names(run.files).items():
            if wanted in {one.name, name}:
                return one
    run = runs[-1]
    if wanted.casefold() == "last" and run.epochs:
        return run.epochs[-1]
    number = whole_number(wanted)
    if number is not None:
        for one in run.epochs:
            if one.epoch == number:
                return one
        for one in run.files:
            if one.is_step_save and one.step == number:
                return one
    numbers = [str(one.epoch) for one in run.epochs if one.epoch is not None]
    known = ", ".join(dict.fromkeys([*numbers, "last"]))
    raise InputError(
        "LL601",
        f'No epoch file of the newest training matches "{word}".',
        f"Give its number ({known}) or its file name, for example {run.files[-1].name}.",
    )


def plan_promotion(project: Project, source: EpochFile, name: str) -> PromotePlan:
    """Plan to promote `source` as `name`.

    Raises RuleError (consent), InputError (unusable name), ConflictError (a file is in the way, or
    one whose name differs in capitals only) or DamagedError (source).
    """
    project.require_consent(Use.TRAINING)
    _require_same_person(project, source)
    plain = name.removesuffix(".safetensors")
    _require_usable(plain)
    require_family([source], project.manifest.base_model.family)
    target = project.publish_dir / f"{plain}.safetensors"
    changes = header_changes(source.path, plain, project.manifest)
    plan = PromotePlan(source, plain, target, changes)
    _require_other_name(target)
    if target.exists() and not _has_tensors(target, plan.hash):
        raise ConflictError(
            "LL112",
            f"{target} already exists with other content.",
            "Choose another name, or move it away if it was promoted by mistake.",
        )
    return plan


def _require_same_person(project: Project, source: EpochFile) -> None:
    """Raise RuleError for a LoRA whose training had the consent of somebody else."""
    trained = agreed_by(read_header(source.path).metadata.get("ss_training_comment", ""))
    subject = project.manifest.subject
    now = ""
    if subject.kind is SubjectKind.PERSON and subject.consent:
        now = " ".join(subject.consent.name.split())
    if trained and trained != now:
        raise RuleError(
            "LL222",
            f"{source.path.name} was trained on pictures of a person, with the consent of "
            f"{trained}; the manifest now says {f'that {now} agreed' if now else 'no person'}.",
            "Write subject.kind and subject.consent as they were when it was trained, or train "
            "again.",
        )


def _require_usable(name: str) -> None:
    problem = ""
    if not _NAME.fullmatch(name):
        problem = "only letters, digits, dot, hyphen and underscore are allowed"
    elif not is_portable_name(name):
        problem = "Windows does not allow this file name"
    elif "__" in name:
        problem = "two underscores begin a wildcard in a template"
    elif _EPOCH_NUMBER.search(name):
        problem = "its end looks like the number of an epoch"
    if problem:
        raise InputError(
            "LL602",
            f'"{name}" is not a name for a LoRA: {problem}.',
            "Choose a simple one, for example Quillfox-v1: it becomes part of the showcase "
            "prompts.",
        )


def _require_other_name(target: Path) -> None:
    """Raise ConflictError for a file with the name in other capitals: the same one on Windows."""
    try:
        names = [one.name for one in target.parent.iterdir()]
    except FileNotFoundError:
        return
    same = (name for name in names if name.casefold() == target.name.casefold())
    other = next(same, target.name) if target.name not in names else target.name
    if other != target.name:
        raise ConflictError(
            "LL112",
            f"{target.with_name(other)} exists already, and Windows does not tell its name from "
            f"{target.name}.",
            f"Promote it as {Path(other).stem}, choose another name, or move that file away.",
        )


def apply_promotion(project: Project, plan: PromotePlan) -> Promotion:
    """Write the promoted file, check it, and note it in the journal; one that is there stays.

    Raises ConflictError (in the way), MachineError (disk full) or DamagedError (not what was
    written).
    """
    if not plan.target.exists():
        rewrite_metadata(plan.source.path, plan.target, plan.changes)
        _require_whole(plan)
    elif not _is_whole(plan):  # the same again, after the manifest was changed
        write_header(plan.target, plan.changes, plan.hash)
    promoted = read_epoch_file(plan.target)
    change = choose_promoted(project, plan.source.path.name)
    project.journal.append(
        "promote",
        name=plan.name,
        epoch=promoted.epoch,
        steps=promoted.step,
        file=plan.target.relative_to(project.root).as_posix(),
        source=plan.source.path.name,
        hash=plan.hash,
    )
    return Promotion(
        plan.name,
        plan.target,
        promoted.epoch,
        promoted.step,
        plan.hash,
        plan.source.path.name,
        change,
    )


def _has_tensors(path: Path, digest: str) -> bool:
    """Tell whether a file has these tensors, whatever its header says."""
    try:
        return tensor_sha256(path) == digest
    except ToolError:
        return False


def _is_whole(plan: PromotePlan) -> bool:
    """Tell whether the target is what this plan makes. Raises DamagedError."""
    metadata = read_header(plan.target).metadata
    same_header = all(metadata.get(key) == value for key, value in plan.changes.items())
    return same_header and tensor_sha256(plan.target) == plan.hash


def _require_whole(plan: PromotePlan) -> None:
    if not _is_whole(plan):
        plan.target.unlink(missing_ok=True)
        raise DamagedError(
            "LL603",
            f"{plan.target} was written incorrectly, so it was removed again.",
            "Check the disk, and that no other program is using that folder.",
        )


# -- the WebUI ----------------------------------------------------------------------------------


def require_free_name(capabilities: Capabilities, name: str, digest: str) -> None:
    """Raise ConflictError when another LoRA of the WebUI matches `name`.

    The WebUI keeps the last of two files with one stem, and an alias may hide a file.
    """
    for one in capabilities.loras:
        same = bool(one.hash) and digest.startswith(one.hash)
        if name.casefold() in {one.name.casefold(), one.alias.casefold()} and not same:
            is_linked = re.split(r"[\\/]", one.path)[-2:-1] == [FOLDER]
            away = (
                "remove the links of epoch files: loraloom link-loras PROJECT --remove"
                if is_linked
                else "move that file away."
            )
            raise ConflictError(
                "LL605",
                f'The WebUI at {capabilities.url} has another LoRA that matches "{name}": '
                f"{one.path or one.name}.",
                f"Choose another name, or {away}",
            )


def hand_over(
    promotion: Promotion, client: Client, capabilities: Capabilities, folder: Path | None = None
) -> tuple[Path, Capabilities]:
    """Put a promoted file into the WebUI's LoRA folder and make sure that it is seen.

    Returns where it is, and the capabilities with it. Raises MissingError (no way to the folder),
    ConflictError (another file there) or HostError (not seen).
    """
    target = find_lora_folder(capabilities, folder) / promotion.path.name
    if target.exists():
        _require_other_name(target)
        if not _has_tensors(target, promotion.hash):
            raise ConflictError(
                "LL112",
                f"{target} already exists with other content.",
                "Move it away, or promote under another name.",
            )
    else:
        link_or_copy(promotion.path, target)
        forget_loras(client)
    client.post("/sdapi/v1/refresh-loras", seconds=120)
    found = fetch_loras(client, capabilities)
    if not any(one.name == promotion.name for one in found.loras):
        raise HostError(
            "LL412",
            f"{target} exists, but the WebUI at {capabilities.url} does not list it.",
            "It uses another LoRA folder: give it with --lora-folder PATH.",
        )
    return target, found
