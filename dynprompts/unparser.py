"""From tree to text: what `unparse` writes is read back as the same tree."""

from __future__ import annotations

import re

from .amounts import UNBOUNDED
from .lexer import ParserConfig
from .nodes import Assign, Get, Node, Sequence, Text, Variant, Wildcard, Wrap

_TOP = ParserConfig()
_GUARD = "/**/"
_WEIGHT_LIKE = re.compile(r"[+-]?\.?[0-9][0-9.]*::")
_COMMENT_LIKE = re.compile(r"(\s*)(//|/\*)")


def unparse(sequence: Sequence, config: ParserConfig = _TOP) -> str:
    """Write a parsed template as text."""
    return _Writer(config).sequence(sequence, closed=False)


class _Writer:
    """Writes nodes with one set of brackets."""

    def __init__(self, config: ParserConfig) -> None:
        self._config = config
        wild, variable = re.escape(config.wildcard_wrap), re.escape(config.variable_start)
        wrap, start = re.escape(config.wrap_start), re.escape(config.variant_start)
        ends = {config.variant_end, config.variable_end, config.wrap_end}
        closers = "|".join(re.escape(end) for end in sorted(ends, key=len, reverse=True))
        always = rf"{variable}|{wrap}|{start}|{wild}|\$(?=\$)|#"
        behind_backslash = rf"{closers}|\||\$|%|//|/\*"
        self._open = re.compile(rf"(\\+)({always}|{behind_backslash})?|({always})")
        inside = rf"{always}|{closers}|\|"
        self._inside = re.compile(rf"(\\+)({inside}|{behind_backslash})?|({inside})")

    def sequence(self, sequence: Sequence, *, closed: bool) -> str:
        """`closed`: a bracket or a mark follows, so closing marks in the text are escaped."""
        texts = []
        last = len(sequence.parts) - 1
        for index, part in enumerate(sequence.parts):
            if isinstance(part, Text):
                texts.append(self._text(part.text, closed=closed, followed=closed or index < last))
            else:
                texts.append(self._node(part))
        return "".join(texts)

    def _text(self, text: str, *, closed: bool, followed: bool) -> str:
        pattern = self._inside if closed else self._open
        escaped = pattern.sub(_escaped, text)
        found = _COMMENT_LIKE.match(escaped)
        if found is not None:
            escaped = f"{found.group(1)}\\{escaped[found.end(1) :]}"
        if followed:
            tail = len(text) - len(text.rstrip("\\"))
            escaped += "\\" * tail
        return escaped

    def _node(self, node: Node) -> str:
        config = self._config
        if isinstance(node, Variant):
            return self._variant(node)
        if isinstance(node, Wildcard):
            method = node.method.value if node.method else ""
            path = self._path(node.path)
            pairs = [f"{one.name}={self._argument(one.value)}" for one in node.arguments]
            arguments = f"({', '.join(pairs)})" if pairs else ""
            mark = self._config.wildcard_wrap
            return f"{mark}{method}{path}{arguments}{mark}"
        if isinstance(node, Get):
            default = "" if node.default is None else ":" + self._guarded(node.default)
            return f"{config.variable_start}{node.name}{default}{config.variable_end}"
        if isinstance(node, Assign):
            sign = ("?" if node.if_unset else "") + "=" + ("!" if node.immediate else "")
            value = self._guarded(node.value, "" if node.immediate else "!")
            return f"{config.variable_start}{node.name}{sign}{value}{config.variable_end}"
        if isinstance(node, Wrap):
            wrapper, inner = self._after_spaces(node.wrapper), self._after_spaces(node.inner)
            return f"{config.wrap_start}{wrapper}$${inner}{config.wrap_end}"
        raise TypeError(f"{node!r} is not part of a template")

    def _after_spaces(self, sequence: Sequence) -> str:
        """In a wrap a comment guards the line break that follows it, also inside an argument."""
        text = self._guarded(sequence)
        return text.replace(_GUARD, "#", 1) if text.startswith(f"{_GUARD}\n") else text

    def _guarded(self, sequence: Sequence, signs: str = "") -> str:
        """Blanks at the start would be trimmed, and a sign would be read: guard them."""
        text = self.sequence(sequence, closed=True)
        return _GUARD + text if text[:1].isspace() or text[:1] in tuple(signs) else text

    def _variant(self, variant: Variant) -> str:
        method = variant.method.value if variant.method else ""
        options = []
        for index, option in enumerate(variant.options):
            body = self.sequence(option.body, closed=True)
            read = body[:1].isspace() or (not index and body[:1] in ("!", "@", "~"))
            if option.weight != 1.0 or read or _WEIGHT_LIKE.match(body):
                body = f"{format_weight(option.weight)}::{body}"
            options.append(body)
        bounds = _range(variant)
        if variant.amount is not None:
            separator = "" if variant.separator == "," else f"{variant.separator}$$"
            bounds = f"{self.sequence(variant.amount, closed=False)}$${separator}"
        inside = f"{method}{bounds}{'|'.join(options)}"
        return f"{self._config.variant_start}{inside}{self._config.variant_end}"

    def _path(self, path: Sequence) -> str:
        texts = []
        for index, part in enumerate(path.parts):
            if isinstance(part, Text):
                text = self._open.sub(_escaped, part.text)
                if index < len(path.parts) - 1:
                    text += "\\" * (len(part.text) - len(part.text.rstrip("\\")))
                texts.append(text)
            else:
                texts.append(self._node(part))
        return "".join(texts)

    def _argument(self, value: Sequence) -> str:
        """An argument that starts with a line break had a comment there; `/*` is text in it."""
        text = self.sequence(value, closed=False)
        return f"#{text}" if text.startswith("\n") else text


def format_weight(weight: float) -> str:
    """Write a weight without exponent and without needless zeros."""
    text = repr(weight)
    if "e" in text:
        from decimal import Decimal

        text = f"{Decimal(text):f}"
    return text.removesuffix(".0")


def _range(variant: Variant) -> str:
    low, high = variant.low, variant.high
    if low == high == 1 and variant.separator == ",":
        return ""
    if low == high:
        bounds = str(low)
    elif high == UNBOUNDED:
        bounds = f"{low}-"
    else:
        bounds = f"{low}-{high}"
    separator = "" if variant.separator == "," else f"{variant.separator}$$"
    return f"{bounds}$${separator}"


def _escaped(found: re.Match[str]) -> str:
    run, behind, mark = found.group(1) or "", found.group(2), found.group(3)
    if mark is None and behind is None:
        return run
    return f"{run}{run}\\{mark or behind}"
