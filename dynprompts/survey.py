"""Everything that a template can lead to, found without drawing: tags, wildcards, variables.

The tree is walked once with all its wildcards, each of them once, however many ways lead to it;
a tag that is put together from several parts is followed from its "<" through every option to
its ">". A wildcard waits for its turn unless a tag is open before it, or left open by it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import NamedTuple

from .errors import LimitExceeded
from .nodes import Assign, Get, Node, Sequence, Text, Variant, Wildcard, Wrap
from .resolver import value_scope
from .scope import Binding, Rules, Scope, bound_arguments
from .values import Collection, Document

_TAG = re.compile(r"<(\w+):([^<>]*)>")
_OPEN = re.compile(r"<\w*(?::[^<>]*)?")
_LONGEST_TAG = 300
_MOST_TAGS = 5_000
_MOST_PATHS = 1_000


class NetworkTag(NamedTuple):
    """An extra-network tag: `<lora:name:0.8>` has kind lora, name and weight "0.8"."""

    kind: str
    name: str
    weight: str
    text: str
    where: str


class Reached(NamedTuple):
    """A name in a template or in its wildcards, and the first place where it stands."""

    name: str
    where: str


class Reach(NamedTuple):
    """What a template can ever contain, and what it cannot find.

    `wildcards` are references as they are written; `names` the collections behind them.
    `complete` is False when there are too many different tags to list.
    """

    tags: tuple[NetworkTag, ...]
    wildcards: tuple[Reached, ...]
    missing: tuple[Reached, ...]
    names: tuple[str, ...]
    variables: tuple[Reached, ...]
    undefined: tuple[Reached, ...]
    complete: bool

    @property
    def loras(self) -> tuple[str, ...]:
        """The names of all LoRAs, each once; the WebUI takes `<lyco:` for the same."""
        tags = (tag for tag in self.tags if tag.kind in ("lora", "lyco"))
        return tuple(dict.fromkeys(tag.name for tag in tags))


class VariantFacts(NamedTuple):
    """A variant or wildcard by the name that its picks have.

    `single` is False when several options are drawn at once; `weights` is None when all are equal.
    """

    label: str
    total: int
    weights: tuple[float, ...] | None
    single: bool
    named: bool
    is_wildcard: bool
    option: Callable[[int], str]

    def share(self, number: int) -> float:
        """Return how likely an option is, where a single one is drawn."""
        if self.weights is None:
            return 1 / self.total
        total = sum(self.weights)
        return self.weights[number] / total if total else 0.0


Fragment = tuple[str, str]
"""An opened tag as far as it was read, and where it began."""

States = frozenset[Fragment | None]
_OUTSIDE: States = frozenset((None,))


class _Errand(NamedTuple):
    """A wildcard that waits to be walked, in a scope; `key` tells it from others."""

    key: object
    found: Collection
    inner: Scope


class Survey:
    """One walk through a template; the results are its attributes."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tags: dict[str, NetworkTag] = {}
        self._wildcards: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._names: dict[str, None] = {}
        self._variables: dict[str, str] = {}
        self._undefined: dict[str, str] = {}
        self._complete = True
        self._done: dict[object, States] = {}
        self._waiting: deque[_Errand | None] = deque()
        self._readers: dict[object, dict[_Errand | None, None]] = {}
        self._reader: _Errand | None = None
        self._leaving: set[object] = set()
        self.choices: dict[str, VariantFacts] = {}

    def walk(self, document: Document, scope: Scope) -> None:
        """Walk a whole text, then every wildcard; again what reads one that leaves a tag open."""
        self._waiting.append(None)
        while self._waiting:
            self._reader = errand = self._waiting.popleft()
            if errand is None:
                self._sequence(document.root, scope.entering(document), _OUTSIDE)
                continue
            after = self._through(errand.found, errand.inner, _OUTSIDE)
            if after != _OUTSIDE and errand.key not in self._leaving:
                self._leaving.add(errand.key)
                self._waiting += self._readers.pop(errand.key, ())

    @property
    def reach(self) -> Reach:
        """What was found."""
        return Reach(
            tuple(self._tags.values()),
            _reached(self._wildcards),
            _reached(self._missing),
            tuple(sorted(self._names)),
            _reached(self._variables),
            _reached(self._undefined),
            self._complete,
        )

    def _sequence(self, sequence: Sequence, scope: Scope, states: States, name: str = "") -> States:
        quiet = states == _OUTSIDE
        parts = sequence.parts
        if quiet and (not parts or (len(parts) == 1 and _is_quiet(parts[0]))):
            return states
        # an open tag grows from level to level of a cycle, so that there each level counts
        place: object = scope.identity if quiet and not self._leaving else id(scope)
        key = id(sequence), place, states, name, len(self._leaving)
        known = self._done.get(key)
        if known is None:
            self._done[key] = states
            known = self._done[key] = self._walked(sequence, scope, states, name)
        return known

    def _walked(self, sequence: Sequence, scope: Scope, states: States, name: str) -> States:
        for part in sequence.parts:
            if isinstance(part, Assign):
                self._variables.setdefault(part.name, scope.place(part))
                if not part.if_unset or part.name not in scope.variables:
                    if part.immediate:
                        self._sequence(part.value, scope, _OUTSIDE, part.name)
                    scope = scope.having({part.name: Binding(part.value, scope.document)})
        lone = name if len(sequence.parts) == 1 else ""
        for part in sequence.parts:
            if isinstance(part, Text):
                if states != _OUTSIDE or not _is_quiet(part):
                    states = self._text(part.text, scope.place(part), states)
            elif isinstance(part, Variant):
                states = self._variant(part, scope, states, lone)
            elif isinstance(part, Wildcard):
                states = self._wildcard(part, scope, states, lone)
            elif isinstance(part, Get):
                states = self._get(part, scope, states)
            elif isinstance(part, Wrap):
                states = self._sequence(part.wrapper, scope, states)
                states = self._sequence(part.inner, scope, states)
        return states

    # Tags

    def _text(self, text: str, place: str, states: States) -> States:
        """Carry opened tags through a text: each is closed, continues or breaks off."""
        if states == _OUTSIDE and "<" not in text:
            return states
        after: set[Fragment | None] = set()
        for state in sorted(states, key=lambda state: state or ("", "")):
            if state is None:
                after.add(self._outside(text, place))
                continue
            found = re.search("[<>]", text)
            if found is None:
                longer = state[0] + text
                continues = len(longer) <= _LONGEST_TAG and _OPEN.fullmatch(longer)
                after.add((longer, state[1]) if continues else None)
                continue
            if found.group() == ">":
                self._tag(state[0] + text[: found.end()], state[1])
            rest = text[found.end() if found.group() == ">" else found.start() :]
            after.add(self._outside(rest, place))
        if len(after) > _MOST_TAGS:
            self._complete = False
            after = {None}
        return frozenset(after)

    def _outside(self, text: str, place: str) -> Fragment | None:
        for found in _TAG.finditer(text):
            self._tag(found.group(), place)
        start = text.rfind("<")
        if start > text.rfind(">") and _OPEN.fullmatch(text, start):
            return text[start:], place
        return None

    def _tag(self, text: str, where: str) -> None:
        found = _TAG.fullmatch(text)
        if found is not None and text not in self._tags:
            if len(self._tags) >= _MOST_TAGS:
                self._complete = False
                return
            name, _, weight = found.group(2).partition(":")
            self._tags[text] = NetworkTag(found.group(1), name, weight, text, where)

    # Parts

    def _variant(self, variant: Variant, scope: Scope, states: States, name: str) -> States:
        single = variant.low == variant.high == 1
        if variant.amount is not None:
            self._sequence(variant.amount, scope, _OUTSIDE)
        only = variant.options[0].body.parts if len(variant.options) == 1 else ()
        if not single and len(only) == 1 and isinstance(only[0], Wildcard):
            step = self._stepper(only[0], scope, name, single=False)
        else:
            self._note_variant(variant, scope, name, single)

            def step(states: States) -> States:
                after = {self._sequence(one.body, scope, states) for one in variant.options}
                return after.pop() if len(after) == 1 else frozenset().union(*after)

        if single:
            return step(states)
        return self._several(variant, scope, states, step)

    def _several(
        self, variant: Variant, scope: Scope, states: States, step: Callable[[States], States]
    ) -> States:
        if states == _OUTSIDE and "<" not in variant.separator:
            current = step(states)
            if current == _OUTSIDE:
                return states  # the same however many are drawn
        reached = states if variant.low == 0 else frozenset[Fragment | None]()
        current = states
        for amount in range(1, variant.high + 1):
            before = current
            if amount > 1:
                current = self._text(variant.separator, scope.place(variant), current)
            current = step(current) | (before if amount > 1 else frozenset())
            reached |= current
            if current == before:
                break
        return reached

    def _note_variant(self, variant: Variant, scope: Scope, name: str, single: bool) -> None:
        label = name or scope.source(variant)
        if not self._is_larger(label, len(variant.options)):
            return
        weights = tuple(option.weight for option in variant.options)
        text = scope.document.text
        sources = [
            text[one.body.parts[0].start : one.end].strip() if one.body.parts else ""
            for one in variant.options
        ]
        uneven = weights if len(set(weights)) > 1 or not weights[0] else None
        option = sources.__getitem__
        self.choices[label] = VariantFacts(
            label, len(weights), uneven, single, bool(name), False, option
        )

    def _note_values(self, found: Collection, label: str, single: bool, named: bool) -> None:
        if self._is_larger(label, len(found.texts)):
            weights = tuple(found.weights) if found.weights is not None else None
            option = found.texts.__getitem__
            self.choices[label] = VariantFacts(
                label, len(found.texts), weights, single, named, True, option
            )

    def _is_larger(self, label: str, total: int) -> bool:
        """Of several choices with one name the largest is kept, whatever sets the name again."""
        known = self.choices.get(label)
        return known is None or known.total < total

    def _wildcard(self, wildcard: Wildcard, scope: Scope, states: States, name: str) -> States:
        path = wildcard.path.plain
        if path is not None and not wildcard.arguments:
            return self._values(wildcard, scope, path, {}, states, name, single=True)
        return self._stepper(wildcard, scope, name, single=True)(states)

    def _stepper(
        self, wildcard: Wildcard, scope: Scope, name: str, *, single: bool
    ) -> Callable[[States], States]:
        """Return what carries states through all values of a wildcard."""
        paths = self._paths(wildcard.path, scope)
        arguments = bound_arguments(wildcard, scope)
        for one in wildcard.arguments:
            self._variables.setdefault(one.name, scope.place(wildcard))
        for label, binding in arguments.items():
            self._sequence(binding.value, binding.scope or scope, _OUTSIDE, label)

        def step(states: States) -> States:
            after = [
                self._values(wildcard, scope, path, arguments, states, name, single)
                for path in paths
            ]
            return frozenset().union(*after)

        return step

    def _values(
        self,
        node: Wildcard,
        scope: Scope,
        path: str,
        arguments: dict[str, Binding],
        states: States,
        name: str,
        single: bool,
    ) -> States:
        rules = self._rules
        found = rules.library.collection(path)
        if found is None:
            place = scope.place(node)
            self._missing.setdefault(path, place)
            mark = rules.config.wildcard_wrap
            return self._text(f"{mark}{path}{mark}", place, states)
        if path not in self._wildcards:
            self._wildcards[path] = scope.place(node)
            self._names.update(dict.fromkeys(rules.library.matching(path)))
        label = name or path
        self._note_values(found, label, single, bool(name))
        try:
            inner = scope.below(arguments, node, path, rules.limits.recursion)
        except LimitExceeded:
            return states  # a cycle: everything in it was seen above
        key = id(found), inner.identity
        if states != _OUTSIDE or key in self._leaving:
            return self._through(found, inner, states)
        readers = self._readers.setdefault(key, {})
        if not readers:
            self._waiting.append(_Errand(key, found, inner))
        readers[self._reader] = None
        return states

    def _through(self, found: Collection, inner: Scope, states: States) -> States:
        """Carry states through all values of a wildcard."""
        key = id(found), id(inner), states, len(self._leaving)
        if key in self._done:
            return self._done[key]
        self._done[key] = states
        config, nesting = self._rules.config, self._rules.limits.nesting
        after: set[Fragment | None] = set()
        quiet = states == _OUTSIDE
        plain = found.all_plain(config)
        for number, text in enumerate(found.texts):
            document = None if plain else found.document(number, config, nesting)
            if document is not None:
                after |= self._sequence(document.root, inner.entering(document), states)
            elif quiet and "<" not in text:
                after.add(None)
            else:
                after |= self._text(text, found.where(number), states)
        known = self._done[key] = _OUTSIDE if after == _OUTSIDE else frozenset(after)
        return known

    def _get(self, get: Get, scope: Scope, states: States) -> States:
        place = scope.place(get)
        self._variables.setdefault(get.name, place)
        found = self._value_of(get, scope)
        if found is not None:
            return self._sequence(found[0], found[1], states, get.name)
        self._undefined.setdefault(get.name, place)
        return states

    def _value_of(self, get: Get, scope: Scope) -> tuple[Sequence, Scope] | None:
        binding = scope.variables.get(get.name)
        if binding is not None and (binding.value.parts or get.default is None):
            try:
                inner = value_scope(binding, get, scope, self._rules.limits.recursion)
            except LimitExceeded:
                return Sequence(), scope
            return binding.value, inner
        if get.default is not None:
            return get.default, scope
        return None

    def _paths(self, path: Sequence, scope: Scope) -> list[str]:
        """Return the names that a path can become; "*" means what cannot be listed."""
        if path.plain is not None:
            return [path.plain]
        pieces = [list(self._path_texts(Sequence((part,)), scope)) for part in path.parts]
        paths = {"".join(texts): None for texts in islice(product(*pieces), _MOST_PATHS)}
        return list(paths)

    def _path_texts(self, sequence: Sequence, scope: Scope) -> Iterator[str]:
        pieces: list[list[str]] = []
        for part in sequence.parts:
            if isinstance(part, Text):
                pieces.append([part.text])
            elif isinstance(part, Variant) and part.low == part.high == 1:
                every = [self._path_texts(option.body, scope) for option in part.options]
                pieces.append(list(islice((t for texts in every for t in texts), _MOST_PATHS)))
            elif isinstance(part, Get):
                self._variables.setdefault(part.name, scope.place(part))
                found = self._value_of(part, scope)
                reached = self._path_texts(*found) if found is not None else iter([part.name])
                pieces.append([text.strip() for text in islice(reached, _MOST_PATHS)])
            elif not isinstance(part, Assign):
                pieces.append(["*"])
        for texts in product(*pieces):
            yield "".join(texts)


def _reached(found: dict[str, str]) -> tuple[Reached, ...]:
    return tuple(Reached(name, where) for name, where in found.items())


def _is_quiet(node: Node) -> bool:
    """Whether a node is text that opens no tag."""
    return isinstance(node, Text) and "<" not in node.text
