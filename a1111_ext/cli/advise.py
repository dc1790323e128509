"""`loraloom advise`: which epoch to take, why, and what was not measured."""

from __future__ import annotations

from pathlib import Path

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import (
    TypedPath,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
)
from kohya_ext.project.epochs import require_run
from kohya_ext.project.shell import (
    shell_path,
)

from ..cells.ledger import Ledger
from ..quality.advice import Advice
from ..quality.ordering import EXIT_CODES, Verdict
from ..quality.probes import plan_probes
from ..quality.project_advice import find_sources, give_advice
from ..quality.signal import SignalName


@click.command()
@project_argument
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="NAME",
    help="Grid to use, repeatable; default: the newest.",
)
@click.option(
    "--model",
    type=TypedPath(exists=True, file_okay=False),
    help="Folder of a WD14 tagger; default: captions.model.",
)
@click.option(
    "--embedding",
    metavar="PATH",
    help="An ONNX image embedding for likeness (CLIP, DINOv2, SigLIP, CCIP), or PLUGIN=PATH.",
)
@click.option(
    "--off",
    multiple=True,
    type=click.Choice([one.value for one in SignalName]),
    help="Measure this signal, but ignore it in the recommendation.",
)
@click.option("--probes", is_flag=True, help="Print probe prompts made from the training set.")
@json_option
@click.pass_context
def advise(
    context: click.Context,
    project: Project,
    grids: tuple[str, ...],
    model: Path | None,
    embedding: str | None,
    off: tuple[str, ...],
    probes: bool,
    as_json: bool,
) -> None:
    """Recommend up to three epochs, the best first, with reasons.

    Exit code 0: use the first one. 3: none is good yet, train longer. 4: all are overtrained.
    5: too little was measured to say. Nothing is deleted or changed.
    """
    if probes:
        _print_probes(project, as_json)
        return
    require_run(project.model_dir)
    sources = find_sources(project, grids, model, embedding, off)
    with progress_bar() as progress, Ledger(project.cells_db, project.cells_dir) as ledger:
        advice = give_advice(sources, ledger, on_progress=progress)
    if as_json:
        emit_json(advice.as_dict())
    else:
        tell_advice(advice)
    if sources.tagger is not None and sources.tagger.is_simulated:
        say("The tagger is simulated and sees only colours, so this advice is only for practice.")
    next_step(command_after(project, advice))
    context.exit(EXIT_CODES[advice.verdict])


def tell_advice(advice: Advice) -> None:
    """Print the advice as text."""
    emit(advice.summary)
    for number, one in enumerate(advice.picks, start=1):
        emit(f"{number}. {one.place}, {one.epoch.file or one.epoch.name}")
        for sentence in one.sentences:
            emit(f"   {sentence}")
    for name, why in advice.unmeasured:
        emit(f"Not measured, {name.value}: {why}")


def command_after(project: Project, advice: Advice) -> str:
    """Return the command that follows from the advice."""
    root = shell_path(project.root)
    if advice.verdict is Verdict.TRAIN_ON:
        return f"loraloom train {root}"
    if advice.picks and advice.verdict is not Verdict.ALL_FRIED:
        first = advice.picks[0].epoch
        return f"loraloom promote {root} {first.number or first.name} NAME"
    return f"loraloom config {root}"


def _print_probes(project: Project, as_json: bool) -> None:
    probes = plan_probes(project)
    if as_json:
        emit_json([{"about": one.about, "prompt": one.prompt} for one in probes])
    else:
        for one in probes:
            emit(f"{one.about}: {one.prompt}")
    next_step(f"loraloom grid {shell_path(project.root)} --probes")
