"""Tell grids of a list apart by what differs between them: prompt, axes, checkpoint, epochs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from kohya_ext.project.wording import counted

from ..api.lora_tags import strip_loras
from .plan import EPOCH_AXIS

_PLACES = re.compile(r"\{(?:lora|trigger)\}")
_MOST = 40
"""So many letters of one fact."""


def tell_apart(abouts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for each grid, as its grid.json describes it, what the others do not share.

    What most of them share is not told of them. "" for a grid that nothing tells from the others,
    or that does not describe itself.
    """
    facts = [_facts(about) for about in abouts]
    names = list(dict.fromkeys(name for one in facts for name in one))
    described = [one for one in facts if one]
    usual = {name: _usual([one.get(name, "") for one in described]) for name in names}
    differing = [name for name in names if len({one.get(name, "") for one in described}) > 1]
    prompts = [one["prompt"].split() for one in described]
    shared = len(list(takewhile(_are_one_word, zip(*prompts, strict=False))))

    others = [name for name in differing if name != "prompt"]

    def text(one: Mapping[str, str], name: str) -> str:
        if name != "prompt":
            value = one.get(name, "")
            return "" if value == usual[name] else _short(value)
        words = one["prompt"].split()
        rest = " ".join(words[shared:]).lstrip(",.; ")
        if not rest:
            return "" if any(text(one, other) for other in others) else "nothing more"
        return _short_inside(f"… {rest}" if shared else rest)

    return [
        " · ".join(filter(None, (text(one, name) for name in differing if one))) for one in facts
    ]


def _are_one_word(words: tuple[str, ...]) -> bool:
    return len({word.rstrip(",.;") for word in words}) == 1


def _usual(values: Sequence[str]) -> str | None:
    """Return the value that more than half of several grids have."""
    value, count = Counter(values).most_common(1)[0]
    return value if 2 * count > len(values) > 2 else None


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1].rstrip()}…"


def _short_inside(text: str) -> str:
    """Shorten a prompt: its end tells it from others as often as its beginning."""
    half = (_MOST - 1) // 2
    return text if len(text) <= _MOST else f"{text[:half].rstrip()}…{text[-half:].lstrip()}"


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
            "prompt": " ".join(strip_loras(_PLACES.sub(" ", request["prompt"])).split()),
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
        found["clip skip"] = f"clip skip {picture['clip_skip']}"
        for name, word in (("distilled_cfg_scale", "distilled CFG scale"), ("modules", "with")):
            value = picture.get(name)
            shown = ", ".join(value) if isinstance(value, list) else value
            found[name] = f"{word} {shown}" if shown else ""
        scripts = ", ".join(sorted(picture.get("scripts") or ()))
        found["scripts"] = f"with {scripts}" if scripts else ""
        found["control"] = "" if request["control"] else "no control"
        skipped = ", ".join(request["skip"])
        found["skip"] = f"without {skipped}" if skipped else ""
        for name in ("batch_size", "batch_count"):
            found[name] = f"{name.replace('_', ' ')} {request[name]}"
        found["unlink_seed"] = "seed unlinked" if request["unlink_seed"] else ""
        found["columns"] = f"columns {request['columns']}"
        seeds = [str(one["label"]) for one in axes.get("Seed", ())]
        found["seeds"] = f"seeds {', '.join(seeds)}"
    except (LookupError, TypeError, AttributeError, ValueError):
        return {}  # written by an older version, or damaged
    return found
