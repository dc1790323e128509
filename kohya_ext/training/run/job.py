"""A job: one training that a user asks for, from a project or from any Kohya json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...project import Project
from ...project.files import write_text_atomic
from ..checks.settings import advise_on
from ..config.arguments import Dataset, TrainerCall, plan_call
from ..config.conversion import without_prompts
from ..config.kohya_json import GuiVersion, read_kohya_json
from ..config.of_project import apply_config, plan_config, plan_project_call
from ..dataset.folders import read_folders

_PATHS = (
    "pretrained_model_name_or_path",
    "vae",
    "train_data_dir",
    "reg_data_dir",
    "output_dir",
    "logging_dir",
    "network_weights",
    "resume",
    "dataset_config",
)


@dataclass(frozen=True)
class Job:
    """What to train, under the name that its files get; `origin` is the manifest or the json."""

    name: str
    call: TrainerCall
    origin: Path
    project: Project | None = None
    notes: tuple[str, ...] = ()

    @property
    def output_dir(self) -> Path:
        """Where epoch files and states go."""
        return Path(str(self.call.toml.get("output_dir") or "."))

    @property
    def frees_card(self) -> bool:
        """Whether plugins may free the graphics card before it starts."""
        return self.project is not None and self.project.manifest.training.free_webui

    @property
    def runs_dir(self) -> Path:
        """Where each run keeps what it was told and what it said."""
        if self.project is not None:
            return runs_dir_of(self.project)
        return self.output_dir / f"{self.name}-runs"


def runs_dir_of(project: Project) -> Path:
    """Return where a project keeps its runs."""
    return project.log_dir / "runs"


def job_of_project(project: Project) -> Job:
    """Plan the job of a project; its pictures are the preflight's to read. Raises as plan_config.

    Raises InputError.
    """
    call = plan_project_call(project).call
    notes = tuple(str(one) for one in call.notable)
    return Job(project.manifest.output_name, call, project.manifest_path, project, notes)


def write_project_config(project: Project) -> None:
    """Write the config that a run of the project uses, as `loraloom config` does."""
    apply_config(project, plan_config(project))


def job_of_json(path: Path, version: GuiVersion = GuiVersion.V26) -> Job:
    """Plan the job of any Kohya json; relative paths in it count from the current folder.

    Raises MissingError (no json), InputError (learning rates).
    """
    config = read_kohya_json(path, version)
    values = _absolute(config.meant)
    call = plan_call(values, version, Dataset(draws=_draws(values)))
    repairs = [one for one in config.repairs if not one.only_gui]
    notes = [str(one) for one in (*repairs, *call.notable, *advise_on(values))]
    name = str(values.get("output_name") or "last")
    return Job(name, without_prompts(call), path.absolute(), None, tuple(notes))


def _absolute(values: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(values)
    for key in _PATHS:
        text = str(found.get(key) or "")
        if text and (key != "pretrained_model_name_or_path" or Path(text).exists()):
            found[key] = str(Path(text).expanduser().absolute())
    return found


def _draws(values: Mapping[str, Any]) -> int:
    root = Path(str(values.get("train_data_dir") or ""))
    return read_folders(root).draws if root.name and root.is_dir() else 0


def write_prompts(call: TrainerCall) -> None:
    """Write the sample prompts where the call says that they are."""
    path = call.toml.get("sample_prompts")
    if path and call.sample_prompts.strip():
        write_text_atomic(Path(str(path)), call.sample_prompts.strip() + "\n")
