"""What the tests of the pack share: a project that is ready to be published."""

from __future__ import annotations

import pytest
from packs import PUBLISH, WORDS, infotext, save_picture, store_scores
from promotions import promote_epoch, with_manifest

from a1111_ext.publish.promoted import require_promoted
from kohya_ext.cli import main
from kohya_ext.project import Project


@pytest.fixture
def ready(project: Project) -> Project:
    """A project with a promoted LoRA and three selected pictures."""
    promote_epoch(project)
    project = with_manifest(project, PUBLISH, section="publish")
    digest = require_promoted(project).autov3
    for number, words in enumerate(WORDS):
        save_picture(project.showcase_dir / f"{number}.png", infotext(digest, words))
    assert main(["select", str(project.root)]) == 0
    store_scores(project, {"general": 0.9}, {"animal": 0.9})
    return project
