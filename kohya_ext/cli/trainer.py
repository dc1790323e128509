"""`loraloom trainer`: which sd-scripts trains on this machine, and how it gets here."""

from __future__ import annotations

from pathlib import Path

import click

from ..project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    say,
)
from ..project.shell import (
    shell_words,
)


@click.group()
def trainer() -> None:
    """Find, install or set the trainer (sd-scripts) of this machine."""


@trainer.command()
@json_option
def show(as_json: bool) -> None:
    """Show the trainer, the packages of its Python and the GPUs."""
    from ..training.checks.machine import ALWAYS_NEEDED, find_gpus
    from ..training.trainer import probe, require_trainer

    found = require_trainer()
    environment = probe(found, (*ALWAYS_NEEDED, "xformers", "bitsandbytes", "tensorboard"))
    gpus = find_gpus()
    if as_json:
        emit_json(
            {
                "folder": found.folder,
                "python": found.python,
                "origin": found.origin.value,
                "version": environment.sd_scripts_version,
                "python_version": environment.python_version,
                "packages": environment.packages,
                "gpus": [vars(card) for card in gpus],
            }
        )
    else:
        emit(
            f"sd-scripts {environment.sd_scripts_version} in {found.folder} ({found.origin.value})"
        )
        emit(f"Python {environment.python_version}: {found.python}")
        for name, version in environment.packages.items():
            emit(f"  {name} {version or 'is not installed'}")
        for card in gpus:
            total = card.total_bytes / 2**30
            emit(f"{card.name}: {card.used_bytes / 2**30:.1f} of {total:.1f} GiB in use")
        if not gpus:
            emit("no NVIDIA GPU was found")
    missing = [] if found.is_simulated else environment.missing(ALWAYS_NEEDED)
    if missing:
        next_step(f'"{found.python}" -m pip install {" ".join(missing)}')
    else:
        next_step("loraloom check PROJECT")


@trainer.command()
@click.argument("folder", type=TypedPath())
@click.option("--python", type=TypedPath(), help="The Python that has the trainer's packages.")
def use(folder: Path, python: Path | None) -> None:
    """Remember the sd-scripts or Kohya GUI in FOLDER as this machine's trainer."""
    from ..training.trainer import use_trainer

    found = use_trainer(folder, python)
    emit(f"{found.folder} with {found.python}")
    next_step("loraloom trainer show")


@trainer.command()
@click.option("--tag", default="", help="The sd-scripts version to clone; default: a tested one.")
@click.option("--python", type=TypedPath(), help="The Python to create its venv with.")
@click.option(
    "--torch-from", default="", metavar="URL", help="URL from which pip installs PyTorch."
)
@click.option(
    "--from",
    "source",
    default="",
    metavar="URL",
    help="Git URL of a mirror of sd-scripts.",
)
@dry_run_option
def install(tag: str, python: Path | None, torch_from: str, source: str, dry_run: bool) -> None:
    """Install sd-scripts: a git clone of a tested version, with its own environment.

    After a failure, run the command again to continue. PyTorch needs several gigabytes. Behind a
    firewall, use --from with a mirror or a folder that contains a clone, and pip's settings
    (PIP_INDEX_URL) for the packages.
    """
    from ..training.trainer import PINNED_TAG, REPOSITORY, apply_install, plan_install

    plan = plan_install(
        tag=tag or PINNED_TAG,
        repository=source or REPOSITORY,
        python=python,
        torch_from=torch_from,
    )
    if dry_run:
        for step in plan.steps:
            emit(shell_words(step.command))
        say("nothing was done (--dry-run)")
        next_step()
        return
    with progress_bar() as progress:
        found = apply_install(plan, progress=progress)
    emit(f"{found.folder} with {found.python}")
    next_step("loraloom trainer show")
