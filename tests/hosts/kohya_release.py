"""What the Kohya GUI's master has since its release v26.0.0; our v26 is that master.

The live checks leave it out for a GUI that lacks it, so that all else is compared there as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_WITH_DROPOUT_NOW = ("Flux1", "Anima", "Lumina", "HunyuanImage-2.1")
"""LoRA types whose rank_dropout and module_dropout v26.0.0 does not send."""


def lacks_news(gui: Path) -> bool:
    """Tell whether this is v26.0.0: its LoRA tab knows no model_type, so no Chroma."""
    is_v26 = (gui / ".release").read_text(encoding="utf-8").startswith("v26")
    tab = (gui / "kohya_gui" / "lora_gui.py").read_text(encoding="utf-8")
    return is_v26 and "model_type" not in tab


def without_news(values: dict[str, Any], gui: Path) -> dict[str, Any]:
    """Return a json that both print the same; its text_encoder_lr was 0 where none is given."""
    if not lacks_news(gui):
        return values
    found = {key: value for key, value in values.items() if key != "model_type"}
    if found.get("text_encoder_lr") is None:
        found["text_encoder_lr"] = 0.0001
    if found.get("LoRA_type") in _WITH_DROPOUT_NOW:
        found |= {"rank_dropout": 0, "module_dropout": 0}
    if found.get("dataset_config"):  # there it overlooks lr_warmup_steps
        found |= {"lr_warmup": 0, "lr_warmup_steps": 0}
    return found
