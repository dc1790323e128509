"""Upload to the model hub, through its own library, to a hub on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import LocalHub, Repository, local_hub

from a1111_ext.publish.hub import (
    UploadPlan,
    apply_upload,
    open_hub,
    places_for_hub,
    plan_upload,
    require_repository,
)
from kohya_ext.project import ConflictError, HostError, ToolError

pytest.importorskip("huggingface_hub", minversion="1.12")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of that library

NAME = "ada/quillfox"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalHub]:
    with local_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", served.token)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        # Xet, a second way up, is another server's; the one of git-lfs is served here
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True, raising=False)
        yield served


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    (folder / "images").mkdir(parents=True)
    (folder / "quillfox-v1.safetensors").write_bytes(b"weights" * 99)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Quillfox\n", encoding="utf-8")
    (folder / "checklist.html").write_text("mine", encoding="utf-8")
    for number in range(7):
        (folder / "images" / f"{number:02d}.png").write_bytes(b"picture %d" % number)
    return folder


def plan(pack: Path, **words: bool) -> UploadPlan:
    return plan_upload(open_hub(), pack, places_for_hub(pack), NAME, **words)


def send(pack: Path, **words: bool) -> str:
    return apply_upload(open_hub(), plan(pack), **words)


def test_a_pack_goes_into_a_private_repository(hub: LocalHub, pack: Path):
    assert send(pack) == f"{hub.url}/{NAME}"
    repository = hub.repositories[NAME]
    assert repository.private
    assert set(repository.files) == {
        "quillfox-v1.safetensors",
        "README.md",
        *(f"images/{number:02d}.png" for number in range(7)),
    }
    for place, data in repository.files.items():
        assert (pack / place).read_bytes() == data
    first, *_, last = repository.commits
    assert (first, last) == (["quillfox-v1.safetensors"], ["README.md"])
    assert hub.cards  # the hub's own check of the card was asked


def test_a_plan_sends_nothing(hub: LocalHub, pack: Path):
    found = plan(pack)
    assert (found.exists, found.is_private, len(found.new)) == (False, True, 9)
    assert hub.repositories == {}


def test_an_interrupted_upload_continues(hub: LocalHub, pack: Path):
    hub.fail_at_commit = 3
    with pytest.raises(HostError, match=r"The hub is tired.*LL681"):
        send(pack)
    assert len(hub.repositories[NAME].commits) == 2
    sent = list(hub.uploads)
    hub.fail_at_commit = 0
    again = plan(pack)
    assert "quillfox-v1.safetensors" in again.same
    apply_upload(open_hub(), again)
    assert len(hub.repositories[NAME].files) == 9
    assert len(hub.uploads) == len(set(hub.uploads))  # nothing went up twice
    assert hub.uploads[: len(sent)] == sent
    assert plan(pack).to_send == ()


def test_other_files_are_not_overwritten_unasked(hub: LocalHub, pack: Path):
    mine = {"README.md": b"my own words", "notes.txt": b"mine"}
    hub.repositories[NAME] = Repository(True, dict(mine))
    with pytest.raises(ConflictError, match=r"README\.md.*LL679"):
        send(pack)
    assert hub.repositories[NAME].files == mine
    send(pack, replace=True)
    files = hub.repositories[NAME].files
    assert files["README.md"].startswith(b"---")
    assert files["notes.txt"] == b"mine"


def test_a_public_repository_must_be_meant(hub: LocalHub, pack: Path):
    hub.repositories[NAME] = Repository(False)
    with pytest.raises(ConflictError, match=r"is public.*LL678"):
        plan(pack)
    assert not plan(pack, is_public=True).is_private


def test_a_public_repository_is_made_when_asked(hub: LocalHub, pack: Path):
    apply_upload(open_hub(), plan(pack, is_public=True))
    assert not hub.repositories[NAME].private


@pytest.mark.parametrize(("status", "code"), [(401, "LL680"), (403, "LL680"), (400, "LL681")])
def test_refusals_name_no_token(hub: LocalHub, pack: Path, status: int, code: str):
    hub.status = status
    with pytest.raises(HostError, match=code) as caught:
        plan(pack)
    assert hub.token not in str(caught.value)


def test_a_hub_out_of_reach_is_one_sentence(pack: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HostError, match=r"could not be reached.*LL681"):
        plan(pack)


def test_a_failed_upload_of_one_file_is_one_sentence(hub: LocalHub, pack: Path):
    hub.fail_at_put = True
    with pytest.raises(HostError, match=r"quillfox-v1\.safetensors.*LL681"):
        send(pack)


@pytest.mark.parametrize("name", ["quillfox", "a/b/c", "../x/y", "a/..", "a b/c", "/x"])
def test_wrong_names_are_refused(name: str):
    with pytest.raises(ToolError, match="LL676"):
        require_repository(name)


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ToolError, match=r"pip install huggingface_hub.*LL677"):
        open_hub()
