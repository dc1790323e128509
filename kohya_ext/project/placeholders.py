"""`{lora}` and `{trigger}` in captions and prompts: the one place that fills them.

`${lora}` and `${trigger}` are variables of the prompt language and are left to it.
"""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(r"(?<!\$)\{(lora|trigger)\}")
_LORA_WITH_COMMA = re.compile(r"(?<!\$)\{lora\}(\s*,)?\s*")


def fill_placeholders(text: str, *, trigger_word: str, lora: str) -> str:
    """Put in the trigger word and the LoRA's tag, in one pass: what was put in stays as it is.

    An empty `lora` takes `{lora}` out with the comma and space after it: captions, samples drawn
    while training, negative prompts and pictures without the LoRA have no tag.
    """
    if not lora:
        text = _LORA_WITH_COMMA.sub("", text)
    values = {"lora": lora, "trigger": trigger_word}
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
