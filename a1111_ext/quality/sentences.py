"""Advice in words that a beginner understands, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from kohya_ext.project.wording import counted

from .evidence import Epoch, Evidence
from .learned import LEAST_LEARNED, TagCurve
from .ordering import Order, Verdict, reasons
from .signal import SignalName

_CLEARLY = 0.75
"""An earlier epoch that had less than this share of a tag's value had clearly less."""


def summary(evidence: Evidence, order: Order) -> str:
    """Return the advice in one or two sentences."""
    if order.verdict is Verdict.TRAIN_ON:
        return _train_on(evidence, order)
    if order.verdict is Verdict.ALL_FRIED:
        return _all_fried(evidence, order)
    if not order.picks:
        return "There are no epochs to compare yet."
    best = evidence.epochs[order.picks[0]]
    if order.verdict is Verdict.UNDECIDED:
        return (
            f"Whether an epoch knows the subject was not measured, so this is only a guess: look "
            f"at {best.word} first, {_why_last(order)}."
        )
    return f"Take {place_of(evidence, best)}."


def place_of(evidence: Evidence, epoch: Epoch) -> str:
    """Return `epoch 8 of 20 (1,776 steps)` as far as it is known."""
    numbers = [one.number for one in evidence.epochs if one.number is not None]
    last = evidence.epochs_planned or max(numbers, default=0)
    text = epoch.word
    if epoch.number is not None and last > 1:
        text += f" of {last}"
    return text if epoch.step is None else f"{text} ({counted(epoch.step, 'step')})"


def _why_last(order: Order) -> str:
    return (
        "the last one without signs of overtraining"
        if order.onset is not None
        else "the last one; no signs of overtraining were found"
    )


def _train_on(evidence: Evidence, order: Order) -> str:
    last = evidence.epochs[-1]
    index = order.picks[0] if order.picks else len(evidence.epochs) - 1
    known = evidence.value(SignalName.LEARNED, index)
    much = "" if known is None else f" ({known:.2f}, where 1 is the training set)"
    return (
        f"None is good yet: even {evidence.epochs[index].word} hardly knows the subject{much}. "
        f"Continue training from {last.word}, and compare again."
    )


def _all_fried(evidence: Evidence, order: Order) -> str:
    first = evidence.epochs[order.picks[0]] if order.picks else None
    signs = {name for i in range(len(evidence.epochs)) for name in reasons(evidence, i)}
    knows = [evidence.value(SignalName.LEARNED, i) for i in range(len(evidence.epochs))]
    if any(order.overtrained) and not all(order.overtrained) and any(knows):
        begin = "Epochs are either too early to know the subject or overtrained already"
    else:
        begin = f"All epochs are overtrained ({', '.join(_short(one) for one in sorted(signs))})"
    advice = "Lower the learning rate and train again"
    return f"{begin}. {advice}" + (f", or take the first: {first.word}." if first else ".")


def _short(name: SignalName) -> str:
    return {
        SignalName.FRIED: "fried pictures",
        SignalName.COPYING: "copies of training pictures",
        SignalName.VARIETY: "seeds that look alike",
        SignalName.OBEYS: "prompts are ignored",
        SignalName.LEAKAGE: "backgrounds or clothes of the training set appear",
        SignalName.WEIGHTS: "damaged weights",
    }.get(name, name.value)


# -- one epoch ----------------------------------------------------------------------------------


def sentences_for(evidence: Evidence, order: Order, index: int) -> tuple[str, ...]:
    """Return two or three sentences about one epoch that the advice names."""
    against = _against(evidence, index)
    found = [
        _votes(evidence, index),
        _knowing_and_obeying(evidence, index),
        against or _afterwards(evidence, order, index),
    ]
    reported = [one for one in found if one]
    if len(reported) < 2 and not against:
        reported.append(_steady(evidence, index))
    return tuple(filter(None, reported))


def _votes(evidence: Evidence, index: int) -> str:
    ballot = evidence.ballot(index)
    name = _capital(evidence.epochs[index].word)
    if ballot.is_chosen:
        return f"{name} was chosen by hand."
    if not ballot.count:
        return ""
    return (
        f"{name} won {ballot.better} of {counted(ballot.count, 'vote')}"
        + (f" and drew {ballot.draw}" if ballot.draw else "")
        + f" (at least {ballot.lower:.0%} with certainty)."
    )


def _knowing_and_obeying(evidence: Evidence, index: int) -> str:
    knows, obeys = _knows(evidence, index), _obeys(evidence, index)
    if not knows and not obeys:
        return ""
    name = _capital(evidence.epochs[index].word)
    return f"{name} {' and '.join(filter(None, (knows, obeys)))}."


def _knows(evidence: Evidence, index: int) -> str:
    known = evidence.value(SignalName.LEARNED, index)
    if known is None:
        alike = evidence.value(SignalName.LIKENESS, index)
        return "" if alike is None else f"is like the training pictures ({alike:.2f} of 1)"
    curve = _telling(evidence.subject_tags, index)
    if curve is None:
        return f"knows {known:.2f} of the subject, where 1 is the training set"
    value = curve.values[index] or 0.0
    is_known = known >= LEAST_LEARNED and value >= 0.5 * curve.training
    verb = "knows" if is_known else "does not fully know"
    return f"{verb} {_spelled(curve.tag)} ({value:.2f} against {_before(evidence, curve, index)})"


def _telling(curves: Sequence[TagCurve], index: int) -> TagCurve | None:
    """Return the subject's tag that has grown most since the control."""
    known = [one for one in curves if one.values[index] is not None]
    return max(known, key=lambda one: (one.values[index] or 0.0) - one.control, default=None)


def _before(evidence: Evidence, curve: TagCurve, index: int) -> str:
    value = curve.values[index] or 0.0
    for earlier in range(index - 1, -1, -1):
        then = curve.values[earlier]
        if then is not None and then < _CLEARLY * value:
            return f"{then:.2f} at {evidence.epochs[earlier].word}"
    return f"{curve.control:.2f} without the LoRA"


def _obeys(evidence: Evidence, index: int) -> str:
    lost = evidence.value(SignalName.OBEYS, index)
    if lost is None:
        return ""
    known = [one for one in evidence.asked_tags if one.values[index] is not None]
    if not known:
        return f"follows the prompts ({lost:+.2f} against no LoRA)"
    signal = evidence.signal(SignalName.OBEYS)
    if signal is not None and signal.is_bad(index):
        worst = max(known, key=lambda one: one.control - (one.values[index] or 0.0))
        return (
            f'no longer obeys "{_spelled(worst.tag)}" ({worst.values[index] or 0.0:.2f} against '
            f"{worst.control:.2f} without the LoRA)"
        )
    best = max(known, key=lambda one: one.values[index] or 0.0)
    value = best.values[index] or 0.0
    return f'still obeys "{_spelled(best.tag)}" ({value:.2f}, without the LoRA {best.control:.2f})'


def _against(evidence: Evidence, index: int) -> str:
    """Say what speaks against an epoch that is named anyway."""
    reported = [_sign(evidence, name, index) for name in reasons(evidence, index)]
    if not reported:
        return ""
    return f"{_capital(evidence.epochs[index].word)} shows it already: {_and(reported)}."


def _afterwards(evidence: Evidence, order: Order, index: int) -> str:
    """Say from which epoch on what goes wrong."""
    later = [i for i in range(index + 1, len(evidence.epochs)) if order.overtrained[i]]
    if not later:
        return ""
    onset = order.onset
    start = onset if onset is not None and onset > index else later[0]
    reported = [_sign(evidence, name, start) for name in reasons(evidence, start)][:2]
    name = evidence.epochs[start].word
    since = f"From {name} on" if start == onset and start < len(order.overtrained) - 1 else "At"
    begin = since if since.startswith("From") else f"At {name}"
    return f"{begin} {_and(reported)}."


def _sign(evidence: Evidence, name: SignalName, index: int) -> str:
    signal = evidence.signals[name]
    note = signal.notes.get(index, "")
    if name is SignalName.FRIED:
        return note or "the pictures are fried"
    if name is SignalName.COPYING:
        share = signal.values[index] or 0.0
        return (
            f"{note or 'a training picture'} is reproduced ({share:.0%} of the pictures are copies)"
        )
    if name is SignalName.VARIETY:
        return f"seeds look alike ({signal.values[index] or 0.0:.0%} of the variety without LoRA)"
    if name is SignalName.LEAKAGE:
        return f'"{_spelled(note)}" of the training set appears although no prompt asks for it'
    if name is SignalName.OBEYS:
        return f"prompts are ignored (recall {signal.values[index] or 0.0:+.2f})"
    return note or "the weights are damaged"


def _steady(evidence: Evidence, index: int) -> str:
    """Say what was looked at when nothing stood out."""
    looked = [
        name.value
        for name in (SignalName.FRIED, SignalName.COPYING, SignalName.VARIETY, SignalName.WEIGHTS)
        if evidence.value(name, index) is not None
    ]
    if not looked:
        return ""
    return f"No signs of overtraining there (measured: {', '.join(looked)})."


def _and(parts: Sequence[str]) -> str:
    return ", and ".join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spelled(tag: str) -> str:
    return tag.replace("_", " ")
