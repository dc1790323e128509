"""A template resolved against its wildcards and variables: what it can become.

Each space can be drawn from (state in, text and picks out), counted, asked for its result
number k, gone through in order, and turned (the k-th result of the cyclical way). All five see
the same results in the same order; what a space consists of is resolved when first needed.
`sequences` and `variants` build on what is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import LimitExceeded
from .limits import Limits
from .nodes import Method
from .randomness import draw, mix, slot_keys
from .sample import Pick

if TYPE_CHECKING:
    from collections.abc import Callable

Texts = list[str]
Picks = list[Any]
Known = dict[Any, Any]
"""The texts of immediate variables; under "seed" the prompt's own seed, and under "spent" how
many pieces an enumeration has opened for its next result."""

Result = tuple[str, tuple[Pick, ...]]

_DOTS = re.compile("\\.{3,}|[\u1801\u2026\u22ee\u22ef\u22f0\u22f1\ufe19]")
_FEW = 256


class Space:
    """One text, or one piece of a template."""

    __slots__ = ("_size",)
    _size: int | None

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Draw one result, appending to `texts` and `picks`."""
        raise NotImplementedError

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Append result number `rank`, from 0."""
        raise NotImplementedError

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Append the `number`-th result of the cyclical way, from 0."""
        raise NotImplementedError

    def iterate(self, known: Known) -> Iterator[Result]:
        """Go through all results in order, lazily."""
        raise NotImplementedError

    def count(self) -> int:
        """Count the results. Raises LimitExceeded DP131 or DP133."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many results there are, counted once."""
        if self._size is None:
            self._size = self.count()
        return self._size


class Bound(Space):
    """An immediate variable: a text that is known once per prompt."""

    __slots__ = ()

    def __init__(self) -> None:
        self._size = 1

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def iterate(self, known: Known) -> Iterator[Result]:
        yield known[self], ()


def unknown(seed: int = 0) -> Known:
    """Return what is known before anything is drawn."""
    return {"seed": seed, "spent": [0]}


class Symbols(dict[Any, Any]):
    """Placeholders for immediate variables, where texts are only compared."""

    def __missing__(self, key: object) -> str:
        return f"\0{id(key)}\0"


class Lazy(Space):
    """A variable's value, resolved when first used; drawn with a state of its own."""

    __slots__ = ("_keys", "_limits", "_resolve", "_target", "_where")

    def __init__(
        self, slot: str, resolve: Callable[[], Space], limits: Limits, where: Callable[[], str]
    ) -> None:
        self._size = None
        self._keys = slot_keys(slot)
        self._resolve, self._limits, self._where = resolve, limits, where
        self._target: Space | None = None

    @property
    def target(self) -> Space:
        """The value's space."""
        if self._target is None:
            self._target = self._resolve()
        return self._target

    def _spend(self, texts: Texts) -> None:
        texts.append("")
        if len(texts) > self._limits.parts:
            raise too_long(self._limits, self._where())

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.draw(draw(state, self._keys), known, texts, picks)

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.unrank(rank, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.turn(number, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        spend(known, self._limits, self._where)
        return self.target.iterate(known)

    def count(self) -> int:
        return self.target.size


class Stream(Space):
    """`{@..}` or `{~..}`: counts as one result, and gives the next one with each prompt."""

    __slots__ = ("inner", "is_cyclical")

    def __init__(self, inner: Space, method: Method) -> None:
        self._size = 1
        self.inner = inner
        self.is_cyclical = method is Method.CYCLICAL

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self.is_cyclical:
            self.inner.turn(known["seed"], known, texts, picks)
        else:
            self.inner.draw(state, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self.is_cyclical:
            self.inner.turn(number, known, texts, picks)
        else:
            self.inner.draw(mix(number), known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        texts: Texts = []
        picks: Picks = []
        self.turn(0, known, texts, picks)
        yield "".join(texts), tuple(picks)


class Wrapped(Space):
    """A wrapper whose dots the inner text replaces; without dots it is in front."""

    __slots__ = ("_inner", "_limits", "_wrapper")

    def __init__(self, wrapper: Space, inner: Space, limits: Limits) -> None:
        self._size = None
        self._wrapper, self._inner, self._limits = wrapper, inner, limits

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        self._wrapper.draw(state, known, outside, picks)
        self._inner.draw(state, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        rank, digit = divmod(rank, self._inner.size)
        self._wrapper.unrank(rank, known, outside, picks)
        self._inner.unrank(digit, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        self._wrapper.turn(number, known, outside, picks)
        self._inner.turn(number, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def _combined(self, outside: Texts, inside: Texts) -> str:
        return wrapped(joined(outside, self._limits), joined(inside, self._limits))

    def count(self) -> int:
        return self._wrapper.size * self._inner.size

    def iterate(self, known: Known) -> Iterator[Result]:
        for text, picks in self._wrapper.iterate(known):
            for inner, more in self._inner.iterate(known):
                yield wrapped(text, inner), picks + more


class Routed(Space):
    """A wildcard whose path is drawn, too; enumerations take the path's first result."""

    __slots__ = ("_keys", "_limits", "_open", "_path", "_spaces")

    def __init__(
        self, slot: str, path: list[str | Space], opener: Callable[[str], Space], limits: Limits
    ) -> None:
        self._size = None
        self._keys = slot_keys(slot)
        self._path, self._open, self._limits = path, opener, limits
        self._spaces: dict[str, Space] = {}

    def _at(self, pieces: list[str]) -> Space:
        path = joined(pieces, self._limits)
        if path not in self._spaces:
            self._spaces[path] = self._open(path)
        return self._spaces[path]

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        pieces = []
        for part in self._path:
            if isinstance(part, str):
                pieces.append(part)
                continue
            piece: Texts = []
            part.draw(state, known, piece, picks)
            pieces.append("".join(piece).strip())
        self._at(pieces).draw(draw(state, self._keys), known, texts, picks)

    def _first(self, known: Known) -> Space:
        pieces = []
        for part in self._path:
            if isinstance(part, str):
                pieces.append(part)
                continue
            first = next(part.iterate(known), None)
            if first is None:
                return Nothing()
            pieces.append(first[0].strip())
        return self._at(pieces)

    def count(self) -> int:
        return self._first(Symbols(unknown())).size

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._first(known).unrank(rank, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._first(known).turn(number, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        return self._first(known).iterate(known)


class Missing(Space):
    """A wildcard that is not there: its reference stays in the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._size = 1
        self._text = text

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def iterate(self, known: Known) -> Iterator[Result]:
        yield self._text, ()


class Nothing(Space):
    """What lies deeper than is counted: no result."""

    __slots__ = ()

    def __init__(self) -> None:
        self._size = 0

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append("")

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append("")

    def iterate(self, known: Known) -> Iterator[Result]:
        return iter(())


def spend(known: Known, limits: Limits, where: Callable[[], str]) -> None:
    """Count one more opened piece. Raises LimitExceeded DP132."""
    spent = known["spent"]
    spent[0] += 1
    if spent[0] > limits.parts:
        raise too_long(limits, where())


def joined(texts: Texts, limits: Limits) -> str:
    """Join the pieces of a prompt. Raises LimitExceeded DP132."""
    if len(texts) > _FEW and sum(map(len, texts)) > limits.characters:
        raise too_long(limits)
    text = "".join(texts)
    if len(text) > limits.characters:
        raise too_long(limits)
    return text


def too_long(limits: Limits, where: str = "") -> LimitExceeded:
    """Return the error for a prompt that grows without measure."""
    return LimitExceeded(
        "DP132",
        f"the prompt has more than {limits.parts} parts or {limits.characters} characters",
        where=where,
    )


def wrapped(text: str, inner: str) -> str:
    """Put the inner text in the place of the wrapper's first dots, or behind it."""
    found = _DOTS.search(text)
    if found is None:
        return text + inner
    return text[: found.start()] + inner + text[found.end() :]
