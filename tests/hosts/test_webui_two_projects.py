"""Two projects draw on one real WebUI at the same time: LORALOOM_WEBUI_URL names it, here.

It needs two checkpoints and epoch files of one training; what is linked is taken out again.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from promotions import with_manifest
from until import wait_until

from a1111_ext.api.client import Client
from a1111_ext.api.infotext import parse_infotext
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import Ledger
from kohya_ext.cli import main
from kohya_ext.project import Project, open_project

from .test_webui_showcase import epoch_files

pytestmark = [
    pytest.mark.host,
    pytest.mark.usefixtures("heard_signals"),
    pytest.mark.timeout(1200),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process"),
]
SECONDS = 600
NAME = "loraloom-two-projects"
PLOTTED = 3 * 6
SMALL = {"width": 128, "height": 128, "steps": 6, "sampler": "Euler"}


@dataclass(frozen=True)
class Pair:
    """A project with a run of epochs, another with a promoted LoRA, and two checkpoints."""

    grid: Project
    showcase: Project
    titles: tuple[str, str]
    url: str

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        project = self.grid if command == "grid" else self.showcase
        shown = [command, str(project.root), "--json", *words, "--webui", self.url]
        return subprocess.Popen(
            [sys.executable, "-m", "kohya_ext", *shown],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )


def stem(title: str) -> str:
    return title.partition(" [")[0].removesuffix(".safetensors").replace("/", "_")


@pytest.fixture
def pair(project: Project, tmp_path: Path, live_webui: Client) -> Iterator[Pair]:
    found = fetch_capabilities(live_webui)
    files = epoch_files(found)[:2]
    loaded = found.require_checkpoint("")
    listed = [loaded, *(one for one in found.checkpoints if one != loaded)]
    titles = [one.title.partition(" [")[0] for one in listed][:2]
    if len(titles) < 2:
        pytest.skip("it has one checkpoint")
    project.model_dir.mkdir()
    for one in files:
        shutil.copyfile(one.path, project.model_dir / one.path.name)
    shutil.copytree(project.root, tmp_path / "other")
    other = open_project(tmp_path / "other")
    grid = {"seeds": list(range(1, 7)), "checkpoint": titles[0], "picture": SMALL}
    project = with_manifest(project, f"grid: {json.dumps(grid)}", section="grid")
    text = {
        "template": "{lora} photo of {trigger}, {smiling|calm}",
        "checkpoints": [titles[1], titles[0]],
        "count": 8,
        "picture": SMALL,
    }
    other = with_manifest(other, f"showcase: {json.dumps(text)}")
    assert main(["promote", str(other.root), "1", NAME, "--webui", live_webui.url]) == 0
    try:
        yield Pair(project, other, (titles[0], titles[1]), live_webui.url)
    finally:
        main(["link-loras", str(project.root), "--webui", live_webui.url, "--remove"])
        for path in Path(found.lora_dir).rglob(f"{NAME}.safetensors"):
            path.unlink()
        live_webui.post("/sdapi/v1/refresh-loras", seconds=120)


def state_of(webui: Client) -> dict[str, Any]:
    answer = webui.get("/sdapi/v1/progress?skip_current_image=true")
    state: dict[str, Any] = answer["state"]
    return state


def stop(plot: subprocess.Popen[str]) -> None:
    plot.send_signal(signal.SIGINT)
    _, why = plot.communicate(timeout=SECONDS)
    assert plot.returncode not in (0, None), why
    assert "Traceback" not in why
    assert "has not ended" not in why


def require_ended(webui: Client) -> None:
    """Check that the WebUI draws nothing and drew few of the plot's pictures.

    It notes a task as finished an instant before its state says so.
    """
    wait_until(lambda: not state_of(webui)["job"])
    assert state_of(webui)["job_no"] <= 2


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def require_own_checkpoints(project: Project) -> int:
    """Check every finished picture by its own text; return how many there are."""
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        records = list(ledger.records(ledger.done_keys()).values())
    for one in records:
        fields = parse_infotext(one.infotext).fields
        assert fields["Model"] == stem(one.cell.checkpoint.title)
        assert one.cell.checkpoint.sha256.startswith(fields["Model hash"])
    assert len({one.pixels for one in records}) == len(records)
    return len(records)


def test_their_pictures_are_not_mixed(pair: Pair):
    """Each loads each of its checkpoints once, but the one that is loaded, and says so."""
    running = [pair.start("grid"), pair.start("showcase")]
    said = [one.communicate(timeout=SECONDS) for one in running]
    assert [one.returncode for one in running] == [0, 0], said
    assert require_own_checkpoints(pair.grid) == PLOTTED
    assert require_own_checkpoints(pair.showcase) == 2 * 8
    loads = [max(event.get("loads", 0) for event in events(out)) for out, _ in said]
    assert loads == [0, 1]


def test_ctrl_c_of_one_leaves_the_other_alone(pair: Pair, live_webui: Client):
    before = live_webui.get("/sdapi/v1/options")["sd_model_checkpoint"]
    grid, showcase = pair.start("grid"), pair.start("showcase")
    assert grid.stdout is not None
    for line in grid.stdout:
        if line.startswith("{") and json.loads(line)["event"] == "drawn":
            break
    grid.send_signal(signal.SIGINT)
    _, why = grid.communicate(timeout=SECONDS)
    out, err = showcase.communicate(timeout=SECONDS)
    assert grid.returncode not in (0, None), why
    assert "Traceback" not in why
    assert showcase.returncode == 0, err
    assert not [event for event in events(out) if event["event"] in ("failed", "damaged")]
    assert require_own_checkpoints(pair.showcase) == 2 * 8
    assert require_own_checkpoints(pair.grid) < PLOTTED
    again = pair.start("grid")
    _, err = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, err
    assert require_own_checkpoints(pair.grid) == PLOTTED
    after = live_webui.get("/sdapi/v1/options")["sd_model_checkpoint"]
    assert stem(after) == stem(before)


def test_ctrl_c_ends_the_webui_s_own_plot(pair: Pair, live_webui: Client):
    """The plot is one request: it ends before the command, and nothing half-drawn is kept."""
    plot = pair.start("grid", "--server-side")
    wait_until(lambda: state_of(live_webui)["job_count"] == PLOTTED or plot.poll() is not None)
    stop(plot)
    require_ended(live_webui)
    plot = pair.start("grid", "--server-side")
    _, why = plot.communicate(timeout=SECONDS)
    assert plot.returncode == 0, why
    assert require_own_checkpoints(pair.grid) == PLOTTED


def test_ctrl_c_ends_a_plot_for_which_somebody_waits(pair: Pair, live_webui: Client):
    """Theirs is drawn whole, and soon: the plot has pictures to come and is ended before."""
    plot = pair.start("grid", "--server-side")
    wait_until(lambda: state_of(live_webui)["job_count"] == PLOTTED or plot.poll() is not None)
    body = {"prompt": "a fox", "width": 128, "height": 128, "steps": 20, "seed": 1}
    with ThreadPoolExecutor(1) as pool, live_webui.another() as other:
        theirs = pool.submit(other.post, "/sdapi/v1/txt2img", body, seconds=SECONDS)
        wait_until(lambda: live_webui.get("/internal/pending-tasks")["size"] == 1)
        stop(plot)
        assert state_of(live_webui)["job_count"] != PLOTTED
        drawn = theirs.result(SECONDS)["images"]
    assert live_webui.post("/sdapi/v1/txt2img", body, seconds=SECONDS)["images"] == drawn


def test_a_lora_that_is_missing_stops_the_plot_before(pair: Pair):
    """A1111 would draw it without, with status 200."""
    plot = pair.start("grid", "--server-side", "--prompt", "{lora} <lora:no-such-file:1> a fox")
    _, why = plot.communicate(timeout=SECONDS)
    assert plot.returncode != 0
    assert 'no LoRA "no-such-file"' in why
    with Ledger(pair.grid.cells_db, pair.grid.cells_dir) as ledger:
        assert not ledger.done_keys()
