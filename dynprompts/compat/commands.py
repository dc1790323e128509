"""A template as commands: what other programs look into, and back to a template of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..nodes import (
    Argument,
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
)
from .enums import SamplingMethod

_METHODS = {
    Method.COMBINATORIAL: SamplingMethod.COMBINATORIAL,
    Method.CYCLICAL: SamplingMethod.CYCLICAL,
    Method.RANDOM: SamplingMethod.RANDOM,
}
_BACK = {one: method for method, one in _METHODS.items()}


@dataclass(frozen=True)
class Command:
    """A piece of a template."""

    @property
    def sampling_method(self) -> SamplingMethod | None:
        """How it asks to be drawn."""
        return None


@dataclass(frozen=True)
class LiteralCommand(Command):
    """Text."""

    literal: str


@dataclass(frozen=True)
class SequenceCommand(Command):
    """Commands one after the other."""

    tokens: list[Command]
    separator: str = ""

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Command:
        return self.tokens[index]


@dataclass(frozen=True)
class VariantOption:
    """One option of a variant."""

    value: Command
    weight: float = 1.0


@dataclass(frozen=True)
class VariantCommand(Command):
    """`{2$$a|b}`."""

    variants: list[VariantOption]
    min_bound: int = 1
    max_bound: int = 1
    separator: str = ","
    method: SamplingMethod | None = None

    @property
    def sampling_method(self) -> SamplingMethod | None:
        return self.method

    @property
    def values(self) -> list[Command]:
        """The options' commands."""
        return [one.value for one in self.variants]

    @property
    def weights(self) -> list[float]:
        """The options' weights."""
        return [one.weight for one in self.variants]


@dataclass(frozen=True)
class WildcardCommand(Command):
    """`__name(a=b)__`; a name that is drawn is a command."""

    wildcard: str | Command
    method: SamplingMethod | None = None
    variables: dict[str, Command] = field(default_factory=dict)

    @property
    def sampling_method(self) -> SamplingMethod | None:
        return self.method


@dataclass(frozen=True)
class WrapCommand(Command):
    """`%{before ... after$$inner}`."""

    wrapper: Command
    inner: Command


@dataclass(frozen=True)
class VariableAccessCommand(Command):
    """`${name:default}`."""

    name: str
    default: Command | None = None


@dataclass(frozen=True)
class VariableAssignmentCommand(Command):
    """`${name=value}`."""

    name: str
    value: Command
    overwrite: bool = True
    immediate: bool = False


def command_of(sequence: Sequence) -> Command:
    """Return the command of a sequence; of a lone part that part's own."""
    tokens = [_command(part) for part in sequence.parts]
    if len(tokens) == 1:
        return tokens[0]
    return SequenceCommand(tokens) if tokens else LiteralCommand("")


def _command(node: Node) -> Command:
    if isinstance(node, Text):
        return LiteralCommand(node.text)
    if isinstance(node, Variant):
        options = [VariantOption(command_of(one.body), one.weight) for one in node.options]
        high = min(node.high, max(node.low, len(options)))
        method = _METHODS[node.method] if node.method else None
        return VariantCommand(options, node.low, high, node.separator, method)
    if isinstance(node, Wildcard):
        path = node.path.plain
        variables = {one.name: command_of(one.value) for one in node.arguments}
        method = _METHODS[node.method] if node.method else None
        name = path if path is not None else command_of(node.path)
        return WildcardCommand(name, method, variables)
    if isinstance(node, Assign):
        value = command_of(node.value)
        return VariableAssignmentCommand(node.name, value, not node.if_unset, node.immediate)
    if isinstance(node, Get):
        default = command_of(node.default) if node.default is not None else None
        return VariableAccessCommand(node.name, default)
    assert isinstance(node, Wrap)
    return WrapCommand(command_of(node.wrapper), command_of(node.inner))


def sequence_of(command: Command) -> Sequence:
    """Return the sequence of a command, which may have been made by a program."""
    if isinstance(command, SequenceCommand):
        parts: list[Node] = []
        for number, token in enumerate(command.tokens):
            if number and command.separator:
                parts.append(Text(command.separator))
            parts += sequence_of(token).parts
        return Sequence(tuple(parts))
    if isinstance(command, LiteralCommand):
        return Sequence((Text(command.literal),) if command.literal else ())
    return Sequence((_node(command),))


def _node(command: Command) -> Node:
    if isinstance(command, VariantCommand):
        options = tuple(Option(sequence_of(one.value), one.weight) for one in command.variants)
        method = _BACK[command.method] if command.method else None
        return Variant(options, command.min_bound, command.max_bound, command.separator, method)
    if isinstance(command, WildcardCommand):
        name = command.wildcard
        path = Sequence((Text(name),)) if isinstance(name, str) else sequence_of(name)
        method = _BACK[command.method] if command.method else None
        return Wildcard(path, tuple(_arguments(command.variables.items())), method)
    if isinstance(command, WrapCommand):
        return Wrap(sequence_of(command.wrapper), sequence_of(command.inner))
    if isinstance(command, VariableAccessCommand):
        default = sequence_of(command.default) if command.default is not None else None
        return Get(command.name, default)
    if isinstance(command, VariableAssignmentCommand):
        value = sequence_of(command.value)
        return Assign(command.name, value, command.immediate, not command.overwrite)
    raise TypeError(f"a command is expected, but this is {type(command).__name__}")


def _arguments(variables: Iterable[tuple[str, Command]]) -> Iterable[Argument]:
    for name, value in variables:
        yield Argument(name, sequence_of(value))
