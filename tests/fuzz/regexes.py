"""Every regular expression of the product, and texts made to slow each one down.

Patterns that a module keeps are taken from the imported module, also out of its tables; those
that stand in a call, or in a module that only a host can import, are taken from its source.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as sre_constants
    from re import _parser as sre_parse
else:
    import sre_constants
    import sre_parse

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dynprompts", "kohya_ext", "a1111_ext")
ANCHORED = ("match", "fullmatch")
MANY = sre_constants.MAXREPEAT

Tree = Sequence[tuple[Any, Any]]


def product_parts() -> dict[str, list[Path]]:
    """Return the product's modules, by package and what is directly in it."""
    parts: dict[str, list[Path]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts.setdefault("/".join(path.relative_to(ROOT).parts[:2]), []).append(path)
    return parts


def product_patterns(modules: Iterable[Path]) -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Return each pattern by where it stands, and whether it is only tried at one place."""
    found: dict[tuple[Any, int, bool], str] = {}
    for path in modules:
        for name, pattern, is_anchored in _of_module(path):
            found.setdefault((pattern.pattern, pattern.flags, is_anchored), name)
    return {
        f"{name} {number}": (re.compile(pattern, flags), is_anchored)
        for number, ((pattern, flags, is_anchored), name) in enumerate(found.items())
    }


@cache
def _of_module(path: Path) -> tuple[tuple[str, re.Pattern[Any], bool], ...]:
    return tuple(_found_in(path))


def _found_in(path: Path) -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    place, text = path.relative_to(ROOT), path.read_text(encoding="utf-8")
    if "import re\n" not in text:  # to parse all modules takes seconds
        return
    nodes = list(ast.walk(tree := ast.parse(text)))
    if not any(isinstance(one, ast.Import) and one.names[0].name == "re" for one in tree.body):
        return
    module = _import(".".join(place.with_suffix("").parts))
    searched, anchored = _uses(nodes)
    for name, value in vars(module).items() if module else ():
        for pattern in _patterns_in(value):
            is_anchored = name in anchored and name not in searched
            yield f"{place.as_posix()} {name}", pattern, is_anchored
    bound = {id(one.value): one.attr for one in nodes if isinstance(one, ast.Attribute)}
    kept = {id(one.value): one.targets[0] for one in nodes if isinstance(one, ast.Assign)}
    for call in nodes:
        if _is_of_re(call) and not isinstance(kept.get(id(call)), ast.Name):
            pattern = _evaluated(call, vars(module) if module else {})
            if pattern is not None:
                how = bound.get(id(call), call.func.attr)
                yield f"{place.as_posix()}:{call.lineno}", pattern, how in ANCHORED


def _import(name: str) -> ModuleType | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:  # gradio, or a host's own modules
            return None


def _uses(nodes: list[ast.AST]) -> tuple[set[str], set[str]]:
    """Return the names on which a method that looks everywhere, or at one place, is called."""
    searched, anchored = set(), set()
    for one in nodes:
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
            (anchored if one.attr in ANCHORED else searched).add(one.value.id)
    return searched, anchored


def _patterns_in(value: object, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 3 and isinstance(value, Mapping):
        for one in (*value, *value.values()):
            yield from _patterns_in(one, depth + 1)
    elif depth < 3 and isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _patterns_in(one, depth + 1)


def _is_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr != "escape"
        and bool(node.args)
    )


class _Fill(ast.NodeTransformer):
    """Put a letter in the place of what is only known when the code runs."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        try:
            value = eval(compile(ast.Expression(node.value), "", "eval"), dict(self._names))
        except Exception:  # noqa: BLE001 - a local name
            value = "x"
        return ast.Constant(str(value))


def _evaluated(call: ast.Call, names: Mapping[str, Any]) -> re.Pattern[Any] | None:
    """Return the pattern of a call as far as its source and its module tell."""
    at = {"sub": 2, "subn": 2}.get(call.func.attr, 1 if call.func.attr == "compile" else 2)
    flags = [one.value for one in call.keywords if one.arg == "flags"] + list(call.args[at:])
    scope = {**names, "re": re}
    try:
        node = ast.fix_missing_locations(_Fill(scope).visit(ast.Expression(call.args[0])))
        text = eval(compile(node, "", "eval"), scope)
        number = 0
        for one in flags:
            value = eval(compile(ast.Expression(one), "", "eval"), scope)
            number |= value if isinstance(value, re.RegexFlag) else 0
    except Exception:  # noqa: BLE001 - a local name: its module keeps the pattern, or a table
        return None
    return re.compile(text, number) if isinstance(text, str | bytes) else text


# -- texts ----------------------------------------------------------------------------------------

_CATEGORIES = {"DIGIT": "7", "SPACE": " ", "WORD": "a"}


def hostile_units(pattern: re.Pattern[Any]) -> list[tuple[str, str]]:
    """Return beginnings and what is to be repeated behind each: made from the pattern itself."""
    text = pattern.pattern
    tree = sre_parse.parse(text, pattern.flags & ~re.DEBUG)
    letters = sorted(set(_letters(tree)))
    found = {("", one) for one in (*letters, _sample(tree))}
    for before, body in _repeats(tree, ""):
        for unit in {_sample(body), *_choices(body)}:
            found |= {(before, unit), ("", before + unit), ("", before)}
            found |= {(before, unit + one) for one in letters[:4]}
            found |= {(before, unit[:-1] + one) for one in letters[:4] if len(unit) > 1}
    return sorted((one for one in found if one[1]), key=lambda one: (sum(map(len, one)), one))


def _repeats(tree: Tree, before: str) -> Iterator[tuple[str, Tree]]:
    """Yield what is repeated without end, with a text that leads there."""
    for op, value in tree:
        name = str(op)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, high, body = value
            if high == MANY or high > 100:
                yield before, body
            yield from _repeats(body, before)
        for inner in _inside(name, value):
            yield from _repeats(inner, before)
        before += _sample([(op, value)])


def _inside(name: str, value: Any) -> list[Tree]:
    if name == "SUBPATTERN":
        return [value[-1]]
    if name == "BRANCH":
        return list(value[1])
    if name == "ATOMIC_GROUP":
        return [value]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    return []


def _sample(tree: Tree) -> str:
    """Return a short text that a pattern, or a part of it, matches: mostly."""
    found = ""
    for op, value in tree:
        name = str(op)
        if name == "LITERAL":
            found += chr(value)
        elif name == "NOT_LITERAL":
            found += "a" if value != ord("a") else "b"
        elif name == "ANY":
            found += "a"
        elif name == "IN":
            found += _member(value)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            found += _sample(value[2]) * max(min(value[0], 50), 1 if value[1] == 1 else value[0])
        elif name == "BRANCH":
            found += _sample(value[1][0])
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            found += _sample(_inside(name, value)[0])
    return found


def _choices(tree: Tree) -> Iterator[str]:
    """Yield samples of every branch of what is repeated."""
    for op, value in tree:
        for inner in _inside(str(op), value):
            yield _sample(inner)
        if str(op) == "IN":
            yield from _members(value)


def _member(items: Sequence[tuple[Any, Any]]) -> str:
    return next(iter(_members(items)), "a")


def _members(items: Sequence[tuple[Any, Any]]) -> Iterator[str]:
    if str(items[0][0]) == "NEGATE":
        taken = {chr(value) for op, value in items[1:] if str(op) == "LITERAL"}
        kinds = {str(value) for op, value in items[1:] if str(op) == "CATEGORY"}
        for one in "a 7_-.<{(\"'\\/\n,:":
            is_word, is_space = one.isalnum() or one == "_", one.isspace()
            if one in taken or ("CATEGORY_WORD" in kinds and is_word):
                continue
            if "CATEGORY_SPACE" in kinds and is_space:
                continue
            if "CATEGORY_DIGIT" in kinds and one.isdigit():
                continue
            yield one
        return
    for op, value in items:
        if str(op) == "LITERAL":
            yield chr(value)
        elif str(op) == "RANGE":
            yield chr(value[0])
        elif str(op) == "CATEGORY":
            kind = str(value).removeprefix("CATEGORY_").removeprefix("UNI_")
            yield _CATEGORIES.get(kind, "-" if kind == "NOT_WORD" else "a")


def _letters(tree: Tree) -> Iterator[str]:
    """Yield every letter that a pattern names, one for each of its classes."""
    for op, value in tree:
        name = str(op)
        if name == "LITERAL":
            yield chr(value)
        elif name == "IN":
            yield _member(value)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from _letters(value[2])
        for inner in _inside(name, value):
            yield from _letters(inner)
