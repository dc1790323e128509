"""One picture tagged wherever an executor runs it: the picture travels, the model lies there."""

from __future__ import annotations

import functools
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import DamagedError, ToolError
from .scores import Scores
from .tagger import EXACT, Tagger, open_tagger


@dataclass(frozen=True)
class TaggingTask:
    """A picture's content and the model that must score it, found under the same path there."""

    model_folder: str
    model_sha256: str
    name: str
    picture_sha256: str
    content: bytes


def score_task(task: TaggingTask) -> Scores:
    """Score the picture of a task. Raises MissingError or DamagedError (the model, the picture)."""
    tagger = _opened(task.model_folder, task.model_sha256.endswith(EXACT))
    if tagger.mark != task.model_sha256:
        raise DamagedError(
            "LL181",
            f"{socket.gethostname()} has a different tagger in {task.model_folder} than this "
            "machine.",
            "Put the same model.onnx and selected_tags.csv there.",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{Path(task.name).suffix}"
        path.write_bytes(task.content)
        try:
            return tagger.score(path, task.picture_sha256)
        except ToolError as error:
            problem = error.problem.replace(str(path), task.name)
            raise type(error)(error.code, problem, error.cure) from error


@functools.lru_cache(maxsize=2)
def _opened(folder: str, is_exact: bool) -> Tagger:
    try:
        return open_tagger(Path(folder), is_exact=is_exact)
    except ToolError as error:
        there = f"On {socket.gethostname()}: {error.problem}"
        raise type(error)(error.code, there, error.cure) from error
