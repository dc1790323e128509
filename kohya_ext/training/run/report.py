"""The report on a training: which data, which config, which versions, which losses, which files.

Read off the run folders and the epoch files; what publishing and a later reader need of a run.
Drawing the loss curve is here too; it needs nothing but Pillow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...project import MissingError
from ...project.epochs import EpochFile, find_epoch_files
from ...project.files import replacing, write_json_atomic, write_text_atomic
from ...project.kept_advice import KeptAdvice, read_advice
from ...project.plugins import load_plugins
from ...project.wording import counted
from .follow import RunFollower
from .record import RunOutcome, RunStatus, find_runs_in, read_facts
from .tensorboard import read_scalars

if TYPE_CHECKING:
    from PIL import Image

_GROUP = "loraloom.report"
_OWN = ("a1111_ext.showcase.hit_rate:hits_of_promoted",)
_SIZE = (1000, 460)
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 30, 20, 45
_TICKS = 5
_CLOCK_SLACK_SECONDS = 2.0


@dataclass(frozen=True)
class Session:
    """One run of the trainer: from its start, or from the state that it was resumed from."""

    run: RunStatus
    losses: Mapping[int, float]
    step_losses: Mapping[int, float]
    validations: Mapping[int, float] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """How it ended, or `running`."""
        return self.run.result.outcome.value if self.run.result else "running"


@dataclass(frozen=True)
class Report:
    """All sessions of one training, oldest first, and the epoch files that they left."""

    sessions: tuple[Session, ...]
    files: tuple[EpochFile, ...]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    advice: KeptAdvice | None = None
    showcase: Mapping[str, Any] | None = None
    """What people said of its pictures: tables with a title, a head, rows and a sentence."""

    @property
    def last(self) -> Session:
        return self.sessions[-1]

    @property
    def losses(self) -> dict[int, float]:
        """The trainer's moving average by step of the whole training."""
        return _joined(one.losses for one in self.sessions)

    @property
    def step_losses(self) -> dict[int, float]:
        """Each step's own loss, where TensorBoard files were written."""
        return _joined(one.step_losses for one in self.sessions)

    @property
    def validations(self) -> dict[int, float]:
        """The loss on pictures kept back, by step; empty where none were."""
        return _joined(one.validations for one in self.sessions)


def _joined(parts: Iterable[Mapping[int, float]]) -> dict[int, float]:
    found: dict[int, float] = {}
    for part in parts:
        first = min(part, default=0)
        found = {step: loss for step, loss in found.items() if step < first} | dict(part)
    return found


def read_report(runs_dir: Path, run_id: str = "") -> Report:
    """Read the report on a run with all it continues from; the newest one without `run_id`.

    Raises MissingError when there is none.
    """
    runs = [one for one in find_runs_in(runs_dir) if run_id in ("", one.plan.run_id)]
    if not runs:
        which = f"run {run_id}" if run_id else "run yet"
        raise MissingError(
            "LL399", f"{runs_dir} contains no {which}.", "Train first: loraloom train PROJECT"
        )
    chain = _chain(runs[-1], find_runs_in(runs_dir))
    plan = runs[-1].plan
    files = _files(plan.output_dir, plan.name, runs[-1])
    advice = read_advice(Path(plan.project)) if plan.project else None
    if advice is not None and not set(advice.epochs) <= {one.name for one in files}:
        advice = None  # it is on the epochs of another run
    return Report(
        tuple(_session(one) for one in chain),
        files,
        read_facts(runs[-1].folder / "data.json") or {},  # none in an older run
        read_facts(runs[-1].folder / "environment.json") or {},
        advice,
        _showcase(plan.project, files),
    )


def _showcase(project: str, files: tuple[EpochFile, ...]) -> Mapping[str, Any] | None:
    """Return what plugins tell of the pictures that were drawn with a file of this run."""
    for tell in load_plugins(_GROUP, _OWN) if project else ():
        found: Mapping[str, Any] | None = tell(Path(project))
        if found is not None and found["source"] in {one.path.name for one in files}:
            return found
    return None


def _chain(last: RunStatus, runs: tuple[RunStatus, ...]) -> list[RunStatus]:
    """Return the runs that `last` continues from: each the newest before that saved its state."""
    found = [last]
    while found[0].plan.epochs_done:
        begun = found[0].plan
        earlier = [
            one
            for one in runs
            if one.plan.run_id < begun.run_id
            and one.plan.name == begun.name
            and one.plan.epochs_done < begun.epochs_done
        ]
        if not earlier:
            break
        found.insert(0, earlier[-1])
    return found


def _session(run: RunStatus) -> Session:
    follow = RunFollower(run.plan)
    follow.poll()
    before = run.plan.epochs_done * run.plan.steps_per_epoch
    losses = {before + step: loss for step, loss in follow.losses.items()}
    return Session(run, losses, _step_losses(run, before), dict(follow.validations))


def _step_losses(run: RunStatus, before: int) -> dict[int, float]:
    folder = Path(run.plan.logging_dir) if run.plan.logging_dir else None
    if folder is None or not folder.is_dir():
        return {}
    began = (run.folder / "plan.json").stat().st_mtime - _CLOCK_SLACK_SECONDS
    ended = run.folder / "result.json"
    until = ended.stat().st_mtime + _CLOCK_SLACK_SECONDS if ended.exists() else None
    scalars = read_scalars(folder, "loss/current", since=began, until=until)
    return {before + step: value for step, value in scalars}


def _files(folder: Path, name: str, run: RunStatus) -> tuple[EpochFile, ...]:
    if not folder.is_dir():
        return ()
    names = {one.name for one in run.result.files} if run.result else set()
    for found in reversed(find_epoch_files(folder).runs):
        if found.output_name == name and (not names or names & {one.name for one in found.files}):
            return found.files
    return ()


# As plain values, as text, as a picture.


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report as plain values; the pictures' hashes included."""
    run = report.last.run
    result = run.result
    return {
        "name": run.plan.name,
        "run": run.plan.run_id,
        "project": run.plan.project,
        "outcome": report.last.outcome,
        "problem": result.problem if result else "",
        "verified": bool(result and result.outcome is RunOutcome.FINISHED),
        "base_model": run.plan.base_model,
        "script": run.plan.script,
        "trainer_version": run.plan.trainer_version,
        "environment": dict(report.environment),
        "config": run.plan.config_text,
        "epochs": run.plan.epochs,
        "steps": run.plan.steps,
        "steps_by_the_trainer": result.trainer_steps if result else None,
        "steps_per_epoch": run.plan.steps_per_epoch,
        "pictures": run.plan.pictures,
        "draws_per_epoch": run.plan.draws,
        "ratio": str(report.data.get("ratio", "")),
        "data_hash": run.plan.data_hash,
        "data": report.data.get("pictures", []),
        "sessions": [
            {
                "run": one.run.plan.run_id,
                "outcome": one.outcome,
                "after_epoch": one.run.plan.epochs_done,
                "seconds": one.run.result.seconds if one.run.result else None,
            }
            for one in report.sessions
        ],
        "files": [
            {
                "name": one.name,
                "epoch": one.epoch,
                "step": one.step,
                "loss": report.losses.get(one.step) if one.step else None,
                "validation_loss": report.validations.get(one.step) if one.step else None,
            }
            for one in report.files
        ],
        "losses": report.losses,
        "validation_losses": report.validations,
        "advice": None if report.advice is None else asdict(report.advice),
        "showcase": report.showcase and report.showcase["hit_rate"],
    }


def format_report(report: Report) -> str:
    """Return the report as Markdown for people."""
    facts = as_dict(report)
    rows = [
        ("Outcome", f"{facts['outcome']}{', verified' if facts['verified'] else ''}"),
        ("Base model", Path(facts["base_model"]).name),
        ("Trainer", f"sd-scripts {facts['trainer_version']}, {facts['script']}"),
        ("Environment", _environment_line(report.environment)),
        ("Pictures", f"{facts['pictures']}, {counted(facts['draws_per_epoch'], 'draw')} per epoch"),
        ("Ratio", facts["ratio"]),
        ("Data", f"sha256 {facts['data_hash']}"),
        ("Length", f"{counted(facts['steps'], 'step')} in {counted(facts['epochs'], 'epoch')}"),
        ("Sessions", ", ".join(f"{one['run']} ({one['outcome']})" for one in facts["sessions"])),
    ]
    lines = [f"# {facts['name']}: training {facts['run']}", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows if value)]
    if facts["problem"]:
        lines += ["", facts["problem"]]
    kept_back = " Validation loss |" if report.validations else ""
    head = f"| File | Epoch | Step | Loss (moving average) |{kept_back}"
    lines += ["", head, "|---|---|---|---|" + ("---|" if kept_back else "")]
    for one in facts["files"]:
        loss = f"{one['loss']:.3g}" if one["loss"] is not None else ""
        row = f"| {one['name']} | {one['epoch']} | {one['step']} | {loss} |"
        value = one["validation_loss"]
        lines.append(row + (f" {value:.3g} |" if value is not None else " |" if kept_back else ""))
    if report.advice is not None:
        lines += ["", "## Advice", "", report.advice.summary, ""]
        lines += [f"- **{one.place}:** {' '.join(one.reasons)}" for one in report.advice.picks]
        lines += [f"- Not measured, {name}: {why}" for name, why in report.advice.not_measured]
    for table in report.showcase["tables"] if report.showcase else ():
        lines += ["", f"## {table['title']}", ""]
        lines += [f"| {' | '.join(row)} |" for row in (table["head"], ["---"] * len(table["head"]))]
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in table["rows"]]
        lines += [f"| {' | '.join(row)} |" for row in escaped]
        lines += ["", table["said"]] if table["said"] else []
    lines += ["", "![loss](loss.png)", "", "```toml", facts["config"].rstrip(), "```", ""]
    return "\n".join(lines)


def _environment_line(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages") or {}
    shown = [f"{name} {packages[name]}" for name in ("torch", "diffusers") if packages.get(name)]
    gpus = [str(card["name"]) for card in environment.get("gpus") or []]
    python = environment.get("python")
    return ", ".join([*([f"Python {python}"] if python else []), *shown, *gpus])


def draw_losses(report: Report) -> Image.Image:
    """Draw the losses: each step's faint, the moving average strong, a line where an epoch ends."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(picture)
    plan = report.last.run.plan
    average, single = report.losses, report.step_losses
    steps = max([plan.steps, *average, *single, 1])
    values = [*average.values(), *single.values()]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    high = high if high > low else low + 1.0

    def place(step: float, value: float) -> tuple[float, float]:
        width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
        return _LEFT + step / steps * width, _TOP + (high - value) / (high - low) * height

    for epoch in range(1, plan.epochs + 1):
        at = place(min(epoch * plan.steps_per_epoch, steps), low)[0]
        draw.line((at, _TOP, at, _SIZE[1] - _BOTTOM), fill="#e4e4e4")
        if plan.epochs <= 20 or epoch % (plan.epochs // 10) == 0:
            draw.text((at, _SIZE[1] - _BOTTOM + 4), f"{epoch}", fill="#555555", anchor="ma")
    for number in range(_TICKS + 1):
        value = low + (high - low) * number / _TICKS
        at = place(0, value)[1]
        draw.line((_LEFT, at, _SIZE[0] - _RIGHT, at), fill="#eeeeee")
        draw.text((_LEFT - 8, at), f"{value:.3g}", fill="#555555", anchor="rm")
    for series, colour, width in ((single, "#c4d4ee", 1), (average, "#1f5fbf", 2)):
        if len(series) > 1:
            points = [place(step, value) for step, value in sorted(series.items())]
            draw.line(points, fill=colour, width=width)
    title = (
        f"{plan.name}: loss by epoch, {counted(steps, 'step')} in {counted(plan.epochs, 'epoch')}"
    )
    draw.text((_LEFT, 8), title + ("" if values else " (no loss was reported)"), fill="black")
    return picture


def write_report(report: Report, folder: Path) -> tuple[Path, Path, Path]:
    """Write report.json, report.md and loss.png into `folder`; return their places.

    Raises MachineError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = (folder / "report.json", folder / "report.md", folder / "loss.png")
    write_json_atomic(places[0], as_dict(report))
    write_text_atomic(places[1], format_report(report))
    with replacing(places[2]) as stream:
        draw_losses(report).save(stream, "PNG")
    return places
