"""Odd inputs to our scripts inside a real WebUI, by its API: one sentence each, and nothing else.

LORALOOM_WEBUI_DIR names the WebUI's folder, as in test_webui_extension.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from a1111_server import Server, add_extension, make_data, named, serving

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

SECONDS = 600
GRID, SHOWCASE, PROMPTS = "LoRA epoch grid", "LoRA showcase", "dynamic prompts (loraloom)"
BODY = {"width": 64, "height": 64, "steps": 1, "seed": 5, "sampler_name": "Euler"}
PROMPT = "<lora:Quillfox-000001:1> a fox"
BOXES = ["5", "last", "", False, True, ""]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = make_data(tmp_path_factory.mktemp("data"), named("LORALOOM_BASE_MODEL"))
    add_extension(data)
    ring = data / "loraloom" / "wildcards" / "ring"
    ring.mkdir(parents=True)
    (ring / "one.txt").write_text("__ring/two__\n", encoding="utf-8")
    (ring / "two.txt").write_text("__ring/one__\n", encoding="utf-8")
    with serving(named("LORALOOM_WEBUI_DIR"), data) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_is_left_changed(server: Server) -> Iterator[None]:
    """No trace on the console, and the settings as they were."""
    before, read = options(server), len(server.said)
    yield
    assert not [one for one in server.said[read:] if "Traceback" in one]
    assert options(server) == before


def options(server: Server) -> Any:
    """Return the settings but one: Forge Neo notes there the hash of what it loaded."""
    found = requests.get(f"{server.url}/sdapi/v1/options", timeout=SECONDS).json()
    found.pop("sd_checkpoint_hash", None)
    return found


def ask(server: Server, **more: Any) -> requests.Response:
    body = {**BODY, "prompt": PROMPT, **more}
    return requests.post(f"{server.url}/sdapi/v1/txt2img", json=body, timeout=SECONDS)


@pytest.mark.parametrize(
    ("values", "more", "sentence"),
    [
        ([*BOXES, 1], {}, '"LoRA epoch grid" was given 7 arguments. It takes 6'),
        ([{"a": 1}], {}, '"Seeds of the grid" is '),
        ([""], {}, "The axis Seed has no values."),
        ([str(2**63)], {}, "a number has at most 18 digits"),
        (["5", "last", "", "false"], {}, '"First a row without the LoRA" is '),
        ([*BOXES[:5], "Colour=red"], {}, "LL505"),
        ([*BOXES[:5], 'Prompt S/R="a: b, c",🦊'], {}, "Prompt S/R did not find "),
        ([*BOXES[:5], "Checkpoint name=gone"], {}, 'no checkpoint "gone"'),
        (BOXES, {"prompt": f"<lora:{'x' * 10_000}:1>"}, "No file in the host's LoRA folders"),
        (BOXES, {"cfg_scale": None}, '"cfg_scale" of the page is None.'),
        (BOXES, {"subseed": 2**40}, '"1099511627776" cannot be the subseed of a picture.'),
    ],
)
def test_a_grid_that_cannot_be_drawn_is_one_sentence(
    server: Server, values: Any, more: Any, sentence: str
):
    answer = ask(server, script_name=GRID, script_args=values, **more)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    ("values", "more", "sentence"),
    [
        (["", [], 1, True, True, 1], {}, '"LoRA showcase" was given 6 arguments. It takes 5'),
        (["", [], 10**9], {}, "It must be between 1 and 1000."),
        (["", ["gone"]], {}, 'no checkpoint "gone"'),
        (["nowhere"], {}, 'No project "nowhere" '),
        ([], {"seed": 2**63}, "cannot be the seed of a picture."),
        ([], {"prompt": f"{PROMPT} __ring/one__"}, "ring/"),
        ([], {"prompt": f"{PROMPT} {{a|b"}, "LL613"),
    ],
)
def test_a_showcase_that_cannot_be_drawn_is_one_sentence(
    server: Server, values: Any, more: Any, sentence: str
):
    answer = ask(server, script_name=SHOWCASE, script_args=values, **more)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    ("values", "prompt", "sentence"),
    [
        (["yes"], "a {red|blue} fox", "It must be true or false."),
        ([True, True, -5], "a {red|blue} fox", "It must be between 0 and 100000."),
        ([True, True, "ten"], "a {red|blue} fox", "It must be a whole number."),
        ([True], "a __ring/one__ fox", "ring/"),
        ([True], "a {red", "is never closed"),
        ([True, True], "{a|b|c|d}" * 30, "Combinations at most"),
    ],
)
def test_a_template_that_cannot_be_drawn_is_named_in_the_answer(
    server: Server, values: Any, prompt: str, sentence: str
):
    scripts = {PROMPTS: {"args": values}}
    answer = ask(server, prompt=prompt, alwayson_scripts=scripts)
    info = json.loads(answer.json()["info"])
    assert answer.json()["images"] == []
    assert "Not drawn: " in info["infotexts"][0]
    assert sentence in info["infotexts"][0]


def test_left_out_values_are_the_usual_ones(server: Server):
    """The host itself would give the values of the script behind ours."""
    answer = ask(server, script_name=GRID, script_args=["5", "last"])
    assert answer.status_code == 200, answer.text
    info = json.loads(answer.json()["info"])
    assert info["all_seeds"] == [5, 5, 5]
    assert len(answer.json()["images"]) == 3
