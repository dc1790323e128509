"""Gathers what advice rests on: pictures of grids, training pictures, weights, votes.

Everything measured is kept, so that a second look, and each further epoch of a growing grid,
costs only what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kohya_ext.project import Progress, ProgressHandler, Project, ToolError, silent
from kohya_ext.project.epochs import EpochFile, Run, find_runs
from kohya_ext.project.files import sha256_of
from kohya_ext.project.numbers import whole_number
from kohya_ext.project.tagging import Tagger

from ..cells.ledger import Ledger
from .ballot import measure_votes
from .copying import measure_copying, measure_variety
from .embedding import Embedding
from .evidence import Epoch, Evidence
from .fried import measure_fried
from .growth import measure_weights
from .leakage import measure_leakage
from .learned import TagCurve, measure_learned
from .likeness import measure_likeness
from .measures import Measures, PictureMeasures
from .prompt_adherence import measure_obeys
from .prompt_tags import is_trigger_only, prompted_tags
from .shots import EpochPicture, GridShots, read_shots
from .signal import Series, Signal, SignalName, unmeasured
from .tag_kinds import plain_tag
from .tag_profile import TagProfile, TagScores
from .training_set import (
    TrainingPicture,
    plain_scores,
    read_training_set,
    stored_scores,
    training_profile,
)
from .vote_sources import read_ballots

_Value = TypeVar("_Value")
MEASURES = "measures"
NO_TAGGER = (
    "It needs a WD14 tagger: give its folder with --model, or under captions.model in the manifest."
)
NO_GRID = "No grid with this run's epochs was drawn yet: loraloom grid."


@dataclass(frozen=True)
class Sources:
    """What to look at; a tagger and an embedding are optional."""

    project: Project
    grids: tuple[Path, ...]
    tagger: Tagger | None = None
    embedding: Embedding | None = None
    no_tagger_because: str = NO_TAGGER
    switched_off: frozenset[SignalName] = frozenset()


def gather(
    sources: Sources,
    ledger: Ledger,
    *,
    run: Run | None = None,
    on_progress: ProgressHandler = silent,
) -> Evidence:
    """Measure everything that can be measured of a run; the newest one by default."""
    return _Gathering(sources, ledger, run, on_progress).evidence()


class _Gathering:
    def __init__(
        self, sources: Sources, ledger: Ledger, run: Run | None, on_progress: ProgressHandler
    ) -> None:
        self._sources, self._on_progress = sources, on_progress
        self._project = sources.project
        self._measures = Measures(self._project.cells_dir / MEASURES)
        self._grids = tuple(read_shots(folder, ledger) for folder in sources.grids)
        self._files = _files(self._project, run)
        self.epochs = _epochs(self._files, self._grids)
        self._names = [one.file for one in self.epochs]
        self._shots = [shot for grid in self._grids for shot in grid.shots]

    def evidence(self) -> Evidence:
        training = read_training_set(self._project)
        pictures: dict[str, PictureMeasures] = {}
        for number, one in enumerate(self._shots, start=1):
            try:
                pictures[one.key] = self._measures.picture(one.key, one.path)
            except OSError:
                continue  # the grid's own run says which pictures are damaged
            self._on_progress(Progress("Measuring", number, len(self._shots)))
        tags, subject_tags, asked_tags = self._tag_signals(training)
        ballots = read_ballots(
            self._project,
            self._sources.grids,
            {key: file for grid in self._grids for key, file in grid.key_files().items()},
            self._names,
        )
        signals = (*tags, *self._look_signals(pictures, training), self._weights())
        named = {one.name: one for one in (*signals, measure_votes(ballots))}
        if self._sources.embedding is not None:
            named[SignalName.LIKENESS] = self._likeness(self._sources.embedding, training)
        return Evidence(
            self.epochs,
            named,
            subject_tags,
            asked_tags,
            ballots,
            _planned(self._files),
            self._sources.switched_off,
        )

    def _series(
        self, values: Mapping[str, _Value], *, trigger_only: bool = False
    ) -> Series[_Value]:
        """Put values by picture key into a series by epoch and pair."""
        word = self._project.manifest.trigger_word
        shots = [
            one
            for one in self._shots
            if one.key in values and (not trigger_only or is_trigger_only(one.prompt, word))
        ]
        return Series(
            tuple(
                {one.pair: values[one.key] for one in shots if one.file == name}
                for name in self._names
            ),
            {one.pair: values[one.key] for one in shots if not one.file},
        )

    # -- how pictures look ------------------------------------------------------------------

    def _look_signals(
        self, pictures: Mapping[str, PictureMeasures], training: Sequence[TrainingPicture]
    ) -> tuple[Signal, ...]:
        names = (SignalName.FRIED, SignalName.COPYING, SignalName.VARIETY)
        if not pictures:
            return tuple(unmeasured(name, len(self.epochs), NO_GRID) for name in names)
        prints = self._series({key: one.fingerprint for key, one in pictures.items()})
        known = []
        for one in training:
            try:
                known.append((one.path.name, self._measures.training(one.sha256, one.path)))
            except OSError:
                continue
        return (
            measure_fried(self._series({key: one.texture for key, one in pictures.items()})),
            measure_copying(prints, [one for _, one in known], [name for name, _ in known]),
            measure_variety(prints, {one.pair: one.group for one in self._shots}),
        )

    # -- what a tagger sees -----------------------------------------------------------------

    def _tag_signals(
        self, training: tuple[TrainingPicture, ...]
    ) -> tuple[tuple[Signal, ...], tuple[TagCurve, ...], tuple[TagCurve, ...]]:
        tagger, count = self._sources.tagger, len(self.epochs)
        names = (SignalName.LEARNED, SignalName.OBEYS, SignalName.LEAKAGE)
        if tagger is None or not self._shots:
            why = NO_GRID if not self._shots else self._sources.no_tagger_because
            return tuple(unmeasured(name, count, why) for name in names), (), ()
        profile = training_profile(self._project, training, tagger, on_progress=self._on_progress)
        scores = self._scores(tagger)
        known = {plain_tag(one.name) for one in tagger.vocabulary.tags}
        prompted = {one.pair: prompted_tags(one.prompt, known) for one in self._shots}
        series = self._series(scores)
        learned, subject_tags = self._learned(scores, series, profile, prompted)
        obeys, asked_tags = measure_obeys(series, prompted, profile.core())
        leakage = measure_leakage(series, profile, prompted)
        return (learned, obeys, leakage), subject_tags, asked_tags

    def _learned(
        self,
        scores: Mapping[str, TagScores],
        series: Series[TagScores],
        profile: TagProfile,
        prompted: Mapping[str, frozenset[str]],
    ) -> tuple[Signal, tuple[TagCurve, ...]]:
        plain = self._series(scores, trigger_only=True)
        if plain.control and any(plain.epochs):
            return measure_learned(plain, profile, {})
        return measure_learned(series, profile, prompted)

    def _scores(self, tagger: Tagger) -> dict[str, TagScores]:
        found: dict[str, TagScores] = {}
        for number, one in enumerate(self._shots, start=1):
            scores = self._stored(one, tagger)
            if scores is not None:
                found[one.key] = scores
            self._on_progress(Progress("Tagging", number, len(self._shots)))
        return found

    def _stored(self, shot: EpochPicture, tagger: Tagger) -> TagScores | None:
        try:
            scores = stored_scores(self._project, sha256_of(shot.path), shot.path, tagger)
        except ToolError:
            return None  # a picture that does not decode; the grid's own run names it
        return None if scores is None else plain_scores(scores)

    def _likeness(self, model: Embedding, training: Sequence[TrainingPicture]) -> Signal:
        def vector(sha256: str, path: Path) -> list[float]:
            return self._measures.vector(model.key, sha256, lambda: model.embed(path))

        vectors = {one.key: vector(one.key, one.path) for one in self._shots}
        known = [vector(one.sha256, one.path) for one in training]
        return measure_likeness(self._series(vectors), known)

    # -- what files say ---------------------------------------------------------------------

    def _weights(self) -> Signal:
        by_name = {one.path.name: one for one in self._files}
        norms = []
        for number, name in enumerate(self._names, start=1):
            file = by_name.get(name)
            norms.append(None if file is None else self._measures.weights(file.path))
            self._on_progress(Progress("Weights", number, len(self._names)))
        return measure_weights(norms, [one.step for one in self.epochs])


def _files(project: Project, run: Run | None) -> tuple[EpochFile, ...]:
    if run is None:
        runs = find_runs(project.model_dir) if project.model_dir.is_dir() else ()
        run = runs[-1] if runs else None
    return run.epochs if run is not None else ()


def _epochs(files: Sequence[EpochFile], grids: Sequence[GridShots]) -> tuple[Epoch, ...]:
    """Return the run's epochs; without files, those that the grids name."""
    if files:
        return tuple(Epoch(one.name, one.path.name, one.epoch, one.step) for one in files)
    named = {one.file: one.name for grid in grids for one in grid.epochs}
    return tuple(Epoch(name, file) for file, name in named.items())


def _planned(files: Sequence[EpochFile]) -> int | None:
    counts = (whole_number(one.metadata.get("ss_num_epochs", "")) for one in reversed(files))
    return next((count for count in counts if count is not None), None)
