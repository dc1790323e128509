"""Kohya's own LoRA tab, seen from ours: its fields by name, and values sent into them.

Fields are found by what the GUI itself registers, never by position on the page. Which values a
project needs is decided by `training`; this module only carries them across and compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MODULE = "kohya_gui.lora_gui"
_NOT_FIELDS = ("save_as_bool", "file_path")
"""The first two parameters of Kohya's `save_configuration`: how to save, and where."""


def find_host_folder() -> Path | None:
    """Return the folder of the Kohya GUI that we live in; None outside of one."""
    module = sys.modules.get(_MODULE)
    return Path(str(module.__file__)).parents[1] if module else None


@dataclass(frozen=True)
class LoraTab:
    """The fields of Kohya's LoRA tab: their keys in its json, and the components."""

    keys: tuple[str, ...]
    components: tuple[Any, ...]


def find_lora_tab(blocks: Any) -> LoraTab | None:
    """Find the LoRA tab's fields in a built Kohya GUI; None outside of one.

    v26 keeps a registry for its own tests. v24 and v25 do not, but the handler of their "Save"
    button takes every field in the order of its parameters.
    """
    module = sys.modules.get(_MODULE)
    if module is None:
        return None
    registry = getattr(module, "last_built_field_registry", None)
    if registry:
        return LoraTab(tuple(key for key, _ in registry), tuple(field for _, field in registry))
    names = tuple(inspect.signature(module.save_configuration).parameters)
    for handler in blocks.default_config.fns.values():
        if handler.fn is module.save_configuration and len(handler.inputs) == len(names):
            pairs = [
                (name, field)
                for name, field in zip(names, handler.inputs, strict=True)
                if name not in _NOT_FIELDS
            ]
            return LoraTab(tuple(key for key, _ in pairs), tuple(field for _, field in pairs))
    return None


@dataclass(frozen=True)
class Difference:
    """A field whose value on the page is not the one that was sent."""

    key: str
    sent: object
    shown: object


def find_differences(
    keys: Sequence[str], sent: Mapping[str, object], shown: Sequence[object]
) -> tuple[Difference, ...]:
    """Compare what the page holds now with what was sent; 1 and 1.0 are the same."""
    pairs = zip(keys, shown, strict=True)
    return tuple(
        Difference(key, sent[key], value)
        for key, value in pairs
        if key in sent and not _same(sent[key], value)
    )


def missing_keys(
    keys: Sequence[str], values: Mapping[str, object], shown: Sequence[object]
) -> frozenset[str]:
    """Return which values are still to be sent: all of them while nothing is known to be shown."""
    if not shown:
        return frozenset(key for key in keys if key in values)
    return frozenset(one.key for one in find_differences(keys, values, shown))


def _same(sent: object, shown: object) -> bool:
    if sent in ("", None) and shown in ("", None):
        return True
    if isinstance(sent, bool) or isinstance(shown, bool):
        return sent is shown
    return sent == shown
