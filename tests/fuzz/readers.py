"""What is fuzzed: for each kind sound samples, and how loraloom reads it.

A reader may refuse an input by ToolError, or by the error that its docstring names; nothing else.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from a1111_ext.api.client import Client
from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells.backend import _read_answer
from a1111_ext.cells.cell import Cell
from a1111_ext.cells.verify import check_picture, generated_from_png
from a1111_ext.grids.values import parse_real_numbers, parse_whole_numbers
from a1111_ext.showcase.styles import read_styles
from dynprompts import PromptError, parse
from kohya_ext.project import ToolError
from kohya_ext.project.json_reader import ShapeError, parse_json
from kohya_ext.project.lora_file import read_header
from kohya_ext.project.manifest_reader import parse_manifest
from kohya_ext.training.config.forms import read_config


@dataclass(frozen=True)
class Reader:
    """One kind of input: `read` raises `refusals` for what it refuses."""

    samples: tuple[bytes, ...]
    read: Callable[[bytes, Path], object]
    refusals: tuple[type[Exception], ...] = (ToolError,)


def _text(read: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: read(data.decode("utf-8", "replace"))


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def reader(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return reader


def _picture() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", _INFOTEXT.decode("utf-8"))
    stream = io.BytesIO()
    Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def _safetensors() -> bytes:
    header = json.dumps(
        {
            "__metadata__": {"ss_epoch": "1", "ss_output_name": "Quillfox"},
            "lora_unet_x.lora_down.weight": {
                "dtype": "F16",
                "shape": [4, 2],
                "data_offsets": [0, 16],
            },
        }
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


class _Answers(Client):
    """A WebUI that gives one answer to every question."""

    def __init__(self, answer: object) -> None:
        super().__init__("http://127.0.0.1:1")
        self._answer = answer

    def get(self, path: str, *, seconds: float = 0) -> object:
        return self._answer


def _read_webui(data: bytes, folder: Path) -> None:
    answer = parse_json(data)
    for read in (
        lambda: fetch_capabilities(_Answers(answer)),
        lambda: _read_answer(answer, 1, 0.0, "here"),
    ):
        try:
            read()
        except ToolError:
            continue


def _read_png(data: bytes, folder: Path) -> None:
    generated = generated_from_png(data)
    if generated is not None:
        check_picture(Cell(prompt="a fox", seed=5, width=64, height=64), generated)
    read_infotext(data)


def _read_values(text: str) -> None:
    for read in (parse_whole_numbers, parse_real_numbers):
        try:
            read(text, "Seed")
        except ToolError:
            continue


def _draw(text: str) -> None:
    template = parse(text)
    template.random(1)


_INFOTEXT = (
    b"photo of Quillfox, <lora:Quillfox-000004:0.8>\nNegative prompt: blurry\nSteps: 20, Sampler: "
    b"Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model hash: 0123456789, Model: tiny-a, Lora "
    b'hashes: "Quillfox-000004: 0123456789ab", Version: v1.10.1'
)
_KOHYA = json.dumps(
    {"LoRA_type": "Standard", "learning_rate": 0.0001, "max_resolution": "512,512", "epoch": 10,
     "optimizer": "AdamW8bit", "network_dim": 16, "pretrained_model_name_or_path": "base"}
).encode()  # fmt: skip
_OPTIONS = json.dumps({"sd_model_checkpoint": "tiny-a", "lora_dir": "x", "txt2img": ["a"]}).encode()
_ROWS = json.dumps(
    [{"name": "Euler a", "label": "Automatic", "title": "tiny-a [01]", "model_name": "tiny-a",
      "sha256": None, "filename": "tiny-a", "args": [], "is_img2img": False, "is_alwayson": True}]
).encode()  # fmt: skip
_ANSWER = json.dumps({"images": ["aGk="], "info": json.dumps({"infotexts": ["x"]})}).encode()

READERS: dict[str, Reader] = {
    "manifest": Reader(
        (
            b"format: 1\ntrigger_word: Quillfox\nsubject:\n  kind: creature\n  description: x\n",
            b"trigger_word: Q\ncaptions:\n  undesired_tags: [a, b]\ngrid:\n  prompt: '{lora} x'\n",
        ),
        _text(lambda text: parse_manifest(text, Path("lora-project.yaml"))),
    ),
    "Kohya json": Reader(
        (_KOHYA, b'{"settings": {"learning_rate": "1e-4"}}'), _file("config.json", read_config)
    ),
    "toml": Reader(
        (
            b'output_name = "x"\nlearning_rate = 1e-4\nnetwork_args = ["conv_dim=4"]\n',
            b"[network_arguments]\nnetwork_dim = 8\n[optimizer_arguments]\nunet_lr = 1e-4\n",
        ),
        _file("config.toml", read_config),
    ),
    "infotext": Reader((_INFOTEXT,), _text(parse_infotext), (ValueError,)),
    "safetensors header": Reader((_safetensors(),), _file("x.safetensors", read_header)),
    "styles.csv": Reader(
        (
            b'name,prompt,negative_prompt\nfox,"a fox, {prompt}",blurry\n',
            b"\xef\xbb\xbfname,text\nold,x\n# heading,,\n",
        ),
        _file("styles.csv", read_styles),
    ),
    "X/Y/Z values": Reader((b"1-10 (+3), 0.5-1 [4]", b'"a, b",-1,7'), _text(_read_values)),
    "templates": Reader(
        (
            b"photo of {red|2::blue|{a|b}} __color__, {2$$, $$x|y|z}",
            b"${x={a|b}}${x} {1-2$$ and $$a|b} # note",
        ),
        _text(_draw),
        (PromptError,),
    ),
    "WebUI answers": Reader((_OPTIONS, _ROWS, _ANSWER), _read_webui, (ShapeError,)),
    "PNG": Reader((_picture(),), _read_png, (ToolError, ValueError, OSError, SyntaxError)),
}
