"""From text to tree: recursive descent over tokens; errors point at the cause.

Foreign text survives: a mark that begins nothing is text. Nesting is limited, not recursed away.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from .errors import LimitExceeded, PromptSyntaxError, Span
from .lexer import Kind, ParserConfig, Token, tokenize
from .nodes import (
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

MAX_DEPTH = 100
"""Brackets within brackets; more is refused (DP130)."""

_METHODS = {method.value: method for method in Method}
_RANGE = re.compile(r"(?:(\d+)(-)?(\d+)?|(-)(\d+))\$\$(?:([^${}]+)\$\$)?")
_WEIGHT = re.compile(r"([+-]?\d+\.\d*|[+-]?\.\d+|\d+)::")
_NAME = re.compile(r"\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*")
_ASSIGN = re.compile(r"(\??)=\s*(!?)\s*")
_BLANKS = re.compile(r"\s*")
_BLANKS_AND_COMMENTS = re.compile(r"(?:\s*#[^\n]*(?=\n))*\s*")
_BLOCK_COMMENT = re.compile(r"\s*(?://[^\n]*|/\*.*?\*/)", re.DOTALL)


@lru_cache(maxsize=4096)
def parse_sequence(text: str, config: ParserConfig = ParserConfig(), name: str = "") -> Sequence:  # noqa: B008  # frozen
    """Parse a whole template. Raises PromptSyntaxError, or LimitExceeded for deep nesting."""
    return _Parser(text, config, name).parse()


class _Parser:
    """One pass over the tokens of one text."""

    def __init__(self, text: str, config: ParserConfig, name: str) -> None:
        self._text, self._config, self._name = text, config, name
        self._tokens = list(tokenize(text, config))
        self._index = 0
        self._depth = 0

    def parse(self) -> Sequence:
        """template = sequence"""
        return self._sequence(frozenset(), top=True)

    # Tokens

    def _peek(self) -> Token | None:
        return self._tokens[self._index] if self._index < len(self._tokens) else None

    def _position(self) -> int:
        token = self._peek()
        return token.start if token else len(self._text)

    def _after_blanks(self, *, comments: bool = False) -> int:
        found = (_BLANKS_AND_COMMENTS if comments else _BLANKS).match(self._text, self._position())
        return found.end() if found else self._position()

    def _jump(self, position: int) -> None:
        """Go on at `position`, which may lie inside a text token: cut it there."""
        while (token := self._peek()) is not None and token.end <= position:
            self._index += 1
        token = self._peek()
        if token is not None and token.start < position:
            rest = Token(token.kind, token.text[position - token.start :], position)
            if token.kind is not Kind.TEXT:
                rest = replace(rest, kind=Kind.TEXT)
            self._tokens[self._index] = rest

    def _fail(
        self, code: str, message: str, start: int, end: int, hint: str = ""
    ) -> PromptSyntaxError:
        span = Span(start, max(end, start + 1))
        return PromptSyntaxError(
            code, message, source=self._text, span=span, hint=hint, name=self._name
        )

    # Grammar

    def _sequence(self, stops: frozenset[str], *, top: bool = False) -> Sequence:
        """sequence = (text | variant | wildcard | assign | get | wrap | comment)*"""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LimitExceeded(
                "DP130", f"brackets are nested more than {MAX_DEPTH} deep", where=self._name
            )
        parts: list[Node] = []
        fresh = True
        while (token := self._peek()) is not None and not self._is_stop(token, stops):
            if fresh and self._skip_block_comment(token):
                continue
            node = self._part(token, top=top, after=parts[-1] if parts else None)
            fresh = node is None or not isinstance(node, Text)
            if node is not None:
                _append(parts, node)
        self._depth -= 1
        return Sequence(tuple(parts))

    def _is_stop(self, token: Token, stops: frozenset[str]) -> bool:
        return token.kind in (Kind.END, Kind.PIPE, Kind.DOLLARS) and token.text in stops

    def _skip_block_comment(self, token: Token) -> bool:
        """comment = "//" to the end of the line | "/*" ... "*/", where an element starts"""
        if token.kind is not Kind.TEXT:
            return False
        found = _BLOCK_COMMENT.match(self._text, token.start)
        if found is None:
            return False
        self._jump(found.end())
        return True

    def _part(self, token: Token, *, top: bool, after: Node | None) -> Node | None:
        self._index += 1
        if token.kind is Kind.VARIANT_START:
            return self._variant(token)
        if token.kind is Kind.VARIABLE_START:
            return self._variable(token)
        if token.kind is Kind.WRAP_START:
            return self._wrap(token)
        if token.kind is Kind.WILDCARD:
            return self._wildcard(token)
        if token.kind is Kind.COMMENT:
            return None
        if token.kind is Kind.DOLLARS and isinstance(after, Variant):
            raise self._fail(
                "DP106", 'this "$$" stands after a closed variant', token.start, token.end,
                'Write the number first, inside the brackets: {2$$a|b}.',
            )  # fmt: skip
        text = token.text[1:] if token.kind is Kind.ESCAPE else token.text
        return Text(text, Span(token.start, token.end))

    def _variant(self, opening: Token) -> Node:
        """variant = "{" [method] [range "$$" [separator "$$"]] option ("|" option)* "}" """
        method = self._method()
        low, high, separator = self._range()
        close = self._config.variant_end
        options = [self._option(close)]
        while (token := self._peek()) is not None and token.kind is Kind.PIPE:
            self._index += 1
            options.append(self._option(close))
        end = self._close(opening, close)
        source = self._text[opening.start : end]
        span = Span(opening.start, end)
        return Variant(tuple(options), low, high, separator, method, source, span)

    def _method(self) -> Method | None:
        position = self._after_blanks()
        method = _METHODS.get(self._text[position : position + 1])
        if method is not None:
            self._jump(position + 1)
        return method

    def _range(self) -> tuple[int, int, str]:
        position = self._after_blanks()
        found = _RANGE.match(self._text, position)
        if found is None:
            return 1, 1, ","
        first, dash, last, only_dash, upto, separator = found.groups()
        if only_dash:
            low, high = 1, int(upto)
        elif dash:
            low, high = int(first), int(last) if last else _UNBOUNDED
        elif last:
            return 1, 1, ","
        else:
            low = high = int(first)
        self._jump(found.end())
        return min(low, high), max(low, high), "," if separator is None else separator

    def _option(self, close: str) -> Option:
        """option = blanks [weight "::"] sequence"""
        start = self._position()
        position = self._after_blanks(comments=True)
        weight = 1.0
        found = _WEIGHT.match(self._text, position)
        if found is not None:
            weight = float(found.group(1))
            if weight < 0:
                raise self._fail("DP107", "a weight cannot be negative", found.start(), found.end())
            position = found.end()
        self._jump(position)
        body = self._sequence(frozenset({"|", close}))
        return Option(body, weight, Span(start, self._position()))

    def _close(self, opening: Token, close: str) -> int:
        token = self._peek()
        if token is None or token.text != close:
            raise self._fail(
                "DP101", f'this "{opening.text}" is never closed', opening.start, opening.end,
                f'A "{close}" is expected.',
            )  # fmt: skip
        self._index += 1
        return token.end

    def _variable(self, opening: Token) -> Node:
        """variable = "${" name ["?"] "=" ["!"] sequence "}" | "${" name [":" sequence] "}" """
        found = _NAME.match(self._text, opening.end)
        if found is None:
            raise self._fail(
                "DP102", "a variable's name is expected", opening.end, opening.end,
                "It begins with a letter: ${name}.",
            )  # fmt: skip
        name, position = found.group(1), found.end()
        close = self._config.variable_end
        assign = _ASSIGN.match(self._text, position)
        if assign is not None:
            self._jump(assign.end())
            value = self._sequence(frozenset({close}))
            end = self._close(opening, close)
            span = Span(opening.start, end)
            return Assign(name, value, bool(assign.group(2)), bool(assign.group(1)), span)
        self._jump(position)
        default = None
        if self._text.startswith(":", position):
            self._jump(position + 1)
            self._jump(self._after_blanks())
            default = self._sequence(frozenset({close}))
        end = self._close(opening, close)
        return Get(name, default, Span(opening.start, end))

    def _wrap(self, opening: Token) -> Node:
        """wrap = "%{" sequence "$$" sequence "}" """
        self._jump(self._after_blanks())
        wrapper = self._sequence(frozenset({"$$", self._config.wrap_end}))
        token = self._peek()
        if token is None:
            self._close(opening, self._config.wrap_end)
        elif token.kind is not Kind.DOLLARS:
            raise self._fail(
                "DP103", 'a wrap needs "$$" between wrapper and inner text',
                opening.start, token.end, "Write %{before ... after$$inner}.",
            )  # fmt: skip
        self._index += 1
        self._jump(self._after_blanks())
        inner = self._sequence(frozenset({self._config.wrap_end}))
        end = self._close(opening, self._config.wrap_end)
        return Wrap(wrapper, inner, Span(opening.start, end))

    def _wildcard(self, opening: Token) -> Node:
        """wildcard = "__" [method] path ["(" arguments ")"] "__" ; anything else is text"""
        mark = self._config.wildcard_wrap
        as_text = Text(opening.text, Span(opening.start, opening.end))
        found = self._wildcard_end(opening.end)
        if found is None:
            return as_text
        inside = self._text[opening.end : found]
        method = _METHODS.get(inside[:1])
        head = inside[1:] if method else inside
        path, bracket, tail = _split_arguments(head)
        if bracket and tail is None:
            return as_text
        if not path.strip():
            return as_text
        arguments: tuple[Argument, ...] = ()
        offset = opening.end + (1 if method else 0) + len(path) + 1
        if tail is not None:
            arguments = self._arguments(tail, offset)
        end = found + len(mark)
        self._jump(end)
        nested = parse_sequence(path, self._config, self._name)
        source = self._text[opening.start : end]
        return Wildcard(nested, arguments, method, source, Span(opening.start, end))

    def _wildcard_end(self, start: int) -> int | None:
        """Return where the closing mark stands: on this line, outside brackets."""
        mark = self._config.wildcard_wrap
        stack: list[str] = []
        position = start
        while position < len(self._text):
            letter = self._text[position]
            if not stack and self._text.startswith(mark, position):
                return position if position > start else None
            if letter == "\n" and not stack:
                return None
            if letter in "({":
                stack.append(letter)
            elif letter in ")}":
                wanted = "(" if letter == ")" else "{"
                if stack and stack[-1] == wanted:
                    stack.pop()
                elif letter == "}" or not stack:
                    return None
            elif letter in "|<>" and not stack:
                return None
            position += 1
        return None

    def _arguments(self, text: str, offset: int) -> tuple[Argument, ...]:
        """arguments = name "=" value ("," name "=" value)* ; a piece without "=" goes on"""
        pieces = _merge_pieces(_split_outside(text, ","))
        found = []
        for piece in pieces:
            name, equals, value = piece.partition("=")
            if not equals or not _NAME.fullmatch(name):
                raise self._fail(
                    "DP104", "a wildcard's argument is name=value", offset, offset + len(text),
                    "For example: __outfit(colour=red)__.",
                )  # fmt: skip
            value = value.strip()
            found.append(Argument(name.strip(), parse_sequence(value, self._config, self._name)))
        return tuple(found)


_UNBOUNDED = 1 << 30


def _append(parts: list[Node], node: Node) -> None:
    """Add a node; text joins the text before it."""
    if isinstance(node, Text) and parts and isinstance(parts[-1], Text):
        last = parts[-1]
        parts[-1] = Text(last.text + node.text, Span(last.span.start, node.span.end))
    else:
        parts.append(node)


def _split_arguments(text: str) -> tuple[str, bool, str | None]:
    """Cut `path(arguments)` outside of braces; arguments are None without a closing bracket."""
    depth = 0
    for index, letter in enumerate(text):
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
        elif letter == "(" and depth == 0:
            if not text.endswith(")"):
                return text, True, None
            return text[:index], True, text[index + 1 : -1]
    return text, False, None


def _split_outside(text: str, mark: str) -> list[str]:
    """Split at `mark` outside of any brackets."""
    pieces, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        if letter in "({[":
            depth += 1
        elif letter in ")}]":
            depth = max(0, depth - 1)
        elif letter == mark and depth == 0:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]


_STARTS_ARGUMENT = re.compile(r"\s*[A-Za-z_-][A-Za-z0-9_-]*\s*=")


def _merge_pieces(pieces: list[str]) -> list[str]:
    """Join a piece without `name=` to the one before it: real prompts hold commas."""
    merged: list[str] = []
    for piece in pieces:
        if merged and not _STARTS_ARGUMENT.match(piece):
            merged[-1] += "," + piece
        else:
            merged.append(piece)
    return merged
