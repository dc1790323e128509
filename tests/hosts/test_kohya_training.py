"""From pictures to epoch files in our tab of a real Kohya GUI; the trainer is simulated.

Variables as in test_kohya_launcher.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.gui.host import KohyaGui, plan_launch
from kohya_ext.project import Project
from kohya_ext.training.config.kohya_json import GuiVersion
from kohya_ext.training.run.record import find_runs_in

from .kohya_window import (
    arguments,
    free_port,
    open_project_in_tab,
    open_tab,
    press,
    run_step,
    running,
    shoot,
    slowly,
    visiting,
    wait_for_training_step,
)

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def test_road_is_walked_to_the_epoch_files(window, fresh: Project, version: GuiVersion):
    open_project_in_tab(window, fresh)
    window.get_by_label("Folder with pictures", exact=True).fill(
        str(fresh.root.parent / "collected")
    )
    run_step(window, "Import")
    run_step(window, "Stage")
    window.get_by_role("cell", name="_Quillfox").first.wait_for()
    run_step(window, "Caption")
    window.get_by_text("photo of Quillfox,").first.wait_for()
    run_step(window, "Config")
    window.get_by_role("cell", name="LyCORIS/LoCon").first.wait_for()
    shoot(window, version, "config")
    run_step(window, "Check")
    window.get_by_text("No problems found: the training can start.").wait_for()
    shoot(window, version, "check")
    press(window, "Train")
    seen = [wait_for_training_step(window, 0)]
    seen.append(wait_for_training_step(window, seen[0]))
    shoot(window, version, "training")
    assert seen[0] < seen[1]
    window.get_by_text("Train: finished").wait_for()
    window.get_by_text("Training finished; every epoch file is verified.").wait_for()
    shoot(window, version, "trained")
    assert (fresh.config_dir / "Quillfox.json").is_file()
    names = sorted(path.name for path in fresh.model_dir.glob("*.safetensors"))
    assert names == ["Quillfox-000001.safetensors", "Quillfox.safetensors"]


def test_training_outlives_the_gui(
    kohya: KohyaGui, chromium, home: Path, prepared: Project, version: GuiVersion
):
    """Started in one GUI, which is closed; found, and stopped, in the next."""
    port = free_port()
    plan = plan_launch(kohya, arguments(port), prepared.root)
    environment = {**slowly(home), "LORALOOM_SIMULATED_TRAINER": "hang@5"}
    with running(plan, port, **environment) as host:
        with visiting(chromium, host) as page:
            open_tab(page, "loraloom")
            page.get_by_text("is open.").wait_for()
            press(page, "Train")
            wait_for_training_step(page, 1)
        with visiting(chromium, host) as page:  # another window sees it, too
            open_tab(page, "loraloom")
            wait_for_training_step(page, 1)
    (run,) = find_runs_in(prepared.log_dir / "runs")
    assert run.is_running
    port = free_port()
    with (
        running(plan_launch(kohya, arguments(port), prepared.root), port, **environment) as host,
        visiting(chromium, host) as page,
    ):
        open_tab(page, "loraloom")
        page.get_by_text("was started elsewhere").wait_for()
        wait_for_training_step(page, 1)
        press(page, "Stop")
        page.get_by_text("Train: stopped").wait_for()
        shoot(page, version, "stopped")
    (run,) = find_runs_in(prepared.log_dir / "runs")
    assert not run.is_running
    assert run.result is not None
