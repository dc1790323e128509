"""`loraloom config`, `loraloom presets`: what trains a LoRA, and why its values are so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..project import Project, open_project
from ..project.cli import (
    RelatedOption,
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    path_argument,
    progress_bar,
    say,
)
from ..project.shell import (
    shell_path,
    shell_words,
)
from ..project.wording import counted
from .training_options import GUI_VERSIONS, validation_options

if TYPE_CHECKING:
    from ..training.config.conversion import Conversion
    from ..training.config.gui_emulation import GuiPrint
    from ..training.config.kohya_json import GuiVersion
    from ..training.config.of_project import ConfigPlan

_FORMS = ("json", "toml", "dataset", "arguments", "schema")


@dataclass(frozen=True)
class ConfigOptions:
    """The options of `config`; `folder` is that of --to."""

    version: str | None
    as_gui: bool
    folder: Path | None
    show: str | None
    draws: int | None
    validation_split: float | None
    validate_every: int | None
    dry_run: bool
    verbose: bool
    as_json: bool


@click.command()
@click.argument("project", required=False)
@click.option(
    "--from",
    "source",
    type=TypedPath(),
    help="Read any json or toml for sd-scripts; no project is needed.",
)
@click.option(
    "--gui", "version", type=click.Choice(GUI_VERSIONS), help="The Kohya GUI version to write for."
)
@click.option("--as-gui", is_flag=True, help="Print what that GUI would run, including its bugs.")
@click.option(
    "--to",
    "folder",
    cls=RelatedOption,
    needs="--from",
    type=TypedPath(),
    help="With --from: write the files there.",
)
@click.option(
    "--show", type=click.Choice(_FORMS), help="Print this form instead: toml is also what the "
    "Kohya GUI's coming version loads, arguments are command line words.",
)  # fmt: skip
@click.option(
    "--draws", cls=RelatedOption, needs="--from", type=click.IntRange(min=0), metavar="N",
    help="With --from: pictures x repeats, if the pictures are on another machine.",
)  # fmt: skip
@validation_options
@dry_run_option
@click.option("-v", "--verbose", is_flag=True, help="Also list corrections that change nothing.")
@json_option
def config(project: str | None, source: Path | None, **given: Any) -> None:
    """Write the Kohya GUI json and the sd-scripts toml of PROJECT into config/.

    With --from, do the same for any config of the Kohya GUI, of sd-scripts or of
    LoRA_Easy_Training_Scripts: print it as the GUI's json, or write it with --to.
    """
    options = ConfigOptions(**given)
    if source is not None and project is not None:
        raise click.UsageError("Give a project or --from, not both.")
    if options.show == "schema":
        from ..training.config.json_schema import json_schema, schema_path
        from ..training.config.kohya_json import GuiVersion

        version = GuiVersion(options.version or "v26")
        emit_json(json_schema(version))
        say(f"The same as a file, for your editor's settings: {schema_path(version)}")
    elif source is not None:
        _of_file(source, options)
    else:
        opened = _with_validation(_opened(project, options.version), options)
        if options.as_gui:
            from ..training.config.gui_emulation import print_as_gui
            from ..training.config.of_project import plan_project_call

            planned = plan_project_call(opened)
            where = str(opened.manifest_path)
            _print(print_as_gui(planned.values, planned.version, where=where), options.as_json)
            next_step(f"loraloom config {shell_path(opened.root)}")
        else:
            _of_project(opened, options)


def _opened(project: str | None, version: str | None) -> Project:
    found = open_project(path_argument(project or "."))
    if version is None:
        return found
    training = replace(found.manifest.training, kohya_version=version)
    return replace(found, manifest=replace(found.manifest, training=training))


def _with_validation(project: Project, options: ConfigOptions) -> Project:
    """Write the two options into the manifest, where `check` and `train` read them, too."""
    from ..project.manifest_edit import edit_manifest

    given = {
        "validation_split": options.validation_split,
        "validate_every_n_epochs": options.validate_every,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return project
    version = project.manifest.training.kohya_version
    if options.dry_run or options.as_gui:
        changed = replace(project.manifest.training, **given)  # type: ignore[arg-type]
        return replace(project, manifest=replace(project.manifest, training=changed))
    edited = edit_manifest(project, {("training", key): value for key, value in given.items()})
    for key, value in given.items():
        say(f"written into the manifest: training.{key}: {value:g}")
    training = replace(edited.manifest.training, kohya_version=version)
    return replace(edited, manifest=replace(edited.manifest, training=training))


# Of a project.


def _of_project(project: Project, options: ConfigOptions) -> None:
    from ..training.config.of_project import apply_config, plan_config

    with progress_bar() as progress:
        plan = plan_config(project, progress=progress)
    if not options.dry_run:
        apply_config(project, plan)
    if options.as_json:
        emit_json(_as_dict(plan))
    elif options.show or options.dry_run:
        words = (*plan.call.arguments, *plan.call.additional)
        emit(_form(options.show or "toml", plan.values, words, plan.toml, plan.dataset_toml))
    else:
        emit("\n".join(map(str, plan.paths)))
        _tell_of_load(plan.values, plan.version)
    from ..training.dataset.steps import length_line

    steps = plan.steps
    say(
        f"{length_line(steps.steps, steps.epochs, steps.steps_per_epoch)} "
        f"({counted(steps.draws, 'draw')} in {counted(len(steps.buckets), 'bucket')}); "
        f"{counted(len(steps.epoch_files), 'epoch file')}"
    )
    say(f"ratio: {plan.ratio}")
    for difference in plan.call.differences if options.verbose else plan.call.notable:
        say(f"different from the GUI: {difference}")
    for sentence in plan.advice:
        say(f"advice: {sentence}")
    next_step(f"loraloom check {shell_path(project.root)}")


def _tell_of_load(values: Mapping[str, Any], version: GuiVersion) -> None:
    from ..training.config.gui_load import loses_on_load

    if lost := loses_on_load(dict(values), version):
        say(f"note: {lost}")


def _form(
    show: str, values: dict[str, Any], arguments: tuple[str, ...], toml: str, dataset: str
) -> str:
    import json

    if show == "json":
        return json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True)
    if show == "arguments":
        return shell_words(arguments)
    return (toml if show == "toml" else dataset).rstrip()


def _as_dict(plan: ConfigPlan) -> dict[str, object]:
    return {
        "json": str(plan.json_path),
        "toml": str(plan.toml_path),
        "script": plan.call.script_name,
        "arguments": plan.call.toml,
        "launch": list(plan.call.launch),
        "differences": [str(one) for one in plan.call.differences],
        "steps": plan.steps.steps,
        "steps_per_epoch": plan.steps.steps_per_epoch,
        "epochs": plan.steps.epochs,
        "epoch_files": [
            {"name": name, "epoch": epoch, "step": step}
            for name, epoch, step in plan.steps.epoch_files
        ],
        "ratio": plan.ratio,
        "advice": list(plan.advice),
    }


# Of any config.


def _of_file(source: Path, options: ConfigOptions) -> None:
    from ..training.config.conversion import apply_conversion, convert
    from ..training.config.forms import read_data
    from ..training.config.gui_emulation import print_as_gui
    from ..training.config.kohya_json import GuiVersion
    from ..training.config.validation import Validation

    gui = GuiVersion(options.version or "v26")
    if options.as_gui:
        data, _ = read_data(source)
        if source.suffix.lower() == ".toml":
            raise click.UsageError("The Kohya GUI opens only json files: leave out --as-gui.")
        _print(print_as_gui(data, gui, where=str(source), draws=options.draws), options.as_json)
        return
    validation = Validation(options.validation_split, options.validate_every)
    converted = convert(source, gui, options.draws, validation)
    values = converted.config.as_json()
    call = converted.call
    folder = None if options.dry_run else options.folder
    written = apply_conversion(converted, folder) if folder else ()
    if options.as_json:
        emit_json(_conversion_as_dict(converted, written))
    elif written:
        emit("\n".join(map(str, written)))
        _tell_of_load(values, gui)
    else:
        words = (*call.arguments, *call.additional)
        emit(_form(options.show or "json", values, words, converted.toml, converted.dataset_toml))
    _explain(converted, options.verbose)
    next_step(f"loraloom check --config {shell_path(written[0] if written else source)}")


_ARTICLED = {"Kohya GUI": "the Kohya GUI", "sd-scripts": "sd-scripts"}


def _explain(converted: Conversion, verbose: bool) -> None:
    config = converted.config
    say(f"read as settings of {_ARTICLED[converted.form.value]}, for {converted.call.script_name}")
    for note in converted.notes:
        say(f"note: {note}")
    for one in config.repairs:
        note = ", only for the GUI: the trainer gets the old value" if one.only_gui else ""
        say(f"corrected: {one}{note}")
    if config.missing:
        shown = ", ".join(config.missing) if verbose else counted(len(config.missing), "key")
        say(f"filled in with the defaults of the GUI {config.version.value}: {shown}")
    kept = sorted(set(config.unknown) - {"save_as_bool"})
    if kept:
        say(f"kept in the json, ignored by the GUI {config.version.value}: {', '.join(kept)}")
    for difference in converted.call.differences if verbose else converted.call.notable:
        say(f"different from the GUI: {difference}")
    for difference in converted.differences:
        say(f"the json has another spelling: {difference}")
    for sentence in converted.advice:
        say(f"advice: {sentence}")


def _conversion_as_dict(converted: Conversion, written: tuple[Path, ...]) -> dict[str, object]:
    config, call = converted.config, converted.call
    return {
        "name": converted.name,
        "form": converted.form.value,
        "notes": list(converted.notes),
        "json_differences": [str(one) for one in converted.differences],
        "gui": config.version.value,
        "written": [str(path) for path in written],
        "values": config.as_json(),
        "repairs": [
            {
                "key": one.key,
                "before": one.before,
                "after": one.after,
                "why": one.why,
                "only_gui": one.only_gui,
            }
            for one in config.repairs
        ],
        "missing": list(config.missing),
        "unknown": sorted(config.unknown),
        "script": call.script_name,
        "toml": call.toml,
        "arguments": list(call.arguments),
        "launch": list(call.launch),
        "additional": list(call.additional),
        "dataset_toml": converted.dataset_toml,
        "differences": [
            {"key": one.key, "text": str(one), "matters": one.matters} for one in call.differences
        ],
        "advice": list(converted.advice),
    }


def _print(printed: GuiPrint, as_json: bool) -> None:
    """Show what the GUI would run: the toml on stdout, the command beside it."""
    from ..training.config.kohya_json import SECRETS

    if as_json:
        emit_json(
            {
                "command": list(printed.command),
                "script": printed.call.script_name,
                "launch": list(printed.call.launch),
                "additional": list(printed.call.additional),
                "toml": printed.call.toml,
                "toml_text": printed.toml,
                "sample_prompts": printed.call.sample_prompts,
            }
        )
    else:
        emit(printed.toml.rstrip())
        say(f"command: {shell_words(printed.command)}")
    for key in printed.secrets:
        say(f"left out: {key}, a secret; set {SECRETS[key]} in the environment instead")


@click.command()
@click.argument("name", default="")
@click.option(
    "--for", "kind", default="character", show_default=True,
    type=click.Choice(["character", "creature", "person", "object", "style"]),
    help="The kind of subject.",
)  # fmt: skip
@json_option
def presets(name: str, kind: str, as_json: bool) -> None:
    """List the presets, or explain every value of the one called NAME."""
    import json

    from ..project.manifest import SubjectKind
    from ..training.config.presets import presets as all_presets
    from ..training.config.presets import values_for

    chosen = [one for one in all_presets() if name in ("", one.name)]
    if not chosen:
        known = ", ".join(one.name for one in all_presets())
        raise click.UsageError(f'There is no preset "{name}"; there are {known}.')
    if as_json:
        emit_json(
            {
                one.name: {
                    "title": one.title,
                    "family": one.family.value,
                    "values": {
                        row.key: {"value": row.value, "reason": row.reason}
                        for row in values_for(one, SubjectKind(kind))
                    },
                    "memory": [
                        {"card_gb": row.card_gb, "settings": row.settings, "source": row.source}
                        for row in one.memory
                    ],
                }
                for one in chosen
            }
        )
    elif name:
        for row in values_for(chosen[0], SubjectKind(kind)):
            emit(f"{row.key} = {json.dumps(row.value)}: {row.reason}")
        for need in chosen[0].memory:
            emit(f"memory, {need}")
        if not chosen[0].memory:
            emit("memory: not measured")
    else:
        for one in chosen:
            emit(f"{one.name}: {one.title}")
    next_step("write the name under training.preset in the manifest, then: loraloom config")
