"""The arguments of the sd-scripts on disk, read from its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.project import ToolError
from kohya_ext.training.config.arguments import (
    TrainerCall,
    arguments_of,
    require_valid_call,
)
from kohya_ext.training.config.trainer_parsers import read_arguments

MAIN = """
import argparse
from library import more_util, missing_util
import library.train_util as train_util
from library.utils import add_logging as log_arguments

KINDS = ["one", "two"]

def setup_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    log_arguments(parser)
    train_util.add_training(parser, True)
    more_util.add_more(parser)
    missing_util.add_nothing(parser)
    parser.add_argument("--network_args", type=str, default=None, nargs="*", help="x")
    parser.add_argument("--kind", type=str, choices=KINDS + ["three"])
    parser.add_argument("--fp8", "--fp_8", action="store_true", help="x" " y")
    parser.add_argument("--warm-up", type=int_or_float, default=0)
    parser.add_argument("--other", dest="thing", type=float, choices=[1.0])
    return parser
"""
TRAIN_UTIL = """
def add_training(parser, with_models):
    if with_models:
        add_models(parser)
    parser.add_argument("--seed", type=int, default=None)

def add_models(parser):
    parser.add_argument("--pretrained_model_name_or_path", type=str, default=None)
    add_training(parser, False)
"""
SDXL = """
import train_network

def setup_parser():
    parser = train_network.setup_parser()
    parser.add_argument("--no_half_vae", action="store_true")
    return parser
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "library").mkdir()
    sources = {
        "train_network": MAIN,
        "sdxl_train_network": SDXL,
        "library/train_util": TRAIN_UTIL,
        "library/more_util": 'def add_more(p):\n    p.add_argument("--more", type=Path)\n',
        "library/utils": 'def add_logging(p):\n    p.add_argument("--log", type=str)\n',
        "broken": "def setup_parser(:\n",
        "strange": "def setup_parser():\n    pass\n",
    }
    for name, text in sources.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_calls_are_followed_through_the_modules(folder: Path):
    assert read_arguments(folder, "train_network") == {
        "log": ["str", None],
        "pretrained_model_name_or_path": ["str", None],
        "seed": ["int", None],
        "more": ["Path", None],
        "network_args": ["str", "*"],
        "kind": ["str", None, ["one", "two", "three"]],
        "fp8": ["bool", None],
        "warm_up": ["int_or_float", None],
        "thing": ["float", None, [1.0]],
    }
    assert "no_half_vae" in (read_arguments(folder, "sdxl_train_network") or {})


@pytest.mark.parametrize("script", ["broken", "strange", "not_there"])
def test_what_cannot_be_read_falls_back_to_the_record(folder: Path, script: str):
    assert read_arguments(folder, script) is None
    assert arguments_of(script, folder)["network_dim"] == ["int", None]


def test_a_value_is_compared_with_the_version_on_disk(folder: Path):
    def call(**toml: object) -> TrainerCall:
        return TrainerCall("train_network", dict(toml), (), (), "")

    require_valid_call(call(seed=1, kind="two", huber_scale=1.0), folder)
    with pytest.raises(ToolError, match=r'kind = "four": it must be one of one, two, three.*LL305'):
        require_valid_call(call(kind="four"), folder)
    with pytest.raises(ToolError, match=r"huber_scale = 2.0: this version has no such .*LL305"):
        require_valid_call(call(huber_scale=2.0), folder)
    with pytest.raises(ToolError, match=r'seed = "1": it must be a whole number.*LL305'):
        require_valid_call(call(seed="1"), folder)
