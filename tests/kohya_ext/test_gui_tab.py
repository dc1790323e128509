"""The tab itself, built and pressed on a page without a browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import requests
from fake_gradio_page import FakePage
from filled_manifest import fill_manifest

from kohya_ext.gui import tab
from kohya_ext.project import Project, apply_init, open_project, plan_init
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training import queue
from kohya_ext.training.trainer import simulated_trainer, use_trainer


def test_empty_page_says_what_to_do(page: FakePage):
    tab.build_page()
    assert "press <b>Open project</b>" in page.text
    assert page.find("Button", "Send to LoRA tab").options["visible"] is False


def test_road_is_walked_without_the_manifest(page: FakePage, tmp_path: Path, collected: Path):
    """From nothing to verified epoch files, each decision in its own field."""
    base = write_base_model(tmp_path / "base.safetensors")
    model = write_tagger_model(tmp_path / "tagger")
    use_trainer(simulated_trainer().folder)
    tab.build_page()
    root = tmp_path / "my quillfox"
    page.write("Project folder", str(root))
    page.write("Trigger word", "Quillfox")
    page.press("Make a project in the folder above")
    assert "Next: choose a base model" in page.text
    page.write("Base model file", str(base))
    page.press("Use this base model")
    assert "Next: press Import" in page.text
    page.choose("Preset", "sd15-lora-32")
    assert "Its " in page.text
    page.press("Use this preset")
    page.write("Folder with pictures", str(collected))
    page.press("Import")
    page.press("Save influence")
    assert "(influence 2)" in page.text
    page.press("Stage")
    page.write("Tagger folder", str(model))
    page.press("Use this tagger")
    page.write("Undesired tags", "green fur, no such tag")
    page.press("Save caption rules")
    page.press("Caption")
    page.press("Show the effect")
    assert "No picture has these tags: " in page.text
    page.write("Max train epoch", 1, "Number")
    page.press("Save epochs and steps")
    assert " steps in 1 epoch" in page.text
    for name, following in (("Config", "press Check"), ("Check", "press Train"), ("Train", "grid")):
        page.press(name)
        assert f"<b>{name}</b>: finished" in page.text
        assert following in page.find_box("is open. Next:")
    assert "<b>Train</b> is running" in page.ever()
    assert "photo of Quillfox," in page.text
    assert (root / "model" / "Quillfox.safetensors").is_file()
    page.press("Report")
    assert "every epoch file verified" in page.text
    manifest = open_project(root).manifest
    assert manifest.captions.undesired_tags == ("green fur", "no such tag")
    assert manifest.training.max_train_epochs == 1


def test_what_is_typed_and_not_kept_stops_a_step(page: FakePage, project: Project):
    tab.build_page(str(project.root))
    page.load()
    assert page.find("Number", "Max train epoch").shown == 10
    page.write("Max train epoch", 3, "Number")
    page.press("Check")
    assert "Not saved yet: Max train epoch." in page.text
    assert "Save epochs and steps" in page.text
    assert "[LL242]" in page.text
    page.press("Open project")
    assert page.find("Number", "Max train epoch").shown == 10


def test_a_person_is_not_staged_without_consent(page: FakePage, tmp_path: Path, collected: Path):
    tab.build_page()
    page.write("Project folder", str(tmp_path / "ida"))
    page.write("Trigger word", "Idabrook")
    page.write("What the LoRA is of", "person", "Dropdown")
    page.press("Make a project in the folder above")
    page.write("Folder with pictures", str(collected))
    page.press("Import")
    page.press("Stage")
    assert "[LL113]" in page.text
    assert "the section &quot;Consent&quot;" in page.text
    assert "yaml" not in page.text
    page.write("Who agreed", "Ida Brook")
    for day, said in (("31.1.2026", "is not a date"), ("2999-01-01", "is in the future")):
        page.write("Date, as 2026-01-31", day)
        page.write("Agreed to", ["training", "pictures"], "CheckboxGroup")
        page.press("Save consent")
        assert said in page.text
    page.write("Date, as 2026-01-31", "2026-01-31")
    page.press("Save consent")
    assert "Consent: saved." in page.text
    page.press("Stage")
    assert "<b>Stage</b>: finished" in page.text
    consent = open_project(tmp_path / "ida").manifest.subject.consent
    assert consent is not None
    assert (consent.name, consent.scope) == ("Ida Brook", "training, pictures")


def test_numbers_of_no_project_are_empty(page: FakePage):
    """gradio 6.17 begins with 0 where a number is None."""
    tab.build_page()
    numbers = ("Entry", "Train batch size", "Max train epoch")
    for label in numbers:
        page.write(label, 0, "Number")
    page.load()
    assert [page.find("Number", label).shown for label in numbers] == [None, None, None]


def test_the_last_project_is_open_after_a_reload(page: FakePage, project: Project):
    tab.build_page()
    page.load()
    assert page.find("Textbox", "Project folder").shown == ""
    page.write("Project folder", str(project.root))
    page.press("Open project")
    page.write("Project folder", "")
    page.load()
    assert page.find("Textbox", "Project folder").shown == str(project.root)
    assert "is open. Next: choose a base model" in page.text
    assert str(project.root) in page.find("Dropdown", "Recent projects").options["choices"]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return apply_init(plan_init(tmp_path / "heron", "Heron")).root


def test_another_browser_leaves_our_project_open(page: FakePage, project: Project, other: Path):
    tab.build_page()
    opens(page, project.root)
    ours = page.stored
    opens(page, other)  # somebody else, in another browser
    page.load(browser=ours)
    assert page.find("Textbox", "Project folder").shown == str(project.root)
    opens(page, other)
    page.load(browser="")  # a browser that was never here: the last one of this GUI
    assert page.find("Textbox", "Project folder").shown == str(other)
    page.load(window=ours, browser=str(other))  # a second window of the same browser
    assert page.find("Textbox", "Project folder").shown == str(project.root)


def opens(page: FakePage, folder: Path) -> None:
    page.write("Project folder", str(folder))
    page.press("Open project")


def test_another_gui_leaves_our_project_open(
    page: FakePage, project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
):
    tab.build_page()
    opens(page, project.root)
    with monkeypatch.context() as patch:
        patch.setattr("kohya_ext.gui.last_project.gui_name", lambda: "another GUI")
        opens(page, other)
    page.load(browser="")
    assert page.find("Textbox", "Project folder").shown == str(project.root)


def test_a_start_with_a_project_opens_that_one(page: FakePage, project: Project, other: Path):
    """What the browser kept from an earlier start gives way; a project that is gone, too."""
    tab.build_page(str(other))
    page.load(browser=str(project.root))
    assert page.find("Textbox", "Project folder").shown == str(other)
    page.load(window=str(other / "gone"), browser=str(project.root))
    assert page.find("Textbox", "Project folder").shown == str(other)


@pytest.mark.parametrize("nothing", [None, ""])
def test_tab_through_a_list_changes_nothing(page: FakePage, project: Project, nothing: str | None):
    """gradio 6 reports an input of nothing when a list loses the focus."""
    tab.build_page()
    opens(page, project.root)
    page.write("Base model file", "base.safetensors")
    page.write("Tagger folder", "tagger")
    for name in ("Recent projects", "Base models found here", "Taggers found here"):
        page.choose(name, nothing)
    shown = [page.find("Textbox", name).shown
             for name in ("Project folder", "Base model file", "Tagger folder")]  # fmt: skip
    assert shown == [str(project.root), "base.safetensors", "tagger"]


def test_folders_are_chosen_from_a_list(page: FakePage, tmp_path: Path, project: Project):
    tab.build_page()
    page.write("Project folder", str(tmp_path))
    page.press("Browse: Project folder")
    listed = page.find("Dropdown", f"In {tmp_path}")
    assert (f"{project.root.name}/  (LoRA project)", str(project.root)) in listed.options["choices"]
    page.choose(f"In {tmp_path}", str(project.root))
    assert page.find("Textbox", "Project folder").shown == str(project.root)
    page.press("Open project")
    assert "is open." in page.text


def test_a_value_is_set_and_given_back(page: FakePage, project: Project):
    tab.build_page(str(project.root))
    page.write("Field of Kohya's LoRA tab", "network_dim", "Dropdown")
    page.write("Value", "48")
    page.press("Set value")
    assert open_project(project.root).manifest.training.overrides == {"network_dim": 48}
    assert "set by you" in page.text
    page.write("Value", "a lot")
    page.press("Set value")
    assert "[LL243]" in page.text
    page.press("Back to the preset")
    assert not open_project(project.root).manifest.training.overrides


def test_what_another_section_holds_unkept_stays(page: FakePage, project: Project):
    tab.build_page(str(project.root))
    page.load()
    page.write("Undesired tags", "red hair")
    page.write("Max train epoch", 4, "Number")
    page.press("Save epochs and steps")
    assert page.find("Textbox", "Undesired tags").shown == "red hair"
    assert open_project(project.root).manifest.training.max_train_epochs == 4


def test_the_queue_is_filled_and_run(page: FakePage, project: Project, collected: Path):
    fill_manifest(project)
    use_trainer(simulated_trainer().folder)
    tab.build_page(str(project.root))
    page.load()
    page.write("Folder with pictures", str(collected))
    for name in ("Import", "Stage", "Add to queue", "Add to queue"):
        page.press(name)
    assert "my quillfox is already waiting in the queue, as entry 1." in page.text
    assert "remove it first: the button &quot;Remove&quot; in the section" in page.text
    assert queue.add(shutil.copytree(project.root, project.root.with_name("other"))).number == 2
    page.press("Remove")
    assert "[LL708]" in page.text
    page.write("Entry", 2, "Number")
    page.press("Move to the front")
    assert "Entry 2 is next." in page.text
    page.press("Remove")
    page.press("Start queue")
    assert "1 training ended" in page.text
    assert (project.model_dir / "Quillfox.safetensors").is_file()
    page.press("Stop the queue after this training")
    assert "The queue ends" in page.text
    page.write("Config to queue", str(project.root / "none.json"))
    page.press("Add this config to queue")
    assert "[LL" in page.text


def test_earlier_files_are_moved_aside_when_ticked(
    page: FakePage, project: Project, collected: Path
):
    fill_manifest(project)
    use_trainer(simulated_trainer().folder)
    tab.build_page(str(project.root))
    page.load()
    page.write("Folder with pictures", str(collected))
    for name in ("Import", "Stage", "Train"):
        page.press(name)
    page.press("Train")
    assert "[LL345]" in page.text
    page.write("Move epoch files of an earlier training aside", True, "Checkbox")
    page.press("Train")
    assert "<b>Train</b>: finished" in page.text
    assert (project.model_dir / "earlier-1" / "Quillfox.safetensors").is_file()


def test_broken_pictures_are_left_out_and_named(page: FakePage, project: Project, collected: Path):
    (collected / "broken.png").write_bytes(b"no picture")
    tab.build_page(str(project.root))
    page.write("Folder with pictures", str(collected))
    page.press("Import")
    assert "Left out: broken.png" in page.text


def test_wrong_folders_become_sentences(page: FakePage, tmp_path: Path):
    tab.build_page()
    page.press("Stage")
    assert "[LL708]" in page.text
    page.write("Project folder", str(tmp_path))
    for button in ("Open project", "Check", "Train", "Stop"):
        page.press(button)
        assert "[LL101]" in page.text
    page.write("Project folder", str(tmp_path / "new"))
    page.write("Trigger word", None)
    page.press("Make a project in the folder above")
    assert "[LL105]" in page.text


def test_stop_with_nothing_to_stop(page: FakePage, project: Project):
    tab.build_page(str(project.root))
    page.press("Stop")
    assert "Nothing is running." in page.text


def test_the_board_is_in_the_tab(page: FakePage, project: Project):
    tab.build_page()
    page.write("Project folder", str(project.root))
    assert "<iframe" not in page.text
    page.press("Open project")
    assert "Sort and caption the pictures" in page.text
    (address,) = re.findall(r'<iframe src="([^"]+)"', page.text)
    answer = requests.get(address, timeout=30)
    assert answer.status_code == 200
    assert "Board" in answer.text
    assert requests.get(address.replace("board.html", "state.json"), timeout=30).ok
