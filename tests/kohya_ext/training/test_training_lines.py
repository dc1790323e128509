"""What a log or a pipe gets of a training: a line per epoch, once its step and number agree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kohya_ext.cli.training_options import training_bar
from kohya_ext.training.run.events import EpochBegan, StepFinished

STEP, EPOCH = StepFinished(7, 18, 0.1, 1.0), EpochBegan(2, 3)


def follow(epoch: int, done: int) -> Any:
    announced = SimpleNamespace(steps_per_epoch=6)
    facts = {"epoch": epoch, "done_steps": done, "announced": announced, "total_steps": 18}
    return SimpleNamespace(**facts, line=f"epoch {epoch}/3", eta_seconds=None)


@pytest.mark.parametrize(
    "told",
    [
        [(STEP, follow(1, 7)), (EPOCH, follow(2, 7))],
        [(EPOCH, follow(2, 6)), (STEP, follow(2, 7))],
    ],
    ids=["the step first", "the epoch first"],
)
def test_an_epoch_is_said_whichever_stream_is_quicker(
    told: list[tuple[Any, Any]], capsys: pytest.CaptureFixture[str]
):
    with training_bar() as handler:
        handler(STEP, follow(1, 1))
        for event, standing in told:
            handler(event, standing)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/3, step 1 of 18",
        "epoch 2/3, step 7 of 18",
    ]
