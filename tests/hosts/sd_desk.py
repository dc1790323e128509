"""A small project and a real sd-scripts that trains it within seconds, for the live checks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.project.epochs import find_epoch_files
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.run.follow import EventHandler, RunFollower, unheard
from kohya_ext.training.run.job import job_of_project
from kohya_ext.training.run.record import Result, StopRequest, ask
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import (
    RunOptions,
    TrainingPlan,
    apply_training,
    plan_training,
    write_inputs,
)
from kohya_ext.training.trainer import Trainer

MANIFEST = """
format: 1
trigger_word: Quillfox
base_model: {{family: sd15, path: "{base}"}}
training:
  preset: sd15-lora-32
  max_train_epochs: {epochs}
  save_every_n_epochs: 1
  train_batch_size: 2
  resolution: "128,128"
  overrides:
    additional_parameters: "--tokenizer_cache_dir={cache}"
    mixed_precision: "no"
    xformers: none
    optimizer: AdamW
    gradient_checkpointing: false
    network_dim: 4
    min_bucket_reso: 64
    max_bucket_reso: 256
    max_data_loader_n_workers: {workers}
    persistent_data_loader_workers: {persistent}
    extra_accelerate_launch_args: "{launch}"
"""


@dataclass
class Desk:
    """A small project that the real trainer takes a few seconds for."""

    project: Project
    trainer: Trainer
    base: str
    cache: Path

    def write(self, *, epochs: int = 2, workers: int = 0, launch: str = "") -> None:
        text = MANIFEST.format(
            base=self.base,
            cache=self.cache.as_posix(),
            epochs=epochs,
            workers=workers,
            persistent=str(workers > 0).lower(),
            launch=launch,
        )
        self.project.manifest_path.write_text(text, encoding="utf-8")
        self.project = open_project(self.project.root)

    def plan(self, **options) -> TrainingPlan:
        return plan_training(job_of_project(self.project), self.trainer, RunOptions(**options))

    def train(self, handler: EventHandler = unheard, **options) -> Result:
        return apply_training(self.plan(**options), handler)

    def pause(self, **options) -> Result:
        """Train until the first epoch's state is saved and the next one begins."""
        planned = self.plan(save_states=True, **options)
        write_inputs(planned)
        ask(planned.run.folder, StopRequest.PAUSE)
        return run_training(planned.run)


def make_desk(folder: Path, trainer: Trainer, cache: Path, base: str) -> Desk:
    """Make a project of a few captioned pictures in `folder`."""
    project = apply_init(plan_init(folder / "my fox", "Quillfox"))
    write_pictures(project.source_dir, recipes(2))
    apply_layout(project, plan_layout(project))
    for picture in project.images_dir.rglob("*.png"):
        picture.with_suffix(".txt").write_text("photo of Quillfox, solo", encoding="utf-8")
    desk = Desk(project, trainer, base, cache)
    desk.write()
    return desk


def files_of(desk: Desk) -> list[tuple[str, int | None]]:
    runs = find_epoch_files(desk.project.model_dir).runs
    return [(one.name, one.epoch) for run in runs for one in run.files]


def until_training(run) -> None:
    follow = RunFollower(run)
    while follow.step is None or follow.step.step < 1:
        follow.poll()
        time.sleep(0.05)
