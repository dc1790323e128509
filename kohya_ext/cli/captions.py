"""`loraloom caption`: WD14 tags, undesired ones out, the prefix in front."""

from __future__ import annotations

from pathlib import Path

import click

from ..captions.captioning import apply_captions, plan_captions, read_rules, score_pictures
from ..captions.lint import lint_project
from ..project import Project, read_settings
from ..project.cli import (
    TypedPath,
    cluster_option,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
)
from ..project.cluster import open_executor
from ..project.shell import (
    shell_path,
)
from ..project.status import config_step
from ..project.tagging import Tagger, open_tagger
from ..project.wording import counted

_SHOWN_TAGS = 12


@click.command()
@project_argument
@click.option(
    "--model",
    type=TypedPath(),
    help="Folder with model.onnx and selected_tags.csv, or with model_optimized.onnx and "
    "tag_mapping.json.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Prepare pictures bit for bit as sd-scripts' tagger does, at five times the CPU time.",
)
@cluster_option
@dry_run_option
@json_option
def caption(
    project: Project,
    model: Path | None,
    exact: bool,
    cluster: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tag the staged pictures and write a caption beside each.

    Scores are saved, so you can change thresholds and undesired tags without tagging again. Your
    own changes in captions are kept and applied again.
    """
    tagger = _tagger(project, model, exact or project.manifest.captions.exact_pictures)
    if tagger and tagger.is_simulated:
        say("simulated tagger: its tags are only for practice")
    with progress_bar() as progress, open_executor(cluster, say) as executor:
        scores = score_pictures(project, tagger, progress=progress, executor=executor)
    plan = plan_captions(project, scores, read_rules(project))
    if not dry_run:
        apply_captions(project, plan)
    if as_json:
        emit_json({str(one.place): one.text for one in plan.captions})
    else:
        verb = "would change" if dry_run else "changed"
        emit(
            f"{counted(len(plan.captions), 'caption')}, {plan.changed} {verb}, {plan.edits} "
            "edited by hand"
        )
        counts = list(plan.tag_counts().items())[:_SHOWN_TAGS]
        emit("most frequent: " + ", ".join(f"{tag} ({number})" for tag, number in counts))
    if plan.frozen_sentence:
        say(f"by hand: {plan.frozen_sentence}")
    for slip in lint_project(project, {one.place.name: one.text for one in plan.captions}):
        say(f"lint: {slip.problem} {slip.cure}")
    has_base = bool(project.manifest.base_model.path)
    next_step(config_step(shell_path(project.root), has_base))


def _tagger(project: Project, model: Path | None, is_exact: bool) -> Tagger | None:
    named = project.manifest.captions.model
    if model is None and named:
        model = project.root / named
    if model is None and read_settings().tagger_model:
        model = Path(read_settings().tagger_model)
    return open_tagger(model, is_exact=is_exact) if model else None
