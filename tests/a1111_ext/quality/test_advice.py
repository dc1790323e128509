"""Advice on simulated runs whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from epoch_curves import SUBJECTS, Course, evidence_of, usual_course

from a1111_ext.quality.advice import advise
from a1111_ext.quality.ballot import Ballot
from a1111_ext.quality.evidence import Epoch, Evidence
from a1111_ext.quality.ordering import Verdict
from a1111_ext.quality.signal import Signal, SignalName, unmeasured


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
@pytest.mark.parametrize(("learns_at", "fries_at"), [(0.3, 0.75), (0.2, 0.5), (0.45, 0.85)])
def test_the_known_answer_comes_first(subject, noise, learns_at, fries_at):
    for seed in range(3):
        course = usual_course(
            10, learns_at=learns_at, fries_at=fries_at, noise=noise, subject=subject, seed=seed
        )
        advice = advise(evidence_of(course))
        assert advice.verdict is Verdict.TAKE
        assert advice.order.picks[0] in course.best


def flat(value: float, count: int) -> tuple[float, ...]:
    return (value,) * count


def test_an_undertrained_run_continues():
    course = Course((0.0, 0.05, 0.1, 0.15, 0.2), *[flat(0.0, 5)] * 4)
    advice = advise(evidence_of(course))
    assert advice.verdict is Verdict.TRAIN_ON
    assert "Continue training" in advice.summary


def test_a_run_that_is_fried_from_the_start_says_so():
    course = Course(flat(0.95, 5), flat(1.0, 5), flat(0.8, 5), flat(0.9, 5), flat(0.7, 5))
    advice = advise(evidence_of(course))
    assert advice.verdict is Verdict.ALL_FRIED
    assert "Lower the learning rate" in advice.summary
    assert advice.order.picks == (0,)


def test_quality_that_is_not_in_training_order_is_followed():
    """A restart of the learning rate spoils epochs in the middle; the end recovers."""
    learned = (0.3, 0.8, 0.9, 0.5, 0.6, 0.9, 0.95, 0.95)
    fried = (0.0, 0.0, 0.0, 1.0, 1.0, 0.1, 0.0, 0.0)
    course = Course(learned, fried, fried, flat(0.0, 8), flat(0.0, 8))
    advice = advise(evidence_of(course))
    assert advice.order.picks[0] in (2, 5, 6, 7)
    assert not {3, 4} & set(advice.order.picks)
    assert not advice.suggests_stop


def test_overtraining_while_it_continues_suggests_to_stop():
    advice = advise(evidence_of(usual_course(10, fries_at=0.6)))
    assert advice.suggests_stop
    assert not advise(evidence_of(usual_course(10, fries_at=1.0))).suggests_stop


def epochs(count: int) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(f"x-{i:06d}", f"x-{i:06d}.safetensors", i, 10 * i) for i in range(1, 1 + count)
    )


def learned(*values: float | None) -> Evidence:
    bad = tuple(value is not None and value < 0.45 for value in values)
    signal = Signal(SignalName.LEARNED, values, bad)
    return Evidence(epochs(len(values)), {SignalName.LEARNED: signal})


def test_ties_go_to_the_earlier_epoch():
    assert advise(learned(0.2, 0.90, 0.91, 0.92)).order.picks == (1, 2, 3)


def test_votes_outrank_what_was_measured():
    evidence = replace(
        learned(0.9, 0.5, 0.95), ballots=(Ballot(worse=15), Ballot(better=15), Ballot())
    )
    advice = advise(evidence)
    assert advice.order.picks == (1, 2)
    assert "15 of 15 votes" in advice.picks[0].sentences[0]


def test_a_choice_by_hand_outranks_votes():
    evidence = replace(learned(0.9, 0.9), ballots=(Ballot(better=15), Ballot(is_chosen=True)))
    assert advise(evidence).order.picks == (1, 0)


def test_without_a_tagger_the_last_clean_epoch_is_only_a_guess():
    bad = (False, False, True, True)
    evidence = Evidence(
        epochs(4),
        {
            SignalName.FRIED: Signal(SignalName.FRIED, (0.0, 0.1, 0.9, 1.2), bad),
            SignalName.LEARNED: unmeasured(SignalName.LEARNED, 4, "No tagger is given."),
        },
    )
    advice = advise(evidence)
    assert advice.verdict is Verdict.UNDECIDED
    assert advice.order.picks == (1, 0)
    assert advice.unmeasured == ((SignalName.LEARNED, "No tagger is given."),)


def test_a_signal_that_is_switched_off_does_not_count():
    leaked = Signal(SignalName.LEAKAGE, (0.0, 0.9), (False, True))
    evidence = learned(0.5, 0.95)
    evidence = replace(evidence, signals={**evidence.signals, SignalName.LEAKAGE: leaked})
    assert advise(evidence).order.picks == (0,)
    off = replace(evidence, switched_off=frozenset({SignalName.LEAKAGE}))
    assert advise(off).order.picks == (1, 0)


def test_no_epochs_give_no_advice():
    advice = advise(Evidence((), {}))
    assert (advice.verdict, advice.picks) == (Verdict.UNDECIDED, ())


def test_sentences_give_their_numbers():
    advice = advise(evidence_of(usual_course(10, seed=4)))
    first = advice.picks[0]
    assert first.place.startswith(f"epoch {first.epoch.number} of 10 (")
    assert 2 <= len(first.sentences) <= 3
    assert "against" in first.sentences[0]
    assert "obeys" in first.sentences[0]
    assert first.sentences[-1].startswith("From epoch ")


def test_advice_is_plain_json():
    data = json.loads(json.dumps(advise(evidence_of(usual_course(6))).as_dict()))
    assert data["verdict"] == "take"
    assert len(data["signals"]["learned"]["values"]) == 6
    assert data["picks"][0]["file"].endswith(".safetensors")
