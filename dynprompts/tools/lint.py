"""What is wrong, or probably not intended, in a template or a whole tree of wildcards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from ..errors import LimitExceeded, Origin, PromptError, PromptSyntaxError, Span, counted
from ..findings import ERROR, WARNING, LintFinding, LintFindings
from ..lexer import ParserConfig, patterns
from ..lone import Names
from ..nodes import Assign, Get, Node, Sequence, Variant, Wildcard
from ..parser import parse_sequence
from ..resolver import insides, read_document
from ..scope import Rules
from ..slips import find_slips, is_suspect
from ..values import Collection, Document
from ..wildcards import WildcardLibrary
from .cycles import find_cycles
from .shapes import Shapes, names
from .suggest import Suggestions

__all__ = [
    "ERROR",
    "WARNING",
    "LintFinding",
    "find_hints",
    "lint_library",
    "lint_template",
    "lint_text",
]


def lint_text(
    text: str,
    library: WildcardLibrary | None = None,
    variables: Iterable[str] = (),
    config: ParserConfig | None = None,
    *,
    follow: bool = True,
) -> list[LintFinding]:
    """Return what is to be said about a text that may not even be a template.

    `variables` are the names of those that are set from outside. Without `follow` the values of
    its wildcards are left out, so that a form can ask at each keystroke.
    """
    rules = Rules(library or WildcardLibrary(), config or ParserConfig())
    try:
        document = read_document(text, rules)
    except PromptError as error:
        return [finding_of(error)]
    linter = _Linter(rules, set(variables))
    linter.text(document, "")
    if follow:
        linter.follow()
    return linter.findings()


def find_hints(
    texts: Iterable[tuple[str, str]],
    library: WildcardLibrary | None = None,
    variables: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return what in named texts resembles the language and would be drawn literally.

    A sentence each, before anything is drawn; what stops the draw is left to the draw.
    """
    known = tuple(variables)
    found = [
        f"{name}: {one.sentence}"
        for name, text in texts
        for one in lint_text(text, library, known, follow=False)
        if one.severity == WARNING
    ]
    return tuple(dict.fromkeys(found))


def finding_of(error: PromptError) -> LintFinding:
    """Return the finding for a template that cannot be read."""
    found = LintFindings()
    _say_error(found, error)
    return found.findings()[0]


def lint_template(document: Document, rules: Rules, given: Iterable[str] = ()) -> list[LintFinding]:
    """Return what is to be said about a template and the wildcards that it leads to.

    `given` are the names of variables that are set from outside.
    """
    linter = _Linter(rules, set(given))
    linter.text(document, "")
    linter.follow()
    return linter.findings()


def lint_library(rules: Rules, given: Iterable[str] = ()) -> list[LintFinding]:
    """Return what is to be said about all wildcards of a library and about its files."""
    linter = _Linter(rules, set(given))
    linter.files()
    for name in rules.library.names:
        linter.collection(name)
    return linter.findings()


def _say_error(found: LintFindings, error: PromptError) -> None:
    if isinstance(error, PromptSyntaxError):
        found.say(error.code, error.message, error.where, error.hint, error.source, error.span)
    else:
        found.say(error.code, error.message, error.where)


class _Linter:
    """Collects findings; each wildcard is read once, by its own name."""

    def __init__(self, rules: Rules, given: set[str]) -> None:
        self._rules, self._library = rules, rules.library
        self._found = LintFindings()
        self._leads: dict[str, dict[str, list[str]]] = {}
        self._exits: dict[str, set[frozenset[str]]] = {}
        self._waiting: list[str] = []
        self._set = set(given)
        self._gets: dict[str, list[tuple[str, str, Span]]] = {}
        self._got: Counter[str] = Counter()
        self._resolved: dict[str, tuple[tuple[str, ...], str, str, str]] = {}
        self._shapes = Shapes()
        self._suggestions: Suggestions | None = None
        self._names = Names(self._is_wildcard, self._set)

    def findings(self) -> list[LintFinding]:
        """Return everything, in the order of files and lines."""
        for code, message, where in find_cycles(self._leads, self._exits):
            self._found.say(code, message, where)
        variables = Suggestions(sorted(self._set))
        for name, places in self._gets.items():
            if name not in self._set:
                near = variables.near(name)
                hint = f"Did you mean ${{{near}}}?" if near else ""
                if not near and self._is_wildcard(name):
                    hint = f"Did you mean __{name}__?"
                message = f'the variable "{name}" is set nowhere here'
                for where, text, span in places:
                    self._found.say("DP209", message, where, hint, text, span)
                self._found.count("DP209", message, self._got[name] - len(places))
        return self._found.findings()

    def _is_wildcard(self, name: str) -> bool:
        return bool(self._library.matching(name))

    # Files

    def files(self) -> None:
        """Check encodings, tabs, broken files and names that are given twice."""
        for problem in self._library.problems():
            self._found.say(problem.code, problem.message, problem.where)
        for name, text in self._library.raw_texts():
            place = text.find("\t")
            while place >= 0:
                line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
                where = f"{name}:{line}:{column}"
                self._found.say("DP208", "a tab is used here; spaces are expected", where)
                break_at = text.find("\n", place)
                place = text.find("\t", break_at) if break_at >= 0 else -1
        for name in self._library.names:
            givers = self._library.givers(name)
            if len(givers) > 1:
                message = f'"{name}" is given by {" and ".join(givers)}; the last one is used'
                self._found.say("DP207", message, givers[-1])

    # Texts

    def follow(self) -> None:
        """Check every wildcard that was reached so far, and those that it leads to."""
        done: set[str] = set()
        while self._waiting:
            name = self._waiting.pop()
            if name not in done:
                done.add(name)
                self.collection(name)

    def collection(self, name: str) -> None:
        """Check all values of one wildcard."""
        found = self._library.collection(name)
        exits: set[frozenset[str]] = set()
        self._exits[name] = exits
        if found is None:
            exits.add(frozenset())
            return
        self._weights(found, name)
        config = self._rules.config
        lively = patterns(config).lively.search
        usual = config == ParserConfig()
        for index, text in enumerate(found.texts):
            needed: set[str] | None = set()
            if lively(text) or (usual and is_suspect(text)):
                needed = self._known(found, index, name) if usual else None
                if needed is None:
                    needed = self._value(found, index, name)
            if needed is not None and (found.weights is None or found.weights[index] > 0):
                exits.add(frozenset(needed))

    def _known(self, found: Collection, index: int, name: str) -> set[str] | None:
        """Check a value whose shape is known without reading it; None for another one."""
        text = found.texts[index]
        shape = self._shapes.find(text)
        if shape is None or not all(self._found.is_full(*slip) for slip in shape.slips):
            return None
        for slip in shape.slips:
            self._found.count(*slip, 1)
        needed: set[str] = set()
        if "__" in text or "${" in text:
            for number, one in enumerate(names(text)):
                span = Span(one.start, one.end)
                if not one.is_wildcard:
                    self._get(one.name, text, span, lambda: found.origin(index))
                    continue
                meant = self._reference(one.name, name, text, span, lambda: found.origin(index))
                if number in shape.needed:
                    needed |= meant
        return needed

    def _value(self, found: Collection, index: int, name: str) -> set[str] | None:
        """Read a value and check it; None when it cannot be read."""
        try:
            document = self._read(found, index)
        except (PromptSyntaxError, LimitExceeded) as error:
            _say_error(self._found, error)
            return None
        needed = self._sequence(document.root, document, name)
        self._shapes.learn(document.text, document.root, self._slips(document))
        return needed

    def _read(self, found: Collection, index: int) -> Document:
        """Parse a value for this one time: a long file is not to be kept as trees."""
        text, origin = found.texts[index], found.origin(index)
        nesting = self._rules.limits.nesting
        return Document(parse_sequence(text, self._rules.config, origin, nesting), text, origin)

    def _weights(self, found: Collection, name: str) -> None:
        weights = found.weights
        if weights is None:
            return
        if not any(weights):
            message = f'all values of "{name}" weigh 0, so none can be drawn'
            self._found.say("DP211", message, found.where(0))
            return
        for index, weight in enumerate(weights):
            if not weight:
                message = f'a value of "{name}" weighs 0 and is never drawn'
                origin = found.origin(index)
                where = f"{origin.name}:{origin.line}:{origin.column}"
                self._found.say("DP210", message, where)

    def text(self, document: Document, name: str) -> set[str]:
        """Check a text; return the wildcards that every draw of it needs."""
        needed = self._sequence(document.root, document, name)
        self._slips(document)
        return needed

    def _slips(self, document: Document) -> list[tuple[str, str]]:
        found = []
        for slip in find_slips(document.text, document.root, self._names, self._rules.config):
            where = document.origin.place(document.text, slip.span.start)
            self._found.say(slip.code, slip.message, where, slip.hint, document.text, slip.span)
            found.append((slip.code, slip.message))
        return found

    def _say(self, code: str, message: str, document: Document, node: Node, hint: str = "") -> None:
        where = document.origin.place(document.text, node.start)
        self._found.say(code, message, where, hint, document.text, node.span)

    def _sequence(self, sequence: Sequence, document: Document, name: str) -> set[str]:
        needed: set[str] = set()
        for node in sequence.parts:
            if isinstance(node, Variant):
                needed |= self._variant(node, document, name)
                continue
            inner = [self._sequence(one, document, name) for one in insides(node)]
            if isinstance(node, Wildcard):
                self._set.update(argument.name for argument in node.arguments)
                if node.path.plain is not None:
                    needed |= self._reference(
                        node.path.plain, name, document.text, node.span, lambda: document.origin
                    )
            elif isinstance(node, Assign):
                self._set.add(node.name)
            elif isinstance(node, Get):
                if node.default is None:
                    self._get(node.name, document.text, node.span, lambda: document.origin)
            else:
                needed = needed.union(*inner)
        return needed

    def _get(self, name: str, text: str, span: Span, origin: Callable[[], Origin]) -> None:
        self._got[name] += 1
        places = self._gets.setdefault(name, [])
        if len(places) < _MOST_PLACES:
            places.append((origin().place(text, span.start), text, span))

    def _variant(self, variant: Variant, document: Document, name: str) -> set[str]:
        weights = [option.weight for option in variant.options]
        if not any(weights):
            if variant.high:
                self._say("DP211", "all options weigh 0, so none can be drawn", document, variant)
        else:
            for option in variant.options:
                if not option.weight:
                    self._say("DP210", "this option weighs 0 and is never drawn", document, option)
        if variant.low > len(variant.options) and not _is_wildcard(variant):
            message = (
                f"{counted(variant.low, 'option is', 'options are')} wanted, and there are "
                f"{len(variant.options)}"
            )
            only = variant.options[0].body.plain or ""
            is_list = len(variant.options) == 1 and any(one in only for one in ",;/\u3001")
            hint = 'Options are separated by "|".' if is_list else ""
            self._say("DP210", message, document, variant, hint)
        every = [
            set() if option.body.plain is not None else self._sequence(option.body, document, name)
            for option in variant.options
        ]
        if variant.amount is not None:
            self._sequence(variant.amount, document, name)
        drawn = [one for one, weight in zip(every, weights, strict=True) if weight]
        if variant.low == 0 or not drawn:
            return set()
        return set.intersection(*drawn)

    def _reference(
        self, path: str, name: str, text: str, span: Span, origin: Callable[[], Origin]
    ) -> set[str]:
        if path not in self._resolved:
            self._resolved[path] = self._resolve(path)
        names, code, message, hint = self._resolved[path]
        if code:
            self._found.say(code, message, origin().place(text, span.start), hint, text, span)
        if code == "DP201":
            return set()
        leads = self._leads.setdefault(name, {})
        for one in names:
            places = leads.setdefault(one, [])
            if len(places) < _MOST_PLACES:
                places.append(origin().place(text, span.start))
        return set(names) if len(names) == 1 else set()

    def _resolve(self, path: str) -> tuple[tuple[str, ...], str, str, str]:
        """Return the names that a reference means, and code, sentence and hint of a finding."""
        names = self._library.matching(path)
        if not names or self._library.collection(path) is None:
            said = "has no values" if names else "is not there"
            hint = "" if names else self._near(path)
            return names, "DP201", f'the wildcard "{path}" {said}', hint
        self._waiting += names
        exact = "/".join(part for part in path.replace("\\", "/").split("/") if part)
        is_glob = any(letter in path for letter in "*?[+")
        if exact not in names and not is_glob and len(names) > 1:
            message = f'"{path}" can mean {_listed(names)}; all their values are drawn from'
            return names, "DP202", message, ""
        return names, "", "", ""

    def _near(self, path: str) -> str:
        link = self._library.link_of(path)
        if link:
            return f'"{link}" is a link that is not followed; --follow-links reads it.'
        if path in self._set:
            return f"Did you mean ${{{path}}}?"
        several = _SEVERAL.fullmatch(path)
        if several is not None:
            number, _, name = path.partition("$$")
            return f"Several values are {{{number}$$__{name}__}}."
        if self._suggestions is None:
            self._suggestions = Suggestions(self._library.names)
        near = self._suggestions.near(path)
        return f"Did you mean __{near}__?" if near else ""


_SEVERAL = re.compile(r"\d+(?:-\d*)?\$\$[^$]+")
_MOST_PLACES = 20
_MOST_LISTED = 4


def _listed(names: tuple[str, ...]) -> str:
    if len(names) <= _MOST_LISTED:
        return " or ".join(names)
    return f"{' or '.join(names[:_MOST_LISTED])} or {len(names) - _MOST_LISTED} more"


def _is_wildcard(variant: Variant) -> bool:
    parts = variant.options[0].body.parts
    return len(variant.options) == 1 and len(parts) == 1 and isinstance(parts[0], Wildcard)
