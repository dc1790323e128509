"""A stub of the WebUI's own modules, with LoRA files and two checkpoints."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora

STUB = Path(__file__).resolve().parents[2] / "fixtures" / "stub_webui"


@dataclass(frozen=True)
class StubHost:
    """The stub as it runs: its data folder, its LoRA folder, its modules by name."""

    data: Path
    loras: Path

    def __getattr__(self, name: str) -> types.ModuleType:
        return importlib.import_module(f"modules.{name}")

    def page(self, **fields: Any) -> Any:
        """Make a processing object as the txt2img page does."""
        wanted = {
            "prompt": "<lora:Quillfox-000001:1> a fox",
            "sampler_name": "Euler a",
            "scheduler": "Automatic",
            "width": 64,
            "height": 64,
            "steps": 2,
            "outpath_grids": str(self.data / "outputs"),
            "hr_upscaler": "Latent",
        }
        p = self.processing.StableDiffusionProcessingTxt2Img(**(wanted | fields))
        p.scripts = self.scripts.ScriptRunner()
        return p

    def before_drawing(self, work: Any) -> None:
        """Hang a function in before every picture."""
        self.processing._before_drawing.append(work)

    @property
    def drawn(self) -> list[Any]:
        """Every processing object that was drawn."""
        found: list[Any] = self.processing._drawn
        return found


def forget_stub() -> None:
    """Let go of what was imported from the stub, and of ours that holds on to it."""
    ours = ("a1111_ext.webui.script", "a1111_ext.webui.dynamic_script")
    for name in list(sys.modules):
        if name.partition(".")[0] in ("modules", "networks") or name in ours:
            del sys.modules[name]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHost]:
    """A WebUI with two checkpoints, a run of three epochs and a LoRA of one file."""
    forget_stub()
    monkeypatch.syspath_prepend(str(STUB))
    data = tmp_path / "web ui"
    made = StubHost(data, data / "models" / "Lora")
    made.loras.mkdir(parents=True)
    made.paths_internal.data_path = str(data)
    made.paths_internal.extensions_dir = str(data / "extensions")
    made.shared.cmd_opts.lora_dir = str(made.loras)
    made.shared.config_filename = str(data / "config.json")
    for name in ("tiny-a.safetensors", "tiny-b.safetensors"):
        made.sd_models.CheckpointInfo(f"{data}/models/{name}").register()
    next(iter(made.sd_models.checkpoints_list.values())).calculate_shorthash()
    for epoch, name in ((1, "Quillfox-000001"), (2, "Quillfox-000002"), (3, "Quillfox")):
        save_lora(made.loras, name, epoch=epoch, epochs=3)
    save_lora(made.loras, "Lantern", output_name="Lantern", session="777")
    importlib.import_module("networks").list_available_networks()
    yield made
    forget_stub()
