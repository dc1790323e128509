"""What a sequence sees: the rules, its variables, and how deep in wildcards it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import LimitExceeded, Origin
from .lexer import ParserConfig
from .limits import LIMITS, Limits
from .nodes import Node, Record, Sequence, Wildcard
from .values import Document
from .wildcards import WildcardLibrary

if TYPE_CHECKING:
    from .spaces import Bound, Space


class Rules(Record):
    """How a template is drawn: its library, brackets, and what happens with what is missing.

    `strict` makes a missing wildcard an error; otherwise its reference stays in the text.
    `unknown_variable` is the text of an undefined variable; None makes it an error.
    """

    __slots__ = ("config", "library", "limits", "strict", "unknown_variable")
    _fields = ("library", "config", "strict", "unknown_variable", "limits")

    def __init__(
        self,
        library: WildcardLibrary,
        config: ParserConfig = ParserConfig(),  # noqa: B008  # a constant
        strict: bool = False,
        unknown_variable: str | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self.library = library
        self.config = config
        self.strict = strict
        self.unknown_variable = unknown_variable
        self.limits = limits


class Binding:
    """A variable: its value, the text that it is in, and the scope that it is drawn in.

    Without a scope of its own a value is drawn in the scope of each use. `bound` is an immediate
    variable, whose text is known once per prompt; `fixed` is a text that is known already.
    """

    __slots__ = ("_key", "bound", "document", "fixed", "scope", "value")

    def __init__(
        self,
        value: Sequence,
        document: Document,
        scope: Scope | None = None,
        bound: Bound | None = None,
        fixed: str | None = None,
    ) -> None:
        self.value = value
        self.document = document
        self.scope = scope
        self.bound = bound
        self.fixed = fixed
        self._key: tuple[object, ...] | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from other bindings, once it is complete."""
        if self._key is None:
            if self.scope is not None:  # an argument: written twice in one text, it is one
                self._key = self.value, id(self.scope)
            else:
                self._key = id(self.value), id(self.document), id(self.bound), self.fixed
        return self._key


class Registry:
    """What all scopes of one template share: each scope once, and what was counted in it.

    Two scopes are one where they see the same variables in the same text at the same depth; so a
    wildcard that many others name is resolved once, however many ways lead to it.
    """

    __slots__ = ("_bindings", "_environments", "_scopes", "by_depth", "counted")

    def __init__(self, by_depth: bool = False) -> None:
        self.by_depth = by_depth
        self.counted: dict[tuple[object, ...], dict[tuple[str, int], Any]] = {}
        self._bindings: dict[object, int] = {}
        self._environments: dict[frozenset[tuple[str, int]], int] = {frozenset(): 0}
        self._scopes: dict[tuple[int, int, int, frozenset[str]], Scope] = {}

    def environment(self, variables: Mapping[str, Binding]) -> int:
        """Return the number of a set of variables; equal sets have the same."""
        bindings = self._bindings
        key = frozenset(
            (name, bindings.setdefault(binding.key, len(bindings)))
            for name, binding in variables.items()
        )
        return self._environments.setdefault(key, len(self._environments))

    def scope(
        self,
        variables: Mapping[str, Binding],
        environment: int,
        document: Document,
        depth: int,
        drawing: frozenset[str],
    ) -> Scope:
        """Return the one scope of this kind."""
        key = environment, id(document), depth, drawing
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = Scope(
                variables, document, self, environment, depth, drawing
            )
        return found


class Scope:
    """What a sequence sees, and the spaces that were made of sequences in it.

    `drawing` are the variables whose values are being drawn; one of them again would never end.
    """

    __slots__ = (
        "_counted", "depth", "document", "drawing", "environment", "registry", "spaces",
        "variables",
    )  # fmt: skip

    def __init__(
        self,
        variables: Mapping[str, Binding],
        document: Document,
        registry: Registry,
        environment: int,
        depth: int = 0,
        drawing: frozenset[str] = frozenset(),
    ) -> None:
        self.variables = variables
        self.document = document
        self.registry = registry
        self.environment = environment
        self.depth = depth
        self.drawing = drawing
        self.spaces: dict[tuple[int, str], tuple[Sequence, Space]] = {}
        self._counted: dict[tuple[str, int], Any] | None = None

    @classmethod
    def outermost(cls, variables: Mapping[str, Binding], by_depth: bool = False) -> Scope:
        """Return the scope in which a template stands."""
        registry = Registry(by_depth)
        environment = registry.environment(variables) if variables else 0
        return registry.scope(variables, environment, START, 0, frozenset())

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells the scope from others, its depth left out."""
        return self.environment, id(self.document), self.drawing

    @property
    def counted(self) -> dict[tuple[str, int], Any]:
        """What was counted in scopes like this, whatever their depth; see Sequenced.count."""
        if self._counted is None:
            key = self.identity
            if self.registry.by_depth:
                key = *key, self.depth
            self._counted = self.registry.counted.setdefault(key, {})
        return self._counted

    def place(self, node: Node) -> str:
        """Return file:line:column of a node of the scope's text."""
        return self.document.origin.place(self.document.text, node.start)

    def source(self, node: Node) -> str:
        """Return the source text of a node of the scope's text."""
        return self.document.text[node.start : node.end]

    def having(self, bindings: dict[str, Binding]) -> Scope:
        """Return the scope with more variables."""
        variables = {**self.variables, **bindings}
        environment = self.registry.environment(variables)
        return self.registry.scope(variables, environment, self.document, self.depth, self.drawing)

    def _deeper(self, document: Document, depth: int, drawing: frozenset[str]) -> Scope:
        return self.registry.scope(self.variables, self.environment, document, depth, drawing)

    def using(self, name: str, document: Document, node: Node, most: int) -> Scope:
        """Return the scope in which the value of a variable is drawn. LimitExceeded DP131."""
        if name in self.drawing or self.depth >= most:
            raise LimitExceeded(
                "DP131", f'the variable "{name}" refers to itself', where=self.place(node)
            )
        return self._deeper(document, self.depth + 1, self.drawing | {name})

    def argument(self, name: str, depth: int, node: Node, most: int) -> Scope:
        """Return the scope in which an argument's value is drawn: what its reference saw."""
        if depth >= most:
            raise LimitExceeded(
                "DP131", f'the argument "{name}" refers to itself', where=self.place(node)
            )
        return self._deeper(self.document, depth + 1, self.drawing)

    def entering(self, document: Document) -> Scope:
        """Return this scope for another text; the same one for the same text."""
        return self._deeper(document, self.depth, self.drawing)

    def below(self, arguments: dict[str, Binding], node: Node, path: str, most: int) -> Scope:
        """Return the scope of a wildcard's values. Raises LimitExceeded DP131."""
        if self.depth >= most:
            raise LimitExceeded(
                "DP131",
                f'the wildcard "{path}" refers to itself without end',
                where=self.place(node),
            )
        found = self._deeper(START, self.depth + 1, self.drawing)
        return found.having(arguments) if arguments else found


def bound_arguments(node: Wildcard, scope: Scope) -> dict[str, Binding]:
    """Return what a reference's arguments bind; each sees what the reference sees, and the others.

    A name within its own argument is the one outside: `__w(hair=long ${hair})__`.
    """
    bindings = {
        one.name: Binding(one.value, scope.document, scope)
        for one in node.arguments
        if one.value.parts
    }
    if len(bindings) > 1:
        for name, binding in bindings.items():
            if binding.value.plain is None:
                others = {other: one for other, one in bindings.items() if other != name}
                binding.scope = scope.having(others)
    return bindings


START = Document(Sequence(), "", Origin())
