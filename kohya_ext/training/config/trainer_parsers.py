"""The arguments of the sd-scripts on disk, read from its source without running it.

Its parsers are built by calls of add_argument in functions that call each other; those are
followed through the modules of the folder. What cannot be read there is left to the recorded list.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...project.json_reader import read_text

Row = list[Any]
"""Type, nargs, and the choices where there are any."""

_KNOWN_TYPES = ("int", "float", "str", "int_or_float", "Path")


@dataclass
class _Module:
    """One source file: its functions, and which modules its names stand for."""

    path: Path
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    names: dict[str, tuple[str, str]] = field(default_factory=dict)


@lru_cache(maxsize=32)
def read_arguments(folder: Path, script: str) -> Mapping[str, Row] | None:
    """Return the arguments of one training script by name, or None where they cannot be read."""
    try:
        found = dict(_calls(folder, script, "setup_parser", set()))
    except (OSError, SyntaxError, ValueError):
        return None
    return found if "pretrained_model_name_or_path" in found else None


def _calls(
    folder: Path, module: str, function: str, seen: set[tuple[str, str]]
) -> Iterator[tuple[str, Row]]:
    """Yield what a function adds, with what the functions add that it calls."""
    source = _read(folder, module)
    if source is None or function not in source.functions or (module, function) in seen:
        return
    seen.add((module, function))
    for call in _in_order(source.functions[function]):
        target = call.func
        if isinstance(target, ast.Attribute) and target.attr == "add_argument":
            row = _argument(call, source)
            if row:
                yield row
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            other, member = source.names.get(target.value.id, ("", ""))
            place = f"{other}.{member}" if member else other
            yield from _calls(folder, place, target.attr, seen)
        elif isinstance(target, ast.Name):
            other, member = source.names.get(target.id, (module, target.id))
            yield from _calls(folder, other, member or target.id, seen)


def _in_order(function: ast.FunctionDef) -> Iterator[ast.Call]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    yield from sorted(calls, key=lambda call: (call.lineno, call.col_offset))


@lru_cache(maxsize=64)
def _read(folder: Path, module: str) -> _Module | None:
    path = folder / f"{module.replace('.', '/')}.py"
    if not module or not path.is_file():
        return None
    found = _Module(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # theirs to fix, not the user's to read
        warnings.simplefilter("ignore", DeprecationWarning)  # the same before Python 3.12
        tree = ast.parse(read_text(path))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.functions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.constants[node.targets[0].id] = _literal(node.value, found)
        elif isinstance(node, ast.Import):
            for one in node.names:
                found.names[one.asname or one.name] = (one.name, "")
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                found.names[one.asname or one.name] = (node.module, one.name)
    return found


def _argument(call: ast.Call, source: _Module) -> tuple[str, Row] | None:
    names = [_literal(one, source) for one in call.args]
    flags = [str(one) for one in names if isinstance(one, str) and one.startswith("--")]
    if not flags:
        return None
    words = {one.arg: one.value for one in call.keywords if one.arg}
    dest = _literal(words["dest"], source) if "dest" in words else flags[0][2:].replace("-", "_")
    if "action" in words:
        return str(dest), ["bool", None]
    kind = words.get("type")
    name = kind.id if isinstance(kind, ast.Name) else "str"
    row: Row = [name if name in _KNOWN_TYPES else "str"]
    row.append(_literal(words["nargs"], source) if "nargs" in words else None)
    choices = _literal(words["choices"], source) if "choices" in words else None
    return str(dest), [*row, list(choices)] if choices else row


def _literal(node: ast.expr, source: _Module) -> Any:
    """Return the value of a constant expression, or None."""
    if isinstance(node, ast.Name):
        return source.constants.get(node.id)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(one, source) for one in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _literal(node.left, source), _literal(node.right, source)
        return left + right if isinstance(left, list) and isinstance(right, list) else None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
