"""What resembles the language and is not: slips that go into the prompt as text, or do nothing.

Each rule has a code, a sentence and a hint; it looks at the text of one sequence, in which every
construct of the language is one mark and escaped characters are blanked out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import Span
from .flat_text import CLOSERS, FACE, FlatText, blank_out, is_inside, is_inside_square, open_places
from .lexer import ParserConfig
from .lone import Names, find_lone
from .nodes import Assign, Get, Node, Sequence, Text, Variant, Wildcard, Wrap
from .slip_rules import NETWORK, RULES

_ESCAPED_NAME = re.compile(r"\\_\\_([A-Za-z0-9][\w/-]*(?:\\_[\w/-]+)*)\\_\\_")
_COMMENT = re.compile(r"\\.|#([^\n]*)", re.DOTALL)
_JINJA = re.compile(
    r"\{\s?%-?\s*(?:end)?(?:set|for|if|elif|else|prompt|macro|include|import|block|raw|with)\w*\b"
    r"|\{\{-?\s*\w[\w.]*\s*\(|\{\{-?\s+[\w.]+(?:\s*\|\s*\w+)?\s+-?\}\}|\{#(?:(?!\{#).)*?#\}",
    re.DOTALL,
)
_OTHERS = re.compile(
    r"<(?:random|wildcard|setvar|var|setmacro|macro|repeat|alternate|fromto)\b[:\[]"
)
_WEIGHT = re.compile(
    r"\s*(?:[+-]?\d(?: *[\d.,_/])*(?: *[eE]\d+)?\s*(?:%\s*)?|[+-]\s*\.?\d[\d.]*\s*|\.\d+\s+)::"
    r"|\s*\d+\s*;;"
)
_EARLY = re.compile(r"\s*\d+(?:\.\d+)?%?\s*:\s*(?=[^\W\d_]|[(\x01])")
_LATE = re.compile(r"(?<=[^\s:(\[<])\s*::\s*\d+(?:\.\d+)?%?\s*$")
_LATE_SINGLE = re.compile(
    r"\s*[^()\[\]<>:\d\s][^()\[\]<>:]*(?:[:=*]\s*\d+(?:\.\d+)?%?|\s\d+(?:\.\d+)?%)\s*"
)
_HEAD = re.compile(
    r"\s*(?:[!@~]\s*)?(?:\d+(?:\s*(?:-|\.\.|\u2013)(?:\s*\d+)?)?|-\d+)\s*"
    r"(?:\$(?!\$)|([\u20ac\u00a3\u00a7&%@])\1(?=\s*\S))"
)
_BORDER = re.compile(r"\s*(?:[,;&/+]|(?:and|or)\b)\s*(?=\S)")
_STRENGTH_BEHIND = re.compile(r":\s*\d?\.\d+(?![\w.:]|\s*[)\]>])")
_LONE_STRENGTH = re.compile(r"[\d\s]*[^()\[\]<>:|{}\d\s][^()\[\]<>:|{}]*:\s*\d*\.\d+\s*")
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s+(?=\S)")
_WHOLE = 100
_UNDERLINED = re.compile(r"(?<![\w/])_([^\W_][\w/*-]{0,99}?)_(?!\w)")
_RULE_STARTS = re.compile(
    r"[$%<\[\uff3f\uff5b\uff5d\uff08\uff1a\uff04]|__|(?:lora|lyco|hypernet):|(?<![\w/])_\w|\([^()\n,:;]+(?:;|:\s*(?:\d+,|\d*\.\d*\.))|[*~@]\w|[Bb]reak|>>"
)
_MAY_BE_FACE = re.compile(r"[:;=][-'o^]?[()\[\]{}<>|]|[()\[\]{}<>|][-'o]?[:;=_.oO0wv^3-]")
_BRACKET = re.compile(r"[][()<>]")
_MARKED = re.compile(r"<([A-Za-z][\w/-]*)>|\[([A-Za-z][\w/-]*)\]|([%*~@])([A-Za-z][\w/-]*)\3")
_BAR = re.compile(r"[^\W_]\s*\|\s*(?=[^\W_\s])")
_STRENGTH = re.compile(r":\s*-?(?:\d+(?:\.\d+)?|\.\d+)\s*$")
_DOTS = re.compile("\\.{3,}|[\u1801\u2026\u22ee\u22ef\u22f0\u22f1\ufe19]")
_PLAIN = re.compile(
    r"[}|$\uff5b\uff5d\uff3f]|::|[:(]\s*\d|__|<\s*\w+[:\s]|(?:lora|lyco|hypernet):|(?<![\w/])_\w|\d:|[<(][^<(:\n]*:|<[A-Za-z]|[%*~@\[][A-Za-z]|\d,\d|[\uff08\uff1a\uff04]|\\_\\_|[Bb]reak|;\s*\d*\."
)
_USUAL = re.compile(
    r"\((?:[^\W_]|[ ,.'_-])*:\d+(?:\.\d*)?\)"
    r"|(?<!<)<(?:lora|lyco|hypernet):[^<>|$%{}:,;\s]+(?::-?[\d.]+)*>(?!>)"
)


class Slip(NamedTuple):
    """A piece of a text that is probably not intended."""

    span: Span
    code: str
    message: str
    hint: str


def is_suspect(text: str) -> bool:
    """Whether a text without constructs can hold a slip at all; a quick answer for long files."""
    if ":" in text and text[:1] not in "0123456789":
        text = _USUAL.sub("", text)
    return _PLAIN.search(text) is not None


def find_slips(text: str, root: Sequence, names: Names, config: ParserConfig) -> Iterator[Slip]:
    """Yield the slips of a text and its tree, in no order. Other brackets have no rules yet."""
    if config != ParserConfig():
        return
    found = (
        _JINJA.search(text)
        if "{{" in text or "{%" in text or "{#" in text or "{ %" in text
        else None
    )
    if found is not None:
        yield Slip(
            Span(*found.span()), "DP227", "this is a jinja template, which is another language",
            "Here it stays text; jinja templates are drawn by JinjaGenerator of dynprompts.compat.",
        )  # fmt: skip
        return
    finder = _Finder(text, names)
    if "#" in text:
        yield from finder.comments()
    if "\\_" in text:
        yield from finder.escaped()
    if "<" in text or "/*" in text:
        yield from finder.whole()
    yield from finder.sequence(root, top=True)


class _Finder:
    """Goes through one tree."""

    def __init__(self, text: str, names: Names) -> None:
        self._text, self._names = text, names

    def comments(self) -> Iterator[Slip]:
        """A "#" behind a text, with something directly behind it, was hardly meant as a comment."""
        text = self._text
        for found in _COMMENT.finditer(text):
            if found.group(1) is None:
                continue
            start = found.start()
            before = text[text.rfind("\n", 0, start) + 1 : start]
            behind = found.group(1)
            if not before.strip() or not behind.strip() or behind[0] in "#! \t-=":
                continue
            span = Span(start, start + 1)
            count = re.search(r"(\d+)$", before)
            if count is not None and behind.startswith("__"):
                yield Slip(
                    span, "DP225", '"#" begins a comment: the rest of the line is left out',
                    f"Several values are {{{count.group(1)}$${behind.split()[0]}}} here.",
                )  # fmt: skip
                continue
            yield Slip(
                span, "DP225", '"#" begins a comment: the rest of the line is left out',
                r"Write \# for the character.",
            )  # fmt: skip

    def escaped(self) -> Iterator[Slip]:
        """Markdown writes underscores with a stroke, and so a wildcard is copied from a page."""
        for found in _ESCAPED_NAME.finditer(self._text):
            name = found.group(1).replace("\\_", "_")
            yield Slip(
                Span(*found.span()), "DP223", "these underscores are escaped",
                f"Did you mean __{name}__?",
            )  # fmt: skip

    def whole(self) -> Iterator[Slip]:
        """What is seen in the text as a whole."""
        text = self._text
        start = text.find("/*")
        if start >= 0 and "*/" not in text[start:] and not text[:start].strip():
            yield Slip(Span(start, start + 2), "DP225", 'this "/*" is never closed',
                       "Write */ after the comment.")  # fmt: skip
        for found in _OTHERS.finditer(text):
            yield Slip(
                Span(*found.span()), "DP227", "this is the language of another program",
                "Here a variant is {a|b}, a wildcard __name__, a variable ${name}.",
            )  # fmt: skip
        for found in re.finditer(rf"<{NETWORK}:(?=[^<>|]*(?:<|$)|[^<>]*$)", text):
            if not _is_escaped(text, found.start()):
                yield Slip(Span(*found.span()), "DP226", 'this "<" is never closed',
                           'A ">" is expected after the weight.')  # fmt: skip

    def sequence(self, sequence: Sequence, *, top: bool) -> Iterator[Slip]:
        """Look at a sequence, then at what is inside of it; at the top nothing has to close."""
        flat = FlatText(self._text, sequence.parts)
        if is_suspect(flat.text):
            yield from self._texts(flat, top)
        if not flat.nodes:
            return
        yield from self._around(flat)
        open_before = open_places(flat.text)
        for place, node in flat.nodes.items():
            if isinstance(node, Variant):
                yield from self._variant(node, place in open_before)
            elif isinstance(node, Wildcard):
                for argument in node.arguments:
                    yield from self.sequence(argument.value, top=False)
            elif isinstance(node, Wrap):
                yield from self._wrap(node)
            else:
                assert isinstance(node, (Assign, Get))
                yield from self._variable(node)

    def _texts(self, flat: FlatText, top: bool) -> Iterator[Slip]:
        text = flat.text
        if _MAY_BE_FACE.search(text):
            text = FACE.sub(blank_out, text)
        if _RULE_STARTS.search(text):
            yield from self._rules(flat, text)
        if top:
            yield from self._outside(flat, text)
        if "(" in text or ")" in text:
            yield from self._strengths(flat, text)

    def _rules(self, flat: FlatText, text: str) -> Iterator[Slip]:
        taken: set[int] = set()
        for pattern, code, message, hint in RULES:
            for found in pattern.finditer(text):
                if taken.isdisjoint(range(*found.span())):
                    taken.update(range(*found.span()))
                    yield Slip(flat.span(*found.span()), code, message, hint)
        for found in _UNDERLINED.finditer(text):
            if self._names.is_wildcard(found.group(1)):
                yield Slip(flat.span(*found.span()), "DP223", "this is not read as a wildcard",
                           f"Did you mean __{found.group(1)}__?")  # fmt: skip
        for found in _MARKED.finditer(text):
            name = found.group(1) or found.group(2) or found.group(4)
            if name in self._names.variables:
                yield Slip(flat.span(*found.span()), "DP224", "this is not read as a variable",
                           f"Did you mean ${{{name}}}?")  # fmt: skip
            elif self._names.is_wildcard(name):
                yield Slip(flat.span(*found.span()), "DP223", "this is not read as a wildcard",
                           f"Did you mean __{name}__?")  # fmt: skip

    def _outside(self, flat: FlatText, text: str) -> Iterator[Slip]:
        """Marks that mean something inside of brackets only."""
        found = text.find("}")
        if found >= 0:
            yield Slip(flat.span(found, found + 1), "DP220", 'this "}" closes nothing',
                       r"A { is missing before it; write \} for the character.")  # fmt: skip
            return
        for bar in _BAR.finditer(text):
            if not is_inside_square(text, bar.start()):
                yield Slip(
                    flat.span(text.index("|", bar.start()), text.index("|", bar.start()) + 1),
                    "DP229", 'this "|" is outside of a variant', "Write {a|b} for one of both.",
                )  # fmt: skip
                break
        weight = _WEIGHT.match(text)
        if weight is not None:
            yield Slip(
                flat.span(*weight.span()), "DP222", "a weight is allowed inside brackets only",
                "Write {2::a|b}; wildcards of .txt have weights with weights_in_txt.",
            )  # fmt: skip

    def _strengths(self, flat: FlatText, text: str) -> Iterator[Slip]:
        """`(a:1.2` and `a:1.2)`, where no option opens or closes a bracket for its variant."""
        opened: list[int] = []
        uneven = any(_is_uneven(self._text, node) for node in flat.nodes.values())
        for place, letter in enumerate(text):
            if letter == "(":
                opened.append(place)
            elif letter == ")":
                if opened:
                    opened.pop()
                    found = _STRENGTH_BEHIND.match(text, place + 1)
                    if found is not None and not is_inside(text, place + 1):
                        yield Slip(
                            flat.span(*found.span()), "DP226", "this weight follows its ()",
                            "Write (text:1.2).",
                        )  # fmt: skip
                elif not uneven and _STRENGTH.search(text, max(0, place - 12), place):
                    yield Slip(flat.span(place, place + 1), "DP226", 'this ")" closes nothing',
                               "Write (text:1.2).")  # fmt: skip
        for place in opened:
            end = re.compile(r"[,\n|(]|$").search(text, place + 1)
            stop = end.start() if end is not None else len(text)
            if not uneven and _STRENGTH.search(text[place:stop].rstrip("]}")):
                yield Slip(flat.span(place, place + 1), "DP226", 'this "(" is never closed',
                           'A ")" is expected after the weight: (text:1.2).')  # fmt: skip

    def _around(self, flat: FlatText) -> Iterator[Slip]:
        """What stands directly before or behind a construct."""
        text = flat.text
        for place, node in flat.nodes.items():
            behind = text[place + 1 : place + 40]
            if isinstance(node, Wildcard) and re.match(r"\(\s*[A-Za-z_][\w-]*\s*=", behind):
                yield Slip(
                    flat.span(place + 1, place + 2), "DP223",
                    "these arguments follow the wildcard",
                    "Write them before the closing mark: __name(a=b)__.",
                )  # fmt: skip
            elif isinstance(node, Wildcard) and re.search(r"(?:^|[\s,])[!@~]$", text[:place]):
                yield Slip(
                    flat.span(place - 1, place), "DP223", "this sign comes before the wildcard",
                    "Write it behind the opening mark: __@name__.",
                )  # fmt: skip
            elif isinstance(node, Get) and node.default is None:
                found = re.match(r"\s*\??=(?![=>])", behind)
                if found is not None:
                    yield Slip(
                        flat.span(place + 1, place + 1 + found.end()), "DP224",
                        "a variable is set inside of its braces", "Write ${name=value}.",
                    )  # fmt: skip
            elif isinstance(node, Wildcard) and re.match(r"\s?[*x\u00d7]\s?\d+\b", behind):
                yield Slip(
                    flat.span(place, place + 1), "DP221", "this is drawn once",
                    "Several values are {2$$__name__}.",
                )  # fmt: skip
            elif isinstance(node, Variant):
                yield from self._beside(flat, place)
                found = re.match(r"\s*::\s*\d|\s*\$\$", behind)
                if found is not None:
                    yield Slip(
                        flat.span(place + 1, place + 1 + found.end()), "DP222",
                        "this follows a closed variant",
                        "Weights and numbers go inside: {2::a|b}, {2$$a|b}.",
                    )  # fmt: skip

    def _beside(self, flat: FlatText, place: int) -> Iterator[Slip]:
        """`@{a|b}` and `{a|b}:1.2`."""
        text = flat.text
        if re.search(r"(?:^|[\s,])[!@~]$", text[:place]):
            yield Slip(flat.span(place - 1, place), "DP221", "this sign comes before the variant",
                       "Write it inside: {@a|b}.")  # fmt: skip
        found = _STRENGTH_BEHIND.match(text, place + 1)
        if found is not None and not is_inside(text, place):
            yield Slip(flat.span(*found.span()), "DP226", "this weight has no brackets",
                       "Write ({a|b}:1.2).")  # fmt: skip

    # Inside

    def _variant(self, variant: Variant, in_brackets: bool) -> Iterator[Slip]:
        source, start = self._text, variant.start + 1
        head = _HEAD.match(source, start, variant.end)
        flats = [FlatText(source, option.body.parts) for option in variant.options]
        if head is not None and variant.low == variant.high == 1:
            yield Slip(Span(start, head.end()), "DP221", "a number of options ends with two $",
                       "Write {2$$a|b}.")  # fmt: skip
        else:
            yield from self._heads(variant, flats)
        divided = self._divided(variant, flats)
        if divided is not None:
            yield divided
        if len(variant.options) == 1:
            yield from itertools.starmap(Slip, find_lone(source, variant, self._names))
        if not in_brackets and divided is None:
            found = list(self._weights(variant, flats))
            yield from found or self._lone_strength(flats)
        for option, flat in zip(variant.options, flats, strict=True):
            if flat.nodes or is_suspect(flat.text):
                yield from self.sequence(option.body, top=False)

    def _heads(self, variant: Variant, flats: list[FlatText]) -> Iterator[Slip]:
        body = variant.options[0].body.parts
        if not body or not isinstance(body[0], Text):
            return
        start = body[0].start
        before = self._text[variant.start : start].rstrip()
        found = re.compile(r"[!@~](?=[\w{_])").match(self._text, start, body[0].end)
        if found is not None and before.endswith("$$"):
            yield Slip(
                Span(start, start + 1), "DP221", "this sign follows the number of options",
                "Write it first: {@2$$a|b}.",
            )  # fmt: skip
        elif found is not None and before[-1:] in "!@~":
            yield Slip(Span(start, start + 1), "DP221", "this sign is doubled",
                       "Write one of them: {@a|b}.")  # fmt: skip
        first, *others = (flat.text for flat in flats)
        border = _BORDER.match(first) if before.endswith("$$") and others else None
        if border is not None and before.count("$$") == 1 and not any(map(_BORDER.match, others)):
            shown = self._text[variant.start : start] + border.group().strip()
            yield Slip(Span(start, start + 1), "DP221", "this separator is not closed",
                       f"Write {shown} $$a|b}}.")  # fmt: skip

    def _divided(self, variant: Variant, flats: list[FlatText]) -> Slip | None:
        """`{blonde|[black|gray]}`: a bracket that one option opens and a later one closes."""
        waiting: dict[str, int] = {}
        for flat in flats:
            text = flat.text
            if not _BRACKET.search(text):
                continue
            text = FACE.sub(blank_out, text)
            level: list[str] = []
            for letter in text:
                if letter in "[(<":
                    level.append(letter)
                elif letter in CLOSERS:
                    wanted = CLOSERS[letter]
                    if wanted in level:
                        level.remove(wanted)
                    elif wanted in waiting:
                        start = waiting[wanted]
                        return Slip(
                            Span(start, start + 1), "DP220",
                            f'a "|" of the variant splits what is inside this "{wanted}"',
                            r"Write \| inside of it, for example [black\|gray].",
                        )  # fmt: skip
            for letter in level:
                if letter != "<" or re.search(r"<\w+:", text):
                    waiting[letter] = flat.at(text.rindex(letter))
        return None

    def _weights(self, variant: Variant, flats: list[FlatText]) -> Iterator[Slip]:
        late = early = filled = 0
        shares = 0.0
        for flat in flats:
            text = flat.text
            if not text.strip():
                continue
            filled += 1
            found = _WEIGHT.match(text)
            if found is not None:
                yield Slip(
                    flat.span(*found.span()), "DP222", "this is not read as a weight",
                    "A weight is a number such as 2 or 0.5, without sign or spaces: {2::a|b}.",
                )  # fmt: skip
                return
            found = _LATE.search(text)
            if found is not None:
                message = "this weight follows its option"
                yield Slip(flat.span(*found.span()), "DP222", message, "Write it first: {2::a|b}.")
                return
            stray = text.find("::")
            if stray >= 0 and not is_inside(text, stray):
                yield Slip(
                    flat.span(stray, stray + 2), "DP222", "this is not read as a weight",
                    "A weight is a number such as 2 or 0.5, without sign or spaces: {2::a|b}.",
                )  # fmt: skip
                return
            share = _SHARE.match(text)
            shares += float(share.group(1)) if share is not None else 0
            late += _LATE_SINGLE.fullmatch(text) is not None
            early += _EARLY.match(text) is not None
        if len(flats) > 1 and filled and (filled in (late, early) or shares == _WHOLE):
            yield Slip(
                Span(variant.start, variant.end), "DP222",
                "these numbers are not read as weights", "Write {2::red|1::blue}.",
            )  # fmt: skip

    def _lone_strength(self, flats: list[FlatText]) -> Iterator[Slip]:
        """`{a|b:1.2}` outside of round brackets."""
        for flat in flats:
            found = _LONE_STRENGTH.fullmatch(flat.text)
            if found is not None:
                colon = flat.text.rindex(":")
                yield Slip(
                    flat.span(colon, found.end()), "DP226", "this weight has no brackets",
                    "Write {(a:1.2)|b}; how often an option is drawn is {2::a|b}.",
                )  # fmt: skip
                return

    def _wrap(self, wrap: Wrap) -> Iterator[Slip]:
        parts = wrap.wrapper.parts
        plain = all(isinstance(part, Text) for part in parts)
        if plain and not any(_DOTS.search(part.text) for part in parts if isinstance(part, Text)):
            yield Slip(
                Span(wrap.start, wrap.start + 2), "DP230", "this wrapper has no dots",
                "Three dots mark where the inner text goes: %{before ... after$$inner}.",
            )  # fmt: skip
        yield from self.sequence(wrap.wrapper, top=False)
        yield from self.sequence(wrap.inner, top=False)

    def _variable(self, node: Assign | Get) -> Iterator[Slip]:
        value = node.value if isinstance(node, Assign) else node.default
        if value is None:
            return
        first = value.parts[0] if value.parts else None
        signs = "=?!" if isinstance(node, Assign) else "=?:"
        is_sign = isinstance(first, Text) and re.match(
            rf"[{signs}](?=[^\s()|\[\]])", self._text[first.start : node.end - 1]
        )
        if isinstance(first, Text) and is_sign:
            yield Slip(
                Span(first.start, first.start + 1), "DP224", "this sign becomes text",
                "A variable is set by ${name=value}, if not set yet by ${name?=value}.",
            )  # fmt: skip
        yield from self.sequence(value, top=False)


def _is_escaped(text: str, place: int) -> bool:
    run = place - len(text[:place].rstrip("\\"))
    return run % 2 == 1


def _is_uneven(source: str, node: Node) -> bool:
    if not isinstance(node, Variant):
        return False
    inner = source[node.start : node.end]
    return inner.count("(") != inner.count(")") or any(
        source[one.start : one.end].count("(") != source[one.start : one.end].count(")")
        for one in node.options
    )
