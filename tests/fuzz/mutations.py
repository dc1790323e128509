"""Damaged, hostile and strange variants of a sound input, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

_PIECES = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"[" * 200, b"{" * 200, b"(" * 200,
    b"9" * 400, b"-1", b"1e999", b"NaN", b"null", b"true", b'"', b"'", b"\\", b"\n", b"\r\n", b"\t",
    b",", b":", b"::", b"$$", b"__", b"__a__", b"{a|b}", b"${x}", b"#", b"|", b"<lora:a:1>", b"../",
    b"\xe2\x80\xae", b"\xf0\x9f\xa6\x8a", b"&a [*a]", b"? [a]\n: b", b"Steps: 20", b"[[x]]",
)  # fmt: skip


def mutate(rng: random.Random, samples: Sequence[bytes]) -> bytes:
    """Return one of `samples` after one to six changes."""
    data = bytearray(rng.choice(samples))
    for _ in range(rng.randint(1, 6)):
        _change(rng, data, samples)
    return bytes(data)


def _change(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    to = min(len(data), at + rng.choice((1, 1, 2, 4, 16, 200)))
    kind = rng.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at:at] = rng.choice(_PIECES)
    elif kind == 2:
        del data[at:to]
    elif kind == 3:
        data[at:at] = data[at:to] * rng.choice((1, 2, 20))
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        other = rng.choice(samples)
        begin = rng.randint(0, len(other))
        data[at:to] = other[begin : begin + rng.choice((1, 8, 64))]
    else:
        data[at:to] = rng.randbytes(to - at)
