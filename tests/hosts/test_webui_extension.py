"""The repository as an extension of a real WebUI: script, routes, tab, and parts that break.

LORALOOM_WEBUI_DIR names the WebUI's folder, LORALOOM_WEBUI_PYTHON its Python where that is not in
venv, LORALOOM_BASE_MODEL a checkpoint of the SD 1.5 kind (a .yaml beside it is taken along),
LORALOOM_WEBUI_FLAGS how it is started, LORALOOM_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from a1111_server import Server, add_extension, cut_out, make_data, named, python_of, serving

from a1111_ext.api.infotext import parse_infotext, read_infotext
from a1111_ext.cells.verify import pixels_digest

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

V1 = "/loraloom/v1"
SECONDS = 600
SCRIPT = "LoRA epoch grid"
SIZE = {"width": 64, "height": 64, "steps": 2}
PAGE = {"prompt": "<lora:Quillfox-000001:1> a fox", "sampler_name": "DPM++ 2M", **SIZE}
EPOCHS = ("Quillfox-000001", "Quillfox-000002", "Quillfox")


@pytest.fixture(scope="session")
def webui_dir() -> Path:
    return named("LORALOOM_WEBUI_DIR")


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    return named("LORALOOM_BASE_MODEL")


@pytest.fixture(scope="session")
def packages(webui_dir: Path) -> Any:
    """Tell what is installed beside the WebUI; called before and after."""

    def freeze() -> list[str]:
        words = [str(python_of(webui_dir)), "-m", "pip", "freeze"]
        result = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
        return result.stdout.splitlines()

    return freeze


@pytest.fixture(scope="module")
def server(
    webui_dir: Path, checkpoint: Path, packages: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A WebUI with our extension, and with what was installed before it was first started."""
    data = make_data(tmp_path_factory.mktemp("webui") / "my webui", checkpoint)
    extension = add_extension(data)
    compiling = [str(python_of(webui_dir)), "-m", "compileall", "-q", str(extension)]
    subprocess.run(compiling, check=True)  # as at every start but the first
    before = packages()
    with serving(webui_dir, data) as one:
        one.packages_before = before  # type: ignore[attr-defined]  # for one test alone
        yield one


def get(server: Server, path: str, **more: Any) -> requests.Response:
    return requests.get(server.url + path, timeout=SECONDS, **more)


def post(server: Server, path: str, body: Any, **more: Any) -> requests.Response:
    return requests.post(server.url + path, json=body, timeout=SECONDS, **more)


def script(server: Server, seeds: str, epochs: str = "all", *, control: bool = True) -> Any:
    """Run the script through the host's own API, which runs it as its page does."""
    args = [seeds, epochs, "", control, True]
    body = PAGE | {"script_name": SCRIPT, "script_args": args}
    answer = post(server, "/sdapi/v1/txt2img", body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return [base64.b64decode(one) for one in found["images"]], json.loads(found["info"])


# -- the host takes it ------------------------------------------------------------------------


def test_the_host_takes_the_clone_as_it_is(server: Server):
    assert "Traceback" not in server.log
    assert "loraloom" not in server.log
    scripts = get(server, "/sdapi/v1/scripts").json()
    assert scripts["txt2img"].count(SCRIPT.lower()) == 1
    assert scripts["img2img"].count(SCRIPT.lower()) == 0


def test_nothing_is_added_to_the_hosts_packages(server: Server, packages: Any):
    assert packages() == server.packages_before  # type: ignore[attr-defined]  # see the fixture


def test_its_start_takes_hardly_longer(server: Server):
    """What the host itself measured, as a share of its whole start: 2 to 3 % are 200 ms.

    The tab is part of "create ui", where it costs some 30 ms.
    """
    profile = get(server, "/internal/profile-startup").json()
    ours = {
        name: seconds
        for name, seconds in profile["records"].items()
        if re.search(r"loraloom|extension\.py", name)
    }
    assert "load scripts/loraloom_entry.py" in ours
    assert sum(ours.values()) < 0.03 * profile["total"], ours


# -- the script -------------------------------------------------------------------------------


def test_sheet_and_cells_come_back_with_their_infotexts(server: Server):
    pictures, info = script(server, "5, 7")
    assert len(pictures) == len(info["infotexts"]) == 9
    assert info["index_of_first_image"] == 1
    cells = [parse_infotext(one) for one in info["infotexts"][1:]]
    assert [one.fields["Seed"] for one in cells] == ["5", "7"] * 4
    assert [list(one.lora_hashes()) for one in cells[::2]] == [[], *([one] for one in EPOCHS)]
    assert [read_infotext(one) for one in pictures[1:]] == info["infotexts"][1:]
    assert len({pixels_digest(one) for one in pictures}) == 9


def test_a_cell_is_the_picture_that_the_page_would_draw(server: Server):
    pictures, info = script(server, "5", "2", control=False)
    body = PAGE | {"prompt": "<lora:Quillfox-000002:1> a fox", "seed": 5}
    direct = post(server, "/sdapi/v1/txt2img", body).json()
    assert pixels_digest(base64.b64decode(direct["images"][0])) == pixels_digest(pictures[1])
    assert json.loads(direct["info"])["infotexts"][0] == info["infotexts"][1]


def test_finished_pictures_are_not_drawn_again(server: Server):
    script(server, "11, 12")
    before = len(server.said)
    script(server, "11, 12")
    assert not [one for one in server.said[before:] if "it/s" in one]


def test_cells_have_their_checkpoints_own_vae(server: Server, checkpoint: Path):
    """However it was drawn before: reForge continues with a VAE when none is chosen any more."""
    if get(server, "/sdapi/v1/sd-vae").status_code == 404:
        pytest.skip("its VAEs are modules")
    name = "dark.safetensors"
    cut_out(checkpoint, server.data / "models" / "VAE" / name, "first_stage_model.")
    post(server, "/sdapi/v1/refresh-vae", {}).raise_for_status()
    body, drawn = PAGE | {"seed": 31}, []
    for vae in ("Automatic", name, "Automatic"):
        post(server, "/sdapi/v1/options", {"sd_vae": vae}).raise_for_status()
        answer = post(server, "/sdapi/v1/txt2img", body).json()
        drawn.append(pixels_digest(base64.b64decode(answer["images"][0])))
    assert drawn[0] != drawn[1]
    pictures, _ = script(server, "31", "1", control=False)
    assert pixels_digest(pictures[1]) == drawn[0]


def progress(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = get(server, "/sdapi/v1/progress?skip_current_image=true").json()
    return found


def test_progress_and_interrupt_are_the_hosts_own(server: Server):
    """Interrupt once the third picture is being drawn; then continue with the same seeds.

    So few pictures that Forge without a graphics card draws the rest within the time allowed.
    """
    answers: list[Any] = []
    work = threading.Thread(target=lambda: answers.append(script(server, "21-26")))
    work.start()
    seen: dict[str, Any] = {}
    while work.is_alive() and seen.get("state", {}).get("job_no", 0) < 3:
        seen = progress(server)
    requests.post(server.url + "/sdapi/v1/interrupt", timeout=SECONDS)
    work.join(SECONDS)
    assert seen["state"]["job_count"] == 24
    assert re.fullmatch(rf"{SCRIPT}: picture \d+ of 24", seen["textinfo"])
    pictures, _ = answers[0]
    count = len(pictures) - 1
    assert 2 <= count < 24
    pictures, _ = script(server, "21-26")
    assert len(pictures) == 25


def test_settings_are_as_they_were(server: Server):
    before = get(server, "/sdapi/v1/options").json()
    script(server, "41")
    assert get(server, "/sdapi/v1/options").json() == before


def test_a_lora_without_epochs_is_a_sentence(server: Server):
    body = PAGE | {"prompt": "a fox", "script_name": SCRIPT}
    body["script_args"] = ["5", "all", "", True, True]
    answer = post(server, "/sdapi/v1/txt2img", body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The prompt names no LoRA. Write one ")
    assert "Traceback" not in server.log


# -- the routes -------------------------------------------------------------------------------


def finish(server: Server, body: Any, **more: Any) -> dict[str, Any]:
    """Start a grid and ask until it is at its end."""
    started = post(server, f"{V1}/grids", body, **more)
    assert started.status_code == 200, started.text
    status: dict[str, Any] = started.json()
    pause = threading.Event()
    while status["state"] in ("waiting", "running"):
        pause.wait(0.2)
        status = get(server, status["status"], **more).json()
    return status


BODY = {"prompt": PAGE["prompt"], "seeds": [5, 7], "sampler": "DPM++ 2M", **SIZE}


def test_a_route_draws_the_same_pictures(server: Server):
    status = finish(server, BODY)
    assert (status["state"], status["done"], status["message"]) == ("done", 8, "")
    result = get(server, status["result"]).json()
    pictures, info = script(server, "5, 7")
    assert [one["infotext"] for one in result["cells"]] == info["infotexts"][1:]
    fetched = [get(server, one["picture"]).content for one in result["cells"]]
    assert [pixels_digest(one) for one in fetched] == [pixels_digest(one) for one in pictures[1:]]
    assert get(server, result["sheet"]).headers["content-type"] == "image/png"


def make_project(root: Path, server: Server) -> Path:
    """Make a project with the WebUI's own epochs in it, and let the WebUI enter its folder."""
    from kohya_ext.project import apply_init, plan_init
    from kohya_ext.project.files import link_or_copy

    project = apply_init(plan_init(root, "Quillfox"))
    for one in (server.data / "models" / "Lora" / "foxes").iterdir():
        link_or_copy(one, project.model_dir / one.name)
    text = (
        "format: 1\ntrigger_word: Quillfox\ngrid:\n  seeds: [5, 7]\n"
        "  picture: {width: 64, height: 64, steps: 2}\n"
    )
    project.manifest_path.write_text(text, encoding="utf-8")
    return project.root


def test_a_project_elsewhere_is_refused(server: Server, tmp_path: Path):
    root = make_project(tmp_path / "fox", server)
    answer = post(server, f"{V1}/grids", {"project": str(root)})
    assert (answer.status_code, answer.json()["error"]) == (403, "LL755")
    option = {"loraloom_project_folders": str(root)}
    post(server, "/sdapi/v1/options", option)
    assert post(server, f"{V1}/grids", {"project": str(root)}).status_code == 403


def test_a_broken_request_leaves_the_host_alive(server: Server):
    headers = {"content-type": "application/json"}
    answer = requests.post(f"{server.url}{V1}/grids", data=b"{", headers=headers, timeout=SECONDS)
    assert (answer.status_code, answer.json()["error"]) == (415, "LL764")
    assert get(server, "/internal/ping").status_code == 200


def test_the_hosts_password_is_ours_too(webui_dir: Path, checkpoint: Path, tmp_path: Path):
    data = make_data(tmp_path / "webui", checkpoint)
    add_extension(data)
    with serving(webui_dir, data, "--api-auth", "mira:fox,otto:hen") as server:
        for answer in (get(server, f"{V1}/projects"), post(server, f"{V1}/grids", BODY)):
            assert answer.status_code == 401
        assert get(server, f"{V1}/projects", auth=("otto", "fox")).status_code == 401
        status = finish(server, BODY | {"seeds": [5]}, auth=("otto", "hen"))
        assert (status["state"], status["done"]) == ("done", 4)


# -- the page in the browser ------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    import shutil

    path = os.environ.get("LORALOOM_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no Chromium; LORALOOM_CHROMIUM names one")
    sync_api = pytest.importorskip("playwright.sync_api")
    words = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=words)
        yield browser
        browser.close()


class Window:
    """The host's page in a browser: its boxes by their ids."""

    def __init__(self, browser: Any, server: Server) -> None:
        self.page = browser.new_page(viewport={"width": 1400, "height": 1100})
        self.page.set_default_timeout(1000 * 120)
        self.page.goto(server.url)
        self.page.locator("#txt2img_prompt textarea").wait_for()
        self.page.wait_for_function(
            "() => window.gradioApp && gradioApp().querySelector('#tabs')"
            " && typeof opts !== 'undefined' && opts.samples_save"  # no property of Neo's window
        )
        self.wait_until_filled()

    @property
    def too_long(self) -> type[Exception]:
        from playwright.sync_api import TimeoutError as TooLong

        return TooLong

    def wait_until_filled(self) -> None:
        """Wait while the host fills its own boxes; gradio 4 keeps a stream open for ever."""
        with suppress(self.too_long):
            self.page.wait_for_load_state("networkidle", timeout=8000)

    def shoot(self, name: str) -> None:
        if folder := os.environ.get("LORALOOM_SHOTS"):
            self.page.screenshot(path=Path(folder) / f"webui-{name}.png", full_page=True)

    def open_tab(self, name: str) -> None:
        self.page.locator("#tabs > .tab-nav button", has_text=name).first.click()

    def fill_page(self, prompt: str) -> None:
        self.page.locator("#txt2img_prompt textarea").fill(prompt)
        for name, value in SIZE.items():
            self.page.locator(f"#txt2img_{name} input[type=number]").fill(str(value))
        self.page.locator("#txt2img_script_container #script_list input").click()
        self.page.locator("#txt2img_script_container li", has_text=SCRIPT).click()

    def box(self, name: str) -> Any:
        return self.page.locator(f"#script_lora_epoch_grid_{name} textarea")

    def generate(self) -> None:
        self.page.locator("#txt2img_generate").click()

    def wait_until_done(self) -> None:
        self.page.locator("#html_log_txt2img .performance").wait_for()
        self.page.locator("#txt2img_generate").wait_for()

    @property
    def info(self) -> str:
        """What stands under the gallery."""
        return str(self.page.locator("#html_info_txt2img").first.inner_text())

    def refresh(self) -> None:
        self.page.get_by_role("button", name="Refresh", exact=True).click()

    def choose(self, dropdown: str, text: str) -> None:
        """Choose the first line that holds `text`, once the list has it."""
        box = self.page.locator(f"#{dropdown} input")
        for _ in range(12):
            box.click()
            line = self.page.locator("ul.options li", has_text=text).first
            with suppress(self.too_long):
                line.wait_for(timeout=2500)
                line.click()
                return
            box.blur()
        raise AssertionError(f"no line of {dropdown} holds {text}")


@pytest.fixture
def window(chromium: Any, server: Server) -> Iterator[Window]:
    made = Window(chromium, server)
    yield made
    made.page.close()


def test_a_grid_is_drawn_from_the_page(window: Window):
    window.fill_page(PAGE["prompt"])
    window.box("seeds").fill("51-54")
    window.shoot("script")
    window.generate()
    window.page.locator(
        "#txt2img_results .progress", has_text="LoRA epoch grid: picture"
    ).wait_for()
    window.shoot("progress")
    window.wait_until_done()
    thumbnails = window.page.locator("#txt2img_gallery .thumbnails .thumbnail-item")
    window.shoot("gallery")
    assert thumbnails.count() == 17
    assert 'Grid seeds: "51, 52, 53, 54"' in window.info


def test_interrupt_on_the_page_keeps_what_is_drawn(window: Window):
    window.fill_page(PAGE["prompt"])
    window.box("seeds").fill("100-131")
    window.generate()
    fourth = re.compile(r"picture ([4-9]|\d\d+) of 128")
    window.page.locator("#txt2img_results .progress", has_text=fourth).wait_for()
    window.page.locator("#txt2img_interrupt").click()
    window.wait_until_done()
    window.shoot("interrupted")
    reported = window.page.locator("#html_log_txt2img .comments").last.inner_text()
    assert re.search(r"Interrupted after \d+ of 128 pictures; they are kept\.", reported)
    assert "<lora:Quillfox-000001:1> a fox" in window.info


def test_an_error_is_a_sentence_on_the_page(window: Window):
    window.fill_page("a fox")
    window.generate()
    window.wait_until_done()
    window.shoot("no-lora")
    reported = window.page.locator("#html_log_txt2img .comments").last.inner_text()
    assert reported.startswith(f"{SCRIPT}: The prompt names no LoRA. Write one of its epoch files")


def test_a_grids_own_data_fills_the_boxes(window: Window, server: Server):
    _, info = script(server, "61, 62", "1-2", control=False)
    window.page.locator("#txt2img_prompt textarea").fill(info["infotexts"][0])
    window.page.locator("#paste").first.click()
    window.page.wait_for_function(
        "() => gradioApp().querySelector('#script_lora_epoch_grid_seeds textarea').value"
        " === '61, 62'"
    )
    assert window.box("epochs").input_value() == "1-2"
    assert window.page.locator("#txt2img_script_container #script_list input").input_value() == (
        SCRIPT
    )
    control = window.page.locator("#script_lora_epoch_grid_control input")
    assert not control.is_checked()


def test_the_tab_shows_the_newest_grid(window: Window, server: Server, chromium: Any):
    script(server, "71, 72, 73")
    fresh = Window(chromium, server)
    fresh.open_tab("loraloom")
    frame = fresh.page.frame_locator("#loraloom_frame iframe")
    frame.get_by_text("× 3 seeds").wait_for()
    frame.locator(".cell img").first.wait_for()
    fresh.page.wait_for_timeout(500)
    fresh.shoot("tab")
    fresh.page.close()
    script(server, "74, 75, 76, 77")
    window.open_tab("loraloom")
    window.refresh()
    window.choose("loraloom_grid", "74, 75, 76, 77")  # told apart from the others by its seeds
    window.page.frame_locator("#loraloom_frame iframe").get_by_text("4 seeds").wait_for()


def test_votes_in_the_tab_are_kept_beside_the_grid(window: Window, server: Server, chromium: Any):
    script(server, "81, 82")
    for said in ("0 of", "1 of"):
        fresh = Window(chromium, server)
        fresh.open_tab("loraloom")
        frame = fresh.page.frame_locator("#loraloom_frame iframe")
        frame.get_by_text("× 2 seeds").wait_for()
        frame.locator("#vote-button").click()
        frame.locator("#vote .progress", has_text=said).wait_for()
        with fresh.page.expect_response(
            lambda one: one.request.method == "POST" and one.url.endswith("/grid.html")
        ) as sent:
            frame.locator('.answers [data-vote="left"]').click()
        assert sent.value.status == 200
        fresh.page.close()


def test_projects_are_named_in_the_settings(window: Window, server: Server, tmp_path: Path):
    root = make_project(tmp_path / "my loras" / "fox", server)
    window.open_tab("Settings")
    window.page.locator("#settings button", has_text="loraloom").first.click()
    window.page.locator("#setting_loraloom_project_folders textarea").fill(str(root.parent))
    window.shoot("settings")
    window.page.locator("#settings_submit").click()
    window.page.locator("#settings_result", has_text="loraloom_project_folders").first.wait_for()
    status = finish(server, {"project": str(root)})
    assert (status["state"], status["done"]) == ("done", 8), status
    window.open_tab("loraloom")
    window.refresh()
    window.choose("loraloom_project", "fox")
    window.page.locator("#loraloom_facts", has_text="Quillfox").first.wait_for()
    frame = window.page.frame_locator("#loraloom_frame iframe")
    frame.locator(".cell img").first.wait_for()
    window.page.wait_for_timeout(500)
    window.shoot("project")
    assert get(server, f"{V1}/projects").json()["projects"][0]["name"] == "fox"


# -- broken on purpose ------------------------------------------------------------------------


PARTS = {
    "script": "a1111_ext/webui/script.py",
    "dynamic prompts": "a1111_ext/webui/dynamic_script.py",
    "settings": "a1111_ext/webui/settings.py",
    "tab": "a1111_ext/screens/page.py",
    "routes": "a1111_ext/webui/routes.py",
}


@pytest.mark.parametrize("part", PARTS)
def test_the_host_starts_and_says_what_is_broken(
    webui_dir: Path, checkpoint: Path, tmp_path: Path, part: str, chromium: Any
):
    data = make_data(tmp_path / "webui", checkpoint)
    broken = add_extension(data) / PARTS[part]
    broken.write_text("raise RuntimeError('the disk ate this file')\n", encoding="utf-8")
    sentence = f"The {part} of loraloom could not be built: RuntimeError: the disk ate this file"
    with serving(webui_dir, data) as server:
        assert sentence in server.log
        assert post(server, "/sdapi/v1/txt2img", PAGE | {"prompt": "a fox"}).status_code == 200
        window = Window(chromium, server)
        window.open_tab("loraloom")
        window.page.locator("#tab_loraloom", has_text=sentence).wait_for()
        window.shoot(f"broken-{part}")
        window.page.close()
        has_script = SCRIPT.lower() in get(server, "/sdapi/v1/scripts").json()["txt2img"]
        assert has_script is (part != "script")


def test_an_entry_that_cannot_be_read_leaves_the_host_alone(
    webui_dir: Path, checkpoint: Path, tmp_path: Path
):
    data = make_data(tmp_path / "webui", checkpoint)
    (add_extension(data) / "dynprompts" / "__init__.py").write_text("(", encoding="utf-8")
    with serving(webui_dir, data) as server:
        assert "Error loading script: loraloom_entry.py" in server.log
        assert post(server, "/sdapi/v1/txt2img", PAGE | {"prompt": "a fox"}).status_code == 200


def test_a_broken_route_answers_in_words(webui_dir: Path, checkpoint: Path, tmp_path: Path):
    data = make_data(tmp_path / "webui", checkpoint)
    broken = add_extension(data) / "a1111_ext" / "webui" / "service.py"
    broken.write_text("raise RuntimeError('the disk ate this file')\n", encoding="utf-8")
    with serving(webui_dir, data) as server:
        for answer in (
            get(server, f"{V1}/projects"),
            get(server, f"{V1}/grids"),
            post(server, f"{V1}/grids", BODY),
            get(server, f"{V1}/grids/x"),
            post(server, f"{V1}/grids/x/stop", {}),
            get(server, f"{V1}/grids/x/result"),
            get(server, f"{V1}/grids/x/files/sheet.png"),
        ):
            assert answer.status_code == 500
            assert answer.json()["errors"] == "the disk ate this file"
        assert post(server, "/sdapi/v1/txt2img", PAGE | {"prompt": "a fox"}).status_code == 200
