"""From trees to spaces: variables are bound, wildcards looked up, each when first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .amounts import parse_amount
from .errors import Endless, LimitExceeded, PromptError, UndefinedVariable, WildcardNotFound
from .nodes import (
    Assign,
    Get,
    Method,
    Node,
    Option,
    Sequence,
    Text,
    Variant,
    Wildcard,
    Wrap,
    number_slots,
)
from .parser import parse_sequence
from .randomness import slot_keys, thresholds
from .sample import Pick
from .scope import Binding, Rules, Scope, bound_arguments
from .sequences import Branching, Immediate, Sequenced
from .spaces import Bound, Lazy, Missing, Nothing, Routed, Space, Stream, Wrapped, unknown
from .values import Collection, Document
from .variants import Choosing, Options, Ranging, Sizes


class Resolver:
    """Resolves trees under one set of rules; with a depth, what lies deeper gives no result."""

    def __init__(self, rules: Rules, depth: int | None = None) -> None:
        self.rules = rules
        self._spaces = 0
        self.most = rules.limits.recursion
        self._cut = depth is not None
        if depth is not None:
            self.most = min(self.most, depth)

    def document(self, document: Document, scope: Scope) -> Space:
        """Return the space of a whole text."""
        return self.sequence(document.root, scope.entering(document))

    def sequence(
        self, sequence: Sequence, scope: Scope, name: str = "", fixed: tuple[str, ...] = ()
    ) -> Space:
        """Return the space of a sequence; a lone variant or wildcard in it is called `name`.

        `fixed` are the texts of its first immediate variables, where they are known.
        """
        key = id(sequence), name
        known = scope.spaces.get(key)
        if known is not None and not fixed:
            return known[1]
        self._spaces += 1
        if self._spaces > self.rules.limits.spaces:
            raise LimitExceeded(
                "DP134",
                f"the template leads to more than {self.rules.limits.spaces} pieces",
                where=scope.document.origin.place("", 0),
            )
        inner, immediates = self._assigned(sequence, scope, fixed)
        nodes = [part for part in sequence.parts if not isinstance(part, Assign)]
        lone = name if len(sequence.parts) == 1 else ""
        parts = [self._part(part, inner, lone) for part in nodes]
        space: Space = Sequenced(parts, immediates, self.rules.limits, scope, sequence)
        if immediates and not fixed and self._is_routed(sequence, scope, set()):
            branches = partial(self._branches, sequence, scope, name, ())
            space = Branching(space, branches, self.rules.limits)
        if not fixed:
            scope.spaces[key] = sequence, space
        return space

    def _assigned(
        self, sequence: Sequence, scope: Scope, fixed: tuple[str, ...]
    ) -> tuple[Scope, list[Immediate]]:
        """All assignments of a sequence come before anything else in it, in their order."""
        immediates: list[Immediate] = []
        number = 0
        for part in sequence.parts:
            if not isinstance(part, Assign) or (part.if_unset and part.name in scope.variables):
                continue
            binding = Binding(part.value, scope.document)
            if part.immediate and number < len(fixed):
                binding.fixed = fixed[number]
                number += 1
            elif part.immediate:
                space = self.sequence(part.value, scope, part.name)
                binding.bound = Bound()
                immediates.append((binding.bound, space, slot_keys(part.slot)))
            scope = scope.having({part.name: binding})
        return scope, immediates

    def _branches(
        self, sequence: Sequence, scope: Scope, name: str, fixed: tuple[str, ...]
    ) -> Iterator[tuple[tuple[Pick, ...], Space]]:
        """Go through all values of the immediate variables, the last one fastest."""
        _, immediates = self._assigned(sequence, scope, fixed)
        if not immediates:
            yield (), self.sequence(sequence, scope, name, (*fixed, ""))
            return
        for text, picks in immediates[0][1].iterate(unknown()):
            for more, space in self._branches(sequence, scope, name, (*fixed, text)):
                yield picks + more, space

    def _is_routed(self, sequence: Sequence, scope: Scope, seen: set[str]) -> bool:
        """Whether a wildcard's path or a number of options in reach holds more than text."""
        sequences = [sequence]
        sequences += [binding.value for binding in scope.variables.values()]
        while sequences:
            for node in _walk(sequences.pop()):
                if isinstance(node, Variant) and node.amount is not None:
                    return True
                if not isinstance(node, Wildcard):
                    continue
                path = node.path.plain
                if path is None:
                    return True
                if path not in seen:
                    seen.add(path)
                    sequences += self._values_of(path)
        return False

    def _values_of(self, path: str) -> list[Sequence]:
        rules = self.rules
        found = rules.library.collection(path)
        if found is None or found.all_plain(rules.config):
            return []
        documents = (
            found.document(index, rules.config, rules.limits.nesting)
            for index in range(len(found.texts))
        )
        return [document.root for document in documents if document is not None]

    # Parts

    def _part(self, node: Node, scope: Scope, name: str) -> str | Space:
        if isinstance(node, Text):
            return node.text
        if isinstance(node, Variant):
            return _streamed(self._variant(node, scope, name), node.method)
        if isinstance(node, Wildcard):
            return _streamed(
                self._at_path(node, scope, partial(self._opened, node, scope, name)), node.method
            )
        if isinstance(node, Get):
            return self._get(node, scope)
        assert isinstance(node, Wrap)
        wrapper = self.sequence(node.wrapper, scope)
        return Wrapped(wrapper, self.sequence(node.inner, scope), self.rules.limits)

    def _variant(self, variant: Variant, scope: Scope, name: str) -> Space:
        if variant.amount is None:
            return self._bounded(variant, scope, name, (variant.low, variant.high))
        parts = [self._part(part, scope, "") for part in variant.amount.parts]
        opener = partial(self._of_amount, variant, scope, name)
        return Routed(variant.slot, parts, opener, self.rules.limits)

    def _of_amount(self, variant: Variant, scope: Scope, name: str, text: str) -> Space:
        """Return the space of a variant once its variable says how many options."""
        bounds = parse_amount(text)
        if bounds is None:
            raise PromptError(
                "DP124", f'"{text}" is not a number of options', where=scope.place(variant)
            )
        return self._bounded(variant, scope, name, bounds)

    def _bounded(self, variant: Variant, scope: Scope, name: str, bounds: tuple[int, int]) -> Space:
        place = partial(scope.place, variant)
        single = bounds == (1, 1) and variant.amount is None
        slot = f"={name}" if name else variant.slot
        options: Options = NodeOptions(self, variant, scope, name or scope.source(variant))
        only = variant.options[0].body.parts if len(variant.options) == 1 else ()
        if not single and len(only) == 1 and isinstance(only[0], Wildcard):
            opener = partial(self._ranged, variant, only[0], scope, name, bounds)
            return self._at_path(only[0], scope, opener)
        if single:
            return self.choosing(slot, options, place, distinct=True)
        return self.ranging(slot, options, place, bounds, variant.separator)

    def _ranged(
        self,
        variant: Variant,
        wildcard: Wildcard,
        scope: Scope,
        name: str,
        bounds: tuple[int, int],
        path: str,
    ) -> Space:
        """Return the space of `{2$$__name__}`: several values of one wildcard."""
        options = self._values(wildcard, scope, name, path)
        if options is None:
            return self._missing(path)
        slot = f"={name}" if name else variant.slot
        place = partial(scope.place, variant)
        return self.ranging(slot, options, place, bounds, variant.separator)

    def choosing(self, slot: str, options: Options, place: partial[str], distinct: bool) -> Space:
        """Return the space of one option out of several."""
        return Choosing(slot, options, self.rules.limits, place, distinct)

    def ranging(
        self, slot: str, options: Options, place: partial[str], bounds: tuple[int, int], mark: str
    ) -> Space:
        """Return the space of several options."""
        return Ranging(slot, options, self.rules.limits, place, bounds, mark)

    def _at_path(self, wildcard: Wildcard, scope: Scope, opener: Callable[[str], Space]) -> Space:
        if self._cut and scope.depth >= self.most:
            return Nothing()
        path = wildcard.path.plain
        if path is not None:
            return opener(path)
        parts = [self._path_part(part, scope) for part in wildcard.path.parts]
        return Routed(wildcard.slot, parts, opener, self.rules.limits)

    def _path_part(self, node: Node, scope: Scope) -> str | Space:
        """A variable in a path that was never set gives its own name."""
        if isinstance(node, Get) and node.default is None and node.name not in scope.variables:
            return node.name
        return self._part(node, scope, "")

    def _opened(self, wildcard: Wildcard, scope: Scope, name: str, path: str) -> Space:
        options = self._values(wildcard, scope, name, path)
        if options is None:
            return self._missing(path)
        slot = f"={name}" if name else wildcard.slot
        return self.choosing(slot, options, partial(scope.place, wildcard), distinct=False)

    def _missing(self, path: str) -> Space:
        mark = self.rules.config.wildcard_wrap
        return Missing(f"{mark}{path}{mark}")

    def _values(
        self, wildcard: Wildcard, scope: Scope, name: str, path: str
    ) -> ValueOptions | None:
        found = self.rules.library.collection(path)
        if found is None:
            if self.rules.strict:
                link = self.rules.library.link_of(path)
                why = f': "{link}" is a link that is not followed' if link else ""
                message = f'no wildcard is called "{path}"{why}'
                raise WildcardNotFound("DP120", message, where=scope.place(wildcard))
            return None
        arguments = bound_arguments(wildcard, scope)
        return ValueOptions(self, found, wildcard, scope, arguments, path, name or path)

    def _get(self, get: Get, scope: Scope) -> str | Space:
        binding = scope.variables.get(get.name)
        if binding is not None and binding.bound is not None:
            return binding.bound
        if binding is not None and binding.fixed is not None:
            return binding.fixed
        resolve = partial(self._looked_up, get, scope, binding)
        return Lazy(get.slot, resolve, self.rules.limits, partial(scope.place, get))

    def _looked_up(self, get: Get, scope: Scope, binding: Binding | None) -> Space:
        if binding is not None and (binding.value.parts or get.default is None):
            try:
                inner = value_scope(binding, get, scope, self.most)
            except LimitExceeded:
                if self._cut:
                    return Nothing()
                raise
            return self.sequence(binding.value, inner, get.name)
        if get.default is not None and (get.default.parts or binding is None):
            return self.sequence(get.default, scope, get.name)
        if self.rules.unknown_variable is not None:
            return Missing(self.rules.unknown_variable)
        raise UndefinedVariable(
            "DP121", f'the variable "{get.name}" was never set', where=scope.place(get)
        )


def value_scope(binding: Binding, get: Get, scope: Scope, most: int) -> Scope:
    """Return the scope of a variable's value at one of its uses. Raises LimitExceeded DP131."""
    if binding.scope is not None:
        depth = max(binding.scope.depth, scope.depth)
        return binding.scope.argument(get.name, depth, get, most)
    return scope.using(get.name, binding.document, get, most)


def _streamed(space: Space, method: Method | None) -> Space:
    if method in (Method.CYCLICAL, Method.RANDOM):
        return Stream(space, method)
    return space


def _walk(sequence: Sequence) -> Iterator[Node]:
    """Go through all nodes of a tree, in the order of the text."""
    for part in sequence.parts:
        yield part
        for inner in insides(part):
            yield from _walk(inner)


def insides(node: Node) -> tuple[Sequence, ...]:
    """Return the sequences directly inside a node."""
    if isinstance(node, Variant):
        amount = () if node.amount is None else (node.amount,)
        return amount + tuple(option.body for option in node.options)
    if isinstance(node, Wildcard):
        return (node.path, *(argument.value for argument in node.arguments))
    if isinstance(node, Assign):
        return (node.value,)
    if isinstance(node, Get):
        return (node.default,) if node.default is not None else ()
    if isinstance(node, Wrap):
        return node.wrapper, node.inner
    return ()


_new = tuple.__new__
"""Makes a Pick in half the time: a draw makes one for every option that is more than text."""


class NodeOptions(Options):
    """The options of a variant of the template itself."""

    __slots__ = ("_nodes", "_resolver", "_scope")

    def __init__(self, resolver: Resolver, variant: Variant, scope: Scope, label: str) -> None:
        self.label = label
        self._nodes: tuple[Option, ...] = variant.options
        self.total = len(variant.options)
        self._resolver, self._scope = resolver, scope
        weights = [option.weight for option in variant.options]
        first = weights[0]
        uneven = not first or any(weight != first for weight in weights)
        self.weights = weights if uneven else None

    def thresholds(self) -> list[int]:
        return thresholds(self.weights or ())

    def plain(self, index: int) -> str | None:
        return self._nodes[index].body.plain

    def space(self, index: int) -> Space:
        return self._resolver.sequence(self._nodes[index].body, self._scope)

    def pick(self, index: int, text: str) -> Pick:
        return _new(Pick, (self.label, text.strip(), "", index))

    def all_plain(self) -> bool:
        return all(option.body.plain is not None for option in self._nodes)

    def turns(self) -> list[int] | None:
        return None


class ValueOptions(Options):
    """The values of a wildcard, in the scope of its reference."""

    __slots__ = (
        "_arguments", "_found", "_inner", "_node", "_path", "_resolver", "_scope", "_turns",
    )  # fmt: skip

    def __init__(
        self,
        resolver: Resolver,
        found: Collection,
        node: Wildcard,
        scope: Scope,
        arguments: dict[str, Binding],
        path: str,
        label: str,
    ) -> None:
        self.label = label
        self.total = len(found.texts)
        self.weights = found.weights
        self._resolver, self._found, self._node, self._scope = resolver, found, node, scope
        self._arguments, self._path = arguments, path
        self._inner: Scope | None = None
        self._turns: list[int] | None = None

    def thresholds(self) -> list[int]:
        return self._found.thresholds

    def _document(self, index: int) -> Document | None:
        rules = self._resolver.rules
        return self._found.document(index, rules.config, rules.limits.nesting)

    def plain(self, index: int) -> str | None:
        return self._found.texts[index] if self._document(index) is None else None

    def space(self, index: int) -> Space:
        document = self._document(index)
        assert document is not None
        return self._resolver.document(document, self._inner_scope())

    def _inner_scope(self) -> Scope:
        if self._inner is None:
            most = self._resolver.most
            self._inner = self._scope.below(self._arguments, self._node, self._path, most)
        return self._inner

    def sizes(self) -> Sizes:
        counted = self._inner_scope().counted
        key = "values", id(self._found)
        if key not in counted:
            try:
                counted[key] = super().sizes()
            except Endless as error:
                if error.where:
                    raise
                raise Endless(
                    "DP131",
                    f'"{self._path}" leads back to itself, so its combinations have no end; '
                    "count them up to a depth",
                    where=self._scope.place(self._node),
                ) from None
        sizes: Sizes = counted[key]
        return sizes

    def pick(self, index: int, text: str) -> Pick:
        return Pick(self.label, text.strip(), self._found.where(index), index)

    def all_plain(self) -> bool:
        return self._found.all_plain(self._resolver.rules.config)

    def turns(self) -> list[int] | None:
        if self.weights is None:
            return None
        if self._turns is None:
            self._turns = [
                index
                for index, weight in enumerate(self.weights)
                for _ in range(max(1, min(int(weight), 1000)))
            ]
        return self._turns


def read_document(text: str, rules: Rules, name: str = "template") -> Document:
    """Parse a text and number its slots. Raises PromptSyntaxError or LimitExceeded."""
    from .errors import Origin

    origin = Origin(name)
    return Document(parse_sequence(text, rules.config, origin, rules.limits.nesting), text, origin)


def numbered(document: Document) -> Document:
    """Number a document's slots, once it is drawn from."""
    number_slots(document.root)
    return document
