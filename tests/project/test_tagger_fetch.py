"""A tagger fetched from the hub, with a hub that a test can hold."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from second_format import write_logits_model

from kohya_ext.gui import actions
from kohya_ext.project import (
    DamagedError,
    HostError,
    InputError,
    PackageMissing,
    Project,
    open_project,
)
from kohya_ext.project.background_jobs import BackgroundJob
from kohya_ext.project.tagging import open_tagger
from kohya_ext.project.tagging.fetch import apply_fetch, plan_fetch
from kohya_ext.simulator.tagger_model import write_tagger_model

REPOSITORY = "SmilingWolf/wd-vit-tagger-v3"


class FakeHub:
    """Answers as the hub's client does; `swapped` arrives with other content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.swapped = ""
        self.asked: list[tuple[str, str]] = []
        self.HfApi = lambda: self

    def model_info(self, repository: str, files_metadata: bool = False) -> SimpleNamespace:
        assert files_metadata
        return SimpleNamespace(
            sha="c0ffee", siblings=[self._sibling(one) for one in sorted(self.folder.iterdir())]
        )

    def _sibling(self, path: Path) -> SimpleNamespace:
        data = path.read_bytes()
        is_large = path.suffix == ".onnx"
        return SimpleNamespace(
            rfilename=path.name,
            size=len(data),
            blob_id=hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            lfs={"sha256": hashlib.sha256(data).hexdigest()} if is_large else None,
        )

    def hf_hub_download(self, repository: str, name: str, *, revision: str, local_dir: str) -> str:
        self.asked.append((name, revision))
        target = Path(local_dir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        data = (self.folder / name).read_bytes()
        target.write_bytes(data + b"!" if name == self.swapped else data)
        return str(target)


@pytest.fixture
def hub(tmp_path: Path) -> FakeHub:
    return FakeHub(write_tagger_model(tmp_path / "on the hub"))


def test_a_tagger_is_fetched_whole(hub: FakeHub, tmp_path: Path):
    plan = plan_fetch(REPOSITORY, tmp_path / "taggers", hub)
    folder = apply_fetch(plan, hub=hub)
    assert folder == tmp_path / "taggers" / "SmilingWolf_wd-vit-tagger-v3"
    assert sorted(one.name for one in folder.iterdir()) == ["model.onnx", "selected_tags.csv"]
    assert {revision for _, revision in hub.asked} == {"c0ffee"}
    assert plan.size_bytes == sum(one.stat().st_size for one in folder.iterdir())
    assert not list((tmp_path / "taggers").glob("*.part"))
    assert apply_fetch(plan, hub=hub) == folder


@pytest.mark.parametrize("name", ["model.onnx", "selected_tags.csv"])
def test_another_file_than_reported_is_not_used(hub: FakeHub, tmp_path: Path, name: str):
    hub.swapped = name
    plan = plan_fetch(REPOSITORY, tmp_path / "taggers", hub)
    with pytest.raises(DamagedError, match=rf"{name} has the hash .*\[LL246\]"):
        apply_fetch(plan, hub=hub)
    assert not plan.folder.exists()
    hub.swapped = ""
    assert apply_fetch(plan, hub=hub).is_dir()


def test_a_tagger_of_the_second_format_is_fetched(tmp_path: Path):
    hub = FakeHub(write_logits_model(tmp_path / "on the hub"))
    folder = apply_fetch(plan_fetch(REPOSITORY, tmp_path / "here", hub), hub=hub)
    assert sorted(one.name for one in folder.iterdir()) == [
        "model_optimized.onnx",
        "tag_mapping.json",
    ]
    assert open_tagger(folder).has_logits


def test_a_repository_without_a_tagger_is_named(hub: FakeHub, tmp_path: Path):
    (hub.folder / "selected_tags.csv").unlink()
    with pytest.raises(
        InputError, match=r"contains no tagger: neither model\.onnx with .*\[LL245\]"
    ):
        plan_fetch(REPOSITORY, tmp_path, hub)


def test_a_hub_that_does_not_answer_is_a_sentence(tmp_path: Path, hub: FakeHub):
    def refuse(*words: object, **named: object) -> None:
        raise ConnectionError("no route\nand more")

    hub.hf_hub_download = refuse  # type: ignore[method-assign]
    plan = plan_fetch(REPOSITORY, tmp_path, hub)
    with pytest.raises(HostError, match=r"no route Check.*\[LL248\]"):
        apply_fetch(plan, hub=hub)
    silent = SimpleNamespace(HfApi=lambda: SimpleNamespace(model_info=refuse))
    with pytest.raises(HostError, match=r"\[LL248\]"):
        plan_fetch(REPOSITORY, tmp_path, silent)


def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PackageMissing, match=r"\[LL247\]"):
        plan_fetch(REPOSITORY, tmp_path)


def test_the_step_gives_the_tagger_to_the_project(
    project: Project, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    job = BackgroundJob("Fetch", actions.work_of(actions.fetching(REPOSITORY), project))
    job.start()
    view = list(job.follow(30.0))[-1]
    assert view.error == ""
    assert "every file matches its hash on the hub" in view.lines[-1]
    model = Path(open_project(project.root).manifest.captions.model)
    assert (model / "model.onnx").is_file()
