"""The trainer on this machine: a folder of sd-scripts and the Python that runs it.

Found through a path, the settings, or a Kohya GUI (its sd-scripts folder); installed by us as a
git checkout, since the pip package of sd-scripts has its library only and no training scripts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from importlib import resources
from pathlib import Path

from ..project import (
    MachineError,
    MissingError,
    Progress,
    ProgressHandler,
    read_settings,
    silent,
    user_folder,
)
from ..project.addresses import require_no_password
from ..project.files import write_text_atomic
from ..project.home import expand_home, home_folder
from ..project.json_reader import parse_json, read_beginning
from ..project.settings import write_setting

SCRIPT = "train_network.py"
REPOSITORY = "https://github.com/kohya-ss/sd-scripts"
PINNED_TAG = "v0.11.1"
"""The release of sd-scripts that the newest Kohya GUI pins."""

_INSTALLED_MARK = ".loraloom-installed"
_ENVIRONMENTS = ("venv", ".venv")
"""The Kohya GUI's gui.sh makes `venv`, gui-uv.sh makes `.venv`."""
_PROBE_SECONDS = 60


class TrainerSource(str, Enum):
    """How the trainer was found."""

    PATH = "given by path"
    SETTINGS = "remembered"
    KOHYA_GUI = "inside the Kohya GUI"
    INSTALLED = "installed by loraloom"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Trainer:
    """A folder with sd-scripts' training scripts and the Python that has its packages."""

    folder: Path
    python: Path
    origin: TrainerSource

    @property
    def is_simulated(self) -> bool:
        """Whether it only stands in for sd-scripts."""
        return (self.folder / "SIMULATOR.md").is_file()

    def script(self, name: str) -> Path:
        """Return a training script; raises MissingError when this sd-scripts has none such."""
        path = self.folder / name
        if not path.is_file():
            raise MissingError("LL351", f"{self.folder} has no {name}.", too_old(self.folder, name))
        return path


@dataclass(frozen=True)
class Environment:
    """What the trainer's Python has: versions by package, None where it is missing.

    `changed` says when a package's folder changed last, in nanoseconds.
    """

    python_version: str
    packages: Mapping[str, str | None]
    sd_scripts_version: str
    changed: Mapping[str, int] = field(default_factory=dict)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are not installed."""
        return [name for name in names if self.packages.get(name) is None]


def simulated_trainer() -> Trainer:
    """Return the simulator that comes with loraloom."""
    folder = Path(str(resources.files("kohya_ext") / "simulator" / "sd_scripts"))
    return Trainer(folder, Path(sys.executable), TrainerSource.SIMULATED)


def find_trainer() -> Trainer | None:
    """Return the trainer of this machine: remembered, of the Kohya GUI, or installed by us."""
    settings = read_settings()
    if settings.trainer:
        python = Path(settings.trainer_python) if settings.trainer_python else None
        return trainer_at(Path(settings.trainer), python, TrainerSource.SETTINGS)
    for root, origin in _candidates(settings.kohya_gui):
        folder = _scripts_folder(root)
        python = own_python(root) or (own_python(folder) if folder else None)
        if folder and python:
            return Trainer(folder, python, origin)
    return None


def require_trainer() -> Trainer:
    """Return this machine's trainer.

    Raises MissingError (none found; no sd-scripts there; no Python).
    """
    found = find_trainer()
    if found is None:
        kohya = read_settings().kohya_gui
        if kohya and is_kohya_gui(Path(kohya)) and _scripts_folder(Path(kohya)) is None:
            raise _without_scripts(Path(kohya))
        raise MissingError(
            "LL350",
            "No trainer is known on this machine.",
            "Name your Kohya GUI or sd-scripts folder once: loraloom trainer use FOLDER; "
            "or install sd-scripts: loraloom trainer install",
        )
    return found


def trainer_at(
    path: Path, python: Path | None = None, origin: TrainerSource = TrainerSource.PATH
) -> Trainer:
    """Return the trainer in `path`: sd-scripts itself, or a Kohya GUI that holds it.

    Raises MissingError (no sd-scripts there; no Python that goes with it).
    """
    root = expand_home(path).absolute()
    folder = _scripts_folder(root)
    if folder is None and is_kohya_gui(root):
        raise _without_scripts(root)
    if folder is None:
        raise MissingError(
            "LL351",
            f"{root} contains no sd-scripts: there is no {SCRIPT} in it or in its sd-scripts "
            "folder.",
            "Give the folder that contains train_network.py, or your Kohya GUI's folder.",
        )
    if (folder / "SIMULATOR.md").is_file():
        return Trainer(folder, python or Path(sys.executable), TrainerSource.SIMULATED)
    if python is None:
        found = next(filter(None, map(own_python, (root, folder, folder.parent))), None)
    else:
        found = expand_home(python).absolute()
    if found is None or not found.is_file():
        raise MissingError(
            "LL352",
            f"No Python was found for the trainer in {root}"
            + (f": {found} does not exist." if found else ": it has neither venv nor .venv."),
            "Run its setup first, or give its Python: --python FILE",
        )
    return Trainer(folder, found, origin)


def use_trainer(path: Path, python: Path | None = None) -> Trainer:
    """Remember the trainer in `path` for this machine; raises MissingError."""
    found = trainer_at(path, python)
    write_setting("trainer", str(found.folder))
    write_setting("trainer_python", str(found.python))
    return found


def is_kohya_gui(root: Path) -> bool:
    """Tell whether a folder is a Kohya GUI, with or without its trainer."""
    return (root / "kohya_gui.py").is_file()


def _without_scripts(root: Path) -> MissingError:
    """Return the error for a Kohya GUI without its trainer, as a zip of it or a plain clone is."""
    return MissingError(
        "LL351",
        f"The Kohya GUI in {root} has no sd-scripts yet: there is no {SCRIPT} in its sd-scripts "
        "folder.",
        "Run its setup (after git clone: git submodule update --init), name another sd-scripts "
        "folder: loraloom trainer use FOLDER; or install sd-scripts: loraloom trainer install",
    )


def _scripts_folder(root: Path) -> Path | None:
    for folder in (root, root / "sd-scripts"):
        if (folder / SCRIPT).is_file():
            return folder
    return None


def _candidates(kohya_gui: str) -> Iterator[tuple[Path, TrainerSource]]:
    usual = [home_folder() / name for name in ("kohya_ss", "Kohya_ss")]
    for root in ([Path(kohya_gui)] if kohya_gui else []) + usual:
        yield root, TrainerSource.KOHYA_GUI
    installed = install_folder()
    if (installed / _INSTALLED_MARK).is_file():
        yield installed, TrainerSource.INSTALLED


def own_python(root: Path) -> Path | None:
    """Return the Python of the virtual environment that the hosts' setups make in `root`."""
    inside = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
    candidates = (root / name / inside for name in _ENVIRONMENTS)
    return next((one for one in candidates if one.is_file()), None)


_PROBE = """
import importlib.util, json, os, sys
from importlib import metadata
found, changed = {}, {}
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    version = None
    if spec is not None:
        try:
            owners = metadata.packages_distributions().get(name, [name])
            version = metadata.version(owners[0])
        except (metadata.PackageNotFoundError, AttributeError):
            version = "?"
        if spec.origin and os.path.exists(spec.origin):
            changed[name] = os.stat(os.path.dirname(spec.origin)).st_mtime_ns
    found[name] = version
print(json.dumps({"python": sys.version.split()[0], "packages": found, "changed": changed}))
"""


def probe(trainer: Trainer, packages: Sequence[str]) -> Environment:
    """Ask the trainer's Python which packages it has, importing none of them (about 0.3 s).

    Raises MissingError when that Python gives no answer.
    """
    command = [str(trainer.python), "-c", _PROBE, *packages]
    try:
        answer = subprocess.run(
            command,
            cwd=trainer.folder,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        data = parse_json(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MissingError(
            "LL352",
            f"{trainer.python} gives no answer: {error}.",
            "Check that this Python runs, or name another with `loraloom trainer use`.",
        ) from error
    version = scripts_version(trainer.folder)
    return Environment(data["python"], data["packages"], version, data["changed"])


@lru_cache(maxsize=8)
def scripts_version(folder: Path) -> str:
    """Return what git says of the checkout (`v0.10.1-5-g48d368fa`), or what its files say."""
    if (folder / "SIMULATOR.md").is_file():
        return "simulated"
    mark = folder / _INSTALLED_MARK
    if mark.is_file():
        return read_beginning(mark).strip()
    git = ["git", "-C", str(folder), "describe", "--tags", "--always"]
    try:
        answer = subprocess.run(git, capture_output=True, timeout=20, check=True)
        return answer.stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def argument_table(folder: Path) -> str:
    """Return which recorded list of arguments fits this sd-scripts: `main` is v0.10.1.

    v0.10 brought the other model families, v0.11 its own LoHa: their files tell them apart unrun.
    """
    if (folder / "networks" / "loha.py").is_file():
        return "v0.11.1"
    return "main" if (folder / "flux_train_network.py").is_file() else "v0.9.1"


_SINCE = {
    "anima_train_network.py": "v0.10.1",
    "networks.loha": "v0.11.0",
    "networks.lokr": "v0.11.0",
    "train_inpainting": "v0.10.4",
    **dict.fromkeys(
        (
            "flux_train_network.py", "sd3_train_network.py", "lumina_train_network.py",
            "hunyuan_image_train_network.py", "networks.lora_flux", "networks.lora_sd3",
        ),
        "v0.10.0",
    ),
}  # fmt: skip
"""Which release of sd-scripts brought a script, module or argument, as its own history says."""


def too_old(folder: Path, name: str) -> str:
    """Say which sd-scripts lies in `folder`, which one brought `name`, and which one we install."""
    since = f"{name} came with {_SINCE[name]}, and " if name in _SINCE else ""
    return (
        f"{since}{scripts_version(folder)} is in {folder}; "
        f"`loraloom trainer install` takes {PINNED_TAG}."
    )


def install_folder() -> Path:
    """Return where `trainer install` puts sd-scripts."""
    return user_folder() / "trainer" / "sd-scripts"


@dataclass(frozen=True)
class InstallStep:
    """One command of an installation and the folder to run it in."""

    title: str
    command: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class InstallPlan:
    """How sd-scripts gets onto this machine: a clone, its own environment, its packages."""

    folder: Path
    tag: str
    python: Path
    steps: tuple[InstallStep, ...]


def plan_install(
    *,
    tag: str = PINNED_TAG,
    repository: str = REPOSITORY,
    python: Path | None = None,
    torch_from: str = "",
) -> InstallPlan:
    """Plan a clone of sd-scripts at `tag` with its own environment; finished steps are left out.

    `torch_from` is the address of the PyTorch builds for your graphics card. Raises InputError for
    an address with a password.
    """
    require_no_password(repository, "of sd-scripts", "Let git keep it: git credential approve")
    require_no_password(torch_from, "of PyTorch", "Write it into pip's own settings or ~/.netrc.")
    folder = install_folder()
    own = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    new_python = own / ("python.exe" if os.name == "nt" else "python")
    base = python or Path(sys.executable)
    steps: list[InstallStep] = []
    mark = folder / _INSTALLED_MARK
    if (folder / SCRIPT).is_file() and mark.is_file():
        if read_beginning(mark).strip() != tag:
            fetch = ("git", "fetch", "--depth", "1", repository, "tag", tag)
            steps.append(InstallStep(f"fetching sd-scripts {tag}", fetch, folder))
            checkout = ("git", "checkout", "--force", tag)
            steps.append(InstallStep(f"changing to sd-scripts {tag}", checkout, folder))
    elif not (folder / SCRIPT).is_file():
        clone = ("git", "clone", "--depth", "1", "--branch", tag, repository, str(folder))
        steps.append(InstallStep(f"cloning sd-scripts {tag}", clone, folder.parent))
    if not new_python.is_file():
        make = (str(base), "-m", "venv", str(folder / "venv"))
        steps.append(InstallStep("making its environment", make, folder.parent))
    pip = (str(new_python), "-m", "pip", "install", "--disable-pip-version-check")
    source = ("-i", torch_from) if torch_from else ()
    steps.append(InstallStep("installing PyTorch", (*pip, "torch", "torchvision", *source), folder))
    needs = (*pip, "-r", "requirements.txt")
    steps.append(InstallStep("installing its packages", needs, folder))
    return InstallPlan(folder, tag, new_python, tuple(steps))


def run_step(step: InstallStep) -> int:
    """Run one step in the foreground, its output on stderr; return the exit code."""
    try:
        return subprocess.run(
            step.command, cwd=step.folder, stdout=sys.stderr, check=False
        ).returncode
    except OSError as error:
        raise MachineError(
            "LL354",
            f"{step.command[0]} cannot be started: {error.strerror}.",
            "Install git and Python, then run the same command again.",
        ) from error


def apply_install(
    plan: InstallPlan,
    *,
    run: Callable[[InstallStep], int] = run_step,
    progress: ProgressHandler = silent,
) -> Trainer:
    """Carry out an installation and remember the trainer; run again, it continues where it ended.

    Raises MachineError naming the step that failed.
    """
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(plan.steps):
        progress(Progress("Installing", number, len(plan.steps), step.title))
        code = run(step)
        if code:
            raise MachineError(
                "LL354",
                f"Installing sd-scripts failed while {step.title} (exit code {code}).",
                "The messages above say why; run the same command again to continue from here.",
            )
    progress(Progress("Installing", len(plan.steps), len(plan.steps)))
    write_text_atomic(plan.folder / _INSTALLED_MARK, plan.tag + "\n")
    scripts_version.cache_clear()
    return use_trainer(plan.folder)
