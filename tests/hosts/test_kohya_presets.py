"""Every public LoRA preset and test config of a Kohya GUI's checkout loads, with repairs named.

LORALOOM_KOHYA_GUI names the checkout; the files themselves stay there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kohya_ext.project import ToolError
from kohya_ext.training.config.arguments import require_valid_call
from kohya_ext.training.config.conversion import convert
from kohya_ext.training.config.forms import read_data
from kohya_ext.training.config.gui_load import take_as_gui
from kohya_ext.training.config.kohya_json import (
    GuiVersion,
    find_problems,
    repair,
)

from .conftest import named

pytestmark = pytest.mark.host

USABLE = {GuiVersion.V24: 45, GuiVersion.V25: 35, GuiVersion.V26: 26}
"""After how many of the 45 the GUI itself can continue; measured in the browser."""


@pytest.fixture(scope="module")
def files() -> list[Path]:
    root = Path(named("LORALOOM_KOHYA_GUI"))
    places = (root / "presets" / "lora", root / "test" / "config")
    found = sorted(path for place in places for path in place.glob("*.json"))
    return [path for path in found if is_of_the_lora_tab(path)]


def is_of_the_lora_tab(path: Path) -> bool:
    data = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(data, dict) and "LoRA_type" in data


def test_there_are_45(files: list[Path]):
    assert len(files) == 45


@pytest.mark.parametrize("version", list(GuiVersion))
def test_all_load_and_are_written_without_loss(
    files: list[Path], version: GuiVersion, tmp_path: Path
):
    for path in files:
        data = read_data(path)[0]
        config = repair(data, version)
        assert find_problems(config.values, version) == (), path.name
        written = config.as_json()
        again = repair(json.loads(json.dumps(written)), version)
        assert (again.as_json(), again.repairs, again.missing) == (written, (), ()), path.name
        renamed = {"lora_network_weights", "use_wandb"}
        changed = {
            key
            for key, value in data.items()
            if key not in renamed and (key not in written or written[key] != value)
        }
        named_repairs = {one.key for one in config.repairs}
        assert changed <= named_repairs, (path.name, changed - named_repairs)


@pytest.mark.parametrize("version", list(GuiVersion))
def test_the_gui_continues_after_as_many_as_was_measured(files: list[Path], version: GuiVersion):
    usable = [path for path in files if not take_as_gui(read_data(path)[0], version).problems]
    assert len(usable) == USABLE[version]


@pytest.mark.parametrize("version", list(GuiVersion))
def test_all_become_calls_that_the_trainer_takes(files: list[Path], version: GuiVersion):
    refused = {}
    for path in files:
        try:
            require_valid_call(convert(path, version).call)
        except ToolError as error:
            refused[path.name] = str(error)
    assert refused == {}
