"""`config`: from the manifest and the staged pictures to the files that train a LoRA.

Written are the Kohya GUI's json and sd-scripts' toml; both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ...captions.rules import parse_tags
from ...dataset.ratio import read_ratio
from ...dataset.staged import read_staged
from ...project import (
    DamagedError,
    InputError,
    MissingError,
    ProgressHandler,
    Project,
    silent,
)
from ...project.consent import Use, with_consent
from ...project.families import family_of_values
from ...project.files import write_json_atomic, write_text_atomic
from ...project.manifest import Manifest, SubjectKind, TrainingSettings
from ...project.pictures import TRAINER_SUFFIXES
from ...project.wording import counted
from ..checks.settings import advise_on
from ..dataset.expected import expected_steps, read_datasets
from ..dataset.folders import inspect_pictures, read_folders
from ..dataset.steps import StepPlan
from .arguments import TrainerCall, arguments_of, plan_call, require_valid_call
from .call_values import effective, processes_of
from .conversion import format_dataset_toml
from .gui_fields import fields_of_family
from .kohya_json import (
    SECRETS,
    GuiVersion,
    Values,
    complete,
    default_values,
    keys_of,
    require_valid,
    without_secrets,
)
from .paths import GUI_PATHS, with_absolute_paths
from .presets import preset_values, require_preset
from .samples import draw_samples, find_sample_hints
from .toml import format_toml
from .validation import REASON

if TYPE_CHECKING:
    from dynprompts import WildcardLibrary

FEWEST_STEPS = 1500
"""The practice's rule of thumb for a whole run, with a grain of salt."""


@dataclass(frozen=True)
class ConfigPlan:
    """The config of one run: the GUI's values, the trainer's call, and its exact steps."""

    folder: Path
    name: str
    version: GuiVersion
    values: Values
    call: TrainerCall
    steps: StepPlan
    advice: tuple[str, ...]
    dataset_toml: str
    ratio: str = ""
    """What primaries weigh against supporting pictures."""

    @property
    def toml(self) -> str:
        """The config toml for sd-scripts."""
        return format_toml(self.call.toml)

    @property
    def paths(self) -> tuple[Path, ...]:
        """What gets written, in the order of use."""
        return (self.json_path, self.toml_path, self.dataset_path)

    @property
    def dataset_path(self) -> Path:
        """The same pictures as a dataset toml, for whoever starts sd-scripts with one."""
        return self.folder / f"{self.name}.dataset.toml"

    @property
    def json_path(self) -> Path:
        """The file that the Kohya GUI loads."""
        return self.folder / f"{self.name}.json"

    @property
    def toml_path(self) -> Path:
        """The file that sd-scripts gets by --config_file."""
        return self.folder / f"{self.name}.toml"

    @property
    def prompts_path(self) -> Path:
        """Sample prompts, when there are any."""
        return self.folder / f"{self.name}.prompts.txt"


def plan_config(project: Project, *, progress: ProgressHandler = silent) -> ConfigPlan:
    """Plan the config of a project.

    Raises InputError (a value that the GUI cannot hold; learning rates; a value that sd-scripts
    would misread; preset; unknown override; a secret) or MissingError (no base model; nothing
    staged).
    """
    call = plan_project_call(project)
    steps = _read_steps(project.images_dir, call.call, progress)
    found = list(advise_on(call.values))
    if "--validation_split=" in str(call.values.get("additional_parameters")):
        found.append(f"pictures are kept back for validation: {REASON}.")
    if steps.steps < FEWEST_STEPS:
        few = (
            f"{counted(steps.steps, 'step is', 'steps are')} few; about {FEWEST_STEPS} are usual. "
            f"{-(-FEWEST_STEPS // steps.steps_per_epoch)} in training.max_train_epochs would reach "
            "them."
        )
        found.insert(0, few)
    return ConfigPlan(
        project.config_dir,
        project.manifest.output_name,
        call.version,
        call.values,
        call.call,
        steps,
        (*found, *sample_hints(project)),
        format_dataset_toml(call.call.toml, read_folders(project.images_dir)),
        str(read_ratio(project) or ""),
    )


@dataclass(frozen=True)
class ProjectCall:
    """What a project asks of the GUI and of the trainer, before any picture was looked at."""

    version: GuiVersion
    values: Values
    call: TrainerCall


def plan_project_call(project: Project) -> ProjectCall:
    """Plan values and call of a project, reading no picture. Raises as `plan_config`."""
    project.require_consent(Use.TRAINING)
    version = GuiVersion(project.manifest.training.kohya_version)
    values = values_of(project, version)
    require_valid(values, version)
    draws = sum(int(one.parts[0].partition("_")[0]) for one in _staged(project.images_dir))
    call = plan_call(values, version, draws)
    if call.sample_prompts.strip():
        path = project.config_dir / f"{project.manifest.output_name}.prompts.txt"
        own = {"sample_prompts": str(path), "sample_sampler": values.get("sample_sampler")}
        call = replace(call, toml=dict(sorted({**call.toml, **own}.items())))
    known = arguments_of(call.script)
    recorded = {key: value for key, value in call.toml.items() if key in known}
    require_valid_call(replace(call, toml=recorded))  # the trainer on disk is held to by `check`
    return ProjectCall(version, values, call)


def values_of(project: Project, version: GuiVersion) -> Values:
    """Return the GUI's values of a project: its preset, over it the manifest and its overrides.

    Relative paths in the manifest count from its folder. Raises InputError (a GUI that does not
    train this family; sample prompts) or MissingError.
    """
    manifest = project.manifest
    training = manifest.training
    if not manifest.base_model.path:
        raise MissingError(
            "LL307",
            f"{project.manifest_path} has no base model.",
            "Set base_model.path to the checkpoint file.",
        )
    family = manifest.base_model.family
    preset = require_preset(training.preset, family)
    overrides = _overrides(training.overrides, version)
    known = keys_of(version)
    own = fields_of_family(family, version)
    if own is None:
        raise InputError(
            "LL302",
            f"The Kohya GUI {version.value} does not train {family.value}.",
            "Set training.kohya_version to a newer version.",
        )
    values = {
        **default_values(GuiVersion.V26),
        **preset_values(preset, manifest.subject.kind),
        **own,
        **_of_manifest(project),
        **overrides,
    }
    values = with_absolute_paths(values, project.root, GUI_PATHS) | _samples(project, values)
    values |= _validation(training, values)
    if manifest.subject.kind is SubjectKind.PERSON:  # into the header of every epoch file
        comment = str(values["training_comment"])
        values["training_comment"] = with_consent(comment, manifest.subject.consent)
    _require_files(values)
    return complete({key: value for key, value in values.items() if key in known}, version)


def _of_manifest(project: Project) -> Values:
    manifest = project.manifest
    training = manifest.training
    values: Values = {
        "pretrained_model_name_or_path": manifest.base_model.path,
        "vae": manifest.base_model.vae,
        "train_data_dir": str(project.images_dir),
        "output_dir": str(project.model_dir),
        "output_name": manifest.output_name,
        "logging_dir": str(project.log_dir) if training.log_with else "",
        "log_with": training.log_with,
        "caption_extension": manifest.captions.caption_extension,
        "epoch": training.max_train_epochs,
        "max_train_epochs": training.max_train_epochs,
        "max_train_steps": 0,
        "save_every_n_epochs": training.save_every_n_epochs,
        "network_weights": training.network_weights,
        "resume": training.resume,
        "training_comment": f"trigger: {manifest.trigger_word}",
        "metadata_title": manifest.publish.title or manifest.output_name,
        "metadata_author": manifest.publish.author,
    }
    optional = {
        "train_batch_size": training.train_batch_size,
        "max_resolution": training.resolution or None,
        "seed": training.seed,
    }
    kept = len(parse_tags(manifest.captions.prefix)) + len(manifest.captions.first_tags)
    if kept > 1:  # the preset keeps one tag in front when captions are shuffled
        optional["keep_tokens"] = kept
    return values | {key: value for key, value in optional.items() if value is not None}


def _validation(training: TrainingSettings, values: Values) -> Values:
    """Return what keeps pictures back for validation: the GUI has no fields for it."""
    if not training.validation_split:
        return {}
    words = (
        str(values.get("additional_parameters") or ""),
        f"--validation_split={training.validation_split:g}",
        f"--validation_seed={values.get('seed') or 1}",
        f"--validate_every_n_epochs={training.validate_every_n_epochs}",
    )
    return {"additional_parameters": " ".join(words).strip()}


def _samples(project: Project, values: Values) -> Values:
    """Draw the sample prompts of the manifest, and those under training.overrides."""
    manifest = project.manifest
    prompts = draw_samples(
        _sample_lines(manifest, values["sample_prompts"]),
        trigger_word=manifest.trigger_word,
        seed=int(values["seed"]),
        library=_library(project),
    )
    found: Values = {"sample_prompts": "\n".join(prompts)} if prompts else {}
    if prompts and "sample_every_n_epochs" not in manifest.training.overrides:
        found["sample_every_n_epochs"] = manifest.training.sample_every_n_epochs
    return found


def _sample_lines(manifest: Manifest, more: object) -> tuple[str, ...]:
    return (*manifest.training.sample_prompts, *str(more).splitlines())


def _library(project: Project) -> WildcardLibrary | None:
    from dynprompts import WildcardLibrary

    folder = project.wildcards_dir
    follow = project.manifest.showcase.follow_links
    return None if folder is None else WildcardLibrary(folder, follow_links=follow)


def sample_hints(project: Project) -> tuple[str, ...]:
    """Return slips in the sample prompts as they were written."""
    manifest = project.manifest
    lines = _sample_lines(manifest, manifest.training.overrides.get("sample_prompts", ""))
    return find_sample_hints(lines, trigger_word=manifest.trigger_word, library=_library(project))


def _require_files(values: Values) -> None:
    """Refuse a Flux, say, without its other three files, which the trainer would miss late."""
    family = family_of_values(values)
    training = family.facts.training
    needed = [one for one in (training.companions if training else ()) if one.needed]
    missing = [one for one in needed if not values.get(one.key)]
    if missing:
        raise MissingError(
            "LL307",
            f"{family.facts.title} consists of several files, and "
            f"{', '.join(one.key for one in missing)} is not given.",
            f"Write the path of {missing[0].title} under training.overrides.{missing[0].key}.",
        )


def _overrides(overrides: Mapping[str, Any], version: GuiVersion) -> Values:
    from difflib import get_close_matches

    known = keys_of(version)
    _, secrets = without_secrets(overrides)
    if secrets:
        raise InputError(
            "LL310",
            f"training.overrides contains a secret, {secrets[0]}, in the manifest.",
            f"Remove it, and set {SECRETS[secrets[0]]} in the environment instead.",
        )
    for key in overrides:
        if key not in known:
            close = get_close_matches(key, list(known), n=1)
            raise InputError(
                "LL308",
                f"training.overrides.{key} is not a field of the Kohya GUI {version.value}.",
                f'Did you mean "{close[0]}"?' if close else "Correct the name.",
            )
    return dict(overrides)


def _staged(images_dir: Path) -> list[PurePosixPath]:
    """Return where staged pictures are, below `images_dir`. Raises MissingError."""
    places = [
        place
        for place in sorted(read_staged(images_dir))
        if place.suffix in TRAINER_SUFFIXES and (images_dir / place).exists()
    ]
    if not places:
        raise MissingError(
            "LL309", f"{images_dir} contains no staged pictures.", "Run `loraloom stage` first."
        )
    return places


def _read_steps(images_dir: Path, call: TrainerCall, progress: ProgressHandler) -> StepPlan:
    """Count the trainer's steps of all pictures; unchanged ones are not decoded again.

    Raises MissingError, DamagedError.
    """
    staged = [images_dir / place for place in _staged(images_dir)]
    values = effective(call)
    datasets, _ = read_datasets(values)
    subsets = [subset for dataset in datasets for subset in dataset.subsets]
    others = (path for one in subsets for path in one.reading.pictures if path not in one.sizes)
    wanted = list(dict.fromkeys((*staged, *others)))
    facts = {one.path: one for one in inspect_pictures(wanted, progress=progress)}
    for path in staged:
        if problem := facts[path].problem:
            raise DamagedError(
                "LL202", problem, "Get the picture again, or remove it from the project."
            )
    processes = processes_of(call.launch)
    steps = expected_steps(values, datasets, facts, processes)
    if steps is None:  # a validation split that is drawn by lot: as if nothing were kept back
        whole = tuple(replace(one, validation_split=0.0) for one in datasets)
        steps = expected_steps(values, whole, facts, processes)
    if steps is None:
        raise MissingError(
            "LL309", "No picture is trained with these settings.", "See `loraloom check`."
        )
    return steps


def apply_config(project: Project, plan: ConfigPlan) -> None:
    """Write the json, the toml and the sample prompts. Raises MachineError."""
    write_json_atomic(plan.json_path, plan.values, sort_keys=True)
    if plan.call.sample_prompts.strip():
        write_text_atomic(plan.prompts_path, plan.call.sample_prompts.strip() + "\n")
    write_text_atomic(plan.toml_path, plan.toml)
    write_text_atomic(plan.dataset_path, plan.dataset_toml)
    project.journal.append(
        "config",
        name=plan.name,
        script=plan.call.script_name,
        steps=plan.steps.steps,
        epochs=plan.steps.epochs,
    )
