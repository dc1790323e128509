"""Makes `import dynamicprompts` mean this package."""

from __future__ import annotations

import sys
from importlib import import_module

_MODULES = (
    "", ".commands", ".constants", ".enums", ".generators", ".parser", ".parser.config",
    ".parser.parse", ".sampling_context", ".sampling_result", ".utils", ".wildcards",
    ".wildcards.collection", ".wildcards.item", ".wildcards.tree", ".wildcards.values",
    ".wildcards.wildcard_manager", ".generators.promptgenerator",
)  # fmt: skip
_ALSO = {
    ".commands.base": ".commands",
    ".commands.literal_command": ".commands",
    ".commands.sequence_command": ".commands",
    ".commands.variable_commands": ".commands",
    ".commands.variant_command": ".commands",
    ".commands.wildcard_command": ".commands",
    ".commands.wrap_command": ".commands",
    ".generators.attentiongenerator": ".generators",
    ".generators.batched_combinatorial": ".generators",
    ".generators.combinatorial": ".generators",
    ".generators.dummygenerator": ".generators",
    ".generators.feelinglucky": ".generators",
    ".generators.jinjagenerator": ".generators",
    ".generators.magicprompt": ".generators",
    ".generators.randomprompt": ".generators",
    ".wildcardmanager": ".wildcards",
}
_THEIRS = "dynamicprompts"
_OURS = __name__.rpartition(".")[0]


def install() -> None:
    """Let `dynamicprompts` and its modules mean those of this package, until Python ends.

    Call it before the program's own imports. Raises RuntimeError when the other one was imported.
    """
    known = sys.modules.get(_THEIRS)
    if known is not None and not known.__name__.startswith(_OURS):
        raise RuntimeError(
            "dynamicprompts was imported already. Call install() before anything that imports it."
        )
    for name in _MODULES:
        sys.modules[_THEIRS + name] = import_module(_OURS + name)
    for name, target in _ALSO.items():
        sys.modules[_THEIRS + name] = import_module(_OURS + target)
