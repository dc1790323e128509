"""A simulated tagger, and a staged project for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagger_model(tmp_path_factory.mktemp("tagger"))


@pytest.fixture
def staged(project: Project) -> Project:
    write_pictures(project.source_dir, recipes(3))
    apply_layout(project, plan_layout(project))
    return project
