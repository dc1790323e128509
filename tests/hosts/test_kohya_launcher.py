"""Our tab in a real Kohya GUI, walked in Chromium.

LORALOOM_KOHYA_GUI names its folder, LORALOOM_KOHYA_PYTHON its Python where that is not in venv or
.venv, LORALOOM_CHROMIUM the browser, LORALOOM_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from odd_jsons import odd_json

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.gui.hook import install_hook, plan_hook, uninstall_hook
from kohya_ext.gui.host import LAUNCHER, KohyaGui, LaunchPlan, find_kohya_gui, plan_launch
from kohya_ext.gui.views import lora_tab_values
from kohya_ext.project import Project, ToolError, apply_init, open_project, plan_init
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training.config.gui_emulation import gui_call, print_as_gui
from kohya_ext.training.config.kohya_json import GuiVersion, find_problems, keys_of
from kohya_ext.training.run.record import find_runs_in
from kohya_ext.training.trainer import simulated_trainer

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

PATIENCE = 300  # seconds; a busy machine needs a minute to show the page
CHROMIUM_WORDS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def kohya() -> KohyaGui:
    folder = os.environ.get("LORALOOM_KOHYA_GUI")
    if not folder:
        pytest.skip("LORALOOM_KOHYA_GUI names no Kohya GUI's folder")
    python = os.environ.get("LORALOOM_KOHYA_PYTHON")
    return find_kohya_gui(Path(folder), Path(python) if python else None)


@pytest.fixture(scope="session")
def version(kohya: KohyaGui) -> GuiVersion:
    return GuiVersion(kohya.version[:3])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Host:
    """A started GUI: its address, its process, and what it has said so far."""

    def __init__(self, plan: LaunchPlan, port: int, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            plan.command,
            cwd=plan.folder,
            env={
                **os.environ,
                **dict(plan.environment),
                "PYTHONUNBUFFERED": "1",
                "GRADIO_ANALYTICS_ENABLED": "False",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> None:
        """Read on until a line holds `text`."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, "the GUI ended:\n" + "\n".join(self.said)
            if text in line:
                return

    def end(self) -> None:
        if os.name == "posix":
            os.killpg(self.process.pid, signal.SIGTERM)  # gui.sh is the parent of the GUI itself
        else:
            self.process.terminate()
        self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running(plan: LaunchPlan, port: int, **environment: str) -> Iterator[Host]:
    host = Host(plan, port, **environment)
    try:
        host.wait_for("To create a public link")  # said once its own page has answered
        yield host
    finally:
        host.end()


def arguments(port: int) -> tuple[str, ...]:
    return ("--headless", "--listen", "127.0.0.1", "--server_port", str(port))


@pytest.fixture(scope="module")
def home(kohya: KohyaGui, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user folder that remembers the simulated trainer, so that nothing is really trained."""
    folder = tmp_path_factory.mktemp("home")
    settings = {
        "trainer": str(simulated_trainer().folder),
        "trainer_python": str(kohya.python),
        "tagger_model": str(write_tagger_model(folder / "simulated tagger")),
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def slowly(home: Path) -> dict[str, str]:
    """The environment of a GUI whose simulated trainer can be followed."""
    return {"LORALOOM_HOME": str(home), "LORALOOM_SIMULATED_TRAINER": "slow@0.1"}


@pytest.fixture(scope="module")
def host(kohya: KohyaGui, home: Path) -> Iterator[Host]:
    port = free_port()
    with running(plan_launch(kohya, arguments(port)), port, **slowly(home)) as one:
        yield one


@pytest.fixture(scope="session")
def chromium():
    path = os.environ.get("LORALOOM_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no Chromium; LORALOOM_CHROMIUM names one")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_WORDS)
        yield browser
        browser.close()


@contextmanager
def visiting(browser, host: Host):
    """A fresh browser window on the GUI, which must show no error of a script."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE * 1000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(host.url)
    page.get_by_role("tab", name="LoRA", exact=True).first.wait_for()
    yield page
    page.close()
    assert problems == []


@pytest.fixture
def window(chromium, host: Host):
    with visiting(chromium, host) as page:
        yield page


def top_tabs(page) -> list[str]:
    every = page.get_by_role("tablist").first.get_by_role("tab").all_inner_texts()
    return [name.strip() for name in every]


def open_tab(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()


def shoot(page, version: GuiVersion, name: str) -> None:
    folder = os.environ.get("LORALOOM_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"kohya-{version.value}-{name}.png", full_page=True)


def make_project(root: Path, version: GuiVersion) -> Project:
    """Make a project whose config differs from the GUI's defaults where it hurts.

    Another LoRA_type and lr_scheduler than the defaults: their handlers overwrite network_dim,
    conv_dim and lr_warmup in v26 as long as its "Parameters" was never opened.
    """
    project = apply_init(plan_init(root, "Quillfox"))
    base = write_base_model(root / "base.safetensors")
    text = project.manifest_path.read_text(encoding="utf-8")
    settings = (
        f"  kohya_version: {version.value}\n"
        "  overrides: {LoRA_type: LyCORIS/LoCon, network_dim: 24, network_alpha: 12, conv_dim: 16,"
        " conv_alpha: 8, lr_scheduler: linear, lr_warmup: 7, min_bucket_reso: 64}\n"
        '  resolution: "128,128"\n'
    )
    text = text.replace("  path: ''", f"  path: {json.dumps(str(base))}")
    text = text.replace("training:\n", "training:\n" + settings)
    text = text.replace("max_train_epochs: 10", "max_train_epochs: 2")
    project.manifest_path.write_text(text, encoding="utf-8")
    write_pictures(root.parent / "collected", recipes(8))
    return open_project(root)


@pytest.fixture
def fresh(tmp_path: Path, version: GuiVersion) -> Project:
    return make_project(tmp_path / "my quillfox", version)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, version: GuiVersion) -> Project:
    """The same, with its pictures staged."""
    project = make_project(tmp_path_factory.mktemp("walk") / "my quillfox", version)
    apply_import(project, plan_import(project, project.root.parent / "collected"))
    apply_layout(project, plan_layout(project))
    return project


def open_project_in_tab(page, project: Project) -> None:
    open_tab(page, "loraloom")
    page.get_by_label("Project folder", exact=True).fill(str(project.root))
    page.get_by_role("button", name="Open project").click()
    page.get_by_text("is open.").wait_for()


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def run_step(page, name: str) -> None:
    press(page, name)
    page.get_by_text(f"{name}: finished").wait_for()


def test_road_is_walked_to_the_epoch_files(window, fresh: Project, version: GuiVersion):
    open_project_in_tab(window, fresh)
    window.get_by_label("Folder with pictures", exact=True).fill(
        str(fresh.root.parent / "collected")
    )
    run_step(window, "Import")
    run_step(window, "Stage")
    window.get_by_role("cell", name="_Quillfox").first.wait_for()
    run_step(window, "Caption")
    window.get_by_text("photo of Quillfox,").first.wait_for()
    run_step(window, "Config")
    window.get_by_role("cell", name="LyCORIS/LoCon").first.wait_for()
    shoot(window, version, "config")
    run_step(window, "Check")
    window.get_by_text("No problems found: the training can start.").wait_for()
    shoot(window, version, "check")
    press(window, "Train")
    seen = [wait_for_training_step(window, 0)]
    seen.append(wait_for_training_step(window, seen[0]))
    shoot(window, version, "training")
    assert seen[0] < seen[1]
    window.get_by_text("Train: finished").wait_for()
    window.get_by_text("Trained, and every epoch file verified.").wait_for()
    shoot(window, version, "trained")
    assert (fresh.config_dir / "Quillfox.json").is_file()
    names = sorted(path.name for path in fresh.model_dir.glob("*.safetensors"))
    assert names == ["Quillfox-000001.safetensors", "Quillfox.safetensors"]


def wait_for_training_step(page, beyond: int) -> int:
    """Wait until the live bar shows a step after `beyond`, and return it."""
    page.wait_for_function(
        "beyond => [...document.querySelectorAll('progress')].some("
        "one => one.nextElementSibling?.innerText.startsWith('Training ') && one.value > beyond)",
        arg=beyond,
    )
    return int(page.locator("progress").first.evaluate("one => one.value"))


def test_training_outlives_the_gui(
    kohya: KohyaGui, chromium, home: Path, prepared: Project, version: GuiVersion
):
    """Started in one GUI, which is closed; found, and stopped, in the next."""
    port = free_port()
    plan = plan_launch(kohya, arguments(port), prepared.root)
    environment = {**slowly(home), "LORALOOM_SIMULATED_TRAINER": "hang@5"}
    with running(plan, port, **environment) as host:
        with visiting(chromium, host) as page:
            open_tab(page, "loraloom")
            page.get_by_text("is open.").wait_for()
            press(page, "Train")
            wait_for_training_step(page, 1)
        with visiting(chromium, host) as page:  # another window sees it, too
            open_tab(page, "loraloom")
            wait_for_training_step(page, 1)
    (run,) = find_runs_in(prepared.log_dir / "runs")
    assert run.is_running
    port = free_port()
    with (
        running(plan_launch(kohya, arguments(port), prepared.root), port, **environment) as host,
        visiting(chromium, host) as page,
    ):
        open_tab(page, "loraloom")
        page.get_by_text("was started elsewhere").wait_for()
        wait_for_training_step(page, 1)
        press(page, "Stop")
        page.get_by_text("Train: stopped").wait_for()
        shoot(page, version, "stopped")
    (run,) = find_runs_in(prepared.log_dir / "runs")
    assert not run.is_running
    assert run.result is not None


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


def wanted(project: Project, version: GuiVersion) -> dict[str, object]:
    return dict(lora_tab_values(project, tuple(keys_of(version))))


def differences(saved: dict, sent: dict) -> dict[str, tuple[object, object]]:
    known = set(saved) & set(sent)
    assert len(known) == len(sent), set(sent) - known
    return {key: (sent[key], saved[key]) for key in known if sent[key] != saved[key]}


def configuration(page, path: Path):
    """Open Kohya's own Configuration part with `path` typed into its file box."""
    open_tab(page, "LoRA")
    box = page.get_by_label("Load/Save Config file").locator("visible=true").first
    if not box.is_visible():
        page.get_by_role("button", name=re.compile("^Configuration")).locator(
            "visible=true"
        ).first.click()
    box.wait_for()
    box.fill(str(path))
    box.press("Enter")


def save_from_lora_tab(page, path: Path) -> dict:
    """Let Kohya itself save its LoRA tab, and read the file."""
    configuration(page, path)
    with page.expect_response(lambda one: "queue/data" in one.url):
        page.get_by_role("button", name="💾").locator("visible=true").first.click()
    page.wait_for_function("() => true")
    wait_for_file(page, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def wait_for_file(page, path: Path) -> None:
    for _ in range(PATIENCE):
        if path.is_file() and path.read_text(encoding="utf-8").endswith("}"):
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"the GUI did not write {path}")


def test_emitted_json_loads_and_prints_what_we_run(
    window, kohya: KohyaGui, prepared: Project, version: GuiVersion, tmp_path: Path
):
    """Parameters stands open here, as Kohya's own Load needs it in v26."""
    assert main(["config", str(prepared.root)]) == 0
    emitted = prepared.config_dir / "Quillfox.json"
    values = json.loads(emitted.read_text(encoding="utf-8"))
    assert find_problems(values, version) == ()

    configuration(window, emitted)
    window.get_by_role("button", name=re.compile("^Parameters")).locator(
        "visible=true"
    ).first.click()
    window.get_by_label("Network Rank (Dimension)").locator("visible=true").first.wait_for()
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
    window.get_by_role("button", name=re.compile("^Parameters")).locator(
        "visible=true"
    ).first.click()
    window.get_by_label("Network Rank (Dimension)").locator("visible=true").first.wait_for()
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


def assert_prints_what_we_run(page, kohya: KohyaGui, project: Project, version: GuiVersion) -> None:
    """Press Kohya's own "Print training command"; compare its toml and command with ours."""
    shown = project.images_dir.glob("*_*/*.png")
    draws = sum(int(one.parent.name.partition("_")[0]) for one in shown)
    ours = gui_call(wanted(project, version), version, draws)
    path = print_command(page, project.model_dir)
    tomllib = pytest.importorskip("tomllib")
    assert unlike(tomllib.loads(path.read_text(encoding="utf-8")), ours.toml) == {}
    program, _, words = printed_line(page, kohya, path).partition(" ")
    script = kohya.folder / "sd-scripts" / ours.script_name
    assert Path(program).stem == "accelerate"
    assert words == " ".join(("launch", *ours.launch, str(script), "--config_file", str(path)))


def print_command(page, folder: Path, seconds: int = PATIENCE) -> Path:
    """Press "Print training command", and wait for the toml that it writes into `folder`."""
    before = set(folder.glob("config_lora-*.toml"))
    page.get_by_role("button", name="Print training command").locator("visible=true").click()
    for _ in range(seconds * 2):
        for path in set(folder.glob("config_lora-*.toml")) - before:
            if path.stat().st_size:
                return path
        page.wait_for_timeout(500)
    raise AssertionError("the GUI printed no command")


def printed_line(page, kohya: KohyaGui, toml: Path) -> str:
    """Wait for the command with this toml, which the GUI writes a moment after the toml itself."""
    log = kohya.folder / "logs" / "print_command.txt"
    for _ in range(PATIENCE):
        said = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        found = [line for line in said if str(toml) in line]
        if found:
            (line,) = found
            return line
        page.wait_for_timeout(500)
    raise AssertionError(f"{log} names no command with {toml.name}")


def press_load(page) -> None:
    rank = page.get_by_label("Network Rank (Dimension)").locator("visible=true").first
    page.get_by_role("button", name="↩️").locator("visible=true").first.click()
    for _ in range(PATIENCE):
        if rank.input_value() == "24":
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"Network Rank is {rank.input_value()}, not 24")


def unlike(printed: dict, ours: dict) -> dict[str, tuple[object, object]]:
    return {
        key: (ours.get(key), printed.get(key))
        for key in set(printed) | set(ours)
        if comparable(ours.get(key)) != comparable(printed.get(key))
    }


def comparable(value: object) -> object:
    """A browser's json turns 0.0 into 0, so "rank_dropout=0" means what "rank_dropout=0.0" does."""
    if not isinstance(value, list):
        return value
    return [one.removesuffix(".0") if isinstance(one, str) else one for one in value]


def changed_copy(plan: LaunchPlan, copy: Path, old: str, new: str) -> LaunchPlan:
    """Plan the same start with a copy of our packages in whose tab.py `old` is `new`."""
    for package in ("kohya_ext", "dynprompts", "a1111_ext"):
        shutil.copytree(LAUNCHER.parents[2] / package, copy / package)
    tab = copy / "kohya_ext" / "gui" / "tab.py"
    text = tab.read_text(encoding="utf-8")
    assert old in text
    tab.write_text(text.replace(old, new, 1), encoding="utf-8")
    words = [word.replace(str(LAUNCHER.parents[2]), str(copy)) for word in plan.command]
    return replace(plan, command=tuple(words))


def test_reading_back_sees_what_kohya_overwrites(
    kohya: KohyaGui, chromium, home: Path, prepared: Project, version: GuiVersion, tmp_path: Path
):
    """Sent but once, v26 undoes two values; later versions may have fixed that."""
    if version is not GuiVersion.V26:
        pytest.skip("only v26 overwrites fields that were never shown")
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    looks, once = "LOOKS = 3\nPAUSE_SECONDS = 1.0", "LOOKS = 0\nPAUSE_SECONDS = 8.0"
    plan = changed_copy(plan, tmp_path / "copy", looks, once)
    with running(plan, port, **slowly(home)) as host, visiting(chromium, host) as page:
        open_project_in_tab(page, prepared)
        press(page, "Send to LoRA tab")
        page.get_by_text(re.compile(r"^[1-9] of \d+ values did not arrive")).wait_for()


BREAKS = {
    "import": "from ..project.jobs import",
    "layout": "    form = lay_out(",
    "events": "    tab.connect()",
    "fields": "    lora_tab = find_lora_tab",
}
"""Before which words of tab.py something raises."""


@pytest.mark.parametrize("place", list(BREAKS))
def test_gui_starts_without_a_broken_tab(
    kohya: KohyaGui, chromium, tmp_path: Path, place: str, version: GuiVersion
):
    found = BREAKS[place]
    indent = found[: len(found) - len(found.lstrip())]
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    broken = f"{indent}raise RuntimeError('broken on purpose')\n{found}"
    with running(changed_copy(plan, tmp_path / "copy", found, broken), port) as host:
        assert "the GUI starts without it: broken on purpose" in "\n".join(host.said)
        with visiting(chromium, host) as page:
            assert "loraloom" not in top_tabs(page)
            open_tab(page, "LoRA")
            page.get_by_role("button", name="Print training command").first.wait_for()


def api_names(host: Host) -> list[object]:
    """Return what the GUI calls its handlers, in their order: other programs call them by it."""
    config = requests.get(host.url + "config", timeout=PATIENCE).json()
    return [one["api_name"] for one in config["dependencies"]]


def own_start(kohya: KohyaGui, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return how the GUI is started without us: by its own gui.sh, which knows only `venv`."""
    has_own_venv = kohya.python.is_relative_to(kohya.folder / "venv")
    if os.name == "posix" and has_own_venv:
        return ("bash", str(kohya.folder / "gui.sh"), *words)
    return (str(kohya.python), "kohya_gui.py", *words)


def test_stay_survives_kohyas_own_start(kohya: KohyaGui, chromium):
    port = free_port()
    plan = plan_launch(kohya, arguments(port))
    own = own_start(kohya, plan.command[3:])
    stay = plan_hook(kohya)
    install_hook(stay)
    try:
        with running(replace(plan, command=own), port) as host, visiting(chromium, host) as page:
            assert "loraloom" in top_tabs(page)
            with_tab = api_names(host)
        with running(replace(plan, command=own), port, LORALOOM_DISABLE="1") as host:
            assert "loraloom" not in "\n".join(host.said)
            without_tab = api_names(host)
        assert len(without_tab) > 100
        assert with_tab[: len(without_tab)] == without_tab
    finally:
        assert uninstall_hook(stay) == (stay.pth, stay.hook)
    without = Host(replace(plan, command=own), port)
    without.wait_for("Running on local URL")
    without.end()
    assert "loraloom" not in "\n".join(without.said)


def test_no_file_of_the_gui_changes(kohya: KohyaGui, host: Host):
    """The GUI's own checkout is as its git says, but for what the GUI itself writes."""
    assert host.process.poll() is None
    words = ["git", "status", "--porcelain", "--untracked-files=no"]
    answer = subprocess.run(
        words, cwd=kohya.folder, capture_output=True, encoding="utf-8", check=False
    )
    changed = [line for line in answer.stdout.splitlines() if not line.endswith("sd-scripts")]
    assert changed == []
