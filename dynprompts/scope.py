"""What a sequence sees: the rules, its variables, and how deep in wildcards it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import LimitExceeded, Origin
from .lexer import ParserConfig
from .limits import LIMITS, Limits
from .nodes import Node, Record, Sequence, Wildcard
from .wildcards import Document, WildcardLibrary

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
    """A variable: its value, the text that it stands in, and the scope that it is drawn in.

    Without a scope of its own a value is drawn in the scope of each use. `bound` is an immediate
    variable, whose text is known once per prompt; `fixed` is a text that is known already.
    """

    __slots__ = ("bound", "document", "fixed", "scope", "value")

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


class Scope:
    """The variables that a sequence sees, and the text that it stands in. Never changed."""

    __slots__ = (
        "_below", "_deeper", "_using", "depth", "document", "drawing", "spaces", "variables",
    )  # fmt: skip

    def __init__(
        self,
        variables: dict[str, Binding],
        document: Document,
        depth: int = 0,
        drawing: frozenset[str] = frozenset(),
    ) -> None:
        self.variables = variables
        self.document = document
        self.depth = depth
        self.drawing = drawing
        self.spaces: dict[tuple[int, str], tuple[Sequence, Space]] = {}
        self._deeper: dict[int, Scope] = {}
        self._using: dict[str, Scope] = {}
        self._below: dict[tuple[tuple[str, Sequence], ...], Scope] = {}

    def place(self, node: Node) -> str:
        """Return file:line:column of a node of the scope's text."""
        return self.document.origin.place(self.document.text, node.start)

    def source(self, node: Node) -> str:
        """Return the source text of a node of the scope's text."""
        return self.document.text[node.start : node.end]

    def having(self, bindings: dict[str, Binding]) -> Scope:
        """Return the scope with more variables."""
        variables = {**self.variables, **bindings}
        return Scope(variables, self.document, self.depth, self.drawing)

    def using(self, name: str, document: Document, node: Node, most: int) -> Scope:
        """Return the scope in which the value of a variable is drawn. LimitExceeded DP131."""
        if name in self.drawing or self.depth >= most:
            raise LimitExceeded(
                "DP131", f'the variable "{name}" refers to itself', where=self.place(node)
            )
        if name not in self._using:
            drawing = self.drawing | {name}
            self._using[name] = Scope(self.variables, document, self.depth + 1, drawing)
        return self._using[name]

    def argument(self, name: str, depth: int, node: Node, most: int) -> Scope:
        """Return the scope in which an argument's value is drawn: what its reference saw."""
        if depth >= most:
            raise LimitExceeded(
                "DP131", f'the argument "{name}" refers to itself', where=self.place(node)
            )
        key = f"{depth} {name}"
        if key not in self._using:
            self._using[key] = Scope(self.variables, self.document, depth + 1, self.drawing)
        return self._using[key]

    def entering(self, document: Document) -> Scope:
        """Return this scope for another text; the same one for the same text."""
        key = id(document)
        if key not in self._deeper:
            self._deeper[key] = Scope(self.variables, document, self.depth, self.drawing)
        return self._deeper[key]

    def below(self, arguments: dict[str, Binding], node: Node, path: str, most: int) -> Scope:
        """Return the scope of a wildcard's values. Raises LimitExceeded DP131."""
        if self.depth >= most:
            raise LimitExceeded(
                "DP131",
                f'the wildcard "{path}" refers to itself without end',
                where=self.place(node),
            )
        key = tuple((name, binding.value) for name, binding in arguments.items())
        if key not in self._below:
            variables = {**self.variables, **arguments} if arguments else self.variables
            self._below[key] = Scope(variables, self.document, self.depth + 1, self.drawing)
        return self._below[key]


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
