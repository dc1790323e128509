"""Templates in the prompt box of a real WebUI, and the page of wildcards in its tab.

LORALOOM_WEBUI_DIR names the WebUI's folder, as in test_webui_extension. LORALOOM_DYNAMIC_PROMPTS
names a checkout of the extension sd-dynamic-prompts whose library the WebUI's Python can import;
without it a small extension of the same title stands for it. LORALOOM_SHOTS names a folder for
screenshots.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from a1111_server import Server, add_extension, make_data, named, serving
from chromium import open_chromium

from a1111_ext.api.infotext import Infotext, parse_infotext, read_infotext
from dynprompts import WildcardLibrary, parse

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

OURS = "dynamic prompts (loraloom)"
TITLE = "Dynamic Prompts v2.17.1"
OTHER = f'''
import gradio as gr
from modules import scripts

class Other(scripts.Script):
    def title(self):
        return "{TITLE}"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(False, label="Dynamic Prompts enabled"), gr.Checkbox(False, label="B")]

    def process(self, p, is_enabled, *values):
        if is_enabled:
            p.all_prompts = ["a red fox, theirs" for _ in p.all_prompts]
'''
OPTIONS = {
    "dp_ignore_whitespace": False,
    "dp_write_raw_template": False,
    "dp_write_prompts_to_file": False,
    "dp_parser_variant_start": "{",
    "dp_parser_variant_end": "}",
    "dp_parser_wildcard_wrap": "__",
    "dp_limit_jinja_prompts": False,
    "dp_auto_purge_cache": False,
    "dp_wildcard_manager_no_dedupe": False,
    "dp_wildcard_manager_no_sort": False,
    "dp_wildcard_manager_shuffle": False,
    "dp_magicprompt_default_model": "",
    "dp_magicprompt_batch_size": 1,
}
"""Settings of the real one, which registers them too late for the first start of A1111 v1.10.1."""

PROMPT = "a {red|blue|green} fox, ${look={calm|wild|odd}}${look}, __creatures/kin__"
NEGATIVE = "{blurry|dark}"
BODY = {
    "prompt": PROMPT, "negative_prompt": NEGATIVE, "seed": 7, "n_iter": 3, "batch_size": 2,
    "width": 64, "height": 64, "steps": 1, "sampler_name": "Euler",
}  # fmt: skip
KIN = "mosshen\nquillfox\n"
LIBRARY = WildcardLibrary(texts={"creatures/kin.txt": KIN})
SECONDS = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    checkpoint, folder = named("LORALOOM_BASE_MODEL"), named("LORALOOM_WEBUI_DIR")
    data = make_data(tmp_path_factory.mktemp("data"), checkpoint)
    add_extension(data)
    wildcards = data / "loraloom" / "wildcards" / "creatures"
    wildcards.mkdir(parents=True)
    (wildcards / "kin.txt").write_text(KIN, encoding="utf-8")
    (data / "loraloom" / "theirs.txt").write_text("theirs\n", encoding="utf-8")
    _add_other(data / "extensions" / "sd-dynamic-prompts")
    with serving(folder, data) as one:
        yield one


def _add_other(target: Path) -> None:
    if real := os.environ.get("LORALOOM_DYNAMIC_PROMPTS"):
        shutil.copytree(real, target)
        (target.parents[1] / "config.json").write_text(json.dumps(OPTIONS), encoding="utf-8")
        return
    path = target / "scripts" / "other.py"
    path.parent.mkdir(parents=True)
    path.write_text(OTHER, encoding="utf-8")


@pytest.fixture(scope="module")
def other(server: Server) -> str:
    """The other extension's name in the API."""
    known = requests.get(f"{server.url}/sdapi/v1/scripts", timeout=SECONDS).json()["txt2img"]
    return next(one for one in known if one.startswith("dynamic prompts v"))


class Drawn:
    """The pictures that the host drew: their infotexts from the files themselves."""

    def __init__(self, answer: dict[str, Any]) -> None:
        about = json.loads(answer["info"])
        pictures = [base64.b64decode(one) for one in answer["images"]]
        pictures = pictures[about["index_of_first_image"] :]
        self.infotexts: list[Infotext] = [parse_infotext(read_infotext(one)) for one in pictures]
        self.prompts = [one.prompt for one in self.infotexts]
        self.negatives = [one.negative_prompt for one in self.infotexts]
        self.seeds = [int(one.fields["Seed"]) for one in self.infotexts]

    def field(self, name: str) -> list[str | None]:
        return [one.fields.get(name) for one in self.infotexts]


def draw(server: Server, other: str, *boxes: Any, page: str = "txt2img", **more: Any) -> Drawn:
    """Draw with our boxes; the other extension is off unless `more` says otherwise."""
    scripts = {other: {"args": [False]}, OURS: {"args": list(boxes)}}
    body = {**BODY, "alwayson_scripts": scripts, **more}
    if page == "img2img":
        body |= {"init_images": [_grey_png()], "denoising_strength": 0.6}
    answer = requests.post(f"{server.url}/sdapi/v1/{page}", json=body, timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    return Drawn(answer.json())


def _grey_png() -> str:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PAGES = pytest.mark.parametrize("page", ["txt2img", "img2img"])


@PAGES
def test_every_picture_has_its_own_prompt_and_picks(server: Server, other: str, page: str):
    found = draw(server, other, True, False, 0, False, False, True, False, page=page)
    expected = [parse(PROMPT, LIBRARY).random(seed) for seed in range(7, 13)]
    assert found.prompts == [one.text for one in expected]
    assert found.negatives == [parse(NEGATIVE).random(seed).text for seed in range(7, 13)]
    assert found.seeds == list(range(7, 13))
    assert set(found.field("Template")) == {PROMPT}
    assert set(found.field("Negative Template")) == {NEGATIVE}
    picks = [
        f"look={one.pick('look')}; creatures/kin={one.pick('creatures/kin')}" for one in expected
    ]
    assert found.field("Template picks") == picks
    assert len(set(picks)) > 2


@PAGES
def test_a_fixed_seed_draws_other_prompts(server: Server, other: str, page: str):
    found = draw(server, other, True, False, 0, True, False, True, False, page=page)
    assert found.seeds == [7] * 6
    assert found.prompts == [parse(PROMPT, LIBRARY).random(seed).text for seed in range(7, 13)]


@PAGES
def test_an_unlinked_seed_draws_prompts_by_chance(server: Server, other: str, page: str):
    found = draw(server, other, True, False, 0, False, True, True, False, page=page)
    again = draw(server, other, True, False, 0, False, True, True, False, page=page)
    assert found.seeds == again.seeds == list(range(7, 13))
    assert (found.prompts, found.negatives) != (again.prompts, again.negatives)


@PAGES
def test_all_combinations_take_as_many_pictures(server: Server, other: str, page: str):
    found = draw(server, other, True, True, 0, False, False, False, False, page=page)
    expected = list(parse(PROMPT, LIBRARY).combinations())
    assert found.prompts == [one.text for one in expected]
    assert (len(found.prompts), set(found.negatives)) == (18, {NEGATIVE})
    assert found.field("Negative Template") == [None] * 18
    assert [one.partition(";")[0] for one in found.field("Template picks") if one] == [
        f"look={one.pick('look')}" for one in expected
    ]
    few = draw(server, other, True, True, 5, False, False, False, False, page=page)
    assert few.prompts == found.prompts[:5]


def test_the_negative_prompt_is_left_alone(server: Server, other: str):
    found = draw(server, other, True, False, 0, False, False, False, False)
    assert set(found.negatives) == {NEGATIVE}
    assert len(set(found.prompts)) > 1


def test_no_option_comes_twice_in_one_prompt(server: Server, other: str):
    found = draw(
        server, other, True, False, 0, False, False, True, True, prompt="{a|b|c} {a|b|c} {a|b|c}"
    )
    assert {tuple(sorted(one.split())) for one in found.prompts} == {("a", "b", "c")}


def test_the_second_pass_is_written_for_each_picture(server: Server, other: str):
    """The host itself writes the first batch's into the infotexts of all."""
    hires = {
        "enable_hr": True,
        "hr_scale": 1.5,
        "denoising_strength": 0.6,
        "hr_upscaler": "None",  # Forge Neo has no latent ones
        "hr_additional_modules": ["Use same choices"],  # Forge ends in an error 500 without them
    }
    boxes = (True, False, 0, False, False, True, False)
    same = draw(server, other, *boxes, **hires)
    assert set(same.field("Hires prompt")) == set(same.field("Hires negative prompt")) == {None}
    found = draw(server, other, *boxes, **hires, hr_prompt="{sharp|soft|hard} fox")
    second = parse("{sharp|soft|hard} fox")
    assert found.field("Hires prompt") == [second.random(seed).text for seed in range(7, 13)]
    assert found.prompts == same.prompts


def test_switched_off_the_prompt_stays(server: Server, other: str):
    found = draw(server, other, False)
    assert set(found.prompts) == {PROMPT}
    assert found.field("Template") == [None] * 6


@PAGES
def test_our_section_steps_aside_for_the_other(server: Server, other: str, page: str):
    scripts = {other: {"args": [True]}, OURS: {"args": [True]}}
    prompt = "${v={red|red}}a ${v} fox"
    found = draw(server, other, page=page, prompt=prompt, alwayson_scripts=scripts)
    assert {one.split(",")[0] for one in found.prompts} == {"a red fox"}
    assert found.field("Template") == found.field("Template picks") == [None] * 6


def test_a_broken_template_draws_nothing(server: Server, other: str):
    assert draw(server, other, True, prompt="a {red|blue").prompts == []


# -- in the browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Any, server: Server) -> Iterator[Any]:
    opened = chromium.new_page(viewport={"width": 1440, "height": 1100})
    opened.set_default_timeout(120_000)
    opened.goto(server.url)
    opened.locator("#txt2img_prompt textarea").wait_for()
    opened.wait_for_function("() => typeof opts !== 'undefined' && opts.samples_save")
    yield opened
    opened.close()


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("LORALOOM_SHOTS"):
        page.screenshot(path=Path(folder) / f"webui-{name}.png", full_page=True)


def test_a_person_draws_a_template_on_the_page(page: Any):
    page.locator("#txt2img_prompt textarea").fill("a {red|blue} fox, $animal")
    for name, value in (("width", 64), ("height", 64), ("steps", 1), ("batch_count", 3)):
        page.locator(f"#txt2img_{name} input[type=number]").fill(str(value))
    section = page.locator("#txt2img_script_container")
    section.get_by_text("Dynamic prompts (loraloom)").first.click()
    section.get_by_label("Draw the prompt as a template").check()
    page.locator("#txt2img_generate").click()
    page.locator("#html_log_txt2img .performance").wait_for()
    reported = page.locator("#html_log_txt2img .comments").last.inner_text()
    assert reported.startswith('This variable has no braces and stays as it is: "$animal".')
    shoot(page, "prompts")
    info = page.locator("#html_info_txt2img").first.inner_text()
    assert 'Template: "a {red|blue} fox, $animal"' in info
    page.locator("#txt2img_prompt textarea").fill("a {red|blue fox")
    page.locator("#txt2img_generate").click()
    page.locator("#html_log_txt2img .comments", has_text="is never closed").wait_for()
    shoot(page, "prompts-refused")


def test_a_person_finds_edits_and_saves_a_wildcard(page: Any, server: Server):
    page.locator("#tabs > .tab-nav button", has_text="loraloom").first.click()
    page.locator("#loraloom_wildcards summary").click()
    frame = page.frame_locator('iframe[title="Wildcards"]')
    frame.locator("#search").fill("kin")
    frame.locator('#count:text-is("1 name")').wait_for()
    frame.locator("#names button").click()
    frame.locator('#said:has-text("kin.txt is open")').wait_for()
    assert frame.locator("#text").input_value() == KIN
    assert set(frame.locator("#draws li").all_inner_texts()) == set(KIN.split())
    frame.locator("#text").fill("quillfox\n{grey|white hen\n")
    frame.locator("#findings li.error").wait_for()
    shoot(page, "wildcards")
    frame.locator("#text").fill("quillfox\n{grey|white} hen\n")
    frame.locator("#findings:not(:has(li))").wait_for(state="attached")
    frame.locator("#save").click()
    frame.locator('#said:has-text("is saved")').wait_for()
    folder = server.data / "loraloom"
    saved = (folder / "wildcards" / "creatures" / "kin.txt").read_text(encoding="utf-8")
    assert saved == "quillfox\n{grey|white} hen\n"
    (folder / "wildcards" / "creatures" / "kin.txt").write_text(KIN, encoding="utf-8")
    (folder / "wildcards" / "away.txt").symlink_to(folder / "theirs.txt")
    for file, code in (("../theirs.txt", "LL785"), ("away.txt", "LL786")):
        frame.locator("#file").fill(file)
        frame.locator("#save").click()
        frame.locator(f'#said.error:has-text("{code}")').wait_for()
        assert (folder / "theirs.txt").read_text(encoding="utf-8") == "theirs\n"
    shoot(page, "wildcards-refused")
