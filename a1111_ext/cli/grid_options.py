"""The options that grid and tryout share: what is asked for, how it is written, how it grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from kohya_ext.project import InputError, Project
from kohya_ext.project.cli import RelatedOption, TypedPath
from kohya_ext.project.json_reader import read_text

from ..cells.cell import LARGEST_SIDE
from ..grids.live import POLL_SECONDS
from ..grids.plan import GridRequest, request_from
from ..grids.sheet.contact_sheet import SheetFormat
from ..grids.values import parse_real_numbers, parse_whole_numbers
from ..quality.probes import plan_probes, probe_axis

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class GridArguments:
    """What was typed after `loraloom grid`, or what `tryout` asks for; None: the manifest's."""

    urls: tuple[str, ...] = ()
    auth: str = ""
    lora_folder: Path | None = None
    prompt: str | None = None
    template: Path | None = None
    negative_prompt: str | None = None
    epochs: str = "all"
    weights: str | None = None
    seeds: str | None = None
    axes: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    columns: str = "Seed"
    checkpoint: str | None = None
    no_control: bool = False
    unlink_seed: bool = False
    wildcards: Path | None = None
    follow_links: bool = False
    batch_count: int = 1
    batch_size: int = 1
    name: str = "epochs"
    probes: bool = False
    no_advice: bool = False
    new_seeds: bool = False
    form: str = SheetFormat.PNG.value
    cell_pixels: int | None = None
    single_file: int | None = None
    follow: bool = False
    at_end: bool = False
    same_gpu: bool = False
    until: int | None = None
    stop_when_overtrained: bool = False
    every: float = POLL_SECONDS
    choice: Path | None = None
    server_side: bool = False
    cluster: str | None = None
    serve: bool = False
    lan: bool = False
    dry_run: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class SheetOptions:
    """How the result is written; `cell_pixels` and `single_file` (MB) are None by default."""

    form: SheetFormat = SheetFormat.PNG
    cell_pixels: int | None = None
    single_file: int | None = None

    @property
    def single_file_bytes(self) -> int | None:
        return None if self.single_file is None else self.single_file * 1_000_000


@dataclass(frozen=True)
class FollowOptions:
    """How a growing grid behaves; `until` is the epoch after which it ends."""

    at_end: bool = False
    same_gpu: bool = False
    until: int | None = None
    every: float = POLL_SECONDS
    stop_when_overtrained: bool = False


SHEET_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice([one.value for one in SheetFormat]),
        default="png",
        help="Format of the contact sheet; jpeg and webp are split if they are too large.",
    ),
    click.option(
        "--cell-pixels",
        type=click.IntRange(64, LARGEST_SIDE),
        help="Longer side of the contact sheet's cells, in pixels.",
    ),
    click.option(
        "--single-file",
        type=click.IntRange(1, 2000),
        metavar="MB",
        help="Embed the full pictures in the page too, up to this many megabytes.",
    ),
)
WILDCARD_OPTIONS = (
    click.option(
        "--wildcards",
        type=TypedPath(exists=True, file_okay=False),
        help="Wildcard folder; default: the manifest's.",
    ),
    click.option(
        "--follow-links", is_flag=True, help="Follow links to wildcards outside the folder."
    ),
)
REQUEST_OPTIONS = (
    click.option("--prompt", help="Prompt or template with {lora} and {trigger}."),
    click.option(
        "--template",
        cls=RelatedOption,
        excludes=("--prompt",),
        type=TypedPath(exists=True, dir_okay=False),
        help="Text file with the template, instead of --prompt.",
    ),
    click.option("--negative-prompt", help="Default: the manifest's."),
    click.option("--epochs", default="all", help="Epochs: all, or for example 2,4,8-20 (+4),last"),
    click.option("--weights", help="LoRA weights, for example 0.6,0.8,1"),
    click.option("--seeds", help="Seeds; each -1 is a random seed, shared by all rows."),
    click.option(
        "--axis",
        "axes",
        multiple=True,
        metavar="NAME=VALUES",
        help="One more axis, as in the X/Y/Z plot: 'CFG Scale=5,7', 'Prompt S/R=red,blue'.",
    ),
    click.option(
        "--skip",
        multiple=True,
        metavar="RULE",
        help="Leave cells out: 'LoRA epoch=epoch 2 & LoRA weight=0.6|0.8'.",
    ),
    click.option("--columns", default="Seed", help="The axis of the columns."),
    click.option("--checkpoint", help="Name of the checkpoint, as the WebUI shows it."),
    click.option("--no-control", is_flag=True, help="Leave out the row without the LoRA."),
    click.option(
        "--unlink-seed",
        is_flag=True,
        help="Unlink seed from prompt: a different prompt for each axis.",
    ),
    *WILDCARD_OPTIONS,
    click.option(
        "--batch-count",
        type=click.IntRange(1, 100),
        default=1,
        help="Seeds per request (n_iter). Pictures are identical to single requests.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 64),
        default=1,
        help="Seeds per batch (batch_size). About a third faster; pictures differ slightly.",
    ),
    click.option("--name", default="epochs", help="First part of the grid folder's name."),
    click.option(
        "--probes", is_flag=True, help="Also draw probe prompts made from the training set."
    ),
    click.option("--no-advice", is_flag=True, help="Do not recommend an epoch."),
    click.option("--new-seeds", is_flag=True, help="Choose new random seeds for -1."),
)
_follow_option = partial(click.option, cls=RelatedOption, needs="--follow")
FOLLOW_OPTIONS = (
    click.option("--follow", is_flag=True, help="Draw each epoch when the training saves it."),
    _follow_option("--at-end", is_flag=True, help="With --follow: draw after the training ends."),
    _follow_option("--same-gpu", is_flag=True, help="With --follow: draw on the GPU that trains."),
    _follow_option(
        "--until", type=int, metavar="EPOCH", help="With --follow: the last epoch to draw."
    ),
    _follow_option(
        "--stop-when-overtrained",
        is_flag=True,
        help="With --follow: stop the training after its next epoch once two are overtrained.",
    ),
    _follow_option("--every", type=float, default=POLL_SECONDS, hidden=True),
)


def add_all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def follow_of(options: GridArguments) -> FollowOptions | None:
    """Return how the grid follows a training; None when it does not."""
    if not options.follow:
        return None
    return FollowOptions(
        options.at_end,
        options.same_gpu,
        options.until,
        options.every,
        options.stop_when_overtrained,
    )


def request_of(project: Project, options: GridArguments) -> GridRequest:
    probes = (probe_axis(plan_probes(project)),) if options.probes else ()
    changes: dict[str, Any] = {
        "epochs": options.epochs,
        "axes": (*options.axes, *probes),
        "skip": tuple(options.skip),
        "columns": options.columns,
        "control": not options.no_control,
        "unlink_seed": options.unlink_seed,
        "batch_count": options.batch_count,
        "batch_size": options.batch_size,
    }
    for name in ("prompt", "negative_prompt", "checkpoint"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.template is not None:
        changes["prompt"] = _read_template(options.template)
    if options.weights is not None:
        changes["lora_weights"] = parse_real_numbers(options.weights, "LoRA weight")
    if options.seeds is not None:
        changes["seeds"] = parse_whole_numbers(options.seeds, "Seed")
    return request_from(project.manifest, **changes)


def _read_template(path: Path) -> str:
    try:
        return read_text(path).strip()
    except (OSError, ValueError) as error:
        raise InputError(
            "LL513",
            f"The template {path} cannot be read: {error}.",
            "Save it as UTF-8 text.",
        ) from error
