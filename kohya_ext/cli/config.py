"""`loraloom config`, `loraloom presets`: what trains a LoRA, and why its values are so."""

from __future__ import annotations

import click

from ..project import Project
from ..project.cli import (
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
    shell_path,
)
from ..training.arguments import format_toml
from ..training.config import ConfigPlan, apply_config, plan_config


@click.command()
@project_argument
@dry_run_option
@click.option("-v", "--verbose", is_flag=True, help="Tell also what changes nothing.")
@json_option
def config(project: Project, dry_run: bool, verbose: bool, as_json: bool) -> None:
    """Write the Kohya GUI json and the sd-scripts toml of PROJECT into config/."""
    with progress_bar() as progress:
        plan = plan_config(project, progress=progress)
    if not dry_run:
        apply_config(project, plan)
    if as_json:
        emit_json(_as_dict(plan))
    elif dry_run:
        emit(format_toml(plan.call.toml).rstrip())
    else:
        emit(f"{plan.json_path}\n{plan.toml_path}")
    _tell(plan, verbose)
    next_step(f"loraloom check {shell_path(project.root)}")


def _tell(plan: ConfigPlan, verbose: bool) -> None:
    steps = plan.steps
    say(
        f"{steps.steps} steps: {steps.epochs} epochs of {steps.steps_per_epoch} "
        f"({steps.draws} draws in {len(steps.buckets)} buckets); "
        f"{len(steps.epoch_files)} epoch files"
    )
    for difference in plan.call.differences if verbose else plan.call.notable:
        say(f"unlike the GUI: {difference}")
    for sentence in plan.advice:
        say(f"advice: {sentence}")


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
        "advice": list(plan.advice),
    }


@click.command()
@click.argument("name", default="")
@json_option
def presets(name: str, as_json: bool) -> None:
    """List the presets, or explain every value of the one called NAME."""
    from ..training.presets import presets as all_presets

    chosen = [one for one in all_presets() if name in ("", one.name)]
    if not chosen:
        raise click.UsageError(f'There is no preset "{name}".')
    if as_json:
        emit_json(
            {
                one.name: {
                    "title": one.title,
                    "family": one.family.value,
                    "values": {
                        row.key: {"value": row.value, "reason": row.reason} for row in one.values
                    },
                }
                for one in chosen
            }
        )
    elif name:
        for row in chosen[0].values:
            emit(f"{row.key} = {row.value}: {row.reason}")
    else:
        for one in chosen:
            emit(f"{one.name}: {one.title}")
    next_step("write the name under training.preset in the manifest, then: loraloom config")
