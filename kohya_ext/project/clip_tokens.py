"""CLIP's tokens, counted from its own list of merges where one lies on this machine.

The text encoder of SD 1.5 and SDXL reads 75 tokens at a time. Without the list the count is an
estimate, and says so. Format: https://github.com/openai/CLIP (byte pair encoding, lower case).
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from .home import home_folder
from .settings import read_settings

_MOST_MERGES = 49152 - 256 - 2
_MOST_BYTES = 8_000_000
_END = "</w>"
_PARTS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
_LETTERS_OF_A_TOKEN = 7


@dataclass(frozen=True)
class ClipTokens:
    """Counts tokens; `merges` gives each pair its rank, empty where only an estimate can be had."""

    merges: Mapping[tuple[str, str], int] = field(default_factory=dict)
    source: Path | None = None

    @property
    def is_exact(self) -> bool:
        """Whether CLIP's own list is used."""
        return bool(self.merges)

    def count(self, text: str) -> int:
        """Return how many tokens a text has, without the two that mark begin and end."""
        return sum(self._count_part(part.lower()) for part in _PARTS.findall(text))

    def knows_word(self, word: str) -> bool:
        """Tell whether a word is one token: CLIP saw it often, and has its own idea of it."""
        parts = _PARTS.findall(word)
        return self.is_exact and len(parts) == 1 and self._count_part(parts[0].lower()) == 1

    def _count_part(self, part: str) -> int:
        if not self.is_exact:
            return max(1, round(len(part) / _LETTERS_OF_A_TOKEN)) if part[0].isalpha() else 1
        letters = [_LETTER_OF_BYTE[byte] for byte in part.encode("utf-8")]
        pieces = [*letters[:-1], letters[-1] + _END]
        while len(pieces) > 1:
            pairs = list(pairwise(pieces))
            best = min(pairs, key=lambda pair: self.merges.get(pair, _MOST_BYTES))
            if best not in self.merges:
                break
            pieces = list(_merged(pieces, best))
        return len(pieces)


def _merged(pieces: list[str], pair: tuple[str, str]) -> Iterator[str]:
    at = 0
    while at < len(pieces):
        if tuple(pieces[at : at + 2]) == pair:
            yield pair[0] + pair[1]
            at += 2
        else:
            yield pieces[at]
            at += 1


def _letters() -> dict[int, str]:
    """Return a printable letter for each byte, as CLIP's list spells them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }


_LETTER_OF_BYTE = _letters()


@lru_cache(maxsize=4)
def read_merges(path: Path) -> ClipTokens:
    """Read merges.txt or bpe_simple_vocab_16e6.txt.gz; ValueError or OSError for anything else."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        text = stream.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(f"{path} is too large for a list of merges")
    lines = text.decode("utf-8").splitlines()
    first = 1 if lines and ("version" in lines[0] or len(lines[0].split()) != 2) else 0
    pairs = [tuple(line.split()) for line in lines[first : first + _MOST_MERGES]]
    merges = {(one[0], one[1]): rank for rank, one in enumerate(pairs) if len(one) == 2}
    if not merges:
        raise ValueError(f"{path} contains no merges")
    return ClipTokens(merges, path)


def find_clip_tokens(folders: Iterable[Path] = ()) -> ClipTokens:
    """Return a counter with the first list of merges on this machine, else an estimating one.

    Looked at: `folders` (with a tokenizer in them), the model hub's cache, installed packages, the
    WebUI that is remembered.
    """
    for path in _candidates(folders):
        try:
            return read_merges(path)
        except (OSError, ValueError, EOFError):  # gone, cut short, or another file
            continue
    return ClipTokens()


def _candidates(folders: Iterable[Path]) -> Iterator[Path]:
    names = ("merges.txt", "bpe_simple_vocab_16e6.txt.gz")
    for folder in folders:
        for place in (folder, *sorted(folder.glob("openai_clip-vit-*"))):
            yield from (place / name for name in names)
    hub = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or home_folder() / ".cache" / "huggingface", "hub"
    )
    yield from sorted(Path(hub).glob("models--openai--clip-vit-*/snapshots/*/merges.txt"))
    for package in ("open_clip", "clip"):
        found = find_spec(package)
        if found and found.origin:
            yield Path(found.origin).with_name(names[1])
    webui = read_settings().webui_folder
    if webui:
        yield from sorted(Path(webui).glob("venv/[Ll]ib*/**/*clip/bpe_simple_vocab_16e6.txt.gz"))
        yield from sorted(Path(webui).glob("backend/huggingface/*/*/tokenizer/merges.txt"))
