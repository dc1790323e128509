"""What the tests of the pack share: a project that is ready to be published."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from packs import PUBLISH, WORDS, infotext, save_picture, store_scores
from promotions import promote_epoch, with_manifest
from user_folders import user_folder_in

from a1111_ext.publish.promoted import require_promoted
from kohya_ext.cli import main
from kohya_ext.project import Project, open_project


@pytest.fixture(scope="session")
def _first_ready(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ready")
    project = open_project(shutil.copytree(_first_project, folder / "first"))
    promote_epoch(project)
    project = with_manifest(project, PUBLISH, section="publish")
    digest = require_promoted(project).autov3
    for number, words in enumerate(WORDS):
        save_picture(project.showcase_dir / f"{number}.png", infotext(digest, words))
    with user_folder_in(folder):
        assert main(["select", str(project.root)]) == 0
    store_scores(project, {"general": 0.9}, {"animal": 0.9})
    return project.root


@pytest.fixture
def ready(_first_ready: Path, tmp_path: Path) -> Project:
    """A project with a promoted LoRA and three selected pictures."""
    return open_project(shutil.copytree(_first_ready, tmp_path / "my quillfox"))
