"""Drawing prompts: at random, one after the other in all combinations, or in cycles.

Randomness is keyed by (seed, slot): a slot is the source text of a variant or the name of a
wildcard, and how often it was drawn before in the same prompt. So a prompt depends on its own
seed alone, and a change elsewhere in the template leaves its other draws as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count, cycle, islice, permutations

from .errors import LimitExceeded, UndefinedVariable, WildcardNotFound
from .lexer import ParserConfig
from .nodes import Assign, Drawn, Get, Method, Node, Sequence, Text, Variant, Wildcard, Wrap
from .parser import parse_sequence
from .sample import Pick
from .wildcards import Value, WildcardLibrary

MAX_RECURSION = 60
"""Wildcards within wildcards and variables within variables; more is refused (DP131)."""

_DOTS = re.compile("\\.{3,}|[\u1801\u2026\u22ee\u22ef\u22f0\u22f1\ufe19]")
_EMPTY = WildcardLibrary()


@dataclass(frozen=True)
class Rules:
    """How a template is drawn: its library, brackets, and what happens with what is missing.

    `strict` makes a missing wildcard an error; otherwise its reference stays in the text.
    `unknown_variable` is the text of an undefined variable; None makes it an error.
    """

    library: WildcardLibrary = _EMPTY
    config: ParserConfig = field(default_factory=ParserConfig)
    strict: bool = False
    unknown_variable: str | None = None


Picks = tuple[Pick, ...]
Result = tuple[str, Picks]
_NOTHING: Result = ("", ())


@dataclass(frozen=True)
class Scope:
    """The variables that a sequence sees; each with the scope that its value is drawn in."""

    variables: Mapping[str, tuple[Sequence, Scope | None]] = field(default_factory=dict)
    depth: int = 0
    drawing: frozenset[str] = frozenset()

    def deeper(self, what: str) -> Scope:
        """Return the scope one level down. Raises LimitExceeded DP131."""
        if self.depth >= MAX_RECURSION:
            raise LimitExceeded("DP131", f"{what} refers to itself without end")
        return Scope(self.variables, self.depth + 1, self.drawing)

    def having(self, name: str, value: Sequence, scope: Scope | None) -> Scope:
        """Return the scope with one more variable."""
        return Scope({**self.variables, name: (value, scope)}, self.depth, self.drawing)

    def drawing_of(self, name: str) -> Scope:
        """Return the scope while the value of `name` is drawn."""
        return Scope(self.variables, self.depth, self.drawing | {name})


class Dice:
    """Numbers from 0 to 1 that follow from seed and slot alone, the same on every machine."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._base = blake2b(str(seed).encode("ascii"), digest_size=8)
        self._counts: dict[str, int] = {}

    def roll(self, slot: str) -> float:
        """Return the next number of a slot, 0 included, 1 excluded."""
        number = self._counts.get(slot, 0)
        self._counts[slot] = number + 1
        digest = self._base.copy()
        digest.update(f"\x00{number}\x00{slot}".encode("utf-8", errors="surrogatepass"))
        return (int.from_bytes(digest.digest(), "big") >> 11) / (1 << 53)

    def choose(self, slot: str, weights: list[float]) -> int:
        """Return an index drawn by weight. ValueError when all weights are 0."""
        total = sum(weights)
        if total <= 0:
            raise ValueError("all weights are 0")
        target = self.roll(slot) * total
        for index, weight in enumerate(weights):
            target -= weight
            if target < 0:
                return index
        return max(index for index, weight in enumerate(weights) if weight > 0)


class Drawer:
    """Draws one template under its rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    # One prompt at random

    def random(self, sequence: Sequence, scope: Scope, dice: Dice) -> Result:
        """Return one prompt: everything in it is drawn with `dice`."""
        scope = self._assign_randomly(sequence, scope, dice)
        texts: list[str] = []
        picks: list[Pick] = []
        for part in sequence.parts:
            text, more = self._random_part(part, scope, dice, "")
            texts.append(text)
            picks += more
        return "".join(texts), tuple(picks)

    def _assign_randomly(self, sequence: Sequence, scope: Scope, dice: Dice) -> Scope:
        for part in sequence.parts:
            if not isinstance(part, Assign) or (part.if_unset and part.name in scope.variables):
                continue
            value = part.value
            if part.immediate:
                text, picks = self._named(part.name, value, scope, dice)
                value = Sequence((Drawn(text, picks),))
            scope = scope.having(part.name, value, None)
        return scope

    def _random_part(self, part: Node, scope: Scope, dice: Dice, name: str) -> Result:
        if isinstance(part, Text):
            return part.text, ()
        if isinstance(part, Variant):
            return self._random_variant(part, scope, dice, name)
        if isinstance(part, Wildcard):
            return self._random_wildcard(part, scope, dice)
        if isinstance(part, Get):
            value, inner = self._look_up(part, scope)
            return self._named(part.name, value, inner, dice)
        if isinstance(part, Wrap):
            wrapper = self.random(part.wrapper, scope, dice)
            return _wrapped(wrapper, self.random(part.inner, scope, dice))
        return _NOTHING

    def _named(self, name: str, value: Sequence, scope: Scope, dice: Dice) -> Result:
        """Draw a variable's value; a lone variant in it is named by the variable."""
        drawn = _drawn(value)
        if drawn is not None:
            return drawn
        lone = _lone_variant(value)
        if lone is not None:
            return self._random_part(lone, scope, dice, name)
        return self.random(value, scope, dice)

    def _random_variant(self, variant: Variant, scope: Scope, dice: Dice, name: str) -> Result:
        options = self._options(variant, scope)
        slot = variant.source
        if variant.method is Method.CYCLICAL:
            return self._turn(variant, options, dice, name)
        low, high = _bounds(variant, len(options))
        amount = low if low == high else low + int(dice.roll(slot + "#") * (high - low + 1))
        left = list(options)
        chosen = [left.pop(dice.choose(slot, [one.weight for one in left])) for _ in range(amount)]
        return self._draw_chosen(variant, chosen, dice, name)

    def _turn(self, variant: Variant, options: list[_Choice], dice: Dice, name: str) -> Result:
        """`{@a|b}` in a random prompt: consecutive seeds take consecutive options."""
        rounds = list(islice(_permutations(variant, options), _MOST_PERMUTATIONS))
        return self._draw_chosen(variant, list(rounds[dice.seed % len(rounds)]), dice, name)

    def _draw_chosen(
        self, variant: Variant, chosen: list[_Choice], dice: Dice, name: str
    ) -> Result:
        texts: list[str] = []
        picks: list[Pick] = []
        for option in chosen:
            text, more = self.random(option.body, option.scope, dice)
            texts.append(text)
            label = name or option.name or variant.source
            picks += [Pick(label, text.strip(), option.where), *more]
        return _joined(texts, variant.separator), tuple(picks)

    def _random_wildcard(self, wildcard: Wildcard, scope: Scope, dice: Dice) -> Result:
        path = self._path(wildcard, scope, dice)
        values = self._values(wildcard, path)
        if values is None:
            return self._missing(wildcard, path), ()
        if wildcard.method is Method.CYCLICAL:
            value = values[dice.seed % len(values)]
        else:
            value = values[dice.choose(path, [one.weight for one in values])]
        inner = self._inside(wildcard, path, scope)
        text, picks = self.random(self._parsed(value), inner, dice)
        return text, (Pick(path, text.strip(), value.where), *picks)

    # What variants and wildcards hold

    def _options(self, variant: Variant, scope: Scope) -> list[_Choice]:
        """Return a variant's options; `{2$$__w__}` means two of the wildcard's values."""
        if len(variant.options) == 1:
            parts = variant.options[0].body.parts
            if len(parts) == 1 and isinstance(parts[0], Wildcard) and variant.high != 1:
                return self._wildcard_choices(parts[0], scope)
        return [_Choice(option.body, option.weight, scope, "", "") for option in variant.options]

    def _wildcard_choices(self, wildcard: Wildcard, scope: Scope) -> list[_Choice]:
        path = self._path(wildcard, scope, None)
        values = self._values(wildcard, path)
        if values is None:
            missing = Sequence((Text(self._missing(wildcard, path)),))
            return [_Choice(missing, 1.0, scope, "", path)]
        inner = self._inside(wildcard, path, scope)
        return [
            _Choice(self._parsed(value), value.weight, inner, value.where, path) for value in values
        ]

    def _path(self, wildcard: Wildcard, scope: Scope, dice: Dice | None) -> str:
        """Return the name that a reference means; without dice its first combination."""
        if wildcard.path.plain is not None:
            return wildcard.path.plain
        texts = []
        for part in wildcard.path.parts:
            if isinstance(part, Get):
                texts.append(self._path_variable(part, scope, dice))
            elif dice is not None:
                texts.append(self._random_part(part, scope, dice, "")[0])
            else:
                texts.append(next(iter(self._combine(part, scope, "")))[0])
        return "".join(texts)

    def _path_variable(self, get: Get, scope: Scope, dice: Dice | None) -> str:
        """A variable in a path; one that was never set gives its own name."""
        try:
            value, inner = self._look_up(get, scope)
        except UndefinedVariable:
            return get.name
        drawn = _drawn(value)
        if drawn is not None:
            return drawn[0].strip()
        if dice is not None:
            return self.random(value, inner, dice)[0].strip()
        return next(iter(self.combinations(value, inner)))[0].strip()

    def _values(self, wildcard: Wildcard, path: str) -> tuple[Value, ...] | None:
        values = self.rules.library.values(path)
        if values:
            return values
        if self.rules.strict:
            raise WildcardNotFound(
                "DP120", f'no wildcard is called "{path}"', where=wildcard.source
            )
        return None

    def _missing(self, wildcard: Wildcard, path: str) -> str:
        mark = self.rules.config.wildcard_wrap
        return f"{mark}{path}{mark}"

    def _inside(self, wildcard: Wildcard, path: str, scope: Scope) -> Scope:
        inner = scope.deeper(f'the wildcard "{path}"')
        for argument in wildcard.arguments:
            if argument.value.parts:
                inner = inner.having(argument.name, argument.value, scope)
        return inner

    def _parsed(self, value: Value) -> Sequence:
        return parse_sequence(value.text, self.rules.config, value.where)

    def _look_up(self, get: Get, scope: Scope) -> tuple[Sequence, Scope]:
        found = scope.variables.get(get.name)
        if found is not None and found[0].parts:
            if get.name in scope.drawing and found[1] is None:
                raise LimitExceeded("DP131", f'the variable "{get.name}" refers to itself')
            value, own = found
            inner = (own or scope).deeper(f'the variable "{get.name}"')
            return value, inner if own else inner.drawing_of(get.name)
        if get.default is not None and get.default.parts:
            return get.default, scope
        if self.rules.unknown_variable is not None:
            return Sequence((Text(self.rules.unknown_variable),)), scope
        raise UndefinedVariable("DP121", f'the variable "{get.name}" was never set')

    # All combinations

    def combinations(self, sequence: Sequence, scope: Scope) -> Iterator[Result]:
        """Enumerate all prompts in order, the last part fastest; lazily."""
        yield from self._assigned(sequence, 0, scope)

    def _assigned(self, sequence: Sequence, start: int, scope: Scope) -> Iterator[Result]:
        for index in range(start, len(sequence.parts)):
            part = sequence.parts[index]
            if not isinstance(part, Assign) or (part.if_unset and part.name in scope.variables):
                continue
            if part.immediate:
                for result in self._combine_named(part.name, part.value, scope):
                    drawn = Sequence((Drawn(*result),))
                    inner = scope.having(part.name, drawn, None)
                    yield from self._assigned(sequence, index + 1, inner)
                return
            scope = scope.having(part.name, part.value, None)
        streams = _Streams(self, scope)
        yield from self._product(sequence.parts, 0, scope, streams)

    def _product(
        self, parts: tuple[Node, ...], start: int, scope: Scope, streams: _Streams
    ) -> Iterator[Result]:
        if start == len(parts):
            yield _NOTHING
            return
        if start == len(parts) - 1 and not streams.has(parts[start]):
            yield from self._combine(parts[start], scope, "")
            return
        if streams.has(parts[start]):
            for rest_text, rest_picks in self._product(parts, start + 1, scope, streams):
                text, picks = streams.next(parts[start], start)
                yield text + rest_text, picks + rest_picks
            return
        for text, picks in self._combine(parts[start], scope, ""):
            for rest_text, rest_picks in self._product(parts, start + 1, scope, streams):
                yield text + rest_text, picks + rest_picks

    def _combine(self, part: Node, scope: Scope, name: str) -> Iterator[Result]:
        if isinstance(part, Text):
            yield part.text, ()
        elif isinstance(part, Variant):
            yield from self._combine_variant(part, scope, name)
        elif isinstance(part, Wildcard):
            yield from self._combine_wildcard(part, scope)
        elif isinstance(part, Get):
            value, inner = self._look_up(part, scope)
            yield from self._combine_named(part.name, value, inner)
        elif isinstance(part, Wrap):
            for wrapper in self.combinations(part.wrapper, scope):
                for inner_result in self.combinations(part.inner, scope):
                    yield _wrapped(wrapper, inner_result)
        else:
            yield _NOTHING

    def _combine_named(self, name: str, value: Sequence, scope: Scope) -> Iterator[Result]:
        drawn = _drawn(value)
        if drawn is not None:
            yield drawn
            return
        lone = _lone_variant(value)
        if lone is not None and lone.method is None:
            yield from self._combine(lone, scope, name)
        else:
            yield from self.combinations(value, scope)

    def _combine_variant(self, variant: Variant, scope: Scope, name: str) -> Iterator[Result]:
        choices = self._options(variant, scope)
        seen: set[tuple[str, ...]] = set()
        for picked in _permutations(variant, choices):
            for texts, picks in self._chosen(picked, 0, variant, name):
                if texts not in seen:
                    seen.add(texts)
                    yield _joined(texts, variant.separator), picks

    def _chosen(
        self, picked: tuple[_Choice, ...], start: int, variant: Variant, name: str
    ) -> Iterator[tuple[tuple[str, ...], Picks]]:
        if start == len(picked):
            yield (), ()
            return
        choice = picked[start]
        for text, picks in self.combinations(choice.body, choice.scope):
            label = name or choice.name or variant.source
            own = (Pick(label, text.strip(), choice.where), *picks)
            for rest, rest_picks in self._chosen(picked, start + 1, variant, name):
                yield (text, *rest), own + rest_picks

    def _combine_wildcard(self, wildcard: Wildcard, scope: Scope) -> Iterator[Result]:
        path = self._path(wildcard, scope, None)
        values = self._values(wildcard, path)
        if values is None:
            yield self._missing(wildcard, path), ()
            return
        inner = self._inside(wildcard, path, scope)
        for value in values:
            for text, picks in self.combinations(self._parsed(value), inner):
                yield text, (Pick(path, text.strip(), value.where), *picks)

    # Cycles

    def cycles(self, sequence: Sequence, scope: Scope) -> Iterator[Result]:
        """Draw for ever: every part goes round on its own."""
        for part in sequence.parts:
            if isinstance(part, Assign) and not (part.if_unset and part.name in scope.variables):
                value = part.value
                if part.immediate:
                    value = Sequence((Drawn(*next(self.cycles(value, scope))),))
                scope = scope.having(part.name, value, None)
        streams = [self.cycle_part(part, scope) for part in sequence.parts]
        while True:
            results = [next(stream) for stream in streams]
            yield (
                "".join(text for text, _ in results),
                tuple(p for _, more in results for p in more),
            )

    def cycle_part(self, part: Node, scope: Scope) -> Iterator[Result]:
        """Draw one part for ever."""
        if isinstance(part, Text):
            while True:
                yield part.text, ()
        elif isinstance(part, Variant):
            yield from self._cycle_variant(part, scope)
        elif isinstance(part, Wildcard):
            yield from self._cycle_wildcard(part, scope)
        elif isinstance(part, Get):
            value, inner = self._look_up(part, scope)
            drawn = _drawn(value)
            while drawn is not None:
                yield drawn
            yield from self.cycles(value, inner)
        elif isinstance(part, Wrap):
            wrappers, inners = self.cycles(part.wrapper, scope), self.cycles(part.inner, scope)
            while True:
                yield _wrapped(next(wrappers), next(inners))
        while True:
            yield _NOTHING

    def _cycle_variant(self, variant: Variant, scope: Scope) -> Iterator[Result]:
        choices = self._options(variant, scope)
        streams: dict[int, Iterator[Result]] = {}
        for picked in cycle(list(islice(_permutations(variant, choices), _MOST_PERMUTATIONS))):
            results = []
            for choice in picked:
                if id(choice) not in streams:
                    streams[id(choice)] = self.cycles(choice.body, choice.scope)
                results.append(next(streams[id(choice)]))
            texts = _joined([text for text, _ in results], variant.separator)
            yield texts, tuple(pick for _, more in results for pick in more)

    def _cycle_wildcard(self, wildcard: Wildcard, scope: Scope) -> Iterator[Result]:
        streams: dict[tuple[str, str], Iterator[Result]] = {}
        positions: dict[str, int] = {}
        while True:
            path = self._path(wildcard, scope, None)
            values = self._values(wildcard, path)
            if values is None:
                yield self._missing(wildcard, path), ()
                continue
            index = positions.get(path, 0)
            positions[path] = index + 1
            turns = [one for one in values for _ in range(max(1, int(one.weight)))]
            value = turns[index % len(turns)]
            key = (path, value.text)
            if key not in streams:
                inner = self._inside(wildcard, path, scope)
                streams[key] = self.cycles(self._parsed(value), inner)
            text, picks = next(streams[key])
            yield text, (Pick(path, text.strip(), value.where), *picks)


_MOST_PERMUTATIONS = 100_000


@dataclass(frozen=True, eq=False)
class _Choice:
    """One thing that a variant can take."""

    body: Sequence
    weight: float
    scope: Scope
    where: str
    name: str


class _Streams:
    """The parts of a sequence that go on for ever inside an enumeration: `{@..}`, `{~..}`."""

    def __init__(self, drawer: Drawer, scope: Scope) -> None:
        self._drawer, self._scope = drawer, scope
        self._open: dict[int, Iterator[Result]] = {}

    def has(self, part: Node) -> bool:
        """Whether this part never ends."""
        method = getattr(part, "method", None)
        return method in (Method.CYCLICAL, Method.RANDOM)

    def next(self, part: Node, index: int) -> Result:
        """Return the part's next result."""
        if index not in self._open:
            self._open[index] = self._start(part)
        return next(self._open[index])

    def _start(self, part: Node) -> Iterator[Result]:
        if getattr(part, "method", None) is Method.CYCLICAL:
            return self._drawer.cycle_part(part, self._scope)
        sequence = Sequence((part,))
        return (self._drawer.random(sequence, self._scope, Dice(number)) for number in count())


def _drawn(value: Sequence) -> Result | None:
    if len(value.parts) == 1 and isinstance(value.parts[0], Drawn):
        return value.parts[0].text, value.parts[0].picks
    return None


def _lone_variant(value: Sequence) -> Variant | None:
    parts = [part for part in value.parts if not (isinstance(part, Text) and not part.text.strip())]
    if len(parts) == len(value.parts) == 1 and isinstance(parts[0], Variant):
        return parts[0]
    return None


def _bounds(variant: Variant, available: int) -> tuple[int, int]:
    return min(variant.low, available), min(variant.high, available)


def _permutations(variant: Variant, choices: list[_Choice]) -> Iterator[tuple[_Choice, ...]]:
    low, high = _bounds(variant, len(choices))
    for amount in range(low, high + 1):
        yield from permutations(choices, amount)


def _joined(texts: Iterable[str], separator: str) -> str:
    """Join what was picked; an empty option leaves no separator behind."""
    return separator.join(text for text in texts if text)


def _wrapped(wrapper: Result, inner: Result) -> Result:
    text, picks = wrapper
    found = _DOTS.search(text)
    if found is None:
        return text + inner[0], picks + inner[1]
    return text[: found.start()] + inner[0] + text[found.end() :], picks + inner[1]
