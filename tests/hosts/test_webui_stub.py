"""The stub of the WebUI's modules promises only what a real checkout has.

LORALOOM_WEBUI_DIR names the folder of A1111 or of Forge; both keep all promises.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from a1111_server import named

pytestmark = pytest.mark.host

STUB = Path(__file__).resolve().parents[1] / "fixtures" / "stub_webui"
FILES = sorted(one.relative_to(STUB).as_posix() for one in STUB.rglob("*.py"))
LORA = ("extensions-builtin/Lora", "extensions-builtin/sd_forge_lora")
"""Where A1111 and Forge keep the built-in extension that `networks` belongs to."""

SETTINGS = "modules/shared_options.py modules/processing_scripts/comments.py"


@pytest.fixture(scope="module")
def webui_dir() -> Path:
    return named("LORALOOM_WEBUI_DIR")


@pytest.fixture(scope="module")
def lora_dir(webui_dir: Path) -> Path:
    return next(webui_dir / one for one in LORA if (webui_dir / one).is_dir())


@dataclass(frozen=True)
class Names:
    """What a module or class has: its names, and the parameters of its functions."""

    names: frozenset[str]
    parameters: dict[str, ast.arguments]


def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names_of(body: list[ast.stmt]) -> Names:
    """Return what the statements of a module or class bind; nested blocks count."""
    names: set[str] = set()
    parameters: dict[str, ast.arguments] = {}
    for one in body:
        match one:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(one.name)
                parameters[one.name] = one.args
            case ast.ClassDef():
                names.add(one.name)
            case ast.Import() | ast.ImportFrom():
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in one.names}
            case ast.Assign():
                names |= {name for target in one.targets for name in stored_in(target)}
            case ast.AnnAssign():
                names |= stored_in(one.target)
            case _:
                names |= stored_in(one)
    return Names(frozenset(names), parameters)


def stored_in(node: ast.AST) -> set[str]:
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def members_of(classes: dict[str, ast.ClassDef], name: str) -> Names:
    """Return what a class and its bases of the same file have, `self.x` included."""
    one = classes[name]
    found = names_of(one.body)
    names = set(found.names) | {
        node.attr
        for node in ast.walk(one)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    parameters = dict(found.parameters)
    for base in one.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            above = members_of(classes, base.id)
            names |= above.names
            parameters = above.parameters | parameters
    return Names(frozenset(names), parameters)


def classes_of(module: ast.Module) -> dict[str, ast.ClassDef]:
    return {one.name: one for one in module.body if isinstance(one, ast.ClassDef)}


def words(arguments: ast.arguments) -> list[str]:
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def needed(arguments: ast.arguments) -> list[str]:
    """Return the parameters that have no default."""
    plain = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    return plain[: len(plain) - len(arguments.defaults)]


def unkept(stub: Names, real: Names, where: str) -> list[str]:
    """Return every promise that the real source does not keep."""
    broken = [
        f"{where}.{name}" for name in sorted(stub.names - real.names) if not name.startswith("_")
    ]
    for name in sorted(set(stub.parameters) & set(real.parameters)):
        mine, theirs = words(stub.parameters[name]), words(real.parameters[name])
        broken += [f"{where}.{name}({one})" for one in mine if one not in theirs]
        broken += [
            f"{where}.{name} needs {one}"
            for one in needed(real.parameters[name])
            if one not in mine
        ]
        common = [one for one in theirs if one in mine]
        if not broken and common != mine:
            broken.append(f"{where}.{name} has its parameters in another order")
    return broken


@pytest.mark.parametrize("name", FILES)
def test_every_name_and_parameter_is_the_hosts(webui_dir: Path, lora_dir: Path, name: str):
    folder = lora_dir if name == "networks.py" else webui_dir
    stub, real = read(STUB / name), read(folder / name)
    own = [one for one in stub.body if not isinstance(one, (ast.Import, ast.ImportFrom))]
    broken = unkept(names_of(own), names_of(real.body), name)
    mine, theirs = classes_of(stub), classes_of(real)
    for one in mine:
        if not one.startswith("_"):
            broken += unkept(members_of(mine, one), members_of(theirs, one), f"{name}:{one}")
    assert broken == []


def test_flags_and_settings_are_the_hosts(webui_dir: Path, lora_dir: Path):
    stub = read(STUB / "modules" / "shared.py")
    flags = [
        keyword.arg
        for node in ast.walk(stub)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SimpleNamespace"
        for keyword in node.keywords
        if keyword.arg and keyword.arg != "name"
    ]
    settings = next(
        node.value
        for node in stub.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_SETTINGS"
    )
    assert isinstance(settings, ast.Dict)
    keys = [ast.literal_eval(one) for one in settings.keys if one is not None]
    named_flags = (webui_dir / "modules" / "cmd_args.py").read_text(encoding="utf-8") + (
        lora_dir / "preload.py"
    ).read_text(encoding="utf-8")
    texts = "".join(
        path.read_text(encoding="utf-8")
        for path in (
            *(webui_dir / one for one in SETTINGS.split()),
            lora_dir / "scripts" / "lora_script.py",
        )
    )
    assert flags
    assert keys
    known = set(re.findall(r"""["']--([\w-]+)["']""", named_flags))
    assert {one.replace("_", "-") for one in flags} - known == set()
    foreign = {"wildcard_dir"}  # of the extension Dynamic Prompts
    if (webui_dir / "ldm_patched").is_dir():  # reForge takes comments out whatever is set
        foreign.add("enable_prompt_comments")
    assert [one for one in keys if f'"{one}"' not in texts and one not in foreign] == []
