"""Embeddings in a prompt: which words the WebUI takes for one, and which only look like one.

A word without its file is an ordinary word to the WebUI; nothing in its answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[A-Za-z][\w.-]*\w")
_LIKE = re.compile(
    r"""
      [a-z]{2}[A-Z][a-z]              # FastNegativeV2, BadDream
    | ^(?i:(?!negative$)\w*negative)  # easynegative
    | \w[vV]\d+(?:[.-]?\w){0,60}$     # deepnegative_v1_75t
    | (?:_|-)(?:neg|ti|embedding)$    # hands-neg
    | [A-Za-z]{3}[_-]\d+v?$           # bad-hands-5, bad-picture-chill-75v
    | [vV]ersion\d+$                  # bad_prompt_version2
    | ^(?i:bad-[a-z]|unaesthetic[a-z]|boring_)
    """,
    re.VERBOSE,
)


def find_embeddings(text: str, names: Collection[str]) -> tuple[str, ...]:
    """Return those of `names` that are in a prompt as whole words, in the order of the text.

    Capitals do not count, and of two that begin alike the longer one does, as in A1111.
    """
    if not names:
        return ()
    by_fold = {one.casefold(): one for one in names}
    words = "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True))
    pattern = rf"(?<![\w.-])(?:{words})(?![\w-]|\.\w)"
    found = re.findall(pattern, _TAG.sub(" ", text), re.IGNORECASE)
    return tuple(dict.fromkeys(by_fold[one.casefold()] for one in found))


def words_like_embeddings(texts: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the words of some prompts that look like the name of an embedding.

    `known` are words that are something else: embeddings that are there, LoRAs, the trigger word.
    """
    folded = {one.casefold() for one in known}
    words = (word for text in texts for word in _WORD.findall(_TAG.sub(" ", text)))
    return tuple(
        word
        for word in dict.fromkeys(words)
        if word.casefold() not in folded and _LIKE.search(word)
    )
