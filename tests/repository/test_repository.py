"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from module_nodes import ROOT, nodes_of, product_modules

from kohya_ext.cli.dispatch import overview
from kohya_ext.cli.table import COMMANDS
from kohya_ext.project import errors
from kohya_ext.project.error_codes import TITLES

CODE = re.compile(r"\bLL\d{3}\b")


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )


def test_every_code_raised_is_has_a_title():
    used = {
        code
        for path in product_modules()
        if path.name != "error_codes.py"
        for code in re.findall(r"\"(LL\d{3})\"", path.read_text(encoding="utf-8"))
    }
    assert used - set(TITLES) == set()


def test_every_title_belongs_to_a_code_that_is_raised():
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in product_modules()
        if path.name != "error_codes.py"
    )
    assert [code for code in TITLES if f'"{code}"' not in text] == []


def test_a_code_is_always_raised_as_the_same_class():
    kinds = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.ToolError)
    }
    raised: dict[str, set[str]] = {}
    for path in product_modules():
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                code = node.args[0] if node.args else None
                if node.func.id in kinds and isinstance(code, ast.Constant):
                    raised.setdefault(str(code.value), set()).add(node.func.id)
    assert {code: kind for code, kind in raised.items() if len(kind) > 1} == {}
    assert [code for code, kind in raised.items() if kind == {"ToolError"}] == []


def test_no_caller_compares_codes():
    compared = re.compile(r"\.code (==|!=|in|not in) ")
    found = [
        path.name
        for path in sources("kohya_ext/project", "kohya_ext/cli", "kohya_ext/training", "a1111_ext")
        if compared.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_docstrings_name_error_classes_not_codes():
    found = []
    for path in product_modules():
        for node in nodes_of(path):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                text = ast.get_docstring(node) or ""
                found += [f"{path.name}: {node.name}"] * bool(CODE.search(text))
    assert found == []


def test_generated_pages_are_up_to_date():
    result = run_python("scripts/make-docs", "--check")
    assert (result.stdout, result.returncode) == ("", 0)


def test_entry_points_and_fallback_table_agree():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split('[project.entry-points."loraloom.commands"]', 1)[1].split("\n[", 1)[0]
    listed = dict(re.findall(r'^([\w-]+) = "([^"]+)"$', section, flags=re.MULTILINE))
    assert listed == {name: target for _, name, target, _ in COMMANDS}


@pytest.mark.parametrize("name", [name for _, name, _, _ in COMMANDS])
def test_every_command_explains_itself(name: str):
    import click

    from kohya_ext.cli.dispatch import find_command

    command = find_command(name)
    assert isinstance(command, click.Command)
    assert command.help, f"{name} has no help text"


def test_help_imports_nothing_heavy():
    program = (
        "import sys; before = set(sys.modules); from kohya_ext.cli import main; main(['--help']);"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    result = run_python("-S", "-c", program)
    assert result.stdout.strip() == overview()
    roots = {name.partition(".")[0] for name in result.stderr.split()}
    assert roots - {"kohya_ext"} <= set(sys.stdlib_module_names)
    costly = {"typing", "pathlib", "re", "json", "argparse", "importlib.metadata", "logging"}
    assert costly & roots == set()


def test_scripts_holds_no_package():
    """A scripts/__init__.py would break other extensions inside the WebUI."""
    assert not (ROOT / "scripts" / "__init__.py").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_no_machine_path_and_no_index_host():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if tracked.returncode:
        pytest.skip("this copy of the project is not a git checkout")
    wrong = re.compile(r"(^|[\s\"'=(])/(home|root|work|Users)/[a-z]|index-url|find-links")
    found = []
    for name in tracked.stdout.split("\0"):
        path = ROOT / name
        if not name or name == "tests/repository/test_repository.py" or not path.is_file():
            continue
        if path.suffix in (".py", ".md", ".toml", ".json", ".yaml", ".yml", ".txt", ".js", ""):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [name for line in text.splitlines() if wrong.search(line)]
    assert found == []


def test_every_harmless_change_names_a_line_that_is_there():
    """scripts/mutate would otherwise pass over a change that means something by now."""
    known = json.loads((ROOT / "scripts/mutate-equivalents.json").read_text(encoding="utf-8"))
    assert known
    for one in known:
        lines = (ROOT / one["module"]).read_text(encoding="utf-8").splitlines()
        changed = [line for line in one["change"].split("\n") if line.startswith("- ")]
        assert changed
        assert {line[2:] for line in changed} <= {line.strip() for line in lines}, one
        assert one["why"]
