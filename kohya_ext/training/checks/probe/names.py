"""Arguments that are taken and never read: network modules and some optimizers swallow them."""

from __future__ import annotations

import ast
import contextlib
import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_KNOWN_WARNING = re.compile(
    r"so cache_|is enabled because cache_|also enabled|config file is found|wandb is enabled|"
    r"is not specified\. all|all blocks are set|too (short|long)|too(short|long)|filled with|"
    r"max_token_length is not used|split_mode is deprecated|zero_terminal_snr is enabled|"
    r"modules are skipped"
)
"""Warnings of sd-scripts that say what happens anyway, or that a finding of ours says better."""


def is_worth_telling(warning: str) -> bool:
    """Tell whether a warning of the trainer says something about a config that nobody else says."""
    return not _KNOWN_WARNING.search(warning)


def names_read(module: ModuleType) -> set[str]:
    """Return the network arguments that a module, and what it is made of, ever looks at."""
    package = module.__name__.partition(".")[0]
    owners = {getattr(value, "__module__", None) for value in vars(module).values()}
    names = {module.__name__} | {str(one) for one in owners}
    if package != "networks":  # LyCORIS passes them on through its own packages
        names |= set(sys.modules)
    found: set[str] = set()
    for name in names:
        if name.partition(".")[0] == package and name in sys.modules:
            with contextlib.suppress(OSError, TypeError, SyntaxError):
                found |= set(_names_in(inspect.getsource(sys.modules[name]), package))
    return found


def _names_in(source: str, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        text: Any = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in ("get", "pop") and isinstance(node.args[0], ast.Constant):
                text = node.args[0].value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            text = node.slice.value
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
            text = node.left.value
        elif isinstance(node, ast.arg) and package != "networks":
            text = node.arg
        if isinstance(text, str):
            yield text


def unread(given: list[str], known: set[str]) -> list[dict[str, str]]:
    """Return arguments `name=value` that nobody reads, each with the known name next to it."""
    names = [one.partition("=")[0] for one in given]
    return [
        {"name": name, "near": next(iter(difflib.get_close_matches(name, sorted(known), 1)), "")}
        for name in names
        if known and name not in known
    ]


def small(torch: Any, groups: Any) -> list[Any]:
    """Return the parameter groups with one small parameter in each; none stays none."""
    found = []
    for group in groups:
        options = {k: v for k, v in group.items() if k != "params"} if type(group) is dict else {}
        found.append({"params": [torch.nn.Parameter(torch.zeros(2, 2))], **options})
    return found


def swallowed(optimizer: Any, given: list[str]) -> list[dict[str, str]]:
    """Return optimizer arguments that only a `**kwargs` takes, where nothing reads them."""
    kind = type(optimizer)
    known = set(inspect.signature(kind.__init__).parameters)
    if not any(one.kind is one.VAR_KEYWORD for one in
               inspect.signature(kind.__init__).parameters.values()):  # fmt: skip
        return []
    with contextlib.suppress(OSError, TypeError, SyntaxError):
        known |= set(_names_in(inspect.getsource(sys.modules[kind.__module__]), "networks"))
        return unread(given, known)
    return []
