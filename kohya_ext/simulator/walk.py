"""The demo's walk: which commands it runs on the simulated hosts, and what proves each one.

The commands are those that a user types; nothing of theirs is replaced, only the two hosts are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..project import MachineError, Project, open_project
from ..project.epochs import require_run
from ..project.files import write_text_atomic
from ..project.kept_advice import read_advice
from ..project.lora_file import read_header, tensor_sha256
from ..project.pictures import find_pictures
from ..project.process import holding, start
from ..project.wording import counted

TRIGGER_WORD = "Quillfox"
LORA_NAME = "quillfox-v1"
PICTURES = 24
EPOCHS = 6
CHOSEN_EPOCH = 4
SHOWN = 8
START_SECONDS = 60.0

Proof = Callable[[Project], str]


@dataclass(frozen=True)
class DemoFolder:
    """Where the demo puts things; `project` is the LoRA project."""

    root: Path

    @property
    def pictures(self) -> Path:
        return self.root / "collected pictures"

    @property
    def project(self) -> Path:
        return self.root / "quillfox"

    @property
    def tagger(self) -> Path:
        return self.root / "simulated tagger"

    @property
    def base_model(self) -> Path:
        return self.root / "simulated-base.safetensors"

    @property
    def webui(self) -> Path:
        return self.root / "simulated webui"

    @property
    def home(self) -> Path:
        """Settings of the demo, so that the user's own stay as they are."""
        return self.root / "settings"


@dataclass(frozen=True)
class Station:
    """One command of the walk; `proof` returns a sentence, or raises MachineError."""

    words: tuple[str, ...]
    about: str
    proof: Proof

    @property
    def command(self) -> str:
        return self.words[0]


def free_folder(wanted: Path) -> Path:
    """Return `wanted`, or the first of `wanted-2`, `wanted-3` ... that does not exist yet."""
    number, folder = 1, wanted
    while folder.exists() and any(folder.iterdir()):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def prepare(folder: DemoFolder) -> int:
    """Draw the creature's pictures, make the simulated tagger and base model; count pictures."""
    from .base_model import write_base_model
    from .creature import recipes, write_pictures
    from .tagger_model import write_tagger_model

    drawn = write_pictures(folder.pictures, recipes(PICTURES))
    write_tagger_model(folder.tagger)
    write_base_model(folder.base_model)
    return len(drawn)


def fill_manifest(folder: DemoFolder) -> None:
    """Write into the new manifest what a user would: model paths, lengths, template, sizes."""
    path = open_project(folder.project).manifest_path
    text = path.read_text(encoding="utf-8")
    for old, new in _manifest_changes(folder):
        if old not in text:
            raise ValueError(f"the manifest's template has no {old!r}")
        text = text.replace(old, new, 1)
    write_text_atomic(path, text)


def _manifest_changes(folder: DemoFolder) -> tuple[tuple[str, str], ...]:
    return (
        ("  path: ''", f"  path: {json.dumps(str(folder.base_model))}"),
        ("  model: ''", "  model: '../simulated tagger'"),
        ("undesired_tags: [] ", "undesired_tags: [orange_fur, fox_ears, solo, 'quillfox*']"),
        ('preset: "" ', "preset: sd15-locon-24"),
        ("max_train_epochs: 10", f"max_train_epochs: {EPOCHS}"),
        ("seeds: [-1, -1, -1, -1]", "seeds: [11, 12, 13, 14]"),
        ('negative_prompt: ""\n  seeds', 'negative_prompt: "blurry"\n  seeds'),
        (
            '  template: ""                  # empty: a starter set; see: loraloom templates\n',
            "  template: >-\n    ${framing={headshot|upper body|full body|close range}}"
            "{lora} photo of {trigger}, ${framing}, {asleep|smile|calm}, "
            "{0.5::snow|meadow|dusk|night sky}\n",
        ),
        ("checkpoints: [] ", "checkpoints: [simulated-a.safetensors, simulated-b.safetensors]"),
        ("count: 10 ", f"count: {SHOWN}"),
        ('source_link: ""', 'source_link: "drawn by loraloom demo"'),
    )


def stations(folder: DemoFolder, webui_url: str) -> tuple[Station, ...]:
    """Return the walk, in order."""
    project = str(folder.project)
    webui = ("--webui", webui_url)
    return (
        Station(
            ("import", project, str(folder.pictures)),
            "Import new pictures; their subfolders give the roles.",
            _imported,
        ),
        Station(
            ("stage", project),
            "Make the training folders; the number is the repeats per epoch.",
            _staged,
        ),
        Station(
            ("caption", project),
            "Write WD14 tags after the trigger word, without the undesired ones.",
            _captioned,
        ),
        Station(
            ("config", project),
            "Write the json for the Kohya GUI and the toml for sd-scripts.",
            _configured,
        ),
        Station(
            ("check", project, "--trainer", "simulated"),
            "Find problems before the GPU starts.",
            lambda project: "no problems found",
        ),
        Station(
            ("train", project, "--trainer", "simulated"),
            "Train with the simulated trainer: same arguments, output and files, no training.",
            _trained,
        ),
        Station(("epochs", project), "List the epoch files, found by their headers.", _trained),
        Station(
            ("grid", project, *webui),
            "Draw all epochs x four seeds; the first row is without the LoRA.",
            _drawn,
        ),
        Station(
            ("advise", project),
            "Recommend an epoch, from pictures, weights and votes.",
            _advised,
        ),
        Station(
            ("promote", project, str(CHOSEN_EPOCH), LORA_NAME, *webui),
            "Copy the chosen epoch under a simple name; its tensors are unchanged.",
            _promoted,
        ),
        Station(
            ("showcase", project, *webui),
            "Draw a template on two checkpoints, with a different prompt for each picture.",
            _shown,
        ),
        Station(
            ("select", project),
            "Choose at most 20, never two of the same framing next to each other.",
            _selected,
        ),
        Station(
            ("publish", project), "Make everything that a post needs, and a checklist.", _published
        ),
    )


# -- proofs -----------------------------------------------------------------------------------


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise MachineError(
            "LL118",
            f"A step of the demo gave an unexpected result: {what}.",
            "This is a bug in loraloom; please report it with the output above.",
        )


def _imported(project: Project) -> str:
    count = len(list(find_pictures(project.source_dir)))
    _require(count == PICTURES, f"{count} of {PICTURES} pictures are in source/")
    return f"{counted(count, 'picture')} in source/"


def _staged(project: Project) -> str:
    names = sorted(one.name for one in project.images_dir.iterdir() if one.is_dir())
    wanted = [f"2_{TRIGGER_WORD}", f"5_{TRIGGER_WORD}"]
    _require(names == wanted, f"images/ contains {names}")
    _require(
        len(list(find_pictures(project.images_dir))) == PICTURES, "pictures are missing in images/"
    )
    return " and ".join(f"images/{name}" for name in names)


def _captioned(project: Project) -> str:
    prefix = f"photo of {TRIGGER_WORD},"
    for picture in find_pictures(project.images_dir):
        caption = picture.with_suffix(".txt")
        _require(caption.is_file(), f"{picture.name} has no caption")
        text = caption.read_text(encoding="utf-8")
        _require(text.startswith(prefix), f"{caption.name} begins {text[:30]!r}")
        _require("fox ears" not in text, f"{caption.name} contains an undesired tag")
    return f'{PICTURES} captions begin "{prefix}"'


def _configured(project: Project) -> str:
    (path,) = project.config_dir.glob("*.json")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    _require(values["max_train_epochs"] == EPOCHS, f"{path.name} asks for other epochs")
    return f"config/{path.name} with {counted(len(values), 'key')}"


def _trained(project: Project) -> str:
    run = require_run(project.model_dir)
    found = [one.epoch for one in run.epochs]
    _require(found == list(range(1, EPOCHS + 1)), f"the epochs are {found}")
    steps = [one.step or 0 for one in run.epochs]
    _require(steps == sorted(set(steps)) and steps[0] > 0, f"the steps are {steps}")
    return f"{counted(len(found), 'epoch file')}, the last at step {steps[-1]}"


def newest_grid(project: Project) -> Path:
    """Return the folder of the grid that was drawn last."""
    folders = [one for one in project.grids_dir.iterdir() if one.is_dir()]
    return max(folders, key=lambda one: one.stat().st_mtime)


def _drawn(project: Project) -> str:
    folder = newest_grid(project)
    sheets, pages = [*folder.glob("*.png")], [*folder.glob("*.html")]
    _require(len(sheets) == 1 and len(pages) == 1, f"{folder.name} has no sheet or no page")
    cells = len(list(find_pictures(project.cells_dir)))
    wanted = (EPOCHS + 1) * 4
    _require(cells == wanted, f"drawn cells: {cells} of {wanted}")
    return f"{counted(cells, 'picture')}, each checked, on one sheet and one page"


def _advised(project: Project) -> str:
    advice = read_advice(project.root)
    _require(advice is not None and bool(advice.picks), "no epoch was advised")
    assert advice is not None
    run = require_run(project.model_dir)
    named = next(one.epoch for one in run.epochs if one.name == advice.picks[0].name)
    _require(named == CHOSEN_EPOCH, f"epoch {named} was advised: {advice.summary}")
    return f"{advice.picks[0].place} comes first; the last ones are overtrained"


def promoted_file(project: Project) -> Path:
    """Return the LoRA under its simple name."""
    found = [*project.root.rglob(f"{LORA_NAME}.safetensors")]
    _require(bool(found), f"{LORA_NAME}.safetensors is nowhere in the project")
    return min(found, key=lambda one: len(one.parts))


def _promoted(project: Project) -> str:
    path = promoted_file(project)
    run = require_run(project.model_dir)
    chosen = next(one for one in run.epochs if one.epoch == CHOSEN_EPOCH)
    _require(tensor_sha256(path) == tensor_sha256(chosen.path), "the tensors were changed")
    name = read_header(path).metadata["ss_output_name"]
    _require(name == LORA_NAME, f"the header still says {name}")
    return f"{path.name}: the tensors of epoch {CHOSEN_EPOCH}, header and name new"


def _shown(project: Project) -> str:
    count = len(list(find_pictures(project.showcase_dir)))
    _require(count >= 2 * SHOWN, f"{count} of {2 * SHOWN} pictures are in showcase/")
    return f"{counted(count, 'picture')} of two checkpoints in showcase/"


def _selected(project: Project) -> str:
    entry = project.journal.last("select")
    _require(entry is not None, "nothing was selected")
    assert entry is not None
    return f"{counted(int(entry.facts['pictures']), 'picture')} in their order"


def newest_pack(project: Project) -> Path:
    """Return the publish pack that was made last."""
    folders = [one for one in project.publish_dir.iterdir() if one.is_dir()]
    _require(bool(folders), "publish/ is empty")
    return max(folders, key=lambda one: one.stat().st_mtime)


def _published(project: Project) -> str:
    pack = newest_pack(project)
    _require(any(pack.rglob(f"{LORA_NAME}.safetensors")), "the pack contains no LoRA")
    _require(any(pack.rglob("*.md")), "the pack contains no description")
    pictures = [one for one in find_pictures(pack) if b"parameters\0" in one.read_bytes()[:4096]]
    _require(0 < len(pictures) <= 20 + 1, f"with infotext: {counted(len(pictures), 'picture')}")
    return f"publish/{pack.name} with {counted(len(pictures), 'picture')}"


# -- the simulated WebUI -----------------------------------------------------------------------


@contextmanager
def simulated_webui(
    command: tuple[str, ...], folder: DemoFolder, environment: dict[str, str]
) -> Iterator[str]:
    """Run the simulated WebUI as a program of its own while the block lasts; yield its address.

    Raises MachineError when it does not say its address in time.
    """
    folder.webui.mkdir(parents=True, exist_ok=True)
    stdout, stderr = folder.webui / "stdout.txt", folder.webui / "stderr.txt"
    stdout.unlink(missing_ok=True)  # an earlier one said another address in it
    lock = folder.webui / "in-use.lock"  # it goes with us, even if we are killed
    with holding(lock):
        child = start(
            (*command, "simulator", str(folder.webui), "--while-held", str(lock)),
            folder=folder.root,
            environment={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=stdout,
            stderr=stderr,
        )
        try:
            yield _wait_for_address(stdout, lambda: child.poll() is not None, stderr)
        finally:
            child.tree.end()
            child.wait(10)
    lock.unlink(missing_ok=True)


def _wait_for_address(stdout: Path, is_gone: Callable[[], bool], stderr: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not is_gone():
        for line in stdout.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Simulated WebUI on "):
                return line.rpartition(" ")[2]
        time.sleep(0.05)
    said = stderr.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise MachineError(
        "LL119",
        f"The simulated WebUI did not start: {said[-1] if said else 'it printed nothing'}.",
        f"See {stderr}.",
    )
