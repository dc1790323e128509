"""From text to tree: recursive descent, linear in the text; errors point at the cause.

Foreign text survives: a mark that begins nothing is text. Nesting is limited, not recursed away.
"""

from __future__ import annotations

import re

from .amounts import UNBOUNDED, bounded
from .brackets import OpenBrackets, match_brackets
from .errors import LimitExceeded, Origin, PromptSyntaxError, Span
from .lexer import (
    COMMENT,
    STOP,
    TAG,
    VARIABLE,
    VARIANT,
    WILDCARD,
    WRAP,
    ParserConfig,
    Patterns,
    patterns,
    unescape,
)
from .limits import LIMITS
from .nodes import (
    EMPTY,
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

_METHODS = {method.value: method for method in Method}
_WEIGHT = re.compile(r"([+-]?[0-9]+\.[0-9]*|[+-]?\.[0-9]+|[0-9]+)::")
_NAME = re.compile(r"\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*")
_ASSIGN = re.compile(r"(\??)=(!?)\s*")
_BLANKS = re.compile(r"\s*", re.ASCII)
_BLANKS_AND_COMMENTS = re.compile(r"(?:\s*#[^\n]*(?=\n))*\s*", re.ASCII)
_ARGUMENT = re.compile(r"\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*=\s*")
_ARGUMENT_MARKS = re.compile(r"\\.|#[^\n]*|[,()\[\]{}]", re.DOTALL)
_BAD_RANGE = re.compile(r"[0-9\s.+-]{0,40}\$\$")
_COMMENTS = re.compile(r"\\.|#([^\n]*)", re.DOTALL)
_HEAD_STARTS = frozenset("!@~$+-.0123456789 \t\n\r\f\v#")
_WEIGHT_STARTS = frozenset("+-.0123456789")
_MOST_WEIGHT = 1e15


def parse_sequence(
    text: str,
    config: ParserConfig = ParserConfig(),  # noqa: B008  # a constant
    origin: Origin = Origin(),  # noqa: B008  # a constant
    nesting: int = LIMITS.nesting,
) -> Sequence:
    """Parse a whole template. Raises PromptSyntaxError, or LimitExceeded for deep nesting."""
    return _Parser(text, config, origin, nesting).parse()


class _Parser:
    """One pass over one text; each method takes and returns positions in it."""

    __slots__ = (
        "_comments", "_config", "_end", "_last_close", "_nesting", "_origin", "_pairs",
        "_patterns", "_text",
    )  # fmt: skip

    def __init__(self, text: str, config: ParserConfig, origin: Origin, nesting: int) -> None:
        self._text, self._config, self._origin, self._nesting = text, config, origin, nesting
        self._end = len(text)
        self._patterns: Patterns = patterns(config)
        self._comments = "//" in text or "/*" in text
        self._last_close = text.rfind("*/") if self._comments else 0
        self._pairs: dict[int, int] | None = None

    def parse(self) -> Sequence:
        """template = sequence"""
        return self._sequence(0, self._end, self._patterns.top, 0)[0]

    def _fail(
        self, code: str, message: str, start: int, end: int, hint: str = ""
    ) -> PromptSyntaxError:
        span = Span(start, max(end, start + 1))
        return PromptSyntaxError(
            code, message, source=self._text, span=span, hint=hint, origin=self._origin
        )

    def _unclosed(self, start: int, opening: str, close: str) -> PromptSyntaxError:
        for comment in _COMMENTS.finditer(self._text, start, self._end):
            if close in (comment.group(1) or ""):
                return self._fail(
                    "DP101", f'this "#" begins a comment, so that a "{opening}" is never closed',
                    comment.start(), comment.start() + 1, r"Write \# for the character.",
                )  # fmt: skip
        return self._fail(
            "DP101", f'this "{opening}" is never closed', start, start + len(opening),
            f'A "{close}" is expected.',
        )  # fmt: skip

    # Grammar

    def _sequence(
        self, position: int, end: int, pattern: re.Pattern[str], depth: int, value: bool = False
    ) -> tuple[Sequence, int]:
        """sequence = (text | variant | wildcard | assign | get | wrap | comment)*

        Returns the sequence and where it stops: at a stop mark of `pattern`, or at `end`.
        """
        self._check_depth(position, depth)
        text, search = self._text, pattern.search
        parts: list[Node] = []
        words, words_start = "", position
        fresh, begin, brackets = True, position, None
        while True:
            if fresh and self._comments:
                after = self._comment_end(position, end)
                if after is not None:
                    position = after
                    continue
            found = search(text, position, end)
            if found is None:
                words_start = words_start if words else position
                words += text[position:end]
                position = end
                break
            start, after = found.span()
            if start > position:
                if not words:
                    words_start = position
                words += text[position:start]
            kind = found.lastindex
            node: Node | str
            if kind == STOP:
                position = start
                if not value or text[start] != "|":
                    break
                brackets = brackets or OpenBrackets(text, begin)
                if not brackets.open_at(start):
                    raise self._fail(
                        "DP111", 'this "|" is outside of a variant', start, after,
                        "Write ${name={a|b}}.",
                    )  # fmt: skip
                node, position = "|", after
            elif kind == VARIANT:
                node, position = self._variant(start, after, depth)
                if pattern is not self._patterns.wrapper and text.startswith("$$", position):
                    raise self._fail(
                        "DP106", 'this "$$" follows a closed variant', position, position + 2,
                        "Write the number first, inside the brackets: {2$$a|b}.",
                    )  # fmt: skip
            elif kind == WILDCARD:
                node, position = self._wildcard(start, after, end, depth)
            elif kind == VARIABLE:
                node, position = self._variable(start, after, depth)
            elif kind == WRAP:
                node, position = self._wrap(start, after, depth)
            elif kind == COMMENT:
                position, fresh = after, True
                continue
            elif kind == TAG:
                node, position = self._tag(found.group(), start, after)
            else:
                node, position = unescape(found.group(), start, after)
            if type(node) is str:
                if not words:
                    words_start = start
                words += node
                fresh = False
                continue
            if words:
                parts.append(Text(words, words_start, start))
                words = ""
            parts.append(node)  # type: ignore[arg-type]  # no str here
            fresh = True
        if words:
            parts.append(Text(words, words_start, position))
        return (Sequence(tuple(parts)) if parts else EMPTY), position

    def _comment_end(self, position: int, end: int) -> int | None:
        """comment = "//" to the end of the line | "/*" ... "*/", where an element starts"""
        text = self._text
        found = _BLANKS.match(text, position, end)
        start = found.end() if found else position
        if text.startswith("//", start, end):
            close = text.find("\n", start, end)
            return end if close < 0 else close
        if text.startswith("/*", start, end) and start < self._last_close:
            close = text.find("*/", start + 2, end)
            return None if close < 0 else close + 2
        return None

    def _check_depth(self, position: int, depth: int) -> None:
        if depth > self._nesting:
            raise LimitExceeded(
                "DP130",
                f"brackets are nested more than {self._nesting} deep",
                where=self._origin.place(self._text, position),
            )

    def _tag(self, tag: str, start: int, end: int) -> tuple[str, int]:
        """An extra-network tag is text whatever its name holds, unless the name is a wildcard:
        <lora:my__lora:1> but not <lora:__mine__:1>"""
        mark = self._config.wildcard_wrap
        name_start = tag.index(":") + 1
        if tag.startswith(mark, name_start):
            close = tag.find(mark, name_start + len(mark))
            if close > name_start + len(mark) and tag[close + len(mark)] in ":>(":
                return tag[:name_start], start + name_start
            if "(" in tag:
                return tag[:name_start], start + name_start
        return tag, end

    def _variant(self, start: int, position: int, depth: int) -> tuple[Variant, int]:
        """variant = variant_start [method] [range "$$" [separator "$$"]] option ("|" option)*
        variant_end"""
        self._check_depth(start, depth + 1)
        text, end, config = self._text, self._end, self._config
        low, high, separator, method, amount = 1, 1, ",", None, None
        if text[position : position + 1] in _HEAD_STARTS:
            method, low, high, separator, position = self._head(position)
            if low == high == 1 and config.variable_start in text:
                amount, low, high, separator, position = self._amount(position, depth)
        options: list[Option] = []
        search, close = self._patterns.option.search, config.variant_end
        while True:
            option_start, weight, letter = position, 1.0, text[position : position + 1]
            if letter.isspace() or letter == "#":
                found = _BLANKS_AND_COMMENTS.match(text, position, end)
                position = found.end() if found else position
                letter = text[position : position + 1]
            if letter in _WEIGHT_STARTS:
                weight, position = self._weight(position)
            mark = search(text, position, end)
            if mark is not None and mark.lastindex == STOP and not self._comments:
                stop = mark.start()
                body = EMPTY
                if stop > position:
                    body = Sequence((Text(text[position:stop], position, stop),))
            else:
                body, stop = self._sequence(position, end, self._patterns.option, depth + 1)
            options.append(Option(body, weight, option_start, stop))
            if stop == end:
                raise self._unclosed(start, config.variant_start, close)
            if text[stop] == "|" and not text.startswith(close, stop):
                position = stop + 1
                continue
            position = stop + len(close)
            return Variant(
                tuple(options), low, high, separator, method, start, position, amount
            ), position

    def _head(self, position: int) -> tuple[Method | None, int, int, str, int]:
        """method = "!" | "@" | "~"; range = n | n "-" m | n "-" | "-" m"""
        found = self._patterns.head.match(self._text, position, self._end)
        if found is None:  # pragma: no cover  # every part of the expression may be absent
            return None, 1, 1, ",", position
        sign, first, dash, last, only_dash, upto, separator = found.groups()
        method = _METHODS[sign] if sign else None
        if first is None and upto is None:
            after = found.end(1) if sign else position
            bad = _BAD_RANGE.match(self._text, after, self._end)
            if bad is not None:
                raise self._fail(
                    "DP108", "this is not a number of options", after, bad.end(),
                    "Write {2$$a|b}, {1-2$$a|b}, {2-$$a|b} or {-2$$a|b}, without spaces.",
                )  # fmt: skip
            return method, 1, 1, ",", after
        if only_dash:
            low, high = 1, bounded(upto)
        elif dash:
            low, high = bounded(first), bounded(last) if last else UNBOUNDED
        else:
            low = high = bounded(first)
        after = found.end()
        if separator is None and self._text.startswith("$$", after):
            raise self._fail(
                "DP109", "the separator is empty", after - 2, after + 2,
                "Leave it out, or write at least a space: {2$$ $$a|b}.",
            )  # fmt: skip
        return method, min(low, high), max(low, high), separator or ",", after

    def _amount(self, position: int, depth: int) -> tuple[Sequence | None, int, int, str, int]:
        """amount = [n "-"] get ["-" [n | get]] | "-" get"""
        found = self._patterns.amount.match(self._text, position, self._end)
        if found is None:
            return None, 1, 1, ",", position
        amount = self._region(found.start(1), found.end(1), depth)
        return amount, 0, UNBOUNDED, found.group(2) or ",", found.end()

    def _weight(self, position: int) -> tuple[float, int]:
        """weight = number "::" """
        found = _WEIGHT.match(self._text, position, self._end)
        if found is None:
            return 1.0, position
        weight = float(found.group(1))
        if weight < 0:
            raise self._fail("DP107", "a weight cannot be negative", found.start(), found.end())
        if weight > _MOST_WEIGHT:
            raise self._fail("DP107", "this weight is too large", found.start(), found.end())
        return weight, found.end()

    def _variable(self, start: int, position: int, depth: int) -> tuple[Node, int]:
        """variable = "${" name ["?"] "=" ["!"] sequence "}" | "${" name [":" sequence] "}" """
        text, close = self._text, self._config.variable_end
        found = _NAME.match(text, position, self._end)
        if found is None:
            raise self._fail(
                "DP102", "a variable's name is expected", position, position,
                "It begins with a letter: ${name}.",
            )  # fmt: skip
        name, position = found.group(1), found.end()
        assign = _ASSIGN.match(text, position, self._end)
        if assign is not None:
            if depth:
                raise self._fail(
                    "DP110", "a variable is set outside of all brackets", start, position,
                    "Move the assignment to the start of the template.",
                )  # fmt: skip
            value, stop = self._value(assign.end(), depth)
            position = self._closed(start, stop)
            flags = bool(assign.group(2)), bool(assign.group(1))
            return Assign(name, value, flags[0], flags[1], start, position), position
        default = None
        if text.startswith(":", position, self._end):
            default, position = self._value(position + 1, depth)
        elif position < self._end and not text.startswith(close, position, self._end):
            raise self._fail(
                "DP112", f'"=", ":" or "{close}" is expected after a variable\'s name',
                position, position, "Names contain letters, digits, _ and -.",
            )  # fmt: skip
        position = self._closed(start, position)
        return Get(name, default, start, position), position

    def _value(self, position: int, depth: int) -> tuple[Sequence, int]:
        found = _BLANKS_AND_COMMENTS.match(self._text, position, self._end)
        position = found.end() if found else position
        return self._sequence(position, self._end, self._patterns.value, depth + 1, value=True)

    def _closed(self, start: int, stop: int) -> int:
        close = self._config.variable_end
        if not self._text.startswith(close, stop, self._end):
            raise self._unclosed(start, self._config.variable_start, close)
        return stop + len(close)

    def _wrap(self, start: int, position: int, depth: int) -> tuple[Wrap, int]:
        """wrap = "%{" sequence "$$" sequence "}" """
        text, config = self._text, self._config
        position = self._after_spaces(position)
        wrapper, stop = self._sequence(position, self._end, self._patterns.wrapper, depth + 1)
        if stop == self._end:
            raise self._unclosed(start, config.wrap_start, config.wrap_end)
        if not text.startswith("$$", stop, self._end):
            raise self._fail(
                "DP103", 'a wrap needs "$$" between wrapper and inner text',
                start, stop + len(config.wrap_end), "Write %{before ... after$$inner}.",
            )  # fmt: skip
        position = self._after_spaces(stop + 2)
        inner, stop = self._sequence(position, self._end, self._patterns.wrapped, depth + 1)
        if stop == self._end:
            raise self._unclosed(start, config.wrap_start, config.wrap_end)
        position = stop + len(config.wrap_end)
        return Wrap(wrapper, inner, start, position), position

    def _after_spaces(self, position: int) -> int:
        found = _BLANKS.match(self._text, position, self._end)
        return found.end() if found else position

    # Wildcards

    def _wildcard(self, start: int, position: int, end: int, depth: int) -> tuple[Node | str, int]:
        """wildcard = "__" [method] path ["(" arguments ")"] "__" ; anything else is text"""
        text, mark = self._text, self._config.wildcard_wrap
        as_text = mark, position
        method = _METHODS.get(text[position : position + 1])
        path_start = position + 1 if method else position
        stop = self._path_end(path_start, end)
        if stop is None:
            return as_text
        arguments: tuple[Argument, ...] = ()
        path_stop = stop
        if text[stop] == "(" and not text.startswith(mark, stop):
            close = self._arguments_end(stop, end)
            if close is None:
                return as_text
            while path_stop > path_start and text[path_stop - 1].isspace():
                path_stop -= 1
            if path_stop > path_start:
                arguments = self._arguments(stop + 1, close, depth)
            stop = close + 1
        if not text[path_start:path_stop].strip():
            return as_text
        if self._patterns.lively.search(text, path_start, path_stop):
            path = self._region(path_start, path_stop, depth)
        else:
            path = Sequence((Text(text[path_start:path_stop], path_start, path_stop),))
        after = stop + len(mark)
        return Wildcard(path, arguments, method, start, after), after

    def _region(self, position: int, end: int, depth: int) -> Sequence:
        """Parse a part of the text that nothing in it can leave.

        "//" is a slash in a path; "/*" is text in an argument, whose brackets were counted.
        """
        kept = self._end, self._comments
        self._end, self._comments = end, False
        sequence, _ = self._sequence(position, end, self._patterns.top, depth + 1)
        self._end, self._comments = kept
        return sequence

    def _path_end(self, position: int, end: int) -> int | None:
        """Return where the path ends: at the closing mark or "(", on this line."""
        text, config = self._text, self._config
        opening = (config.variable_start, config.variant_start)
        while True:
            found = self._patterns.path.search(text, position, end)
            if found is None:
                return None
            group = found.group()
            if group == config.wildcard_wrap or group == "(":
                return found.start()
            if group not in opening:
                return None
            close = self._pair(found.start())
            if close is None or close > end or "\n" in text[position:close]:
                return None
            position = close

    def _arguments_end(self, opening: int, end: int) -> int | None:
        """Return where the ")" before the closing mark stands; smileys have brackets, too."""
        text, mark = self._text, self._config.wildcard_wrap
        close = self._pair(opening)
        if close is not None and text.startswith(mark, close, end):
            return close - 1
        next_mark = text.find(mark, opening, end)
        if next_mark > 0 and text[next_mark - 1] == ")":
            return next_mark - 1
        line_end = text.find("\n", opening, end)
        on_this_line = next_mark >= 0 and (line_end < 0 or next_mark < line_end)
        if close is None and on_this_line and _ARGUMENT.match(text, opening + 1):
            raise self._fail(
                "DP105", 'this "(" is never closed', opening, opening + 1,
                'A ")" is expected before the closing mark: __outfit(colour=red)__.',
            )  # fmt: skip
        return None

    def _pair(self, opening: int) -> int | None:
        """Return the position after the bracket that closes the one at `opening`."""
        if self._pairs is None:
            self._pairs = match_brackets(self._text, self._config)
        return self._pairs.get(opening)

    def _arguments(self, position: int, end: int, depth: int) -> tuple[Argument, ...]:
        """arguments = name "=" value ("," name "=" value)* ; a piece without "=" continues"""
        text = self._text
        if not text[position:end].strip():
            return ()
        starts = [position]
        level = 0
        for found in _ARGUMENT_MARKS.finditer(text, position, end):
            letter = found.group()
            if letter in "([{":
                level += 1
            elif letter in ")]}":
                level = max(0, level - 1)
            elif letter == "," and level == 0 and _ARGUMENT.match(text, found.end(), end):
                starts.append(found.end())
        arguments = []
        for start, stop in zip(starts, [*(one - 1 for one in starts[1:]), end], strict=True):
            named = _ARGUMENT.match(text, start, stop)
            if named is None:
                raise self._fail(
                    "DP104", "a wildcard's argument is name=value", start, stop,
                    "For example: __outfit(colour=red)__.",
                )  # fmt: skip
            begin = named.end()
            stop = begin + len(text[begin:stop].rstrip())
            value = self._region(begin, stop, depth)
            arguments.append(Argument(named.group(1), _without_tail(value)))
        return tuple(arguments)


def _without_tail(value: Sequence) -> Sequence:
    """Drop the spaces before a comment that ended an argument."""
    last = value.parts[-1] if value.parts else None
    if not isinstance(last, Text) or not last.text[-1].isspace():
        return value
    text = last.text.rstrip()
    rest = (Text(text, last.start, last.end),) if text else ()
    return Sequence(value.parts[:-1] + rest)
