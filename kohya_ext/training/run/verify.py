"""The verdict on a run: by its files before its words, and by its words before its exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...project import ToolError
from ...project.lora_file import read_header
from .failures import find_error
from .follow import RunFollower
from .launch import processes_started
from .record import Expected, Result, RunOutcome, RunPlan, expected_files
from .states import find_states

_ERROR_TAIL_BYTES = 400_000


def judge(
    follow: RunFollower, why: RunOutcome | None, code: int | None, *, unseen: bool = False
) -> Result:
    """Say how a run ended, by its files before its words and its words before its exit code."""
    good, problems = verify(follow)
    result = Result(
        RunOutcome.FINISHED,
        exit_code=code,
        files=good,
        trainer_steps=follow.announced.steps if follow.announced else None,
        trainer_epochs=follow.announced.epochs if follow.announced else None,
        last_step=follow.done_steps if follow.step else 0,
        last_loss=follow.last_loss,
    )
    if follow.no_data:
        return replace(
            result,
            outcome=RunOutcome.NO_DATA,
            code="LL392",
            problem="The trainer found no pictures to train on: " + follow.errors[-1][:200],
            cure="`loraloom check` lists the folders that it skips.",
        )
    if follow.first_nan is not None:
        return _nan(result, follow.done_before + follow.first_nan)
    if why is RunOutcome.STOPPED:
        return replace(result, outcome=RunOutcome.STOPPED, cure=_what_remains(follow, good))
    if code or (code is None and problems):
        return _failed(result, follow, good, unseen=unseen)
    if problems or not good:
        what = "; ".join(problems[:3]) or "no epoch file was announced"
        return replace(
            result,
            outcome=RunOutcome.UNVERIFIED,
            code="LL393",
            problem=f"The trainer reported success, but {what}.",
            cure=(_ALONE if _has_trained_alone(follow) else "")
            + "Look at stdout.txt and stderr.txt in the run's folder; do not use the epoch files.",
        )
    return result


_ALONE = (
    "Each process has trained alone on all pictures, because accelerate found no GPU for it: see "
    "`loraloom trainer show`, or set num_processes to 1. "
)


def _has_trained_alone(follow: RunFollower) -> bool:
    """Tell whether the trainer counted steps as one process does, though several were started.

    Without a GPU that it can use, accelerate starts them and lets each believe that it is alone.
    """
    count, shared = processes_started(follow.plan.command), follow.plan.steps_per_epoch
    said = follow.announced.steps_per_epoch if follow.announced else 0
    return count > 1 and count * (shared - 1) < said <= count * shared and said > shared


def verify(follow: RunFollower) -> tuple[tuple[Expected, ...], tuple[str, ...]]:
    """Compare the epoch files with what should be there: good ones, and what is wrong.

    Without a forecast (regularisation pictures, dataset configs) the trainer's own figures count.
    """
    plan, said = follow.plan, follow.announced
    expected = plan.expected
    if not expected and said is not None:
        expected = expected_files(plan, said.epochs, said.steps_per_epoch, said.steps)
    good: list[Expected] = []
    problems: list[str] = []
    for one in expected:
        problem = _file_problem(plan, one)
        if problem:
            problems.append(problem)
        elif follow.first_nan is None or one.steps < follow.first_nan:
            good.append(one)
    return tuple(good), tuple(problems)


def _file_problem(plan: RunPlan, one: Expected) -> str | None:
    path = plan.output_dir / f"{one.name}{plan.suffix}"
    if not path.is_file():
        return f"{path.name} is missing"
    began = (plan.folder / "plan.json").stat().st_mtime - 2  # file systems round times
    is_clock_sound = not plan.stdout.is_file() or plan.stdout.stat().st_mtime >= began
    if path.stat().st_mtime < began and is_clock_sound:  # else it was set back meanwhile
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
            f"but epoch {wanted[0]}, step {wanted[1]} was expected"
        )
    return None


def _nan(result: Result, step: int) -> Result:
    usable = ", ".join(one.name for one in result.files) or "none"
    return replace(
        result,
        outcome=RunOutcome.NAN,
        code="LL391",
        problem=f"The loss became NaN at step {step}; the training was stopped. "
        f"Epoch files from before: {usable}.",
        cure="Lower the learning rate, use bf16 instead of fp16, or another optimizer; "
        "for SDXL with fp16 switch no_half_vae on.",
    )


def _failed(
    result: Result, follow: RunFollower, good: tuple[Expected, ...], *, unseen: bool
) -> Result:
    found = find_error(_tail_text(follow.plan.stderr))
    remains = _what_remains(follow, good)
    if found is not None:
        problem, cure = f"The trainer failed: {found.headline}.", f"{found.cure} {remains}".strip()
        return replace(result, outcome=RunOutcome.FAILED, code="LL390", problem=problem, cure=cure)
    code = result.exit_code
    how = "while nobody watched" if unseen else f"with exit code {code}"
    if code is not None and code < 0:
        how = f"by signal {-code}"
    at = f" at step {follow.done_steps} of {follow.step.total}" if follow.step else ""
    return replace(
        result,
        outcome=RunOutcome.LOST if unseen else RunOutcome.FAILED,
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


def _what_remains(follow: RunFollower, good: tuple[Expected, ...]) -> str:
    """Say what an ended run left and how to continue."""
    plan = follow.plan
    states = find_states(plan.output_dir, plan.name)
    files = f"Complete epoch files: {', '.join(one.name for one in good) or 'none'}."
    if states:
        return f"{files} Continue from epoch {states[-1].epoch} with --resume."
    why = "each comes with an epoch file" if plan.saves_states else "--save-states saves them"
    return f"{files} No state was saved to resume from ({why})."
