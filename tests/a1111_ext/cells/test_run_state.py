"""What one run knows of its cells, and what it says: counts, time left, how it ended."""

from __future__ import annotations

import threading

import pytest
from drawing import cell, draw

from a1111_ext.cells import (
    Backend,
    Cell,
    CellEvent,
    CheckpointPin,
    Ledger,
    Patience,
    RunReport,
    plan_cells,
)
from a1111_ext.cells.events import CellOutcome
from a1111_ext.cells.run import CellRun, RunSwitches
from a1111_ext.cells.turns import Turns
from a1111_ext.cells.verify import Checked, Generated
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import HostError, StoppedError


class Place(Backend):
    """Somewhere a cell is taken to; the test finalizes what it has taken."""

    def __init__(self, name: str) -> None:
        self.name = name


class LeftTurns(Turns):
    """Turns that count how often they were left."""

    left = 0

    def leave(self) -> None:
        self.left += 1
        super().leave()


class Run:
    """A run over a plan, with what it told."""

    def __init__(
        self,
        ledger: Ledger,
        *cells: Cell,
        controls: dict[str, str] | None = None,
        n_iter: int = 1,
    ) -> None:
        self.events: list[CellEvent] = []
        self.pause = threading.Event()
        self.turns = LeftTurns()
        switches = RunSwitches(threading.Event(), self.pause, n_iter)
        self.state = CellRun(
            plan_cells(cells, controls), ledger, [Place("a")], self.events.append, switches,
            Patience(), None, self.turns,
        )  # fmt: skip
        self.state.finalize_known()

    def take(self, backend: Backend) -> Cell:
        ((one, _),) = self.state.take(backend, None)
        return one

    def finalize(self, one: Cell, seconds: float = 1.0, pixels: str = "p", checkpoint: str = ""):
        self.state.ledger.keep(one.key, b"png")
        self.state.finalize(
            one, Generated(b"png", "", checkpoint, seconds), Checked((), pixels), "a"
        )


def test_counts_are_of_all_that_is_finished_or_given_up(ledger: Ledger):
    cells = [cell(seed=seed) for seed in range(6)]
    first = Run(ledger, *cells[:2])
    for _ in range(2):
        first.finalize(first.take(Place("a")))
    run = Run(ledger, *cells)
    place = Place("a")
    run.state.fail(run.take(place), "no")
    run.finalize(run.take(place))
    assert [one.done for one in run.events] == [1, 2, 3, 4]
    report = run.state.report()
    assert (report.known, report.drawn, len(report.failed)) == (2, 1, 3)
    assert report.total == 6


def test_the_time_left_is_the_mean_of_a_picture_shared_by_those_that_draw(ledger: Ledger):
    run = Run(ledger, *(cell(seed=seed) for seed in range(8)))
    one, other = Place("a"), Place("b")
    for place, seconds in ((one, 2.0), (other, 4.0)):
        run.finalize(run.take(place), seconds)
    taken = run.take(one)
    run.finalize(taken, 6.0)
    assert [event.left_seconds for event in run.events] == [
        pytest.approx(2.0 * 7),
        pytest.approx(3.0 * 6 / 2),
        pytest.approx(4.0 * 5 / 2),
    ]


def test_a_pause_names_a_cell_that_is_drawn_when_none_waits(ledger: Ledger):
    cells = [cell(seed=seed) for seed in range(4)]
    first = Run(ledger, cells[0])
    first.finalize(first.take(Place("a")))
    run = Run(ledger, *cells)
    place = Place("a")
    run.finalize(run.take(place))
    run.state.fail(run.take(place), "no")
    in_hand = run.take(place)
    run.pause.set()
    assert run.state.look_at_pause()
    assert (run.events[-1].outcome, run.events[-1].cell) == (CellOutcome.PAUSED, in_hand)


def test_a_run_leaves_its_turn_when_it_pauses_only(ledger: Ledger):
    run = Run(ledger, cell())
    for is_paused, left in ((False, 0), (True, 1), (True, 1), (False, 1), (True, 2)):
        (run.pause.set if is_paused else run.pause.clear)()
        assert run.state.look_at_pause() is is_paused
        assert run.turns.left == left


def test_a_picture_like_its_known_control_is_never_called_drawn(ledger: Ledger):
    control, one = cell(seed=1), cell(seed=2)
    first = Run(ledger, control)
    first.finalize(first.take(Place("a")), pixels="same")
    run = Run(ledger, control, one, controls={one.key: control.key})
    run.finalize(run.take(Place("a")), pixels="same")
    assert [event.outcome for event in run.events] == [CellOutcome.KNOWN, CellOutcome.FAILED]


@pytest.mark.parametrize(("pixels", "is_refused"), [("a", False), ("b", True), ("c", False)])
def test_only_the_pixels_of_its_control_say_that_a_lora_changed_nothing(
    ledger: Ledger, pixels: str, is_refused: bool
):
    control, one = cell(seed=1), cell(seed=2)
    run = Run(ledger, control, one, controls={one.key: control.key})
    place = Place("a")
    by_key = {taken.key: taken for taken in (run.take(place), run.take(place))}
    run.finalize(by_key[control.key], pixels="b")
    run.finalize(by_key[one.key], pixels=pixels)
    assert bool(run.state.report().failed) is is_refused


@pytest.mark.parametrize("titles", ["xxy", "yyx"])
def test_loads_are_counted_where_a_checkpoint_changes(ledger: Ledger, titles: str):
    pins = [CheckpointPin(title) for title in titles]
    run = Run(ledger, *(cell(seed=seed, checkpoint=pin) for seed, pin in enumerate(pins)))
    place = Place("a")
    for title in titles:
        taken = run.take(place)
        assert taken.checkpoint.title == title
        run.finalize(taken)
    assert [event.loads for event in run.events] == [1, 1, 2]


def test_another_backend_takes_a_checkpoint_that_none_has_loaded(ledger: Ledger):
    places = Place("a"), Place("b")
    for number, (one, other) in enumerate((places, places[::-1])):
        seeds = range(9 * number, 9 * number + 9)
        pins = [CheckpointPin("x"), *[CheckpointPin("y")] * 4, *[CheckpointPin("x")] * 4]
        run = Run(
            ledger,
            *(cell(seed=seed, checkpoint=pin) for seed, pin in zip(seeds, pins, strict=True)),
        )
        first = run.take(one)
        assert run.take(other).checkpoint != first.checkpoint


@pytest.mark.parametrize(("later", "is_refused"), [("aa", True), ("bb", False), ("cc", True)])
def test_a_checkpoint_is_another_when_its_hash_is(ledger: Ledger, later: str, is_refused: bool):
    run = Run(ledger, *(cell(seed=seed, checkpoint=CheckpointPin("x")) for seed in range(2)))
    place = Place("a")
    run.finalize(run.take(place), checkpoint="bb")
    run.finalize(run.take(place), checkpoint=later)
    assert bool(run.state.report().failed) is is_refused


@pytest.mark.parametrize(("title", "hashes"), [("", ("aa", "bb")), ("x", ("", "bb"))])
def test_what_is_not_known_of_a_checkpoint_refuses_no_picture(
    ledger: Ledger, title: str, hashes: tuple[str, str]
):
    run = Run(ledger, *(cell(seed=seed, checkpoint=CheckpointPin(title)) for seed in range(2)))
    for checkpoint in hashes:
        run.finalize(run.take(Place("a")), checkpoint=checkpoint)
    assert run.state.report().drawn == 2


def test_rows_are_as_long_as_was_asked(backend, ledger: Ledger, webui: SimulatedWebui):
    asked: list[int] = []
    webui.host.faults.before = lambda body: asked.append(body["n_iter"])
    assert draw(backend, ledger, *(cell(seed=seed) for seed in range(5)), n_iter=2).drawn == 5
    assert asked == [2, 2, 1]


def test_a_backend_without_rows_gets_one_cell_at_a_time(ledger: Ledger):
    run = Run(ledger, *(cell(seed=seed) for seed in range(3)), n_iter=3)
    assert len(run.state.take(Place("a"), None)) == 1
    rows = Place("b")
    rows.draws_rows = True
    assert len(run.state.take(rows, None)) == 2


def test_work_is_what_waits_or_is_drawn(ledger: Ledger):
    run = Run(ledger, cell())
    assert run.state.has_work
    one = run.take(Place("a"))
    assert run.state.has_work
    run.finalize(one)
    run.state.landed()
    assert not run.state.has_work


def test_a_cell_that_is_lost_three_times_fails(ledger: Ledger):
    run = Run(ledger, cell())
    for losses in (1, 2, 3):
        assert not run.events
        run.state.give_back([run.take(Place("a"))], f"lost {losses}")
    assert [(one.outcome, one.reason) for one in run.events] == [(CellOutcome.FAILED, "lost 3")]


def test_a_cell_knows_where_it_was_asked_for_when_the_answer_is_lost(ledger: Ledger):
    run = Run(ledger, cell())
    assert run.state.missing == [cell()]
    one = run.take(Place("a"))
    assert run.state.missing == []
    run.state.asked([one], Place("a"))
    run.state.give_back([one], "lost")
    assert run.state.take(Place("b"), None) == [(one, "a")]
    run.state.fail(one, "no")
    assert [event.seconds for event in run.events] == [0.0]


def test_the_loss_of_a_cluster_is_no_loss_of_its_cells(ledger: Ledger):
    run = Run(ledger, cell())
    for _ in range(2):
        run.state.give_back([run.take(Place("a"))], "lost")
    run.state.lose_cluster([run.take(Place("a"))], HostError("LL180", "Lost.", ""))
    assert not run.events


def test_the_first_loss_of_a_cluster_ends_a_run_and_is_reported(ledger: Ledger):
    run = Run(ledger, cell(seed=1), cell(seed=2))
    places = Place("a"), Place("b")
    taken = [run.take(place) for place in places]
    losses = [HostError("LL180", f"The cluster is lost ({place.name}).", "") for place in places]
    for one, loss in zip(taken, losses, strict=True):
        run.state.lose_cluster([one], loss)
    assert not run.state.has_work
    assert run.state.take(places[0], None) == []
    assert run.state.report().cluster_loss is losses[0]
    with pytest.raises(HostError, match=r"\(a\)"):
        run.state.report().require_all()


def test_nothing_is_drawn_by_a_run_that_is_stopped_or_paused(ledger: Ledger):
    run = Run(ledger, cell())
    assert run.state.may_draw
    run.pause.set()
    run.state.look_at_pause()
    assert not run.state.may_draw
    stopped = Run(ledger, cell())
    stopped.state.stop.set()
    assert not stopped.state.may_draw


@pytest.mark.parametrize(("drawn", "unchecked"), [((), 0), (("one",), 1), (("one", "control"), 0)])
def test_unchecked_is_what_is_drawn_without_its_control(
    ledger: Ledger, drawn: tuple[str, ...], unchecked: int
):
    cells = {"control": cell(seed=1), "one": cell(seed=2)}
    run = Run(ledger, *cells.values(), controls={cells["one"].key: cells["control"].key})
    taken = {one.key for one in (run.take(Place("a")), run.take(Place("a")))}
    assert taken == {one.key for one in cells.values()}
    for name in drawn:
        run.finalize(cells[name], pixels=name)
    assert run.state.report().unchecked == unchecked


def test_what_a_report_says():
    one, other = cell(seed=1), cell(seed=2)
    failed = RunReport(2, 3, ((one, "broken."), (other, "gone")), stopped=False)
    with pytest.raises(HostError, match=r"2 of 7 pictures failed; .*: broken\. 1 more failed\."):
        failed.require_all()
    assert failed.unchecked == 0
    with pytest.raises(HostError) as alone:
        RunReport(2, 3, ((one, "broken"),), stopped=False).require_all()
    assert "more failed" not in alone.value.problem
    with pytest.raises(StoppedError, match="Stopped after 5 pictures"):
        RunReport(2, 3, (), stopped=True).require_all()
