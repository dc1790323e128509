"""A staged project whose base model is there, to be trained by the simulated trainer."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, open_project
from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.simulator.creature import recipes, write_pictures

Change = Callable[..., Project]


def change_manifest(project: Project, *pairs: tuple[str, str]) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


@pytest.fixture
def change() -> Change:
    """Change the manifest of a project: `change(project, (old, new))`."""
    return change_manifest


@pytest.fixture(scope="session")
def _first_trainable(_first_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(_first_project, tmp_path_factory.mktemp("trainable") / "first")
    project = open_project(root)
    write_pictures(project.source_dir, recipes(4))
    apply_layout(project, plan_layout(project))
    return root


@pytest.fixture
def trainable(_first_trainable: Path, tmp_path: Path) -> Project:
    """Four pictures and three epochs: 14 draws in 7 or more batches each."""
    project = open_project(shutil.copytree(_first_trainable, tmp_path / "my quillfox"))
    base = project.root / "base.safetensors"
    half = Tensor("F16", (1,), b"\0\0")
    write_lora(base, {"cond_stage_model.transformer.x": half, "model.diffusion_model.x": half}, {})
    return change_manifest(
        project, ("path: ''", f'path: "{base.as_posix()}"'), ("epochs: 10", "epochs: 3")
    )


def cli(*words: object) -> list[str]:
    return [sys.executable, "-m", "kohya_ext", *map(str, words)]
