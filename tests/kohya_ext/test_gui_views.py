"""What the tab shows and does, without gradio: views, panels, jobs, steps."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.gui import actions, markup
from kohya_ext.gui.bridge import Difference
from kohya_ext.gui.panels import read_panels, require_folder_text
from kohya_ext.gui.views import (
    PAGE_SIZE,
    label_of,
    lora_tab_values,
    thumbnail,
    version_of,
    view_config,
    view_folders,
    view_overview,
    view_pictures,
)
from kohya_ext.project import Progress, ProgressHandler, Project, ToolError, open_project
from kohya_ext.project.background_jobs import BackgroundJob, BackgroundJobs, JobView, Say, stoppable
from kohya_ext.project.kept_advice import ALARM_COLOUR, write_advice
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of

WAIT = 30.0
"""Seconds until a test gives up on a thread; never slept."""


def make_pictures(folder: Path, names: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        colour = (number * 5, 90, sum(name.encode()) % 256)  # no two alike: twins are left out
        Image.new("RGB", (96, 64), colour).save(folder / name)
    return folder


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """Three primaries and two supporting pictures, as their maker collected them."""
    make_pictures(tmp_path / "collected" / "primary", ("a.png", "b.png", "c.png"))
    make_pictures(tmp_path / "collected" / "supporting", ("d & f.png", "e.png"))
    return tmp_path / "collected"


def finish(project: Project, step: actions.Step) -> JobView:
    """Run a step as the tab does and return how it ended."""
    job = BackgroundJob("Step", actions.work_of(step, project))
    job.start()
    return list(job.follow(WAIT))[-1]


@pytest.fixture
def staged(project: Project, collected: Path) -> Project:
    assert finish(project, actions.importing(collected)).error == ""
    assert finish(project, actions.stage).error == ""
    return project


def write_manifest(project: Project, old: str, new: str) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    assert old in text
    project.manifest_path.write_text(text.replace(old, new), encoding="utf-8")
    return open_project(project.root)


@pytest.fixture
def configured(staged: Project) -> Project:
    project = write_manifest(staged, "  path: ''", "  path: /models/base.safetensors")
    assert finish(project, actions.config).error == ""
    return project


def test_overview_shows_the_next_step(project: Project):
    view = view_overview(project)
    assert ("trigger word", "Quillfox (character)") in view.rows
    assert view.next_command.startswith("loraloom import")


def test_import_says_what_came_in(project: Project, collected: Path):
    view = finish(project, actions.importing(collected))
    assert view.lines == ("5 pictures imported: 3 primary, 2 supporting.",)
    again = finish(project, actions.importing(collected))
    assert again.lines[-1] == "5 already imported."


def test_imported_pictures_show_their_role(project: Project, collected: Path):
    finish(project, actions.importing(collected))
    page = view_pictures(project)
    assert (page.primary, page.supporting, page.is_staged) == (3, 2, False)
    assert [one.repeats for one in page.pictures] == [5, 5, 5, 2, 2]


def test_staged_pictures_show_their_caption(staged: Project):
    caption = staged.images_dir / "5_Quillfox" / "a.txt"
    caption.write_text("photo of Quillfox, fur\n", encoding="utf-8")
    page = view_pictures(staged)
    assert page.is_staged
    assert page.pictures[0].caption == "photo of Quillfox, fur"
    assert page.pictures[1].caption is None


def test_pictures_come_in_pages(project: Project, tmp_path: Path):
    names = tuple(f"p{number:02}.png" for number in range(PAGE_SIZE + 3))
    finish(project, actions.importing(make_pictures(tmp_path / "many", names)))
    last = view_pictures(project, 99)
    assert (last.number, last.pages, len(last.pictures)) == (2, 2, 3)


def test_thumbnail_is_small_and_follows_the_file(tmp_path: Path):
    path = tmp_path / "large.png"
    Image.new("RGB", (900, 300), "red").save(path)
    first = thumbnail(path)
    with Image.open(path) as picture:
        assert picture.size == (900, 300)
    Image.new("RGB", (300, 900), "blue").save(path)
    assert thumbnail(path) != first


def test_folders_show_what_they_give_to_an_epoch(staged: Project):
    rows = {one.name: (one.pictures, one.repeats, one.draws) for one in view_folders(staged)}
    assert rows == {"5_Quillfox": (3, 5, 15), "2_Quillfox": (2, 2, 4)}


def test_config_shows_values_with_reasons(configured: Project):
    view = view_config(configured)
    assert view is not None
    rows = {row.key: row for row in view.rows}
    assert rows["network_dim"].value == 24
    assert rows["network_dim"].reason != ""
    assert rows["output_name"].reason == "chosen for this project"
    assert view.epochs == 10
    assert view.steps % 10 == 0
    assert not view.is_outdated


def test_changed_manifest_makes_the_config_late(configured: Project):
    project = write_manifest(configured, "max_train_epochs: 10", "max_train_epochs: 4")
    later = project.config_dir.stat().st_mtime_ns + 60_000_000_000
    os.utime(project.manifest_path, ns=(later, later))
    view = view_config(project)
    assert view is not None
    assert view.is_outdated
    assert "press Config again" in markup.config(view)


def test_no_config_is_said_plainly(project: Project):
    assert view_config(project) is None
    assert "No config is written yet" in markup.config(None)


@pytest.mark.parametrize("version", list(GuiVersion), ids=[one.value for one in GuiVersion])
def test_lora_tab_gets_every_field_it_has(configured: Project, version: GuiVersion):
    keys = tuple(keys_of(version))
    assert version_of(keys) is version
    values = lora_tab_values(configured, keys)
    assert set(keys) <= set(values)
    assert None not in values.values()
    assert values["train_data_dir"] == str(configured.images_dir)


def test_a_value_without_a_field_in_this_gui_is_refused(configured: Project):
    """The release v26.0.0 lacks model_type: its tab would train Flux in place of Chroma."""
    keys = tuple(key for key in keys_of(GuiVersion.V26) if key != "model_type")
    assert version_of(keys) is GuiVersion.V26
    assert lora_tab_values(configured, keys)["model_type"] == "flux"
    text = configured.manifest_path.read_text(encoding="utf-8")
    chroma = text.replace("training:\n", "training:\n  overrides: {model_type: chroma}\n", 1)
    configured.manifest_path.write_text(chroma, encoding="utf-8")
    with pytest.raises(ToolError, match='no field for model_type, which is "chroma" here'):
        lora_tab_values(open_project(configured.root), keys)


def test_next_command_can_be_typed(configured: Project):
    folder = str(configured.root)
    assert " " in folder
    command = view_overview(configured).next_command
    assert (f'"{folder}"' if os.name == "nt" else f"'{folder}'") in command


def test_fields_are_called_as_kohya_calls_them():
    assert label_of("network_dim") == "Network Rank (Dimension)"
    assert label_of("a_new_field") == "a_new_field"


def test_version_is_reported_from_nearly_all_fields():
    keys = (*tuple(keys_of(GuiVersion.V25))[:-2], "a_new_field")
    assert version_of(keys) is GuiVersion.V25


def test_panels_show_an_open_project(configured: Project):
    panels = read_panels(str(configured.root))
    assert "Next: choose a tagger and press Use this tagger" in panels.message
    assert "5_Quillfox" in panels.folders
    assert "data:image/jpeg;base64," in panels.pictures
    assert "Network Rank (Dimension)" in panels.config


def test_panels_escape_what_files_are_called(staged: Project):
    panels = read_panels(str(staged.root))
    assert "d &amp; f.png" in panels.pictures


def test_missing_project_becomes_a_sentence(tmp_path: Path):
    panels = read_panels(str(tmp_path))
    assert "LL101" in panels.message
    assert 'role="alert"' in panels.message
    assert panels.pictures == ""
    assert "LL708" in read_panels("  ").message


def test_empty_box_is_named():
    with pytest.raises(ToolError, match=r"No folder with pictures is given.*\[LL708\]"):
        require_folder_text(" ", "folder with pictures")


def test_broken_picture_does_not_break_the_page(staged: Project):
    (staged.images_dir / "5_Quillfox" / "a.png").unlink()
    (staged.images_dir / "5_Quillfox" / "a.png").write_bytes(b"no picture")
    panels = read_panels(str(staged.root))
    assert "LL202" in panels.pictures
    assert "b.png" in panels.pictures


def test_job_reports_and_ends():
    def work(progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        progress(Progress("Tagging", 1, 2, "a.png"))
        say("one line")

    job = BackgroundJob("Caption", work)
    assert "running" in markup.job(job.view())
    job.start()
    view = list(job.follow(WAIT))[-1]
    assert (view.is_finished, view.error, view.lines) == (True, "", ("one line",))
    assert view.progress == Progress("Tagging", 1, 2, "a.png")
    assert "finished" in markup.job(view)


def test_running_job_shows_a_bar():
    progress = Progress("Steps", 4, 18, "loss 0.12")
    view = JobView("Train", progress, ("epoch 1/2",), "", False, False, 1)
    text = markup.job(view)
    assert '<progress style="width:100%" max="18" value="4">' in text
    assert "Steps 4/18 loss 0.12" in text
    assert "epoch 1/2" in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ToolError("LL201", "No pictures.", "Import some."), "No pictures. Import some. [LL201]"),
        (RuntimeError("odd"), "RuntimeError: odd. See the console for details."),
    ],
    ids=["foreseen", "unforeseen"],
)
def test_failed_job_says_why(error: Exception, expected: str):
    def work(progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        raise error

    job = BackgroundJob("Stage", work)
    job.start()
    view = list(job.follow(WAIT))[-1]
    assert view.error == expected
    assert "alert" in markup.job(view)


def endless(progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Report until stopped, as a long step does."""
    report = stoppable(progress, stop)
    number = 0
    while True:
        number += 1
        report(Progress("Counting", number))
        stop.wait(0.001)


def test_second_step_waits_for_the_first(tmp_path: Path):
    jobs = BackgroundJobs()
    first = jobs.start(tmp_path, "Train", endless)
    with pytest.raises(ToolError, match=r"\"Train\" is still running.*\[LL707\]"):
        jobs.start(tmp_path, "Stage", endless)
    assert jobs.find(tmp_path) is first
    other = jobs.start(tmp_path / "other", "Stage", endless)
    for job in (first, other):
        job.stop()
        view = list(job.follow(WAIT))[-1]
        assert view.lines[-1] == "Stopped. Run the step again to continue."
        assert "stopped" in markup.job(view)
    jobs.start(tmp_path, "Stage", lambda progress, say, stop: None)


def test_values_read_back_are_counted():
    assert "287 values are in the LoRA tab" in markup.sent(287, ())
    text = markup.sent(287, (Difference("conv_dim", 16, 1),))
    assert "1 of 287 values did not arrive" in text
    assert "Convolution Rank (Dimension)" in text


def test_the_newest_advice_is_shown_escaped(project: Project):
    assert "Advice" not in markup.overview(view_overview(project))
    data = {
        "verdict": "take",
        "summary": "Take <b>epoch 2</b>.",
        "picks": [{"name": "a", "file": "a", "place": "epoch 2", "reasons": ["<script>"]}],
        "not_measured": {"votes": "Nobody has voted.", "learned": "Give it with --model FOLDER."},
        "signals": {"fried": {"values": [0.0, 1.5], "bad": [False, True]}},
        "epochs": [{"name": "a"}, {"name": "b"}],
    }
    write_advice(project.root, data)
    text = markup.overview(view_overview(project))
    assert "Take &lt;b&gt;epoch 2" in text
    assert "<script>" not in text
    assert "<svg" in text
    assert text.count(ALARM_COLOUR) == 1
    assert "the field &quot;Tagger folder&quot;" in text
