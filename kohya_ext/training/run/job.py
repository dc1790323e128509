"""A job: one training that a user asks for, from a project or from any Kohya json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...dataset.ratio import read_ratio
from ...project import Project
from ...project.files import write_text_atomic
from ..config.arguments import TrainerCall
from ..config.conversion import convert, write_dataset
from ..config.kohya_json import GuiVersion
from ..config.of_project import apply_config, plan_config, plan_project_call, sample_hints


@dataclass(frozen=True)
class TrainingJob:
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
    def scores_dir(self) -> Path | None:
        """Where the tag scores of its pictures are stored; None for a config without a project."""
        return self.project.scores_dir if self.project is not None else None

    @property
    def runs_dir(self) -> Path:
        """Where each run keeps its settings and output."""
        if self.project is not None:
            return runs_dir_of(self.project)
        return self.output_dir / f"{self.name}-runs"


def runs_dir_of(project: Project) -> Path:
    """Return where a project keeps its runs."""
    return project.log_dir / "runs"


def job_of_project(project: Project) -> TrainingJob:
    """Plan the job of a project; its pictures are the preflight's to read. Raises as plan_config.

    Raises InputError.
    """
    call = plan_project_call(project).call
    ratio = read_ratio(project)
    notes = (
        *([f"ratio: {ratio}"] if ratio else []),
        *(str(one) for one in call.notable),
        *sample_hints(project),
    )
    return TrainingJob(project.manifest.output_name, call, project.manifest_path, project, notes)


def write_project_config(project: Project) -> None:
    """Write the config that a run of the project uses, as `loraloom config` does."""
    apply_config(project, plan_config(project))


def job_of_config(path: Path, version: GuiVersion = GuiVersion.V26) -> TrainingJob:
    """Plan the job of any config for sd-scripts; relative paths in it count from its folder.

    A dataset config inside it is put beside the settings of loraloom. Raises MissingError (cannot
    be read), InputError (another trainer's; learning rates; an unknown LoRA type).
    """
    converted = convert(path, version)
    write_dataset(converted)
    repairs = [one for one in converted.config.repairs if not one.only_gui]
    notes = [*converted.notes, *repairs, *converted.call.notable, *converted.advice]
    name = str(converted.call.toml.get("output_name") or "last")
    return TrainingJob(name, converted.call, path.absolute(), None, tuple(map(str, notes)))


def write_prompts(call: TrainerCall) -> None:
    """Write the sample prompts where the call says that they are."""
    path = call.toml.get("sample_prompts")
    if path and call.sample_prompts.strip():
        write_text_atomic(Path(str(path)), call.sample_prompts.strip() + "\n")
