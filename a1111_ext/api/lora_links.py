"""Links: epoch files put where the WebUI sees them, under names that are theirs alone.

All epochs of a run share one `ss_output_name`, so only file names tell them apart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kohya_ext.project import ConflictError, HostError, MissingError, Project
from kohya_ext.project.epochs import EpochFile, Run
from kohya_ext.project.files import Transfer, explained, link_or_copy, sha256_of

from .capabilities import Capabilities, Lora
from .client import Client
from .forgetting import forget_loras
from .inventory import fetch_capabilities, fetch_loras
from .lora_list import hash_of

FOLDER = "loraloom"
"""The folder of ours inside the WebUI's LoRA folder."""

LINKED = "link-loras"
"""The entry of the journal for a file that was put there."""


@dataclass(frozen=True)
class LoraLink:
    """One file to be linked: from the project to the WebUI's folder, under `name`."""

    epoch_file: EpochFile
    target: Path

    @property
    def name(self) -> str:
        """What goes into `<lora:NAME:1>`."""
        return self.target.stem


@dataclass(frozen=True)
class LinkPlan:
    """What would be linked into which WebUI."""

    url: str
    links: tuple[LoraLink, ...]

    @property
    def new(self) -> tuple[LoraLink, ...]:
        """Links whose file is not there yet."""
        return tuple(one for one in self.links if not one.target.exists())


def linked_name(one: EpochFile) -> str:
    """Return a name that is unique per project, run and epoch, and legal in any LoRA tag.

    Publishing sites read letters, digits, `_`, `.` and `-`; `__` would start a wildcard.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+|_{2,}", "_", one.output_name).strip("_") or "lora"
    session = re.sub(r"\W", "", one.session_id)[-6:] or "run"
    number = one.epoch if one.epoch is not None else one.number
    step = f"-step{one.step:08d}" if one.is_step_save and one.step is not None else ""
    end = f"{number:06d}" if number is not None else "last"
    return f"{plain}-{session}-{end}{step}"


def linked_names(files: Sequence[EpochFile]) -> dict[EpochFile, str]:
    """Return the linked name of each file; of several of one epoch, all but one get a mark.

    The mark is a digest of the file's own name and header, so it stays the same.
    """
    names: dict[EpochFile, str] = {}
    taken: set[str] = set()
    for one in sorted(files, key=lambda one: (len(one.name), one.name)):
        name = linked_name(one)
        if name.casefold() in taken:
            identity = json.dumps([one.name, sorted(one.metadata.items())])
            name = f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"
        taken.add(name.casefold())
        names[one] = name
    return {one: names[one] for one in files}


def with_run(capabilities: Capabilities, run: Run) -> Capabilities:
    """Return capabilities as they will be once the files of a run are linked."""
    linked = tuple(
        Lora(name, one.output_name, shown_hash(one, capabilities), str(one.path))
        for one, name in linked_names(run.files).items()
    )
    names = {one.name for one in linked}
    others = (one for one in capabilities.loras if one.name not in names)
    return replace(capabilities, loras=(*others, *linked))


def shown_hash(one: EpochFile, capabilities: Capabilities) -> str:
    """Return a file's hash as the WebUI shows it: 12 digits, the header's own where it has one.

    Without one A1111 hashes the tensors alone, Forge the whole file.
    """
    known = one.metadata.get("sshs_model_hash")
    if known:
        return known[:12]
    return hash_of(one.path, whole=capabilities.is_forge)[:12]


def find_lora_folder(capabilities: Capabilities, named: Path | None = None) -> Path:
    """Return the WebUI's LoRA folder: the one that is named, or its own by the API.

    Raises MissingError when it cannot be reached from this machine.
    """
    folder = named or (Path(capabilities.lora_dir) if capabilities.lora_dir else None)
    if folder is None or not folder.is_dir():
        where = (
            f"{folder} is not a folder on this machine"
            if folder
            else "it does not say where its LoRAs are"
        )
        raise MissingError(
            "LL411",
            f"The LoRA folder of the WebUI at {capabilities.url} cannot be reached: {where}.",
            "If it runs on another machine, share that folder and give its path: "
            "--lora-folder PATH.",
        )
    return folder


def plan_links(run: Run, capabilities: Capabilities, named: Path | None = None) -> LinkPlan:
    """Plan to link every epoch file of a run. Raises MissingError."""
    folder = find_lora_folder(capabilities, named) / FOLDER
    links = tuple(
        LoraLink(one, folder / f"{name}{one.path.suffix}")
        for one, name in linked_names(run.files).items()
    )
    return LinkPlan(capabilities.url, links)


def apply_links(
    project: Project, plan: LinkPlan, client: Client, has: Capabilities | None = None
) -> Capabilities:
    """Link the files, refresh the WebUI's list and make sure that it sees each of them.

    Files that are there already and the same are kept. A WebUI of which is known what it `has`
    is asked again for its LoRAs only. Raises ConflictError (another file of that name), HostError
    (the WebUI does not see one).
    """
    counts = dict.fromkeys(Transfer, 0)
    before = (entry for entry in project.journal.entries() if entry.kind == LINKED)
    known = {Path(entry.facts["path"]) for entry in before}  # on Windows in any capitals
    again = any(link.target in known for link in plan.new)
    for link in plan.links:
        if link.target.exists():
            _require_same(link)
            continue
        project.journal.append(LINKED, url=plan.url, path=str(link.target))
        counts[link_or_copy(link.epoch_file.path, link.target)] += 1
    client.post("/sdapi/v1/refresh-loras", seconds=120)
    capabilities = fetch_loras(client, has) if has else fetch_capabilities(client)
    if again:
        forget_loras(client)
    seen = {one.name for one in capabilities.loras}
    for link in plan.links:
        if link.name not in seen:
            raise HostError(
                "LL412",
                f"{link.target} exists, but the WebUI at {plan.url} does not list it.",
                "It uses another LoRA folder: give it with --lora-folder PATH.",
            )
    return capabilities


def _require_same(link: LoraLink) -> None:
    source, target = link.epoch_file.path, link.target
    if target.samefile(source) or sha256_of(target) == sha256_of(source):
        return
    raise ConflictError(
        "LL112",
        f"{target} already exists with other content.",
        "Move it away and link again.",
    )


def find_linked(project: Project) -> tuple[Path, ...]:
    """Return the files that this project has linked and not removed."""
    linked: dict[Path, None] = {}
    for entry in project.journal.entries():
        if entry.kind == LINKED:
            linked[Path(entry.facts["path"])] = None
        elif entry.kind == "take back":
            linked.pop(Path(entry.facts["path"]), None)
    return tuple(path for path in linked if path.exists())


def remove_links(project: Project, paths: Sequence[Path], clients: Sequence[Client]) -> None:
    """Remove linked files from the WebUIs' folders; the project's own files stay."""
    for path in paths:
        with explained(path):  # on Windows a WebUI that has it loaded holds it
            path.unlink(missing_ok=True)
        project.journal.append("take back", path=str(path))
        if path.parent.name == FOLDER and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    for client in clients if paths else ():
        client.post("/sdapi/v1/refresh-loras", seconds=120)
