"""The LoRA that a prompt names, and the epoch files that belong to it; no host modules.

A1111 reads `<lora:NAME:weight...>`; NAME is a file's stem, whatever folder it is in.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import InputError, ToolError
from kohya_ext.project.epochs import EpochFile, Run, find_runs, read_epoch_file

from ..api.lora_tags import LoraTag, lora_tags


@dataclass(frozen=True)
class EpochsOfPrompt:
    """The tag in the prompt whose LoRA has epochs, and its run."""

    tag: LoraTag
    run: Run

    @property
    def epochs(self) -> tuple[EpochFile, ...]:
        return self.run.epochs


def find_epochs(prompt: str, folders: Sequence[Path], lora: str = "") -> EpochsOfPrompt:
    """Find the epochs of the LoRA that the prompt names; `lora` says which, where two have some.

    Raises InputError (no LoRA in the prompt; no epochs; epochs of more than one) or MissingError
    (no file).
    """
    tags = [one for one in dict.fromkeys(lora_tags(prompt)) if not lora or one.name == lora]
    if not tags:
        raise InputError(
            "LL751",
            f'The prompt names no LoRA "{lora}".' if lora else "The prompt names no LoRA.",
            "Write one of its epoch files into the prompt, for example <lora:Quillfox-000004:1>.",
        )
    found = [
        EpochsOfPrompt(tag, run)
        for tag in tags
        if (run := _find_run(tag.name, folders)) is not None
    ]
    with_epochs = [one for one in found if len(one.epochs) > 1]
    if len(with_epochs) == 1:
        return with_epochs[0]
    if with_epochs:
        names = ", ".join(one.tag.name for one in with_epochs)
        raise InputError(
            "LL754",
            f"The prompt names more than one LoRA with epochs: {names}.",
            'Write the one to compare into the box "LoRA".',
        )
    raise _refusal(tags, found)


def _refusal(tags: Sequence[LoraTag], found: Sequence[EpochsOfPrompt]) -> ToolError:
    names = ", ".join(one.name for one in tags)
    if found:
        return InputError(
            "LL753",
            f'Only one epoch of "{found[0].tag.name}" is in {found[0].run.files[0].path.parent}.',
            "Put the run's other epoch files beside it; they share one ss_session_id.",
        )
    return InputError(
        "LL752",
        f"No file in the host's LoRA folders is called {names}.",
        "Check spelling and capitals; the host matches them exactly.",
    )


def _find_run(name: str, folders: Iterable[Path]) -> Run | None:
    """Return the run of the file NAME.safetensors; else the newest whose output name is NAME.

    A name is not a path: one with a separator would lead the search out of the folders.
    """
    if set(name) & set("/\\\0"):
        return None
    for folder in folders:
        exact = sorted(folder.rglob(f"{glob.escape(name)}.safetensors"))
        for path in exact:
            if path.stem == name:  # Windows finds other capitals, too; the host does not
                return _run_of(path)
        named = sorted(folder.rglob(f"{glob.escape(name)}-*.safetensors"))
        parents = dict.fromkeys(path.parent for path in named)
        runs = [run for parent in parents for run in find_runs(parent) if run.output_name == name]
        if runs:
            return runs[-1]
    return None


def _run_of(path: Path) -> Run:
    read_epoch_file(path)  # says what is wrong with a damaged file
    runs = find_runs(path.parent)
    return next(run for run in runs if any(one.path == path for one in run.files))
