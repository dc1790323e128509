"""The whole road in a real Kohya GUI, walked in Chromium by people who never see the manifest.

Variables as in test_kohya_launcher and test_sd_scripts: the GUI, a real sd-scripts on a shrunken
network, a browser. LORALOOM_SHOTS names a folder for screenshots.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from tiny_trainer import make_tiny_trainer, make_tokenizer_cache, python_of

from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.gui.host import KohyaGui, plan_launch
from kohya_ext.project import apply_init, open_project, plan_init
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.epochs import find_epoch_files
from kohya_ext.project.lora_file import read_header
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training.run.record import RunOutcome, find_runs_in

from .conftest import named
from .kohya_window import (
    PATIENCE,
    Host,
    arguments,
    free_port,
    open_tab,
    press,
    running,
    visiting,
)

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]

SIZES = {"wide": (1440, 1000), "narrow": (390, 844)}
OUTSIDE = """() => [...document.querySelectorAll('.loraloom-tab :is(button, input, textarea)')]
    .filter(one => one.getBoundingClientRect().right > innerWidth).map(one => one.outerHTML)"""
"""What of the tab leaves the window at its right."""
CUT = """() => [...document.querySelectorAll('.loraloom-tab table')]
    .filter(one => one.scrollWidth > one.parentElement.clientWidth).map(one => one.innerText)"""
"""Tables that are wider than their place."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: a real trainer that is quick, a tagger, models, the values of this CPU."""
    folder = tmp_path_factory.mktemp("desk")
    scripts = Path(named("LORALOOM_SD_SCRIPTS"))
    trainer = make_tiny_trainer(folder / "trainer", scripts)
    cache = make_tokenizer_cache(folder / "tokenizer", Path(named("LORALOOM_SD_TOKENIZER")))
    write_tagger_model(folder / "home" / "taggers" / "simulated tagger")
    settings = {"trainer": str(trainer), "trainer_python": str(python_of(scripts))}
    (folder / "home" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    values = {
        "additional_parameters": f"--tokenizer_cache_dir={cache.as_posix()}",
        "mixed_precision": "no", "xformers": "none", "optimizer": "AdamW", "network_dim": 4,
        "network_alpha": 4, "min_bucket_reso": 64, "max_bucket_reso": 256,
        "max_resolution": "128,128", "LoRA_type": "Standard", "train_batch_size": 2,
        "max_train_epochs": 2, "save_every_n_epochs": 1, "gradient_checkpointing": False,
    }  # fmt: skip
    (folder / "mine.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gui(kohya: KohyaGui, desk: Path) -> Iterator[Host]:
    port = free_port()
    home = {"LORALOOM_HOME": str(desk / "home"), "OMP_NUM_THREADS": "1"}
    with running(plan_launch(kohya, arguments(port)), port, **home) as one:
        yield one


@pytest.fixture
def page(chromium: Any, gui: Host) -> Iterator[Any]:
    with visiting(chromium, gui) as one:
        open_tab(one, "loraloom")
        yield one


def box(page: Any, label: str) -> Any:
    """Find a field by its label; what stands below a label counts as its name as well."""
    words = re.compile(rf"^\s*{re.escape(label)}(?![\w])")
    return page.get_by_label(words).locator("visible=true").first


def fill(page: Any, label: str, text: str) -> None:
    box(page, label).fill(text)


def choose(page: Any, label: str, option: str) -> None:
    box(page, label).click()
    words = re.escape(option).replace("/", r"\/")  # the driver writes it between slashes
    page.get_by_role("option", name=re.compile(rf"^\W*{words}")).first.click()


def unfold(page: Any, label: str) -> None:
    page.get_by_role("button", name=label).first.click()


def step(page: Any, name: str) -> None:
    press(page, name)
    page.get_by_text(f"{name}: finished").first.wait_for()


def shoot(page: Any, name: str, *, full: bool = True) -> None:
    folder = os.environ.get("LORALOOM_SHOTS")
    for size, (width, height) in SIZES.items() if folder else ():
        page.set_viewport_size({"width": width, "height": height})
        for mode in ("light", "dark"):
            page.evaluate("on => document.body.classList.toggle('dark', on)", mode == "dark")
            shot = Path(str(folder)) / f"walk-{name}-{size}-{mode}.png"
            page.screenshot(path=shot, full_page=full)
    if folder:
        page.evaluate("() => document.body.classList.remove('dark')")
        page.set_viewport_size({"width": 1400, "height": 1000})


def begin(page: Any, root: Path, word: str, kind: str) -> None:
    fill(page, "Project folder", str(root))
    unfold(page, "New project")
    page.get_by_role("textbox", name="Trigger word", exact=True).fill(word)
    choose(page, "What the LoRA is of", kind)
    press(page, "Make a project in the folder above")
    page.get_by_text("Next: choose a base model").wait_for()


def choose_base(page: Any) -> None:
    """Walk through the folders to the checkpoint, as with any picker."""
    base = Path(named("LORALOOM_BASE_MODEL"))
    fill(page, "Base model file", str(base.parent.parent))
    press(page, "Browse: Base model file")
    choose(page, f"In {base.parent.parent}", f"{base.parent.name}/")
    choose(page, f"In {base.parent}", base.name)
    press(page, "Use this base model")
    page.get_by_text("SD 1.5, detected").wait_for()


def tag_and_caption(page: Any, undesired: str) -> None:
    choose(page, "Taggers found here", "simulated tagger")
    press(page, "Use this tagger")
    page.get_by_text("Tagger: simulated tagger.").wait_for()
    fill(page, "Undesired tags", undesired)
    press(page, "Save caption rules")
    page.get_by_text("Captions: saved.").wait_for()
    step(page, "Caption")
    press(page, "Show the effect")
    page.get_by_text("stay promptable").first.wait_for()


def train(page: Any, root: Path, name: str) -> None:
    """From the length to the report; the figures of both counts must agree."""
    fill(page, "Sample prompts", "photo of {trigger} --w 64 --h 64 --s 2")
    press(page, "Save epochs and steps")
    kept = page.get_by_text(re.compile(r"Saved: \d+ steps in 2 epochs of \d+")).first
    kept.wait_for()
    steps = re.search(r"Saved: (\d+) steps", kept.inner_text())
    assert steps
    step(page, "Config")
    step(page, "Check")
    page.get_by_text("No problems found: the training can start.").wait_for()
    page.get_by_text(re.compile(rf"draws: {steps[1]} steps in 2 epochs")).first.wait_for()
    press(page, "Train")
    page.locator("img[alt^='Sample ']").first.wait_for(timeout=600_000)
    shoot(page, f"{name}-training")
    page.get_by_text("Training finished; every epoch file is verified.").wait_for(timeout=600_000)
    page.get_by_text(re.compile(r"^Loss [\d.]+ at step")).first.wait_for()
    press(page, "Report")
    page.get_by_text("finished, every epoch file verified").wait_for()
    shoot(page, f"{name}-trained")
    (run,) = find_runs_in(root / "log" / "runs")
    assert run.result is not None
    assert run.result.outcome is RunOutcome.FINISHED
    files = [one.name for run in find_epoch_files(root / "model").runs for one in run.files]
    word = open_project(root).manifest.trigger_word
    assert files == [f"{word}-000001", word]


def test_a_creature_is_trained_with_an_old_json(page: Any, desk: Path, tmp_path: Path):
    """Pictures of Quillfox, and a json that its maker has used before."""
    root = tmp_path / "my quillfox"
    write_pictures(tmp_path / "collected", recipes(8))
    begin(page, root, "Quillfox", "creature")
    choose_base(page)
    unfold(page, "Use an existing config")
    fill(page, "Kohya json or toml", str(desk / "mine.json"))
    press(page, "Use its settings")
    page.get_by_text("different from the preset").wait_for()
    assert box(page, "Max train epoch").input_value() == "2"
    fill(page, "Folder with pictures", str(tmp_path / "collected"))
    step(page, "Import")
    page.wait_for_timeout(2000)  # the board is loaded again with what was imported
    frame = judge_on_the_board(page, ["1", "1", "2", "0"])
    frame.locator("#said", has_text=": Out").wait_for()
    page.wait_for_timeout(1000)
    step(page, "Stage")
    page.get_by_text("1 left out.").wait_for()
    tag_and_caption(page, "orange fur")
    shoot(page, "creature-captions")
    train(page, root, "creature")
    page.reload()
    open_tab(page, "loraloom")
    page.get_by_text(f"{root} is open. Next: compare the epochs").wait_for()
    assert open_project(root).manifest.captions.undesired_tags == ("orange fur",)


def judge_on_the_board(page: Any, keys: list[str]) -> Any:
    """Open the board where it stands in the tab, and judge with these keys."""
    page.get_by_text("Sort and caption the pictures").click()
    frame = page.frame_locator("iframe[title='Board']")
    frame.locator("body[data-ready]").wait_for()
    frame.locator("#grid").focus()
    for key in keys:
        page.keyboard.press(key)
    return frame


def draw_portraits(folder: Path) -> None:
    """Draw an invented person, Ida Brook, eight times: a face, hair, another jumper."""
    folder.mkdir(parents=True)
    for number in range(8):
        picture = Image.new("RGB", (160, 200), (150 + 9 * number, 190, 220 - 8 * number))
        pen = ImageDraw.Draw(picture)
        pen.rectangle((20, 150, 140, 200), fill=(40 + 20 * number, 60, 150))
        pen.ellipse((44, 34, 116, 156), fill=(236, 198, 170))
        pen.pieslice((36, 20, 124, 130), 180, 360, fill=(96, 60, 34))
        pen.ellipse((62, 82, 74, 90), fill=(40, 60, 50))
        pen.ellipse((88, 82, 100, 90), fill=(40, 60, 50))
        pen.arc((64, 100, 98, 128 - number), 10, 170, fill=(170, 70, 70), width=3)
        picture.save(folder / f"ida {number}.png")


def test_a_person_is_trained_with_consent(page: Any, desk: Path, tmp_path: Path):
    """An invented person; every value is set in its field, none in a file."""
    root = tmp_path / "ida brook"
    draw_portraits(tmp_path / "portraits")
    begin(page, root, "Idabrook", "person")
    choose_base(page)
    unfold(page, "Change single values")
    values = json.loads((desk / "mine.json").read_text(encoding="utf-8"))
    for key in (
        "additional_parameters", "mixed_precision", "xformers", "optimizer", "network_dim",
        "network_alpha", "min_bucket_reso", "max_bucket_reso",
    ):  # fmt: skip
        fill(page, "Field of Kohya's LoRA tab", f"({key})")
        page.get_by_role("option", name=f"({key})").first.click()
        fill(page, "Value", str(values[key]))
        press(page, "Set value")
        page.get_by_text(re.compile(rf"^{key} is now ")).wait_for()
    fill(page, "Folder with pictures", str(tmp_path / "portraits"))
    step(page, "Import")
    press(page, "Stage")
    page.get_by_text(re.compile("records no consent")).wait_for()
    hint = page.get_by_text("chosen by the influence").first  # below its label, without a mouse
    looks = "one => { const is = getComputedStyle(one); return [is.opacity, is.position]; }"
    assert hint.evaluate(looks) == ["1", "static"]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CUT) == []
    place = box(page, "Project folder").bounding_box()
    assert place is not None
    assert place["width"] > 250  # a path can be read
    page.set_viewport_size({"width": 1400, "height": 1000})
    shoot(page, "person-no-consent")
    fill(page, "Who agreed", "Ida Brook")
    fill(page, "Date, as 2026-01-31", "2026-02-30")
    for use in ("training", "pictures"):
        page.get_by_label(use, exact=True).check()
    press(page, "Save consent")
    page.get_by_text("is not a date").wait_for()
    fill(page, "Date, as 2026-01-31", "2026-02-28")
    press(page, "Save consent")
    page.get_by_text("Consent: saved.").wait_for()
    step(page, "Stage")
    tag_and_caption(page, "blue sky")
    fill(page, "Max train epoch", "2")
    fill(page, "Train batch size", "2")
    fill(page, "Max resolution", "128,128")
    train(page, root, "person")
    consent = open_project(root).manifest.subject.consent
    assert consent is not None
    assert (consent.name, consent.date) == ("Ida Brook", "2026-02-28")
    said = "trigger: Idabrook; consent: Ida Brook agreed on 2026-02-28 to: training, pictures"
    for run in find_epoch_files(root / "model").runs:
        for one in run.files:
            assert read_header(one.path).metadata["ss_training_comment"] == said


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A project with 222 pictures, none judged."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(222):
        picture = Image.effect_noise((24, 18), 90).resize((96 + number % 5, 72)).convert("RGB")
        picture.save(folder / f"fox {number:03}.png")
    project = apply_init(plan_init(tmp_path / "large fox", "Quillfox"))
    apply_import(project, plan_import(project, folder))
    return project.root


def test_222_pictures_are_judged_by_keys(page: Any, large: Path):
    fill(page, "Project folder", str(large))
    press(page, "Open project")
    page.get_by_text("is open.").wait_for()
    frame = judge_on_the_board(page, [])
    assert frame.locator("#judged").inner_text() == "0 of 222 judged"
    for number in range(222):
        page.keyboard.press("120"[number % 3])
    assert frame.locator("#judged").inner_text() == "222 of 222 judged"
    shoot(page, "judged", full=False)
    page.keyboard.press("Control+z")
    frame.get_by_text("221 of 222 judged").wait_for()
    page.keyboard.press("Control+y")
    frame.get_by_text("222 of 222 judged").wait_for()
    page.wait_for_timeout(500)
    page.reload()  # the project is open again, and so is what was judged
    open_tab(page, "loraloom")
    page.get_by_text(f"{large} is open.").wait_for()
    again = judge_on_the_board(page, [])
    again.get_by_text("222 of 222 judged").wait_for()
    with DecisionStore(large / "reviews.db") as store:
        values = list(store.values(DecisionKind.ROLE).values())
    assert {one: values.count(one) for one in values} == {
        "primary": 74, "supporting": 74, "out": 74
    }  # fmt: skip


def focused(page: Any) -> str:
    return str(page.evaluate(
        "() => { const one = document.activeElement; return one ? (one.labels?.[0]?.innerText"
        " || one.getAttribute('aria-label') || one.title || one.innerText || '').trim() : ''; }"
    ))  # fmt: skip


def tab_to(page: Any, label: str) -> None:
    """Press Tab until this is in focus."""
    for _ in range(150):
        if focused(page).startswith(label):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {label}")


def test_the_tab_is_used_by_keyboard_alone(page: Any, large: Path):
    page.get_by_role("tab", name="loraloom", exact=True).first.focus()
    tab_to(page, "Project folder")
    page.keyboard.press("Control+a")
    page.keyboard.type(str(large))
    page.keyboard.press("Enter")
    page.get_by_text(f"{large} is open.").wait_for()
    tab_to(page, "Sort and caption")
    page.keyboard.press("Enter")
    frame = page.frame_locator("iframe[title='Board']")
    frame.locator("body[data-ready]").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    frame.locator("#grid").focus()
    page.keyboard.press("1")
    frame.get_by_text("1 of 222 judged").wait_for()
    page.get_by_text("Sort and caption the pictures").focus()
    tab_to(page, "Stage")
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("^Stage: (running|finished)")).first.wait_for(
        timeout=PATIENCE * 1000
    )
    assert page.get_by_role("alert").all_inner_texts() == []
