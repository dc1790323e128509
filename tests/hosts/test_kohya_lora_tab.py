"""Our values and jsons in the LoRA tab of a real Kohya GUI: what arrives, and what it prints.

Variables as in test_kohya_launcher.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from broken_tab import NEVER_READ_BACK, READ_BACK
from odd_jsons import odd_json

from kohya_ext.cli import main
from kohya_ext.gui.host import KohyaGui, plan_launch
from kohya_ext.project import Project, ToolError
from kohya_ext.training.config.gui_emulation import print_as_gui
from kohya_ext.training.config.kohya_json import GuiVersion, find_problems

from .kohya_lora_tab import (
    assert_prints_what_we_run,
    configuration,
    differences,
    open_parameters,
    press_load,
    print_command,
    printed_line,
    save_from_lora_tab,
    wanted,
)
from .kohya_window import (
    arguments,
    changed_copy,
    free_port,
    open_project_in_tab,
    press,
    running,
    shoot,
    slowly,
    visiting,
)

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def test_sent_values_arrive_with_parameters_closed(
    window, kohya: KohyaGui, prepared: Project, version: GuiVersion, tmp_path: Path
):
    open_project_in_tab(window, prepared)
    press(window, "Send to LoRA tab")
    window.get_by_text(re.compile(r"\d+ values are in the LoRA tab")).wait_for()
    shoot(window, version, "sent")
    saved = save_from_lora_tab(window, tmp_path / "saved.json")
    assert differences(saved, wanted(prepared, version)) == {}
    assert_prints_what_we_run(window, kohya, prepared, version)


def test_emitted_json_loads_and_prints_what_we_run(
    window, kohya: KohyaGui, prepared: Project, version: GuiVersion, tmp_path: Path
):
    """Parameters stands open here, as Kohya's own Load needs it in v26."""
    assert main(["config", str(prepared.root)]) == 0
    emitted = prepared.config_dir / "Quillfox.json"
    values = json.loads(emitted.read_text(encoding="utf-8"))
    assert find_problems(values, version) == ()

    configuration(window, emitted)
    open_parameters(window)
    press_load(window)
    shoot(window, version, "lora-tab")
    saved = save_from_lora_tab(window, tmp_path / "back.json")
    assert differences(saved, values) == {}
    assert_prints_what_we_run(window, kohya, prepared, version)


CHANGED_BY_THE_PAGE = (
    "a bare json", "warmup with a constant scheduler", "cached latents with changing colours",
    "v-prediction without v2", "chroma", "a listed model of another family",
    "a listed model, complete", "inpainting",
)  # fmt: skip


@pytest.mark.parametrize("name", CHANGED_BY_THE_PAGE)
def test_an_odd_json_prints_what_we_say(
    window, kohya: KohyaGui, prepared: Project, version: GuiVersion, tmp_path: Path, name: str
):  # fmt: skip
    places = {
        "pretrained_model_name_or_path": str(prepared.root / "base.safetensors"),
        "train_data_dir": str(prepared.images_dir), "output_dir": str(prepared.model_dir),
        "output_name": "odd", "logging_dir": "",
    }  # fmt: skip
    values = odd_json(name, places, version)
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    prepared.model_dir.mkdir(exist_ok=True)
    try:
        ours = print_as_gui(values, version, where=path.name)
    except ToolError as refused:
        ours = None
        why = refused.problem
    configuration(window, path)
    open_parameters(window)
    with window.expect_response(lambda one: "queue/data" in one.url):
        window.get_by_role("button", name="↩️").locator("visible=true").first.click()
    window.wait_for_timeout(8000)  # its own handlers continue after the load
    if ours is None:
        with pytest.raises(AssertionError, match="printed no command"):
            print_command(window, prepared.model_dir, 12)
        print(f"both refuse: {why}")
        return
    printed = print_command(window, prepared.model_dir, 40)
    assert printed.read_text(encoding="utf-8").splitlines() == ours.toml.splitlines()
    words = printed_line(window, kohya, printed).partition(" ")[2]
    script = kohya.folder / "sd-scripts" / ours.call.script_name
    wanted = ("launch", *ours.call.launch, str(script), "--config_file", str(printed),
              *ours.call.additional)  # fmt: skip
    assert words == " ".join(wanted)


def test_reading_back_sees_what_kohya_overwrites(
    kohya: KohyaGui, chromium, home: Path, prepared: Project, version: GuiVersion, tmp_path: Path
):
    """Sent but once, v26 undoes two values; later versions may have fixed that."""
    if version is not GuiVersion.V26:
        pytest.skip("only v26 overwrites fields that were never shown")
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    plan = changed_copy(plan, tmp_path / "copy", READ_BACK, NEVER_READ_BACK)
    with running(plan, port, **slowly(home)) as host, visiting(chromium, host) as page:
        open_project_in_tab(page, prepared)
        press(page, "Send to LoRA tab")
        page.get_by_text(re.compile(r"^[1-9] of \d+ values did not arrive")).wait_for()
