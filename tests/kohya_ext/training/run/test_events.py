"""What a trainer says, read off recorded streams of real runs (sd-scripts 48d368fa, CPU)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.training.run.events import (
    Announced,
    EpochBegan,
    ErrorLogged,
    Event,
    LineSplitter,
    PhaseBegan,
    ProgressReported,
    Removed,
    Saving,
    StepFinished,
    StreamReader,
    Validated,
    Warned,
)
from kohya_ext.training.run.failures import find_error

RECORDED = Path(__file__).resolve().parents[3] / "recorded" / "sd-scripts"


def read(name: str, *, chunk: int = 1 << 20) -> list[Event]:
    """Feed both streams of a recorded run, `chunk` bytes at a time."""
    reader, events = StreamReader(), []
    for stream, take in (("stdout", reader.read_stdout), ("stderr", reader.read_stderr)):
        data = (RECORDED / f"{name}.{stream}.txt").read_bytes()
        splitter = LineSplitter()
        for at in range(0, len(data), chunk):
            for piece in splitter.feed(data[at : at + chunk]):
                events += take(piece)
        for piece in splitter.flush():
            events += take(piece)
    return events


def only(events: list[Event], kind: type) -> list[Event]:
    return [one for one in events if isinstance(one, kind)]


def error_of(name: str):
    return find_error((RECORDED / f"{name}.stderr.txt").read_text(encoding="utf-8"))


def test_a_run_announces_its_steps():
    assert only(read("success"), Announced) == [Announced(19, 5, 2, 10, 1)]


def test_epochs_and_files_come_in_order():
    events = [one for one in read("success") if isinstance(one, (EpochBegan, Saving))]
    assert events == [
        EpochBegan(1, 2),
        Saving("/data/model/Mira-000001.safetensors"),
        EpochBegan(2, 2),
        Saving("/data/model/Mira.safetensors"),
    ]


def test_every_step_has_its_loss():
    steps = only(read("success"), StepFinished)
    last = steps[-1]
    assert (last.step, last.total) == (10, 10)
    assert last.loss is not None
    assert {one.step for one in steps} == set(range(11))
    assert all(one.seconds_per_step for one in steps if one.step > 1)


@pytest.mark.parametrize("name", ["success", "nan", "resume", "launched"])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_streams_may_be_cut_anywhere(name: str, chunk: int):
    whole, cut = read(name), read(name, chunk=chunk)
    assert {str(one) for one in whole} == {str(one) for one in cut}  # NaN equals nothing


def test_phases_are_reported_in_our_words():
    reader = StreamReader()
    data = (RECORDED / "success.stderr.txt").read_bytes()
    events = [one for piece in LineSplitter().feed(data) for one in reader.read_stderr(piece)]
    assert [one.phase for one in only(events, PhaseBegan)][:4] == [
        "Reading pictures",
        "Preparing",
        "Loading the base model",
        "Making the LoRA",
    ]


def test_nan_is_seen_at_its_step():
    steps = only(read("nan"), StepFinished)
    first = next(one for one in steps if one.is_nan)
    assert first.step < 15
    assert only(read("success"), StepFinished)[-1].is_nan is False


def test_no_data_is_an_error_though_it_exits_with_0():
    (error,) = only(read("nodata"), ErrorLogged)
    assert error.is_no_data
    assert error_of("nodata") is None


def test_a_resumed_run_begins_at_its_epoch():
    events = read("resume")
    assert only(events, EpochBegan) == [EpochBegan(2, 3), EpochBegan(3, 3)]
    last = only(events, StepFinished)[-1]
    assert (last.step, last.total) == (10, 15)


def test_other_bars_are_reported_apart():
    bars = only(read("success"), ProgressReported)
    assert ("read caption", 2, 2) in {(one.what, one.done, one.total) for one in bars}


def test_warnings_come_in_the_trainers_words():
    assert any("no regularization images" in one.text for one in only(read("success"), Warned))


def test_sentences_are_not_said_twice():
    (error,) = only(read("nodata"), ErrorLogged)
    assert error.text.endswith("parent of folders with images)")


def test_phases_do_not_lead_back():
    reader = StreamReader()
    assert reader.read_stdout("running training / x") == [PhaseBegan("Training")]
    assert reader.read_stderr(" INFO     prepare images.    train_util.py:2112") == []
    assert reader.read_stderr(" INFO     saving state at epoch 1    train_util.py:1") == [
        PhaseBegan("Saving the state")
    ]


def test_removed_files_are_reported():
    path = "/data/model/Mira-000001.safetensors"
    reader = StreamReader()
    assert reader.read_stdout(f"removing old checkpoint: {path}") == [Removed(path)]


def test_a_bar_is_given_out_before_the_next_one():
    splitter = LineSplitter()
    bar = b"\rsteps:  50%|##   | 1/2 [00:01<00:01,  1.00s/it, avr_loss=0.5]"
    assert len(splitter.feed(bar)) == 1


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("launched", "ModuleNotFoundError: No module named 'networks.nothing'"),
        ("truncated", "OSError: image file is truncated"),
        ("usage", "unrecognized arguments: --no_such_flag"),
        ("ranks", "RuntimeError: DistributedDataParallel is not needed"),
    ],
)
def test_the_real_error_is_found(name: str, headline: str):
    found = error_of(name)
    assert found is not None
    assert found.headline.startswith(headline)
    assert "CalledProcessError" not in "\n".join(found.lines)
    assert "[rank" not in "\n".join(found.lines)


def test_the_process_that_failed_first_counts():
    head = "Traceback (most recent call last):"
    text = f"[rank1]: {head}\n[rank0]: {head}\n[rank0]: RuntimeError: peer\n[rank1]: OSError: x\n"
    found = find_error(text)
    assert found is not None
    assert found.headline == "OSError: x"


def test_an_error_of_a_process_may_follow_its_progress_bar():
    """As seen when another machine was killed: no newline ends the bar."""
    text = (
        "steps:  6%|x | 1/18 [01:10, avr_loss=1.1]\rsteps: 11%|x | 2/18 [02:20, avr_loss=1.1]"
        "[rank0]: Traceback (most recent call last):\n"
        "[rank0]:     work.wait()\n"
        "[rank0]: RuntimeError: [pair.cc:561] Connection closed by peer [10.77.0.6]:54413.\n"
        "Traceback (most recent call last):\n    main()\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    )
    found = find_error(text)
    assert found is not None
    assert found.headline.startswith("RuntimeError: [pair.cc:561] Connection closed by peer")
    assert "Another process or machine of this training was lost" in found.cure


def test_processes_that_never_met_are_told_of_the_interface():
    text = "Traceback (most recent call last):\nRuntimeError: Gloo connectFullMesh failed with x\n"
    found = find_error(text)
    assert found is not None
    assert "GLOO_SOCKET_IFNAME" in found.cure


def test_a_good_run_has_no_error():
    assert error_of("success") is None
    assert find_error("") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB", "less GPU memory"),
        ("RuntimeError: No CUDA GPUs are available", "trainer show"),
        ("OSError: [Errno 28] No space left on device", "Free some space"),
        ("AssertionError: caption file is empty: /data/a.txt", "Write a caption"),
    ],
)
def test_known_errors_have_a_cure(line: str, words: str):
    found = find_error(f"Traceback (most recent call last):\n  File x, line 1\n{line}\n")
    assert found is not None
    assert words in found.cure


def test_several_lines_of_one_error_stay_together():
    text = (
        "Traceback (most recent call last):\n  File x\n"
        "RuntimeError: Error(s) in loading state_dict for LoRANetwork:\n"
        "\tsize mismatch for lora_te.lora_down.weight: copying a param\n"
    )
    found = find_error(text)
    assert found is not None
    assert "size mismatch for lora_te" in found.headline
    assert "another rank" in found.cure


def test_the_loss_on_pictures_kept_back_is_read():
    bar = "epoch validation steps: {}|#| {}/8 [00:01<00:00, 5.0it/s, val_epoch_avg_loss=0.13, {}]"
    reader = StreamReader()
    assert not any(
        isinstance(one, Validated) for one in reader.read_stderr(bar.format("50%", 4, "timestep=2"))
    )
    events = reader.read_stderr(bar.format("100%", 8, "timestep=800"))
    assert Validated(0.13) in events
    step = "validation steps: 100%|#| 2/2 [00:01<00:00, 5.0it/s, val_avg_loss=nan, timestep=8]"
    assert any(isinstance(one, Validated) for one in reader.read_stderr(step))


@pytest.mark.parametrize("rate", ["1.2.3", ".", "9" * 5000 + "."])
def test_a_bar_of_no_numbers_is_a_line_like_others(rate: str):
    reader = StreamReader()
    for number in ("5", "9" * 5000):
        bar = f"steps:  50%|##  | {number}/10 [00:01<00:01, {rate}s/it, avr_loss=0.1]"
        assert not only(reader.read_stderr(bar), StepFinished)
    assert reader.read_stdout(f"  num train images * repeats / x: {'9' * 5000}") == []


def test_a_training_that_waits_for_other_machines_says_so():
    """accelerate says nothing while it waits, so "Preparing" stayed on the screen."""
    (began,) = StreamReader(machines=3).read_stdout("preparing accelerator")
    assert began == PhaseBegan("Preparing; it waits until all 3 machines train")
    assert StreamReader().read_stdout("preparing accelerator") == [PhaseBegan("Preparing")]
