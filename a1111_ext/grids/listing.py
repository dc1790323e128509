"""Tell grids of a list apart by what differs between them: prompt, axes, checkpoint, epochs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from kohya_ext.project.wording import counted

from ..api.lora_tags import strip_loras
from .plan import EPOCH_AXIS

_MOST = 40
"""So many letters of one fact."""


def tell_apart(abouts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for each grid, as its grid.json describes it, what the others do not share.

    "" for a grid that nothing tells from the others, or that does not describe itself.
    """
    facts = [_facts(about) for about in abouts]
    names = list(dict.fromkeys(name for one in facts for name in one))
    described = [one for one in facts if one]
    differing = [name for name in names if len({one.get(name, "") for one in described}) > 1]
    prompts = [one["prompt"].split() for one in described]
    shared = len(list(takewhile(lambda words: len(set(words)) == 1, zip(*prompts, strict=False))))

    def text(one: Mapping[str, str], name: str) -> str:
        if name != "prompt":
            return _short(one.get(name, ""))
        words = one["prompt"].split()
        rest = " ".join(words[shared:]) or "nothing more"
        return _short(f"… {rest}" if shared else rest)

    return [
        " · ".join(filter(None, (text(one, name) for name in differing if one))) for one in facts
    ]


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1].rstrip()}…"


def _facts(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what a grid is about, in the order in which people look for it."""
    try:
        request, axes = about["request"], {one["name"]: one["values"] for one in about["axes"]}
        picture = request["picture"]
        epochs = [one for one in axes.get(EPOCH_AXIS, ()) if one["file"]]
        first, last = (str(epochs[at]["label"]) for at in (0, -1))
        lora = re.sub(r"-\d{6}$", "", first)
        first, last = (one.removeprefix(f"{lora}-").lstrip("0") for one in (first, last))
        found = {
            "LoRA": lora,
            "prompt": " ".join(strip_loras(request["prompt"].replace("{lora}", " ")).split()),
        }
        for name, values in axes.items():
            if name not in (EPOCH_AXIS, "Seed"):
                found[name] = f"{name} {', '.join(str(one['label']) for one in values)}"
        found["checkpoint"] = str(request["checkpoint"])
        count = counted(len(epochs), "epoch")
        found["epochs"] = f"{count}, {first} to {last}" if len(epochs) > 1 else f"{count}, {first}"
        found["size"] = f"{picture['width']}x{picture['height']}"
        for name in ("sampler", "scheduler"):
            found[name] = str(picture[name])
        found["steps"] = counted(picture["steps"], "step")
        found["cfg"] = f"CFG Scale {picture['cfg_scale']:g}"
        negative = str(request["negative_prompt"])
        found["negative prompt"] = f"without {negative}" if negative else ""
        seeds = [str(one["label"]) for one in axes.get("Seed", ())]
        found["seeds"] = f"seeds {', '.join(seeds)}"
    except (LookupError, TypeError, AttributeError, ValueError):
        return {}  # written by an older version, or damaged
    return found
