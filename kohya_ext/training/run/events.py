"""What a running trainer says, as typed events: phases, epochs, steps, losses, files, errors.

Read off the two streams of sd-scripts as they are: bars and log lines on stderr, epochs and
saved files on stdout, both possibly bilingual, wrapped and cut anywhere.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PhaseBegan:
    """The trainer began something else; in our words."""

    phase: str


@dataclass(frozen=True)
class Announced:
    """The trainer's own figures, printed before its first step."""

    draws: int
    batches_per_epoch: int
    epochs: int
    steps: int
    gradient_accumulation: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates in one epoch: batches, gathered by gradient accumulation."""
        return math.ceil(self.batches_per_epoch / max(1, self.gradient_accumulation))


@dataclass(frozen=True)
class EpochBegan:
    """Epoch `epoch` of `epochs` began, so the one before it is saved where it should be."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class StepFinished:
    """A step was made; `loss` is the trainer's moving average and may be NaN.

    `total` counts all epochs, also those before a resume: `step` then ends below it.
    """

    step: int
    total: int
    loss: float | None = None
    seconds_per_step: float | None = None

    @property
    def is_nan(self) -> bool:
        """Whether the loss is not a number any more: everything after it is lost."""
        return self.loss is not None and not math.isfinite(self.loss)


@dataclass(frozen=True)
class LossRecorded:
    """A step's own loss, from TensorBoard's file; `StepFinished` has the moving average only."""

    step: int
    loss: float


@dataclass(frozen=True)
class ProgressReported:
    """Another bar moved: caching latents, reading captions, validation, sampling."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Validated:
    """The loss on pictures kept back was measured; the last step before it says when."""

    loss: float


@dataclass(frozen=True)
class Saving:
    """An epoch file is being written; the next epoch's begin says that it is complete."""

    path: str


@dataclass(frozen=True)
class SampleSaved:
    """A sample picture was drawn in the middle of the training."""

    path: str


@dataclass(frozen=True)
class Removed:
    """The trainer deleted an older epoch file, as save_last_n_epochs asks."""

    path: str


@dataclass(frozen=True)
class Warned:
    """A warning of the trainer, in its words."""

    text: str


@dataclass(frozen=True)
class ErrorLogged:
    """An error of the trainer, in its words; it may continue, or end with exit code 0."""

    text: str

    @property
    def is_no_data(self) -> bool:
        """Whether the trainer found nothing to train and is about to report success."""
        return "No data found" in self.text


Event = (
    PhaseBegan
    | Announced
    | EpochBegan
    | StepFinished
    | LossRecorded
    | ProgressReported
    | Validated
    | Saving
    | SampleSaved
    | Removed
    | Warned
    | ErrorLogged
)

_BAR = re.compile(
    r"(?<!\d)\d+%\|[^|]*\|\s*(?P<done>\d{1,15})/(?P<total>\d{1,15}) "
    r"\[[\d:]+<[\d:?]+,\s*(?P<rate>\d+(?:\.\d+)?|\?)(?P<unit>s/it|it/s)(?P<rest>[^\]]*)\]"
)
_LOSS = re.compile(r"avr_loss=([^,\]\s]+)")
_VALIDATION = re.compile(r"val_(?:epoch_)?avg_loss=([^,\]\s]+)")
_LOG = re.compile(r"(?:^|\s)(INFO|WARNING|ERROR|CRITICAL)\s+(\S.*)$")
_PLACE = re.compile(r"[\w.]+\.py:\d+")
_EPOCH = re.compile(r"^\s*epoch (\d+)/(\d+)\s*$")
_FIGURES = {
    "num train images * repeats": "draws",
    "num batches per epoch": "batches_per_epoch",
    "num epochs": "epochs",
    "gradient accumulation steps": "gradient_accumulation",
    "total optimization steps": "steps",
}
WAITING = "Preparing"
_PHASES = (
    ("prepare images", "Reading pictures"),
    ("loading image sizes", "Reading pictures"),
    ("preparing accelerator", WAITING),
    ("loading model for process", "Loading the base model"),
    ("load StableDiffusion checkpoint", "Loading the base model"),
    ("caching latents", "Caching latents"),
    ("create LoRA network", "Making the LoRA"),
    ("prepare optimizer", "Preparing the optimizer"),
    ("running training", "Training"),
    ("generating sample images", "Drawing samples"),
    ("saving state", "Saving the state"),
)


_ORDER = tuple(dict.fromkeys(phase for _, phase in _PHASES))
DRAWING = "Drawing samples"
_ANY_TIME = (DRAWING, "Saving the state")


_LONGEST_LINE = 1_000_000


class LineSplitter:
    """Cut a growing stream into lines and bars; what is not yet complete waits.

    A bar ends with the `\\r` of the next one, so a complete last bar is given out early.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the pieces that `data` completes, without their line ends."""
        pieces = re.split(rb"[\r\n]+", self._rest + data)
        self._rest = pieces.pop()[-_LONGEST_LINE:]
        if self._rest.startswith(b"steps:") and self._rest.endswith(b"]"):
            pieces.append(self._rest)
            self._rest = b""
        return [piece.decode("utf-8", "replace") for piece in pieces if piece.strip()]

    def flush(self) -> list[str]:
        """Return what is left when the stream ended."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest.strip() else []


@dataclass
class StreamReader:
    """Turn the pieces of both streams into events; keeps only what a later piece needs."""

    machines: int = 1
    """How many machines train together: accelerate waits for all of them while it prepares."""
    _phase: str = ""
    _figures: dict[str, int] = field(default_factory=dict)

    def read_stdout(self, line: str) -> list[Event]:
        """Read one line of stdout; with `--console_log_simple` log lines come here, too."""
        if found := _EPOCH.match(line):
            return [EpochBegan(int(found[1]), int(found[2]))]
        if line.startswith("saving checkpoint: "):
            return [Saving(line.partition(": ")[2].strip())]
        if line.startswith("removing old checkpoint: "):
            return [Removed(line.partition(": ")[2].strip())]
        return self._read_figure(line) or self._read_phase(line)

    def read_stderr(self, piece: str) -> list[Event]:
        """Read one line or bar of stderr; a log line may follow a bar without a line end."""
        events: list[Event] = []
        if bar := _BAR.search(piece):
            events += self._read_bar(bar)
            piece = piece[bar.end() :]
        if log := _LOG.search(piece):
            events += self._read_log(log[1], _without_place(log[2]))
        return events

    def _read_figure(self, line: str) -> list[Event]:
        label, found = (
            re.split(r"\s/\s", line.strip(), maxsplit=1)[0],
            re.findall(r"\d{1,15}", line),
        )
        name = _FIGURES.get(label)
        if name is None or not found:
            return []
        self._figures[name] = int(found[-1])
        if name != "steps":
            return []
        figures, self._figures = self._figures, {}
        missing = {"draws", "batches_per_epoch", "epochs"} - set(figures)
        return [] if missing else [Announced(**figures)]

    def _read_phase(self, text: str) -> list[Event]:
        """Tell a phase that begins; two streams read one after the other do not lead back."""
        phase = next((phase for words, phase in _PHASES if words in text), None)
        if phase is None or phase == self._phase:
            return []
        if phase not in _ANY_TIME:
            if self._phase and _ORDER.index(phase) < _ORDER.index(self._phase):
                return []
            self._phase = phase
        if phase == WAITING and self.machines > 1:
            return [PhaseBegan(f"{WAITING}; it waits until all {self.machines} machines train")]
        return [PhaseBegan(phase)]

    def _read_bar(self, bar: re.Match[str]) -> list[Event]:
        what = re.split(r"[|:\]]", bar.string[: bar.start()].rstrip(": "))[-1].strip()
        done, total = int(bar["done"]), int(bar["total"])
        if what != "steps":
            events = [*self._read_phase(what), ProgressReported(what, done, total)]
            kept_back = _VALIDATION.search(bar["rest"]) if done == total else None
            value = _number(kept_back[1]) if kept_back else None
            return [*events, Validated(value)] if value is not None else events
        loss = _LOSS.search(bar["rest"])
        rate = None if "?" in bar["rate"] else float(bar["rate"])
        if rate is not None and bar["unit"] == "it/s":
            rate = 1 / rate if rate else None
        return [StepFinished(done, total, _number(loss[1]) if loss else None, rate)]

    def _read_log(self, level: str, text: str) -> list[Event]:
        if level == "WARNING":
            return [Warned(in_english(text))]
        if level in ("ERROR", "CRITICAL"):
            return [ErrorLogged(in_english(text))]
        return self._read_phase(text)


def in_english(text: str) -> str:
    """Return a sentence of the trainer without its second half, said again in Japanese."""
    japanese = re.search("[\u3040-\u30ff\u4e00-\u9fff]", text)
    if japanese is None:
        return text
    english = text[: japanese.start()]
    for end in (" / ", ". "):
        if end in english:
            return english.rpartition(end)[0].strip()
    return english.strip()


def _without_place(text: str) -> str:
    """Drop the file and line at the right end of a log line, padded with hundreds of spaces."""
    head, _, last = text.rstrip().rpartition(" ")
    return head.rstrip() if _PLACE.fullmatch(last) else text.rstrip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
