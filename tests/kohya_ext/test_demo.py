"""The demo: the whole road on simulated hosts, and what it says when a step fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kohya_ext.project import Project, ToolError, apply_init, open_project, plan_init
from kohya_ext.project.process import holding
from kohya_ext.simulator.walk import DemoFolder, fill_manifest, free_folder, simulated_webui
from kohya_ext.simulator.walk import stations as walk_stations

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(400)  # a minute on two idle cores, much more on busy ones
def test_the_demo_walks_the_whole_road(tmp_path: Path):
    result = subprocess.run(
        [sys.executable, "-m", "kohya_ext", "demo", "my demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    page, pack = (line.partition(": ")[2] for line in result.stdout.splitlines()[-2:])
    assert "simulated" in Path(page).read_text(encoding="utf-8").lower()
    assert any(Path(pack).rglob("quillfox-v1.safetensors"))
    assert result.stderr.count("verified: ") == 13
    assert "x1b" not in result.stderr
    assert not list(tmp_path.glob("my demo/simulated webui/*.lock"))


def test_a_second_demo_takes_a_folder_of_its_own(tmp_path: Path):
    assert free_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "something").touch()
    assert free_folder(tmp_path / "demo") == tmp_path / "demo-2"


def proof_of(command: str, project: Project) -> str:
    place = DemoFolder(project.root.parent)
    station = next(one for one in walk_stations(place, "http://x") if one.command == command)
    return station.proof(project)


def test_a_step_that_left_nothing_is_noticed(project: Project):
    (project.images_dir / "5_Quillfox").mkdir(parents=True)
    with pytest.raises(ToolError, match="images/ contains") as caught:
        proof_of("stage", project)
    assert caught.value.code == "LL118"


def test_a_caption_without_the_trigger_word_is_noticed(project: Project):
    folder = project.images_dir / "5_Quillfox"
    folder.mkdir(parents=True)
    (folder / "a.png").touch()
    (folder / "a.txt").write_text("a fox", encoding="utf-8")
    with pytest.raises(ToolError, match="begins 'a fox'"):
        proof_of("caption", project)


def test_a_webui_that_does_not_start_is_said(tmp_path: Path):
    command = (sys.executable, "-c", "import sys; sys.exit('no room for a port')")
    with (
        pytest.raises(ToolError, match="no room for a port") as caught,
        simulated_webui(command, DemoFolder(tmp_path), dict(os.environ)),
    ):
        pytest.fail("it must not start")
    assert caught.value.code == "LL119"


def test_the_webui_of_a_killed_demo_ends(tmp_path: Path):
    lock = tmp_path / "in-use.lock"
    command = [sys.executable, "-m", "kohya_ext", "simulator", str(tmp_path / "webui")]
    command += ["--while-held", str(lock)]
    with holding(lock):
        webui = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert webui.stdout is not None
        assert webui.stdout.readline().startswith(b"Simulated WebUI on ")
        with pytest.raises(subprocess.TimeoutExpired):
            webui.wait(2.5)
    with webui:
        assert webui.wait(30) == 0


def test_the_demo_fills_in_what_a_user_would(tmp_path: Path):
    place = DemoFolder(tmp_path)
    apply_init(plan_init(place.project, "Quillfox"))
    fill_manifest(place)
    manifest = open_project(place.project).manifest
    assert manifest.base_model.path == json.loads(json.dumps(str(place.base_model)))
    assert manifest.showcase.checkpoints == ("simulated-a.safetensors", "simulated-b.safetensors")
    assert "close range" in manifest.showcase.template
