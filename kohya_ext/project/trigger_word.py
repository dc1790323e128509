"""What a trigger word may look like: it names a folder, a file and is in prompts."""

from __future__ import annotations

from .files import is_portable_name
from .printable import shortened

_FOREIGN = set("{}()[]<>|:,$#%\\/\"'`*?")
_QUOTES = set("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a")
"""What an editor or a phone makes of straight quotes; YAML reads them as part of the word."""


def trigger_word_problem(word: str) -> str | None:
    """Return one sentence that says why `word` cannot be a trigger word, or None when it can.

    It becomes the folder `5_<word>`, a LoRA's file name, and text in prompts, where brackets,
    commas and colons have a meaning of their own and `__` would start a wildcard.
    """
    if not word.strip():
        return "The trigger word is empty."
    shown = shortened(word)
    if word != word.strip():
        return f'The trigger word "{shown}" begins or ends with a space.'
    strange = sorted({letter for letter in word if letter in _FOREIGN or ord(letter) < 32})
    if strange:
        found = " ".join(strange)
        return f'The trigger word "{shown}" has characters with a meaning in prompts: {found}'
    quotes = sorted({letter for letter in word if letter in _QUOTES})
    if quotes:
        found = " ".join(quotes)
        return f'The trigger word "{shown}" has quotation marks of a word processor: {found}'
    if "__" in word:
        return f'The trigger word "{shown}" has "__", which starts a wildcard in prompts.'
    if not is_portable_name(word):
        return f'The trigger word "{shown}" cannot be a folder\'s name on every system.'
    return None
