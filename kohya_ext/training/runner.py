"""Start a run, follow it, stop it, and judge it by what it left: success means verified.

The trainer writes its streams to files in a session of its own, so it outlives whoever watches,
and anyone may go on watching from the first line.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ..project import ProgressHandler, Project, ToolError, open_project, silent
from ..project.lora_file import read_header
from ..project.process import Child, Tree, holding, new_mark, start
from .arguments import format_toml
from .failures import find_error
from .folders import dataset_hash
from .job import Job, write_project_config, write_prompts
from .plugins import free_for_training
from .preflight import Preflight, effective, run_preflight
from .progress import (
    Announced,
    EpochBegan,
    Erred,
    Event,
    LineSplitter,
    PhaseBegan,
    Saving,
    Stepped,
    StreamReader,
    Warned,
)
from .run import (
    Ask,
    Expected,
    Outcome,
    Result,
    RunPlan,
    RunStanding,
    expected_files,
    find_process,
    find_runs_in,
    new_run_id,
    read_ask,
    read_plan,
    standing_of,
    write_plan,
    write_process,
    write_result,
)
from .states import State, find_states
from .trainer import Trainer, scripts_version

POLL_SECONDS = 0.25
"""How often the streams are looked at: an error is on screen within a second, at next to no cost."""

_ERROR_TAIL_BYTES = 400_000
_NEEDS_LAUNCHER = re.compile(r"^--(multi_gpu|num_machines|dynamo_\w+|main_process_port)$")

EventHandler = Callable[[Event, "Follow"], None]


def unheard(event: Event, follow: Follow) -> None:
    """Take an event and show nothing."""


@dataclass(frozen=True)
class RunOptions:
    """What may be asked beside the config."""

    resume: State | None = None
    epochs: int | None = None
    save_states: bool = False
    keep_states: int = 1
    move_old: bool = False


def adjust(job: Job, options: RunOptions) -> Job:
    """Put the options into the call: states to save, a state to go on from, other epochs."""
    toml = dict(job.call.toml)
    if options.epochs:
        toml["max_train_epochs"] = options.epochs
        toml.pop("max_train_steps", None)
    if options.save_states:
        toml["save_state"] = True
        toml["save_last_n_epochs_state"] = options.keep_states
    if options.resume is not None:
        toml |= options.resume.arguments
    return replace(job, call=replace(job.call, toml=toml))


def plan_run(
    job: Job,
    trainer: Trainer,
    preflight: Preflight,
    options: RunOptions = RunOptions(),
    *,
    now: Callable[[], datetime] = datetime.now,
) -> RunPlan:
    """Plan a run of an adjusted job that passed its preflight. Raises ToolError LL351, LL394."""
    require_idle(job)
    values = effective(job.call)
    run_id = new_run_id(now(), job.runs_dir)
    folder = job.runs_dir / run_id
    steps = preflight.steps
    extension = str(values.get("caption_extension", ".caption"))
    return RunPlan(
        run_id=run_id,
        name=str(values.get("output_name") or "last"),
        folder=folder,
        project=str(job.project.root) if job.project else "",
        trainer=str(trainer.folder),
        trainer_version=scripts_version(trainer.folder),
        script=job.call.script_name,
        command=_command(job, trainer, folder / "config.toml"),
        work_folder=trainer.folder,
        environment=_environment(job, trainer),
        config_text=format_toml(job.call.toml),
        output_dir=job.output_dir,
        suffix=f".{values.get('save_model_as') or 'safetensors'}",
        has_metadata=not values.get("no_metadata"),
        epochs_done=options.resume.epoch if options.resume else 0,
        epochs=steps.epochs if steps else 0,
        steps_per_epoch=steps.steps_per_epoch if steps else 0,
        save_every=int(values.get("save_every_n_epochs") or 0),
        keep_last=int(values.get("save_last_n_epochs") or 0),
        saves_states=bool(values.get("save_state")),
        resumed_from=str(options.resume.path) if options.resume else "",
        base_model=str(values.get("pretrained_model_name_or_path") or ""),
        data_hash=dataset_hash(preflight.pictures, extension),
        pictures=len(preflight.pictures),
        draws=steps.draws if steps else 0,
    )


def prepare(
    job: Job,
    trainer: Trainer,
    options: RunOptions = RunOptions(),
    *,
    progress: ProgressHandler = silent,
) -> tuple[RunPlan, Preflight]:
    """Check a job and plan its run. Raises the first error of the preflight."""
    adjusted = adjust(job, options)
    allowed = options.resume is not None or options.move_old
    preflight = run_preflight(adjusted.call, trainer, resuming=allowed, progress=progress)
    preflight.require_ok()
    return plan_run(adjusted, trainer, preflight, options), preflight


def _command(job: Job, trainer: Trainer, config: Path) -> tuple[str, ...]:
    """Return plain python, or accelerate's launcher where several processes are asked for."""
    script = trainer.script(job.call.script_name)
    extra = [word for quoted in job.call.additional for word in shlex.split(quoted)]
    own = [str(script), "--config_file", str(config), *extra]
    launch = _launcher_words(job.call.launch)
    if launch and not trainer.is_rehearsal:
        return (str(trainer.python), "-m", "accelerate.commands.launch", *launch, *own)
    return (str(trainer.python), *own)


def _launcher_words(launch: tuple[str, ...]) -> tuple[str, ...]:
    """Return accelerate's arguments when one of them needs the launcher, else nothing."""
    pairs = dict(zip(launch, (*launch[1:], ""), strict=False))
    many = pairs.get("--num_processes", "1") not in ("", "0", "1")
    machines = pairs.get("--num_machines", "1") not in ("", "0", "1")
    others = any(
        _NEEDS_LAUNCHER.match(word) and word != "--num_machines" and pairs.get(word) != "no"
        for word in launch
    )
    return launch if many or machines or others else ()


def _environment(job: Job, trainer: Trainer) -> tuple[tuple[str, str], ...]:
    """Return what is added to our own environment; secrets are inherited, never written down."""
    paths = [str(trainer.folder), os.environ.get("PYTHONPATH", "")]
    added = {
        "COLUMNS": "400",  # else rich breaks log lines and file paths at 80 columns
        "PYTHONIOENCODING": "utf-8:replace",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",  # else a killed trainer takes its last lines with it
        "PYTHONUTF8": "1",
    }
    launch = job.call.launch
    pairs = dict(zip(launch, launch[1:], strict=False))
    if "--gpu_ids" in pairs and not _launcher_words(launch):
        added["CUDA_VISIBLE_DEVICES"] = pairs["--gpu_ids"]
    return tuple(sorted(added.items()))


def require_idle(job: Job) -> None:
    """Raise ToolError LL394 while a run of this job is under way; settle those that ended."""
    for standing in find_runs_in(job.runs_dir):
        if standing.result is None and (standing.is_running or standing.is_watched):
            raise ToolError(
                "LL394",
                f"{job.name} is being trained already (run {standing.plan.run_id}).",
                "Watch it with `loraloom train --attach`, or stop it with `loraloom train --stop`.",
            )
        if standing.needs_settling:
            settle(standing)


# Following.


class Tail:
    """Read what was added to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def read(self) -> bytes:
        """Return the new bytes; empty while the file does not exist."""
        try:
            if self._path.stat().st_size <= self._at:
                return b""
            with self._path.open("rb") as stream:
                stream.seek(self._at)
                data = stream.read()
        except FileNotFoundError:
            return b""
        self._at += len(data)
        return data


@dataclass
class Follow:
    """How far a run is, by its streams; anyone may follow, also after its end."""

    plan: RunPlan
    phase: str = "Starting"
    announced: Announced | None = None
    epoch: int = 0
    epochs: int = 0
    step: Stepped | None = None
    first_nan: int | None = None
    saved: list[str] = field(default_factory=list)
    epochs_begun_after_save: int = 0
    no_data: bool = False
    errors: list[str] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tails = (Tail(self.plan.stdout), Tail(self.plan.stderr))
        self._splitters = (LineSplitter(), LineSplitter())
        self._reader = StreamReader()

    def poll(self) -> list[Event]:
        """Read what is new and return its events, stdout's first."""
        readers = (self._reader.read_stdout, self._reader.read_stderr)
        events: list[Event] = []
        for tail, splitter, read in zip(self._tails, self._splitters, readers, strict=True):
            data = tail.read()
            for piece in splitter.feed(data) if data else ():
                events += read(piece)
        for event in events:
            self._take(event)
        return events

    def _take(self, event: Event) -> None:
        if isinstance(event, PhaseBegan):
            self.phase = event.phase
        elif isinstance(event, Announced):
            self.announced = event
        elif isinstance(event, EpochBegan):
            self.epoch, self.epochs = event.epoch, event.epochs
            self.epochs_begun_after_save = len(self.saved)
        elif isinstance(event, Saving):
            self.saved.append(event.path)
        elif isinstance(event, Stepped):
            self._take_step(event)
        elif isinstance(event, Erred):
            self.errors.append(event.text)
            self.no_data = self.no_data or event.is_no_data

    def _take_step(self, event: Stepped) -> None:
        self.step = event
        if event.loss is None:
            return
        if event.is_nan and self.first_nan is None:
            self.first_nan = event.step
        if not event.is_nan:
            self.losses.append((event.step, event.loss))


def differing_steps(follow: Follow) -> Warned | None:
    """Return a warning when the trainer's own figures are not the ones that we foretold."""
    plan, said = follow.plan, follow.announced
    if said is None or not plan.epochs or (said.steps, said.epochs) == (plan.steps, plan.epochs):
        return None
    return Warned(
        f"the trainer counts {said.steps} steps in {said.epochs} epochs, "
        f"foretold were {plan.steps} in {plan.epochs}"
    )


# Starting, watching, ending.


def launch(plan: RunPlan, environment: Mapping[str, str] = os.environ) -> Child:
    """Start the planned process and write down which one it is, also if we die in between."""
    mark = new_mark()
    write_process(plan, Tree(0, 0.0, mark))
    child = start(
        plan.command,
        folder=plan.work_folder,
        environment={**environment, **dict(plan.environment)},
        stdout=plan.stdout,
        stderr=plan.stderr,
        mark=mark,
    )
    write_process(plan, child.tree)
    return child


def watch(
    follow: Follow,
    tree: Tree,
    exit_code: Callable[[], int | None],
    handler: EventHandler = unheard,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Outcome | None, int | None]:
    """Follow a running process to its end, ending it on NaN, no data or when asked to.

    Returns why we ended it (None: it ended itself) and its exit code (None: not our child).
    """
    saves_when_asked: int | None = None
    while True:
        ended = not tree.is_running
        code = exit_code()
        events = follow.poll()
        for event in events:
            handler(event, follow)
        if follow.no_data or follow.first_nan is not None:
            tree.end()
            return (Outcome.NO_DATA if follow.no_data else Outcome.NAN), code
        if code is not None or ended:
            tree.end()  # loader workers may outlive their parent
            return None, exit_code()
        asked = read_ask(follow.plan.folder)
        if asked is Ask.AFTER_EPOCH and saves_when_asked is None:
            saves_when_asked = len(follow.saved)
        if asked is Ask.NOW or _epoch_is_saved(follow, saves_when_asked):
            tree.end()
            return Outcome.STOPPED, exit_code()
        sleep(POLL_SECONDS)


def _epoch_is_saved(follow: Follow, saves_when_asked: int | None) -> bool:
    """Tell whether an epoch file was begun since, and the next epoch too, so that it is whole."""
    return saves_when_asked is not None and follow.epochs_begun_after_save > saves_when_asked


def conduct(plan: RunPlan, handler: EventHandler = unheard) -> Result:
    """Start a planned run, or go on watching it, and settle it. One watcher at a time.

    Raises ToolError LL394 when another program watches it.
    """
    with holding(plan.lock) as got:
        if not got:
            raise ToolError(
                "LL394",
                f"Run {plan.run_id} of {plan.name} is watched by another program.",
                "Look on with `loraloom train --attach`.",
            )
        return _conduct(plan, handler)


def _conduct(plan: RunPlan, handler: EventHandler) -> Result:
    began = time.time()
    follow = Follow(plan)
    project = open_project(Path(plan.project)) if plan.project else None
    tree = find_process(plan.folder)
    with _freed(plan, project, started=tree is not None):
        child: Child | None = None
        if tree is None:
            _journal_start(project, plan)
            child = launch(plan)
            tree = child.tree
        try:
            why, code = watch(follow, tree, child.poll if child else _unknown, handler)
        except KeyboardInterrupt:
            tree.end()
            why, code = Outcome.STOPPED, child.poll() if child else None
        follow.poll()
        result = replace(judge(follow, why, code), seconds=round(time.time() - began, 1))
    return _write_down(plan, project, result)


def _unknown() -> int | None:
    return None


@contextmanager
def _freed(plan: RunPlan, project: Project | None, *, started: bool) -> Iterator[None]:
    """Free the graphics card through plugins when the project says so, and give it back."""
    wanted = project is not None and project.manifest.training.free_webui and not started
    with free_for_training(Path(plan.project) if wanted else None):
        yield


def _journal_start(project: Project | None, plan: RunPlan) -> None:
    if project is None:
        return
    project.journal.append(
        "train-start",
        run=plan.run_id,
        trainer=plan.trainer_version,
        script=plan.script,
        base_model=Path(plan.base_model).name,
        data=plan.data_hash,
        pictures=plan.pictures,
        epochs=plan.epochs,
        steps=plan.steps,
        resumed_from=Path(plan.resumed_from).name,
    )


def _write_down(plan: RunPlan, project: Project | None, result: Result) -> Result:
    write_result(plan, result)
    if project is not None:
        project.journal.append(
            "train-end",
            run=plan.run_id,
            outcome=result.outcome.value,
            code=result.code,
            problem=result.problem,
            files={one.name: [one.epoch, one.steps] for one in result.files},
            trainer_steps=result.trainer_steps,
            last_loss=result.last_loss,
            seconds=result.seconds,
        )
    return result


def settle(standing: RunStanding) -> Result:
    """Judge a run that ended unseen, by its streams and files, and write it down."""
    with holding(standing.plan.lock) as got:
        again = standing_of(standing.folder)
        if not got or not again.needs_settling:
            return again.result or Result(Outcome.LOST)
        plan = again.plan
        tree = find_process(plan.folder)
        if tree is not None:
            tree.end()  # workers of a trainer that was killed
        follow = Follow(plan)
        follow.poll()
        project = open_project(Path(plan.project)) if plan.project else None
        return _write_down(plan, project, judge(follow, None, None, unseen=True))


def find_current(runs_dir: Path) -> RunStanding | None:
    """Return the run that is under way, if any, after settling those that ended unseen."""
    current = None
    for standing in find_runs_in(runs_dir):
        if standing.needs_settling:
            settle(standing)
        elif standing.result is None:
            current = standing
    return current


def read_run(folder: Path) -> RunPlan:
    """Read a run's plan from its folder."""
    return read_plan(folder)


# Judging.


def judge(follow: Follow, why: Outcome | None, code: int | None, *, unseen: bool = False) -> Result:
    """Say how a run ended, by its files before its words and its words before its exit code."""
    good, problems = verify(follow)
    result = Result(
        Outcome.FINISHED,
        exit_code=code,
        files=good,
        trainer_steps=follow.announced.steps if follow.announced else None,
        trainer_epochs=follow.announced.epochs if follow.announced else None,
        last_step=follow.step.step if follow.step else 0,
        last_loss=follow.losses[-1][1] if follow.losses else None,
    )
    if follow.no_data:
        return _no_data(result, follow)
    if follow.first_nan is not None:
        return _nan(result, follow)
    if why is Outcome.STOPPED:
        return replace(result, outcome=Outcome.STOPPED, cure=_what_remains(follow, good))
    if code or (code is None and problems):
        return _failed(result, follow, good, unseen=unseen)
    if problems or not good:
        return _unverified(result, problems)
    return result


def verify(follow: Follow) -> tuple[tuple[Expected, ...], tuple[str, ...]]:
    """Hold the epoch files against what should be there: good ones, and what is wrong.

    Without a forecast (regularisation pictures, dataset configs) the trainer's own figures count.
    """
    plan, said = follow.plan, follow.announced
    expected = plan.expected
    if not expected and said is not None:
        per_epoch = -(-said.steps // said.epochs) if said.epochs else 0
        expected = expected_files(plan, said.epochs, per_epoch)
    good: list[Expected] = []
    problems: list[str] = []
    for one in expected:
        problem = _file_problem(plan, one)
        if problem:
            problems.append(problem)
        elif _is_before_nan(follow, one):
            good.append(one)
    return tuple(good), tuple(problems)


def _is_before_nan(follow: Follow, one: Expected) -> bool:
    return follow.first_nan is None or one.steps < follow.first_nan


def _file_problem(plan: RunPlan, one: Expected) -> str | None:
    path = plan.output_dir / f"{one.name}{plan.suffix}"
    if not path.is_file():
        return f"{path.name} is missing"
    began = (plan.folder / "plan.json").stat().st_mtime
    if path.stat().st_mtime < began - 2:  # file systems round times
        return f"{path.name} is older than this run"
    if plan.suffix != ".safetensors":
        return None if path.stat().st_size else f"{path.name} is empty"
    try:
        metadata = read_header(path).metadata
    except ToolError as error:
        return error.problem
    said = (metadata.get("ss_epoch"), metadata.get("ss_steps"))
    wanted = (str(one.epoch), str(one.steps))
    if plan.has_metadata and said != wanted:
        return (
            f"{path.name} says epoch {said[0]}, step {said[1]}, "
            f"expected were epoch {wanted[0]}, step {wanted[1]}"
        )
    return None


def _no_data(result: Result, follow: Follow) -> Result:
    return replace(
        result,
        outcome=Outcome.NO_DATA,
        code="LL392",
        problem="The trainer found no pictures to train on: " + follow.errors[-1][:200],
        cure="`loraloom check` names the folders that it skips.",
    )


def _nan(result: Result, follow: Follow) -> Result:
    usable = ", ".join(one.name for one in result.files) or "none"
    return replace(
        result,
        outcome=Outcome.NAN,
        code="LL391",
        problem=f"The loss became NaN at step {follow.first_nan}; the training was stopped. "
        f"Epoch files from before: {usable}.",
        cure="Lower the learning rate, use bf16 instead of fp16, or another optimizer; "
        "for SDXL with fp16 switch no_half_vae on.",
    )


def _failed(result: Result, follow: Follow, good: tuple[Expected, ...], *, unseen: bool) -> Result:
    found = find_error(_tail_text(follow.plan.stderr))
    remains = _what_remains(follow, good)
    if found is not None:
        problem, cure = f"The trainer failed: {found.headline}.", f"{found.cure} {remains}".strip()
        return replace(result, outcome=Outcome.FAILED, code="LL390", problem=problem, cure=cure)
    code = result.exit_code
    how = "while nobody watched" if unseen else f"with exit code {code}"
    if code is not None and code < 0:
        how = f"by signal {-code}"
    at = f" at step {follow.step.step} of {follow.step.total}" if follow.step else ""
    return replace(
        result,
        outcome=Outcome.LOST if unseen else Outcome.FAILED,
        code="LL390",
        problem=f"The trainer was ended {how}{at}.",
        cure=remains,
    )


def _tail_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _ERROR_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _unverified(result: Result, problems: tuple[str, ...]) -> Result:
    what = "; ".join(problems[:3]) or "no epoch file was announced"
    return replace(
        result,
        outcome=Outcome.UNVERIFIED,
        code="LL393",
        problem=f"The trainer reported success, but {what}.",
        cure="Look at stdout.txt and stderr.txt in the run's folder; the files may not be used.",
    )


def _what_remains(follow: Follow, good: tuple[Expected, ...]) -> str:
    """Say what an ended run left and how to go on."""
    plan = follow.plan
    states = find_states(plan.output_dir, plan.name)
    files = f"Whole epoch files: {', '.join(one.name for one in good) or 'none'}."
    if states:
        return f"{files} Go on from epoch {states[-1].epoch} with --resume."
    return f"{files} No state was saved to resume from (--save-states saves them)."


def move_old_files(plan: RunPlan) -> tuple[Path, ...]:
    """Move epoch files that the run would overwrite into `earlier-N/`; return their new places."""
    targets = [plan.output_dir / f"{one.name}{plan.suffix}" for one in plan.expected]
    there = [path for path in targets if path.exists()]
    if not there:
        return ()
    number = 1
    while (folder := plan.output_dir / f"earlier-{number}").exists():
        number += 1
    folder.mkdir(parents=True)
    return tuple(path.rename(folder / path.name) for path in there)


def write_inputs(job: Job, plan: RunPlan, options: RunOptions) -> None:
    """Write all that the trainer reads, and make room for what it writes."""
    if job.project is not None:
        write_project_config(job.project)
    plan.output_dir.mkdir(parents=True, exist_ok=True)
    if options.move_old:
        move_old_files(plan)
    write_prompts(job.call)
    write_plan(plan)
