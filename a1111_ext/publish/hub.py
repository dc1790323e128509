"""Upload of a pack to the model hub, through its own library: planned by comparing hashes.

Private unless asked otherwise; nothing there is overwritten without consent; login and tokens
are the library's own business and never seen here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohya_ext.project import (
    ConflictError,
    HostError,
    InputError,
    PackageMissing,
    Progress,
    ProgressHandler,
    silent,
)
from kohya_ext.project.files import git_sha1_of, sha256_of
from kohya_ext.project.wording import counted

_PICTURES_PER_COMMIT = 5
_GIT_DIGITS = 40
"""A hash of this length is git's; large files are known by their SHA-256."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class UploadPlan:
    """What an upload would do; `places` are paths in the pack and in the repository."""

    repository: str
    folder: Path
    exists: bool
    is_private: bool
    new: tuple[str, ...]
    same: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def to_send(self) -> tuple[str, ...]:
        """What goes up: the LoRA first, the card, which names all the rest, last."""
        return tuple(sorted((*self.new, *self.other), key=_rank))


def _rank(place: str) -> tuple[int, str]:
    order = 0 if place.endswith(".safetensors") else 2 if place == "README.md" else 1
    return order, place


def places_for_hub(folder: Path) -> tuple[str, ...]:
    """Return what of a pack belongs on the hub: LoRA, pictures and card."""
    found = [*folder.glob("*.safetensors"), folder / "README.md", *folder.glob("images/*")]
    return tuple(one.relative_to(folder).as_posix() for one in found)


def require_repository(name: str) -> str:
    """Return the name of a repository. Raises InputError unless it is `owner/name`."""
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise InputError(
            "LL676",
            f'"{name}" is not the name of a repository on the hub.',
            "Write owner and name: --to hub yourname/quillfox",
        )
    return name


def open_hub() -> Any:
    """Return the library's client, at HF_ENDPOINT if that is set. Raises PackageMissing."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise PackageMissing(
            "LL677",
            "Uploading needs the package huggingface_hub, which is not installed.",
            "Install it: pip install huggingface_hub",
        ) from error
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="loraloom")


def plan_upload(
    hub: Any, folder: Path, places: Sequence[str], repository: str, *, is_public: bool = False
) -> UploadPlan:
    """Compare a pack with what the repository has; nothing is sent.

    Raises ConflictError (the repository is public and that was not asked for) or HostError.
    """
    require_repository(repository)
    with _explained(repository):
        found = _repository_info(hub, repository)
        there = _hashes_there(hub, repository) if found is not None else {}
    if found is not None and not found.private and not is_public:
        raise ConflictError(
            "LL678",
            f"The repository {repository} is public: everything you upload there is published.",
            "Add --public if that is intended, or choose another repository.",
        )
    new, same, other = list[str](), list[str](), list[str]()
    for place in places:
        known = there.get(place)
        if known is None:
            new.append(place)
        else:
            hash_of = git_sha1_of if len(known) == _GIT_DIGITS else sha256_of
            (same if hash_of(folder / place) == known else other).append(place)
    is_private = found.private if found is not None else not is_public
    return UploadPlan(
        repository, folder, found is not None, is_private, tuple(new), tuple(same), tuple(other)
    )


def apply_upload(
    hub: Any, plan: UploadPlan, *, replace: bool = False, on_progress: ProgressHandler = silent
) -> str:
    """Make the repository if need be and send what is missing; return its address.

    Each commit is whole, so that the same command continues after an interruption. Raises
    ConflictError (other files there, and `replace` is not set) or HostError.
    """
    if plan.other and not replace:
        raise ConflictError(
            "LL679",
            f"{plan.repository} has {len(plan.other)} of these files with other content: "
            f"{', '.join(plan.other[:6])}.",
            "Add --replace to overwrite them, or choose another repository.",
        )
    with _explained(plan.repository):
        from huggingface_hub import CommitOperationAdd

        address = f"{hub.endpoint}/{plan.repository}"
        if not plan.exists:
            hub.create_repo(plan.repository, private=plan.is_private)
        batches, done = _batches(plan.to_send), 0
        for batch in batches:
            operations = [CommitOperationAdd(place, str(plan.folder / place)) for place in batch]
            hub.create_commit(
                plan.repository, operations, commit_message=f"Add {_counted_files(batch)}"
            )
            done += len(batch)
            on_progress(Progress("Upload", done, len(plan.to_send)))
    return address


def _counted_files(places: Sequence[str]) -> str:
    return places[0] if len(places) == 1 else counted(len(places), "picture")


def _batches(places: Sequence[str]) -> list[list[str]]:
    """Return what goes up together: pictures in small groups, everything else alone."""
    pictures = [one for one in places if one.startswith("images/")]
    groups = [
        pictures[start : start + _PICTURES_PER_COMMIT]
        for start in range(0, len(pictures), _PICTURES_PER_COMMIT)
    ]
    others = [[one] for one in places if one not in pictures]
    return [*(one for one in others if one != ["README.md"]), *groups,
            *(one for one in others if one == ["README.md"])]  # fmt: skip


def _repository_info(hub: Any, repository: str) -> Any:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return hub.repo_info(repository, repo_type="model")
    except RepositoryNotFoundError as error:
        status = getattr(error.response, "status_code", None)
        if status == 401:
            raise
        return None


def _hashes_there(hub: Any, repository: str) -> dict[str, str]:
    """Return SHA-256 of large files and git's hash of small ones, by path."""
    found = {}
    for one in hub.list_repo_tree(repository, recursive=True, repo_type="model"):
        if hasattr(one, "blob_id"):
            found[one.path] = one.lfs.sha256 if one.lfs else one.blob_id
    return found


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn what the library raises into one sentence, which never holds a token."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise HostError(
                "LL680",
                f"The hub does not allow writing to {repository} without a login, or not with "
                "this account.",
                "Log in with a token that has write permission: hf auth login",
            ) from error
        said = getattr(error, "server_message", "") or str(error).split("\n", 1)[0]
        raise HostError(
            "LL681", f"The hub refused: {said} (HTTP {status}).", "Run the same command again."
        ) from error
    except (OSError, ValueError) as error:
        raise _unreachable(error) from error
    except RuntimeError as error:  # the library's word for a file that did not go up
        raise HostError(
            "LL681",
            f"The upload stopped: {str(error).partition(chr(10))[0]}",
            "Run the same command again: it continues where it stopped.",
        ) from error
    except Exception as error:  # the library's transport raises classes of its own
        if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests"):
            raise _unreachable(error) from error
        raise


def _unreachable(error: Exception) -> HostError:
    return HostError(
        "LL681",
        f"The hub could not be reached: {type(error).__name__}.",
        "Check the network, then run the same command again: it continues where it stopped.",
    )
