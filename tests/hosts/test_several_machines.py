"""Several machines, each a process of its own: one is killed in the middle, and nothing is lost.

The WebUIs are simulated; the cluster needs the extra `cluster`. Run by `pytest -m host`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora
from until import wait_until

from a1111_ext.simulator import SimulatedWebui, start_webui
from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
PICTURES = 60
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def program(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a Python module in a process of its own, and kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def drawable(project: Project) -> Project:
    save_lora(project.model_dir, "Quillfox-000001", epoch=1)
    text = project.manifest_path.read_text(encoding="utf-8")
    small = "grid:\n  picture: {width: 512, height: 512, steps: 2}\n"
    project.manifest_path.write_text(text.replace("grid:\n", small), encoding="utf-8")
    return project


def test_what_a_killed_webui_leaves_is_drawn_by_the_other(drawable: Project, tmp_path: Path):
    with ExitStack() as stack:
        webuis: dict[str, subprocess.Popen[str]] = {}
        for name in ("one", "two"):
            process = stack.enter_context(
                program("kohya_ext", "simulator", tmp_path / name, "--port", 0)
            )
            assert process.stdout is not None
            webuis[process.stdout.readline().split()[-1].rstrip("/")] = process
        words = [one for url in webuis for one in ("--webui", url)]
        grid = stack.enter_context(
            program("kohya_ext", "grid", drawable.root, *words, "--seeds", "1-30", "--json")
        )
        assert grid.stdout is not None
        drawn: dict[str, set[str]] = {url: set() for url in webuis}
        killed = ""
        for line in grid.stdout:
            event = json.loads(line)
            if event["event"] == "drawn":
                drawn[event["server"]].add(event["key"])
            if not killed and all(drawn.values()):
                killed = max(drawn, key=lambda url: len(drawn[url]))
                webuis[killed].kill()
        assert grid.wait() == 0
        assert killed
        first, second = drawn.values()
        assert len(first) + len(second) == len(first | second) == 60
        assert len(drawn[killed]) < 60 - 10


@dataclass
class Cluster:
    """A Dask scheduler and two workers, each a process of its own."""

    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip('Dask is not installed; pip install ".[cluster]"')
    folder.mkdir()
    path = folder / "scheduler.json"
    with ExitStack() as stack:
        quiet = ("--no-dashboard", "--scheduler-file", path)
        scheduler = stack.enter_context(
            program("dask", "scheduler", "--host", "127.0.0.1", "--port", 0, *quiet)
        )
        wait_until(lambda: path.exists() and path.stat().st_size > 0)
        quiet = (*quiet, "--nthreads", 1, "--no-nanny")
        started = [stack.enter_context(program("dask", "worker", *quiet)) for _ in range(2)]
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
        yield Cluster(address, scheduler, started)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A Dask scheduler and two workers."""
    with dask_cluster(tmp_path / "cluster") as cluster:
        yield cluster.address, cluster.workers


class Drawing:
    """A `grid` at work in a process of its own; its lines as they come, and what it said."""

    def __init__(self, project: Project, webui: SimulatedWebui, address: str) -> None:
        self.events: list[dict[str, Any]] = []
        words = ["grid", str(project.root), "--webui", webui.url, "--cluster", address]
        self.words = [*words, "--seeds", "1-10", "--json"]

    def run(self, act: Callable[[], object] = lambda: None, after: int = 5) -> tuple[int, str]:
        """Draw; `act` once so many pictures are there. Return exit code and stderr."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kohya_ext", *self.words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                self.events.append(json.loads(line))
                if len(self.drawn) == after:
                    act()
            said = process.stderr.read()
        return process.returncode, said

    @property
    def drawn(self) -> list[str]:
        return [one["key"] for one in self.events if one["event"] == "drawn"]


@pytest.fixture
def slow_webui(tmp_path: Path) -> Iterator[SimulatedWebui]:
    with start_webui(tmp_path / "webui", seconds_per_picture=0.5) as webui:
        yield webui


def hang(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGSTOP)


LOSSES: dict[str, Callable[[Cluster], object]] = {
    "killed workers": lambda cluster: [one.kill() for one in cluster.workers],
    "hanging workers": lambda cluster: [hang(one) for one in cluster.workers],
    "killed scheduler": lambda cluster: cluster.scheduler.kill(),
    "hanging scheduler": lambda cluster: hang(cluster.scheduler),
}


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be made to hang there")
@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_grid_continues_after_its_cluster_is_lost(
    drawable: Project, slow_webui: SimulatedWebui, tmp_path: Path, loss: str
):
    with dask_cluster(tmp_path / "first") as cluster:
        drawing = Drawing(drawable, slow_webui, cluster.address)
        code, said = drawing.run(lambda: LOSSES[loss](cluster))
    assert code == 1
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert "were not drawn. Check the output of its workers" in error
    assert error.endswith("finished work is kept. [LL180]")
    assert "Traceback" not in said
    with dask_cluster(tmp_path / "second") as cluster:
        again = Drawing(drawable, slow_webui, cluster.address)
        assert again.run()[0] == 0
    both = drawing.drawn + again.drawn
    assert len(both) == len(set(both)) == 20
    assert slow_webui.host.counters.pictures <= 21  # the one whose answer was lost


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be made to hang there")
def test_new_workers_continue_the_same_grid(
    drawable: Project, slow_webui: SimulatedWebui, tmp_path: Path
):
    with dask_cluster(tmp_path / "cluster") as cluster, ExitStack() as stack:
        words = ("dask", "worker", cluster.address, "--nthreads", 1, "--no-nanny", "--no-dashboard")

        def replace_them() -> None:
            for one in cluster.workers:
                one.kill()
            stack.enter_context(program(*words))

        drawing = Drawing(drawable, slow_webui, cluster.address)
        assert drawing.run(replace_them)[0] == 0
    assert len(drawing.drawn) == len(set(drawing.drawn)) == 20


def test_what_a_killed_worker_leaves_is_tagged_by_the_other(
    project: Project,
    workers: tuple[str, list[subprocess.Popen[str]]],
    capsys: pytest.CaptureFixture[str],
):
    address, started = workers
    write_pictures(project.source_dir, recipes(PICTURES))
    apply_layout(project, plan_layout(project))
    tagger = write_tagger_model(project.root / "tagger")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("  model: ''", f"  model: {json.dumps(tagger.name)}")
    project.manifest_path.write_text(text, encoding="utf-8")

    def scored() -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in project.scores_dir.glob("*.json")}

    with program("kohya_ext", "caption", project.root, "--cluster", address) as captioning:
        wait_until(lambda: len(scored()) >= 3)
        started[0].kill()
        assert captioning.wait() == 0
    by_cluster = scored()
    assert len(by_cluster) == PICTURES
    for path in project.scores_dir.glob("*.json"):
        path.unlink()
    assert main(["caption", str(project.root)]) == 0
    assert scored() == by_cluster
    save_lora(project.model_dir, "Quillfox-000001", epoch=1)
    capsys.readouterr()
    assert main(["show", str(project.root), "--verify", "--cluster", address]) == 0
    elsewhere = capsys.readouterr().out
    assert main(["show", str(project.root), "--verify"]) == 0
    assert capsys.readouterr().out == elsewhere


def test_without_a_worker_the_command_ends_and_continues(
    project: Project,
    workers: tuple[str, list[subprocess.Popen[str]]],
    capsys: pytest.CaptureFixture[str],
):
    address, started = workers
    write_pictures(project.source_dir, recipes(PICTURES))
    apply_layout(project, plan_layout(project))
    tagger = write_tagger_model(project.root / "tagger")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("  model: ''", f"  model: {json.dumps(tagger.name)}")
    project.manifest_path.write_text(text, encoding="utf-8")
    with program("kohya_ext", "caption", project.root, "--cluster", address) as captioning:
        wait_until(lambda: len(list(project.scores_dir.glob("*.json"))) >= 3)
        for one in started:
            one.kill()
        assert captioning.wait() == 1
    kept = {one: one.stat().st_mtime_ns for one in project.scores_dir.glob("*.json")}
    assert 3 <= len(kept) < PICTURES
    assert main(["caption", str(project.root), "--cluster", address]) == 1
    assert "LL182" in capsys.readouterr().err
    assert main(["caption", str(project.root)]) == 0
    assert len(list(project.scores_dir.glob("*.json"))) == PICTURES
    assert {one: one.stat().st_mtime_ns for one in kept} == kept
